"""All that routing can do, at once and by chance: whatever is configured and whatever happens, nothing is left behind.

Calls of models that are drawn by chance go through the whole pipeline to scripted targets that are slow, fail, break off or say
nothing, while clients leave and the configuration is reloaded. Then every call has exactly one record and one entry, and no place,
no probe, no waiter, no task and no provider is left.
"""

import asyncio
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import msgspec
import pytest
import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gateway import live as live_module
from gateway.agent_source import AgentSource
from gateway.api.identity.identities import Identities
from gateway.config import ConfigError
from gateway.config.load import parse
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import ClientLeft, SwitchgearError
from gateway.core.events import CutShort, Finished, Started
from gateway.dialects.openai_chat.decode_call import decode_call
from gateway.documents import open_sources
from gateway.live import Live
from gateway.pipeline.route import Surroundings
from gateway.routing.affinity import Origins
from gateway.routing.condition import Conditions
from tests.unit.virtual_time import run_in_virtual_time

TARGETS = ("a/one", "a/two", "b/three", "b/four")
LIMITS = st.sampled_from([None, 1, 1, 2])
SECONDS = st.sampled_from([0, 0, 0.2, 1.5, 4])
FAILURES = st.sampled_from(
    [
        {"status": 500}, {"status": 503, "retry_after": 2}, {"status": 429, "retry_after": 1}, {"status": 400}, {"status": 401},
        {"broken": True}, {"broken": True, "after_deltas": 1}, {"broken": True, "after_deltas": 2}, {"silent": True},
        {"silent": True, "after_deltas": 2}, {"status": 500, "times": 1}, {"broken": True, "after_deltas": 2, "times": 1},
        {"silent": True, "times": 1},
    ]
)  # fmt: skip
STRATEGIES = ("fallback", "weighted", "cascade", "vote", "sticky", "latency", "least_busy", "cheapest", "prefix")
STEPS = ("queue", {"model": "spare"}, {"static": "Later."})


@st.composite
def answers(draw):
    said = {
        "say": draw(st.sampled_from(["yes yes yes", "yes yes yes", "no no", ""])),
        "delay": draw(SECONDS),
        "pace": draw(SECONDS),
    }
    if not draw(st.integers(0, 2)):
        said["usage"] = {"input": 3, "output": 3}
    failing = [{**said, "fail": draw(FAILURES)}] if draw(st.booleans()) else []
    return [*failing, said]


@st.composite
def routings(draw, *, steps=True, strategies=STRATEGIES):
    """The routing of a model, or (without `steps`) of one version."""
    strategy = draw(st.sampled_from(strategies))
    routing = {"strategy": strategy, "deadline": draw(st.sampled_from([3, 20]))}
    if strategy == "cascade":
        routing["cascade"] = {
            "escalate_on": ["empty", "judge"], "judge": {"model": "judge", "timeout": 2},
            "last_resort": draw(st.sampled_from([[], ["judge"]])),
        }  # fmt: skip
    if strategy == "vote":
        routing["vote"] = {"timeout": 5} if draw(st.booleans()) else {"decide": "judge", "judge": {"model": "judge"}}
    if draw(st.booleans()):
        routing["hedge"] = {"after": 0.5, "least": 0.1, "most": 1, "share": 1}
    if draw(st.booleans()):
        routing["continuation"] = {"times": 2}
    if draw(st.booleans()):
        routing["retry"] = {"attempts": 3, "base": 0.5}
    if draw(st.booleans()):
        routing["queue"] = {"most": draw(st.sampled_from([1, 3])), "longest": 5}
    if steps and draw(st.booleans()):
        # Whatever follows a static answer is never reached, and refused.
        routing["degrade"] = sorted(
            draw(st.lists(st.sampled_from(STEPS), unique_by=str, max_size=3)), key=lambda step: "static" in step
        )
    if steps and draw(st.booleans()):
        routing["fallbacks"] = {"general": ["spare"]}
    return routing


@st.composite
def configurations(draw):
    """Everything that an operator writes. The limits of targets are no part of what a reload changes here."""
    limits = {name: draw(LIMITS) for name in TARGETS}

    def target(name):
        limit = {} if limits[name] is None else {"concurrency": limits[name]}
        provider, _, model = name.partition("/")
        lacking = draw(st.sampled_from([{}, {"without": ["n", "stop"]}]))
        return {"provider": provider, "model": model, "abilities": {"prefill": True, **lacking}, **limit}

    def some():
        return [target(name) for name in draw(st.lists(st.sampled_from(TARGETS), min_size=2, max_size=3, unique=True))]

    model = {"on_unsupported": draw(st.sampled_from(["error", "drop", "emulate"]))}
    if draw(st.booleans()):
        model["routing"] = draw(routings(strategies=["fallback"]))
        model["versions"] = {
            name: {"targets": some(), "routing": draw(routings(steps=False))} for name in ("blue", "green")
        }
        model["ab"] = {"blue": 1, "green": 1}
    else:
        model["routing"] = draw(routings())
        model["targets"] = some()
    return {
        "providers": {name: {"kind": "scripted", "document": f"{name}.yaml"} for name in ("a", "b")},
        "models": {
            "chat": model,
            "other": {"targets": some(), "routing": draw(routings())},
            "spare": {"targets": [target(draw(st.sampled_from(TARGETS)))]},
            "judge": {"targets": [{"provider": "a", "model": "judge"}]},
        },
    }


