"""`switchgear prompts`: prompts are listed, shown and rendered without a server. Promised by docs/prompts.md."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import cli

CONFIG = """
prompts: {folder: prompts}
providers: {play: {kind: scripted, document: script.yaml}}
models: {chat: play/chat}
"""
FILES = {
    "switchgear.yaml": CONFIG,
    "script.yaml": "models: {chat: {answers: [{say: hello}]}}",
    "prompts/greet/1.yaml": "instructions: Greet.\n",
    "prompts/greet/2.yaml": """
model: chat
instructions: Greet {{name}} in {{language}}.
messages: [{text: "I am {{name}}: {{photo}}"}]
variables: {name: {description: Who it is.}, language: {default: English}, photo: {type: image, required: false}}
""",
    "prompts/greet/prompt.yaml": 'description: Greets.\ncurrent: "2"\n',
}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}


@pytest.fixture
def run(tmp_path: Path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(*words: str):
        return CliRunner().invoke(cli, ["prompts", *words, "--config", str(tmp_path / "switchgear.yaml")])

    return run


def test_prompts_are_listed_with_what_they_take(run):
    listed = run("list")

    assert listed.exit_code == 0
    line = " ".join(listed.output.splitlines()[1].split())
    assert line == "greet 2 1, 2 name, language?, photo? Greets."
    (prompt,) = json.loads(run("list", "--json").output)
    assert (prompt["id"], prompt["current"], len(prompt["versions"])) == ("greet", "2", 2)


def test_a_prompt_is_shown_as_it_is_written(run):
    assert "Greet {{name}} in {{language}}." in run("show", "greet").output
    assert "\ninstructions:\nGreet.\n" in run("show", "greet", "--version", "1").output
    (version,) = json.loads(run("show", "greet", "--json").output)["versions"]
    assert (version["version"], version["messages"]) == ("2", [{"role": "user", "text": "I am {{name}}: {{photo}}"}])


def test_a_prompt_is_rendered_as_a_request_would_be(run):
    rendered = run("render", "greet", "--var", "name={{language}} = x")

    assert rendered.exit_code == 0
    assert "greet@2" in rendered.output
    assert rendered.output.endswith(
        "\ninstructions:\nGreet {{language}} = x in English.\n\nuser:\nI am {{language}} = x:\n"
    )


def test_an_image_is_given_as_json(run):
    rendered = run("render", "greet", "--var", "name=Ada", "--var", f"photo={json.dumps(IMAGE)}", "--json")

    assert json.loads(rendered.output)["input"][0]["content"][1] == IMAGE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "gret"), "no prompt is named 'gret'; did you mean 'greet'?"),
        (("show", "greet", "--version", "3"), "the prompt 'greet' has no version '3'; it has 1, 2"),
        (("render", "greet"), "`prompt.variables.name` is required by this prompt: Who it is."),
        (("render", "greet", "--version", "3"), "The prompt 'greet' has no version '3' here."),
        (("render", "greet", "--var", "name"), "--var 'name': expected NAME=VALUE"),
        (("render", "greet", "--var", "photo=x"), "--var photo: an image or a file is a part of a message, as JSON"),
    ],
)
def test_what_is_wrong_is_said_and_the_command_fails(run, words, said):
    failed = run(*words)

    assert failed.exit_code == 1
    assert said in failed.stderr


def test_a_file_at_fault_is_named_with_its_line(run, tmp_path):
    (tmp_path / "prompts" / "greet" / "1.yaml").write_text("description: x\ninstructions: Hi {{who}}\n")

    failed = run("list")

    assert failed.exit_code == 1
    assert "prompts/greet/1.yaml:2: instructions: no variable 'who' is declared" in failed.stderr


def test_without_the_section_the_command_says_what_to_add(run, tmp_path):
    (tmp_path / "switchgear.yaml").write_text(CONFIG.replace("prompts: {folder: prompts}\n", ""))

    assert "add the section `prompts`" in run("list").stderr
