"""The official TypeScript SDK as a client that tests tell what to do: `driver.mjs`, run by Node.js in .mcp-clients."""

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOME = ROOT / ".mcp-clients"
NODE = ROOT / ".mcp-conformance" / "node" / "bin" / "node"
PROGRAMS = ("driver.mjs", "v1.mjs", "v2.mjs")
PATIENCE = 60.0
SDKS = (("v1", "legacy"), ("v2", "legacy"), ("v2", "auto"))
"""The lines of the SDK, and what they are to speak."""


class Refused(Exception):
    """What the SDK threw. `error` has its name, code, message and data."""

    def __init__(self, error):
        super().__init__(f"{error.get('name')} {error.get('code')}: {error.get('message')}")
        self.error = error


class Driven:
    """A client at work. `events` has what it said unasked, in order; `elicit` answers what the server wants of the user."""

    def __init__(self, process, elicit=None):
        self._process = process
        self._elicit = elicit
        self._lines = queue.Queue()
        self._answers = {}
        self._last = 0
        self.version = None
        self.events = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _say(self, **message):
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _take(self, seconds):
        """Take what it says next."""
        said = self._lines.get(timeout=seconds)
        assert said is not None, "the client has ended"
        if said.get("event") == "elicit":
            self.events.append(said)
            self._say(answer=said["number"], value=self._elicit(said["params"]))
        elif "event" in said:
            self.events.append(said)
        else:
            self._answers[said["id"]] = said

    def begin(self, do, params=None, *, progress=False, **options):
        """Ask for something; give its number."""
        self._last += 1
        self._say(id=self._last, do=do, params=params or {}, progress=progress, options=options)
        return self._last

    def wait(self, number, seconds=PATIENCE):
        """Give what came of it. Raises Refused."""
        until = time.monotonic() + seconds
        while number not in self._answers:
            self._take(max(until - time.monotonic(), 0.001))
        said = self._answers.pop(number)
        if "error" in said:
            raise Refused(said["error"])
        return said["result"]

    def ask(self, do, params=None, **options):
        """Ask for something and wait for it. Raises Refused."""
        return self.wait(self.begin(do, params, **options))

    def call(self, name, arguments=None, **options):
        """Call a tool."""
        return self.ask("callTool", {"name": name, "arguments": arguments or {}}, **options)

    def abort(self, number):
        """Give up what was asked."""
        self._say(do="abort", target=number)

    def heard(self, event, count=1, seconds=PATIENCE):
        """Wait until it has said so many things unasked; give them."""
        until = time.monotonic() + seconds
        while len(found := [one for one in self.events if one["event"] == event]) < count:
            self._take(max(until - time.monotonic(), 0.001))
        return found


@contextmanager
def typescript(sdk, mode, world, *, elicit=None):
    """A client that is connected, until the block ends. Raises Refused where it cannot connect."""
    assert HOME.exists(), "run scripts/setup-mcp-clients.sh (make test-mcp-clients does)"
    for name in PROGRAMS:
        if not (HOME / name).exists() or (HOME / name).read_bytes() != (HERE / name).read_bytes():
            shutil.copy(HERE / name, HOME / name)
    process = subprocess.Popen(
        [NODE, HOME / "driver.mjs", sdk, json.dumps({"mode": mode, **world})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(HOME), "NO_COLOR": "1"},
    )
    client = Driven(process, elicit)
    try:
        client.version = client.wait(0)
        yield client
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        client._reader.join(20)
        process.stdout.close()
