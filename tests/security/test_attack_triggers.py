"""What is sent to triggers by who means harm: bombs, forgeries, replays, and words that would be lines of a log, ids or instructions if they were let."""

import json
import time

import pytest

from gateway.triggers.signatures import sign
from tests.journeys.triggers_world import KEY, TOKEN, alert, payload, signed, triggers_world

GOOD = payload(alert("Good"), group="good")
BEARER = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}


def changed(**changes):
    return json.dumps({**GOOD, **changes}).encode()


def of_alert(**changes):
    return changed(alerts=[{**alert("X"), **changes}])


REFUSED = {
    "nesting": b'{"version":"4","groupKey":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "duplicate keys": b'{"version":"4","version":"4","groupKey":"g","alerts":[]}',
    "duplicate labels": of_alert().replace(b'"severity": "page"', b'"severity": "page", "severity": "none"'),
    "NaN": changed(truncatedAlerts=float("nan")),
    "infinity": b'{"version":"4","groupKey":"g","alerts":[],"truncatedAlerts":1e999}',
    "half a pair": of_alert(fingerprint="SURROGATE").replace(b"SURROGATE", b"\\ud800"),
    "half a pair in a label": of_alert(labels={"alertname": "SURROGATE"}).replace(b"SURROGATE", b"\\udc00"),
    "no UTF-8": b'{"version":"4","groupKey":"\xff","alerts":[]}',
    "an alert that is a list": changed(alerts=[[]]),
    "labels that are no texts": of_alert(labels={"alertname": {"$ne": 1}}),
    "a state of its own": of_alert(status="Resolved"),
    "a state with a space": of_alert(status="resolved "),
    "no group": changed(groupKey=""),
    "another version": changed(version="5"),
    "an array": b"[]",
    "nothing": b"",
    "a bomb": b'{"version":"4","groupKey":"' + b"g" * (9 * 1024 * 1024) + b'","alerts":[]}',
}
TAKEN = {
    "a label of megabytes": of_alert(labels={"alertname": "L" * 5_000_000, "pod": "p" * 2_000_000}),
    "a key of megabytes": changed(groupKey="k" * 5_000_000),
    "many labels": of_alert(labels={f"label{number}": "x" for number in range(50_000)}),
    "NUL": of_alert(labels={"alertname": "a\0b"}, fingerprint="f\0", startsAt="\0"),
    "a number beyond any": b'{"version":"4","groupKey":"n","alerts":[],"truncatedAlerts":%s}' % (b"9" * 300),
    "a negative number": changed(truncatedAlerts=-(10**30)),
    "a key like a storm's": changed(groupKey="storm"),
    "a key like a hash": changed(groupKey="sha256:" + "0" * 64),
    "a fingerprint with a path": of_alert(fingerprint="../../admin/incidents"),
}


async def test_bombs_and_nonsense_are_refused_or_cut_and_nothing_breaks(tmp_path):
    async with triggers_world(tmp_path) as world:

        async def fire(body):
            return await world.outside.post("/v1/triggers/alertmanager", content=body, headers=BEARER)

        began = time.monotonic()
        refused = {name: (await fire(body)).status_code for name, body in REFUSED.items()}
        taken = {name: (await fire(body)).status_code for name, body in TAKEN.items()}
        seconds = time.monotonic() - began
        good = await world.fire(payload(alert("Fresh"), group="fresh"))
        shown = json.dumps(await world.incidents())

    assert {name: status for name, status in refused.items() if status not in (400, 413)} == {}
    assert {name: status for name, status in taken.items() if status != 202} == {}
    assert good.json()["outcome"] == "accepted"
    assert "\\u0000" not in shown
    assert len(shown) < 100_000
    assert seconds < 60


