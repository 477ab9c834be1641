"""Every fenced example of the README and of docs/ is run or checked, in the order of its page.

The language after the fence decides: bash and python run, console runs and is compared with the output shown, yaml is
checked as a configuration (what a fragment leaves out is added), json and toml are parsed. A comment before the fence may
say more:

    <!-- example: file NAME -->       the block is written to NAME in the page's directory, and not looked at
    <!-- example: script NAME -->     the same, and it must be a document for the scripted provider
    <!-- example: output -->          the block is what the example before it prints
    <!-- example: skip-run REASON --> it cannot be run here, and REASON says why

Output is compared loosely: the lines shown must come in this order, white space does not count, … stands for anything.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml

from gateway.config import load
from gateway.providers.scripted.document import load_script

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md"))]
DIRECTIVE = re.compile(r"<!-- example: (\S+) ?(.*?) -->\s*\Z")
CHECKED = {"bash", "console", "json", "python", "toml", "yaml"}
MOST_SKIPPED = 20
"""A ratchet: pages are to be run."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced block: where it begins, its language, its text, and what the comment before it says."""

    page: str
    line: int
    language: str
    text: str
    directive: str = ""
    words: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def read_examples(page: str, content: str) -> list[Example]:
    """The fenced blocks of a page."""
    found: list[Example] = []
    before, block, head = "", None, (0, "")
    for number, line in enumerate(content.splitlines(), start=1):
        if line.startswith("```"):
            if block is None:
                block, head = [], (number, line[3:].strip())
            else:
                said = DIRECTIVE.search(before)
                directive, words = said.groups() if said else ("", "")
                text = "\n".join(block) + "\n"
                found.append(
                    Example(page=page, line=head[0], language=head[1], text=text, directive=directive, words=words)
                )
                before, block = "", None
        elif block is not None:
            block.append(line)
        else:
            before += line + "\n"
    assert block is None, f"{page}:{head[0]}: a fence is not closed"
    return found


ALL = [example for page in PAGES for example in read_examples(page, (ROOT / page).read_text(encoding="utf-8"))]


def squeezed(text: str) -> str:
    return " ".join(text.split())


def missing_line(shown: str, printed: str) -> str | None:
    """The first line shown that does not come, in this order, in what was printed."""
    lines = iter([squeezed(line) for line in printed.splitlines()])
    for wanted in filter(None, (squeezed(line) for line in shown.splitlines())):
        if wanted == "…":
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in wanted.split("…")), flags=re.DOTALL)
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None


def commands_in(transcript: str) -> list[tuple[str, str]]:
    """The (command, output) pairs of a console block; a command goes on in lines that end with a backslash."""
    pairs: list[tuple[str, str]] = []
    going_on = False
    for line in transcript.splitlines():
        if going_on:
            pairs[-1] = (f"{pairs[-1][0]}\n{line.removeprefix('> ')}", "")
        elif line.startswith("$ "):
            pairs.append((line[2:], ""))
        else:
            command, output = pairs[-1]
            pairs[-1] = (command, f"{output}{line}\n")
        going_on = not pairs[-1][1] and line.endswith("\\")
    return pairs


def targets_of(model: str | dict) -> list[dict]:
    """All targets of a model as it is written, those of its versions among them."""
    if isinstance(model, str):
        return [{"provider": model.split("/", 1)[0]}]
    versions = model.get("versions", {}).values()
    return [*model.get("targets", []), *(target for version in versions for target in version["targets"])]


def completed(fragment: object) -> dict[str, object]:
    """A part of a configuration with what it leaves out: providers for its models, a model for its providers."""
    assert isinstance(fragment, dict), "a configuration is a mapping"
    models = fragment.get("models") or {}
    targets = [target for model in models.values() for target in targets_of(model)]
    wanted = {target["provider"]: {"kind": "openai_compatible", "base_url": "http://10.0.0.1/v1"} for target in targets}
    providers = fragment.get("providers") or wanted or {"local": {"kind": "embedded"}}
    name, provider = next(iter(providers.items()))
    # What an embedded provider serves is known, and checked; every other takes any name.
    served = provider.get("chat_model", "smollm2-135m-instruct")
    return {**fragment, "providers": providers, "models": models or {"example": f"{name}/{served}"}}


