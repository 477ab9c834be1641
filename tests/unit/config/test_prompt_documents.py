"""A prompt is a folder of versions: which is served, what they may say, and how one that is at fault is refused. Promised by docs/prompts.md."""

from pathlib import Path
from textwrap import dedent

import pytest

from gateway.config import ConfigError, load
from gateway.config.prompt_checks import MOST_CHARACTERS, MOST_MESSAGES, MOST_VARIABLES
from gateway.config.prompt_documents import (
    MOST_BYTES,
    MOST_PROMPTS,
    MOST_VERSIONS,
    digest_prompts_folder,
    load_prompt_documents,
)
from gateway.config.prompt_text import BadPlaceholder, Placeholder, pieces_of

CONFIG = """
prompts: {folder: prompts}
providers: {play: {kind: scripted, document: script.yaml}}
models: {chat: play/chat}
"""
WHOLE = """
description: Greets.
model: chat
temperature: 0.5
top_p: 0.9
max_output_tokens: 100
instructions: |
  Greet {{ name }}.
messages:
  - {role: user, text: "I am {{name}}: {{photo}}"}
  - {role: assistant, text: Hello.}
variables:
  name: {description: Who it is., default: you}
  photo: {type: image, required: false}
"""
PLAIN = "instructions: Be brief.\n"


