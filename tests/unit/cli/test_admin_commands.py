"""The administrative commands, as they are typed, against a server over HTTP: what they ask, print, and say when refused."""

import csv
import io
import json

import anyio
import click
import pytest
from click.testing import CliRunner

from gateway.cli import audit, budget, key, ledger, service_account, team, tenant, usage, user, whoami
from gateway.cli.main import cli
from gateway.server import EdgeServer, ServerOptions
from tests.security.admin_world import HOME, NOW, OTHER, admin_world, build_template, row

MODULES = {
    "audit": audit, "budget": budget, "key": key, "ledger": ledger, "service-account": service_account, "team": team,
    "tenant": tenant, "usage": usage, "user": user, "whoami": whoami,
}  # fmt: skip
LEAVES = [
    (name, *([leaf] if leaf else []))
    for name, module in MODULES.items()
    for leaf in (module.command.commands if isinstance(module.command, click.Group) else [""])
]


class Typed:
    """What is typed, with the owner's key unless another is named."""

    def __init__(self, url, keys):
        self._url = url
        self._keys = keys

    async def __call__(self, *args, who=("owner", HOME), code=0, stream=None):
        env = {"SWITCHGEAR_URL": self._url, "SWITCHGEAR_ADMIN_KEY": self._keys.get(who, who)}
        # In a thread, because a command has an event loop of its own.
        done = await anyio.to_thread.run_sync(lambda: CliRunner().invoke(cli, args, env=env))
        assert done.exit_code == code, done.output
        return getattr(done, stream or ("stdout" if code == 0 else "stderr"))

    async def json(self, *args, **more):
        return json.loads(await self(*args, "--json", **more))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def typed(tmp_path, template):
    async with admin_world(tmp_path, template) as world, anyio.create_task_group() as tasks:
        server = EdgeServer(world.app, ServerOptions(port=0))
        listening = anyio.Event()
        url = []

        def on_listening(host, port):
            url.append(f"http://{host}:{port}")
            listening.set()

        async def serve():
            await server.serve(on_listening=on_listening)

        tasks.start_soon(serve)
        with anyio.fail_after(10):
            await listening.wait()
        typed = Typed(url[0], world.keys)
        typed.world = world
        yield typed
        server.begin_drain()


async def test_who_asks_is_told_who_they_are(typed):
    text = await typed("whoami", who=("auditor", OTHER))

    assert "tenant_b" in text
    assert "audit, read, self" in text


@pytest.mark.parametrize("noun", ["tenant", "team", "user", "service-account"])
async def test_a_noun_is_made_listed_shown_changed_and_deleted(typed, noun):
    made = await typed.json(noun, "create", "first name")
    await typed(noun, "update", made["id"], "--name", "second name")

    assert "second name" in await typed(noun, "list")
    assert "second name" in await typed(noun, "show", made["id"])
    assert made["id"] in await typed(noun, "delete", made["id"])
    assert "There is no such" in await typed(noun, "show", made["id"], code=1)


async def test_a_key_is_printed_once_and_works_until_it_is_revoked(typed):
    text = await typed(
        "key",
        "create",
        "laptop",
        "--role",
        "auditor",
        "--expires",
        "30d",
        "--model",
        "a,b*",
        "--model",
        "c",
        "--tag",
        "cost=42",
    )
    secret = next(line for line in text.splitlines() if line.startswith("sk-sg-"))
    made = (await typed.json("key", "list", "--name", "laptop"))[0]

    assert made["models"] == ["a", "b*", "c"]
    assert made["tags"] == {"cost": "42"}
    assert made["expires_at"] == pytest.approx(made["created_at"] + 30 * 86_400, abs=5)
    assert secret not in await typed("key", "show", made["id"])
    assert "laptop" in await typed("key", "list", who=secret)
    await typed("key", "revoke", made["id"])
    assert "revoked" in await typed("key", "list", who=secret, code=1)


async def test_a_key_is_rotated_with_an_overlap(typed):
    old = await typed.json("key", "create", "ops", "--role", "member")
    new = await typed.json("key", "rotate", old["id"], "--overlap", "2h", "--expires", "never")
    shown = await typed.json("key", "show", old["id"])

    assert shown["overlap_ends_at"] == pytest.approx(new["created_at"] + 7200, abs=5)
    assert (await typed.json("whoami", who=old["key"]))["id"] == old["id"]
    assert (await typed.json("whoami", who=new["key"]))["id"] == new["id"]


async def test_what_is_set_can_be_taken_away(typed):
    made = await typed.json("key", "create", "k", "--model", "a", "--tag", "a=b", "--expires", "1h")

    changed = await typed.json("key", "update", made["id"], "--model", "", "--tag", "", "--expires", "never")

    assert (changed["models"], changed["tags"], changed["expires_at"]) == ([], {}, None)


