"""What holds for every write, whatever the platform: what is not allowed is not done, a dry run does nothing, and a key is used once."""

import json

import anyio
import msgspec
import pytest

from mcp_servers.platform_ctl.cluster import Order, Plan, Reference
from mcp_servers.platform_ctl.program import build
from mcp_servers.platform_ctl.settings import Limits, PostCheck, Settings
from mcp_servers.platform_ctl.simulated.backend import SimulatedBackend
from mcp_servers.platform_ctl.writing import Place, Writer
from mcp_servers.receipts import Receipt, Receipts
from mcp_servers.serving import ConfigurationError, load
from mcp_servers.verbs import Refused

CART = {"namespace": "shop", "workload": "cart"}
WRITES = {
    "restart": CART,
    "scale": {"namespace": "shop", "workload": "cart", "replicas": 4},
    "rollback": {"namespace": "shop", "workload": "web"},
    "drain": {"node": "node-1"},
}


def world(tmp_path):
    return json.loads((tmp_path / "world.json").read_text())


def changes(tmp_path):
    found = world(tmp_path)
    return [each["changed"] for each in found["workloads"]], [node["cordoned"] for node in found["nodes"]]


async def test_the_tools_say_what_they_take_and_give_and_what_a_second_call_does(simulated, control_of):
    async with control_of(simulated()) as control:
        tools = {tool.name: tool for tool in (await control.client.list_tools()).tools}

    reads = ["describe", "events", "list", "logs", "rollout_status"]
    assert list(tools) == sorted([*reads, *WRITES])
    assert [name for name, tool in tools.items() if tool.annotations.read_only_hint] == reads
    assert {name: tools[name].annotations.idempotent_hint for name in WRITES} == {
        "restart": False,
        "scale": True,
        "rollback": False,
        "drain": True,
    }
    for name in WRITES:
        assert {"dry_run", "idempotency_key"} <= set(tools[name].input_schema["properties"])
        assert tools[name].annotations.destructive_hint
    for tool in tools.values():
        assert tool.input_schema["additionalProperties"] is False
        assert "$ref" not in json.dumps(tool.output_schema)


@pytest.mark.parametrize("verb", sorted(WRITES))
async def test_a_dry_run_says_the_difference_and_changes_nothing(simulated, control_of, tmp_path, verb):
    async with control_of(simulated()) as control:
        before = await control.ask("list")
        dry = await control.ask(verb, **WRITES[verb], dry_run=True, idempotency_key="dry")
        left = changes(tmp_path)
        wet = await control.ask(verb, **WRITES[verb], idempotency_key="dry")

    assert before["count"] == 3
    assert (dry["changed"], dry["dry_run"], dry["check"]["holds"]) == (False, True, None)
    assert dry["diff"]
    assert left == ([0, 0, 0, 0], [False, False, False])
    assert wet["changed"]
    assert wet["diff"] == dry["diff"]
    assert changes(tmp_path) != left


@pytest.mark.parametrize("verb", sorted(WRITES))
async def test_a_key_is_used_once_also_by_a_program_that_began_later(simulated, control_of, tmp_path, verb):
    config = simulated()
    async with control_of(config) as control:
        first = await control.ask(verb, **WRITES[verb], idempotency_key="one")
        again = await control.ask(verb, **WRITES[verb], idempotency_key="one")
    async with control_of(config) as control:
        later = await control.ask(verb, **WRITES[verb], idempotency_key="one")
        other = await control.refusal("restart", namespace="data", workload="db", idempotency_key="one")

    assert first["replayed"] is False
    assert again == later == first | {"replayed": True}
    assert "was used for another write" in other
    counted, cordoned = changes(tmp_path)
    assert sum(counted) + sum(cordoned) == 1


async def test_the_same_call_twice_at_once_is_made_once(simulated, control_of, tmp_path):
    told = []

    async def call(control):
        told.append(await control.ask("restart", **CART, idempotency_key="one"))

    async with control_of(simulated()) as control, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call, control)

    assert sum(changes(tmp_path)[0]) == 1
    assert len({json.dumps(each | {"replayed": True}, sort_keys=True) for each in told}) == 1


