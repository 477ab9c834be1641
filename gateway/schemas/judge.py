"""Judge: says whether a document satisfies a schema, and where it does not. The one way in which Switchgear validates answers.

`jsonschema-rs` validates; on the official test suite it agrees with `jsonschema` (tests/contract/test_schema_suite.py). Formats are
asserted. Nothing is fetched. Whatever the text is, the verdict is a list of violations, never an exception.
Patterns run on an engine whose time is linear; those that need look-around or back-references on one with a bound on its steps at each
place of a text, and a pattern that meets the bound is a violation.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import jsonschema_rs
import msgspec

from gateway.core.errors import MalformedBody, UnsupportedSchema
from gateway.core.strict_json import decode_value
from gateway.schemas import limits
from gateway.schemas.limits import Checked

MAX_ANSWER_DEPTH = 100
MESSAGE_LENGTH = 300

_PATTERN_BYTES = 1024 * 1024
_LINEAR = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES)
_BOUNDED = jsonschema_rs.FancyRegexOptions(
    backtrack_limit=50_000, size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
)


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a document breaks its schema.

    `pointer` is the place as JSON pointer (RFC 6901), `path` the same for readers (`$.a[0]`). `keyword` is the schema's keyword, or
    `json` where the text is no JSON document. `message` may quote the document: for the caller, never for a log.
    """

    pointer: str
    path: str
    keyword: str
    message: str

    def __str__(self) -> str:
        """Give the sentence that a caller reads."""
        return f"{self.path}: {self.message}"


class Judge:
    """Judges documents by one compiled schema. Immutable; any thread may use it.

    `linear` says that no pattern of it looks around or back: the time of one that does grows with the square of a text.
    """

    def __init__(self, checked: Checked) -> None:
        """Compile. Raises UnsupportedSchema where the schema is none, or refers to what is not in it."""
        self.digest = digest_of(checked.canonical)
        self.size = len(checked.canonical)
        self._outline = checked.outline
        self._validator, self.linear = _validator(checked.canonical)

    def violations(self, text: str, *, limit: int = 5) -> tuple[Violation, ...]:
        """Say where `text` breaks the schema, at most `limit` times; nothing when it is a valid document."""
        try:
            value = decoded(text)
        except MalformedBody as error:
            return (_at_root("json", error.message),)
        return self.judge(value, limit=limit)

    def judge(self, value: Any, *, limit: int = 5) -> tuple[Violation, ...]:
        """Say where `value`, a decoded JSON document, breaks the schema."""
        try:
            if self._validator.is_valid(value):
                return ()
            return tuple(self._found(value, limit))
        except (ValueError, TypeError, OverflowError, RecursionError) as exc:
            return (_at_root("json", f"The answer cannot be judged: {exc}"),)

    def effort(self, text: str) -> int:
        """Give about how many schemas are applied at most in judging `text`: what grows with what makes it slow."""
        depth = min(text.count("{") + text.count("["), MAX_ANSWER_DEPTH) + 1
        # A value of a document takes about eight characters; each has a path of its own at worst.
        return self._outline.effort(depth) * (len(text) // 8 + 1)

    def _found(self, value: Any, limit: int) -> Iterator[Violation]:
        for number, error in enumerate(self._validator.iter_errors(value)):
            if number == limit:
                return
            steps = error.instance_path
            yield Violation(
                pointer="".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps),
                path=_path(steps),
                keyword=error.kind.name,
                message=_shortened(error.message),
            )


