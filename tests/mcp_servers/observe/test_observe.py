"""What is observed, through a real MCP client: of a real Prometheus, a real Alertmanager, and files."""

import contextlib
import json
import os
import re
import sys
import uuid
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from mcp_servers.observe.program import build
from mcp_servers.serving import ConfigurationError
from tests.servers import free_port

ROOT = Path(__file__).parents[3]
DISK = 'alertname="DiskFull"'


@contextlib.asynccontextmanager
async def client_of(tmp_path, text, **environ):
    config = tmp_path / "observe.yaml"
    config.write_text(text)
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **environ}
    command = ["-m", "mcp_servers.observe", "--config", str(config)]
    with anyio.fail_after(120):
        async with Client(StdioServerParameters(command=sys.executable, args=command, env=env)) as client:
            yield client


async def found(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def refused(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return result.content[0].text


async def test_metrics_are_asked_at_one_moment_and_over_a_time(tmp_path, prometheus_server):
    async with client_of(tmp_path, f"prometheus: {{url: '{prometheus_server.url}'}}") as client:
        while not (up := (await found(client, "query_metrics", expression="up"))["series"]):
            await anyio.sleep(0.1)
        now = up[0]["points"][0][0]
        spread = await found(client, "query_metrics_range", expression="vector(2)", start=now - 10, end=now, step="1s")
        scalar = await found(client, "query_metrics", expression="scalar(vector(3))")
        odd = await found(client, "query_metrics", expression="vector(1)/0")
        names = (await found(client, "list_metrics", contains="SCRAPE_DUR"))["names"]
        wrong = await refused(client, "query_metrics", expression="up{")
        later = await refused(client, "query_metrics_range", expression="up", start=now, end=now - 10, step="1s")

    assert up[0]["labels"]["job"] == "itself"
    assert up[0]["points"][0][1] == 1.0
    assert len(spread["series"][0]["points"]) == 11
    assert scalar["series"][0]["points"][0][1] == 3.0
    assert odd["series"][0]["points"][0][1] == "+Inf"
    assert names == ["scrape_duration_seconds"]
    assert "Prometheus answered 400" in wrong
    assert "parse error" in wrong
    assert "Prometheus answered 400" in later


async def test_series_and_points_are_bounded_and_what_is_left_out_is_told(tmp_path, prometheus_server):
    text = f"prometheus: {{url: '{prometheus_server.url}'}}\nlimits: {{series: 3, points: 5}}"
    async with client_of(tmp_path, text) as client:
        while not (many := await found(client, "query_metrics", expression='{job="itself"}'))["series"]:
            await anyio.sleep(0.1)
        now = many["series"][0]["points"][0][0]
        long = await found(client, "query_metrics_range", expression="vector(1)", start=now - 100, end=now, step="1s")

    assert len(many["series"]) == 3
    assert "3 are shown" in many["cut"]
    assert len(long["series"][0]["points"]) == 5
    assert long["series"][0]["points"][-1][0] == now
    assert "Only the last 5 points of 101" in long["cut"]


async def until_fired(client):
    while len(alerts := (await found(client, "list_alerts"))["alerts"]) < 2:
        await anyio.sleep(0.1)
    return alerts


async def test_alerts_are_listed_and_silenced_within_bounds(tmp_path, prometheus_server, alertmanager_server):
    text = f"alertmanager: {{url: '{alertmanager_server.url}', silencing: {{minutes: 60, alerts: 1}}}}"
    key = f"key-{uuid.uuid4()}"
    wanted = {"matchers": [DISK], "minutes": 10, "comment": "we know", "idempotency_key": key}
    async with client_of(tmp_path, text) as client:
        alerts = await until_fired(client)
        severe = (await found(client, "list_alerts", filter=['severity="critical"']))["alerts"]
        dry = await found(client, "create_silence", **wanted, dry_run=True)
        none = (await found(client, "list_silences"))["silences"]
        made = await found(client, "create_silence", **wanted)
        again = await found(client, "create_silence", **wanted)
        one = (await found(client, "list_silences"))["silences"]
        other = await refused(client, "create_silence", **{**wanted, "matchers": ['alertname="Slow"']})
        while len(left := (await found(client, "list_alerts"))["alerts"]) != 1:
            await anyio.sleep(0.1)
        shown = await found(client, "expire_silence", silence=made["silence"]["id"], dry_run=True)
        ended = await found(client, "expire_silence", silence=made["silence"]["id"])
        twice = await found(client, "expire_silence", silence=made["silence"]["id"])

    assert {alert["labels"]["alertname"] for alert in alerts} == {"DiskFull", "Slow"}
    assert [alert["labels"]["node"] for alert in severe] == ["n1"]
    assert (dry["done"], [alert["labels"]["alertname"] for alert in dry["alerts"]], none) == (False, ["DiskFull"], [])
    assert made["done"]
    assert made["silence"]["state"] in ("active", "pending")
    assert again["silence"]["id"] == made["silence"]["id"]
    assert [each["id"] for each in one] == [made["silence"]["id"]]
    assert "used for another silence" in other
    assert left[0]["labels"]["alertname"] == "Slow"
    assert (shown["done"], ended["done"], twice["done"]) == (False, True, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"matchers": ['severity="critical"']}, "has to name alertname"),
        ({"matchers": ['alertname=~".*"']}, "has to name alertname"),
        ({"matchers": ['alertname!="x"']}, "has to name alertname"),
        ({"matchers": ['alertname=""']}, "has to name alertname"),
        ({"matchers": ["DiskFull"]}, "is no matcher"),
        ({"matchers": ['a="b"\n']}, "is no matcher"),
        ({"matchers": []}, "matchers"),
        ({"minutes": 61}, "at most 60 minutes"),
        ({"minutes": 0}, "minutes"),
        ({"idempotency_key": "x"}, "idempotency_key"),
        ({"idempotency_key": "key] x [key:"}, "idempotency_key"),
    ],
)
async def test_a_silence_that_is_too_wide_or_too_long_is_refused(tmp_path, alertmanager_server, change, says):
    text = f"alertmanager: {{url: '{alertmanager_server.url}', silencing: {{minutes: 60}}}}"
    wanted = {"matchers": [DISK], "minutes": 10, "comment": "we know", "idempotency_key": "a-key-of-ours"}
    async with client_of(tmp_path, text) as client:
        told = await refused(client, "create_silence", **{**wanted, **change})

    assert says in told


