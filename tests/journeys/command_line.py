"""The command line as a user has it: `switchgear` as a process, in a directory with a scripted model."""

import os
import subprocess
import sys
from pathlib import Path

from tests.journeys.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
SWITCHGEAR = [sys.executable, "-m", "gateway"]

SCRIPT = """\
models:
  demo:
    answers:
      - when: {contains: think}
        think: Let me see.
        say: I have thought.
      - when: {contains: slowly}
        say: one two three four five six seven eight nine ten
        pace: 2
      - when: {contains: break off}
        say: This answer does not reach its end
        fail: {broken: true, after_deltas: 3, message: The connection was lost.}
      - when: {contains: too many}
        fail: {status: 429, message: Slow down.}
      - when: {contains: cost}
        say: A thousand tokens.
        usage: {input: 600, output: 400}
      - when: {turn: 1}
        say: "Second turn: {input}"
      - say: "You said: {input}"
"""

CONFIG = """\
server: {port: 0}
providers:
  script: {kind: scripted, document: script.yaml}
models:
  demo: script/demo
  free: script/demo-too
prices:
  script/demo: {input: 1.0, output: 2.0}
"""


class Workplace:
    """A directory with a configuration that is sound; commands run in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
        }
        self.write("script.yaml", SCRIPT + SCRIPT.partition("\n")[2].replace("demo:", "demo-too:"))
        self.write("switchgear.yaml", CONFIG)

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def run(self, *args: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end with `text` on its standard input."""
        return subprocess.run(
            [*SWITCHGEAR, *args],
            cwd=self.directory,
            env=self.env,
            input=text,
            text=True,
            capture_output=True,
            timeout=30,
            check=False,
        )

    def terminal(self, *args: str) -> Terminal:
        """Run a command on a terminal."""
        return Terminal([*SWITCHGEAR, *args], cwd=self.directory, env=self.env)

    def shell(self, line: str) -> Terminal:
        """Run a line of shell, in which $SWITCHGEAR is the command, on a terminal."""
        return Terminal(["sh", "-c", line], cwd=self.directory, env={**self.env, "SWITCHGEAR": " ".join(SWITCHGEAR)})
