"""The handbook's verbs: what there is, what fits words or an alert, and one runbook whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, get_args

import msgspec
from mcp.server.lowlevel import Server
from msgspec import Meta

from mcp_servers.ops_handbook.runbooks import Runbook, Section, Severity
from mcp_servers.ops_handbook.shelf import Match, Shelf, words_of
from mcp_servers.serving import ConfigurationError, load
from mcp_servers.verbs import Json, Refused, Verb, server_of

ABOUT: Final = "Runbooks as an MCP server: found by words or by alert, fetched whole, cited by lines and hash."
INSTRUCTIONS: Final = (
    "Look with `for_alert` when an alert fires, else with `search`; then `fetch` the runbook and follow its steps in order. Cite what you follow: id, lines "
    "and hash. A step names a tool; calling it needs the same leave as any other call."
)
_MOST_SIMILAR: Final = 3
_CITATION: Final[dict[str, Json]] = {
    "type": "object",
    "properties": {
        "runbook": {"type": "string"},
        "first_line": {"type": "integer"},
        "last_line": {"type": "integer"},
        "hash": {"type": "string"},
    },
    "required": ["runbook", "first_line", "last_line", "hash"],
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The folder of the runbooks, which counts from the configuration's own, and how much is given at once."""

    folder: str
    results: Annotated[int, Meta(ge=1, le=100)] = 8
    runbook_bytes: Annotated[int, Meta(ge=1024, le=1024 * 1024)] = 128 * 1024


def build(config: Path) -> Server[Any]:
    """Give the server of a configuration. Raises ConfigurationError."""
    settings = load(config, Settings)
    folder = (config.absolute().parent / settings.folder).resolve()
    if not folder.is_dir():
        msg = f"{config}: folder: there is no folder {folder}"
        raise ConfigurationError(msg)
    return server_of("ops_handbook", INSTRUCTIONS, Handbook(settings, Shelf(folder)).verbs())


class Handbook:
    """What is done for each verb."""

    def __init__(self, settings: Settings, shelf: Shelf) -> None:
        self._settings = settings
        self._shelf = shelf

    def verbs(self) -> list[Verb]:
        """Give the verbs."""
        text = {"type": "string", "minLength": 1, "maxLength": 500}
        severity = {"type": "string", "enum": list(get_args(Severity))}
        return [
            Verb(
                name="list_runbooks",
                description="Lists the runbooks, with the alerts, services, severity and owner of each; and files that cannot be read.",
                run=self._list,
                output={"runbooks": {"type": "array"}, "faults": {"type": "array"}},
            ),
            Verb(
                name="search",
                description="Finds the sections of runbooks that fit some words best, each with the lines where it stands.",
                run=self._search,
                properties={
                    "query": text,
                    "service": text,
                    "severity": severity,
                    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                },
                required=("query",),
                output={
                    "matches": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"citation": _CITATION}, "required": ["citation"]},
                    }
                },
            ),
            Verb(
                name="for_alert",
                description=(
                    "Gives the runbooks of an alert by its name, and by its labels if they are given, the most specific first, with their steps. Where there is "
                    "none, `similar` has sections that speak of the words of its name: look whether one fits, before you follow it."
                ),
                run=self._for_alert,
                properties={
                    "alert": text,
                    "labels": {
                        "type": "object",
                        "maxProperties": 50,
                        "additionalProperties": {"type": "string", "maxLength": 500},
                    },
                },
                required=("alert",),
                output={"runbooks": {"type": "array"}, "similar": {"type": "array"}},
            ),
            Verb(
                name="fetch",
                description="Gives one runbook whole. With `hash`, that of a citation, it says whether the file has changed since.",
                run=self._fetch,
                properties={"runbook": text, "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
                required=("runbook",),
                output={
                    "runbook": {"type": "object"},
                    "text": {"type": "string"},
                    "changed": {"type": "boolean"},
                    "cut": {"type": "boolean"},
                },
            ),
        ]

    async def _fresh(self) -> Shelf:
        try:
            await self._shelf.refresh()
        except OSError as error:
            msg = f"The handbook cannot be read: {error.strerror}."
            raise Refused(msg) from None
        return self._shelf

    async def _list(self, arguments: dict[str, Json]) -> dict[str, Json]:
        del arguments
        shelf = await self._fresh()
        return {
            "runbooks": [_about(runbook) for runbook in shelf.runbooks.values()],
            "faults": [msgspec.to_builtins(fault) for fault in shelf.faults],
        }

    async def _search(self, arguments: dict[str, Json]) -> dict[str, Json]:
        shelf = await self._fresh()
        service, severity = arguments.get("service"), arguments.get("severity")
        among = [
            runbook
            for runbook in shelf.runbooks.values()
            if (service is None or service in runbook.about.services)
            and (severity is None or severity == runbook.about.severity)
        ]
        most = min(arguments.get("limit", self._settings.results), self._settings.results)
        return {"matches": [_match(each) for each in await shelf.search(arguments["query"], among, most)]}

    async def _for_alert(self, arguments: dict[str, Json]) -> dict[str, Json]:
        shelf = await self._fresh()
        found = shelf.for_alert(arguments["alert"], arguments.get("labels", {}))[: self._settings.results]
        words = words_of(arguments["alert"])
        similar = [] if found else await shelf.search(words, shelf.runbooks.values(), _MOST_SIMILAR)
        return {
            "runbooks": [{**_about(runbook), "steps": _steps(runbook)} for runbook in found],
            "similar": [_match(each) for each in similar],
        }

    async def _fetch(self, arguments: dict[str, Json]) -> dict[str, Json]:
        shelf = await self._fresh()
        runbook = shelf.runbooks.get(arguments["runbook"])
        if runbook is None:
            msg = f"There is no runbook {arguments['runbook'][:100]!r}: `list_runbooks` says what there is."
            raise Refused(msg)
        data = runbook.text.encode()
        text = data[: self._settings.runbook_bytes].decode("utf-8", "ignore")
        return {
            "runbook": {**_about(runbook), "steps": _steps(runbook)},
            "text": text,
            "changed": arguments.get("hash", runbook.hash) != runbook.hash,
            "cut": len(data) > self._settings.runbook_bytes,
        }


def _about(runbook: Runbook) -> dict[str, Json]:
    about = runbook.about
    return {
        "id": runbook.id,
        "hash": runbook.hash,
        "title": about.title,
        "alerts": list(about.alerts),
        "severity": about.severity,
        "owner": about.owner,
        "services": list(about.services),
    }


def _steps(runbook: Runbook) -> list[Json]:
    return [msgspec.to_builtins(step) for step in runbook.about.steps]


def _match(match: Match) -> dict[str, Json]:
    section: Section = match.section
    return {
        "title": match.runbook.about.title,
        "section": " > ".join(section.path),
        "excerpt": match.excerpt,
        "score": round(match.score, 3),
        "citation": {
            "runbook": match.runbook.id,
            "first_line": section.first,
            "last_line": section.last,
            "hash": match.runbook.hash,
        },
    }
