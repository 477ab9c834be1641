"""No document, however odd, makes loading fail with anything but a ConfigError."""

import json
from pathlib import Path

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError, Settings
from gateway.config.load import parse

KEYS = st.sampled_from(
    [
        "server",
        "providers",
        "models",
        "prices",
        "telemetry",
        "otlp",
        "keys",
        "host",
        "port",
        "limits",
        "kind",
        "api_key",
        "api_keys",
        "headers",
        "base_url",
        "targets",
        "provider",
        "model",
        "timeouts",
        "spawn",
        "document",
        "proxy",
        "a",
    ]
) | st.text(max_size=5)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["embedded", "openai", "vllm", "anthropic", "litellm", "scripted", "azure", "env:A", "file:/", "a/b"]
    )
    | st.sampled_from(["http://x", "http://[", "0.0.0.0", "~", "~/x", "127.0.0.1", "chat", "httpx2"])
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
FRAGMENTS = st.sampled_from(
    [
        "a: ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "&x ",
        "*x",
        "!!str ",
        "? ",
        ": ",
        "\n",
        "  ",
        "|\n",
        "'",
        '"',
        "---\n",
        "...\n",
        "<<: ",
        "%YAML 1.2\n",
        "providers:",
        "models:",
        "kind: embedded",
        "# ",
        "\t",
        "\x00",
        "\ufeff",
        "\u2028",
        "env:A",
        "1e9",
    ]
)


def outcome(content: bytes) -> None:
    try:
        settings, faults = parse(content, Path("/nowhere/test.yaml"), {"A": "secret-value"}), ()
    except ConfigError as error:
        settings, faults = None, error.faults
    assert isinstance(settings, Settings) is not bool(faults)
    assert "secret-value" not in repr((settings, faults))


@hypothesis.settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS | st.text(max_size=3), max_size=25).map("".join))
def test_random_text_loads_or_is_a_configuration_error(text):
    outcome(text.encode("utf-8", "surrogatepass"))


@hypothesis.settings(max_examples=300, deadline=None)
@given(TREES)
def test_a_random_document_loads_or_is_a_configuration_error(tree):
    outcome(json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@hypothesis.settings(max_examples=200, deadline=None)
@given(TREES, TREES, TREES)
def test_random_sections_load_or_are_a_configuration_error(provider, model, server):
    outcome(json.dumps({"providers": {"a": provider}, "models": {"m": model}, "server": server}).encode())


@hypothesis.settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_a_configuration_error(content):
    outcome(content)
