"""Set-up uses the package index that the machine is configured for, and installs no more than is missing."""

import subprocess

import pytest

from scripts.index_settings import parse_settings, translate
from scripts.setup import INCLUDES, choose_kind, fingerprint

LISTING = """\
:env:.find-links='/opt/files'
global.cert='/etc/ssl/our-ca.pem'
global.extra-index-url='file:///srv/one https://two.test/simple'
global.find-links='/elsewhere'
global.index-url='https://index.test/simple'
list.format='columns'
"""


def test_pips_index_is_handed_to_uv():
    assert translate(parse_settings(LISTING)) == {
        "SSL_CERT_FILE": "/etc/ssl/our-ca.pem",
        "UV_DEFAULT_INDEX": "https://index.test/simple",
        "UV_FIND_LINKS": "/opt/files",
        "UV_INDEX": "file:///srv/one https://two.test/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_a_machine_without_settings_gets_uvs_own_index():
    assert translate(parse_settings("")) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_pips_offline_switch_reaches_uv():
    assert translate({"no-index": "true", "find-links": "/a\n/b"})["UV_NO_INDEX"] == "1"
    assert translate({"find-links": "/a\n/b"})["UV_FIND_LINKS"] == "/a,/b"


@pytest.mark.parametrize(
    ("wish", "installed", "kind"),
    [
        ("runtime", None, "runtime"),
        ("runtime", "dev", "dev"),
        ("dev", "runtime", "dev"),
        ("otlp", "litellm", "litellm"),
        ("dev", "litellm", "dev"),
    ],
)
def test_serving_after_testing_does_not_shrink_the_environment(wish, installed, kind):
    assert choose_kind(wish, installed) == kind


def test_each_kind_of_environment_has_a_fingerprint_of_its_own():
    assert len({fingerprint(kind) for kind in INCLUDES}) == len(INCLUDES)


def test_every_make_target_is_listed_by_help(repository):
    makefile = repository.texts["Makefile"]
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]

    listed = subprocess.run(["make", "help"], cwd=repository.root, capture_output=True, text=True, check=True).stdout

    assert [target for target in phony if f"make {target} " not in listed] == []


def test_a_machine_without_python_is_told_what_to_install(repository, tmp_path):
    """An empty checkout beside no interpreter: only the shell and its tools are there."""
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "setup.sh"
    script.write_text(repository.texts["scripts/setup.sh"])
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "cat", "dirname"):
        (tools / name).symlink_to(f"/usr/bin/{name}")

    done = subprocess.run(
        ["/usr/bin/bash", script], env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "apt-get install python3.11" in done.stderr
