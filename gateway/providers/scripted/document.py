"""The script's document: a YAML file to typed answers. Reading and checking only; playing is `player`'s business."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import yaml

from gateway.config.faults import ConfigError, Fault
from gateway.core.items import Json

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls an answer is for. Everything that is written must hold; nothing written holds always.

    `contains` and `matches` (a regular expression) look at the last user message, `tool_result` at the last tool result;
    `after_tool` names the tool whose result came last; `turn` counts the assistant's answers so far, from 0.
    """

    contains: str | None = None
    matches: str | None = None
    tool_result: str | None = None
    after_tool: str | None = None
    turn: int | None = None


class ScriptedCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool call. `arguments` is JSON, or a text that goes out as it is (so that broken JSON can be played too)."""

    tool: str
    arguments: dict[str, Json] | str = {}
    id: str | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the answer fails: with an HTTP status as if an upstream refused, or broken off, or silent for ever.

    `after_deltas` lets that many deltas out first. `times` limits how often (null: always); later calls go on to the
    next answer that fits.
    """

    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    message: str = "The script says so."
    retry_after: float | None = None
    broken: bool = False
    silent: bool = False
    after_deltas: int = 0
    times: int | None = None


class ScriptedUsage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Token counts to report; without them words are counted, and marked as estimated."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


class ScriptedAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer: perhaps thinking, then text (or JSON), then tool calls; or a failure.

    In `say`, `{input}` is the last user message and `{tool_result}` the last tool result. `delay` is the time before the
    first delta and `pace` the time between deltas, in seconds; `deltas` is into how many pieces text is cut (null: a piece
    a word). `logprob` is the log probability that each piece of its text had, for who asks.
    """

    when: When = When()
    think: str | None = None
    signature: str | None = None
    say: str | None = None
    json: Json = None
    refuse: str | None = None
    call: tuple[ScriptedCall, ...] = ()
    finish: Literal["stop", "length", "content_filter"] | None = None
    usage: ScriptedUsage | None = None
    delay: Seconds = 0.0
    pace: Seconds = 0.0
    deltas: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    logprob: Annotated[float, msgspec.Meta(le=0)] | None = None
    fail: Failure | None = None


class ScriptedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model: its answers, of which the first that fits is played; and how long its embeddings are, if it has any."""

    answers: tuple[ScriptedAnswer, ...] = ()
    embedding_dimensions: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document: models by name."""

    models: dict[str, ScriptedModel]


def load_script(path: Path) -> Script:
    """Read a script. Raises ConfigError, which says where the document is wrong."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigError([Fault(file=str(path), message=f"the file cannot be read: {exc.strerror}")]) from exc
    if len(content) > MAX_DOCUMENT_BYTES:
        raise ConfigError([Fault(file=str(path), message="the script is larger than 4 MiB")])
    try:
        script = msgspec.convert(yaml.load(content, Loader=yaml.CSafeLoader), Script)
        _compile_patterns(script)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 0
        raise ConfigError([Fault(file=str(path), line=line, message=f"not valid YAML: {exc.problem}")]) from exc
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as exc:
        raise ConfigError([Fault(file=str(path), message=str(exc))]) from exc
    except re.error as exc:
        message = f"`matches` is not a regular expression: {exc.pattern!r}: {exc}"
        raise ConfigError([Fault(file=str(path), message=message)]) from exc
    return script


def _compile_patterns(script: Script) -> None:
    """Find a broken pattern now, and not in the middle of a call. Raises re.error."""
    for model in script.models.values():
        for answer in model.answers:
            if answer.when.matches is not None:
                re.compile(answer.when.matches)
