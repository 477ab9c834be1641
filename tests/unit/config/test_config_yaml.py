"""YAML is read by version 1.2, within limits, and without its traps."""

import time

import pytest

from gateway.config import ConfigError
from gateway.config.faults import FaultLog
from gateway.config.yaml_source import ListNode, MapNode, ScalarNode, parse_yaml


def plain(node):
    if isinstance(node, MapNode):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    assert isinstance(node, ScalarNode)
    return node.value


def read(text):
    log = FaultLog("test.yaml")
    value = plain(parse_yaml(text, log))
    log.raise_if_any()
    return value


def faults(text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [(fault.line, fault.column, fault.path, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b1", "0b1"),
        ("-7", -7),
        ("12:30", "12:30"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("2024-10-21", "2024-10-21"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", float("-inf")),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'8080'", "8080"),
        ("\N{ARABIC-INDIC DIGIT THREE}", "\N{ARABIC-INDIC DIGIT THREE}"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_scalar_means_what_version_1_2_says(text, value):
    # The core schema, YAML 1.2.2, section 10.3.2.
    result = read(f"key: {text}\n")["key"]

    assert result == value
    assert type(result) is type(value)


def test_a_key_is_always_the_text_as_written():
    assert read("no: 1\n010: 2\nnull: 3\n") == {"no": 1, "010": 2, "null": 3}


def test_a_byte_order_mark_is_no_part_of_the_document(configuration):
    text = "\ufeffproviders: {local: {kind: lmstudio}}\nmodels: {m: local/x}\n"

    assert list(configuration.load(text).models) == ["m"]


def test_every_duplicate_key_is_a_fault_at_the_second_place():
    assert faults("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        (2, 11, "b.c", "duplicate key 'c': it is already on line 2"),
        (3, 1, "a", "duplicate key 'a': it is already on line 1"),
    ]


def test_keys_that_differ_only_in_their_quotes_are_duplicates():
    assert [fault[3] for fault in faults("a: 1\n'a': 2\n")] == ["duplicate key 'a': it is already on line 1"]


def test_an_alias_repeats_a_value():
    assert read("a: &x {b: [1]}\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_aliases_that_multiply_are_stopped_before_they_cost_anything():
    # The "billion laughs": nine levels of nine.
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    start = time.process_time()

    ((line, _, path, message),) = faults("\n".join(lines))

    assert (line, path) == (5, "l4[1]")
    assert "20,000" in message
    assert time.process_time() - start < 1


def test_an_alias_within_its_own_value_is_a_fault():
    assert faults("a: &x\n  b: *x\n") == [(2, 6, "a.b", "an alias repeats the value that it stands in")]


def test_an_alias_to_nothing_is_a_fault_that_does_not_repeat_its_text():
    assert faults("a: *sk-secret\n") == [(1, 4, "a", "an alias names an anchor that is not defined before it")]


@pytest.mark.parametrize("text", ["[" * 51, "[" * 900_000, "{a: " * 51, "- " * 51 + "x", "? " * 60 + "x"])
def test_deep_nesting_is_a_fault_and_never_a_crash(text):
    ((_, _, _, message),) = faults(text)

    assert "nested more than 50 levels deep" in message


def test_depth_counts_through_aliases():
    text = f"a: &a {'[' * 30}{']' * 30}\nb: {'[' * 30}*a{']' * 30}\n"

    assert "nested more than 50" in faults(text)[0][3]


def test_too_many_values_are_a_fault():
    assert "more than 20,000 values" in faults("[" + "1," * 20_001 + "]")[0][3]


def test_a_second_document_is_a_fault_at_its_line():
    ((line, _, _, message),) = faults("a: 1\n---\nb: 2\n")

    assert line == 2
    assert "one YAML document" in message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "not valid YAML: did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: b: c\n", 1, "not valid YAML: mapping values are not allowed in this context"),
        ("a: 1\nb: '\x01'\n", 2, "not valid YAML: control characters are not allowed"),
        ("%YAML 3.0\n---\na: 1\n", 1, "not valid YAML: found incompatible YAML document"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "YAML tags are not supported here"),
        ("a: 1\nb: !!str x\n", 2, "YAML tags are not supported here"),
        ("a: 1\nb: ! 8080\n", 2, "YAML tags are not supported here"),
        ("a: 1\n!!str b: x\n", 2, "YAML tags are not supported here"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys (<<) are not part of YAML 1.2: write the keys out"),
        ("? [a]\n: 1\n", 1, "a key must be plain text"),
    ],
)
def test_what_is_not_plain_yaml_is_told_with_its_line(text, line, message):
    first = faults(text)[0]

    assert first[0] == line
    assert first[3].startswith(message)


def test_duplicates_before_a_syntax_error_are_told_with_it():
    assert [fault[0] for fault in faults("a: 1\na: 2\nb: [\n")] == [2, 4]
