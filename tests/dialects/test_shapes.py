"""What does not fit a request's types is said in plain sentences, without the words of the library that checks."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects.shapes import check


class Inner(msgspec.Struct):
    flag: bool


class Body(msgspec.Struct):
    model: str
    n: int | None = None
    stop: str | list[str] | None = None
    bias: dict[str, float] | None = None
    inner: Inner | None = None
    parts: list[dict[str, Any]] | None = None
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    count: Annotated[int, msgspec.Meta(gt=0)] | None = None
    role: Literal["user", "assistant"] | None = None


@pytest.mark.parametrize(
    ("value", "path", "message", "param"),
    [
        ({}, "", "Missing required parameter: `model`.", "model"),
        ({}, "turns[1]", "Missing required parameter: `turns[1].model`.", "turns[1].model"),
        ({"n": "2"}, "", "`n` must be a whole number, not a string.", "n"),
        ({"n": 1.5}, "", "`n` must be a whole number, not a decimal number.", "n"),
        ({"n": True}, "", "`n` must be a whole number, not a boolean.", "n"),
        ({"stop": 3}, "", "`stop` must be a string or an array, not a number.", "stop"),
        ({"stop": ["a", None]}, "", "`stop[1]` must be a string, not null.", "stop[1]"),
        ({"bias": {"k": "x"}}, "", "Every value of `bias` must be a number, not a string.", "bias"),
        ({"inner": {"flag": 0}}, "", "`inner.flag` must be true or false, not a number.", "inner.flag"),
        ({"inner": {}}, "", "Missing required parameter: `inner.flag`.", "inner.flag"),
        ({"parts": [{}, []]}, "", "`parts[1]` must be an object, not an array.", "parts[1]"),
        ({"n": {}}, "turns[1]", "`turns[1].n` must be a whole number, not an object.", "turns[1].n"),
        ({"share": 1.5}, "", "`share` must be at most 1.", "share"),
        ({"share": -1}, "", "`share` must be at least 0.", "share"),
        ({"count": 0}, "", "`count` must be at least 1.", "count"),
        ({"role": "tool"}, "", "`role` cannot be 'tool'.", "role"),
        ([], "", "The body must be an object, not an array.", None),
        ([], "turns[0]", "`turns[0]` must be an object, not an array.", "turns[0]"),
    ],
)
def test_a_misfit_names_its_place_and_the_types_in_words(value, path, message, param):
    whole = value if isinstance(value, list) or not value else {"model": "m"} | value

    with pytest.raises(InvalidRequest) as caught:
        check(whole, Body, path)

    assert (caught.value.message, caught.value.param) == (message, param)
