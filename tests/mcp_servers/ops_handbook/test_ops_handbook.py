"""The handbook through a real MCP client: runbooks are found by words and by alert, cited by lines and hash, and one bad file hides no other."""

import contextlib
import hashlib
import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from mcp_servers.ops_handbook.program import build
from mcp_servers.serving import ConfigurationError

ROOT = Path(__file__).parents[3]
CRASH = """---
title: A service crashes in a loop
alerts: [KubePodCrashLooping, "*CrashLoop*"]
severity: high
owner: platform
services: [checkout, cart]
steps:
  - {do: Look at the logs of the pod that crashed last, tool: platform_ctl/logs, arguments: {lines: 200}}
  - {do: "Roll back when the crash began with a rollout", tool: platform_ctl/rollback}
  - {do: Tell the owner}
---
# Signs

Pods restart again and again; the back-off grows.

## Was it a rollout?

Compare the time of the first crash with the last rollout.

```sh
# this is no heading
kubectl rollout history
```

# What not to do

Never delete the volume: the ledger of the café is on it.
"""
DISK = """---
title: A disk is nearly full
alerts: [NodeDiskPressure]
severity: critical
services: [ledger]
---
Find what grew: logs first, then core dumps. Rotate the logs.
"""


@pytest.fixture
def handbook(tmp_path):
    folder = tmp_path / "runbooks"
    (folder / "nodes").mkdir(parents=True)
    (folder / "crash-loop.md").write_text(CRASH)
    (folder / "nodes" / "disk.md").write_text(DISK)
    config = tmp_path / "handbook.yaml"
    config.write_text("folder: runbooks\n")
    return config


@contextlib.asynccontextmanager
async def client_of(config):
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    command = ["-m", "mcp_servers.ops_handbook", "--config", str(config)]
    with anyio.fail_after(120):
        async with Client(StdioServerParameters(command=sys.executable, args=command, env=env)) as client:
            yield client


async def found(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def test_a_question_finds_the_section_that_answers_it_and_cites_it(handbook):
    async with client_of(handbook) as client:
        [match, *_] = (await found(client, "search", query="did the crash begin with a rollout?"))["matches"]
        volume = (await found(client, "search", query="may I delete the cafe's volume"))["matches"][0]
        disk = (await found(client, "search", query="full disk"))["matches"][0]
        fetched = await found(client, "fetch", runbook="crash-loop", hash=match["citation"]["hash"])

    cited = match["citation"]
    lines = CRASH.split("\n")[cited["first_line"] - 1 : cited["last_line"]]
    assert (cited["runbook"], match["section"]) == (
        "crash-loop",
        "A service crashes in a loop > Signs > Was it a rollout?",
    )
    assert lines[0] == "## Was it a rollout?"
    assert "# this is no heading" in lines
    assert cited["hash"] == hashlib.sha256(CRASH.encode()).hexdigest()
    assert volume["section"].endswith("What not to do")
    assert disk["citation"]["runbook"] == "nodes/disk"
    assert (fetched["text"], fetched["changed"], fetched["cut"]) == (CRASH, False, False)
    assert [step.get("tool") for step in fetched["runbook"]["steps"]] == [
        "platform_ctl/logs",
        "platform_ctl/rollback",
        None,
    ]


async def test_an_alert_finds_its_runbooks_the_most_specific_first(handbook):
    folder = handbook.parent / "runbooks"
    (folder / "any.md").write_text('---\ntitle: Anything\nalerts: ["*"]\n---\nLook around.\n')
    (folder / "odd.md").write_text('---\ntitle: Odd\nalerts: ["[a-z]*?"]\n---\nOdd.\n')
    async with client_of(handbook) as client:
        exact = (await found(client, "for_alert", alert="KubePodCrashLooping"))["runbooks"]
        alike = (await found(client, "for_alert", alert="cartcrashloops"))["runbooks"]
        other = (await found(client, "for_alert", alert="Unheard"))["runbooks"]

    assert [each["id"] for each in exact] == ["crash-loop", "any"]
    assert [each["id"] for each in alike] == ["crash-loop", "any"]
    assert [each["id"] for each in other] == ["any"]
    assert exact[0]["steps"][0]["arguments"] == {"lines": 200}


async def test_a_search_can_be_narrowed_and_is_bounded(handbook):
    async with client_of(handbook) as client:
        narrowed = await found(client, "search", query="logs crash volume", service="ledger")
        severe = await found(client, "search", query="logs crash volume", severity="high")
        one = await found(client, "search", query="logs crash volume", limit=1)
        nothing = await found(client, "search", query='!!! *** " OR ) NEAR(')
        operators = await found(client, "search", query='rollout" OR about : * AND (NOT')

    assert {each["citation"]["runbook"] for each in narrowed["matches"]} == {"nodes/disk"}
    assert {each["citation"]["runbook"] for each in severe["matches"]} == {"crash-loop"}
    assert len(one["matches"]) == 1
    assert nothing["matches"] == [] or all(each["score"] >= 0 for each in nothing["matches"])
    assert operators["matches"]


async def test_what_is_answered_is_what_stands_on_the_disk(handbook):
    folder = handbook.parent / "runbooks"
    async with client_of(handbook) as client:
        before = (await found(client, "search", query="volume"))["matches"][0]["citation"]
        (folder / "crash-loop.md").write_text(CRASH.replace("Never delete the volume", "Keep the volume, always"))
        (folder / "nodes" / "disk.md").unlink()
        (folder / "new.md").write_text("---\ntitle: A certificate expires\n---\nRenew it.\n")
        fetched = await found(client, "fetch", runbook="crash-loop", hash=before["hash"])
        listed = await found(client, "list_runbooks")
        gone = await client.call_tool("fetch", {"runbook": "nodes/disk"})

    assert fetched["changed"]
    assert "Keep the volume" in fetched["text"]
    assert [each["id"] for each in listed["runbooks"]] == ["crash-loop", "new"]
    assert gone.is_error


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"# No front matter", "line 1: it has to begin with front matter"),
        (b"---\ntitle: x\n", "has no end"),
        (b"---\ntitle: [\n---\n", "is not YAML"),
        (b"---\nowner: me\n---\n", "missing required field `title`"),
        (b"---\ntitle: x\nalert: [a]\n---\n", "`alert`"),
        (b"---\ntitle: x\nseverity: awful\n---\n", "severity"),
        (b"---\ntitle: x\nsteps: [{do: x, tool: '*'}]\n---\n", "steps"),
        (b"---\ntitle: \xff\n---\n", "not UTF-8"),
        (
            b"---\ntitle: x\nsteps: [{do: x, arguments: {a: &a [x], b: [*a, *a]}}]\n---\n",
            "line 3: the front matter has an alias",
        ),
        (b"---\ntitle: x\nsteps: [{do: x, arguments: {a: &a [*a]}}]\n---\n", "line 3: the front matter has an alias"),
        (b"---\ntitle: x\n---\n" + b"x" * 1024 * 1024, "larger than"),
    ],
)
async def test_one_file_that_cannot_be_used_is_told_and_hides_no_other(handbook, text, says):
    (handbook.parent / "runbooks" / "bad.md").write_bytes(text)
    async with client_of(handbook) as client:
        listed = await found(client, "list_runbooks")

    assert [each["id"] for each in listed["runbooks"]] == ["crash-loop", "nodes/disk"]
    [fault] = listed["faults"]
    assert fault["file"] == "bad.md"
    assert says in fault["message"]


