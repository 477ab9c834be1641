"""Comparisons of shadows on every database: kept whole, within a tenant, summed up, and forgotten."""

import msgspec
import pytest

from gateway.stores.shadows import Shadow, ShadowQuery, Side
from gateway.stores.shadows_sql import SqlShadows

replace = msgspec.structs.replace
ORIGINAL = Side(
    target="hosted/big",
    finish_reason="stop",
    duration=2.0,
    first_token=0.5,
    input_tokens=10,
    output_tokens=20,
    cost_nano=5_000_000_000,
    content={"text": "ключ'; DROP TABLE shadows; --\x00"},
)
COPY = replace(ORIGINAL, target="gpu/small", duration=1.0, first_token=0.25, cost_nano=1_000_000_000, cut=True)
SHADOW = Shadow(
    id="call_2",
    call="call_1",
    at=100.0,
    expires_at=1_000.0,
    tenant="acme",
    user="ada",
    model="chat",
    shadow_model="next",
    dialect="openai_chat",
    operation="generate",
    stream=True,
    original=ORIGINAL,
    shadow=COPY,
    same=True,
)
FAILED = replace(
    SHADOW,
    id="call_4",
    call="call_3",
    at=200.0,
    shadow=Side(error="upstream_timeout", duration=30.0),
    same=None,
)
QUERY = ShadowQuery(tenant="acme", now=500.0)


@pytest.fixture
def shadows(database):
    return SqlShadows(database)


async def test_a_comparison_comes_back_as_it_was_given(shadows):
    await shadows.add([SHADOW, FAILED])

    kept = replace(ORIGINAL, content={"text": "ключ'; DROP TABLE shadows; --\ufffd"})
    assert await shadows.find("acme", "call_2", now=500.0) == replace(
        SHADOW, original=kept, shadow=replace(COPY, content=kept.content)
    )
    assert await shadows.find(None, "call_4", now=500.0) == replace(FAILED, original=kept)


async def test_one_that_comes_twice_is_kept_once(shadows):
    await shadows.add([SHADOW])
    await shadows.add([replace(SHADOW, same=False), FAILED])

    assert [one.id for one in await shadows.list(QUERY)] == ["call_4", "call_2"]
    assert (await shadows.list(QUERY))[1].same is True


async def test_a_tenant_sees_only_its_own(shadows):
    await shadows.add([SHADOW])

    assert await shadows.find("globex", "call_2", now=500.0) is None
    assert list(await shadows.list(replace(QUERY, tenant="globex"))) == []
    assert list(await shadows.summarize(replace(QUERY, tenant="globex"))) == []


async def test_lists_are_filtered_paged_and_without_content(shadows):
    await shadows.add([replace(SHADOW, id=f"call_{number}", at=float(number)) for number in range(5)])
    await shadows.add([replace(SHADOW, id="other", model="other")])

    page = await shadows.list(replace(QUERY, model="chat", since=1.0, until=4.0, limit=2))
    rest = await shadows.list(replace(QUERY, model="chat", since=1.0, until=4.0, limit=2, after=page[-1].id))

    assert [one.id for one in (*page, *rest)] == ["call_3", "call_2", "call_1"]
    assert page[0].original.content is None
    assert page[0].original.duration == 2.0
    assert list(await shadows.list(replace(QUERY, after="nobody"))) == []


async def test_figures_are_those_of_calls_that_both_answered(shadows):
    different = replace(SHADOW, id="call_6", same=False, similarity=0.5, original=replace(ORIGINAL, cost_nano=None))
    await shadows.add([SHADOW, FAILED, different, replace(SHADOW, id="call_8", shadow_model="older")])

    one, older = await shadows.summarize(QUERY)

    assert (one.shadow_model, older.shadow_model) == ("next", "older")
    assert (one.calls, one.answered, one.compared, one.same, one.priced) == (3, 2, 2, 1, 1)
    assert (one.original.errors, one.shadow.errors) == (0, 1)
    assert (one.original.duration, one.shadow.duration) == (2.0, 1.0)
    assert (one.original.first_token, one.shadow.first_token) == (0.5, 0.25)
    assert (one.original.cost_nano, one.shadow.cost_nano) == (5_000_000_000, 1_000_000_000)
    assert one.similarity == 0.5
    assert older.similarity is None


async def test_what_is_spent_is_summed_from_a_moment_on(shadows):
    await shadows.add([SHADOW, FAILED, replace(SHADOW, id="call_6", at=99.0)])

    assert await shadows.spent("chat", 100.0) == 1_000_000_000
    assert await shadows.spent("chat", 0.0) == 2_000_000_000
    assert await shadows.spent("nobody", 0.0) == 0


async def test_what_has_expired_is_not_there_and_then_forgotten(shadows):
    await shadows.add([SHADOW])

    assert await shadows.find("acme", "call_2", now=1_000.0) is None
    assert list(await shadows.list(replace(QUERY, now=1_000.0))) == []
    assert await shadows.remove_expired(999.0) == 0
    assert await shadows.remove_expired(1_000.0) == 1
    assert await shadows.find("acme", "call_2", now=0.0) is None


async def test_only_the_newest_of_a_model_are_kept(shadows):
    await shadows.add([replace(SHADOW, id=f"call_{number}", at=float(number)) for number in range(5)])
    await shadows.add([replace(SHADOW, id="other", at=0.0, model="other")])

    assert await shadows.remove_beyond("chat", 2) == 3
    assert await shadows.remove_beyond("chat", 2) == 0
    assert [one.id for one in await shadows.list(QUERY)] == ["call_4", "call_3", "other"]


@pytest.mark.parametrize(
    ("named", "left"),
    [
        ({"tenant": "acme", "user": None, "before": None}, ["theirs"]),
        ({"tenant": None, "user": "ada", "before": None}, []),
        ({"tenant": "acme", "user": "bob", "before": None}, ["call_4", "call_2", "theirs"]),
        ({"tenant": None, "user": None, "before": 200.0}, ["call_4"]),
    ],
)
async def test_what_belongs_to_somebody_can_be_deleted(shadows, named, left):
    await shadows.add([SHADOW, FAILED, replace(SHADOW, id="theirs", tenant="globex", at=50.0)])

    await shadows.remove(**named)

    assert [one.id for one in await shadows.list(replace(QUERY, tenant=None))] == left


async def test_to_delete_everything_must_be_said(shadows):
    with pytest.raises(ValueError, match="must be said"):
        await shadows.remove(tenant=None, user=None, before=None)
