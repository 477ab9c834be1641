"""What a model is given in a run: the items of what it goes on from, its own input, and its own output so far, in wire form.

A run goes on from a previous response, and that perhaps from another, or from a conversation. A response that failed or was
cancelled can be gone on from: what it was asked, and what was said to its end, counts. Of an answer that broke off nothing does,
and neither does a call of a tool that was cut off in the middle. Instructions are not inherited. All of it is bounded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NoReturn

import msgspec

from gateway.agents.desk import no_conversation, no_response
from gateway.agents.marks import marked
from gateway.agents.means import Means
from gateway.agents.plan import Plan
from gateway.agents.unfolding import Room, unfold
from gateway.core.content import Content, Prompt
from gateway.core.errors import Conflict, ContextLengthExceeded, InvalidRequest
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.core.tools import Label
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.openai_responses.compaction import read_wish
from gateway.dialects.openai_responses.kept_items import spread_input, whole_item
from gateway.dialects.openai_responses.mcp_items import CALL, KINDS, for_model, is_ours
from gateway.stores.runs import LIVE, Link, Run, RunItem
from gateway.stores.sealing import Seal

PREVIOUS: Final = "previous_response_id"
CONVERSATION: Final = "conversation"
_OURS: Final = (
    "background",
    "cache",
    "context_management",
    CONVERSATION,
    "input",
    PREVIOUS,
    "prompt",
    "store",
    "stream",
)
"""Fields that are for this server, and no model's; of a prompt only its name is left when a run is made."""
_PAGE: Final = 100
_UNLABELLED: Final[Mapping[int, Label | None]] = {}
_encode = msgspec.json.Encoder().encode


class Prompted(msgspec.Struct, frozen=True, kw_only=True):
    """What goes to a model: the fields of its request, the same as JSON, and decoded; `seen` are the items as they are kept, what was compacted apart.

    `upto` is the last item of the conversation that is among them, empty where there is none. `results` are calls of tools that were compacted.
    """

    fields: dict[str, Json]
    body: bytes
    content: Content
    seen: Sequence[RunItem] = ()
    upto: str = ""
    results: Sequence[RunItem] = ()


def origins(fields: dict[str, Json]) -> tuple[str, str]:
    """Give the ids of the response and of the conversation that a request goes on from, empty where it does not. Raises InvalidRequest."""
    previous, conversation = fields.get(PREVIOUS), fields.get(CONVERSATION)
    if previous is not None and (not isinstance(previous, str) or not previous):
        _refuse("must be the id of a response.", PREVIOUS)
    if isinstance(conversation, dict):
        conversation = conversation.get("id") or 0
    if conversation is not None and (not isinstance(conversation, str) or not conversation):
        _refuse("must be the id of a conversation, or an object with its `id`.", CONVERSATION)
    if previous and conversation:
        _refuse(f"and `{CONVERSATION}` exclude each other: a response goes on from one of them.", PREVIOUS)
    return previous or "", conversation or ""


def _refuse(what: str, param: str) -> NoReturn:
    msg = f"`{param}` {what}"
    raise InvalidRequest(msg, param=param)


def validate(fields: dict[str, Json]) -> None:
    """Check a request by itself, so that an error names the client's own field. Raises InvalidRequest."""
    given: Json = fields.get("input")
    if not given and (fields.get(PREVIOUS) or fields.get(CONVERSATION)):
        # There may be nothing to add to what was said; whether that is nothing, shows later.
        given = given if given not in (None, "", []) else "-"
    OPENAI_RESPONSES.decode_call({**_for_model(fields), "prompt": fields.get("prompt"), "input": given})
    read_wish(fields)


def _for_model(fields: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if name not in _OURS}


def input_items(
    fields: dict[str, Json], new_id: NewId, labels: Mapping[int, Label | None] = _UNLABELLED
) -> tuple[RunItem, ...]:
    """Give the items of a request that was validated, each whole and with an id of its own. `labels` are those of items that were named, by place."""
    items: dict[str, RunItem] = {}
    for index, item in enumerate(spread_input(fields.get("input"))):
        body = whole_item(item, new_id, taken=items)
        items[body["id"]] = RunItem(id=body["id"], place="input", index=index, body=body, label=labels.get(index))
    return tuple(items.values())


