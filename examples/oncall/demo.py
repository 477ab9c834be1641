"""The on-call agent, shown: an alert fires, the agent looks and proposes, a person agrees in (a fake) Slack, it is mended. `make demo` runs it.

All of it is on 127.0.0.1 and free ports, in a folder that is removed at the end. Real are the gateway, the MCP programs, the policies, the
approval, and Prometheus and Alertmanager where they are installed. The cluster is simulated, Slack is fake, and the model is scripted.
Exits 0 when the incident is mended (with --deny: when nothing was changed), else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx2

from examples.oncall.asking import ask
from examples.oncall.fake_slack import (
    CHANNEL,
    SECRET,
    TEAM,
    TOKEN,
    USER,
    FakeSlack,
    Message,
    Sent,
    lines,
    serving,
)
from examples.oncall.programs import (
    PATIENCE,
    DemoFailed,
    cluster,
    free_port,
    has_triggers,
    inject,
    let_model_ask,
    prometheus_programs,
    started,
    watching,
    write_gateway,
)
from examples.oncall.showing import Show, conclude

AGENT = "oncall"
ALERTS: dict[str, tuple[str, dict[str, str]]] = {
    "crash-loop": ("WorkloadCrashLooping", {"severity": "high", "namespace": "shop", "workload": "checkout"}),
    "bad-rollout": ("RolloutStuck", {"severity": "high", "namespace": "shop", "workload": "web"}),
    "disk-full": ("NodeDiskFull", {"severity": "high", "node": "node-2"}),
    "dependency-down": ("DependencyDown", {"severity": "critical", "namespace": "shop", "workload": "db"}),
    "certificate-expiry": ("CertificateExpired", {"severity": "critical", "namespace": "shop", "workload": "login"}),
    "traffic-spike": ("TrafficSpike", {"severity": "medium", "namespace": "shop", "workload": "web"}),
}
"""What each incident fires: what is posted where there is no Prometheus to do it."""
SPEED = 10.0
"""Seconds of the cluster in one of ours."""
LONGEST = 240.0
"""Seconds from the alert to the summary."""
ENDED = ("completed", "failed", "incomplete", "cancelled")


class Demo:
    """One demo. `answer` is yes or no, or empty where the terminal is asked."""

    def __init__(
        self, show: Show, http: httpx2.AsyncClient, slack: FakeSlack, *, url: str, key: str, answer: str
    ) -> None:
        self._show = show
        self._http = http
        self._slack = slack
        self._url = url
        self._headers = {"authorization": f"Bearer {key}"}
        self._answer = answer
        self._shown: set[str] = set()
        self._denied = False
        self._within = anyio.CancelScope()

    async def begin_run(self, payload: bytes) -> None:
        """Have the agent look into an alert, where this version of the gateway has no trigger that does it. Raises DemoFailed."""
        said = f"An alert of Alertmanager, as it came:\n\n{payload.decode(errors='replace')}"
        body = {"model": f"agent/{AGENT}", "input": said, "background": True}
        await self._asked("POST", "/v1/responses", json=body)

    async def followed(self, alert: str) -> dict[str, Any]:
        """Show what the agent does until all that it began has ended; give the last response about an alert. Raises DemoFailed.

        One thing that goes wrong may fire several alerts: a full disk can take down what others need.
        """
        with anyio.move_on_after(LONGEST) as self._within:
            while True:
                questions = self._slack.open_questions()
                found = [await self._asked("GET", f"/v1/responses/{run['id']}") for run in await self._runs()]
                for response in found:
                    self._show_calls(response)
                continued = {response.get("previous_response_id") for response in found}
                last = [response for response in found if response["id"] not in continued]
                if last and all(response["status"] in ENDED and not _waits(response) for response in last):
                    about = [response for response in last if await self._is_about(response, alert)]
                    if about:
                        return about[-1]
                for message in questions:
                    await self._decide(message)
                await anyio.sleep(0.1)
        msg = f"the agent did not come to an end within {LONGEST:g} seconds"
        raise DemoFailed(msg)

    async def _is_about(self, response: Mapping[str, Any], alert: str) -> bool:
        """Whether a response belongs to the incident of an alert; where no trigger began it, it does."""
        incident = (response.get("metadata") or {}).get("incident")
        return incident is None or alert in (await self._asked("GET", f"/admin/incidents/{incident}"))["title"]

    @property
    def denied(self) -> bool:
        """Whether the person said no."""
        return self._denied

    async def _runs(self) -> list[dict[str, Any]]:
        found = (await self._asked("GET", f"/admin/runs?agent={AGENT}&limit=20"))["data"]
        return sorted(found, key=lambda run: run["created_at"])

    def _show_calls(self, response: Mapping[str, Any]) -> None:
        for item in response.get("output", ()):
            if item["type"] != "mcp_call" or item["id"] in self._shown or item.get("status") == "in_progress":
                continue
            self._shown.add(item["id"])
            told = " ".join(
                f"{name}={json.dumps(value)}" for name, value in json.loads(item["arguments"] or "{}").items()
            )
            self._show.step(f"{item['server_label']}/{item['name']} {told}")
            if "check" in (found := _decoded(item.get("output"))):
                for change in found["diff"]:
                    self._show.more(f"{change['path']}: {change['before']} → {change['after']}")
                if not found["dry_run"]:
                    self._show.more(f"post-check: {'holds' if found['check']['holds'] else found['check']['says']}")

    async def _decide(self, message: Message) -> None:
        answer = self._answer or await self._patiently()
        self._show.step(f"ada clicks on {'Approve' if answer == 'yes' else 'Deny'}")
        if answer == "yes":
            await self._sent(self._slack.click(message, "Approve"))
        else:
            self._denied = True
            await self._sent(self._slack.click(message, "Deny"))
            with anyio.fail_after(PATIENCE):
                while not self._slack.views:
                    await anyio.sleep(0.05)
            await self._sent(self._slack.submit(self._slack.views.pop(), "Not now."))
        # The buttons vanish when the vote has been counted.
        with anyio.fail_after(PATIENCE):
            while message["ts"] in {each["ts"] for each in self._slack.open_questions()}:
                await anyio.sleep(0.05)

    async def _patiently(self) -> str:
        """Ask the terminal: a person's time is not the agent's."""
        self._within.deadline = math.inf
        try:
            return await ask()
        finally:
            self._within.deadline = anyio.current_time() + LONGEST

    async def _sent(self, sent: Sent) -> None:
        answer = await self._http.post(f"{self._url}/slack/interactions", content=sent.body, headers=sent.headers)
        if answer.status_code != 200:
            msg = f"the gateway did not take the click: {answer.status_code} {answer.text[:300]}"
            raise DemoFailed(msg)

    async def _asked(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = await self._http.request(method, self._url + path, headers=self._headers, **more)
        if answer.status_code >= 400:
            msg = f"{method} {path}: {answer.status_code} {answer.text[:500]}"
            raise DemoFailed(msg)
        found: dict[str, Any] = answer.json()
        return found

    async def tools_ready(self) -> None:
        """Wait for the MCP programs. Raises DemoFailed."""
        servers: list[dict[str, Any]] = []
        with anyio.move_on_after(PATIENCE):
            while True:
                servers = (await self._asked("GET", "/admin/tools"))["data"]
                if all(server["state"] == "ready" for server in servers):
                    return
                await anyio.sleep(0.1)
        msg = f"the MCP programs did not start: {servers}"
        raise DemoFailed(msg)


async def show_demo(arguments: argparse.Namespace, folder: Path) -> int:
    """Run it in a folder; give the exit code. Raises DemoFailed."""
    show = Show()
    receiver: dict[str, Any]
    programs = None if arguments.without_prometheus else prometheus_programs()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=30, trust_env=False))
        metrics = await stack.enter_async_context(cluster(folder, SPEED))
        show.step(f"the simulated cluster runs; its metrics are at {metrics}")
        slack = await stack.enter_async_context(serving(FakeSlack(show.posted)))
        ports, token = (free_port(), free_port()), secrets.token_hex(16) if has_triggers() else ""
        if programs is not None:
            let_model_ask(folder, f"http://127.0.0.1:{ports[0]}")
        config = write_gateway(folder, slack=_slack_settings(folder, slack, ports[0]), prometheus=ports[0], alertmanager=ports[1], trigger=token)  # fmt: skip
        serve = (sys.executable, "-m", "gateway", "serve", "--config", str(config), "--port", "0")
        said = await stack.enter_async_context(started(folder, "gateway", *serve, says="listens on"))
        url = said.split(" on ", 1)[1].split()[0]
        key = (folder / "data" / "first.key").read_text().strip()
        demo = Demo(show, http, slack, url=url, key=key, answer=arguments.answer)
        await demo.tools_ready()
        show.step(f"the gateway listens on {url}; its MCP programs are ready")
        # Where the gateway takes alerts by itself they go there, else to a small receiver here that begins the run.
        receiver = {"url": f"{url}/v1/triggers/alertmanager"} if token else {"url": await stack.enter_async_context(_receiver(demo))}  # fmt: skip
        if token:
            receiver["http_config"] = {"authorization": {"credentials": token}}
        if programs is None:
            show.step("Prometheus and Alertmanager are not used" if arguments.without_prometheus else "Prometheus and Alertmanager are not installed (on Debian: apt install prometheus prometheus-alertmanager): the demo posts the alert itself, in the form of Alertmanager's webhook, and all else is the same")  # fmt: skip
        else:
            await stack.enter_async_context(watching(folder, programs, ports=ports, metrics=metrics, receiver=receiver))
            show.step(f"Prometheus is at http://127.0.0.1:{ports[0]}, Alertmanager at http://127.0.0.1:{ports[1]}")
        await inject(folder, arguments.incident)
        show.step(f"something goes wrong: {arguments.incident}")
        if programs is None:
            await _post_alert(http, receiver, arguments.incident, token)
            show.step(f"the alert {ALERTS[arguments.incident][0]} is posted, as Alertmanager's webhook does it")
        else:
            await _fires(http, ports[0], ALERTS[arguments.incident][0])
            show.step(f"Prometheus fires {ALERTS[arguments.incident][0]}")
        code = conclude(show, await demo.followed(ALERTS[arguments.incident][0]), denied=demo.denied)
        if not demo.denied:
            if programs is None:
                await _post_alert(http, receiver, arguments.incident, token, status="resolved")
                show.step("the alert is posted as resolved")
            else:
                await _fires(http, ports[0], ALERTS[arguments.incident][0], still=False)
                show.step("Prometheus: the alert is resolved")
        if token:
            await _told(slack, "State: nothing was changed" if demo.denied else "State: Resolved")
            thread = slack.thread(CHANNEL)
            heads = sum(not message.get("thread_ts") for message in thread)
            which = "the incident is one thread" if heads == 1 else f"{heads} incidents are {heads} threads"
            show.step(f"Slack, #oncall: {which} of {len(thread)} messages")
        return code


async def _told(slack: FakeSlack, state: str) -> None:
    """Wait until the first message of the incident's thread says how it stands, and the summary is there. Raises DemoFailed."""
    with anyio.move_on_after(PATIENCE):
        while True:
            thread = slack.thread(CHANNEL)
            said = [" ".join(lines(message)) for message in thread]
            if said and state.lower() in said[0].lower() and any("The agent's summary" in text for text in said):
                return
            await anyio.sleep(0.1)
    msg = f"the thread in Slack does not say: {state}"
    raise DemoFailed(msg)


