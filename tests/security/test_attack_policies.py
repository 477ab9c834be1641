"""Attacks on policies: the tool that a provider runs, asked for by another way than its name."""

import pytest

from gateway.pipeline.authorized import provider_tools


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"web_search_options": {}}, ["web_search"]),
        ({"web_search_options": {"user_location": None}}, ["web_search"]),
        ({"web_search_options": None}, []),
        ({"mcp_servers": []}, []),
        ({"mcp_servers": [{}]}, ["mcp"]),
        ({"tools": [{"type": "WEB_SEARCH"}]}, ["WEB_SEARCH"]),
        ({"tools": [{"type": " web_search"}]}, [" web_search"]),
        ({"tools": [{"type": "namespace", "tools": [{"type": "web_search"}]}]}, ["namespace"]),
    ],
)
def test_however_a_tool_is_asked_for_it_is_asked_about(fields, kinds):
    assert list(provider_tools(fields)) == kinds


@pytest.mark.parametrize(
    "entry", [{"type": ["web_search"]}, {"type": {}}, {"type": 1}, "web_search", None, {"type": "x" * 5000}]
)
def test_what_is_no_kind_is_a_kind_that_nobody_permits_by_name(entry):
    (kind,) = provider_tools({"tools": [entry]})
    assert kind not in ("function", "custom")
