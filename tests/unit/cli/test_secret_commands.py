"""switchgear secret: with the server down, values from standard input or a terminal, and never shown."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from gateway.cli import secret
from gateway.cli.secret import command
from gateway.cli.secret_keeping import secrets_of
from gateway.config.database_settings import SqliteSettings
from gateway.stores.audit import AuditQuery
from gateway.stores.audit_anchor import read_anchors
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import open_database
from gateway.stores.pepper import open_pepper_file

CANARY = "sk-CANARY-0123456789-abcdefghijklmnop"
ROOT = Path(__file__).resolve().parents[3]
AUDIT_KEY = "a-key-that-signs-the-heads-of-the-tests"
CONFIG = """
database: {{kind: sqlite, path: data.db}}
secrets: {{master_key: "env:{present}", old_master_keys: [{old}]}}
audit: {{key: "env:AUDIT", anchor: anchor}}
providers: {{p: {{kind: openai, api_key: "secret:openai"}}, broken: 7}}
"""


class Place:
    """A directory with a configuration; commands run in it."""

    def __init__(self, directory) -> None:
        self.directory = directory
        self.configure("FIRST")

    def configure(self, present: str, *old: str) -> None:
        text = CONFIG.format(present=present, old=", ".join(f'"env:{name}"' for name in old))
        (self.directory / "switchgear.yaml").write_text(text)

    def run(self, *args: str, value: str | bytes | None = None):
        with capture_logs():
            return CliRunner().invoke(command, [*args, "--config", "switchgear.yaml"], input=value)

    def process(self, *args: str, value: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a process of its own: with its log, and whatever else it prints."""
        program = "from gateway.cli.secret import command; command()"
        return subprocess.run(
            [sys.executable, "-c", program, *args, "--config", "switchgear.yaml"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            input=value,
            capture_output=True,
            text=True,
            check=False,
        )

    def value_of(self, name: str, tenant: str = "default") -> str:
        async def find() -> str:
            async with secrets_of(self.directory / "switchgear.yaml") as secrets:
                return (await secrets.load(tenant=tenant))[name]()

        return anyio.run(find)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # click's runner has no standard error of its own; the test that runs a process has.
    monkeypatch.setattr(secret, "configure_logs", lambda **_: None)
    for number, name in enumerate(("FIRST", "SECOND"), start=1):
        monkeypatch.setenv(name, base64.b64encode(bytes([number]) * 32).decode())
    monkeypatch.setenv("AUDIT", AUDIT_KEY)
    return Place(tmp_path)


def test_a_secret_is_set_from_standard_input_listed_and_deleted(place):
    done = place.run("set", "openai", value=f"{CANARY}\n")
    assert (done.exit_code, done.output) == (0, "openai: version 1 is set; it takes effect at the next reload\n")
    assert place.value_of("openai") == CANARY

    listed = place.run("list")
    assert listed.output.startswith("openai  version 1  20")
    (info,) = json.loads(place.run("list", "--json").output)
    assert (info["name"], info["tenant"]) == ("openai", "default")
    assert CANARY not in listed.output + json.dumps(info)

    assert place.run("delete", "openai").output == "openai: deleted\n"
    assert place.run("list").stderr == "no secrets\n"
    gone = place.run("delete", "openai")
    assert (gone.exit_code, gone.output) == (1, "Error: there is no secret openai of tenant default\n")


def test_a_secret_can_be_set_for_a_configuration_that_does_not_load_yet(place):
    """The provider needs the secret, and another one is broken besides."""
    assert place.run("set", "openai", value=CANARY).exit_code == 0


def test_as_a_process_it_prints_no_more_than_it_should(place):
    done = place.process("set", "openai", value=CANARY)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "openai: version 1 is set; it takes effect at the next reload\n"
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in place.directory.iterdir())


def test_paths_count_from_the_configurations_folder(place, tmp_path, monkeypatch):
    place.run("set", "openai", value=CANARY)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    with capture_logs():
        done = CliRunner().invoke(command, ["list", "--config", "../switchgear.yaml"])

    assert done.output.startswith("openai  version 1")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_server_can_start_on_the_database_that_was_made_for_the_first_secret(place):
    """Its pepper lies beside it: without one, a server takes the database for one whose pepper was lost."""
    place.run("set", "openai", value=CANARY)
    first = open_pepper_file(place.directory / "data.db")
    place.run("set", "openai", value="another")

    assert open_pepper_file(place.directory / "data.db") == first