async def test_a_heading_of_blanks_holds_nobody_up(handbook):
    blanks = " " * 20_000
    (handbook.parent / "runbooks" / "wide.md").write_text(
        f"---\ntitle: Wide\n---\n# a{blanks}b{blanks}#{blanks}c ##  \nx\n"
    )
    async with client_of(handbook) as client:
        listed = await found(client, "list_runbooks")

    assert [each["id"] for each in listed["runbooks"]] == ["crash-loop", "nodes/disk", "wide"]


async def test_what_lies_outside_of_the_folder_is_not_read(handbook):
    folder = handbook.parent / "runbooks"
    (handbook.parent / "outside.md").write_text("---\ntitle: Outside\n---\nsecret\n")
    (folder / "link.md").symlink_to(handbook.parent / "outside.md")
    async with client_of(handbook) as client:
        listed = await found(client, "list_runbooks")
        told = [
            await client.call_tool("fetch", {"runbook": name})
            for name in ("../outside", "link", "/etc/passwd", "nodes/../../outside")
        ]

    assert [each["id"] for each in listed["runbooks"]] == ["crash-loop", "nodes/disk"]
    assert all(result.is_error for result in told)


async def test_a_long_runbook_is_cut_and_says_so(handbook):
    handbook.write_text("folder: runbooks\nrunbook_bytes: 1024\n")
    (handbook.parent / "runbooks" / "long.md").write_text("---\ntitle: Long\n---\n" + "é" * 2000)
    async with client_of(handbook) as client:
        fetched = await found(client, "fetch", runbook="long")

    assert fetched["cut"]
    assert len(fetched["text"].encode()) <= 1024


def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path):
    config = tmp_path / "handbook.yaml"
    config.write_text("folder: nowhere\n")

    with pytest.raises(ConfigurationError, match="folder: there is no folder"):
        build(config)


LATENCY = """---
title: Answers are slow
alerts: [RequestLatencyHigh]
labels: {team: shop, kind: "slow-*"}
---
Look at the p99 of the checkout first. The pods of it may be starved.
"""


async def test_an_alert_of_another_spelling_or_with_the_labels_of_a_runbook_finds_it(handbook):
    (handbook.parent / "runbooks" / "latency.md").write_text(LATENCY)
    async with client_of(handbook) as client:

        async def ids(alert, **labels):
            return [one["id"] for one in (await found(client, "for_alert", alert=alert, labels=labels))["runbooks"]]

        assert await ids("kube_pod_crash_looping") == ["crash-loop"]
        assert await ids("Kube Pod Crash-Looping") == ["crash-loop"]
        assert await ids("Whatever", team="shop", kind="slow-checkout") == ["latency"]
        assert await ids("KubePodCrashLooping", team="shop", kind="slow-x") == ["crash-loop", "latency"]
        assert await ids("Whatever", team="shop") == []
        assert await ids("Whatever", team="other", kind="slow-x") == []


async def test_an_alert_that_no_runbook_names_has_those_that_speak_of_its_words(handbook):
    async with client_of(handbook) as client:
        unnamed = await found(client, "for_alert", alert="LedgerVolumeGrew")
        nothing = await found(client, "for_alert", alert="Xyzzy")
        named = await found(client, "for_alert", alert="NodeDiskPressure")

    assert unnamed["runbooks"] == []
    assert {one["citation"]["runbook"] for one in unnamed["similar"]} >= {"nodes/disk"}
    assert nothing == {"runbooks": [], "similar": []}
    assert named["similar"] == []