class Folder:
    """A configuration with a folder of prompts."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "switchgear.yaml").write_text(CONFIG)
        (base / "script.yaml").write_text("models: {chat: {answers: [{say: hello}]}}")
        (base / "prompts").mkdir()

    def write(self, text: str, version: str = "1", prompt: str = "greet") -> Path:
        path = self.base / "prompts" / prompt / f"{version}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
        return path

    def load(self):
        settings = load(self.base / "switchgear.yaml", {})
        return load_prompt_documents(settings, base=self.base, environ={}, models=settings.models).prompts

    def faults(self) -> list[tuple[str, int, str, str]]:
        with pytest.raises(ConfigError) as caught:
            self.load()
        return [(Path(fault.file).name, fault.line, fault.path, fault.message) for fault in caught.value.faults]

    def digest(self) -> bytes:
        settings = load(self.base / "switchgear.yaml", {}).prompts
        assert settings is not None
        return digest_prompts_folder(settings, base=self.base, environ={})


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


def test_a_version_is_read_whole(folder):
    folder.write(WHOLE)

    prompt = folder.load()["greet"]
    version = prompt.versions["1"]

    assert (prompt.id, prompt.current, version.id, version.version) == ("greet", "1", "greet", "1")
    assert version.template.instructions == "Greet {{ name }}.\n"
    assert [message.role for message in version.template.messages] == ["user", "assistant"]
    assert (version.template.variables["name"].default, version.template.variables["photo"].type) == ("you", "image")


def test_without_the_section_there_are_no_prompts(folder):
    folder.write("nonsense: 1\n")
    text = (folder.base / "switchgear.yaml").read_text().replace("prompts: {folder: prompts}\n", "")
    (folder.base / "switchgear.yaml").write_text(text)

    assert folder.load() == {}


def test_the_highest_number_is_served_where_nothing_says_otherwise(folder):
    for version in ("2", "10", "9"):
        folder.write(PLAIN, version)

    prompt = folder.load()["greet"]

    assert prompt.current == "10"
    assert list(prompt.versions) == ["2", "9", "10"]


def test_the_prompts_own_file_says_which_version_is_served(folder):
    folder.write(PLAIN, "1")
    folder.write(PLAIN, "next.2026-11")
    folder.write('description: Greets.\ncurrent: "1"\n', "prompt")

    prompt = folder.load()["greet"]

    assert (prompt.current, prompt.description) == ("1", "Greets.")


def test_a_version_that_is_no_number_leaves_the_newest_open(folder):
    folder.write(PLAIN, "1")
    folder.write(PLAIN, "draft")

    assert "say `current` in prompt.yaml" in folder.faults()[0][3]


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("description: x\n", 1, "", "expected instructions, or messages, or both"),
        ("instructions: Hi {{nam}}\nvariables: {name: {}}\n", 1, "instructions", "no variable 'nam' is declared"),
        ("instructions: Hi {{nam}}\nvariables: {name: {}}\n", 1, "instructions", "did you mean 'name'?"),
        (
            "description: x\nmessages:\n  - text: a\n  - text: |\n      b {{who}}\n",
            4,
            "messages[1].text",
            "no variable 'who' is declared under variables",
        ),
        ("instructions: a {{#if x}}\n", 1, "instructions", "'{{#if x}}' is no placeholder"),
        ("instructions: a {{two words}}\n", 1, "instructions", "is no placeholder"),
        ("instructions: a {{}}\n", 1, "instructions", "is no placeholder"),
        ("instructions: a {{p}}\nvariables: {p: {type: image}}\n", 1, "instructions", "'p' is an image: only messages"),
        (
            "messages: [{role: assistant, text: 'a {{p}}'}]\nvariables: {p: {type: file}}\n",
            1,
            "messages[0].text",
            "only messages of the user have these",
        ),
        (
            "instructions: a\nvariables:\n  p: {type: image, default: x}\n",
            3,
            "variables.p.default",
            "an image has no default",
        ),
        ("instructions: a\nmodel: chatt\n", 2, "model", "no model is named 'chatt'; did you mean 'chat'?"),
        ("instructions: a\nvariable: {}\n", 2, "variable", "did you mean 'variables'?"),
        ("instructions: a\nvariables: {2x: {}}\n", 2, "variables.2x", "that begins with no digit as the key"),
        ("messages: [{role: tool, text: a}]\n", 1, "messages[0].role", "expected"),
        ("messages: [{text: ''}]\n", 1, "messages[0].text", "must not be empty"),
        ("instructions: 5\n", 1, "instructions", "put it in quotes"),
        ("instructions: a\ntemperature: 3\n", 2, "temperature", "expected"),
        ("instructions: [\n", 2, "", ""),
    ],
)
def test_a_version_at_fault_is_refused_with_its_place(folder, text, line, path, message):
    folder.write(text)

    (fault,) = folder.faults()

    assert fault[:3] == ("1.yaml", line, path)
    assert message in fault[3]


def test_a_current_version_that_there_is_not_is_refused_with_its_place(folder):
    folder.write(PLAIN)
    folder.write('description: x\ncurrent: "2"\n', "prompt")

    assert folder.faults() == [("prompt.yaml", 2, "current", "there is no file 2.yaml beside prompt.yaml")]


def test_the_faults_of_all_prompts_are_found_at_once(folder):
    folder.write("instructions: a {{b}}\n", prompt="one")
    folder.write("modl: x\n", prompt="two")
    folder.write(PLAIN, prompt="bad name")
    (folder.base / "prompts" / "empty").mkdir()

    assert {fault[0] for fault in folder.faults()} == {"1.yaml", "bad name", "empty"}
    assert len(folder.faults()) == 4


def test_a_file_that_is_no_text_is_refused(folder):
    folder.write(PLAIN).write_bytes(b"instructions: a\ndescription: \xff\n")

    assert folder.faults() == [("1.yaml", 2, "", "the file is not UTF-8 text")]


def test_there_are_bounds_on_everything(folder):
    folder.write("messages:\n" + "  - text: a\n" * (MOST_MESSAGES + 1), prompt="talks")
    folder.write(
        "instructions: a\nvariables:\n" + "".join(f"  v{n}: {{}}\n" for n in range(MOST_VARIABLES + 1)), prompt="takes"
    )
    folder.write(f"instructions: {'a' * (MOST_CHARACTERS + 1)}\n", prompt="long")

    said = {fault[3] for fault in folder.faults()}

    assert said == {
        "more than 64 messages",
        "more than 64 variables",
        "its texts have more than 262,144 characters together",
    }


def test_a_folder_is_not_read_without_end(folder):
    big = folder.write("# " + "x" * MOST_BYTES)
    assert "larger than 1,048,576 bytes together" in folder.faults()[0][3]

    big.unlink()
    for number in range(MOST_VERSIONS + 1):
        folder.write(PLAIN, str(number))
    assert folder.faults()[0][3] == "more than 100 files of one prompt"

    for number in range(MOST_PROMPTS):
        (folder.base / "prompts" / f"p{number}").mkdir()
    assert folder.faults()[0][3] == "more than 500 prompts"


def test_a_folder_that_is_not_there_is_refused(folder):
    (folder.base / "prompts").rmdir()

    assert "the folder of prompts cannot be read" in folder.faults()[0][3]


def test_what_a_folder_holds_besides_is_no_prompt(folder):
    folder.write(PLAIN)
    (folder.base / "prompts" / "README.md").write_text("About these.")
    (folder.base / "prompts" / ".git").mkdir()
    (folder.base / "prompts" / "greet" / "notes.txt").write_text("x")

    assert list(folder.load()) == ["greet"]


def test_the_digest_changes_with_every_file(folder):
    folder.write(PLAIN)
    seen = {folder.digest()}
    folder.write(PLAIN, "2")
    seen.add(folder.digest())
    folder.write(PLAIN + "description: x\n", "2")
    seen.add(folder.digest())
    folder.write(PLAIN, prompt="other")
    seen.add(folder.digest())

    assert len(seen) == 4


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ()),
        ("plain { } {x} }} {{", ("plain { } {x} }} {{",)),
        ("{{a}}", (Placeholder("a"),)),
        ("x{{a}}{{ b }}y", ("x", Placeholder("a"), Placeholder("b"), "y")),
        ("{{{a}}}", ("{", Placeholder("a"), "}")),
        ("{{a\n}}", ("{{a\n}}",)),
    ],
)
def test_a_text_comes_apart_at_its_placeholders_and_nowhere_else(text, pieces):
    assert pieces_of(text) == pieces


def test_two_braces_hold_a_name_and_nothing_else():
    for text in ("{{a.b}}", "{{ }}", "{{a|upper}}", "{{1}}", "{{é}}"):
        with pytest.raises(BadPlaceholder):
            pieces_of(text)
