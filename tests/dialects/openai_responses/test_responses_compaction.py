"""What of a conversation stays word for word when it is compacted, what is put into words, and what a client may ask for."""

import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects.openai_responses.compaction import (
    asking,
    is_sealed,
    is_staying,
    pieces,
    read_wish,
    transcript,
    unanswered,
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"role": "user", "content": "Hello."}, "[user]\nHello.\n\n"),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}, {"type": "refusal", "refusal": "No."}]},
            "[assistant]\nHi.\nNo.\n\n",
        ),
        ({"role": "user", "content": [{"type": "input_image", "image_url": "data:…"}]}, "[user]\n[image]\n\n"),
        ({"role": "user", "content": [{"type": "input_file", "filename": "a.pdf"}]}, "[user]\n[file a.pdf]\n\n"),
        ({"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}, "[call of look, c1]\n{}\n\n"),
        ({"type": "function_call_output", "call_id": "c1", "output": "It rains."}, "[result of c1]\nIt rains.\n\n"),
        (
            {"type": "custom_tool_call", "call_id": "c2", "name": "sh", "input": "ls"}, "[call of sh, c2]\nls\n\n",
        ),
        (
            {"type": "mcp_call", "server_label": "desk", "name": "look", "arguments": "{}", "output": "Rain.", "error": None},
            "[call of desk/look]\n{}\n\n[its result]\nRain.\n\n",
        ),
        (
            {"type": "mcp_call", "server_label": "desk", "name": "look", "arguments": "{}", "output": None, "error": {"message": "Away."}},
            "[call of desk/look]\n{}\n\n[its result]\nError: Away.\n\n",
        ),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "x"}, "[the assistant thinks]\nHm.\n\n"),
        ({"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False, "reason": "Too dear."}, "[refused: mcpr_1]\nToo dear.\n\n"),
        ({"type": "web_search_call", "id": "ws_1"}, '[web_search_call]\n{"type":"web_search_call","id":"ws_1","encrypted_content":null}\n\n'),
    ],
)  # fmt: skip
def test_every_item_is_put_into_words(body, words):
    assert transcript([body]) == [words]


@pytest.mark.parametrize("kind", ["mcp_list_tools", "compaction", "reasoning"])
def test_what_has_no_words_is_left_out(kind):
    assert transcript([{"type": kind, "tools": [], "encrypted_content": "secret"}]) == []


def test_words_of_users_and_developers_stay():
    staying = [{"role": role, "content": "x"} for role in ("user", "system", "developer", "assistant")]

    assert [is_staying(body) for body in staying] == [True, True, True, False]
    assert not is_staying({"type": "reasoning", "role": "user"})
    assert is_staying({"type": "compaction", "encrypted_content": "gAAA"}), "nobody here can read it"


def test_calls_and_questions_without_an_answer_are_found():
    bodies = [
        {"type": "function_call", "call_id": "a"},
        {"type": "function_call_output", "call_id": "a"},
        {"type": "function_call", "call_id": "b"},
        {"type": "mcp_approval_request", "id": "mcpr_1"},
        {"type": "mcp_approval_request", "id": "mcpr_2"},
        {"type": "mcp_call", "approval_request_id": "mcpr_2"},
    ]

    assert unanswered(bodies) == {2, 3}


def test_a_long_transcript_is_cut_into_pieces_that_say_it_all():
    texts = ["a" * 5, "b" * 25, "c" * 3, "d" * 9]

    found = pieces(texts, 10)

    assert "".join(found) == "".join(texts)
    assert max(map(len, found)) <= 10
    assert pieces(texts, 1000) == ["".join(texts)]


def test_each_piece_is_asked_about_with_the_notes_before():
    assert asking("x", 1, 1, "") == "The transcript:\n\nx\nWrite the notes."
    assert "The notes so far:\n\nearlier" in asking("x", 2, 3, "earlier")
    assert "Part 2 of 3" in asking("x", 2, 3, "earlier")


def test_only_our_own_items_are_opened():
    assert is_sealed({"type": "compaction", "encrypted_content": "sgc1.x"})
    for other in ({"type": "compaction", "encrypted_content": "gAAA"}, {"type": "compaction"}, {"type": "reasoning", "encrypted_content": "sgc1.x"}, "sgc1."):  # fmt: skip
        assert not is_sealed(other)


def test_a_wish_for_compaction_is_read():
    assert read_wish({}) is None
    assert read_wish({"context_management": []}) is None
    assert read_wish({"context_management": [{"type": "compaction"}]}).threshold is None
    assert read_wish({"context_management": [{"type": "compaction", "compact_threshold": 1000}]}).threshold == 1000


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("x", "context_management"),
        ([1], "context_management[0]"),
        ([{}], "context_management[0].type"),
        ([{"type": "forget"}], "context_management[0].type"),
        ([{"type": "compaction", "compact_threshold": 999}], "context_management[0].compact_threshold"),
        ([{"type": "compaction", "compact_threshold": "1000"}], "context_management[0].compact_threshold"),
        ([{"type": "compaction"}, {"type": "compaction"}], "context_management[1]"),
    ],
)
def test_a_wish_that_is_none_is_refused_by_name(given, param):
    with pytest.raises(InvalidRequest) as refused:
        read_wish({"context_management": given})

    assert refused.value.param == param
