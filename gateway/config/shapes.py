"""What a settings type accepts, read once from its annotations. Loading and the JSON schema both follow these shapes.

msgspec's own inspection is not used: it refuses unions of several structs without one tag each, and of text with
`Secret`, which the settings need; and its conversion stops at the first fault.
"""

import functools
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from gateway.config.secret import Secret

KIND: Final = "kind"


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """Annotation: the text is an http or https address, kept without a slash at its end."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Annotation: the text is a key of the top-level mapping `to`, whose entries are called `noun`."""

    to: str
    noun: str


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """Annotation: how to say in a message what the pattern asks for ("a name of letters and digits")."""

    words: str


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """Annotation: a text of several lines, which may end with an end of line, as YAML's blocks do."""


class Shorthand(msgspec.Struct, frozen=True, kw_only=True):
    """Annotation: the struct may be written as one text, which `expand` turns into the long form.

    `expand` returns mappings, lists and text; it raises ValueError when the text is not of the form `pattern`.
    """

    expand: Callable[[str], dict[str, Any]]
    pattern: str
    description: str


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Annotation: the mapping may be written as a list of its keys, and a key without a value has the defaults of its entry."""


class TextShape(msgspec.Struct, frozen=True, kw_only=True):
    """Text."""

    pattern: str | None = None
    min_length: int = 0
    expected: str = "text"
    url: bool = False
    lines: bool = False
    reference: Reference | None = None


class NumberShape(msgspec.Struct, frozen=True, kw_only=True):
    """A finite number; `whole` when it is an integer."""

    whole: bool
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


class FlagShape(msgspec.Struct, frozen=True, kw_only=True):
    """True or false."""


class ChoiceShape(msgspec.Struct, frozen=True, kw_only=True):
    """One of a few words."""

    words: tuple[str, ...]


class SecretShape(msgspec.Struct, frozen=True, kw_only=True):
    """A `Secret`; with `or_text`, any other text is taken as it is."""

    or_text: TextShape | None = None


class PathShape(msgspec.Struct, frozen=True, kw_only=True):
    """The path of a file that exists."""


class ListShape(msgspec.Struct, frozen=True, kw_only=True):
    """A list."""

    item: "Shape"
    min_length: int = 0


class MapShape(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping with free keys; with `names`, a list of keys will do."""

    key: TextShape
    value: "Shape"
    min_length: int = 0
    names: bool = False


class RecordShape(msgspec.Struct, frozen=True, kw_only=True):
    """A struct."""

    cls: type[msgspec.Struct]
    shorthand: Shorthand | None = None


class KindShape(msgspec.Struct, frozen=True, kw_only=True):
    """One of several structs, chosen by the field `kind`."""

    records: Mapping[str, RecordShape]


class JsonShape(msgspec.Struct, frozen=True, kw_only=True):
    """Any value that JSON has too."""


class OptionalShape(msgspec.Struct, frozen=True, kw_only=True):
    """Null, or what `inner` accepts."""

    inner: "Shape"


Shape: TypeAlias = (
    TextShape
    | NumberShape
    | FlagShape
    | ChoiceShape
    | SecretShape
    | PathShape
    | ListShape
    | MapShape
    | RecordShape
    | KindShape
    | JsonShape
    | OptionalShape
)


