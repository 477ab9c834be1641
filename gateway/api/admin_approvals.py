"""/admin/approvals: what agents ask people, and people's answers. Who may answer what is the desk's question; here it is who may ask at all."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.agents.answers import Answers
from gateway.agents.approving import Ballot, Verdict
from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_records import listed
from gateway.api.admin_shapes import Body, Cursor, Id, Limit, decode_body
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.caller import Caller
from gateway.core.errors import NotFound, SwitchgearError
from gateway.core.items import Json
from gateway.notices.approval_view import approval_view
from gateway.stores.tool_calls import Approval, ApprovalState

LIST_PATH = "/admin/approvals"
BATCH_PATH = "/admin/approvals/batch"
ONE_PATH = "/admin/approvals/{approval}"
APPROVE_PATH = "/admin/approvals/{approval}/approve"
DENY_PATH = "/admin/approvals/{approval}/deny"
EDIT_PATH = "/admin/approvals/{approval}/edit"
MOST_AT_ONCE = 100

_DEPTH = 64

Version = Annotated[int, Meta(ge=1, description="The version that you saw: an answer to another is refused with 409.")]
Reason = Annotated[
    str,
    Meta(
        max_length=20_000,
        description="Why. A denial's goes to the model as the tool's result; of a question it is the answer.",
    ),
]


class ApprovalQuery(Body, frozen=True, kw_only=True):
    """Which approvals."""

    state: Annotated[ApprovalState, Meta(description="In this state alone.")] | None = None
    run: Annotated[str, Meta(max_length=128, description="Of this run alone.")] = ""
    tenant: Id | None = None
    limit: Limit = 100
    after: Cursor = ""


class Answering(Body, frozen=True, kw_only=True):
    """An answer to a question as it stands."""

    reason: Reason = ""
    version: Version | None = None


class Editing(Body, frozen=True, kw_only=True):
    """Leave for other arguments than were asked about."""

    arguments: Annotated[
        dict[str, Json], Meta(description="All of them: nothing is taken over from those asked about.")
    ]
    version: Version
    reason: Reason = ""


class OneOfMany(Answering, frozen=True, kw_only=True):
    """One answer of several."""

    id: Id
    verdict: Literal["approve", "deny"]


class AnsweringMany(Body, frozen=True, kw_only=True):
    """Several answers; each has a result of its own."""

    answers: Annotated[list[OneOfMany], Meta(min_length=1, max_length=MOST_AT_ONCE)]


def endpoints(edge: Edge, answers: Answers | None) -> dict[str, AsgiApp]:
    """Give the endpoints; without answers they say that this server has no runs."""
    desk = _Desk(answers)
    word = "approval"
    return {
        LIST_PATH: admin_endpoint(edge, word, {"GET": Deed(right="asked", perform=desk.show_list)}),
        BATCH_PATH: admin_endpoint(edge, word, {"POST": Deed(right="approve", perform=desk.answer_many)}),
        ONE_PATH: admin_endpoint(edge, word, {"GET": Deed(right="asked", perform=desk.show)}),
        APPROVE_PATH: admin_endpoint(edge, word, {"POST": Deed(right="approve", perform=desk.approve)}),
        DENY_PATH: admin_endpoint(edge, word, {"POST": Deed(right="approve", perform=desk.deny)}),
        EDIT_PATH: admin_endpoint(edge, word, {"POST": Deed(right="approve", perform=desk.edit)}),
    }


class _Desk:
    def __init__(self, answers: Answers | None) -> None:
        self._there = answers

    @property
    def _answers(self) -> Answers:
        if self._there is None:
            msg = "This server has no runs that could ask: set `runs` and `database` in its configuration."
            raise NotFound(msg)
        return self._there

    async def show_list(self, asked: Asked) -> Document:
        query = asked.query(ApprovalQuery)
        store = self._answers.approvals
        found = await store.list(
            asked.tenants(query.tenant), state=query.state, after=query.after, limit=query.limit + 1, run=query.run
        )
        page = found[: query.limit]
        shown = [approval_view(approval, await store.votes(approval.id)) for approval in page]
        return listed(shown, page[-1].id if len(found) > query.limit else "")

    async def show(self, asked: Asked) -> Document:
        approval = await self._found(asked, asked.id)
        votes = await self._answers.approvals.votes(approval.id)
        objection = self._answers.objection(_approver(asked, approval), approval)
        return json_document({**approval_view(approval, votes), "objection": objection or None})

    async def approve(self, asked: Asked) -> Document:
        return await self._answer(asked, asked.id, approve=True, given=_given(asked))

    async def deny(self, asked: Asked) -> Document:
        return await self._answer(asked, asked.id, approve=False, given=_given(asked))

    async def edit(self, asked: Asked) -> Document:
        body = decode_body(asked.body_bytes, Editing, depth=_DEPTH)
        ballot = Ballot(
            approval=asked.id, approve=True, reason=body.reason, edited=body.arguments, version=body.version
        )
        return json_document(await self._counted(asked, ballot))

    async def answer_many(self, asked: Asked) -> Document:
        results = []
        for one in asked.body(AnsweringMany).answers:
            # One after the other: each is an entry in the audit log, and one transaction.
            try:
                document = await self._answer(asked, one.id, approve=one.verdict == "approve", given=one)
            except SwitchgearError as error:
                refusal = {"message": error.message, "code": error.code, "param": error.param}
                results.append({"id": one.id, "status": error.status, "error": refusal})
            else:
                results.append({"id": one.id, "status": 200, "approval": msgspec.Raw(document.body)})
        return json_document({"object": "list", "data": results})

    async def _answer(self, asked: Asked, identifier: str, *, approve: bool, given: Answering) -> Document:
        ballot = Ballot(approval=identifier, approve=approve, reason=given.reason, version=given.version)
        return json_document(await self._counted(asked, ballot))

    async def _counted(self, asked: Asked, ballot: Ballot) -> dict[str, Any]:
        approval = await self._found(asked, ballot.approval)
        verdict = await self._answers.answer(
            _approver(asked, approval), ballot, channel="admin", address=asked.address, actor=asked.caller
        )
        return _shown(verdict)

    async def _found(self, asked: Asked, identifier: str) -> Approval:
        approval = await self._answers.approvals.find(asked.tenants(None), identifier)
        if approval is None:
            raise absent("approval")
        return approval


def _given(asked: Asked) -> Answering:
    return asked.body(Answering) if asked.body_bytes else Answering()


def _approver(asked: Asked, approval: Approval) -> Caller:
    """Give who answers: whoever administers all tenants answers as one of the approval's."""
    return msgspec.structs.replace(asked.caller, tenant=approval.tenant)


def _shown(verdict: Verdict) -> dict[str, Any]:
    shown = approval_view(verdict.approval, verdict.votes)
    return {**shown, "continuation": verdict.continuation or shown["continuation"], "decided": verdict.decided}
