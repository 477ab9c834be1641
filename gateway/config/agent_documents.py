"""A folder of agents, read: of each its agent.yaml, instructions, schema and cases.yaml. It runs nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.config.agent_checks import case_findings, fitting_findings
from gateway.config.agent_families import family_findings
from gateway.config.agent_links import link_findings, tools_in_conversation
from gateway.config.agent_name import AgentName
from gateway.config.agent_settings import (
    NO_AGENTS,
    AgentCase,
    AgentDefinition,
    AgentDocuments,
    AgentSettings,
    AgentsSettings,
    CaseDocument,
)
from gateway.config.convert import INVALID, Conversion, Place, fits, follow
from gateway.config.document_folders import FolderKind, digest_of, digest_of_all, find_folder, read_folders, read_text
from gateway.config.faults import ConfigError, Fault, FaultLog
from gateway.config.settings import Settings
from gateway.config.shapes import TextShape, shape_of
from gateway.config.yaml_source import ListNode, Node, parse_yaml

DEFINITION: Final = "agent.yaml"
CASES: Final = "cases.yaml"
MOST_AGENTS: Final = 200
MOST_FILES: Final = 50
MOST_BYTES: Final = 1024 * 1024
"""Of all files of one agent together."""

_KIND: Final = FolderKind(
    one="agent",
    many="agents",
    is_one=lambda path: (path / DEFINITION).is_file(),
    most=MOST_AGENTS,
    most_files=MOST_FILES,
    most_bytes=MOST_BYTES,
)


def agents_folder(settings: AgentsSettings, *, base: Path, environ: Mapping[str, str]) -> Path:
    """Give the folder as an absolute path; a relative one counts from `base`, the configuration's directory. Raises ConfigError."""
    return find_folder(settings.folder, "agents.folder", base=base, environ=environ)


def load_agent_documents(settings: Settings, *, base: Path, environ: Mapping[str, str]) -> AgentDocuments:
    """Read all agents of the folder that the settings name; none where they name none.

    Raises ConfigError with every fault found: folders and files that cannot be read, definitions and cases that are not of the form that is
    documented, and whatever a definition refers to that the configuration does not have.
    """
    if settings.agents is None:
        return NO_AGENTS
    folder = agents_folder(settings.agents, base=base, environ=environ)
    faults: list[Fault] = []
    agents: dict[str, AgentDefinition] = {}
    cases: dict[str, tuple[CaseDocument, ...]] = {}
    read = read_folders(folder, _KIND)
    readings = {name: _Reading(folder / name, contents, environ) for name, contents in read.items()}
    for name, reading in readings.items():
        try:
            agents[name] = reading.agent(settings, read)
        except ConfigError as error:
            faults += error.faults
    for name in agents:
        try:
            cases[name] = readings[name].cases(tools_in_conversation(name, agents))
        except ConfigError as error:
            faults += error.faults
    faults = faults or [
        readings[finding.agent].fault(finding.path, finding.message) for finding in family_findings(agents, settings)
    ]
    if faults:
        raise ConfigError(faults)
    return AgentDocuments(folder=str(folder), agents=agents, cases=cases, digest=digest_of_all(read))


def read_agent(
    name: str, contents: Mapping[str, bytes], settings: Settings, others: Collection[str]
) -> AgentDefinition:
    """Give an agent from the files of its folder, by name, among `others`; nothing of this machine's environment is read. Raises ConfigError."""
    if DEFINITION not in contents:
        raise ConfigError([Fault(file=name, message=f"there is no {DEFINITION}")])
    return _Reading(Path(name), contents, {}).agent(settings, others)


def digest_agents_folder(settings: AgentsSettings, *, base: Path, environ: Mapping[str, str]) -> bytes:
    """Give what differs whenever a file of an agent does. Raises ConfigError when they cannot be read."""
    return digest_of_all(read_folders(agents_folder(settings, base=base, environ=environ), _KIND))