class Context:
    """Gathers what runs are given."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def check(self, tenant: str, previous: str, conversation: str) -> None:
        """Raise what keeps a run from going on from there: NotFound, and Conflict for a response that has not ended."""
        await self._chain(tenant, previous)
        if conversation and await self._means.conversations.find(tenant, conversation) is None:
            raise no_conversation(conversation, CONVERSATION)

    async def gather(self, run: Run, own: Sequence[RunItem], plan: Plan | None = None, *, steps: int = 0) -> Prompted:
        """Give what the model is given next; `own` are the run's items so far, `steps` its answers. Raises NotFound, InvalidRequest."""
        settings = self._means.settings
        bodies = _Bounded(settings.context_items, settings.context_bytes, self._means.seal, run.tenant)
        upto = ""
        if run.conversation:
            upto = await self._add_conversation(run, bodies)
        elif run.previous:
            earlier = [link.id for link in reversed(await self._chain(run.tenant, run.previous))]
            bodies.add(_counting(await self._means.runs.items_of(earlier)))
        bodies.add(_counting(own), run.id)
        given = run.request if plan is None else _step_fields(plan, steps)
        model = run.model if plan is None else plan.model
        if bodies.has_tools:
            bodies.translate(frozenset() if plan is None else {listed.server for listed in plan.listed})
        fields = {**_for_model(given), "model": model, "stream": True, "input": bodies.items}
        content = OPENAI_RESPONSES.decode_call(fields)
        if isinstance(content, Prompt) and (marks := {item.id: item.marks for item in bodies.seen if item.marks}):
            content = msgspec.structs.replace(content, items=marked(content.items, marks))
        body = _encode({**fields, "input": bodies.raw()})
        return Prompted(fields=fields, body=body, content=content, seen=bodies.seen, upto=upto, results=bodies.results)

    async def _chain(self, tenant: str, previous: str) -> Sequence[Link]:
        """Give a response and those that it goes on from, the last first."""
        most = self._means.settings.chain
        chain = await self._means.runs.chain(tenant, previous, most=most + 1) if previous else ()
        for link in chain[:most]:
            _require_usable(link)
        if len(chain) > most:
            msg = f"The response goes on from more than {most} others: begin anew, or use a conversation."
            raise InvalidRequest(msg, param=PREVIOUS)
        missing = chain[-1].previous if chain else previous
        if missing:
            raise no_response(missing, PREVIOUS)
        return chain

    async def _add_conversation(self, run: Run, bodies: _Bounded) -> str:
        """Add what was said in the conversation; give the id of the last item."""
        last, own = "", run.id
        while True:
            page = await self._means.conversations.items(
                run.tenant, run.conversation, after=last, limit=_PAGE, order="asc"
            )
            if page is None:
                raise no_conversation(run.conversation, CONVERSATION)
            for item in page:
                if item.run != own and not _is_cut_off(item.body):
                    # What is not labelled was said by a client, as far as is known.
                    said = RunItem(id=item.id, place="input", index=0, body=_said(item.body), label=item.label)
                    bodies.add([said], item.run)
            last = page[-1].id if page else last
            if len(page) < _PAGE:
                return last


