"""Shared by every test: the event loop that production uses."""

import gc

import pytest
from hypothesis import HealthCheck, settings

from tests.schema_suites import leave_out_suites, suites
from tests.servers import leave_out

__all__ = ["suites"]

# How long a machine takes to draw examples says nothing of the product.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_finish(session):
    """Take the modules and the tests, a million objects, out of the garbage collector's sight: looking through them stops every server
    of a test for most of a second."""
    del session
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    leave_out(config, items)
    leave_out_suites(config, items)


@pytest.fixture(scope="session")
def anyio_backend():
    return ("asyncio", {"use_uvloop": True})