class _Reading:
    """One agent on its way from its files."""

    def __init__(self, folder: Path, contents: Mapping[str, bytes], environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._contents = contents
        self._environ = environ

    def agent(self, settings: Settings, known: Collection[str]) -> AgentDefinition:
        """Give its definition; `known` are the names of all agents. Raises ConfigError."""
        shape = shape_of(AgentName)
        if isinstance(shape, TextShape) and not fits(shape, self._folder.name):
            message = f"an agent's folder has its name: expected {shape.expected}"
            raise ConfigError([Fault(file=str(self._folder), message=message)])
        log = FaultLog(self._path(DEFINITION))
        root = parse_yaml(self._text(DEFINITION), log)
        place = Place("", root.mark)
        written = self._conversion(log).read(shape_of(AgentSettings), root, place)
        if written is not INVALID:
            for finding in (
                *fitting_findings(written, settings, known),
                *link_findings(self._folder.name, written, known),
            ):
                culprit = follow(root, place, finding.path)
                log.add(culprit.mark, culprit.path, finding.message)
        log.raise_if_any()
        definition = AgentDefinition(
            name=self._folder.name,
            version=self._version(written.label),
            settings=written,
            instructions=""
            if written.workflow is not None
            else self._referred(written.instructions, "instructions", root, log).strip(),
            schema=self._schema(written, root, log),
        )
        log.raise_if_any()
        return definition

    def fault(self, path: tuple[str | int, ...], message: str) -> Fault:
        """Give a fault at a path of the definition, which has been read."""
        root = parse_yaml(self._text(DEFINITION), FaultLog(self._path(DEFINITION)))
        culprit = follow(root, Place("", root.mark), path)
        mark = culprit.mark
        return Fault(
            file=self._path(DEFINITION), line=mark.line, column=mark.column, path=culprit.path, message=message
        )

    def _referred(self, name: str, field: str, root: Node, log: FaultLog) -> str:
        """Give the text of a file of the folder that the definition names."""
        if name in self._contents:
            return self._text(name)
        culprit = follow(root, Place("", root.mark), tuple(field.split(".")))
        outside = " outside the agent's folder" if "/" in name else ""
        hint = log.near(name, self._contents)
        log.add(culprit.mark, culprit.path, f"there is no file '{name[:80]}' beside {DEFINITION}{outside}{hint}")
        return ""

    def _schema(self, written: AgentSettings, root: Node, log: FaultLog) -> dict[str, Any] | None:
        if written.output is None or written.output.file is None:
            return None if written.output is None else written.output.schema
        text = self._referred(written.output.file, "output.file", root, log)
        try:
            return msgspec.json.decode(text, type=dict[str, Any]) if text else None
        except msgspec.DecodeError as error:
            message = f"this is not a JSON Schema, an object: {error}"
            raise ConfigError([Fault(file=self._path(written.output.file), message=message)]) from None

    def cases(self, had: Collection[str]) -> tuple[CaseDocument, ...]:
        """Give its cases; `had` are the tools that can be used in them. Raises ConfigError."""
        if CASES not in self._contents:
            return ()
        path, log = self._path(CASES), FaultLog(self._path(CASES))
        root = parse_yaml(self._text(CASES), log)
        if not isinstance(root, ListNode):
            log.add(root.mark, "", "expected a list of cases")
            log.raise_if_any()
            return ()
        conversion, shape = self._conversion(log), shape_of(AgentCase)
        found: list[CaseDocument] = []
        for number, node in enumerate(root.items):
            place = Place(f"[{number}]", node.mark)
            case = conversion.read(shape, node, place)
            if case is INVALID:
                continue
            found.append(CaseDocument(path=path, line=node.mark.line, case=case))
            for finding in case_findings(case, had):
                culprit = follow(node, place, finding.path)
                log.add(culprit.mark, culprit.path, finding.message)
        log.raise_if_any()
        return tuple(found)

    def _version(self, label: str) -> str:
        digest = digest_of(self._contents).hexdigest()[:24]
        return f"{label}+{digest}" if label else digest

    def _conversion(self, log: FaultLog) -> Conversion:
        return Conversion(log, base=self._folder, environ=self._environ)

    def _path(self, name: str) -> str:
        return str(self._folder / name)

    def _text(self, name: str) -> str:
        return read_text(self._folder / name, self._contents[name])