@pytest.mark.parametrize("node", [r'node=~"\.*"', r'node=~"\n\.*|n."', r'node=~"\\.*"'])
async def test_what_a_silence_hits_is_what_is_counted(tmp_path, prometheus_server, alertmanager_server, node):
    """A value that is read in two ways would count no alerts, and silence them all."""
    text = f"alertmanager: {{url: '{alertmanager_server.url}', silencing: {{minutes: 60, alerts: 1}}}}"
    wanted = {"matchers": [DISK, node], "minutes": 10, "comment": "we know", "idempotency_key": f"key-{uuid.uuid4()}"}
    async with client_of(tmp_path, text) as client:
        alerts = [alert for alert in await until_fired(client) if alert["labels"]["alertname"] == "DiskFull"]
        dry = await found(client, "create_silence", **wanted, dry_run=True)
        listed = (await found(client, "list_alerts", filter=[DISK, node]))["alerts"]

    pattern = next(each["value"] for each in dry["silence"]["matchers"] if each["name"] == "node")
    hit = [alert for alert in alerts if re.fullmatch(pattern, alert["labels"]["node"])]
    assert [alert["fingerprint"] for alert in dry["alerts"]] == [alert["fingerprint"] for alert in hit]
    assert [alert["fingerprint"] for alert in listed] == [alert["fingerprint"] for alert in hit]


async def test_a_comment_with_the_key_of_another_silence_takes_nothing_from_it(tmp_path, alertmanager_server):
    text = f"alertmanager: {{url: '{alertmanager_server.url}', silencing: {{minutes: 60}}}}"
    theirs, ours = f"key-{uuid.uuid4()}", f"key-{uuid.uuid4()}"
    wanted = {"matchers": ['alertname="Never"'], "minutes": 10}
    async with client_of(tmp_path, text) as client:
        planted = await found(client, "create_silence", **wanted, comment=f"x [key:{ours}]", idempotency_key=theirs)
        made = await found(client, "create_silence", **wanted, comment="we know", idempotency_key=ours)
        other = await refused(client, "create_silence", **wanted, comment="other words", idempotency_key=ours)
        for each in (planted, made):
            await found(client, "expire_silence", silence=each["silence"]["id"])

    assert made["silence"]["id"] != planted["silence"]["id"]
    assert "used for another silence" in other


async def test_without_leave_for_silences_there_is_no_tool_for_them(tmp_path, alertmanager_server):
    async with client_of(tmp_path, f"alertmanager: {{url: '{alertmanager_server.url}'}}") as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        told = await refused(client, "create_silence", matchers=[DISK])

    assert names == ["list_alerts", "list_silences"]
    assert "There is no tool" in told


