"""Programs of the demo: each is started with a log of its own, waited for, and ended with the demo, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx2
import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PATIENCE = 60.0
"""Seconds that anything of the demo may take to start."""
_GRACE = 8.0


class DemoFailed(Exception):
    """The demo cannot go on; the text says why."""


def free_port() -> int:
    """Give a port of 127.0.0.1 that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def started(folder: Path, name: str, *command: str, says: str = "") -> AsyncIterator[str]:
    """Run a program; what it prints goes to NAME.out and NAME.log. With `says`, its line that has this in it is waited for, and given."""
    with (folder / f"{name}.out").open("wb") as out, (folder / f"{name}.log").open("wb") as log:
        process = await anyio.open_process(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )  # fmt: skip
        try:
            yield await _line(folder, name, process, says) if says else ""
        finally:
            with anyio.CancelScope(shield=True):
                await _ended(process)


async def _line(folder: Path, name: str, process: anyio.abc.Process, says: str) -> str:
    with anyio.move_on_after(PATIENCE):
        while process.returncode is None:
            # A line is whole when its end has been written.
            *whole, _ = (folder / f"{name}.out").read_text(errors="replace").split("\n")
            found = next((line for line in whole if says in line), None)
            if found is not None:
                return found
            await anyio.sleep(0.05)
    tail = (folder / f"{name}.log").read_text(errors="replace")[-1500:]
    msg = f"{name} did not start:\n{tail}"
    raise DemoFailed(msg)


