"""The platform control over the Kubernetes API, spoken to by HTTP: what it reads, what it changes, and what it says when the cluster says no."""

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mcp_servers.platform_ctl.program import build
from mcp_servers.serving import ConfigurationError
from tests.kubernetes_double import TOKEN, running_cluster

WEB = {"namespace": "shop", "workload": "web"}
DB = {"namespace": "data", "workload": "db"}


@pytest.fixture
def shop(configured):
    """Give a cluster with a shop, and the configuration for it."""
    with running_cluster() as (cluster, url):
        for name in ("node-1", "node-2", "node-3"):
            cluster.node(name)
        cluster.deployment("shop", "web", "web:1", 3)
        cluster.change_image("deployments", "shop", "web", "web:2")
        cluster.statefulset("data", "db", "db:1", 2)
        cluster.change_image("statefulsets", "data", "db", "db:2")
        platform = {"kind": "kubernetes", "url": url, "token": "env:CLUSTER_TOKEN"}
        cluster.config = configured(
            platform,
            post_check={"seconds": 3, "every": 0.1, "steady": 0.2},
            limits={"seconds": 3},
            scale={"shop/*": {"most": 6}, "data/*": {"most": 6}},
        )
        yield cluster


def opened(control_of, shop, token=TOKEN):
    return control_of(shop.config, CLUSTER_TOKEN=token)


def wanted(shop, plural, key):
    return shop.objects[plural][key]["spec"]


async def test_workloads_pods_revisions_logs_and_events_are_read(shop, control_of):
    for number in range(7):
        about = {"kind": "Pod", "name": f"web-{number}"}
        shop.put("events", {"metadata": {"namespace": "shop", "name": f"e{number}"}, "type": "Warning", "reason": "BackOff", "message": "again", "count": number + 1, "involvedObject": about, "lastTimestamp": f"2026-01-01T00:00:0{number}Z"})  # fmt: skip
    async with opened(control_of, shop) as control:
        listed = await control.ask("list")
        web = await control.ask("describe", **WEB)
        db = await control.ask("describe", **DB)
        rollout = (await control.ask("rollout_status", **WEB))["rollout"]
        shop.logs[web["pods"][0]["name"]] = [f"\x1b[31mline {number} {'x' * 90}" for number in range(200)]
        logs = await control.ask("logs", **WEB, lines=50)
        previous = await control.ask("logs", **WEB, previous=True)
        events = await control.ask("events", **WEB, limit=3)
        others = await control.ask("events", **DB)

    assert [(each["name"], each["kind"], each["version"], each["state"]) for each in listed["workloads"]] == [
        ("db", "statefulset", "db:2", "healthy"),
        ("web", "deployment", "web:2", "healthy"),
    ]
    assert [node["name"] for node in listed["nodes"]] == ["node-1", "node-2", "node-3"]
    for found, name in ((web, "web"), (db, "db")):
        assert [(each["number"], each["version"], each["current"]) for each in found["history"]] == [
            (2, f"{name}:2", True),
            (1, f"{name}:1", False),
        ]
        assert all(pod["ready"] for pod in found["pods"])
    assert len(web["pods"]) == 3
    assert (rollout["state"], rollout["revision"], rollout["version"]) == ("complete", 2, "web:2")
    assert len([line for line in logs["lines"] if "xxx" in line["text"]]) == 50
    assert "\x1b" not in json.dumps(logs, ensure_ascii=False)
    assert "previous terminated container" in previous["lines"][0]["text"]
    assert [event["count"] for event in events["events"]] == [5, 6, 7]
    assert others["events"] == []


async def test_writes_change_what_they_say_and_leave_their_mark(shop, control_of):
    async with opened(control_of, shop) as control:
        first = (await control.ask("describe", **WEB))["pods"]
        restarted = await control.ask("restart", **WEB, idempotency_key="r")
        second = (await control.ask("describe", **WEB))["pods"]
        scaled = await control.ask("scale", **WEB, replicas=5)
        back = await control.ask("rollback", **WEB, to_revision=1)
        db = await control.ask("rollback", **DB)
        after = (await control.ask("describe", **DB))["workload"]
        restarted_db = await control.ask("restart", **DB)

    for written in (restarted, scaled, back, db, restarted_db):
        assert written["changed"]
        assert written["check"]["holds"] is True, written
    assert not {pod["name"] for pod in first} & {pod["name"] for pod in second}
    web = wanted(shop, "deployments", ("shop", "web"))
    assert (web["replicas"], web["template"]["spec"]["containers"][0]["image"]) == (5, "web:1")
    # What the newer revision had besides is gone: it is not merged.
    assert "annotations" not in web["template"]["metadata"]
    assert web["template"]["metadata"]["labels"] == {"app": "web"}
    assert after["version"] == "db:1"
    assert "$patch" not in wanted(shop, "statefulsets", ("data", "db"))["template"]
    assert len(shop.patches) == 5
    assert len(shop.objects["deployments"]["shop", "web"]["metadata"]["annotations"]["platform-ctl/change"]) == 32