async def test_a_server_that_is_away_or_hangs_is_told_without_its_address_or_credentials(tmp_path):
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    text = (
        f"prometheus: {{url: 'http://127.0.0.1:{port}', seconds: 0.3, headers: {{Authorization: 'env:TOKEN'}}}}\n"
        f"alertmanager: {{url: 'http://127.0.0.1:{free_port()}'}}"
    )
    async with client_of(tmp_path, text, TOKEN="a-secret-token") as client:
        hangs = await refused(client, "query_metrics", expression="up")
        away = await refused(client, "list_alerts")
    await listener.aclose()

    assert hangs == "Prometheus did not answer within 0.3 seconds."
    assert away == "Alertmanager cannot be reached (ConnectError)."


async def test_logs_are_searched_from_the_newest_line_back(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "old.log").write_text("".join(f"line {number} of old\n" for number in range(50_000)))
    os.utime(folder / "old.log", (1, 1))
    (folder / "new.log").write_text("first\nERROR: the disk is full\r\nERROR: again, of old\n" + "x" * 5000)
    (folder / "events.json").write_text('{"level": "error", "n": 1}\nnot json\n')
    (tmp_path / "secret.log").write_text("of old secret\n")
    (folder / "link.log").symlink_to(tmp_path / "secret.log")
    text = "logs:\n  app: {folder: logs}\n  events: {folder: logs, files: '*.json', format: json}\nlimits: {lines: 20, line_characters: 100}"
    async with client_of(tmp_path, text) as client:
        errors = (await found(client, "search_logs", log="app", contains=["error"]))["lines"]
        narrowed = (await found(client, "search_logs", log="app", contains=["error"], excludes=["AGAIN"]))["lines"]
        many = await found(client, "search_logs", log="app", contains=["of old"], lines=3)
        first = (await found(client, "search_logs", log="app", contains=["line 0 of"]))["lines"]
        tail = (await found(client, "tail_logs", log="app", lines=2))["lines"]
        events = (await found(client, "tail_logs", log="events"))["lines"]
        listed = (await found(client, "list_logs"))["logs"]

    assert [line["text"] for line in errors] == ["ERROR: again, of old", "ERROR: the disk is full"]
    assert [line["text"] for line in narrowed] == ["ERROR: the disk is full"]
    assert [line["text"] for line in many["lines"]] == [
        "ERROR: again, of old",
        "line 49999 of old",
        "line 49998 of old",
    ]
    assert "more than 3 lines" in many["cut"]
    assert [line["text"] for line in first] == ["line 0 of old"]
    assert tail[0]["text"] == "x" * 100 + "… [5000 characters]"
    assert [line.get("fields") or line["text"] for line in events] == ["not json", {"level": "error", "n": 1}]
    assert [each["file"] for log in listed for each in log["files"]] == ["new.log", "old.log", "events.json"]
    assert "secret" not in json.dumps([errors, many, tail, listed])


async def test_a_line_that_is_nested_beyond_measure_hides_no_other(tmp_path):
    """Whoever is heard in a log could blind whoever looks into it."""
    (tmp_path / "events.json").write_text("[" * 3000 + "\n" + '{"n": 1}\n')
    text = "logs: {events: {folder: ., files: 'events.json', format: json}}\nlimits: {line_characters: 5000}"
    async with client_of(tmp_path, text) as client:
        lines = (await found(client, "tail_logs", log="events"))["lines"]

    assert [line.get("fields") or line["text"] for line in lines] == [{"n": 1}, "[" * 3000]


async def test_no_more_of_a_log_is_read_than_may_be(tmp_path):
    (tmp_path / "app.log").write_bytes(b"needle\n" + b"hay\n" * 200_000)
    text = "logs: {app: {folder: .}}\nlimits: {scanned_bytes: 4096}"
    async with client_of(tmp_path, text) as client:
        result = await found(client, "search_logs", log="app", contains=["needle"])

    assert result["lines"] == []
    assert "Only the last 4096 bytes" in result["cut"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "there is nothing to observe"),
        ("prometheus: {url: 'ftp://x'}", "prometheus.url"),
        (
            "prometheus: {url: 'http://x', headers: {A: 'env:NOT_SET_ANYWHERE'}}",
            "the environment has no NOT_SET_ANYWHERE",
        ),
        ("logs: {app: {folder: nowhere}}", "logs.app.folder: there is no folder"),
        ("logs: {app: {folder: ., files: /etc/passwd}}", "files"),
        ("prometheuss: {}", "prometheuss"),
        ("logs: [", "this is not YAML"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_its_place(tmp_path, text, says):
    config = tmp_path / "observe.yaml"
    config.write_text(text)

    with pytest.raises(ConfigurationError) as error:
        build(config)

    assert says in str(error.value)
