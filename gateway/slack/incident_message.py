"""What an incident looks like in Slack: its first message, and what is said in its thread. Pure.

Titles, labels, results and an agent's words were written by others: they are elements of rich text, in which Slack reads nothing. A link that an
agent names can be clicked only where an operator has allowed its server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from gateway.config.slack_settings import IncidentThreadSettings
from gateway.notices.approval_view import moment
from gateway.slack.blocks import MOST_LINE, Block, context, cut, escaped, link_to, preformatted, rich, section, text_of
from gateway.stores.incidents import Alert, Incident, IncidentEvent
from gateway.triggers.acting import Deed, object_of

Message = dict[str, Any]

_MOST_LABELS: Final = 12
_MOST_NAMED: Final = 5
_MOST_LINES: Final = 24
_MOST_WORDS: Final = 3000
_MOST_DEEDS: Final = 20
_MOST_TRIED: Final = 3
_MOST_LINK: Final = 500
_HOLDS: Final = {True: "the wanted state is there", False: "the wanted state is NOT there"}
_SAID: Final[Mapping[str, str]] = {
    "run.cancelled_by_resolution": "All alerts are resolved before the agent acted: its run is ended.",
    "run.goes_on": "All alerts are resolved; the agent has acted already, so its run goes on.",
    "run.not_wanted": "No other run is begun for it.",
    "held.flapping": "Its alerts come and go: it is held for a while.",
    "held.quiet": "Nothing fires any more.",
    "news.told": "The agent was told what is new.",
    "storm.began": "More incidents came than runs may begin. One run is told of all that is left over.",
    "storm.over": "The storm is over.",
}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How an incident stands: in a few words, and what it came to once its run has ended."""

    state: str
    result: str = ""


def standing(incident: Incident, ended: str, words: str, done: Sequence[IncidentEvent]) -> Standing:
    """Say how an incident stands. `ended` is how its last run did, `words` what that said last, `done` the events of what runs changed.

    That it is mended is said by the tool's own look at the wanted state, never by the agent's word.
    """
    checks = [event.body["holds"] for event in done if "holds" in event.body]
    result = ""
    if incident.runs and not incident.phase:
        said = object_of(words).get("status")
        reported = f"; the agent reports: {cut(said, 40)}" if isinstance(said, str) else ""
        if ended != "completed":
            result = f"the run has {ended or 'ended'}"
        elif checks:
            result = ("mended" if checks[-1] else "not mended") + reported
        else:
            result = ("changed" if done else "nothing was changed") + reported
    if incident.state == "resolved":
        return Standing(state="Resolved", result=result)
    if incident.state == "failed":
        return Standing(state="Failed: no run could be begun")
    if incident.phase:
        return Standing(state="Waiting for people" if incident.phase == "waiting" else "Firing: an agent looks into it")
    if incident.state == "done":
        return Standing(state="Over", result=result)
    if result:
        return Standing(state=result[0].upper() + result[1:])
    return Standing(state="Held" if incident.held else "Firing")


def head(incident: Incident, alerts: Sequence[Alert], stands: Standing, settings: IncidentThreadSettings) -> Message:
    """Give the first message of the thread as the incident stands."""
    title = cut(incident.title, MOST_LINE)
    lines = [("State", stands.state), ("Result", stands.result), ("Severity", incident.severity)]
    if incident.kind == "alerts":
        lines.append(("Alerts", f"{incident.firing} of {incident.alerts} fire"))
    elif incident.kind == "storm":
        lines.append(("Incidents", f"{incident.alerts} were left over"))
    lines.append(("Since", moment(incident.opened_at)))
    shown = alerts[0].shown.get("labels") if alerts else None
    if isinstance(shown, dict):
        lines += [(name, str(value)) for name, value in list(shown.items())[:_MOST_LABELS] if name not in ("alertname", "severity")]  # fmt: skip
    blocks = [rich(section([text_of(title, bold=True)])), rich(*(_line(name, value) for name, value in lines if value))]
    if settings.link is not None:
        url = settings.link.replace("{incident}", incident.id).replace("{run}", incident.run)
        blocks.append(rich(section([link_to(url, "Look at it")])))
    blocks.append(context(f"{incident.id} · trigger {incident.trigger} · switchgear incidents show {incident.id}"))
    return {"text": escaped(f"{stands.state}: {title}"), "blocks": blocks}


def reply(events: Sequence[IncidentEvent], words: str, settings: IncidentThreadSettings) -> Message | None:
    """Give what is said of some events of one kind that follow each other, None where nothing is. `words` are those that a run ended with."""
    last = events[-1]
    name, body = last.name, last.body
    if name in ("alerts.fired", "alerts.resolved"):
        return _of_alerts(events)
    if name == "action.ended":
        return _of_deed(body)
    if name in ("run.begun", "run.refused", "run.postponed"):
        said = {
            "run.begun": "An agent looks into it",
            "run.refused": "No run could be begun",
            "run.postponed": "The run is begun later",
        }
        why = str(body.get("reason") or "")
        return _plain_message(f"{said[name]}{': ' + why if why else '.'}", str(body.get("run") or ""))
    if name in _SAID:
        return _plain_message(_SAID[name])
    ended = name.removeprefix("run.")
    if ended == name or ended in ("waiting", "continued"):
        return None
    return _summary(ended, words, settings)