class FieldShape(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a struct. `default` is `msgspec.NODEFAULT` when the field must be written."""

    name: str
    shape: Shape
    description: str
    default: Any

    @property
    def required(self) -> bool:
        """Whether the field must be written."""
        return self.default is msgspec.NODEFAULT


@functools.cache
def fields_of(cls: type[msgspec.Struct]) -> Mapping[str, FieldShape]:
    """Return the fields of a settings struct by name, `kind` first and then in their order."""
    fields = {}
    for info in sorted(msgspec.structs.fields(cls), key=lambda info: info.name != KIND):
        default = info.default_factory() if info.default_factory is not msgspec.NODEFAULT else info.default
        # A provider's kind has a default for code; in a document it must be written.
        default = msgspec.NODEFAULT if info.name == KIND else default
        _, notes = _without_notes(info.type)
        fields[info.name] = FieldShape(
            name=info.name,
            shape=shape_of(info.type),
            description=_meta(notes, "description", ""),
            default=default,
        )
    return types.MappingProxyType(fields)


def shape_of(annotation: Any) -> Shape:
    """Return the shape of a type as the settings write it. Raises TypeError for a type that no setting may have."""
    plain, notes = _without_notes(annotation)
    options = typing.get_args(plain) if typing.get_origin(plain) in {typing.Union, types.UnionType} else (plain,)
    members = [option for option in options if option is not type(None)]
    shape = _union(members, notes) if len(members) > 1 else _single(*_merged(members[0], notes))
    return OptionalShape(inner=shape) if type(None) in options else shape


def _without_notes(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if typing.get_origin(annotation) is Annotated:
        plain, *notes = typing.get_args(annotation)
        return plain, tuple(notes)
    return annotation, ()


def _merged(annotation: Any, outer: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    plain, notes = _without_notes(annotation)
    return plain, (*notes, *outer)


def _union(members: list[Any], notes: tuple[Any, ...]) -> Shape:
    if Secret in members:
        (text,) = (member for member in members if member is not Secret)
        shape = _single(*_merged(text, notes))
        if isinstance(shape, TextShape):
            return SecretShape(or_text=shape)
    if all(isinstance(member, type) and issubclass(member, msgspec.Struct) for member in members):
        return KindShape(records={kind: RecordShape(cls=member) for member in members for kind in kinds_of(member)})
    raise TypeError(f"no setting may be one of {members}")


def kinds_of(cls: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the words that a struct's field `kind` accepts."""
    kind = fields_of(cls)[KIND].shape
    if not isinstance(kind, ChoiceShape):
        raise TypeError(f"{cls.__name__}.kind must be a Literal")
    return kind.words


def _single(plain: Any, notes: tuple[Any, ...]) -> Shape:
    if plain is bool:
        return FlagShape()
    if plain is str:
        return _text(notes)
    if plain in {int, float}:
        limits = {name: _meta(notes, name, None) for name in ("ge", "gt", "le", "lt")}
        return NumberShape(whole=plain is int, **limits)
    if plain is Secret:
        return SecretShape()
    if plain is Path:
        return PathShape()
    if plain is Any:
        return JsonShape()
    return _compound(plain, notes)


def _compound(plain: Any, notes: tuple[Any, ...]) -> Shape:
    origin, arguments = typing.get_origin(plain), typing.get_args(plain)
    if origin is Literal:
        return ChoiceShape(words=arguments)
    if origin is tuple and arguments[1:] == (...,):
        return ListShape(item=shape_of(arguments[0]), min_length=_meta(notes, "min_length", 0))
    if origin is dict:
        key, value = map(shape_of, arguments)
        if isinstance(key, TextShape):
            names = _note(notes, Names) is not None
            return MapShape(key=key, value=value, min_length=_meta(notes, "min_length", 0), names=names)
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        return RecordShape(cls=plain, shorthand=_note(notes, Shorthand))
    raise TypeError(f"no setting may be of type {plain}")


def _text(notes: tuple[Any, ...]) -> TextShape:
    expected = _note(notes, Expected)
    return TextShape(
        pattern=_meta(notes, "pattern", None),
        min_length=_meta(notes, "min_length", 0),
        expected=expected.words if expected else "text",
        url=_note(notes, Url) is not None,
        lines=_note(notes, Lines) is not None,
        reference=_note(notes, Reference),
    )


def _meta(notes: tuple[Any, ...], name: str, default: Any) -> Any:
    values = (getattr(note, name) for note in notes if isinstance(note, msgspec.Meta))
    return next((value for value in values if value is not None), default)


def _note(notes: tuple[Any, ...], cls: type[Any]) -> Any:
    return next((note for note in notes if isinstance(note, cls)), None)
