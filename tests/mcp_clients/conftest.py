"""The gateway that all clients meet, once for all tests of a file."""

import pytest

from tests.mcp_clients.typescript import SDKS
from tests.mcp_clients.world import served


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with served(tmp_path_factory.mktemp("world")) as there:
        yield there


@pytest.fixture(params=SDKS, ids=["sdk1", "sdk2-legacy", "sdk2"])
def sdk(request):
    """A line of the SDK, and what it is to speak."""
    return request.param
