"""The semantic cache between tenants, scopes and histories: whatever index and store give back, nothing of another's is served."""

import pytest

from gateway.config.cache_settings import SemanticSettings
from gateway.stores.vectors import Match
from gateway.stores.vectors_embedded import EmbeddedVectors
from tests.unit.cache.semantic_world import World

ASKED = "How do I reset my password?"
SAME = "How can I reset my password?"


class Treacherous(EmbeddedVectors):
    """An index that ignores its filter; `lies` it even says that all is the asker's own."""

    lies = False

    async def find(self, vector, *, tenant, partition, most):
        found = []
        for one, place in list(self._places):
            found += await super().find(vector, tenant=one, partition=place, most=most)
        if self.lies:
            return tuple(Match(entry=one.entry, tenant=tenant, partition=partition, similarity=1.0) for one in found)
        return tuple(found)


class Lying(Treacherous):
    lies = True


@pytest.mark.parametrize("index", [EmbeddedVectors, Treacherous, Lying])
@pytest.mark.parametrize("other", [{"tenant": "other"}, {"partition": "another model, key, user or history"}])
async def test_nothing_of_anothers_is_served(index, other):
    world = World(index=index(1000))
    await world.keep(ASKED)

    assert (await world.find(SAME, **other)).entry is None
    assert (await world.find(ASKED, **other)).entry is None
    assert (await world.find(SAME)).entry is not None


async def test_a_verdict_for_one_tenant_serves_no_other():
    world = World(index=Lying(1000))
    await world.keep(ASKED)
    assert (await world.find(SAME)).entry is not None

    assert (await world.find(SAME, tenant="other")).entry is None


async def test_learning_from_one_tenant_serves_it_to_no_other():
    world = World(SemanticSettings(error_bound=0.5, threshold=0.5, audit=None), index=Lying(1000))
    entry = await world.keep(ASKED)
    state = world.cache._states["chat"]
    for _ in range(200):
        state.sample(entry.id, 0.99, right=True)
    assert (await world.find(SAME)).entry == entry

    assert (await world.find(SAME, tenant="other")).entry is None


async def test_a_score_evicts_only_what_is_the_tenants_own():
    """The id of an entry that another tenant's record names for whatever reason."""
    world = World()
    entry = await world.keep(ASKED)
    call = world.call(SAME, tenant="other", number=1)
    world.layer.served(world.question(SAME, tenant="other"), entry, 0.99, call)

    assert await world.scores.scored("call_1", 0.0) == ""

    assert (await world.find(SAME)).entry == entry