@st.composite
def scripts(draw):
    judge = {
        "say": draw(st.sampled_from(['{"score": 0.9}', '{"score": 0.1}', '{"best": 1}', "?"])),
        "delay": draw(SECONDS),
    }
    models = {name: {"answers": draw(answers())} for name in TARGETS}
    models["a/judge"] = {"answers": [judge]}
    return {
        side: {"models": {name.partition("/")[2]: one for name, one in models.items() if name.startswith(side)}}
        for side in ("a", "b")
    }


COMING = st.fixed_dictionaries(
    {
        "at": st.sampled_from([0, 0, 0, 0.3, 2]),
        "model": st.sampled_from(["chat", "chat", "other"]),
        "stream": st.booleans(),
        "background": st.sampled_from([False, False, False, True]),
        "caller": st.sampled_from(["x", "y"]),
        "leaves": st.sampled_from([60, 60, 60, 0, 0.1, 0.6, 1.7, 3]),
        "takes": st.sampled_from([0, 0, 0.4]),
        "fields": st.sampled_from([{}, {}, {"n": 2}, {"stop": ["no"]}]),
    }
)


class Counted:
    """A provider as it is, but for counts of how many calls each of its targets has, and had at most."""

    def __init__(self, provider, world):
        self._provider = provider
        self._world = world
        self.closed = 0
        world.providers.append(self)

    def __getattr__(self, name):
        return getattr(self._provider, name)

    def responder(self, target):
        inner, there, most = self._provider.responder(target), self._world.there, self._world.most

        async def answer(call, send):
            there[target.name] += 1
            most[target.name] = max(most[target.name], there[target.name])

            async def tell(one):
                if isinstance(one, (Finished, CutShort)):
                    self._world.used.append((call.id, target.name, one.usage.total))
                await send(one)

            try:
                await inner(call, tell)
            finally:
                there[target.name] -= 1

        return answer

    async def aclose(self):
        self.closed += 1
        await self._provider.aclose()


class Traffic:
    """One server's worth of routing, and all that may be left of calls."""

    def __init__(self, folder, configuration, patched):
        opened = live_module.open_provider
        patched.setattr(live_module, "open_provider", lambda name, wanted: Counted(opened(name, wanted), self))
        self.folder = folder
        self.configuration = configuration
        self.records, self.entries, self.heard = [], Counter(), {}
        self.there, self.most, self.providers, self.used = Counter(), Counter(), [], []
        clock = Clock(monotonic=asyncio.get_running_loop().time, wall=asyncio.get_running_loop().time)
        self.now = clock.monotonic
        self.conditions = Conditions(lambda: 0.5)
        surroundings = Surroundings(
            take_record=self.records.append, cost=lambda target, usage: 1, clock=clock, conditions=self.conditions,
            open_entry=lambda call, targets: self.entries.update([call.id]), chance=lambda: 0.5, origins=Origins(clock.monotonic),
        )  # fmt: skip
        self.lines, self.splits = surroundings.lines, surroundings.splits
        self.live = Live(
            self._settings(), self._load, surroundings, identities=Identities(),
            sources=open_sources(folder / "switchgear.yaml", {}, AgentSource(folder / "switchgear.yaml", {}), clock),
        )  # fmt: skip

    def _settings(self):
        return parse(yaml.safe_dump(self.configuration).encode(), self.folder / "switchgear.yaml", {})

    async def _load(self):
        return self._settings()

    async def call(self, number, coming):
        """One call, as the door makes it. `leaves` is when its client goes."""
        await anyio.sleep(coming["at"])
        generation = self.live.current()
        generation.hold()
        heard = self.heard[f"call_{number}"] = []

        async def send(event):
            if coming["takes"]:
                await anyio.sleep(coming["takes"])
            heard.append(event)

        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(coming["leaves"], task.cancel, ClientLeft("The client left."))
        try:
            await generation.routes[coming["model"]].responder(self._call(number, coming), send)
        except SwitchgearError as error:
            heard.append(error)
        except asyncio.CancelledError as left:
            heard.append(left)
            task.uncancel()
        finally:
            alarm.cancel()
            generation.release()

    def _call(self, number, coming):
        fields = {
            "model": coming["model"], "stream": coming["stream"], "messages": [{"role": "user", "content": "Is it so?"}],
            **coming["fields"],
        }  # fmt: skip
        return Call(
            id=f"call_{number}", operation="generate", dialect="openai_chat", model=coming["model"], stream=coming["stream"],
            caller=Caller(id=coming["caller"], kind="key"), received=self.now(), body=msgspec.json.encode(fields), fields=fields,
            content=decode_call(fields), background=coming["background"],
        )  # fmt: skip

    async def reload(self, at):
        """Another deadline, another version in front, and whoever is asked what would happen says the same twice."""
        await anyio.sleep(at)
        call = self._call(99, {"model": "chat", "stream": False, "fields": {}, "caller": "x", "background": False})
        pool = self.live.current().routes["chat"].pool
        told = [pool.decide(call, self.now(), peek=True)[1] for _ in range(2)]
        assert told[0] == told[1]
        self.splits.of("chat").set((("green", 1.0),), "salt", self.now())
        self.configuration["models"]["chat"]["routing"]["deadline"] = 7
        report = await self.live.reload("test")
        assert report.status in ("applied", "unchanged"), report

    async def quiet(self):
        """Let what is closed be closed."""
        for _ in range(50):
            await asyncio.sleep(0)


