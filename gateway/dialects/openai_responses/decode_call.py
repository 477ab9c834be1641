"""A request body of `POST /v1/responses` to the hub's prompt: every field is checked, and none is lost.

Stateless: what refers to stored responses is refused by name; a server that keeps them (the setting `runs`) takes those fields out
before. `store: true` is accepted, because it is the API's default and clients send it without meaning it; every stateless answer
says `store: false`, so nobody is misled. What asks for
nothing (nulls, empty instructions, `background: false`) is kept, to go back as it came.
"""

from __future__ import annotations

from gateway.core.content import OutputFormat, Prompt, ReasoningOptions
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.items import Item, Json
from gateway.dialects.openai_responses.decode_items import decode_input, instructions_message
from gateway.dialects.openai_responses.reader import Reader, missing, wrong
from gateway.dialects.openai_responses.tools import decode_tool, decode_tool_choice
from gateway.dialects.openai_responses.written import keep

LOGPROBS = "message.output_text.logprobs"
"""The `include` value that asks for log probabilities."""

INCLUDABLE = (
    "code_interpreter_call.outputs", "computer_call_output.output.image_url", "file_search_call.results",
    "message.input_image.image_url", LOGPROBS, "reasoning.encrypted_content", "web_search_call.action.sources",
    "web_search_call.results",
)  # fmt: skip
"""What the API can show beside an answer."""

_WHERE = " here: stored responses are not available. The setting `runs` makes them so, for calls over HTTP."
_STORED = ("previous_response_id", "conversation")
_NOTHING: tuple[tuple[str, Json], ...] = (("background", False), ("instructions", ""), ("text", {}), ("tools", []))
_KEPT_STRINGS = ("prompt_cache_key", "prompt_cache_retention", "safety_identifier")
_KEPT_OBJECTS = ("access_programs", "image", "moderation", "prompt_cache_options", "stream_options")


def no_prompt(name: str) -> NotFound:
    """Give the error for a prompt that this server does not have, where nobody else is asked for it."""
    msg = (
        f"There is no prompt {name[:100]!r} here, and a template that its provider keeps can be used only where the request goes to "
        "that provider as it is. Send the text as `instructions` and `input`."
    )
    return NotFound(msg, param="prompt.id")


def decode_prompt(fields: dict[str, Json]) -> Prompt:
    """Check and translate a request body. Raises InvalidRequest with the path of the fault in `param`."""
    reader = Reader(fields)
    _refuse_stored(reader)
    _check_envelope(reader)
    rest = _kept(reader)
    output, verbosity = _text(reader, rest)
    user = reader.string("user")
    return Prompt(
        items=_items(reader),
        tools=tuple(decode_tool(tool, f"tools[{n}]") for n, tool in enumerate(reader.array("tools") or ())),
        tool_choice=decode_tool_choice(reader.take("tool_choice")),
        parallel_tool_calls=reader.boolean("parallel_tool_calls"),
        output=output,
        max_output_tokens=reader.integer("max_output_tokens", least=1),
        temperature=reader.number("temperature", least=0, most=2),
        top_p=reader.number("top_p", least=0, most=1),
        top_k=reader.integer("top_k"),
        stop=_stop(reader),
        seed=reader.integer("seed"),
        presence_penalty=reader.number("presence_penalty", least=-2, most=2),
        frequency_penalty=reader.number("frequency_penalty", least=-2, most=2),
        logprobs=_asks_for_logprobs(rest),
        top_logprobs=reader.integer("top_logprobs", least=0, most=20),
        reasoning=_reasoning(reader),
        verbosity=verbosity,
        user=rest.get("safety_identifier") if user is None else user,
        metadata=_metadata(reader),
        service_tier=reader.string("service_tier"),
        # The last to be read: what nobody took before.
        rest=keep({**rest, **reader.rest()}, {"stop": "string"} if isinstance(fields.get("stop"), str) else None),
    )


def _refuse_stored(reader: Reader) -> None:
    if (prompt := reader.inner("prompt")) is not None:
        # One of this server's is put in by the door.
        raise no_prompt(prompt.needed_string("id"))
    for name in _STORED:
        if reader.take(name) is not None:
            raise InvalidRequest(
                f"`{name}` is not supported{_WHERE} Send the whole conversation as `input`.", param=name
            )
    if reader.boolean("background"):  # false stays in the rest
        raise InvalidRequest(
            f"`background` is not supported{_WHERE} Leave it out and read the answer.", param="background"
        )


