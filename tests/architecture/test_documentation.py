"""Nothing that an operator can set, call, scrape or type is undocumented: the lists come from the code itself."""

import ast
import re
import typing
from collections.abc import Iterator

import click
import msgspec

from gateway.cli.main import cli
from gateway.config.settings import Settings

# What clients and operators call. A path in a provider is somebody else's API.
ENDPOINT = re.compile(
    r"^/(?:v1|admin|slack)(?:/[a-z_]+|/\{[a-z_:]+\})*$|^/(?:healthz|readyz|metrics|openapi\.json|docs)$"
)
METRIC = re.compile(r"^switchgear_[a-z0-9_]+$")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", flags=re.MULTILINE | re.DOTALL)


def structs_in(kind: object) -> Iterator[type[msgspec.Struct]]:
    """The record types that an annotation mentions, at any depth of containers and unions."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for part in typing.get_args(kind):
        yield from structs_in(part)


def settings_of(root: type[msgspec.Struct]) -> set[tuple[str, str]]:
    """Every (record, field) that a document may hold under this record; fields by the names that are written."""
    waiting, seen = [root], set()
    found = set()
    while waiting:
        record = waiting.pop()
        if record in seen:
            continue
        seen.add(record)
        for field in msgspec.structs.fields(record):
            found.add((record.__name__, field.encode_name))
            waiting.extend(structs_in(field.type))
    return found


def words_in_code(docs: str) -> set[str]:
    """The words that the pages show as code: in a block, or between backticks."""
    return {word for code in CODE.findall(docs) for word in re.findall(r"\w+", code)}


def constants(tree: ast.AST, pattern: re.Pattern[str]) -> set[str]:
    strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {text for text in strings if pattern.match(text)}


def collect(repository, folders: tuple[str, ...], pattern: re.Pattern[str]) -> set[str]:
    trees = (tree for path, tree in repository.source.items() if path.startswith(folders))
    return {text for tree in trees for text in constants(tree, pattern)}


def commands_of(group: click.Group, above: str = "") -> set[str]:
    """The names of all commands below a group, those of groups in it with the group's name before them."""
    found = set()
    for name in group.list_commands(context := click.Context(group)):
        command = group.get_command(context, name)
        full = f"{above}{name}"
        found |= commands_of(command, f"{full} ") if isinstance(command, click.Group) else {full}
    return found


def test_every_setting_is_documented(repository):
    shown = words_in_code(repository.docs)

    assert sorted(f"{record}.{field}" for record, field in settings_of(Settings) if field not in shown) == []


def test_every_endpoint_is_documented(repository):
    endpoints = collect(repository, ("gateway/api/", "gateway/app.py"), ENDPOINT)

    assert {
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/messages",
        "/slack/interactions",
        "/readyz",
        "/metrics",
    } <= endpoints
    assert sorted(path for path in endpoints if path not in repository.docs) == []


def test_every_endpoint_of_the_administration_is_in_the_table_of_its_rights(repository):
    endpoints = collect(repository, ("gateway/api/", "gateway/app.py"), ENDPOINT)
    rights = repository.texts["docs/admin.md"].partition("| endpoint | methods | right |")[2].partition("\n\n")[0]

    paths = sorted(path.replace(":path}", "}") for path in endpoints if path.startswith("/admin/"))

    assert "/admin/keys" in paths
    assert [path for path in paths if f"`{path}`" not in rights] == []


def test_every_metric_is_documented(repository):
    metrics = collect(repository, ("gateway/",), METRIC)

    assert {"switchgear_calls_total", "switchgear_database_up", "switchgear_ledger_rows_waiting"} <= metrics
    assert sorted(name for name in metrics if name not in repository.docs) == []


def test_every_command_is_documented(repository):
    commands = commands_of(cli)

    assert {"serve", "check", "init", "models", "chat", "version"} <= commands
    assert sorted(name for name in commands if f"switchgear {name}" not in repository.docs) == []


def test_every_package_has_its_line_on_the_page_about_architecture(repository):
    packages = {path.split("/")[1] for path in repository.source if re.match(r"gateway/[a-z_]+/", path)}

    assert {"agents", "api", "core"} <= packages
    page = repository.texts["docs/architecture.md"]
    assert sorted(name for name in packages if f"`gateway/{name}/`" not in page) == []


def test_the_lists_are_read_from_the_code():
    class Inner(msgspec.Struct, rename={"kind_": "kind"}):
        kind_: str

    class Outer(msgspec.Struct):
        inner: dict[str, typing.Annotated[Inner | None, "why"]]

    tree = ast.parse("Route('/v1/models/{id}')\nname = 'switchgear_calls_total'\nother = '/etc/passwd'")
    docs = "say `inner: x`\n```yaml\nkind: openai\n```\nplain"

    assert settings_of(Outer) == {("Outer", "inner"), ("Inner", "kind")}
    assert constants(tree, ENDPOINT) == {"/v1/models/{id}"}
    assert constants(tree, METRIC) == {"switchgear_calls_total"}
    assert words_in_code(docs) >= {"inner", "kind", "openai"}
    assert "plain" not in words_in_code(docs)
