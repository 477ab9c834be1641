"""What litellm raises keeps the upstream's status, its own words and its patience, however often it was wrapped."""

import httpx2
import pytest

from gateway.core.errors import (
    ContextLengthExceeded,
    UnsupportedParameter,
    UpstreamBroken,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.providers.litellm.failures import translate


class OfLitellm(Exception):
    """As litellm's: a message with its own words around the upstream's, and a status that it chose."""

    def __init__(self, message, status=500):
        super().__init__(message)
        self.message = message
        self.status_code = status


class UnsupportedParamsError(OfLitellm):
    """litellm tells this one by its name."""


def wrapped(inner, outer):
    """Give `outer` as if raised because of `inner`, as litellm does: with others in between, and only by context."""
    middle = RuntimeError("in between")
    middle.__context__, outer.__context__ = inner, middle
    return outer


def answered(status, body, **headers):
    response = httpx2.Response(status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    inner = OSError("status")
    inner.response = response
    return inner


def test_the_upstreams_status_message_and_retry_after_are_kept():
    outer = OfLitellm('litellm.RateLimitError: CohereException - {"message":"you are too fast"}', 429)
    error = translate(wrapped(answered(429, '{"message":"you are too fast"}', retry_after="7"), outer), "cohere/c")

    assert isinstance(error, UpstreamRefused)
    assert (error.status, error.message, error.retry_after) == (429, "you are too fast", 7.0)


def test_an_overlong_prompt_is_told_as_such():
    body = '{"error": {"message": "prompt is too long: 9000 tokens", "type": "invalid_request_error"}}'
    error = translate(wrapped(answered(400, body), OfLitellm("litellm.BadRequestError: x", 400)), "t")

    assert isinstance(error, ContextLengthExceeded)


def test_a_refusal_without_its_answer_is_read_off_litellms_message():
    said = 'litellm.BadRequestError: litellm.BadRequestError: VertexAIException - b\'{"error":{"message":"no such voice"}}\''
    error = translate(OfLitellm(said, 400), "t")

    assert isinstance(error, UpstreamRefused)
    assert (error.status, error.message) == (400, "no such voice")


def test_a_parameter_that_litellm_does_not_know_is_named():
    said = "litellm.UnsupportedParamsError: cohere_chat does not support parameters: ['logit_bias'], for model=x. To drop …"
    error = translate(UnsupportedParamsError(said, 400), "cohere/command-a")

    assert isinstance(error, UnsupportedParameter)
    assert (error.status, error.param) == (400, "logit_bias")
    assert "litellm" not in error.message


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (ConnectionRefusedError("refused"), UpstreamUnreachable),
        (TimeoutError("slow"), UpstreamTimeout),
        (ValueError("not JSON"), UpstreamBroken),
    ],
)
def test_what_went_wrong_on_the_way_is_told_apart(inner, kind):
    error = translate(
        wrapped(inner, OfLitellm("litellm.InternalServerError: X\nTraceback (most recent call last)\n  f")), "t"
    )

    assert type(error) is kind
    assert "Traceback" not in error.message