REFUSED = [
    ("list", {"namespace": "kube-system"}, "'kube-system' is not listed for test. Listed: shop, data."),
    ("describe", {"namespace": "kube-system", "workload": "dns"}, "is not listed"),
    ("logs", {"namespace": "kube-system", "workload": "dns"}, "is not listed"),
    ("events", {"namespace": "kube-system"}, "is not listed"),
    ("rollout_status", {"namespace": "kube-system", "workload": "dns"}, "is not listed"),
    ("restart", {"namespace": "kube-system", "workload": "dns"}, "is not listed"),
    ("restart", {"namespace": "shop", "workload": "dns"}, "There is no workload shop/dns here."),
    ("restart", {"namespace": "shop", "workload": "../kube-system/dns"}, "$.workload"),
    ("restart", {"namespace": "shop", "workload": "cart\n"}, "$.workload"),
    ("restart", {"namespace": "shop", "workload": "cart", "force": True}, "'force' was unexpected"),
    ("restart", {"namespace": "shop", "workload": "cart", "idempotency_key": ""}, "$.idempotency_key"),
    ("restart", {"namespace": "shop", "workload": "cart", "kind": "statefulset"}, "There is no workload shop/cart here."),
    ("restart", {"environment": "production", **CART}, "$.environment"),
    ("scale", {**CART, "replicas": 0}, "shop/cart may be scaled to 1 to 6 replicas in test, not to 0."),
    ("scale", {**CART, "replicas": 7}, "to 1 to 6 replicas"),
    ("scale", {**CART, "replicas": True}, "$.replicas"),
    ("scale", {**CART, "replicas": "4"}, "$.replicas"),
    ("scale", CART, "'replicas' is a required property"),
    ("scale", {"namespace": "data", "workload": "db", "replicas": 3}, "data/db may not be scaled in test"),
    ("rollback", CART, "has not an earlier revision to go back to"),
    ("rollback", {"namespace": "shop", "workload": "web", "to_revision": 9}, "has not a revision 9"),
    ("drain", {"node": "node-3"}, "'node-3' may not be drained in test. Nodes that may be: node-1, node-2."),
    ("drain", {"node": "away"}, "may not be drained"),
    ("logs", {**CART, "lines": 10_000_000}, "$.lines"),
    ("delete", {}, "There is no tool 'delete' here."),
]  # fmt: skip


async def test_what_is_not_allowed_is_refused_with_its_reason_and_changes_nothing(simulated, control_of, tmp_path):
    async with control_of(simulated()) as control:
        told = [(verb, arguments, says, await control.refusal(verb, **arguments)) for verb, arguments, says in REFUSED]
        dry = [
            await control.refusal(verb, **arguments, dry_run=True)
            for verb, arguments, _ in REFUSED
            if verb in WRITES and "force" not in arguments
        ]
        await control.ask("list")

    assert [(verb, arguments, text) for verb, arguments, says, text in told if says not in text] == []
    assert len(dry) > 10
    assert changes(tmp_path) == ([0, 0, 0, 0], [False, False, False])


async def test_a_node_with_pods_of_others_is_not_drained(simulated, control_of, tmp_path):
    async with control_of(simulated(namespaces=["shop"])) as control:
        told = await control.refusal("drain", node="node-1")

    assert "of namespaces that are not listed here: it is not drained" in told
    assert changes(tmp_path)[1] == [False, False, False]


async def test_a_write_that_no_environment_allows_is_not_offered(simulated, control_of):
    async with control_of(simulated(writes=["restart"])) as control:
        tools = [tool.name for tool in (await control.client.list_tools()).tools]
        told = await control.refusal("scale", **CART, replicas=3)

    assert set(tools) & set(WRITES) == {"restart"}
    assert told == "There is no tool 'scale' here."


async def test_what_is_so_already_is_not_changed(simulated, control_of, tmp_path):
    async with control_of(simulated()) as control:
        written = await control.ask("scale", **CART, replicas=2)

    assert (written["changed"], written["diff"], written["check"]["holds"]) == (False, [], True)
    assert sum(changes(tmp_path)[0]) == 0


async def test_a_program_killed_in_the_middle_of_a_write_makes_it_once(
    simulated, control_of, kill_in_the_middle, tmp_path
):
    """While the wanted state is waited for; the same call again waits anew, and restarts nothing anew."""
    config, journal = simulated(clock={"clock": "real", "speed": 1.0}), tmp_path / "journal.jsonl"
    call = CART | {"idempotency_key": "one"}
    await kill_in_the_middle(config, "restart", call, lambda: journal.exists() and "applied" in journal.read_text())
    killed = journal.read_text()
    async with control_of(config) as control:
        written = await control.ask("restart", **call)

    assert "done" not in killed
    assert written["check"]["holds"] is True
    assert sum(changes(tmp_path)[0]) == 1


class Dying:
    """A platform whose program dies at carrying out: before it, or right after it."""

    def __init__(self, backend, *, done):
        self._backend = backend
        self._done = done

    def __getattr__(self, name):
        return getattr(self._backend, name)

    async def carry_out(self, order, plan, mark):
        if self._done:
            await self._backend.carry_out(order, plan, mark)
        raise KeyboardInterrupt


ORDERS = {
    "restart": Order(verb="restart", workload=Reference(namespace="shop", name="cart")),
    "scale": Order(verb="scale", workload=Reference(namespace="shop", name="cart"), replicas=4),
    "rollback": Order(verb="rollback", workload=Reference(namespace="shop", name="web")),
    "drain": Order(verb="drain", node="node-1"),
}


def opened(config, tmp_path):
    settings = load(config, Settings)
    test = settings.environments["test"]
    backend = SimulatedBackend(test.platform, tmp_path)
    writer = Writer(Receipts(tmp_path / "journal.jsonl", most=100), Limits(), PostCheck(seconds=60))
    return writer, Place(name="test", settings=test, backend=backend)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("verb", sorted(ORDERS))