async def traffic(folder, configuration, comings, reload_at, patched):
    world = Traffic(folder, configuration, patched)
    started = anyio.Event()
    before = asyncio.all_tasks()
    async with anyio.create_task_group() as server:
        server.start_soon(world.live.run, started)
        await started.wait()
        standing = asyncio.all_tasks()
        with anyio.fail_after(300):
            async with anyio.create_task_group() as calls:
                for number, coming in enumerate(comings):
                    calls.start_soon(world.call, number, coming)
                if reload_at is not None:
                    calls.start_soon(world.reload, reload_at)
        await world.quiet()
        assert asyncio.all_tasks() == standing, "a task was left"
        check(world, comings)
        server.cancel_scope.cancel()
    assert asyncio.all_tasks() == before
    assert all(provider.closed == 1 for provider in world.providers)


def check(world, comings):
    ids = [f"call_{number}" for number in range(len(comings))]
    assert sorted(record.id for record in world.records) == ids
    assert world.entries == Counter(ids)
    for condition in world.conditions:
        name, gate = condition.target, condition.gate
        assert condition.in_flight == 0, name
        assert condition.breaker._probing == 0, name
        if gate is not None:
            assert (gate.taken, gate._promised) == (0, {}), name
            assert world.most[name] <= gate.limit, name
            assert not any(gate._turns.values()), name
    assert all(not count for count in world.there.values())
    assert all((line.waiting, line._members) == (0, set()) for line in world.lines)
    current = world.live.current()
    assert current.idle
    open_ones = [provider for provider in world.providers if not provider.closed]
    assert all(any(one is provider for provider in current.providers.values()) for one in open_ones)
    for record in world.records:
        if not record.parameters.get("n"):  # the answers of several choices are added up
            used = Counter((target, total) for call, target, total in world.used if call == record.id)
            told = [(f"{record.provider}/{record.served}", record.usage.total)] if record.usage is not None else []
            told += [(each.target, each.usage.total) for each in record.beside]
            assert not used - Counter(told), "what a target has used stands in no row"
        check_call(record, world.heard[record.id], versioned="versions" in world.configuration["models"][record.model])


def check_call(record, heard, *, versioned):
    begun = [one for one in heard if isinstance(one, Started)]
    ended = [one for one in heard if isinstance(one, Finished)]
    failed = [one for one in heard if isinstance(one, BaseException)]
    assert len(begun) <= 1
    assert len(ended) + len(failed) == 1
    assert heard[-1] is (ended or failed)[0]
    if ended:
        assert begun
        assert record.status == 200
        assert record.error is None or record.degraded == "static"
    if versioned and record.decision is not None:
        assert record.version, "a call without its version is no evidence for it"
        assert not begun or begun[0].version == record.version
    if begun and record.degraded:
        assert (b"x-switchgear-degraded", record.degraded.encode()) in begun[0].headers
    if record.usage is not None:
        assert record.provider, "what was used belongs to nobody"
    event(f"degraded {record.degraded}" if record.degraded else f"error {record.error}")
    for each in record.beside:
        event(f"beside {each.why}")


@settings(max_examples=80)
@given(
    configuration=configurations(),
    script=scripts(),
    comings=st.lists(COMING, min_size=1, max_size=6),
    reload_at=st.sampled_from([None, 0.05, 1, 3]),
)
def test_whatever_is_combined_and_whatever_happens_nothing_is_left(configuration, script, comings, reload_at):
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        folder = Path(name)
        for side, document in script.items():
            (folder / f"{side}.yaml").write_text(yaml.safe_dump(document))
        try:
            run_in_virtual_time(lambda: traffic(folder, configuration, comings, reload_at, patched))
        except ConfigError as error:
            event(f"refused {error.faults[0].message[:60]}")