async def _ended(process: anyio.abc.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(_GRACE):
            await process.wait()
    if process.returncode is None:
        # Its own children, too.
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    await process.aclose()


async def until_ready(http: httpx2.AsyncClient, url: str, what: str) -> None:
    """Wait until an address answers with 200. Raises DemoFailed."""
    with anyio.move_on_after(PATIENCE):
        while True:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            await anyio.sleep(0.1)
    msg = f"{what} did not become ready at {url}"
    raise DemoFailed(msg)


def prometheus_programs() -> tuple[str, str] | None:
    """Give the programs of Prometheus and Alertmanager, or None where one is not installed."""
    prometheus = shutil.which("prometheus")
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    return (prometheus, alertmanager) if prometheus and alertmanager else None


@asynccontextmanager
async def cluster(folder: Path, speed: float) -> AsyncIterator[str]:
    """Run the simulated cluster, in a file that the MCP program shares; give the address of its metrics."""
    settings = _read("platform_ctl.yaml")
    settings["environments"]["demo"]["platform"] |= {"state": "cluster.json", "clock": "real", "speed": speed}
    write(folder / "platform_ctl.yaml", settings)
    simulate = (
        sys.executable,
        "-m",
        "mcp_servers.platform_ctl",
        "simulate",
        "--config",
        str(folder / "platform_ctl.yaml"),
    )
    async with started(folder, "cluster", *simulate, says="/metrics") as url:
        yield url


async def inject(folder: Path, scenario: str) -> None:
    """Let something go wrong in the cluster. Raises DemoFailed."""
    words = ["-m", "mcp_servers.platform_ctl", "inject", "--config", str(folder / "platform_ctl.yaml"), scenario]
    done = await anyio.run_process([sys.executable, *words], cwd=ROOT, check=False)
    if done.returncode != 0:
        raise DemoFailed(done.stderr.decode())


def write_gateway(folder: Path, *, slack: Mapping[str, Any], prometheus: int, alertmanager: int, trigger: str) -> Path:
    """Write the gateway's configuration for this folder. `trigger` is the token of the trigger, empty where this version has none."""
    settings = _read("switchgear.yaml")
    settings["agents"]["folder"], settings["policies"]["folder"] = str(ROOT / "agents"), str(ROOT / "policies")
    own = folder / "model.yaml"
    settings["providers"]["script"]["document"] = str(own if own.exists() else HERE / "model.yaml")
    settings["slack"] = dict(slack)
    observe = {
        "prometheus": {"url": f"http://127.0.0.1:{prometheus}"},
        "alertmanager": {"url": f"http://127.0.0.1:{alertmanager}"},
    }
    write(folder / "observe.yaml", observe)
    write(folder / "ops_handbook.yaml", {"folder": str(ROOT / "runbooks")})
    for name, program in (("platform", "platform_ctl"), ("handbook", "ops_handbook"), ("observe", "observe")):
        args = ["-m", f"mcp_servers.{program}", "--config", str(folder / f"{program}.yaml")]
        settings["tools"]["servers"][name] |= {"command": sys.executable, "args": args, "cwd": str(ROOT)}
    if trigger:
        (folder / "trigger.token").write_text(trigger)
        settings["triggers"] = {
            "alertmanager": {
                "kind": "alertmanager",
                "agent": "oncall",
                "token": f"file:{folder / 'trigger.token'}",
                "labels": ["alertname", "severity", "environment", "namespace", "workload", "node"],
            }
        }
    return write(folder / "switchgear.yaml", settings)


def let_model_ask(folder: Path, prometheus: str) -> None:
    """Have the scripted model look at the metrics of its alert, too, and name them in its evidence. Only where there is a Prometheus."""
    script = _read("model.yaml")
    rules = {rule["alert"]: rule["expr"] for rule in _read("alerts.yml")["groups"][0]["rules"]}
    for answer in script["models"]["oncall"]["answers"]:
        name = answer["when"].get("contains")
        if answer["when"].get("turn") == 1:
            answer["call"].append({"tool": "observe__query_metrics", "arguments": {"expression": rules[name]}})
        if name is not None and "json" in answer:
            claim = f"Prometheus gives {{result observe/query_metrics /series/0/points/0/1}} for {rules[name]}"
            link = f"{prometheus}/graph?{urlencode({'g0.expr': rules[name]})}"
            answer["json"]["evidence"].append({"claim": claim, "link": link})
    write(folder / "model.yaml", script)


def has_triggers() -> bool:
    """Whether this version of the gateway takes alerts by itself: then its settings say so."""
    schema = json.loads((ROOT / "config" / "switchgear.schema.json").read_text())
    return "triggers" in schema["$defs"]["Settings"]["properties"]


@asynccontextmanager
async def watching(
    folder: Path, programs: Sequence[str], *, ports: tuple[int, int], metrics: str, receiver: Mapping[str, Any]
) -> AsyncIterator[None]:
    """Run Prometheus over the cluster's metrics, and Alertmanager, which sends to `receiver`."""
    prometheus, alertmanager = ports
    write(
        folder / "alertmanager.yml",
        {
            "route": {
                "receiver": "oncall", "group_by": ["alertname"],
                "group_wait": "1s", "group_interval": "5s", "repeat_interval": "1h",
            },
            "receivers": [{"name": "oncall", "webhook_configs": [dict(receiver)]}],
        },
    )  # fmt: skip
    write(
        folder / "prometheus.yml",
        {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(HERE / "alerts.yml")],
            "scrape_configs": [
                {"job_name": "cluster", "static_configs": [{"targets": [metrics.split("/")[2]]}]},
            ],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        },
    )
    first = (
        programs[1], f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address=",
    )  # fmt: skip
    second = (
        programs[0], f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{prometheus}",
    )  # fmt: skip
    async with (
        httpx2.AsyncClient() as http,
        started(folder, "alertmanager", *first),
        started(folder, "prometheus", *second),
    ):
        await until_ready(http, f"http://127.0.0.1:{alertmanager}/-/ready", "Alertmanager")
        await until_ready(http, f"http://127.0.0.1:{prometheus}/-/ready", "Prometheus")
        yield


def write(path: Path, value: object) -> Path:
    """Write a YAML file."""
    path.write_text(yaml.safe_dump(value, sort_keys=False, width=150))
    return path


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((HERE / name).read_text())
    return found
