"""An OpenAPI document (3.0 or 3.1), read and looked into. Nothing is fetched: what it refers to stands in it.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import yaml

from gateway.core.items import Json

METHODS: Final = ("delete", "get", "head", "patch", "post", "put")
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_OPERATIONS: Final = 10_000
_MOST_STEPS: Final = 32
"""References that lead to one another."""

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_.-]+")
MOST_VALUES: Final = 1_000_000
"""Values of a document in YAML, with its aliases written out."""


_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_JSON: Final = frozenset({"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"})


class _Loader(_BASE):  # type: ignore[misc]  # which of the two there is, the machine decides
    """Reads `true` and `false` alone as truth values, and no dates: in YAML 1.2 `NO`, `on` and `2024-01-01` are texts, as in JSON."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {
        first: [each for each in resolvers if each[0] not in _NOT_JSON]
        for first, resolvers in _BASE.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)


class Unusable(ValueError):
    """The document, or an operation of it, cannot be used; `where` is the path in it."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An operation as the document has it. `shared` are the parameters of its path; `where` is its path in the document."""

    name: str
    method: str
    path: str
    body: dict[str, Json]
    shared: list[Json]
    where: str


class Operations:
    """The operations of a document by name: those that were `found`, why others are `unusable`, and what is wrong with `paths` that cannot be read."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.unusable: dict[str, str] = {}
        self.paths: list[str] = []

    def add(self, operation: Found, fault: str = "") -> None:
        """Take one, and what is wrong with it. Raises Unusable for one too many."""
        name = operation.name
        if len(self.found) + len(self.unusable) >= MOST_OPERATIONS:
            raise Unusable(f"has more than {MOST_OPERATIONS:,} operations", "paths")
        if fault:
            self.unusable[name] = f"{operation.where}: {fault}"
        elif name in self.unusable or name in self.found:
            # Nobody knows which of them is meant.
            other = self.found.pop(name, None)
            also = "another" if other is None else other.where
            self.unusable.setdefault(name, f"{operation.where}: has the same name {name!r} as {also}")
        else:
            self.found[name] = operation


class OpenApiDocument:
    """A document. Raises Unusable for what is none."""

    def __init__(self, root: Json) -> None:
        if not isinstance(root, dict):
            raise Unusable("is no object")
        version = root.get("openapi")
        if not isinstance(version, str) or not version.startswith(("3.0", "3.1")):
            raise Unusable(f"must be 3.0 or 3.1, not {str(version)[:40]!r}", "openapi")
        self.root: dict[str, Json] = root
        self.is_old = version.startswith("3.0")

    def operations(self) -> Operations:
        """Give all operations by name: the `operationId`, or method and path where there is none, with `_` for what no name of a tool may have.

        What cannot be read of one says nothing of the others. Raises Unusable for a document of which nothing can.
        """
        paths = self.root.get("paths")
        if not isinstance(paths, dict):
            raise Unusable("must be an object", "paths")
        all_ = Operations()
        for path, item in paths.items():
            if path.startswith("x-"):
                continue  # an extension of the document
            try:
                whole = self._item(path, item)
            except Unusable as error:
                all_.paths.append(str(error))
                continue
            for method in METHODS:
                body, shared = whole.get(method), whole.get("parameters") or []
                if isinstance(body, dict):
                    all_.add(_found(path, method, body, shared))
                elif body is not None:
                    all_.add(_found(path, method, {}, shared), "must be an object")
        return all_

    def _item(self, path: str, item: Json) -> dict[str, Json]:
        where = f"paths.{path}"
        whole = self.resolved(item, where)
        if not isinstance(whole, dict) or not path.startswith("/"):
            raise Unusable("must be an object, and its name begin with a slash", where)
        return whole

    def resolved(self, value: Json, where: str) -> Json:
        """Give what a reference stands for, and any other value as it is. Raises Unusable for one that leads nowhere, out, or in a circle."""
        for _ in range(_MOST_STEPS):
            if not isinstance(value, dict) or not isinstance(reference := value.get("$ref"), str):
                return value
            value = self._at(reference, where)
        raise Unusable("its reference leads in a circle", where)

    def _at(self, reference: str, where: str) -> Json:
        if not reference.startswith("#/"):
            raise Unusable(f"refers to {reference[:200]!r}: only what stands in the document is read", where)
        value: Json = self.root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or name not in value:
                raise Unusable(f"refers to {reference[:200]!r}, which is not there", where)
            value = value[name]
        return value


def _found(path: str, method: str, body: dict[str, Json], shared: list[Json]) -> Found:
    name = body.get("operationId")
    return Found(
        name=_name(name if isinstance(name, str) and name else f"{method} {path}"),
        method=method.upper(),
        path=path,
        body=body,
        shared=shared,
        where=f"paths.{path}.{method}",
    )


def _name(text: str) -> str:
    return _UNFIT.sub("_", text).strip("_")[:128]


def read_document(path: Path) -> OpenApiDocument:
    """Read a document from a file, YAML or JSON. Raises Unusable."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unusable(f"cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise Unusable(f"has more than {MOST_BYTES:,} bytes")
    try:
        return OpenApiDocument(_decoded(data))
    except RecursionError:
        raise Unusable("is nested too deeply") from None


def _decoded(data: bytes) -> Json:
    if data.lstrip()[:1] == b"{":
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unusable(f"is no JSON: {error}") from None
    try:
        value = yaml.load(data, Loader=_Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise Unusable(f"is no YAML: {' '.join(str(error).split())[:300]}") from None
    return _Plain().taken(value)[0]


class _Plain:
    """Makes what YAML can say into what JSON can say. What aliases repeat is looked at once, and counted as often as it stands there."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Json, int]] = {}
        self._open: set[int] = set()

    def taken(self, value: Any) -> tuple[Json, int]:
        """Give a value and how many values it is. Raises Unusable."""
        if value is None or isinstance(value, str | bool | int | float):
            return value, 1
        if not isinstance(value, dict | list):
            raise Unusable(f"holds a value that JSON does not have ({type(value).__name__})")
        if id(value) in self._open:
            raise Unusable("has an alias that repeats the value that it stands in")
        if id(value) not in self._known:
            self._open.add(id(value))
            self._known[id(value)] = self._inner(value)
            self._open.discard(id(value))
        return self._known[id(value)]

    def _inner(self, value: dict[Any, Any] | list[Any]) -> tuple[Json, int]:
        parts = [self.taken(one) for one in (value.values() if isinstance(value, dict) else value)]
        size = 1 + sum(count for _, count in parts)
        if size > MOST_VALUES:
            raise Unusable(f"has more than {MOST_VALUES:,} values, with aliases written out")
        if isinstance(value, list):
            return [one for one, _ in parts], size
        return {_key(name): one for name, (one, _) in zip(value, parts, strict=True)}, size


def _key(name: Any) -> str:
    """Give a name as JSON has it: `200:` is "200"."""
    if isinstance(name, str):
        return name
    if name is None or isinstance(name, bool | int | float):
        return msgspec.json.encode(name).decode()
    raise Unusable("has a name that is no text")
