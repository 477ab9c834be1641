"""Programs are told of approvals: signed, once a state, never where they must not be sent to."""

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager

import pytest

from gateway.config.approval_settings import ApprovalSettings, WebhookSettings
from gateway.config.secret import Secret
from tests.journeys.approvals_world import approvals_world

SECRET = Secret("hook-secret", source="env:HOOK")


@asynccontextmanager
async def receiver(statuses):
    """A program that takes webhooks; it answers with the statuses in turn, then with 200."""
    taken = []

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
        }
        taken.append((fields, await reader.readexactly(int(fields["content-length"]))))
        status = statuses.pop(0) if statuses else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", taken
    finally:
        server.close()


def settings(url, **fields):
    return ApprovalSettings(
        webhooks={"tickets": WebhookSettings(url=url, secret=SECRET, **({"private": True} | fields))}
    )


async def test_a_question_and_its_answer_are_told_once_each_and_signed(tmp_path):
    async with receiver([]) as (url, taken), approvals_world(tmp_path, settings(url)) as world:
        (asked,) = await world.asks()
        await world.settle()
        await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve")
        await world.settle()

    events = [json.loads(body) for _, body in taken]
    assert [(event["type"], event["data"]["state"]) for event in events] == [
        ("approval.requested", "pending"),
        ("approval.resolved", "approved"),
    ]
    assert events[0]["data"]["arguments_sha256"] == asked.arguments_hash
    for fields, body in taken:
        at, mac = (part.split("=", 1)[1] for part in fields["x-switchgear-signature"].split(","))
        assert mac == hmac.new(b"hook-secret", f"{at}.".encode() + body, hashlib.sha256).hexdigest()


async def test_what_is_not_taken_is_sent_again_as_it_asks(tmp_path):
    busy = "503 Busy\r\nretry-after: 120"
    async with receiver([busy]) as (url, taken), approvals_world(tmp_path, settings(url)) as world:
        await world.asks()
        await world.settle()
        world.now += 119
        await world.settle()
        assert len(taken) == 1
        world.now += 2
        await world.settle()

    assert [json.loads(body)["id"] for _, body in taken] == [json.loads(taken[0][1])["id"]] * 2


async def test_a_redirect_is_not_followed(tmp_path):
    async with receiver([]) as (other, inner):
        moved = f"302 Found\r\nlocation: {other}"
        async with receiver([moved]) as (url, taken), approvals_world(tmp_path, settings(url)) as world:
            await world.asks()
            await world.settle()

    assert (len(taken), len(inner)) == (1, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_private_address_is_not_connected_to_unless_it_is_allowed(tmp_path, host):
    async with receiver([]) as (url, taken):
        target = url.replace("127.0.0.1", host)
        async with approvals_world(tmp_path, settings(target, private=False)) as world:
            await world.asks()
            await world.settle()

            assert world.counts.notices.values()["webhook", "delayed"] == 1
    assert taken == []


async def test_another_tenants_webhook_hears_nothing(tmp_path):
    async with receiver([]) as (url, taken), approvals_world(tmp_path, settings(url, tenant="elsewhere")) as world:
        await world.asks()
        await world.settle()

    assert taken == []