async def test_words_of_a_sender_are_no_lines_of_a_log_and_no_marks_of_a_terminal(tmp_path, capfd):
    words = "X\r\n2026-11-22 [info] key.revoked INJECTED\x1b[31m\u202e\u200b"
    async with triggers_world(tmp_path) as world:
        answer = await world.fire(payload(alert(words, pod=words, summary=words), group=words))
        incident = await world.until(
            answer.json()["incident"], lambda found: found["run_phase"] is None and found["runs"]
        )
        told = json.dumps(await world.run(incident["run"]))
        refused = await world.fire({**GOOD, "version": words})
    lines = capfd.readouterr()

    assert "INJECTED" not in lines.out + lines.err
    assert "INJECTED" in incident["title"]
    for sign_ in ("\x1b", "\u202e", "\u200b", "\r"):
        assert sign_ not in incident["title"]
        assert json.dumps(sign_)[1:-1] not in told
    assert refused.status_code == 400


async def test_a_forged_end_ends_nothing(tmp_path):
    """An incident is that of its trigger: what resolves it is sent by who may send to it, and is about an alert that fires there."""
    resolved = alert("PodDown", status="resolved")
    async with triggers_world(tmp_path) as world:
        fired = (await world.fire(payload(alert("PodDown")))).json()["incident"]
        forged = [
            await world.fire(payload(resolved), token="guessed"),
            await world.outside.post("/v1/triggers/alertmanager", json=payload(resolved)),
            await world.outside.post("/v1/triggers/nobody", json=payload(resolved), headers=BEARER),
            await world.fire(payload(alert("Other", status="resolved"))),
            await world.fire(payload(alert("PodDown", status="resolved", pod="another"))),
        ]
        left = await world.incident(fired)

    assert [one.status_code for one in forged] == [401, 401, 401, 202, 202]
    assert [one.json()["outcome"] for one in forged[3:]] == ["ignored", "ignored"]
    assert (left["firing"], left["state"]) == (1, "open")


async def test_what_was_signed_once_is_good_once(tmp_path):
    body = json.dumps({"deploy": {"service": "web", "version": "1", "id": "d1"}}).encode()
    headers = signed(body)
    old = str(int(time.time()) - 301)
    stamp = headers["webhook-timestamp"]

    def with_(**changes):
        return headers | {f"webhook-{name}": value for name, value in changes.items()}

    async with triggers_world(tmp_path) as world:

        async def send(content, sent):
            return await world.outside.post("/v1/triggers/deploys", content=content, headers=sent)

        first = await send(body, headers)
        again = await send(body, headers)
        forged = [
            await send(body + b" ", headers),
            await send(body, with_(id="msg_2")),
            await send(body, with_(timestamp=f"{stamp}.0")),
            await send(body, with_(timestamp="1e9")),
            await send(body, with_(timestamp="-1")),
            await send(body, with_(timestamp=old, signature=sign(body, b"msg_1", old.encode(), key=KEY).decode())),
            await send(body, with_(signature="v1,")),
            await send(body, with_(signature="")),
            await send(body, with_(signature=headers["webhook-signature"].replace("v1,", "v1a,"))),
            await send(body, with_(signature="v1,AAAA " * 16 + headers["webhook-signature"])),
            # The dot is what parts id and time: neither may hold one that the other half could be.
            await send(body, with_(id=f"msg_1.{stamp}", timestamp=stamp)),
            await send(b"", {}),
        ]
        incidents = await world.incidents()

    assert (first.json()["outcome"], again.json()["outcome"]) == ("accepted", "duplicate")
    assert [one.status_code for one in forged] == [401] * len(forged)
    assert len(incidents) == 1


@pytest.mark.parametrize("field", ["deploy", "note"])
async def test_what_tells_events_apart_is_text_and_leads_nowhere(tmp_path, field):
    async with triggers_world(tmp_path) as world:
        answers = []
        for number, name in enumerate(
            ["storm", "tick:1", "group:good", "../../x", "a\nb", "\u202ex", "0", "x" * 1_000_000]
        ):
            body = json.dumps({"deploy": {"service": name, "version": "1", "id": name}, "note": name}).encode()
            answers.append(await world.send(body, identifier=f"msg_{field}_{number}"))
        shown = await world.incidents()

    assert [one.json()["outcome"] for one in answers] == ["accepted"] * 8
    assert len({one["id"] for one in shown}) == 8
    assert all(len(one["title"]) < 300 for one in shown)
