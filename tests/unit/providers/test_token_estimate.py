"""An estimate of tokens is near enough to plan with, grows with what is counted, and says that it is one."""

from gateway.core.content import FunctionTool, Prompt
from gateway.core.items import Image, Message, Text
from gateway.providers.token_estimate import estimate


def _prompt(text, **more):
    return Prompt(items=(Message(role="user", parts=(Text(text=text),)),), **more)


def test_english_text_is_about_four_characters_a_token():
    text = "The quick brown fox jumps over the lazy dog. " * 20

    assert 180 <= estimate(_prompt(text)) <= 260


def test_tools_and_images_count():
    plain = estimate(_prompt("hi"))
    tool = FunctionTool(name="look", description="Look something up in a book.", parameters={"type": "object"})
    picture = Prompt(items=(Message(role="user", parts=(Image(url="https://example.test/a.png"),)),))

    assert estimate(_prompt("hi", tools=(tool,))) > plain + 10
    assert estimate(picture) > 700
