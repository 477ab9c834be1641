"""What a call reserves cannot be talked down by a field that its upstream overlooks."""

import pytest
from msgspec.structs import replace

from gateway.accounting.limits.estimates import FIRST_OUTPUT, Outputs, count_by_length, estimate
from tests.unit.accounting.limits.limit_doubles import call_of

UNBOUND = (FIRST_OUTPUT, False)


@pytest.mark.parametrize(
    ("dialect", "fields", "output"),
    [
        ("openai_chat", {"max_output_tokens": 1}, UNBOUND),
        ("openai_chat", {"max_tokens": 7}, (7, True)),
        ("openai_chat", {"max_completion_tokens": 1, "max_tokens": 900}, (900, True)),
        ("openai_chat", {"max_completion_tokens": 10, "n": 3}, (30, True)),
        ("openai_chat", {"n": 3}, (3 * FIRST_OUTPUT, False)),
        ("openai_chat", {"max_tokens": "1"}, UNBOUND),
        ("openai_chat", {"max_tokens": -1}, UNBOUND),
        ("openai_chat", {"max_tokens": True}, UNBOUND),
        ("openai_chat", {"max_tokens": 10**30, "n": 10**30}, (1_000_000_000, True)),
        ("openai_responses", {"max_tokens": 1}, UNBOUND),
        ("openai_responses", {"max_output_tokens": 1}, (1, True)),
        ("anthropic_messages", {"max_tokens": 5, "max_output_tokens": 1}, (5, True)),
        ("openai_completions", {"max_tokens": 5, "best_of": 4, "n": 2}, (20, True)),
        ("openai_completions", {"max_tokens": 5, "prompt": ["a", "b", "c"]}, (15, True)),
        ("openai_completions", {"max_tokens": 5, "prompt": [[1, 2], [3]]}, (10, True)),
        ("openai_completions", {"max_tokens": 5, "prompt": [1, 2, 3]}, (5, True)),
    ],
)
def test_only_a_bound_of_its_own_api_counts_and_every_answer_does(dialect, fields, output):
    call = replace(call_of("c", **fields), dialect=dialect)

    assert estimate(call, count_by_length, Outputs())[1:] == output