async def test_a_budget_is_made_and_changed(typed):
    made = await typed.json(
        "budget",
        "create",
        "search",
        "--limit",
        "12.50",
        "--per",
        "team,model",
        "--match",
        "model=gpt-*,o*",
        "--soft",
        "0.8",
    )
    changed = await typed.json("budget", "update", made["id"], "--limit", "20", "--count-only")

    assert (made["limit"], made["per"], made["match"]) == ("12.5", ["team", "model"], {"model": ["gpt-*", "o*"]})
    assert (changed["limit"], changed["hard"], changed["soft"]) == ("20", False, [0.8])
    assert "search" in await typed("budget", "list")


@pytest.fixture
async def used(typed):
    await typed.world.services.ledger.insert(
        [row(number, model=f"m{number % 2}", provider="up", served=f"s{number % 2}", team="=t") for number in range(4)]
    )
    return typed


async def test_usage_is_shown_summed_and_as_csv(used):
    table = await used("usage", "--by", "model")
    found = await used.json("usage", "--by", "model,team", "--since", "2020-01-01", "--model", "m0")
    rows = list(csv.DictReader(io.StringIO(await used("usage", "--by", "team", "--csv"))))

    assert [line.split()[:2] for line in table.splitlines()[1:3]] == [["m0", "2"], ["m1", "2"]]
    assert table.splitlines()[3].split()[:2] == ["(total)", "4"]
    assert found["total"]["calls"] == 2
    assert (rows[0]["team"], rows[0]["cost"]) == ("'=t", "0.006")


async def test_an_invoice_is_compared_with_the_ledger(used, tmp_path):
    day = "2026-09-21"
    invoice = tmp_path / "invoice.csv"
    invoice.write_text(f"Day,Product,In,Out,Amount\n{day},s0-preview,20,10,0.003\n{day},s1,20,10,5.00\n")
    named = [f"--column={pair}" for pair in ("date=Day", "model=Product", "input=In", "output=Out", "cost=Amount")]

    args = ("ledger", "reconcile", str(invoice), "--provider", "up", *named, "--model", "s0-preview=s0")
    lines = (await used(*args, code=1, stream="stdout")).splitlines()

    assert lines[1].split()[:5] == [day, "s1", "differs", "$5", "$0.003"]
    assert "1 of 2 lines agree" in lines[-1]
    invoice.write_text(f"Day,Product,In,Out,Amount\n{day},s0-preview,20,10,0.003\n{day},s1,20,10,0.003\n")
    assert "2 of 2 lines agree" in await used(*args)


async def test_an_invoice_in_json_is_compared_too_for_programs_as_well(used, tmp_path):
    day = "2026-09-21"
    entries = [
        {"day": day, "model": f"s{number}", "usage": {"in": 20, "out": 10}, "cost": 0.003 + number}
        for number in range(2)
    ]
    invoice = tmp_path / "invoice.json"
    invoice.write_text(json.dumps({"object": "page", "data": entries}))
    named = [f"--column={pair}" for pair in ("date=day", "input=usage.in", "output=usage.out")]

    found = json.loads(
        await used("ledger", "reconcile", str(invoice), "--provider", "up", *named, "--json", code=1, stream="stdout")
    )

    assert [(line["model"], line["verdict"]) for line in found["lines"]] == [("s0", "agrees"), ("s1", "differs")]
    assert (found["agrees"], found["invoiced_nano"]) == (False, 1_006_000_000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no column"),
        (b"date,model,input_tokens,output_tokens,cost\n", "no lines"),
        (b"date,model,input_tokens,output_tokens,cost\n2026-09-21,m,1,1,\xff", "utf-8"),
        (b'date,model,input_tokens,output_tokens,cost\n2026-09-21,m,1,1,"0,65"', "Line 2: 'cost' holds no number"),
    ],
)
async def test_an_invoice_that_cannot_be_read_is_refused_in_one_line(used, tmp_path, text, words):
    invoice = tmp_path / "invoice"
    invoice.write_bytes(text)

    said = await used("ledger", "reconcile", str(invoice), "--provider", "up", code=1)

    assert words in said
    assert said.count("\n") == 1