async def test_a_dry_run_sends_no_change(shop, control_of):
    async with opened(control_of, shop) as control:
        for verb, arguments in (
            ("restart", WEB),
            ("scale", {**WEB, "replicas": 2}),
            ("rollback", DB),
            ("drain", {"node": "node-1"}),
        ):
            written = await control.ask(verb, **arguments, dry_run=True)
            assert written["diff"], verb

    assert [each for each in shop.asked if not each.startswith("GET ")] == []


async def test_a_rollout_that_does_not_come_up_fails_its_check(shop, control_of):
    shop.sick_images.add("web:1")
    async with opened(control_of, shop) as control:
        written = await control.ask("rollback", **WEB)
        pod = (await control.ask("describe", **WEB))["pods"][0]

    assert written["changed"]
    assert written["check"]["holds"] is False
    assert "0 ready" in written["check"]["says"]
    assert (pod["state"], pod["restarts"]) == ("CrashLoopBackOff", 3)


async def test_a_node_is_drained_with_regard_to_budgets_and_to_what_belongs_to_it(shop, control_of):
    daemon = {"kind": "DaemonSet", "name": "agent", "uid": "d", "controller": True}
    shop.put("pods", {"metadata": {"namespace": "kube-system", "name": "agent-1", "labels": {}, "ownerReferences": [daemon]}, "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"}})  # fmt: skip
    [name] = [name for (space, name), pod in shop.objects["pods"].items() if pod["spec"]["nodeName"] == "node-1" and space == "shop"]  # fmt: skip
    shop.budgets[name] = 2
    async with opened(control_of, shop) as control:
        written = await control.ask("drain", node="node-1", idempotency_key="d")
        again = await control.ask("drain", node="node-1", idempotency_key="d")

    assert written["check"]["holds"] is True, written
    assert again["replayed"]
    assert shop.objects["nodes"]["", "node-1"]["spec"]["unschedulable"] is True
    assert sorted(shop.evictions) == sorted([name, "db-0"])
    assert shop.objects["pods"]["kube-system", "agent-1"]["spec"]["nodeName"] == "node-1"


@pytest.mark.parametrize(("namespace", "says"), [("other", "namespaces that are not listed"), ("shop", "belong to nothing that would make them anew")])  # fmt: skip
async def test_a_node_with_pods_that_would_be_lost_or_are_of_others_is_not_drained(shop, control_of, namespace, says):
    owners = [{"kind": "Job", "name": "j", "uid": "j", "controller": True}] if namespace == "other" else []
    shop.put("pods", {"metadata": {"namespace": namespace, "name": "one", "labels": {}, "ownerReferences": owners}, "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"}})  # fmt: skip
    async with opened(control_of, shop) as control:
        told = await control.refusal("drain", node="node-1")

    assert says in told
    assert shop.evictions == shop.patches == []


async def test_what_was_written_in_between_is_a_conflict_that_is_tried_again(shop, control_of):
    shop.conflicts = 2
    async with opened(control_of, shop) as control:
        written = await control.ask("scale", **WEB, replicas=4)
        shop.conflicts = 100
        told = await control.refusal("scale", **WEB, replicas=5)

    assert written["check"]["holds"] is True
    assert "Somebody else changed it at the same time" in told
    assert wanted(shop, "deployments", ("shop", "web"))["replicas"] == 4


@pytest.mark.parametrize(("verb", "more"), [("restart", {}), ("scale", {"replicas": 4}), ("rollback", {})])
async def test_what_somebody_else_wants_in_between_is_not_overwritten(shop, control_of, verb, more):
    shop.rival = "web:3"
    async with opened(control_of, shop) as control:
        told = await control.refusal(verb, **WEB, **more)

    assert told == "shop/web was changed by somebody else in the meantime: nothing was done. Look again."
    web = wanted(shop, "deployments", ("shop", "web"))
    assert (web["replicas"], web["template"]["spec"]["containers"][0]["image"]) == (3, "web:3")
    assert shop.patches == []


async def test_what_the_cluster_refuses_is_said_without_the_token_and_the_key_is_free_again(shop, control_of):
    async with opened(control_of, shop) as control:
        absent = await control.refusal("describe", namespace="shop", workload="away")
        shop.throttles = 2
        patient = await control.ask("describe", **WEB)
        shop.throttles = 1000
        throttled = await control.refusal("list")
        shop.throttles, shop.mode = 0, "invalid"
        invalid = await control.refusal("restart", **WEB, idempotency_key="one")
        shop.mode = "garbage"
        garbage = await control.refusal("list")
        shop.mode = "broken"
        broken = await control.refusal("list")
        shop.mode = "ok"
        shop.forbidden = {"shop", "nodes"}
        forbidden = await control.refusal("restart", **WEB, idempotency_key="one")
        listed = await control.ask("list", namespace="data")
        shop.forbidden = set()
        written = await control.ask("restart", **WEB, idempotency_key="one")
    async with opened(control_of, shop, token="another") as control:
        unknown = await control.refusal("list")

    assert absent == "There is no workload shop/away here."
    assert patient["workload"]["name"] == "web"
    assert throttled.startswith("The cluster asks to try again later")
    assert invalid.startswith("The cluster finds it invalid: Deployment.apps is invalid")
    assert garbage == "The cluster's answer is not what the API gives."
    assert broken == "The cluster answered 500: etcdserver: request timed out"
    assert forbidden.startswith("The cluster does not allow it")
    assert listed["nodes"] == []
    assert unknown == "The cluster does not accept the token."
    assert written["changed"]
    assert TOKEN not in f"{absent}{throttled}{invalid}{garbage}{broken}{forbidden}{unknown}"


