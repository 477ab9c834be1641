"""secret:NAME in a configuration: looked up when it loads, checked without a database, and never shown."""

import base64
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.config.database_settings import SqliteSettings
from gateway.config.secret import SOURCE_PATTERN, Secret, read_secret, stand_in
from gateway.config.secrets_settings import SecretsSettings
from gateway.core.errors import StoreUnavailable
from gateway.stores.audit import SYSTEM
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import open_database
from gateway.stores.secrets import SecretSnapshot, SecretUnreadable
from gateway.stores.secrets_cipher import open_cipher
from gateway.stores.secrets_opening import SecretFinder
from gateway.stores.secrets_sql import SqlSecrets

VALUE = "sk-CANARY-0123456789"


def read(reference: str, find_secret=None) -> Secret:
    return read_secret(reference, base=Path("/"), environ={}, find_secret=find_secret)


class Shelf:
    """A secret store of which the database can be taken away."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.away = False

    async def load(self, *, tenant: str = "default"):
        del tenant
        if self.away:
            raise StoreUnavailable("The database cannot be reached.")
        return {name: lambda value=value: value for name, value in self.values.items()}


def test_a_reference_is_looked_up():
    secret = read("secret:openai", {"openai": f"{VALUE}\n"}.get)

    assert secret.reveal() == VALUE
    assert (secret.source, secret.in_database) == ("secret:openai", True)
    assert VALUE not in repr(secret)


@pytest.mark.parametrize("name", ["openai", "a", "team-a.openai_2", "9"])
def test_a_reference_fits_the_schema_for_editors(name):
    assert re.search(SOURCE_PATTERN, f"secret:{name}")
    assert read(f"secret:{name}", stand_in).in_database


@pytest.mark.parametrize("name", ["", "a b", "../x", ".x", "a/b", "x" * 200, "a\n"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="must be followed by a name"):
        read(f"secret:{name}", stand_in)


@pytest.mark.parametrize("find_secret", [None, {}.get])
def test_a_key_pasted_after_the_scheme_is_not_repeated(find_secret):
    with pytest.raises(ValueError, match="database") as caught:
        read(f"secret:{VALUE}", find_secret)

    assert VALUE not in str(caught.value)


def test_a_secret_that_does_not_open_says_why():
    def find_secret(name: str) -> str:
        raise SecretUnreadable(
            f"the secret {name} was encrypted with master key 0011223344556677, which is not configured"
        )

    with pytest.raises(ValueError, match="which is not configured"):
        read("secret:openai", find_secret)


def test_who_checks_offline_takes_a_stand_in_that_leads_nowhere():
    """It passes for a key, a header and an address; .invalid is resolved by nobody (RFC 6761)."""
    value = read("secret:openai", stand_in).reveal()

    assert re.fullmatch(r"[!-~]+", value)
    assert re.fullmatch(r"https?://[a-z-]+\.invalid/", value)


async def test_a_changed_secret_is_another_setting_after_a_refresh():
    shelf = Shelf(openai="one")
    snapshot = SecretSnapshot(shelf)
    await snapshot.refresh()
    before = read("secret:openai", snapshot.find)
    shelf.values["openai"] = "two"
    assert read("secret:openai", snapshot.find) == before

    await snapshot.refresh()

    assert read("secret:openai", snapshot.find) != before


async def test_with_the_database_away_the_last_snapshot_stays():
    shelf = Shelf(openai=VALUE)
    snapshot = SecretSnapshot(shelf)
    await snapshot.refresh()
    shelf.away = True

    await snapshot.refresh()

    assert snapshot.find("openai") == VALUE


async def test_a_first_start_without_the_database_is_refused():
    shelf = Shelf()
    shelf.away = True

    with pytest.raises(StoreUnavailable):
        await SecretSnapshot(shelf).refresh()


@pytest.fixture
def keeping(tmp_path):
    """A database with one secret, and the settings that it is kept by."""
    database = SqliteSettings(path="data.db", timeout=0.2)
    secrets = SecretsSettings(master_key=Secret(base64.b64encode(b"k" * 32).decode(), source="env:MASTER"))

    async def put(name: str, value: str) -> None:
        opened = await open_database(replace(database, path=str(tmp_path / "data.db")))
        store = SqlSecrets(opened, open_cipher(secrets.master_key), SqlAudit(opened))
        await store.put(name, value, actor=SYSTEM)
        await opened.aclose()

    return database, secrets, put


async def test_a_configuration_finds_its_secrets_each_time_that_it_is_loaded(keeping, tmp_path):
    database, secrets, put = keeping
    finder = SecretFinder(base=tmp_path, environ={})
    await put("openai", VALUE)

    find = await finder.refresh(database, secrets)
    assert read("secret:openai", find).reveal() == VALUE

    await put("openai", "another")
    assert read("secret:openai", await finder.refresh(database, secrets)).reveal() == "another"


async def test_what_keeps_no_secrets_finds_none(keeping, tmp_path):
    database, secrets, _ = keeping
    finder = SecretFinder(base=tmp_path, environ={})

    assert await finder.refresh(None, secrets) is None
    assert await finder.refresh(database, SecretsSettings()) is None
    assert (await finder.refresh(database, secrets))("openai") is None
    assert list(tmp_path.iterdir()) == [], "the server makes the database, and what belongs beside it"


async def test_a_reload_while_the_database_is_damaged_goes_on_with_what_was(keeping, tmp_path):
    database, secrets, put = keeping
    finder = SecretFinder(base=tmp_path, environ={})
    await put("openai", VALUE)
    await finder.refresh(database, secrets)
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "data.db").write_text("no database" * 100)

    assert (await finder.refresh(database, secrets))("openai") == VALUE
    with pytest.raises(StoreUnavailable):
        await SecretFinder(base=tmp_path, environ={}).refresh(database, secrets)
