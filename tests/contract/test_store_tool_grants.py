"""Grants on every database: sealed, one renewal at a time, one use of what somebody was sent away with."""

import base64

import anyio
import msgspec
import pytest
from sqlalchemy import select, update

from gateway.config.secret import Secret
from gateway.stores.secrets_cipher import open_cipher
from gateway.stores.tool_grants import Consent, Holder, Tokens
from gateway.stores.tool_grants_sql import SqlGrants
from gateway.stores.tool_grants_tables import TOOL_CONSENTS, TOOL_GRANTS

OPERATOR = Holder(server="notes")
ADA = Holder(server="notes", tenant="acme", person="ada")
EVE = Holder(server="notes", tenant="globex", person="ada")
TOKENS = Tokens(
    access="access-canary",
    refresh="refresh-canary",
    expires_at=1.5,
    scope="read",
    resource="https://notes.example/mcp",
    issuer="https://as.example",
    token_endpoint="https://as.example/token",
    client_id="c",
    client_secret="secret-canary",
)
CONSENT = Consent(
    holder=ADA, by="key_1", verifier="verifier-canary", redirect_uri="https://us.example/oauth/callback",
    issuer="https://as.example", resource="https://notes.example/mcp", token_endpoint="https://as.example/token",
    client_id="c", expires_at=100.0,
)  # fmt: skip


def cipher(letter=b"k"):
    return open_cipher(Secret(base64.b64encode(letter * 32).decode(), source="env:MASTER"))


@pytest.fixture
def grants(database):
    return SqlGrants(database, cipher())


async def test_a_grant_is_its_holders_alone(grants):
    kept = await grants.put(ADA, TOKENS, now=1.0)
    await grants.put(OPERATOR, msgspec.structs.replace(TOKENS, access="o"), now=2.0)

    assert await grants.find(ADA) == kept
    assert (kept.version, kept.tokens) == (1, TOKENS)
    assert await grants.find(EVE) is None
    assert (await grants.find(OPERATOR)).tokens.access == "o"
    assert [(info.holder, info.updated_at) for info in await grants.list("notes")] == [(OPERATOR, 2.0), (ADA, 1.0)]
    assert await grants.list("wiki") == []
    assert (await grants.remove(ADA), await grants.remove(ADA), await grants.find(ADA)) == (True, False, None)


async def test_nothing_of_a_grant_is_in_clear_and_no_row_opens_in_anothers_place(grants, database):
    await grants.put(ADA, TOKENS, now=1.0)
    await grants.put(EVE, TOKENS, now=1.0)
    await grants.begin("state-canary", CONSENT)
    async with database.begin() as connection:
        rows = [*(await connection.execute(select(TOOL_GRANTS))), *(await connection.execute(select(TOOL_CONSENTS)))]
        assert not any(
            b"canary" in (cell if isinstance(cell, bytes) else str(cell).encode()) for row in rows for cell in row
        )
        first = (await connection.execute(select(TOOL_GRANTS).where(TOOL_GRANTS.c.tenant == "acme"))).mappings().one()
        moved = {name: first[name] for name in ("master_key", "wrapped", "ciphertext")}
        await connection.execute(update(TOOL_GRANTS).where(TOOL_GRANTS.c.tenant == "globex").values(moved))

    assert await grants.find(ADA) is not None
    assert await grants.find(EVE) is None
    assert await SqlGrants(database, cipher(b"x")).find(ADA) is None


async def test_one_at_a_time_renews_and_only_what_is_still_there(grants):
    kept = await grants.put(ADA, TOKENS, now=1.0)
    won = []

    async def claim():
        won.append(await grants.claim(kept, now=10.0, until=20.0))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(claim)
    fresh = msgspec.structs.replace(TOKENS, access="fresh")

    assert sorted(won) == [False, False, False, False, True]
    assert await grants.claim(kept, now=20.0, until=30.0)
    assert await grants.renew(kept, fresh, now=21.0)
    assert not await grants.renew(kept, TOKENS, now=22.0)
    assert not await grants.claim(kept, now=40.0, until=50.0)
    now = await grants.find(ADA)
    assert (now.version, now.tokens) == (2, fresh)
    assert await grants.claim(now, now=22.0, until=30.0)


async def test_who_was_sent_away_comes_back_once_and_in_time(grants):
    await grants.begin("s1", CONSENT)
    await grants.begin("s2", CONSENT)

    assert await grants.take("other", now=1.0) is None
    assert await grants.take("s1", now=99.0) == CONSENT
    assert await grants.take("s1", now=99.0) is None
    assert await grants.take("s2", now=100.0) is None
