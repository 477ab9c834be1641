"""The gateway's own connector, held to what each revision requires of a client."""

import sys
from pathlib import Path

import pytest

from tests.mcp_conformance.conftest import required

pytestmark = pytest.mark.mcp_conformance
CLIENT = Path(__file__).with_name("connector_client.py")
ELSEWHERE = {
    # A server of 2025-11-25 that asks in the midst of a call is told that nobody answers now; people do, and it is called again with what they said.
    "elicitation-sep1034-client-defaults",
}
"""What the connector does otherwise, and why."""
CASES = [
    (revision, name)
    for revision in ("2026-07-28", "2025-11-25")
    for name in required("client", revision)
    if name not in ELSEWHERE
]


@pytest.mark.parametrize(("revision", "scenario"), CASES)
def test_the_connector_does_what_a_client_has_to(suite, revision, scenario):
    said = suite("client", scenario, revision, "--command", f"{sys.executable} {CLIENT}", "--timeout", "90000")

    assert "0 failed" in said
