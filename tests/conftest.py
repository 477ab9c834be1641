"""Shared by every test: the event loop that production uses."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend():
    return ("asyncio", {"use_uvloop": True})
