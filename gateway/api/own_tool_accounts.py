"""/v1/tools/{server}/authorize: whoever may use a server of tools connects it with an account of his own, and takes that back. It takes his own key, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.edge import Edge
from gateway.api.noting import note
from gateway.api.plain import CALLER, Document, by_method, json_document
from gateway.core.caller import Caller
from gateway.core.errors import NotFound
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import tool as tool_resource
from gateway.stores.audit_log import AuditLog
from gateway.stores.tool_grants import Holder
from gateway.tools.oauth.authorizing import Authorizing
from gateway.tools.personal import holder_of
from gateway.tools.server_hub import ServerHub

PATH: Final = "/v1/tools/{server}/authorize"


def endpoints(
    edge: Edge, hub: ServerHub, authorizing: Authorizing | None, audit: AuditLog | None
) -> dict[str, AsgiApp]:
    """Give the endpoints."""
    accounts = _Accounts(hub, authorizing, audit, lambda: edge.current().authorizer)
    deeds = {"GET": accounts.show, "POST": accounts.begin, "DELETE": accounts.forget}
    return {PATH: by_method(edge, deeds)}


class _Accounts:
    def __init__(
        self,
        hub: ServerHub,
        authorizing: Authorizing | None,
        audit: AuditLog | None,
        authorizer: Callable[[], Authorizer],
    ) -> None:
        self._hub = hub
        self._there = authorizing
        self._audit = audit
        self._authorizer = authorizer

    async def show(self, scope: Scope, receive: Receive) -> Document:
        """Say whether the caller has connected an account."""
        del receive
        authorizing, holder = self._asked(scope)
        connected = any(info.holder == holder for info in await authorizing.list(holder.server))
        return json_document({"object": "tool_account", "server": holder.server, "connected": connected})

    async def begin(self, scope: Scope, receive: Receive) -> Document:
        """Give where the caller goes to connect an account."""
        del receive
        authorizing, holder = self._asked(scope)
        sent = await authorizing.begin(holder, by=scope[CALLER].id)
        note(self._audit, scope, "tool_server.authorizing", ("tool_server", holder.server), {"person": holder.person})
        return json_document(
            {"object": "tool_authorization", "server": holder.server, "url": sent.url, "expires_at": sent.expires_at}
        )

    async def forget(self, scope: Scope, receive: Receive) -> Document:
        """Take back what the caller has connected."""
        del receive
        authorizing, holder = self._asked(scope)
        if not await authorizing.forget(holder):
            msg = f"No account is connected with the server {holder.server!r}."
            raise NotFound(msg)
        note(self._audit, scope, "tool_server.unauthorized", ("tool_server", holder.server), {"person": holder.person})
        return json_document({"object": "tool_account", "server": holder.server, "connected": False})

    def _asked(self, scope: Scope) -> tuple[Authorizing, Holder]:
        """Give who takes care of it, and whose account it is. Raises NotFound for a server that the caller may not use, as for none."""
        caller: Caller = scope[CALLER]
        name = scope["path_params"]["server"]
        info, personal = self._hub.server(name), self._hub.is_personal(name)
        holder = holder_of(caller, name)
        authorizer = self._authorizer()
        usable = info is not None and any(
            authorizer.decide(caller, "use_tool", tool_resource(name, tool)).effect != "deny"
            for tool in self._hub.settings.servers[name].tools
        )
        if self._there is None or not personal or not usable or holder is None:
            msg = f"There is no server of tools {name[:40]!r} here with which you could connect an account."
            raise NotFound(msg)
        return self._there, holder
