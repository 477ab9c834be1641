"""A desk of runs that is a double: runs live in memory, and say what the test has them say. And a client without a socket."""

import json

import anyio

from gateway.agents.desk import no_response
from gateway.core.errors import Conflict
from gateway.core.events import Started
from gateway.server.departure import Departure
from gateway.stores.runs import Run, RunEvent, RunItem


def events_of(*names):
    """Events with these names, numbered from 0."""
    return [
        RunEvent(seq=number, name=name, data=json.dumps({"type": name, "sequence_number": number}).encode())
        for number, name in enumerate(names)
    ]


class DeskDouble:
    """Answers every draft with `script`: events, and errors to raise in their place. What it was asked is in `asked`."""

    def __init__(self, *script, model_asked=True):
        self.script = script
        self.model_asked = model_asked
        self.asked = []
        self.drafts = []
        self.runs = {}
        self.items = []
        self.cancelled = []
        self.follow_on = anyio.Event()
        self.follow_on.set()

    def _run(self, draft, status):
        run = Run(
            id=f"resp_{len(self.runs)}",
            tenant=draft.caller.tenant,
            caller=draft.caller,
            model=draft.model,
            status=status,
            created_at=0.0,
        )
        self.runs[run.id] = run
        return run

    def own_tools(self, fields):
        """None of the tools is this server's."""
        return ()

    async def begin(self, draft):
        self.drafts.append(draft)
        for step in self.script:
            if isinstance(step, Exception):
                raise step
        return self._run(draft, "queued")

    async def answer(self, draft, take, ear):
        self.drafts.append(draft)
        if self.model_asked:
            ear.asking()
        ear.started(Started(id="x", model=draft.model, created=0, target="play/demo"))
        try:
            await self._say(take, -1)
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(draft)
            raise
        return self._run(draft, "completed")

    async def _say(self, take, after):
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if step.seq > after:
                await take(step)
        await self.follow_on.wait()

    async def spelled_out(self, draft):
        fields = {
            name: value for name, value in draft.fields.items() if name not in ("previous_response_id", "conversation")
        }
        return {
            **fields,
            "input": [{"role": "user", "content": "one two three four"}, {"role": "user", "content": "five"}],
        }

    async def follow(self, tenant, run, take, *, after=-1):
        await self.find(tenant, run)
        await self._say(take, after)

    async def find(self, tenant, run):
        self.asked.append(run)
        found = self.runs.get(run)
        if found is None or found.tenant != tenant:
            raise no_response(run)
        return found

    async def document(self, run):
        return {"id": run.id, "object": "response", "status": run.status}

    async def cancel(self, tenant, run):
        await self.find(tenant, run)
        raise Conflict("Only background responses can be cancelled.")

    async def remove(self, tenant, run):
        await self.find(tenant, run)
        del self.runs[run]

    async def input_items(self, tenant, run):
        await self.find(tenant, run)
        return [
            RunItem(id=name, place="input", index=number, body={"id": name, "type": "message"})
            for number, name in enumerate(self.items)
        ]


class Answered:
    """A client, and what it read. `departure` is how it leaves."""

    def __init__(self):
        self.departure = Departure()
        self.status = 0
        self.headers = {}
        self.body = b""
        self.complete = False

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message.get("body", b"")
            self.complete = not message.get("more_body", False)

    def json(self):
        return json.loads(self.body)

    @property
    def numbers(self):
        """The sequence numbers of a stream."""
        return [
            json.loads(line[6:])["sequence_number"] for line in self.body.splitlines() if line.startswith(b"data: ")
        ]


async def ask(endpoint, method, path, body=None, *, query="", headers=(), params=None, client=None):
    """Send one request to an endpoint, and give its answer."""
    client = client or Answered()
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 1),
        "path_params": params or {},
        "extensions": {"switchgear.departure": client.departure},
    }

    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    await endpoint(scope, receive, client.send)
    return client
