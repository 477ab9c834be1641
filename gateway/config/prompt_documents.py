"""A folder of prompt templates, read: of each prompt its versions, and which is served where none is named. It renders nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gateway.config.convert import INVALID, Conversion, Place, fits, follow
from gateway.config.document_folders import FolderKind, digest_of_all, find_folder, read_folders, read_text
from gateway.config.faults import NOWHERE, ConfigError, Fault, FaultLog, Mark
from gateway.config.prompt_checks import template_findings
from gateway.config.prompt_settings import (
    NO_PROMPTS,
    PromptDefinition,
    PromptDocuments,
    PromptName,
    PromptSettings,
    PromptsSettings,
    PromptTemplate,
    PromptVersion,
)
from gateway.config.settings import Settings
from gateway.config.shapes import TextShape, shape_of
from gateway.config.yaml_source import parse_yaml

ABOUT: Final = "prompt.yaml"
SUFFIX: Final = ".yaml"
MOST_PROMPTS: Final = 500
MOST_VERSIONS: Final = 100
"""Of one prompt, its prompt.yaml among them."""
MOST_BYTES: Final = 1024 * 1024
"""Of all files of one prompt together."""
MOST_BYTES_OF_ALL: Final = 32 * 1024 * 1024

_Document = TypeVar("_Document", bound=msgspec.Struct)

_KIND: Final = FolderKind(
    one="prompt",
    many="prompts",
    is_one=lambda path: path.is_dir() and not path.name.startswith("."),
    suffix=SUFFIX,
    most=MOST_PROMPTS,
    most_files=MOST_VERSIONS,
    most_bytes=MOST_BYTES,
    most_bytes_of_all=MOST_BYTES_OF_ALL,
)


def prompts_folder(settings: PromptsSettings, *, base: Path, environ: Mapping[str, str]) -> Path:
    """Give the folder as an absolute path; a relative one counts from `base`, the configuration's directory. Raises ConfigError."""
    return find_folder(settings.folder, "prompts.folder", base=base, environ=environ)


def load_prompt_documents(
    settings: Settings, *, base: Path, environ: Mapping[str, str], models: Collection[str] | None = None
) -> PromptDocuments:
    """Read all prompts of the folder that the settings name; none where they name none. `models` are the names that a version may name.

    Raises ConfigError with every fault found, each with its file and line.
    """
    if settings.prompts is None:
        return NO_PROMPTS
    folder = prompts_folder(settings.prompts, base=base, environ=environ)
    faults: list[Fault] = []
    prompts: dict[str, PromptDefinition] = {}
    for name, contents in read_folders(folder, _KIND).items():
        reading = _Reading(folder / name, contents, environ)
        try:
            prompts[name] = reading.prompt(models)
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return PromptDocuments(folder=str(folder), prompts=prompts)


def digest_prompts_folder(settings: PromptsSettings, *, base: Path, environ: Mapping[str, str]) -> bytes:
    """Give what differs whenever a file of a prompt does. Raises ConfigError when they cannot be read."""
    return digest_of_all(read_folders(prompts_folder(settings, base=base, environ=environ), _KIND))


class _Reading:
    """One prompt on its way from its files."""

    def __init__(self, folder: Path, contents: Mapping[str, bytes], environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._contents = contents
        self._environ = environ
        self._shape = shape_of(PromptName)

    def prompt(self, models: Collection[str] | None) -> PromptDefinition:
        """Give its definition. Raises ConfigError with the faults of all its files."""
        name = self._folder.name
        if not self._is_name(name):
            raise ConfigError([self._fault("", f"a prompt's folder has its id: expected {self._expected}")])
        faults: list[Fault] = []
        about = PromptSettings()
        versions: dict[str, PromptVersion] = {}
        for file, content in self._contents.items():
            try:
                if file == ABOUT:
                    about = self._document(file, PromptSettings, None)
                else:
                    version = self._version(file)
                    template = self._document(file, PromptTemplate, models)
                    digest = hashlib.blake2b(content, digest_size=12).hexdigest()
                    versions[version] = PromptVersion(id=name, version=version, template=template, digest=digest)
            except ConfigError as error:
                faults += error.faults
        if faults:
            raise ConfigError(faults)
        return PromptDefinition(
            id=name,
            current=self._current(about, versions),
            versions=dict(sorted(versions.items(), key=lambda each: _order(each[0]))),
            description=about.description,
        )

    @property
    def _expected(self) -> str:
        return self._shape.expected if isinstance(self._shape, TextShape) else ""

    def _is_name(self, text: str) -> bool:
        return isinstance(self._shape, TextShape) and fits(self._shape, text)

    def _version(self, file: str) -> str:
        version = file.removesuffix(SUFFIX)
        if not self._is_name(version):
            raise ConfigError([self._fault(file, f"a version's file has its name: expected {self._expected}")])
        return version

    def _document(self, file: str, form: type[_Document], models: Collection[str] | None) -> _Document:
        log = FaultLog(str(self._folder / file))
        root = parse_yaml(self._text(file), log)
        place = Place("", root.mark)
        conversion = Conversion(log, base=self._folder, environ=self._environ)
        written = conversion.read(shape_of(form), root, place)
        if isinstance(written, PromptTemplate) and not len(log):
            for finding in template_findings(written, models):
                culprit = follow(root, place, finding.path)
                log.add(culprit.mark, culprit.path, finding.message)
        log.raise_if_any()
        if written is INVALID or not isinstance(written, form):
            msg = "a document without faults has a value"
            raise TypeError(msg)
        return written

    def _current(self, about: PromptSettings, versions: Mapping[str, PromptVersion]) -> str:
        """Give the version that is served where none is named. Raises ConfigError."""
        if not versions:
            raise ConfigError([self._fault("", "there is no version of this prompt: write it into 1.yaml")])
        if about.current is not None:
            if about.current in versions:
                return about.current
            root = parse_yaml(self._text(ABOUT), FaultLog(ABOUT))
            mark = follow(root, Place("", root.mark), ("current",)).mark
            message = f"there is no file {about.current}{SUFFIX} beside {ABOUT}"
            raise ConfigError([self._fault(ABOUT, message, mark, "current")])
        if odd := [version for version in versions if not version.isdecimal()]:
            message = f"the version '{odd[0]}' is no number, so which one is the newest is not plain: say `current` in {ABOUT}"
            raise ConfigError([self._fault("", message)])
        return max(versions, key=_order)

    def _fault(self, file: str, message: str, mark: Mark = NOWHERE, path: str = "") -> Fault:
        where = self._folder / file if file else self._folder
        return Fault(file=str(where), line=mark.line, column=mark.column, path=path, message=message)

    def _text(self, file: str) -> str:
        return read_text(self._folder / file, self._contents[file])


def _order(version: str) -> tuple[int, int, str]:
    """Numbers by their value, then everything else by its letters."""
    return (0, int(version), version) if version.isdecimal() else (1, 0, version)
