"""The simulated cluster through its tools: what goes wrong is seen, the right write mends it, the wrong one does not, and all of it is the same
each time."""

import pytest

from mcp_servers.platform_ctl.program import build
from mcp_servers.serving import ConfigurationError

INCIDENTS = {
    "crash_loop": ("shop/cart", ("restart", "shop/cart", {}), ("scale", "shop/cart", {"replicas": 3}), "app.lock"),
    "bad_rollout": ("shop/web", ("rollback", "shop/web", {}), ("restart", "shop/web", {}), "unknown key"),
    "disk_full": ("node-2", ("drain", "node-2", {}), None, "no space left on device"),
    "dependency_down": ("data/db", ("restart", "data/db", {}), ("restart", "shop/web", {}), "wait for a lock"),
    "certificate_expiry": ("shop/cart", ("restart", "shop/cart", {}), ("scale", "shop/cart", {"replicas": 3}), "expired"),
    "traffic_spike": ("shop/web", ("scale", "shop/web", {"replicas": 6}), None, "queue is full"),
}  # fmt: skip


async def make(control, write):
    verb, target, more = write
    if verb == "drain":
        return await control.ask(verb, node=target, **more)
    namespace, name = target.split("/")
    return await control.ask(verb, namespace=namespace, workload=name, **more)


async def pass_time(control, calls):
    for _ in range(calls):
        await control.ask("list")


async def states(control):
    return {f"{each['namespace']}/{each['name']}": each["state"] for each in (await control.ask("list"))["workloads"]}


@pytest.mark.parametrize("kind", sorted(INCIDENTS))
async def test_an_incident_is_seen_and_is_mended_by_what_mends_it_and_by_nothing_else(simulated, control_of, kind):
    target, right, wrong, clue = INCIDENTS[kind]
    config = simulated({"kind": kind, "target": target, "at": 20, "factor": 3})
    async with control_of(config) as control:
        before = await states(control)
        await pass_time(control, 40)
        during = await states(control)
        told = [
            line["text"]
            for namespace, name in (("shop", "web"), ("shop", "cart"), ("data", "db"))
            for previous in (False, True)
            for line in (await control.ask("logs", namespace=namespace, workload=name, previous=previous))["lines"]
        ]
        tried = await make(control, wrong) if wrong else None
        mended = await make(control, right)
        await pass_time(control, 10)
        after = await states(control)

    assert set(before.values()) == {"healthy"}
    assert set(during.values()) != {"healthy"}
    assert any(clue in text for text in told)
    assert tried is None or tried["check"]["holds"] is False, tried
    assert mended["changed"]
    assert mended["check"]["holds"] is True, mended
    assert set(after.values()) == {"healthy"}


async def test_without_an_incident_everything_stays_healthy(simulated, control_of):
    async with control_of(simulated()) as control:
        await pass_time(control, 100)
        found = await states(control)
        events = (await control.ask("events", namespace="shop"))["events"]

    assert set(found.values()) == {"healthy"}
    assert [each for each in events if each["kind"] == "Warning"] == []


async def test_what_a_dependency_does_to_others_is_seen_there_and_ends_with_it(simulated, control_of):
    async with control_of(simulated({"kind": "dependency_down", "target": "data/db", "at": 10})) as control:
        await pass_time(control, 20)
        web = await control.workload("shop/web")
        await control.ask("restart", namespace="data", workload="db")
        await pass_time(control, 10)
        after = await control.workload("shop/web")

    assert (web["state"], web["ready"]) == ("failed", 0)
    assert "data/db: connection refused" in web["says"]
    assert (after["state"], after["ready"]) == ("healthy", 3)


async def test_a_fix_that_the_script_gives_no_chance_fails_its_check(simulated, control_of):
    incident = {"kind": "certificate_expiry", "target": "shop/cart", "at": 10, "fixed_by": []}
    async with control_of(simulated(incident)) as control:
        await pass_time(control, 20)
        written = await control.ask("restart", namespace="shop", workload="cart")

    assert written["changed"]
    assert written["check"]["holds"] is False
    assert "certificate has expired" in written["check"]["says"]
    assert written["check"]["seconds"] >= 60


async def test_two_incidents_at_once_are_mended_one_by_one(simulated, control_of):
    config = simulated(
        {"kind": "crash_loop", "target": "shop/cart", "at": 10}, {"kind": "bad_rollout", "target": "shop/web", "at": 15}
    )
    async with control_of(config) as control:
        await pass_time(control, 40)
        await control.ask("restart", namespace="shop", workload="cart")
        one = await states(control)
        await control.ask("rollback", namespace="shop", workload="web")
        both = await states(control)

    assert (one["shop/cart"], one["shop/web"]) == ("healthy", "degraded")
    assert set(both.values()) == {"healthy"}


async def test_the_same_calls_see_the_same_cluster(simulated, control_of, tmp_path):
    config = simulated({"kind": "bad_rollout", "target": "shop/web", "at": 20})
    told = []
    for _ in range(2):
        (tmp_path / "world.json").unlink(missing_ok=True)
        async with control_of(config) as control:
            await pass_time(control, 30)
            said = [await control.ask("describe", namespace="shop", workload="web")]
            said.append(
                await control.ask("rollback", namespace="shop", workload="web", idempotency_key=f"k{len(told)}")
            )
            said[-1].pop("idempotency_key")
            said.append(await control.ask("events", namespace="shop"))
            told.append(said)

    assert told[0] == told[1]


async def test_the_cluster_goes_on_in_its_file_when_the_program_begins_anew(simulated, control_of):
    config = simulated({"kind": "crash_loop", "target": "shop/cart", "at": 10})
    async with control_of(config) as control:
        await pass_time(control, 30)
        first = (await control.ask("describe", namespace="shop", workload="cart"))["pods"]
    async with control_of(config) as control:
        second = (await control.ask("describe", namespace="shop", workload="cart"))["pods"]

    assert [pod["name"] for pod in first] == [pod["name"] for pod in second]
    assert all(pod["restarts"] > 0 for pod in second)


async def test_by_the_real_clock_time_passes_by_itself(simulated, control_of):
    config = simulated({"kind": "crash_loop", "target": "shop/cart", "at": 30}, clock={"clock": "real", "speed": 100.0})
    async with control_of(config) as control:
        while (await states(control))["shop/cart"] != "failed":
            pass  # bounded by control_of
        written = await control.ask("restart", namespace="shop", workload="cart")

    assert written["check"]["holds"] is True


@pytest.mark.parametrize(
    ("incident", "says"),
    [
        ({"kind": "crash_loop", "target": "shop/away"}, "environments.test.platform.incidents[0].target: there is no 'shop/away'"),
        ({"kind": "disk_full", "target": "shop/web"}, "there is no 'shop/web'"),
        ({"kind": "earthquake", "target": "shop/web"}, "earthquake"),
    ],
)  # fmt: skip
def test_a_script_that_speaks_of_what_is_not_there_is_refused(simulated, incident, says):
    with pytest.raises(ConfigurationError) as error:
        build(simulated(incident))

    assert says in str(error.value)


def test_a_saved_state_that_is_none_is_refused_with_its_place(simulated, tmp_path):
    config = simulated()
    (tmp_path / "world.json").write_text('{"now": "yesterday"}')

    with pytest.raises(ConfigurationError, match=r"world\.json: this is no state of a simulated cluster"):
        build(config)