class Story:
    """Goes through a page's examples; `problems` is what was wrong."""

    def __init__(self, workplace) -> None:
        self._place = workplace
        self._printed = ""
        self.problems: list[str] = []

    def tell(self, example: Example) -> None:
        """Run or check one example."""
        if example.directive in ("file", "script"):
            self._write(example)
        elif example.directive == "output":
            self._compare(example.place, example.text, self._printed)
        elif example.directive != "skip-run":
            check: Callable[[Example], None] = getattr(self, f"_{example.language}")
            check(example)

    def _write(self, example: Example) -> None:
        path = self._place.directory / example.words
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._place.translate(example.text))
        if example.directive == "script":
            load_script(path)

    def _compare(self, place: str, shown: str, printed: str) -> None:
        missing = missing_line(shown, printed)
        if missing is not None:
            self.problems.append(f"{place}: the page shows\n  {missing}\nbut this was printed:\n{printed}")

    def _run(self, place: str, *command: str) -> None:
        status, self._printed = self._place.run(*command)
        if status != 0:
            self.problems.append(f"{place}: ended with status {status}:\n{self._printed}")

    def _bash(self, example: Example) -> None:
        self._run(example.place, "bash", "-euo", "pipefail", "-c", self._place.translate(example.text))

    def _python(self, example: Example) -> None:
        script = self._place.directory / f"example_{example.line}.py"
        script.write_text(self._place.translate(example.text))
        # What the clients' packages warn of is not the page's business.
        self._run(example.place, sys.executable, "-W", "ignore", script.name)

    def _console(self, example: Example) -> None:
        for command, shown in commands_in(example.text):
            # A transcript may show a failure, so what counts is the output.
            _, self._printed = self._place.run("bash", "-c", self._place.translate(command))
            self._compare(example.place, shown, self._printed)

    def _yaml(self, example: Example) -> None:
        path = self._place.directory / f"example_{example.line}.yaml"
        path.write_text(yaml.safe_dump(completed(yaml.safe_load(example.text)), sort_keys=False))
        try:
            load(path, self._place.env)
        except Exception as fault:  # noqa: BLE001 - whatever is wrong is the page's fault, and the page is to be named
            self.problems.append(f"{example.place}: {fault}")

    def _json(self, example: Example) -> None:
        json.loads(example.text)

    def _toml(self, example: Example) -> None:
        tomllib.loads(example.text)


@pytest.mark.embedded
@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_work(page, workplace):
    story = Story(workplace)

    for example in (example for example in ALL if example.page == page):
        story.tell(example)

    assert not story.problems, "\n\n".join(story.problems)


def test_every_fence_has_a_language_that_is_checked():
    strange = [example.place for example in ALL if not example.directive and example.language not in CHECKED]

    assert strange == []


def test_what_is_not_run_has_a_reason():
    skipped = [example for example in ALL if example.directive == "skip-run"]

    assert [example.place for example in skipped if len(example.words.split()) < 3] == []
    assert len(skipped) <= MOST_SKIPPED


def test_directives_are_known():
    known = {"", "file", "script", "output", "skip-run"}

    assert [example.place for example in ALL if example.directive not in known] == []


def test_the_readme_shows_what_serve_prints(serve_default):
    shown = next(example.text for example in ALL if example.page == "README.md" and "make serve" in example.text)
    output = commands_in(shown)[0][1]

    assert missing_line(output, serve_default.printed.replace(serve_default.address, "127.0.0.1:8080")) is None


def test_a_page_is_read_block_by_block():
    page = "text\n<!-- example: file a.yaml -->\n```yaml\na: 1\n```\n\n```console\n$ echo a \\\nb\na b\n```"

    first, second = read_examples("a.md", page)

    assert (first.directive, first.words, first.text, first.line) == ("file", "a.yaml", "a: 1\n", 3)
    assert (second.directive, second.language) == ("", "console")
    assert commands_in(second.text) == [("echo a \\\nb", "a b\n")]


def test_output_is_compared_in_order():
    assert missing_line("one …\nthree", "zero\none two\nthree\n") is None
    assert missing_line("three\none …", "one two\nthree\n") == "one …"


def test_no_page_waits_for_what_another_server_of_it_has_printed():
    """A file is emptied by the server that begins, a moment after the page looks into it."""
    for page in PAGES:
        written = re.findall(r"switchgear serve .* > (\S+)", (ROOT / page).read_text(encoding="utf-8"))
        assert len(written) == len(set(written)), page
