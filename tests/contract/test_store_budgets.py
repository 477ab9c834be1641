"""Budgets on every database: made, changed and removed within a tenant, and counts that are kept."""

import msgspec
import pytest

from gateway.core.errors import Conflict
from gateway.stores.budgets import Budget
from gateway.stores.budgets_sql import SqlBudgets
from gateway.stores.counters import Count

APOLLO = Budget(
    id="bud_1",
    tenant="acme",
    name="apollo",
    count="cost",
    limit=5_000_000_000,
    per=("team", "tag:project"),
    match={"model": ("gpt-*", "o3"), "tag:project": ("apollo",)},
    window="month",
    time_zone="Europe/Berlin",
    soft=(0.5, 0.8),
    created_at=1.5,
    updated_at=1.5,
)


@pytest.fixture
def budgets(database) -> SqlBudgets:
    return SqlBudgets(database)


async def test_a_budget_comes_back_as_it_was_given(budgets):
    await budgets.add(APOLLO)

    assert await budgets.find("acme", "bud_1") == APOLLO
    assert list(await budgets.list("acme")) == [APOLLO]


async def test_a_tenant_sees_only_its_own(budgets):
    await budgets.add(APOLLO)
    other = msgspec.structs.replace(APOLLO, id="bud_2", tenant="globex")
    await budgets.add(other)

    assert await budgets.find("globex", "bud_1") is None
    assert not await budgets.remove("globex", "bud_1")
    assert not await budgets.replace(msgspec.structs.replace(APOLLO, tenant="globex", version=2))
    assert list(await budgets.list("globex")) == [other]
    assert len(await budgets.list(None)) == 2
    assert await budgets.find(None, "bud_2") == other


async def test_a_name_is_taken_once_in_a_tenant(budgets):
    await budgets.add(APOLLO)

    with pytest.raises(Conflict):
        await budgets.add(msgspec.structs.replace(APOLLO, id="bud_2"))


async def test_of_two_changes_of_the_same_version_one_is_kept(budgets):
    await budgets.add(APOLLO)

    first = await budgets.replace(msgspec.structs.replace(APOLLO, limit=1, version=2))
    second = await budgets.replace(msgspec.structs.replace(APOLLO, limit=2, version=2))

    assert (first, second) == (True, False)
    found = await budgets.find("acme", "bud_1")
    assert found is not None
    assert found.limit == 1


async def test_every_change_grows_the_revision(budgets):
    seen = [await budgets.revision()]
    await budgets.add(APOLLO)
    seen.append(await budgets.revision())
    await budgets.replace(msgspec.structs.replace(APOLLO, hard=False, version=2))
    seen.append(await budgets.revision())
    await budgets.remove("acme", "bud_1")
    seen.append(await budgets.revision())

    assert seen == sorted(set(seen))
    assert await budgets.find("acme", "bud_1") is None


@pytest.mark.parametrize("text", ["'; DROP TABLE budgets; --", "ключ", "line\nbreak", "\x1f", "%s {0}"])
async def test_text_is_text(budgets, text):
    odd = msgspec.structs.replace(APOLLO, name=text, match={"team": (text,)})
    await budgets.add(odd)
    await budgets.save_counts([Count(key=text, slot=1, amount=2, expires=10.0)], now=0.0)

    assert await budgets.find("acme", "bud_1") == odd
    assert [count.key for count in await budgets.load_counts(0.0)] == [text]


async def test_counts_replace_what_was_kept_and_expire(budgets):
    many = [Count(key=f"k{number}", slot=7, amount=number, expires=100.0) for number in range(500)]
    await budgets.save_counts([*many, Count(key="old", slot=1, amount=1, expires=10.0)], now=5.0)
    await budgets.save_counts([Count(key="k3", slot=7, amount=9 * 10**15, expires=100.0)], now=50.0)

    kept = {count.key: count.amount for count in await budgets.load_counts(50.0)}

    assert len(kept) == 500
    assert kept["k3"] == 9 * 10**15
    assert "old" not in kept