@pytest.mark.parametrize("mode", ["slow_before", "slow_after"])
async def test_a_program_killed_while_the_cluster_has_not_answered_makes_the_change_once(
    shop, control_of, kill_in_the_middle, mode
):
    """kill -9 while the PATCH is on its way: not made yet, or made and not told. The same key finds out which."""
    shop.mode = mode
    call = WEB | {"idempotency_key": "one"}
    generation = shop.objects["deployments"]["shop", "web"]["metadata"]["generation"]
    await kill_in_the_middle(
        shop.config, "restart", call, lambda: any(each.startswith("PATCH") for each in shop.asked), CLUSTER_TOKEN=TOKEN
    )
    made = len(shop.patches)
    shop.mode = "ok"
    async with opened(control_of, shop) as control:
        written = await control.ask("restart", **call)
        again = await control.ask("restart", **call)

    assert made == (1 if mode == "slow_after" else 0)
    assert written["check"]["holds"] is True
    assert again == written | {"replayed": True}
    assert len(shop.patches) == 1
    assert shop.objects["deployments"]["shop", "web"]["metadata"]["generation"] == generation + 1


async def test_a_change_of_which_nothing_is_heard_is_said_to_be_unknown_and_made_once(shop, control_of):
    shop.mode = "slow_after"
    async with opened(control_of, shop) as control:
        told = await control.refusal("restart", **WEB, idempotency_key="one")
        shop.mode = "ok"
        written = await control.ask("restart", **WEB, idempotency_key="one")

    assert "It is not known whether the restart was made. Call again with idempotency_key 'one'" in told
    assert written["check"]["holds"] is True
    assert len(shop.patches) == 1


async def test_a_cluster_that_is_not_there_is_told(shop, control_of):
    shop.config.write_text(shop.config.read_text().replace("url: http://127.0.0.1:", "url: http://127.0.0.1:1 #"))
    async with opened(control_of, shop) as control:
        read = await control.refusal("list")
        write = await control.refusal("restart", **WEB)

    assert read.startswith("The cluster cannot be reached")
    assert write.startswith("The cluster cannot be reached")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("token: env:CLUSTER_TOKEN", "token: env:NOT_SET_ANYWHERE", "environments.test.platform.the environment has no NOT_SET_ANYWHERE"),
        ("token: env:CLUSTER_TOKEN", "token: a-secret", "token"),
        ("token: env:CLUSTER_TOKEN", "token_file: away", "away cannot be read"),
        ("token: env:CLUSTER_TOKEN", "ca_file: away", "ca_file: "),
        ("url: http://127.0.0.1:", "url: http://10.0.0.1:", "a token is not sent over plain HTTP to another machine"),
        ("url: http://127.0.0.1:", "url: http://user:word@127.0.0.1:", "url"),
    ],
)  # fmt: skip
def test_a_cluster_that_cannot_be_spoken_to_safely_is_refused(shop, monkeypatch, old, new, says):
    monkeypatch.setenv("CLUSTER_TOKEN", TOKEN)
    assert old in shop.config.read_text()
    shop.config.write_text(shop.config.read_text().replace(old, new))

    with pytest.raises(ConfigurationError) as error:
        build(shop.config)

    assert says in str(error.value)
    assert "word" not in str(error.value)


def certificate(path):
    """Write a key and a certificate of 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")]), datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
    return path


async def test_the_clusters_certificate_is_checked_and_a_token_in_a_file_is_read_anew(configured, control_of, tmp_path):
    own, other = certificate(tmp_path / "own.pem"), certificate(tmp_path / "other.pem")
    token = tmp_path / "token"
    token.write_text("an-old-one\n")
    with running_cluster(own) as (cluster, url):
        cluster.node("node-1")
        cluster.deployment("shop", "web", "web:1", 1)
        platform = {"kind": "kubernetes", "url": url, "token_file": "token", "ca_file": str(own)}
        async with control_of(configured(platform)) as control:
            before = await control.refusal("list")
            token.write_text(f"{TOKEN}\n")
            after = await control.ask("list")
        asked = len(cluster.asked)
        async with control_of(configured(platform | {"ca_file": str(other)})) as control:
            foreign = await control.refusal("list")

    assert before == "The cluster does not accept the token."
    assert after["count"] == 1
    assert foreign.startswith("The cluster cannot be reached")
    assert len(cluster.asked) == asked
