"""Conditions are a small part of Python's expressions: typed, bounded, and with nothing to reach but the names that are given."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.expression import MOST_CHARACTERS, ExpressionError, read_condition

NAMES = {
    "tokens": "number", "temperature": "number", "hour": "number", "has_images": "flag", "model": "text", "tools": "texts",
    "tags": "tags",
}  # fmt: skip
VALUES = {
    "tokens": 9000, "temperature": None, "hour": 10, "has_images": False, "model": "GPT-5", "tools": ("search", "run"),
    "tags": {"env": "prod", "cost-centre": "12"},
}  # fmt: skip


def holds(text):
    return read_condition(text, NAMES)(VALUES)


@pytest.mark.parametrize(
    "text",
    [
        "tokens > 8000 or has_images",
        "9 <= hour < 17 and not has_images",
        "tags.env == 'prod' and tags['cost-centre'] != '13'",
        "tags.missing == ''",
        "'env' in tags and 'search' in tools and 'gpt' not in model",
        "model.lower().startswith('gpt') and model.endswith('5') and model.contains('PT')",
        "model in ['GPT-5', 'GPT-6'] or model in ('x',)",
        "(tokens - 1000) / 2 == 4000 and -tokens < 0 and tokens % 7 == 5 and tokens * 2 + 1 > 18000",
        "len(tools) == 2 and len(model) == 5 and len(tags) >= 2",
        "temperature == none and has_images == false and true",
        "not\n  has_images\n",
        "True and not None == 3",
    ],
)
def test_what_holds(text):
    assert holds(text) is True


@pytest.mark.parametrize("text", ["temperature > 0.5", "temperature <= 0.5", "temperature + 1 > 0", "-temperature < 1"])
def test_a_comparison_with_a_number_that_is_not_there_is_false(text):
    assert holds(text) is False


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "no expression"),
        ("(tokens > 1", 1, "never closed"),
        ("tokens > > 1", 10, "no expression"),
        ("tokne > 3", 1, "did you mean 'tokens'"),
        ("has_images and tokne > 3", 16, "unknown name 'tokne'"),
        ("model == 'é' and tokne > 3", 18, "unknown name"),
        ("tokens", 1, "expected true or false"),
        ("tools and has_images", 1, "expected true or false"),
        ("model > 3", 9, "a text is never compared with a number"),
        ("model == none", 10, "never compared"),
        ("has_images < true", 14, "cannot be compared so"),
        ("tokens in [1, 2]", 12, "expected a text"),
        ("tokens in tools", 11, "looks for a text"),
        ("model is model", 10, "cannot be compared so"),
        ("tokens ** 9 > 1", 1, "of arithmetic"),
        ("'a' * 999999 == 'b'", 1, "expected a number"),
        ("tokens > 1e400", 10, "numbers go up to"),
        ("~tokens == 1", 1, "no meaning"),
        ("model.upper() == 'X'", 1, "of functions"),
        ("model.startswith(model, 1)", 1, "one argument"),
        ("model.lower(x=1) == ''", 1, "no named arguments"),
        ("len(tokens) > 1", 5, "has no length"),
        ("model.__class__ == 1", 1, "only tags have names inside"),
        ("().__class__.__bases__ == 1", 1, "only tags have names inside"),
        ("tools == ['a']", 10, "cannot be compared so"),
        ("tags[0] == ''", 1, "the name of a tag"),
        ("open('x') == 1", 1, "of functions"),
        ("lambda: 1", 1, "no meaning"),
        ("[x for x in tools]", 1, "no meaning"),
        ("(x := tokens) > 1", 2, "no meaning"),
        ("has_images if has_images else true", 1, "no meaning"),
        ("f'{model}' == ''", 1, "no meaning"),
        ("b'x' == b'x'", 1, "no meaning"),
        ("model == '\\x00'", 11, "backslash"),
        ("model == '\x00'", 1, "no expression"),
        ("(" * 300, None, "no expression"),
        ("not " * 60 + "has_images", None, "nested deeper"),
        (" or ".join(["has_images"] * 90), None, "longer than" if MOST_CHARACTERS < 90 * 14 else "parts"),
        ("tools == " + str(["a"] * 199).replace(" ", ""), None, "more than"),
    ],
)
def test_what_is_refused_says_why_and_where(text, column, said):
    with pytest.raises(ExpressionError) as caught:
        read_condition(text, NAMES)

    assert said in caught.value.message
    assert column is None or caught.value.column == column


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *NAMES,
                "and",
                "or",
                "not",
                "in",
                "(",
                ")",
                "[",
                "]",
                ",",
                ".",
                "'a'",
                "3",
                "-",
                "%",
                "/",
                "==",
                "<",
                "len",
                "lower",
            ]
        ),
        max_size=40,
    ).map(" ".join)
)
def test_any_text_is_refused_or_gives_true_or_false(text):
    try:
        condition = read_condition(text, NAMES)
    except ExpressionError as refused:
        column = refused.column
    else:
        column = 1
        with contextlib.suppress(ZeroDivisionError):
            assert condition(VALUES) in (True, False)

    assert 1 <= column <= len(text) + 1


def test_the_largest_condition_is_read_and_worked_out_soon():
    text = " or ".join(["tokens*tokens*tokens*tokens < 0"] * 22)
    began = time.process_time()
    assert read_condition(text, NAMES)(VALUES) is False

    assert time.process_time() - began < 0.5