def _waits(response: Mapping[str, Any]) -> bool:
    """Whether a response ended because a person has to say something."""
    return any(item["type"] == "mcp_approval_request" for item in response.get("output", ()))


def _decoded(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _slack_settings(folder: Path, slack: FakeSlack, prometheus: int) -> dict[str, Any]:
    for name, secret in (("bot.token", TOKEN), ("signing.secret", SECRET)):
        (folder / name).write_text(secret)
    return {
        "bot_token": f"file:{folder / 'bot.token'}",
        "signing_secret": f"file:{folder / 'signing.secret'}",
        "channel": CHANNEL,
        "users": {f"{TEAM}/{USER}": {"user": "ada", "groups": ["sre"]}},
        "api_url": f"{slack.url}/api",
        "incidents": {"evidence": [f"http://127.0.0.1:{prometheus}"]},
    }


@asynccontextmanager
async def _receiver(demo: Demo) -> AsyncIterator[str]:
    """Take what Alertmanager sends, and begin the agent's run. Only for gateways without triggers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n"))
            }
            body = await reader.readexactly(int(fields.get("content-length", "0")))
            if json.loads(body).get("status") == "firing":
                await demo.begin_run(body)
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def _post_alert(
    http: httpx2.AsyncClient, receiver: Mapping[str, Any], incident: str, token: str, *, status: str = "firing"
) -> None:
    """Post an alert in the form of Alertmanager's webhook, version 4. Raises DemoFailed."""
    name, labels = ALERTS[incident]
    labels = {"alertname": name, "environment": "demo", **labels}
    now = datetime.now(UTC).isoformat()
    alert = {
        "status": status, "labels": labels, "annotations": {"summary": f"{name} fires."}, "startsAt": now,
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": hashlib.sha256(name.encode()).hexdigest()[:16],
    }  # fmt: skip
    payload = {
        "version": "4", "groupKey": f'{{}}:{{alertname="{name}"}}', "truncatedAlerts": 0, "status": status, "receiver": AGENT,
        "groupLabels": {"alertname": name}, "commonLabels": labels, "commonAnnotations": {}, "externalURL": "", "alerts": [alert],
    }  # fmt: skip
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = await http.post(receiver["url"], json=payload, headers=headers)
    if answer.status_code >= 300:
        msg = f"the alert was not taken: {answer.status_code} {answer.text[:500]}"
        raise DemoFailed(msg)


async def _fires(http: httpx2.AsyncClient, port: int, name: str, *, still: bool = True) -> None:
    """Wait until Prometheus fires an alert, or does not any more. Raises DemoFailed."""
    with anyio.move_on_after(PATIENCE):
        while True:
            found = (await http.get(f"http://127.0.0.1:{port}/api/v1/alerts")).json()["data"]["alerts"]
            fires = any(each["labels"]["alertname"] == name and each["state"] == "firing" for each in found)
            if fires == still:
                return
            await anyio.sleep(0.2)
    msg = f"Prometheus {'did not fire' if still else 'still fires'} {name}"
    raise DemoFailed(msg)


async def _until_told(arguments: argparse.Namespace, folder: Path) -> int:
    """Run the demo until it ends, or is told to end: what it started ends with it. Raises DemoFailed."""
    code, failed = 143, None

    async def hear(task: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
            async for _ in signals:
                task.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hear, tasks.cancel_scope)
        try:
            code = await show_demo(arguments, folder)
        except (DemoFailed, TimeoutError, httpx2.HTTPError) as error:
            failed = error
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed
    return code


def main() -> None:
    """Read the command line and run the demo."""
    parser = argparse.ArgumentParser(prog="make demo", description=(__doc__ or "").splitlines()[0])
    said = parser.add_mutually_exclusive_group()
    said.add_argument(
        "--yes", dest="answer", action="store_const", const="yes", default="", help="approve without asking"
    )
    said.add_argument("--deny", dest="answer", action="store_const", const="no", help="deny without asking")
    parser.add_argument("--incident", choices=sorted(ALERTS), default="crash-loop", help="what goes wrong")
    parser.add_argument("--without-prometheus", action="store_true", help="post the alert, also where Prometheus is installed")  # fmt: skip
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switchgear-demo-") as folder:
        try:
            code = anyio.run(_until_told, arguments, Path(folder))
        except (DemoFailed, TimeoutError, httpx2.HTTPError) as failed:
            print(f"The demo failed: {failed or type(failed).__name__}", file=sys.stderr)
            code = 1
        except KeyboardInterrupt:
            code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
