"""The tables of the documentation say what the code says: settings, presets, error codes, the words of a script, links."""

import json
import re
from pathlib import Path

import click
import msgspec
import pytest

from gateway.cli.main import cli
from gateway.config import (
    access_settings,
    audit_settings,
    batch_settings,
    cache_settings,
    choosing_settings,
    continuation_settings,
    database_settings,
    ensemble_settings,
    health_settings,
    hedge_settings,
    ledger_settings,
    limit_settings,
    mcp_door_settings,
    names_settings,
    overload_settings,
    policy_settings,
    prompt_settings,
    protection_settings,
    provider_settings,
    rollout_settings,
    run_settings,
    secrets_settings,
    settings,
    shadow_settings,
    structured_settings,
)
from gateway.config.presets import PRESETS
from gateway.core import errors
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.providers.scripted import document

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
}
TABLE = re.compile(r"<!-- settings: (\w+) -->\n((?:\|.*\n)+)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)
SECTIONS = (
    settings, provider_settings, access_settings, audit_settings, batch_settings, choosing_settings, database_settings, health_settings,
    hedge_settings, ensemble_settings, ledger_settings, limit_settings,
    names_settings, overload_settings, policy_settings, prompt_settings, protection_settings, rollout_settings, run_settings, secrets_settings, shadow_settings,
    continuation_settings, structured_settings, cache_settings, mcp_door_settings,
)  # fmt: skip
RECORDS = {
    name: record
    for module in SECTIONS
    for name, record in vars(module).items()
    if isinstance(record, type)
    and issubclass(record, msgspec.Struct)
    and record.__module__ == module.__name__
    # What a folder of policies holds is no setting: its words are told where policies are.
    and name.endswith("Settings")
    and name != "CaseSettings"
}
# They are described where they are used: the whole is the page, what kinds have in common is told once.
WITHOUT_TABLE = {"Settings", "OpenAIShapedSettings"}
# What kinds have in common, and the word that tells them apart: told once, above their tables.
COMMON = {
    base: {field.encode_name for field in msgspec.structs.fields(base)} | words
    for base, words in ((provider_settings.HttpSettings, set()), (protection_settings.GuardrailSettings, {"kind"}))
}


def rows(table: str) -> dict[str, str]:
    """The first two columns of a table: name to default."""
    cells = [[cell.strip().strip("`") for cell in row.strip("|\n").split("|")] for row in table.splitlines()[2:]]
    return {row[0]: row[1] for row in cells}


def written(field: msgspec.structs.FieldInfo) -> str | None:
    """A field's default as the pages write it; None for a section of its own, which has its own table."""
    default = field.default
    if default is msgspec.NODEFAULT:
        if field.default_factory is msgspec.NODEFAULT:
            return "required"
        default = field.default_factory()
    if isinstance(default, msgspec.Struct):
        return None
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, tuple):
        return json.dumps(default)
    return {"": '""', "None": "null", "True": "true", "False": "false"}.get(str(default), str(default))


def documented() -> dict[str, dict[str, str]]:
    return {name: rows(table) for page in PAGES.values() for name, table in TABLE.findall(page)}


def own_fields(name: str) -> dict[str, str | None]:
    """What a table of this record must have: all but what its kind has in common."""
    record = RECORDS[name]
    common = {
        word for base, words in COMMON.items() if issubclass(record, base) and record is not base for word in words
    }
    return {f.encode_name: written(f) for f in msgspec.structs.fields(record) if f.name not in common}


def test_the_page_of_the_command_line_has_every_command():
    page = PAGES["docs/cli.md"]
    listed = page.partition("$ switchgear --help")[2].partition("```")[0]
    rest = page.replace(listed, "")

    commands = cli.list_commands(click.Context(cli))
    assert [name for name in commands if f"\n{name} …" not in listed] == []
    assert [name for name in commands if not re.search(rf"(?:## |`)switchgear {name}(?:`|\n)", rest)] == []


def test_every_record_of_settings_has_its_table():
    assert sorted(RECORDS.keys() - documented().keys() - WITHOUT_TABLE) == []


@pytest.mark.parametrize("name", sorted(RECORDS.keys() - WITHOUT_TABLE))
def test_a_settings_table_has_every_setting_with_its_default(name):
    table = documented()[name]
    expected = own_fields(name)

    assert table.keys() == expected.keys()
    assert {
        field: table[field] for field, value in expected.items() if value is not None and table[field] != value
    } == {}


