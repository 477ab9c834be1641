"""Which HTTP client an upstream gets."""

import subprocess
import sys

import pytest

from gateway.providers.http.connect import make_upstream
from gateway.providers.http.httpx2_client import Httpx2Upstream
from gateway.providers.http.native import NativeUpstream


async def test_the_setting_chooses_the_client():
    assert isinstance(make_upstream("http://h", http="native", connections=1), NativeUpstream)
    assert isinstance(make_upstream("http://h", http="httpx2", connections=1), Httpx2Upstream)


def test_a_proxy_is_never_silently_ignored():
    with pytest.raises(ValueError, match="proxies"):
        make_upstream("http://h", http="native", connections=1, proxy="http://proxy:3128")


def test_httpx2_is_not_imported_for_the_native_client():
    """Dependencies: the import-time budget."""
    program = (
        "import sys; from gateway.providers.http.connect import make_upstream;"
        "make_upstream('http://h', http='native', connections=1); sys.exit('httpx2' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