def test_a_value_is_no_argument(place):
    done = place.run("set", "openai", CANARY)

    assert done.exit_code == 2
    assert not (place.directory / "data.db").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "the value is empty"),
        (b"\xff" + CANARY.encode(), "not UTF-8"),
        (CANARY * 3000, "at most 65536 bytes"),
        (f"{CANARY}\0", "no NUL"),
    ],
)
def test_what_is_no_value_is_refused_and_not_shown(place, value, message):
    done = place.run("set", "openai", value=value)

    assert done.exit_code == 1
    assert message in done.output
    assert "CANARY" not in done.output


@pytest.mark.parametrize("name", ["a b", "../x", ""])
def test_what_is_no_name_is_refused(place, name):
    done = place.run("set", name, value=CANARY)

    assert done.exit_code == 1
    assert "letters, digits" in done.output


def test_secrets_of_tenants_are_kept_apart(place):
    place.run("set", "hook", "--tenant", "a", value="of a")
    place.run("set", "hook", "--tenant", "b", value="of b")

    assert (place.value_of("hook", "a"), place.value_of("hook", "b")) == ("of a", "of b")
    assert place.run("list", "--tenant", "a").output.endswith("  tenant a\n")
    assert len(place.run("list").output.splitlines()) == 2
    assert place.run("delete", "hook").exit_code == 1


def test_a_rotation_makes_the_old_key_superfluous(place):
    place.run("set", "openai", value=CANARY)
    place.configure("SECOND", "FIRST")
    assert place.value_of("openai") == CANARY

    done = place.run("rotate")

    assert done.output == "secrets wrapped anew: 1\nall secrets are protected by secrets.master_key\n"
    place.configure("SECOND")
    assert place.value_of("openai") == CANARY


def test_a_rotation_without_the_old_key_says_which_secrets_are_lost(place):
    place.run("set", "openai", value=CANARY)
    place.configure("SECOND")

    done = place.run("rotate")

    assert done.exit_code == 1
    assert "openai of tenant default: master key" in done.output
    assert "1 secrets cannot be read: set them again, or delete them" in done.output
    assert place.run("set", "openai", value="new").exit_code == 0
    assert place.run("rotate").exit_code == 0


def test_what_was_done_is_in_the_audit_log_and_in_the_anchor(place):
    place.run("set", "openai", value=CANARY)
    place.run("delete", "openai")

    async def read():
        database = await open_database(SqliteSettings(path="data.db"))
        audit = SqlAudit(database, key=AUDIT_KEY)
        found = (
            await audit.find(AuditQuery(tenant=None)),
            await audit.verify(anchors=read_anchors(place.directory / "anchor")),
        )
        await database.aclose()
        return found

    entries, verdict = anyio.run(read)
    assert [entry.event.action for entry in entries] == ["secret.deleted", "secret.created"]
    assert all(entry.event.actor.id.startswith("os:") for entry in entries)
    assert (verdict.sound, verdict.signed_anchors) == (True, 2)
    assert "CANARY" not in repr(entries)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("providers: {}", "secrets need a database"),
        ("database: {kind: sqlite, path: data.db}", "secrets.master_key"),
        (
            "database: {kind: sqlite}\nsecrets: {master_key: short}",
            "switchgear.yaml:2: secrets.master_key: a secret is written as",
        ),
        ("database: {kind: sqlite}\nsecrets: {master_key: env:AUDIT}", "is not 32 bytes in base64"),
        ("database: {kind: oracle}", "switchgear.yaml:1: database.kind"),
        ("database: [", "switchgear.yaml:2: not valid YAML"),
        ("- a\n", "expected a mapping"),
        ("database: {kind: sqlite, path: /dev/null/x}\nsecrets: {master_key: env:FIRST}", "cannot be opened"),
        (
            "database: {kind: sqlite, path: switchgear.yaml}\nsecrets: {master_key: env:FIRST}",
            "cannot be used as a database",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_said(place, text, message):
    (place.directory / "switchgear.yaml").write_text(text)

    done = place.run("list")

    assert done.exit_code == 1
    assert message in done.output
    assert AUDIT_KEY not in done.output


def test_a_file_that_is_not_there_is_told(place):
    (place.directory / "switchgear.yaml").unlink()

    assert "cannot be read: No such file" in place.run("list").output


def test_a_database_that_somebody_else_holds_is_told(place):
    place.run("set", "openai", value=CANARY)
    config = (place.directory / "switchgear.yaml").read_text().replace("data.db", "data.db, timeout: 0.2")
    (place.directory / "switchgear.yaml").write_text(config)
    other = sqlite3.connect("data.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    done = place.run("set", "openai", value="another")

    other.close()
    assert done.exit_code == 1
    assert "database" in done.output
    assert place.value_of("openai") == CANARY