class Judges:
    """Compiled schemas, the least recently used forgotten first; bounded by number and by the bytes of their schemas."""

    def __init__(self, *, most: int = 512, most_bytes: int = 8 * 1024 * 1024) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, Judge] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Tell how many are kept."""
        return len(self._kept)

    def compiled(self, schema: Mapping[str, Any]) -> Judge:
        """Give the judge of `schema`. Raises UnsupportedSchema."""
        key = digest_of(limits.canonical(schema))
        return self.kept(key) or self.keep(Judge(limits.check(schema)))

    def kept(self, digest: bytes) -> Judge | None:
        """Give the judge that is kept under `digest`, if any."""
        with self._lock:
            judge = self._kept.get(digest)
            if judge is not None:
                self._kept.move_to_end(digest)
        return judge

    def keep(self, judge: Judge) -> Judge:
        """Keep `judge`, and give it."""
        with self._lock:
            if judge.digest not in self._kept:
                self._bytes += judge.size
            self._kept[judge.digest] = judge
            while len(self._kept) > self._most or (self._bytes > self._most_bytes and len(self._kept) > 1):
                self._bytes -= self._kept.popitem(last=False)[1].size
        return judge


_JUDGES = Judges()


def compiled(schema: Mapping[str, Any]) -> Judge:
    """Give the judge of `schema`, from the process's memory of them. Raises UnsupportedSchema with what is wrong with it."""
    return _JUDGES.compiled(schema)


def decoded(text: str) -> Any:
    """Decode an answer. Raises MalformedBody for what two readers could read differently: see `strict_json`."""
    try:
        body = text.encode()
    except UnicodeEncodeError as exc:
        msg = "The answer holds half of a character (a lone surrogate)."
        raise MalformedBody(msg) from exc
    try:
        return decode_value(body, depth=MAX_ANSWER_DEPTH)
    except MalformedBody as error:
        raise MalformedBody(
            error.message.replace("The body", "The answer").replace("the body", "the answer")
        ) from error


class _Multiple:
    """`multipleOf` with a fraction: a multiple in decimals (the specification) and in binary floating point (most validators).

    19.99 is a multiple of 0.01 and 19.99/0.01 is 1998.9999999999998: jsonschema and ajv refuse it. An answer that its receiver's
    validator refuses is not valid here either.
    """

    def __init__(self, parent_schema: dict[str, Any], value: Any, schema_path: list[str | int]) -> None:
        del parent_schema, schema_path
        self._step = value
        self._decimal = jsonschema_rs.Draft202012Validator({"multipleOf": value}, pattern_options=_LINEAR)

    def validate(self, instance: Any) -> None:
        """Raise ValueError for a number that is not a multiple."""
        if isinstance(instance, bool) or not isinstance(instance, (int, float)):
            return
        if not (self._decimal.is_valid(instance) and self._divides(instance)):
            msg = f"{instance} is not a multiple of {self._step}"
            raise ValueError(msg)

    def _divides(self, instance: float) -> bool:
        if not isinstance(self._step, float):
            return True
        try:
            quotient = instance / self._step
        except OverflowError:
            return False
        return math.isinf(quotient) or quotient.is_integer()


def _validator(schema: bytes) -> tuple[Any, bool]:
    document = msgspec.json.decode(schema)
    # In Python, so only where it is needed: it costs a microsecond a number.
    keywords: dict[str, type[jsonschema_rs.KeywordValidator]] = {"multipleOf": _Multiple}
    own = keywords if b'"multipleOf":' in schema else None
    reason: object = None
    for options in (_LINEAR, _BOUNDED):
        try:
            made = jsonschema_rs.validator_for(
                document, validate_formats=True, offline=True, pattern_options=options, keywords=own
            )
        except jsonschema_rs.ValidationError as exc:
            # A pattern may be one for the second engine only.
            reason = _reason(exc)
        except (ValueError, TypeError, RecursionError, OverflowError) as exc:
            reason = exc
            break
        else:
            return made, options is _LINEAR
    msg = f"The schema is not usable: {_shortened(str(reason))}"
    raise UnsupportedSchema(msg)


def _reason(error: jsonschema_rs.ValidationError) -> str:
    return f"{_path(error.instance_path)}: {error.message}" if error.instance_path else error.message


def _path(steps: Sequence[str | int]) -> str:
    return _shortened("$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps))


def _shortened(text: str) -> str:
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 1] + "…"


def _at_root(keyword: str, message: str) -> Violation:
    return Violation(pointer="", path="$", keyword=keyword, message=_shortened(message.rstrip(".")))


def digest_of(schema: bytes) -> bytes:
    """Give the name of a canonical schema."""
    return hashlib.blake2b(schema, digest_size=16).digest()