async def test_whenever_the_program_dies_the_same_key_finds_out_and_makes_it_once(simulated, tmp_path, verb, done):
    writer, place = opened(simulated(), tmp_path)
    dying = msgspec.structs.replace(place, backend=Dying(place.backend, done=done))
    with pytest.raises(KeyboardInterrupt):
        await writer.write(dying, ORDERS[verb], key="one", dry_run=False)
    died = changes(tmp_path)

    written = await writer.write(place, ORDERS[verb], key="one", dry_run=False)

    assert sum(died[0]) + sum(died[1]) == int(done)
    assert sum(changes(tmp_path)[0]) + sum(changes(tmp_path)[1]) == 1
    assert written.check.holds is True


async def test_when_something_else_was_changed_since_nothing_is_done_and_it_says_so(simulated, tmp_path):
    writer, place = opened(simulated(), tmp_path)
    dying = msgspec.structs.replace(place, backend=Dying(place.backend, done=False))
    with pytest.raises(KeyboardInterrupt):
        await writer.write(dying, ORDERS["restart"], key="one", dry_run=False)
    await writer.write(place, ORDERS["scale"], key="two", dry_run=False)

    with pytest.raises(Refused, match="cannot be found out whether it was made"):
        await writer.write(place, ORDERS["restart"], key="one", dry_run=False)
    assert sum(changes(tmp_path)[0]) == 1


async def test_a_key_whose_write_was_refused_can_be_used_again(simulated, control_of):
    async with control_of(simulated()) as control:
        await control.refusal("rollback", **CART, idempotency_key="one")
        written = await control.ask("restart", **CART, idempotency_key="one")

    assert written["changed"]


def test_half_a_line_of_the_journal_is_no_step_and_spoils_none(tmp_path):
    receipts = Receipts(tmp_path / "journal", most=10)
    receipts.note(Receipt(key="a", digest="1", step="done", result={"x": 1}))
    with (tmp_path / "journal").open("ab") as file:
        file.write(b'{"key":"b","digest":"2","st')
    receipts.note(Receipt(key="c", digest="3", step="begun", plan=Plan(changes=[])))

    assert receipts.find("a").result == {"x": 1}
    assert receipts.find("b") is None
    assert receipts.find("c").step == "begun"


def test_the_journal_stays_small_and_forgets_no_write_that_is_under_way(tmp_path):
    receipts = Receipts(tmp_path / "journal", most=10)
    receipts.note(Receipt(key="old", digest="1", step="begun", plan={"x": 1}))
    for number in range(50):
        receipts.note(Receipt(key=f"k{number}", digest="1", step="done", result={}))

    assert len((tmp_path / "journal").read_bytes().splitlines()) <= 20
    assert receipts.find("old").plan == {"x": 1}
    assert receipts.find("k49") is not None
    assert receipts.find("k0") is None


async def test_one_at_a_time_holds_the_journal_and_others_are_told(tmp_path):
    receipts = Receipts(tmp_path / "journal", most=10)
    async with receipts.held(1):
        with pytest.raises(Refused, match="Try again later"):
            async with receipts.held(0.05):
                pass
    async with receipts.held(0.05):
        pass


async def test_lists_lines_and_bytes_are_bounded_and_say_so(simulated, control_of):
    config = simulated(
        {"kind": "certificate_expiry", "target": "shop/web", "at": 5},
        limits={"log_lines": 5, "log_bytes": 1024, "items": 2},
    )
    async with control_of(config) as control:
        for _ in range(40):
            listed = await control.ask("list")
        logs = await control.ask("logs", namespace="shop", workload="web")
        one = await control.ask("logs", namespace="shop", workload="web", pod=logs["lines"][0]["pod"], lines=2)
        events = await control.ask("events", namespace="shop", limit=1)
        described = await control.ask("describe", namespace="shop", workload="web")

    assert (listed["count"], listed["cut"]) == (2, "There are 3, and 2 are shown.")
    assert logs["count"] <= 5
    assert logs["cut"]
    assert sum(len(line["text"]) for line in logs["lines"]) <= 1024
    assert {line["pod"] for line in one["lines"]} == {logs["lines"][0]["pod"]}
    assert one["count"] == 2
    assert (events["count"], events["cut"]) == (1, "There are more than 1: these are the newest.")
    assert len(described["pods"]) == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("journal: journal.jsonl", "limits: {}", "journal: writes are allowed, and need a file"),
        ("journal: journal.jsonl", "journal: away/journal.jsonl", "journal: there is no folder"),
        ("least: 1", "least: 9", "least is more than most"),
        ("shop/*", "shop", "scale"),
        ("- restart", "- delete", "writes"),
        ("namespaces:", "namespace:", "namespace"),
        ("kind: simulated", "kind: imagined", "imagined"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_its_place(simulated, old, new, says):
    config = simulated()
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))

    with pytest.raises(ConfigurationError) as error:
        build(config)

    assert says in str(error.value)
