"""An OpenAPI document (3.0 or 3.1), read and looked into. Nothing is fetched: what it refers to stands in it.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from gateway.core.items import Json

METHODS: Final = ("delete", "get", "head", "patch", "post", "put")
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_OPERATIONS: Final = 10_000
_MOST_STEPS: Final = 32
"""References that lead to one another."""

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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

    def operations(self) -> dict[str, Found]:
        """Give all operations by name: the `operationId`, or method and path where there is none, with `_` for what no name of a tool may have.

        Raises Unusable for two of one name.
        """
        found: dict[str, Found] = {}
        for operation in self._walk():
            other = found.setdefault(operation.name, operation)
            if other is not operation:
                raise Unusable(f"has the same name {operation.name!r} as {other.where}", operation.where)
            if len(found) > MOST_OPERATIONS:
                raise Unusable(f"has more than {MOST_OPERATIONS:,} operations", "paths")
        return found

    def _walk(self) -> Iterator[Found]:
        paths = self.root.get("paths")
        if not isinstance(paths, dict):
            raise Unusable("must be an object", "paths")
        for path, item in paths.items():
            where = f"paths.{path}"
            whole = self.resolved(item, where)
            if not isinstance(whole, dict) or not isinstance(path, str) or not path.startswith("/"):
                raise Unusable("must be an object, and its name begin with a slash", where)
            for method in METHODS:
                body = whole.get(method)
                if body is None:
                    continue
                if not isinstance(body, dict):
                    raise Unusable("must be an object", f"{where}.{method}")
                name = body.get("operationId")
                yield Found(
                    name=_name(name if isinstance(name, str) and name else f"{method} {path}"),
                    method=method.upper(),
                    path=path,
                    body=body,
                    shared=whole.get("parameters") or [],
                    where=f"{where}.{method}",
                )

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
        return yaml.load(data, Loader=_LOADER)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise Unusable(f"is no YAML: {' '.join(str(error).split())[:300]}") from None
