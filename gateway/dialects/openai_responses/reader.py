"""Takes fields out of one JSON object of a request, checked, and knows its path for the error message.

JSON null counts as absent. What nobody took is the object's `rest`: unknown fields survive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gateway.core.errors import InvalidRequest
from gateway.core.items import Json


class Reader:
    """One JSON object at `path`. Every method raises InvalidRequest whose `param` is the path of the fault."""

    def __init__(self, value: Json, path: str = "") -> None:
        if not isinstance(value, dict):
            raise wrong(path, "an object", value)
        self._fields = value
        self._path = path
        self._taken: set[str] = set()

    def at(self, name: str) -> str:
        """Give the path of one field."""
        return f"{self._path}.{name}" if self._path else name

    def take(self, name: str) -> Json:
        """Give a field of any type; None where it is absent."""
        self._taken.add(name)
        return self._fields.get(name)

    def peek(self, name: str) -> Json:
        """Give a field of any type and leave it in the rest."""
        return self._fields.get(name)

    def string(self, name: str) -> str | None:
        """Give a text."""
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise wrong(self.at(name), "a string", value)
        return value

    def needed_string(self, name: str) -> str:
        """Give a text that must be there."""
        value = self.string(name)
        if value is None:
            raise missing(self.at(name))
        return value

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """Give a text that must be one of `allowed`."""
        value = self.string(name)
        if value is not None and value not in allowed:
            path = self.at(name)
            msg = f"`{path}` must be one of {', '.join(sorted(allowed))}, not {value[:100]!r}."
            raise InvalidRequest(msg, param=path)
        return value

    def boolean(self, name: str) -> bool | None:
        """Give true or false."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(self.at(name), "a boolean", value)
        return value

    def integer(self, name: str, *, least: int | None = None, most: int | None = None) -> int | None:
        """Give a whole number within the bounds."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(self.at(name), "an integer", value)
        self._bounded(name, value, least, most)
        return value

    def number(self, name: str, *, least: float | None = None, most: float | None = None) -> float | None:
        """Give a number within the bounds."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong(self.at(name), "a number", value)
        self._bounded(name, value, least, most)
        return value

    def object(self, name: str) -> dict[str, Json] | None:
        """Give a JSON object."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise wrong(self.at(name), "an object", value)
        return value

    def array(self, name: str) -> list[Json] | None:
        """Give a JSON array."""
        value = self.take(name)
        if value is not None and not isinstance(value, list):
            raise wrong(self.at(name), "an array", value)
        return value

    def strings(self, name: str) -> list[str] | None:
        """Give an array of texts."""
        values = self.array(name)
        for number, value in enumerate(values or ()):
            if not isinstance(value, str):
                raise wrong(f"{self.at(name)}[{number}]", "a string", value)
        return values

    def inner(self, name: str) -> Reader | None:
        """Give a reader for an object in a field."""
        value = self.take(name)
        return None if value is None else Reader(value, self.at(name))

    def each(self, name: str) -> Iterator[Reader]:
        """Give a reader for each object in an array; nothing where the field is absent."""
        for number, value in enumerate(self.array(name) or ()):
            yield Reader(value, f"{self.at(name)}[{number}]")

    def rest(self) -> dict[str, Json]:
        """Give the fields that nobody took, and all nulls: they ask for nothing, and go back as they came."""
        return {key: value for key, value in self._fields.items() if value is None or key not in self._taken}

    def _bounded(self, name: str, value: float, least: float | None, most: float | None) -> None:
        if least is not None and value < least:
            msg = f"`{self.at(name)}` must be at least {least:g}."
            raise InvalidRequest(msg, param=self.at(name))
        if most is not None and value > most:
            msg = f"`{self.at(name)}` must be at most {most:g}."
            raise InvalidRequest(msg, param=self.at(name))


def wrong(path: str, wanted: str, value: Json) -> InvalidRequest:
    """Give the error for a value of the wrong type."""
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    msg = f"`{path}` must be {wanted}, not {kinds.get(type(value), 'null')}."
    return InvalidRequest(msg, param=path)


def missing(path: str) -> InvalidRequest:
    """Give the error for a field that must be there."""
    msg = f"`{path}` is required."
    return InvalidRequest(msg, param=path)
