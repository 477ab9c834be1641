"""Toy servers of tools: what each tool does, reads and gives, labelled as an operator would label real ones."""

from gateway.core.tools import Label, Tool

DONE = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
NUMBERS = {
    "type": "object",
    "properties": {
        name: {"type": "number"}
        for name in ("count", "replicas", "errors", "hour", "cents", "free_mb", "open", "seats")
    },
}
EACH = {"type": "object", "properties": {}}

# name: effect, outward, integrity, confidentiality, output schema
_READ = ("read", False, "untrusted", "internal", None)
_OWN = ("read", False, "trusted", "internal", None)
_SECRET = ("read", False, "trusted", "sensitive", None)
_COUNT = ("read", False, "untrusted", "internal", NUMBERS)
_FETCH = ("read", True, "untrusted", "internal", None)
_SET = ("idempotent", False, "untrusted", "internal", DONE)
_DO = ("once", False, "untrusted", "internal", DONE)
_OUT = ("once", True, "untrusted", "internal", DONE)

SERVERS = {
    "mail": {
        "inbox": _READ,
        "read": _READ,
        "contacts": _OWN,
        "unread": _COUNT,
        "label": _SET,
        "delete": _DO,
        "send": _OUT,
    },
    "calendar": {"events": _READ, "mine": _OWN, "busy": _COUNT, "create": _OUT, "cancel": _OUT, "remind": _DO},
    "tickets": {"search": _READ, "get": _READ, "open": _COUNT, "comment": _OUT, "close": _SET, "assign": _SET},
    "deploys": {"logs": _READ, "status": _COUNT, "releases": _OWN, "scale": _SET, "restart": _DO, "rollback": _DO},
    "files": {"list": _OWN, "read": _READ, "own": _OWN, "free": _COUNT, "write": _SET, "delete": _DO, "share": _OUT},
    "payments": {"invoices": _READ, "balance": _COUNT, "payees": _OWN, "pay": _OUT, "schedule": _OUT, "stop": _SET},
    "web": {"fetch": _FETCH, "search": _FETCH, "echo": _OWN},
    "crm": {"find": _READ, "salary": _SECRET, "note": _DO, "update": _SET},
}


def _tool(server, name, effect, outward, integrity, confidentiality, output):
    label = Label(source=f"{server}/{name}", integrity=integrity, confidentiality=confidentiality)
    return Tool(
        server=server,
        name=name,
        schema=EACH,
        definition=f"{server}/{name}",
        effect=effect,
        outward=outward,
        gives=label,
        output_schema=output,
    )


TOOLS = {
    f"{server}/{name}": _tool(server, name, *how) for server, tools in SERVERS.items() for name, how in tools.items()
}