class _Bounded:
    """Items in wire form, no more and no larger than they may be. What was compacted has what stands for it in its place."""

    def __init__(self, most: int, most_bytes: int, seal: Seal | None, tenant: str) -> None:
        self.items: list[dict[str, Json]] = []
        self.seen: list[RunItem] = []
        self.results: list[RunItem] = []
        self.has_tools = False
        self._most = most
        self._room = most_bytes
        self._seal = seal
        self._tenant = tenant
        self._opening = Room()
        self._encoded: list[bytes] = []
        self._runs: list[str] = []

    def add(self, some: Iterable[RunItem], run: str = "") -> None:
        """Take some more, which `run` has said. Raises ContextLengthExceeded, and InvalidRequest for a compaction that cannot be opened."""
        for item in some:
            unfolded = unfold(item, self._seal, self._tenant, self._opening)
            if unfolded is None:
                self._add(item, run)
                continue
            later = self._cut(unfolded.upto, run) if unfolded.covers else []
            for each, said_by in (*((each, run) for each in unfolded.items), *later):
                self._add(each, said_by)

    def _add(self, item: RunItem, run: str) -> None:
        data = _encode(item.body)
        self._room -= len(data)
        if len(self.items) >= self._most or self._room < 0:
            msg = (
                "What the response goes on from is larger than this server gives to a model: begin anew, or compact it."
            )
            raise ContextLengthExceeded(msg, param="input")
        self.items.append(item.body)
        self.seen.append(item)
        self.has_tools = self.has_tools or item.body.get("type") in KINDS
        self._encoded.append(data)
        self._runs.append(run)

    def _cut(self, upto: str, run: str) -> list[tuple[RunItem, str]]:
        """Leave all out; give what was not compacted: what others have said in the conversation after `upto`."""
        names = [item.id for item in self.seen]
        later = names.index(upto) + 1 if upto and upto in names else len(names)
        left = [(self.seen[place], self._runs[place]) for place in range(later, len(names)) if self._runs[place] != run]
        # What was too long to be shown can still be read on in.
        self.results += [item for item in self.seen if item.body.get("type") == CALL]
        self._room += sum(map(len, self._encoded))
        for each in (self.items, self.seen, self._encoded, self._runs):
            each.clear()
        return left

    def translate(self, labels: Collection[str]) -> None:
        """Put functions in the place of calls of tools of this server."""
        self.items = list(for_model(self.items, labels))
        self._encoded = [_encode(body) for body in self.items]

    def raw(self) -> msgspec.Raw:
        """Give them as one JSON array."""
        return msgspec.Raw(b"[" + b",".join(self._encoded) + b"]")


def _step_fields(plan: Plan, steps: int) -> dict[str, Json]:
    """Give the fields of the request for the next answer: the first has to use a tool where the client says so, not every one."""
    choice = plan.fields.get("tool_choice")
    if not steps or choice is None or choice == "none":
        return plan.fields
    mode = "auto"
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        return {**plan.fields, "tool_choice": {**choice, "mode": mode}}
    return {**plan.fields, "tool_choice": mode}


def _require_usable(link: Link) -> None:
    """Raise what keeps a response from being gone on from."""
    if link.status in LIVE:
        msg = f"The response {link.id!r} has not ended yet: wait for its end, or cancel it."
        raise Conflict(msg, param=PREVIOUS)
    if link.lineage is not None and link.lineage.kind == "replay":
        msg = f"The response {link.id!r} is a replay, in which nothing was done: go on from a fork of {link.lineage.run!r}."
        raise Conflict(msg, param=PREVIOUS)
    if link.conversation:
        # It went on from a conversation, whose items of that time are not known any more.
        _refuse("names a response of a conversation: go on with `conversation`.", PREVIOUS)


def _counting(items: Sequence[RunItem]) -> Iterator[RunItem]:
    """Give what counts of a run's items."""
    return (
        item if (said := _said(item.body)) is item.body else msgspec.structs.replace(item, body=said)
        for item in items
        if item.place == "input" or not _is_cut_off(item.body)
    )


def _is_cut_off(body: dict[str, Json]) -> bool:
    """Whether it is a call of a tool whose arguments are not whole. What was begun here counts, also where its end is not known."""
    if body.get("type") == CALL and is_ours(body.get("id")):
        return False
    return body.get("status") == "incomplete" and str(body.get("type")).endswith("_call")


def _said(body: dict[str, Json]) -> dict[str, Json]:
    """Give an item as a client would send it: ids that were made here mean nothing to an upstream."""
    if body.get("role") in ("user", "system", "developer") or str(body.get("type")).endswith("_output"):
        return {name: value for name, value in body.items() if name not in ("id", "status")}
    return body
