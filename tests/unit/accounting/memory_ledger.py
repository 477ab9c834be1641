"""A ledger's store in memory, which can be away and can refuse, and calls and records to write in it."""

from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest, StoreUnavailable
from gateway.core.record import Record
from gateway.core.usage import Usage
from gateway.stores.ledger import RowPage

CALLER = Caller(id="key_7", tenant="acme", team="blue", user="ann", tags=(("project", "x"),))
TARGETS = ("up/big", "gpu/small")
NOW = 1_790_000_000.0


class MemoryLedger:
    """Keeps rows by id, the first of each. `away` answers nothing; a row whose model is in `refused` is never taken."""

    def __init__(self):
        self.rows = {}
        self.away = False
        self.refused = set()
        self.inserts = 0

    async def insert(self, rows):
        self.inserts += 1
        if self.away:
            raise StoreUnavailable("The database cannot be reached or used now.")
        if any(row.model in self.refused for row in rows):
            raise InvalidRequest("The database cannot keep a value of this request.")
        for row in rows:
            self.rows.setdefault(row.id, row)

    async def find_rows(self, query):
        return RowPage(rows=tuple(self.rows[each] for each in query.ids if each in self.rows), next=None)

    async def remove(self, *, tenant, user, before, limit):
        if self.away:
            raise StoreUnavailable("The database cannot be reached or used now.")
        found = [
            row.id
            for row in sorted(self.rows.values(), key=lambda row: row.started_at)
            if tenant in (None, row.tenant) and user in (None, row.user) and (before is None or row.started_at < before)
        ][:limit]
        for each in found:
            del self.rows[each]
        return len(found)


class OneDollarAToken:
    """The prices in force: a dollar for a token at the big model, nothing known of others."""

    version = "2026-10-21+test"

    def nano(self, target, usage):
        return usage.total * 10**9 if target == "up/big" else None


def call(number, **changes):
    values = {
        "id": f"call_{number:024d}", "operation": "generate", "dialect": "openai_chat", "model": "chat", "stream": True,
        "caller": CALLER, "received": 0.0, "body": b"x" * 400, "fields": {},
    }  # fmt: skip
    return Call(**(values | changes))


def record(number, **changes):
    values = {
        "id": f"call_{number:024d}", "started_at": NOW + number, "operation": "generate", "dialect": "openai_chat", "stream": True,
        "caller": "key_7", "model": "chat", "provider": "up", "served": "big", "route": ("up/big",), "status": 200, "duration": 1.5,
        "first_token": 0.5, "upstream": 0.4, "usage": Usage(input=10, output=5), "cost": 15.0, "cost_nano": 15 * 10**9,
        "prices": "2026-10-21", "finish_reason": "stop", "error": None, "parameters": {"temperature": 0.5}, "tenant": "acme",
        "team": "blue", "user": "ann", "tags": (("project", "x"),),
    }  # fmt: skip
    return Record(**(values | changes))