def _check_envelope(reader: Reader) -> None:
    """The model and the way of the answer are the call's, not the prompt's."""
    if not reader.needed_string("model"):
        msg = "`model` must not be empty."
        raise InvalidRequest(msg, param="model")
    reader.boolean("stream")


def _kept(reader: Reader) -> dict[str, Json]:
    """Take the fields that the hub has no place for."""
    kept: dict[str, Json] = {
        "store": reader.boolean("store"),
        "include": _include(reader),
        "truncation": reader.choice("truncation", ("auto", "disabled")),
        "max_tool_calls": reader.integer("max_tool_calls"),
        "context_management": reader.array("context_management"),
    }
    kept.update({name: reader.string(name) for name in _KEPT_STRINGS})
    kept.update({name: reader.object(name) for name in _KEPT_OBJECTS})
    kept.update({name: reader.peek(name) for name, nothing in _NOTHING if reader.peek(name) == nothing})
    return {name: value for name, value in kept.items() if value is not None}


def _include(reader: Reader) -> list[str] | None:
    listed = reader.strings("include")
    for number, value in enumerate(listed or ()):
        if value not in INCLUDABLE:
            path = f"include[{number}]"
            msg = f"`{path}` must be one of {', '.join(INCLUDABLE)}, not {value[:100]!r}."
            raise InvalidRequest(msg, param=path)
    return listed


def _items(reader: Reader) -> tuple[Item, ...]:
    instructions = reader.take("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise wrong("instructions", "a string", instructions)
    leading: tuple[Item, ...] = (instructions_message(instructions),) if instructions else ()
    given = reader.take("input")
    if given is None:
        raise missing("input")
    if not isinstance(given, (str, list)):
        raise wrong("input", "a string or an array", given)
    items = leading + decode_input(given)
    if not items:
        msg = "`input` must not be empty."
        raise InvalidRequest(msg, param="input")
    return items


def _asks_for_logprobs(rest: dict[str, Json]) -> bool | None:
    """Take what the hub has a place for out of `include`; a note keeps the list as it was written."""
    listed = rest.get("include", ())
    if LOGPROBS not in listed:
        return None
    rest["$include"] = rest.pop("include")
    if others := [name for name in listed if name != LOGPROBS]:
        rest["include"] = others
    return True


def _text(reader: Reader, rest: dict[str, Json]) -> tuple[OutputFormat | None, str | None]:
    """Give the output format and the verbosity; unknown fields beside them go to `rest`."""
    text = reader.inner("text")
    if text is None:
        return None, None
    verbosity = text.string("verbosity")
    form = text.inner("format")
    output = None if form is None else _format(form)
    unknown = text.rest()
    if form is not None and (extra := form.rest()):
        unknown["format"] = extra
    if unknown:
        rest["text"] = unknown
    return output, verbosity


def _format(reader: Reader) -> OutputFormat:
    kind = reader.choice("type", ("text", "json_object", "json_schema"))
    if kind is None:
        raise missing(reader.at("type"))
    if kind != "json_schema":
        return OutputFormat(kind="text" if kind == "text" else "json_object")
    name, schema = reader.needed_string("name"), reader.object("schema")
    if schema is None:
        raise missing(reader.at("schema"))
    return OutputFormat(
        kind="json_schema",
        name=name,
        description=reader.string("description"),
        schema=schema,
        strict=reader.boolean("strict"),
    )


def _reasoning(reader: Reader) -> ReasoningOptions | None:
    options = reader.inner("reasoning")
    if options is None:
        return None
    effort, summary = options.string("effort"), options.string("summary")
    kept = {name: value for name in ("context", "generate_summary", "mode") if (value := options.string(name))}
    return ReasoningOptions(effort=effort, summary=summary, rest=keep({**kept, **options.rest()}))


def _stop(reader: Reader) -> tuple[str, ...]:
    stop = reader.peek("stop")
    if isinstance(stop, str):
        reader.take("stop")
        return (stop,)
    return tuple(reader.strings("stop") or ())


def _metadata(reader: Reader) -> dict[str, Json] | None:
    metadata = reader.object("metadata")
    for name, value in (metadata or {}).items():
        if not isinstance(value, str):
            raise wrong(f"metadata.{name[:100]}", "a string", value)
    return metadata
