"""An export is checked by who has nothing else, and every change of the file is found; so is an old backup put back."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner

from gateway.cli.audit_verify import command
from gateway.config.database_settings import SqliteSettings
from gateway.stores.audit import AuditActor, AuditEvent, AuditObject
from gateway.stores.audit_anchor import AnchorFile, read_anchors
from gateway.stores.audit_export import verify_export, verify_lines
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import open_database

KEY = "a-key-that-signs-the-heads-of-the-tests"
SEED = 20261121


def event(number: int) -> AuditEvent:
    return AuditEvent(
        id=f"aud_{number:024}",
        at=number,
        action="key.created",
        actor=AuditActor(id="key_root", role="owner"),
        object=AuditObject(kind="key", id=f"key_{number}", tenant="a" if number % 2 else "b"),
        details={"name": 'a "quoted" näme \u2028 \x7f', "nested": [1, {"b": None, "a": True}]},
    )


async def written(path: Path, count: int, tenant: str | None = None) -> list[bytes]:
    database = await open_database(SqliteSettings(path=str(path)))
    audit = SqlAudit(database, key=KEY)
    await audit.append([event(number) for number in range(1, count + 1)])
    lines = [line async for line in audit.export(tenant=tenant)]
    await database.aclose()
    return lines


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> list[bytes]:
    return anyio.run(written, tmp_path_factory.mktemp("export") / "a.db", 12)


def sound(lines: list[bytes]) -> bool:
    return verify_lines(lines, key=KEY).sound


def test_an_untouched_export_is_sound(export):
    verdict = verify_lines(export, key=KEY)

    assert (verdict.sound, verdict.entries, verdict.hidden, verdict.signature) == (True, 12, 0, "valid")
    assert verify_lines(export).signature == "unchecked"


def test_an_outsider_can_check_it_with_the_documented_rules_alone(export):
    """What docs/audit.md says, written by somebody who never saw this program: SHA-256 and sorted JSON."""

    def sha(value: object) -> str:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    previous = "0" * 64
    *entries, last = [json.loads(line) for line in export]
    for seq, entry in enumerate(entries, start=1):
        assert (entry["seq"], entry["previous"]) == (seq, previous)
        assert entry["digest"] == sha(entry["content"])
        previous = entry["hash"]
        assert previous == sha({"digest": entry["digest"], "previous": entry["previous"], "seq": seq})
    assert (last["end"]["count"], last["end"]["head"]["hash"]) == (12, previous)


def test_every_removed_line_is_found(export):
    assert [number for number in range(len(export)) if sound(export[:number] + export[number + 1 :])] == []


def test_every_cut_is_found(export):
    assert [length for length in range(len(export)) if sound(export[:length])] == []


def test_every_swap_is_found(export):
    pairs = [(a, b) for a in range(len(export)) for b in range(a)]

    def swapped(a: int, b: int) -> list[bytes]:
        lines = list(export)
        lines[a], lines[b] = lines[b], lines[a]
        return lines

    assert [pair for pair in pairs if sound(swapped(*pair))] == []


def test_every_doubled_line_is_found(export):
    assert [number for number in range(len(export)) if sound([*export[: number + 1], *export[number:]])] == []


def test_every_changed_byte_is_found(export):
    """Three thousand single bytes changed at random places, seed 20261121."""
    chance = random.Random(SEED)
    content = b"".join(export)
    missed = []
    for _ in range(3000):
        place, byte = chance.randrange(len(content)), chance.randrange(256)
        changed = content[:place] + bytes([byte]) + content[place + 1 :]
        if changed != content and sound(changed.splitlines(keepends=True)):
            missed.append((place, byte))

    assert missed == []


HOSTILE = [
    b"",
    b"\n",
    b"null\n",
    b"[]\n",
    b"{" * 100_000 + b"\n",
    b"[" * 300_000 + b"\n",
    b'{"seq":1e400}\n',
    b'{"seq":NaN}\n',
    b"\xff\xfe\n",
    b'{"content":{"a":"\\ud800"},"digest":"","hash":"","previous":"","seq":1}\n',
    b'{"content":{"a":1.5},"digest":"","hash":"","previous":"","seq":1}\n',
    b'{"digest":"","hash":"","previous":"","seq":-9223372036854775809}\n',
    b'{"end":{"count":0,"head":{"at":0,"hash":"x","key":"","seq":0,"signature":""},"tenant":null},"seq":1}\n',
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_file_is_unsound_and_nothing_worse(line):
    assert not sound([line])


def test_a_second_spelling_of_the_same_is_found(export):
    """A doubled key shows a reader one thing and a program another."""
    first = export[0].replace(b'"action":', b'"action":"key.revoked","action":', 1)
    spaced = export[0].replace(b'"action":', b'"action": ', 1)

    assert not sound([first, *export[1:]])
    assert not sound([spaced, *export[1:]])


def test_contents_that_are_left_out_are_found_in_an_export_of_everything(export):
    entry = json.loads(export[3])
    del entry["content"]
    bare = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    assert not sound([*export[:3], bare, *export[4:]])


def test_a_tenants_export_holds_nothing_of_another(tmp_path):
    lines = anyio.run(written, tmp_path / "a.db", 12, "b")

    assert sound(lines)
    assert b"key_3" not in b"".join(lines)
    assert json.loads(lines[-1])["end"]["tenant"] == "b"


async def test_an_old_backup_that_is_put_back_is_found_by_the_anchor(tmp_path):
    """Whole, signed, and of yesterday."""
    place, anchor = tmp_path / "db" / "a.db", tmp_path / "outside" / "anchor"
    await written(place, 5)
    shutil.copytree(place.parent, tmp_path / "backup")
    database = await open_database(SqliteSettings(path=str(place)))
    appended = await SqlAudit(database, key=KEY).append([event(6)])
    AnchorFile(anchor).write(appended.head)
    await database.aclose()
    shutil.rmtree(place.parent)
    shutil.copytree(tmp_path / "backup", place.parent)

    database = await open_database(SqliteSettings(path=str(place)))
    alone = await SqlAudit(database, key=KEY).verify()
    held = await SqlAudit(database, key=KEY).verify(anchors=read_anchors(anchor))
    await database.aclose()

    assert (alone.sound, held.sound) == (True, False)
    assert [finding.kind for finding in held.findings] == ["truncated"]


@pytest.fixture
def file(tmp_path, export, monkeypatch):
    (tmp_path / "audit.jsonl").write_bytes(b"".join(export))
    (tmp_path / "key").write_text(KEY)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "audit.jsonl"


def run(*args: str, **options):
    return CliRunner().invoke(command, args, **options)


def test_the_command_says_that_a_file_is_sound(file):
    done = run("audit.jsonl", "--audit-key", "file:key")

    assert done.exit_code == 0
    assert "12 entries checked" in done.stdout
    assert "signature of the head: valid" in done.stdout
    assert done.stdout.endswith("\nsound\n")
    assert verify_export(file, key=KEY).sound


def test_the_command_says_what_is_wrong_and_where(file, export):
    file.write_bytes(b"".join(export).replace(b"key_7", b"key_8", 1))

    done = run(str(file))

    assert done.exit_code == 1
    assert "changed: entry 7 does not say what it said when it was written" in done.stdout
    assert done.stdout.endswith("\nNOT SOUND\n")
    assert json.loads(run(str(file), "--json").stdout)["findings"][0]["seq"] == 7


def test_the_command_finds_a_rewritten_end_by_the_anchor(file, export, tmp_path):
    head = json.loads(export[-1])["end"]["head"]
    (tmp_path / "anchor").write_text(json.dumps({**head, "seq": 13}) + "\n")

    done = run("audit.jsonl", "--anchor", "anchor")

    assert done.exit_code == 1
    assert "entry 13 is cut off" in done.stdout


def test_an_anchor_that_is_none_is_found(file):
    done = run("audit.jsonl", "--anchor", "key")

    assert done.exit_code == 1
    assert "line 1 of the anchor cannot be read" in done.stdout
    assert KEY not in done.stdout


def test_the_command_reads_standard_input(export):
    assert run("-", input=b"".join(export)).exit_code == 0


@pytest.mark.parametrize(
    ("option", "value"), [("--audit-key", KEY), ("--audit-key", "env:NO_SUCH_KEY"), ("--anchor", "nowhere")]
)
def test_a_wrong_option_is_told_without_its_value(file, option, value):
    done = run(str(file), option, value)

    assert done.exit_code == 2
    assert KEY not in done.stderr


def test_a_check_loads_no_database(file):
    """An auditor's machine has none; and it starts at once."""
    program = (
        "import sys; from gateway.stores.audit_export import verify_export; from pathlib import Path\n"
        f"assert verify_export(Path({str(file)!r})).sound\n"
        "print(sorted({'sqlalchemy', 'cryptography', 'alembic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
