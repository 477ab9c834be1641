"""An empty object may be a wish: it is not taken for nothing."""

import pytest

from gateway.core.errors import UnsupportedParameter
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT


def _translated(**more):
    fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}
    return ANTHROPIC_MESSAGES.encode_call(OPENAI_CHAT.decode_call(fields), model="m", stream=False, drop=False)


def test_web_search_is_asked_for_by_an_empty_object():
    with pytest.raises(UnsupportedParameter, match="web_search_options"):
        _translated(web_search_options={})


def test_an_absent_or_null_web_search_asks_for_nothing():
    assert _translated(web_search_options=None).dropped == ()
