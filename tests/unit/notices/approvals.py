"""Approvals as the tests of notices and Slack write them."""

import hashlib

from gateway.core.caller import Caller
from gateway.core.tools import Label
from gateway.stores.tool_calls import Approval, Vote

BOB = Caller(id="key_bob", kind="key", tenant="default", user="bob")
NOW = 1_790_000_000.0


def digest(arguments: str) -> str:
    return hashlib.sha256(arguments.encode()).hexdigest()


def approval(identifier: str = "mcpr_1", **fields) -> Approval:
    arguments = fields.pop("arguments", '{"host":"db-1","replicas":5}')
    plain = {
        "tenant": "default",
        "run": "resp_1",
        "call": "mcp_1",
        "agent": "sre-helper",
        "requester": BOB,
        "server": "ops",
        "tool": "scale",
        "definition": "d" * 64,
        "reason": "More than 3 replicas need leave.",
        "rules": ("large-scale",),
        "origins": {"replicas": Label(source="web/fetch", integrity="untrusted")},
        "taint": ("web/fetch",),
        "created_at": NOW,
        "expires_at": NOW + 3600,
    }
    return Approval(id=identifier, arguments=arguments, arguments_hash=digest(arguments), **(plain | fields))


def vote(approver: str = "ada", *, approve: bool = True, version: int = 1, reason: str = "", at: float = NOW) -> Vote:
    return Vote(
        approval="mcpr_1", approver=approver, approve=approve, reason=reason, channel="api", at=at, version=version
    )
