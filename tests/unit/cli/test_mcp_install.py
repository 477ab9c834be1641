"""What `switchgear mcp install` prints for each assistant: in the format of its settings, with the address, and never with a key."""

import json
import tomllib

import pytest
from click.testing import CliRunner

from gateway.cli.main import cli
from gateway.cli.mcp_clients import CLIENTS, Asked, encoded

URL = "https://gateway.example.com/mcp"
KEY = "sk-this-is-the-secret"
FORMS = [(client.id, form) for client in CLIENTS.values() for form in client.forms]
ADDRESS = {"codex": "url", "gemini": "httpUrl", "windsurf": "serverUrl"}
KNOWN = {
    "claude-code": "mcpServers", "claude-desktop": "mcpServers", "codex": "mcp_servers", "cursor": "mcpServers", "gemini": "mcpServers",
    "vscode": "servers", "windsurf": "mcpServers", "zed": "context_servers",
}  # fmt: skip


def printed(*words):
    """What the command prints, with a key in the environment."""
    ran = CliRunner().invoke(cli, ["mcp", "install", *words], env={"SWITCHGEAR_API_KEY": KEY, "SWITCHGEAR_URL": ""})
    return ran.exit_code, ran.output


def entry(client, form, name="switchgear"):
    """The snippet, read as the assistant reads it: the whole of it, and what it says of the server."""
    asked = Asked(
        url=URL,
        name=name,
        transport=None,
        oauth=False,
        variable="SWITCHGEAR_API_KEY",
        command="/opt/bin/switchgear",
        key_file="~/key",
    )
    text = encoded(CLIENTS[client], asked, form)
    whole = tomllib.loads(text) if client == "codex" else json.loads(text)
    return whole, whole[KNOWN[client]][name]


@pytest.mark.parametrize(("client", "form"), FORMS)
def test_a_snippet_is_what_the_assistant_reads(client, form):
    """The formats are those of each assistant's own documentation (`source`)."""
    whole, said = entry(client, form)

    if form == "stdio":
        assert said["command"] == "/opt/bin/switchgear"
        assert said["args"][:3] == ["mcp", "--url", URL]
        assert "--key-file" in said["args"] or "SWITCHGEAR_API_KEY" in json.dumps(
            [said.get("env"), said.get("env_vars")]
        )
    else:
        assert said[ADDRESS.get(client, "url")] == URL
        assert "command" not in said
    assert ("SWITCHGEAR_API_KEY" in json.dumps(whole) or "inputs" in whole or "~/key" in json.dumps(whole)) is (
        form != "oauth"
    )
    assert "<" not in json.dumps(whole)


@pytest.mark.parametrize(
    ("client", "header"),
    [
        ("claude-code", "Bearer ${SWITCHGEAR_API_KEY}"),
        ("cursor", "Bearer ${env:SWITCHGEAR_API_KEY}"),
        ("gemini", "Bearer $SWITCHGEAR_API_KEY"),
        ("vscode", "Bearer ${input:switchgear-key}"),
        ("windsurf", "Bearer ${env:SWITCHGEAR_API_KEY}"),
    ],
)
def test_each_assistant_names_the_key_in_its_own_way(client, header):
    assert entry(client, "http")[1]["headers"] == {"Authorization": header}


def test_vs_code_asks_for_the_key_that_its_snippet_names():
    whole, _ = entry("vscode", "http", "work")

    assert [asked["id"] for asked in whole["inputs"]] == ["work-key"]
    assert whole["inputs"][0]["password"] is True
    assert whole["servers"]["work"]["headers"]["Authorization"] == "Bearer ${input:work-key}"


@pytest.mark.parametrize("client", CLIENTS)
def test_the_key_itself_is_never_printed(client):
    code, text = printed("--client", client, "--url", "https://gateway.example.com")

    assert code == 0
    assert KEY not in text
    assert URL in text
    assert CLIENTS[client].file in text


def test_what_an_assistant_cannot_have_is_said():
    assert printed("--client", "zed", "--transport", "http")[0] == 1
    assert printed("--client", "claude-desktop", "--oauth")[0] == 1
    assert printed("--client", "cursor", "--oauth", "--transport", "stdio")[0] == 1
    assert printed("--client", "cursor", "--name", "a b")[0] == 1


def test_without_a_name_the_assistants_are_listed():
    code, text = printed()

    assert code == 0
    assert all(client in text for client in KNOWN)