def test_the_presets_table_is_the_presets():
    shown = re.search(r"<!-- presets -->\n((?:\|.*\n)+)", PAGES["docs/providers.md"])
    assert shown is not None
    for kind, preset in PRESETS.items():
        if kind in ("anthropic", "vllm"):
            continue  # kinds of their own, with their own sections
        row = next(line for line in shown[1].splitlines() if line.startswith(f"| `{kind}` |"))
        assert (preset.base_url or "you give") in row
        assert (preset.key_variable or "none") in row
        assert ("optional" in row) == (preset.key_variable is not None and not preset.key_required)
        assert row.rstrip(" |").endswith(", ".join(preset.apis))


def every_error() -> list[type[errors.SwitchgearError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in found if issubclass(kind, errors.SwitchgearError) and kind is not errors.SwitchgearError]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_code_has_its_row(kind):
    row = next((line for line in PAGES["docs/errors.md"].splitlines() if line.startswith(f"| `{kind.code}` |")), None)

    assert row is not None
    assert str(kind.status) in row.split("|")[2]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_the_row_of_an_error_says_what_each_dialect_calls_it(kind):
    error = errors.SwitchgearError.__new__(kind)
    errors.SwitchgearError.__init__(error, "A message.")
    cells = next(line for line in PAGES["docs/errors.md"].splitlines() if line.startswith(f"| `{kind.code}` |")).split(
        "|"
    )

    if kind is errors.ClientLeft:
        assert cells[4].strip() == cells[5].strip() == ""
        return
    assert f"`{msgspec.json.decode(OPENAI_CHAT.encode_error(error))['error']['type']}`" in cells[4]
    assert f"`{msgspec.json.decode(ANTHROPIC_MESSAGES.encode_error(error))['error']['type']}`" in cells[5]


def test_every_refusal_of_the_http_server_has_its_row():
    source = "".join(path.read_text() for path in (ROOT / "gateway" / "server").glob("*.py"))
    refusals = re.findall(r"Refused\(\s*(\d{3}),\s*\"(\w+)\"", source)
    page = PAGES["docs/errors.md"]

    assert refusals
    assert sorted({code for status, code in refusals if not re.search(rf"\| `{code}` \|[^|]*{status}", page)}) == []


def test_every_word_of_a_script_is_explained():
    records = [
        record
        for record in vars(document).values()
        if isinstance(record, type) and issubclass(record, msgspec.Struct) and record.__module__ == document.__name__
    ]
    words = {field.encode_name for record in records for field in msgspec.structs.fields(record)}

    assert sorted(word for word in words if f"`{word}`" not in PAGES["docs/scripted.md"]) == []


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_tables_have_rows_of_their_width_and_no_row_twice(page):
    for block in re.findall(r"(?:^\|.*\n)+", FENCE.sub("", PAGES[page]), flags=re.MULTILINE):
        head, rule, *body = block.splitlines()
        assert set(rule) <= set("|-: "), head
        assert body, f"nothing is below {head}"
        width = cells(head)
        assert [row for row in body if cells(row) != width] == []
        # A row that only goes on with the one above it has no first cell.
        whole = [row for row in body if not row.startswith("| |")]
        firsts = [row.split("|")[1].strip() for row in whole if row.startswith("| `")]
        assert len(set(whole)) == len(whole)
        if "default" in head:
            assert sorted({first for first in firsts if firsts.count(first) > 1}) == []


def cells(row: str) -> int:
    """How many cells a row has; a bar inside of code or behind a backslash parts none."""
    return re.sub(r"`[^`]*`|\\\|", "", row).strip().strip("|").count("|")


def test_the_index_has_every_page_in_one_row():
    rows_of = re.findall(r"^\| \[[^\]]+\]\(([^)#]+)\) \|", PAGES["docs/index.md"], flags=re.MULTILINE)

    assert sorted({page for page in rows_of if rows_of.count(page) > 1}) == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(FENCE.sub("", PAGES[page])):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        name = target.resolve().relative_to(ROOT).as_posix()
        if not target.exists() or (anchor and anchor not in anchors(PAGES[name])):
            broken.append(link)

    assert broken == []


def test_the_index_links_every_page():
    linked = {
        (ROOT / index).parent.joinpath(link.partition("#")[0]).resolve().relative_to(ROOT).as_posix()
        for index in ("docs/index.md", "docs/decisions/index.md")
        for link in LINK.findall(PAGES[index])
        if not re.match(r"[a-z]+:", link)
    }

    assert sorted(page for page in PAGES if page.startswith("docs/") and page not in linked | {"docs/index.md"}) == []