def so_far(deeds: Sequence[Deed], words: str) -> Message | None:
    """Give what an agent did before it asks: what it looked at, what it tried without doing it, and its words. None where that is nothing."""
    blocks = []
    if words:
        blocks.append(rich(section([text_of(cut(words, _MOST_WORDS))])))
    looked = [deed for deed in deeds if deed.effect == "read"]
    if looked:
        lines = [_line(deed.tool, cut(deed.arguments)) for deed in looked[-_MOST_DEEDS:]]
        blocks.append(rich(section([text_of("It has looked at:\n", bold=True)]), *lines))
    for deed in [deed for deed in deeds if deed.dry_run][-_MOST_TRIED:]:
        change = "\n".join(deed.diff) or deed.arguments
        blocks += [rich(section([text_of(f"A dry run of {cut(deed.tool)} says what would change:", bold=True)])), rich(preformatted(cut(change, 1000)))]  # fmt: skip
    return {"text": "What the agent has done so far", "blocks": blocks} if blocks else None


def _of_alerts(events: Sequence[IncidentEvent]) -> Message | None:
    last = events[-1]
    if last.name == "alerts.fired":
        more = [event for event in events if event.seq > 1]
        if not more:
            return None  # those that the first message is about
        return _plain_message(f"{_sum(more)} more alerts fire: {_titles(more)}")
    left = last.body.get("firing")
    if not left:
        return _plain_message("All alerts are resolved.")
    return _plain_message(f"{_sum(events)} alerts are resolved, {left} still fire.")


def _of_deed(body: Mapping[str, Any]) -> Message:
    holds = body.get("holds")
    blocks = [
        rich(section([text_of(f"{cut(str(body.get('tool')))}: {body.get('state')}", bold=True)])),
        rich(preformatted(cut(str(body.get("arguments")), 1000) or "(no arguments)")),
    ]
    if isinstance(holds, bool):
        says = str(body.get("says") or "")
        blocks.append(rich(_line("Post-check", f"{_HOLDS[holds]}{': ' + says if says else ''}")))
    return {"text": escaped(f"{body.get('tool')}: {body.get('state')}"), "blocks": blocks}


def _summary(ended: str, words: str, settings: IncidentThreadSettings) -> Message:
    found = object_of(words)
    title = "The agent's summary" if ended == "completed" else f"The run has ended: {ended}"
    blocks = [rich(section([text_of(title, bold=True)]))]
    lines = [line for name, value in found.items() for line in _field(name, value, settings.evidence)]
    if lines:
        blocks.append(rich(*lines[:_MOST_LINES]))
    elif words:
        blocks.append(rich(section([text_of(cut(words, _MOST_WORDS))])))
    return {"text": title, "blocks": blocks}


def _field(name: str, value: object, allowed: Sequence[str]) -> list[Block]:
    """Give the lines of one field of a summary: a list has one for each of its parts."""
    title = cut(name.replace("_", " ").capitalize(), 40)
    if value is None or value in ("", [], {}):
        return []
    if isinstance(value, list):
        return [section([text_of(f"{title}: ", bold=True), *_part(one, allowed), text_of("\n")]) for one in value[:10]]
    return [section([text_of(f"{title}: ", bold=True), *_part(value, allowed), text_of("\n")])]


def _part(value: object, allowed: Sequence[str]) -> list[Block]:
    if not isinstance(value, dict):
        return [text_of(cut(_words(value)))]
    link = value.get("link")
    others = " · ".join(_words(one) for name, one in value.items() if name != "link" and one not in (None, ""))
    parts = [text_of(cut(others))]
    if isinstance(link, str) and link:
        clickable = len(link) <= _MOST_LINK and any(_leads_to(link, server) for server in allowed)
        parts += [text_of(" "), link_to(link, "evidence")] if clickable else [text_of(f" ({cut(link)})")]
    return parts


def _leads_to(link: str, server: str) -> bool:
    """Whether a link leads to a server, and below its path; anything odd in it, and it does not."""
    if not link.isascii() or any(character in link for character in " <>|\\\"'\t\r\n"):
        return False
    try:
        there, allowed = urlsplit(link), urlsplit(server)
        same = (there.scheme, there.netloc.lower()) == (allowed.scheme.lower(), allowed.netloc.lower())
    except ValueError:
        return False
    folder = allowed.path.rstrip("/")
    return same and ".." not in there.path and (there.path == folder or there.path.startswith(f"{folder}/"))


def _words(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _plain_message(said: str, run: str = "") -> Message:
    blocks = [rich(section([text_of(cut(said, MOST_LINE * 4))]))]
    if run:
        blocks.append(context(f"{run} · switchgear run show {run}"))
    return {"text": escaped(said), "blocks": blocks}


def _line(name: str, value: str) -> Block:
    return section([text_of(f"{cut(name, MOST_LINE // 2)}: ", bold=True), text_of(f"{cut(value)}\n")])


def _sum(events: Sequence[IncidentEvent]) -> int:
    counts = (event.body.get("count") for event in events)
    return sum(count for count in counts if isinstance(count, int))


def _titles(events: Sequence[IncidentEvent]) -> str:
    named = [one for event in events for one in _list(event.body.get("alerts"))]
    titles = list(dict.fromkeys(str(one.get("title")) for one in named if isinstance(one, dict)))
    return ", ".join(titles[:_MOST_NAMED]) + (", …" if len(titles) > _MOST_NAMED else "")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
