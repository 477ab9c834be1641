"""What makes another revision of a model, so that none of the old answers is found: whatever sends calls elsewhere, and nothing else."""

import msgspec
import pytest

from gateway.config.load import load
from gateway.core.cached import CacheWish
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.live import open_prices
from gateway.modelling import modelled
from gateway.pipeline.cached_build import Around, open_cached, open_caching, open_shelf
from gateway.stores.answers import Selection
from tests.unit.pipeline.caching_doubles import ADA, TARGET, Heard, World

FRAME = """
providers: {{play: {{kind: scripted, document: script.yaml}}, far: {{kind: openai_compatible, base_url: "http://127.0.0.1:1/v1"}}}}
models:
  a: {{targets: [{{provider: play, model: big{big}}}, {{provider: play, model: small{small}}}], routing: {{{routing}}}, cache: {cache}}}
  helper: {{targets: [{{provider: {provider}, model: {helper}}}]}}
  embedder: {{targets: [{{provider: play, model: {embedder}}}]}}
cache: {{embedding: embedder}}
"""
RULES = "strategy: rules, rules: [{use: [x], only: true}]"
HOURS = "strategy: rules, rules: [{when: 'hour > 3', use: [play/big]}]"


@pytest.fixture
def planned(tmp_path):
    (tmp_path / "script.yaml").write_text(
        "models: {big: {answers: [{say: hi}]}, small: {answers: [{say: ho}]}, vectors: {answers: [{say: a}]}, others: {answers: [{say: a}]}}\n"
    )

    def plan(routing="", big="", small="", helper="big", provider="play", embedder="vectors", cache="exact"):
        path = tmp_path / "switchgear.yaml"
        wanted = {"routing": routing, "big": big, "small": small, "helper": helper, "provider": provider}
        path.write_text(FRAME.format(**wanted, embedder=embedder, cache=cache))
        settings = load(path, {})
        return modelled(settings, open_prices(settings))["a"].caching, settings

    return plan


@pytest.fixture
def revision(planned):
    return lambda *args, **more: planned(*args, **more)[0].revision


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"routing": RULES, "big": ", name: x", "small": ", name: y"}, {"routing": RULES, "big": ", name: y", "small": ", name: x"}),
        ({"routing": "strategy: complexity", "big": ", handles: 0.2"}, {"routing": "strategy: complexity", "small": ", handles: 0.2"}),
        ({"routing": "strategy: weighted", "big": ", weight: 0"}, {"routing": "strategy: weighted", "small": ", weight: 0"}),
        ({"routing": f"{HOURS}, time_zone: UTC"}, {"routing": f"{HOURS}, time_zone: Europe/Vienna"}),
        (
            {"routing": "strategy: cascade, cascade: {escalate_on: [judge], judge: {model: helper}}"},
            {"routing": "strategy: cascade, cascade: {escalate_on: [judge], judge: {model: helper}}", "helper": "small"},
        ),
        (
            {"routing": "strategy: cascade, cascade: {escalate_on: [judge], judge: {model: helper}}"},
            {"routing": "strategy: cascade, cascade: {escalate_on: [judge], judge: {model: helper}}", "provider": "far"},
        ),
        (
            {"routing": "strategy: vote, vote: {decide: judge, judge: {model: helper}}"},
            {"routing": "strategy: vote, vote: {decide: judge, judge: {model: helper}}", "helper": "small"},
        ),
    ],
    ids=["names", "handles", "weight 0", "time zone", "judge", "judge's provider", "vote's judge"],
)  # fmt: skip
def test_what_sends_calls_elsewhere_makes_another_revision(revision, one, other):
    assert revision(**one) != revision(**other)
    assert revision(**one) == revision(**one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"routing": "strategy: weighted"}, {"routing": "strategy: weighted", "big": ", weight: 3"}),
        ({"routing": "deadline: 5"}, {"routing": "deadline: 50"}),
        ({"routing": "strategy: fallback"}, {"routing": "strategy: fallback", "helper": "small"}),
    ],
    ids=["shares", "deadline", "another model"],
)
def test_what_only_moves_load_makes_none(revision, one, other):
    assert revision(**one) == revision(**other)


def test_rules_that_look_at_who_asks_are_in_the_key(planned):
    """What a model's shelf is opened with tells those apart whom a rule sends elsewhere, and nobody else."""
    plan, settings = planned("strategy: rules, rules: [{when: \"team == 'vip'\", use: [play/big]}]")
    clock = Clock(wall=lambda: 0.0, monotonic=lambda: 0.0)
    around = Around(clock=clock, chance=lambda: 0.0, beside=None, policy="", touched=lambda call: False)
    shelf = open_shelf("a", "", plan, ("play/big",), open_caching(settings, clock), around)
    fields = {"messages": [{"role": "user", "content": "hi"}]}
    call = Call(
        id="call_1", operation="generate", dialect="openai_chat", model="a", stream=False, received=0.0, body=b"",
        caller=Caller(id="key_1", tenant="acme"), fields=fields,
    )  # fmt: skip

    def key(team):
        caller = msgspec.structs.replace(call.caller, team=team)
        return shelf.keys.key(msgspec.structs.replace(call, caller=caller), fields)

    assert key("vip") != key("red") == key("blue")


def test_another_model_behind_the_name_that_embeds_questions_finds_none_of_the_old_vectors(planned):
    one, other, exact = (
        planned(cache=cache, embedder=embedder)[0]
        for cache, embedder in (("semantic", "vectors"), ("semantic", "others"), ("exact", "vectors"))
    )

    assert one.embedding != other.embedding
    assert one.revision == other.revision, "the same call still finds its answer"
    assert exact.embedding == ""


def test_the_revision_of_what_embeds_is_in_the_place_of_a_question():
    world = World(semantic=object())
    call = world.call()
    one, other = (
        msgspec.structs.replace(world.shelf, embedding=name).question(call, CacheWish()) for name in ("a", "b")
    )

    assert one.partition != other.partition


async def test_what_is_removed_is_not_kept_as_it_was_written_either(planned):
    plan, settings = planned()
    world = World(ttl=100)
    caching = open_caching(settings, world.clock)
    around = Around(clock=world.clock, chance=lambda: 0.0, beside=None, policy="", touched=lambda call: False)
    shelf = open_shelf("a", "", plan, (TARGET,), caching, around)
    cached = open_cached(shelf, caching, around).around(world.model)
    heard = []
    caching.store.watch(heard.extend)
    for _ in range(2):
        await cached(world.call(stream=False), Heard())
    assert len(caching.means.documents._known) == 1

    (entry,) = await caching.store.remove(Selection(model="a", tenant=ADA.tenant))

    assert (len(caching.means.documents._known), caching.means.documents._held) == (0, 0)
    assert heard == [entry], "and all who watch hear of it"