async def test_a_bill_is_written_to_a_new_file_or_printed(used, tmp_path):
    bill = tmp_path / "bill.csv"

    printed = await used("ledger", "chargeback", "--month", "2026-09", "--by", "team,model")
    assert "Wrote" in await used("ledger", "chargeback", str(bill), "--month", "2026-09", "--by", "team,model")
    assert "exists already" in await used("ledger", "chargeback", str(bill), code=1)

    rows = list(csv.DictReader(io.StringIO(bill.read_text(), newline="")))
    assert printed.replace("\r\n", "\n") == bill.read_bytes().decode().replace("\r\n", "\n")
    assert [(row["tenant"], row["team"], row["model"], row["cost"]) for row in rows] == [
        ("default", "'=t", "m0", "0.003"),
        ("default", "'=t", "m1", "0.003"),
    ]
    assert (await used.json("ledger", "chargeback", "--month", "2026-08"))["data"] == []


async def test_rows_are_deleted_when_it_is_said_which(used):
    assert "--tenant" in await used("ledger", "delete", code=2)
    assert "4 rows fit" in await used("ledger", "delete", "--before", str(NOW + 50), "--dry-run")
    assert "4 rows deleted" in await used("ledger", "delete", "--before", str(NOW + 50))


async def test_the_audit_log_is_listed_exported_and_verified_here_and_there(typed, tmp_path):
    await typed("team", "create", "search")
    exported = tmp_path / "audit.jsonl"

    assert "team.created" in await typed("audit", "list", "--action", "team.")
    assert "sound" in await typed("audit", "verify")
    await typed("audit", "export", str(exported))
    assert "sound" in await typed("audit", "verify", str(exported))
    assert "exists already" in await typed("audit", "export", str(exported), code=1)
    exported.write_text(exported.read_text().replace("search", "other_"))
    done = await anyio.to_thread.run_sync(lambda: CliRunner().invoke(cli, ["audit", "verify", str(exported)]))
    assert done.exit_code == 1
    assert "NOT SOUND" in done.stdout


async def test_a_list_goes_on_over_pages(typed, monkeypatch):
    monkeypatch.setattr("gateway.cli.admin_nouns._PAGE", 4)
    for number in range(7):
        await typed("team", "create", f"t{number}")

    assert [one["name"] for one in await typed.json("team", "list")] == [f"t{number}" for number in range(7)]
    assert len(await typed.json("team", "list", "--limit", "5")) == 5


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("team", "show", "nobody"), "There is no such team here."),
        (("team", "show", "a/../b"), "There is no"),
        (("user", "create", "x", "--email", "no address"), "`email`"),
        (("key", "create", "x", "--ip", "here"), "neither an IP address nor a network"),
        (("budget", "create", "x", "--limit", "much"), "no amount of dollars"),
        (("usage", "--by", "moon"), "Usage is not grouped by that"),
        (("usage", "--since", "soon"), "`since` is no time"),
    ],
)
async def test_a_refusal_is_one_line_and_the_status_one(typed, args, said):
    printed = await typed(*args, code=1)

    assert said in printed
    assert printed.count("\n") == 1


async def test_who_may_not_is_told_why(typed):
    assert "no administrative role" in await typed("team", "list", who=("", HOME), code=1)
    assert "'member' has not the right" in await typed("team", "list", who=("member", HOME), code=1)
    assert "not known here" in await typed("team", "list", who="sk-nobody", code=1)


def test_without_a_server_it_says_how_to_have_one(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("server: {port: 1}\nproviders: {s: {kind: scripted, document: s.yaml}}\nmodels: {m: s/m}\n")
    (tmp_path / "s.yaml").write_text("models: {m: {answers: [{say: hello}]}}")
    done = CliRunner().invoke(cli, ["team", "list", "--config", str(config)])
    nowhere = CliRunner().invoke(cli, ["team", "list", "--url", "http://127.0.0.1:1"])

    assert (done.exit_code, nowhere.exit_code) == (1, 1)
    assert "switchgear serve" in done.stderr
    assert "127.0.0.1:1" in nowhere.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("key", "create", "x", "--expires", "soon"),
        ("key", "create", "x", "--tag", "novalue"),
        ("key", "create", "x", "--tag", "a=1", "--tag", "a=2"),
        ("key", "create", "x", "--role", "root"),
        ("key", "rotate", "x", "--overlap", "long"),
        ("key", "update", "x"),
        ("budget", "create", "x"),
        ("usage", "--url", "ftp://host"),
        ("audit", "verify", "--audit-key", "env:X"),
        ("ledger", "reconcile", "missing.csv", "--provider", "p"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(args):
    done = CliRunner().invoke(cli, args)

    assert done.exit_code == 2
    assert "Error" in done.stderr


@pytest.mark.parametrize("leaf", LEAVES, ids=" ".join)
def test_every_command_helps_in_whole_sentences(leaf):
    done = CliRunner().invoke(cli, [*leaf, "--help"])

    assert done.exit_code == 0
    assert "--url" in done.stdout or "Commands:" in done.stdout
    assert done.stdout.split("\n\n")[1].strip().endswith(".")
