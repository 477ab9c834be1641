"""Authorizations of servers of tools: /admin/tools/{server}/authorize, and /oauth/…, where browsers and authorization servers come.

Who comes back at /oauth/callback is known by nothing but the `state` that he was sent away with: unguessable, used once, good for ten minutes.
That address may have been given to somebody else, to have him lend his account: so he is told to whom, and nothing is taken before he says yes.
"""

from __future__ import annotations

import html
from typing import Annotated, Final
from urllib.parse import parse_qsl

from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body
from gateway.api.admin_tools import require_home
from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.body import read_body
from gateway.api.borrowers import borrower_of
from gateway.api.edge import Edge
from gateway.api.plain import Document, PlainEndpoint, json_document
from gateway.core.errors import InvalidRequest, NotFound
from gateway.stores.audit import AuditObject
from gateway.stores.tool_grants import GrantInfo, Holder
from gateway.tools.oauth.authorizing import CALLBACK, DOCUMENT, OLD_DOCUMENT, Authorizing

AUTHORIZE_PATH: Final = "/admin/tools/{server}/authorize"
CALLBACK_PATH: Final = f"{CALLBACK}/{{server}}"
DOCUMENT_PATH: Final = f"{DOCUMENT}/{{server}}"

_PAGE: Final = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Authorized</title>
<p>The authorization was taken. You can close this window.</p></html>"""
_QUESTION: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Is it you?</title>
<p>With the account that you have just agreed with at <b>{issuer}</b>, the server of tools <b>{server}</b> will be used from now on by
<b>{who}</b> of this gateway.</p>
<p>Go on only if that is you, and you have begun this yourself. Else close this window: nothing is taken.</p>
<form method="post" action="{action}"><input type="hidden" name="ticket" value="{ticket}"><button>It is me: go on</button></form></html>"""
_MOST_FORM: Final = 4096
_MOST_PARAMETERS: Final = 20
_QUIET: Final = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-frame-options", b"DENY"),
)


class Whose(Body, frozen=True, kw_only=True):
    """Whose authorization; without either, the operator's."""

    tenant: Annotated[str, Meta(max_length=128, description="A person's tenant.")] = ""
    person: Annotated[str, Meta(max_length=300, description="The person, as the list names him.")] = ""


def endpoints(edge: Edge, services: Services, authorizing: Authorizing | None) -> dict[str, AsgiApp]:
    """Give the endpoints; without a database and a master key they say that nobody authorizes here."""
    desk = _Desk(services, authorizing)
    deeds = {
        "GET": Deed(right="read", perform=desk.show),
        "POST": Deed(right="write", perform=desk.begin),
        "DELETE": Deed(right="write", perform=desk.forget),
    }
    callback = PlainEndpoint(edge, desk.at_callback, methods=("GET", "POST"), public=True)
    document = PlainEndpoint(edge, desk.document, public=True)
    return {
        AUTHORIZE_PATH: admin_endpoint(edge, "server of tools", deeds),
        CALLBACK: callback,
        CALLBACK_PATH: callback,
        OLD_DOCUMENT: document,
        DOCUMENT_PATH: document,
    }


class _Desk:
    def __init__(self, services: Services, authorizing: Authorizing | None) -> None:
        self._services = services
        self._there = authorizing

    @property
    def _authorizing(self) -> Authorizing:
        if self._there is None:
            msg = "Nobody authorizes here: set `database` and `secrets.master_key` in the configuration."
            raise NotFound(msg)
        return self._there

    async def show(self, asked: Asked) -> Document:
        require_home(asked)
        found = await self._authorizing.list(asked.id)
        return json_document({"object": "list", "data": [_grant(info) for info in found]})

    async def begin(self, asked: Asked) -> Document:
        require_home(asked)
        holder = Holder(server=asked.id)
        if self._services.audit is None:
            sent = await self._authorizing.begin(holder, by=asked.caller.id)
        else:
            async with self._services.audited(asked, "tool_server.authorizing", ("tool_server", asked.id, "")):
                sent = await self._authorizing.begin(holder, by=asked.caller.id)
        return json_document(
            {"object": "tool_authorization", "server": asked.id, "url": sent.url, "expires_at": sent.expires_at}
        )

    async def forget(self, asked: Asked) -> Document:
        require_home(asked)
        whose = asked.query(Whose)
        holder = Holder(server=asked.id, tenant=whose.tenant, person=whose.person)
        if self._services.audit is None:
            gone = await self._authorizing.forget(holder)
        else:
            said = {"tenant": whose.tenant, "person": whose.person}
            about = ("tool_server", asked.id, "")
            async with self._services.audited(asked, "tool_server.unauthorized", about, said):
                gone = await self._authorizing.forget(holder)
        if not gone:
            raise absent("authorization")
        return json_document({"object": "tool_authorization", "server": asked.id, "deleted": True})

    async def at_callback(self, scope: Scope, receive: Receive) -> Document:
        """Take who comes back from an authorization server, and what he says then."""
        if scope["method"] == "POST":
            return await self._confirm(await read_body(receive, _MOST_FORM))
        server = _server(scope)
        back = await self._authorizing.come_back(_pairs(scope.get("query_string", b"")), server)
        holder = back.consent.holder
        who = await borrower_of(holder, self._services.directory)
        told = {"issuer": back.consent.issuer, "server": holder.server, "who": who}
        # From here, for a proxy may have put a path before ours.
        action = "callback" if server is None else "../callback"
        page = _QUESTION.format(
            ticket=back.ticket, action=action, **{name: html.escape(text) for name, text in told.items()}
        )
        return Document(body=page.encode(), content_type="text/html; charset=utf-8", headers=_QUIET)

    async def _confirm(self, form: bytes) -> Document:
        consent = await self._authorizing.confirm(_pairs(form).get("ticket", ""))
        if self._services.audit is not None:
            about = AuditObject(kind="tool_server", id=consent.holder.server, tenant=consent.holder.tenant)
            details = {"begun_by": consent.by, "person": consent.holder.person, "scope": consent.scope}
            self._services.audit.record_later("tool_server.authorized", about=about, details=details)
        return Document(body=_PAGE, content_type="text/html; charset=utf-8", headers=_QUIET)

    async def document(self, scope: Scope, receive: Receive) -> Document:
        """Say who this gateway is to authorization servers that ask."""
        del receive
        return json_document(self._authorizing.document(_server(scope)))


def _server(scope: Scope) -> str | None:
    """Give the server that an address names; None for the address that all of them had once."""
    found: str | None = scope.get("path_params", {}).get("server")
    return found


def _pairs(given: bytes) -> dict[str, str]:
    """Give the parameters, each of which is there once: which of two counts, others might see differently."""
    try:
        pairs = parse_qsl(given.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise InvalidRequest("The address cannot be read.") from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidRequest("The address says something twice.")
    return found


def _grant(info: GrantInfo) -> dict[str, object]:
    holder = info.holder
    return {
        "object": "tool_grant",
        "server": holder.server,
        "tenant": holder.tenant or None,
        "person": holder.person or None,
        "updated_at": info.updated_at,
    }
