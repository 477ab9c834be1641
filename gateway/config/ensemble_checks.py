"""Rules between the settings of cascades and votes: targets enough, judges that are others, checks that can be made."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.ensemble_settings import CascadeSettings, JudgeSettings, VoteSettings
from gateway.config.finding import Finding
from gateway.config.model_parts import Part, Path, parts_of
from gateway.config.provider_settings import AnthropicSettings, OpenAIShapedSettings
from gateway.config.routing_checks import way_back
from gateway.config.settings import Settings

_SECTIONS = ("cascade", "vote")
_MOST_VOTERS = 7


def cascade_findings(cascade: CascadeSettings) -> Iterator[Finding]:
    """Yield a check that nobody makes, and a judge whom nobody asks."""
    asked = "judge" in cascade.escalate_on
    if asked and cascade.judge is None:
        yield Finding(path=("escalate_on",), message="who judges is not said: add judge: {model: …}")
    if cascade.judge is not None and not asked:
        yield Finding(path=("judge",), message="this judge is never asked: add judge to escalate_on")
    for number, name in enumerate(cascade.last_resort):
        if name not in cascade.escalate_on:
            yield Finding(
                path=("last_resort", number), message=f"{name} is not in escalate_on, so that nothing fails it"
            )


def vote_findings(vote: VoteSettings) -> Iterator[Finding]:
    """Yield a decision that nobody makes, a judge whom nobody asks, and more answers than there are voters."""
    if vote.decide == "judge" and vote.judge is None:
        yield Finding(path=("decide",), message="who judges is not said: add judge: {model: …}")
    if vote.decide != "judge" and vote.judge is not None:
        yield Finding(path=("judge",), message="this judge is never asked: write decide: judge")
    if vote.quorum is not None and vote.targets is not None and vote.quorum > vote.targets:
        yield Finding(path=("quorum",), message=f"of {vote.targets} targets there are never so many answers")


def ensemble_findings(settings: Settings) -> Iterator[Finding]:
    """Yield models whose strategy cannot do what it says."""
    for part in parts_of(settings):
        strategy = part.strategy
        for section in _SECTIONS:
            written = part.written(section)
            if written is not None and strategy != section:
                yield Finding(path=written[0], message=f"the strategy is {strategy}: write strategy: {section}")
        if len(part.targets) == 1 and part.written("strategy") is not None and strategy in _SECTIONS:
            message = f"a {strategy} needs two targets or more"
            yield Finding(path=(*part.path, "targets"), needs=("routing",), message=message)
        elif strategy == "cascade":
            yield from _deaf_targets(part, settings)
        elif strategy == "vote":
            yield from _voters(part)
    yield from _circles(settings)


def _deaf_targets(part: Part, settings: Settings) -> Iterator[Finding]:
    """Yield targets whose confidence is to be looked at and whose API never tells it. The last one is not checked."""
    _, cascade = _section_of(part)
    if not isinstance(cascade, CascadeSettings) or "low_confidence" not in cascade.escalate_on:
        return
    for number, target in enumerate(part.targets[:-1]):
        provider = settings.providers.get(target.provider)
        anthropic = isinstance(provider, AnthropicSettings)
        if anthropic or (isinstance(provider, OpenAIShapedSettings) and _speaks_only_messages(provider)):
            message = "this API tells no log probabilities, so that low_confidence could not be checked"
            yield Finding(path=(*part.path, "targets", number), needs=("providers", "routing"), message=message)


def _speaks_only_messages(provider: OpenAIShapedSettings) -> bool:
    apis = getattr(provider, "spoken_apis", ("chat",))
    return "messages" in apis and not {"chat", "responses"} & set(apis)


def _voters(part: Part) -> Iterator[Finding]:
    where, vote = _section_of(part)
    if not isinstance(vote, VoteSettings):
        return
    there = len(part.targets)
    if vote.targets is not None and vote.targets > there:
        yield Finding(path=(*where, "targets"), message=f"the model '{part.model}' has only {there} targets")
    elif vote.quorum is not None and vote.quorum > min(there, vote.targets or _MOST_VOTERS):
        message = f"of the {min(there, vote.targets or _MOST_VOTERS)} targets of '{part.model}' there are never so many answers"
        yield Finding(path=(*where, "quorum"), message=message)


def _section_of(part: Part) -> tuple[Path, CascadeSettings | VoteSettings]:
    """Give the settings of a part that is a cascade or a vote, and where they are, or would be, written."""
    customary = CascadeSettings() if part.strategy == "cascade" else VoteSettings()
    return part.find(part.strategy) or (("routing", part.strategy), customary)


def _judge_of(part: Part) -> tuple[Path, JudgeSettings] | None:
    """Give the judge of a part that has one, and where that is written."""
    if part.strategy not in _SECTIONS or len(part.targets) == 1:
        return None
    where, settings = _section_of(part)
    return None if settings.judge is None else (where, settings.judge)


def _circles(settings: Settings) -> Iterator[Finding]:
    """Yield judges who, in the end, are asked about themselves."""
    judges: dict[str, list[tuple[Path, JudgeSettings]]] = {}
    for part in parts_of(settings):
        if (found := _judge_of(part)) is not None:
            judges.setdefault(part.model, []).append(found)
    graph = {name: tuple(judge.model for _, judge in asked) for name, asked in judges.items()}
    for name, asked in judges.items():
        for where, judge in asked:
            if loop := way_back(name, judge.model, graph):
                message = f"a judge must not lead back: {' -> '.join((name, *loop))}"
                yield Finding(path=(*where, "judge", "model"), message=message)
