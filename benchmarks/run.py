"""Measures the gateway beside nginx in one run, prints ratios and writes RESULTS.md. Linux, gcc, nginx. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import pathlib
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

import processes
from governed_gateway import make_key, write_governed
from soak import BATCH, soak

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
KEY = "sk-bench-0123456789"
LOAD_CORE, GATEWAY_CORE = 0, 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """A load: body, connections, requests a repetition, by what to divide (chunks a request), and whether head and body are written `apart`."""

    body: str
    connections: int
    requests: int
    per: int = 1
    apart: bool = False


CASES = {
    "json1": Case(body="json", connections=1, requests=200),
    "json32": Case(body="json", connections=32, requests=640),
    "json64k": Case(body="json64k", connections=16, requests=200),
    "s64": Case(body="s64", connections=16, requests=96),
    "paced": Case(body="s100d10", connections=32, requests=32, per=100),
}
NEEDED = {"json32": 9.0, "paced": 2.5}  # times nginx
NEEDED_ROUTED_US = {"json32": 25.0, "paced": 5.0}  # that choosing and surviving add
NEEDED_P50_ADDED_US = 500
NEEDED_IDLE_MIB = 80
NEEDED_START_S = 2.0
NEEDED_KIB_A_STREAM = 40
NEEDED_SOAK_GROWTH_MIB = 4.0  # over the second half of 50,000 requests: noise of the allocator, no slope


@dataclass
class Row:
    """One line of the table."""

    name: str
    nginx: str
    ours: str
    figure: str
    needed: str
    good: bool | None


class Bench:
    """The mock upstream and the programs under test, on ports of their own."""

    def __init__(self, where: pathlib.Path, repetitions: int) -> None:
        self.where = where
        self.repetitions = repetitions
        self.upstream = processes.free_port()
        self.where.mkdir(parents=True, exist_ok=True)
        for name in ("mock", "load"):
            source = HERE / "kit" / f"{name}.c"
            subprocess.run(["gcc", "-O2", "-w", "-o", str(where / name), str(source)], check=True)

    def gateway(self, config: pathlib.Path, port: int) -> list[str]:
        """Give the command that serves `config` on `port`."""
        return [sys.executable, "-m", "gateway", "serve", "--config", str(config), "--port", str(port)]

    def write_config(self, *, targets: int = 1) -> pathlib.Path:
        """Write a configuration in which the models of the mock are served, by so many targets each, by weight."""
        names = ("mock-1", "mock-s64", "mock-s100-d10", "mock-s30-d1000")
        config = self.where / f"bench-{targets}.yaml"
        mock = f'{{kind: openai_compatible, base_url: "http://127.0.0.1:{self.upstream}/v1", connections: 2048}}'
        providers = "".join(f"  mock{number}: {mock}\n" for number in range(targets))
        # Breakers, retries and a deadline are on for one target as for two; weights are not to be even.
        listed = [f"{{provider: mock{number}, weight: {targets - number}, model: NAME}}" for number in range(targets)]
        routing = ", routing: {strategy: weighted, deadline: 120}"
        model = "mock0/NAME" if targets == 1 else f"{{targets: [{', '.join(listed)}]{routing}}}"
        models = "".join(f"  {name}: {model.replace('NAME', name)}\n" for name in names)
        config.write_text(
            'server: {keys: ["env:SWITCHGEAR_BENCH_KEY"]}\nlogging: {format: json}\n'
            f"providers:\n{providers}models:\n{models}"
        )
        return config

    def write_nginx(self, port: int) -> list[str]:
        """Write nginx's configuration; give its command."""
        state = self.where / "nginx"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(mode=0o777)
        state.chmod(0o777)
        text = (HERE / "kit" / "nginx.conf.in").read_text()
        for name, value in (("DIR", state), ("PORT", port), ("UPSTREAM", self.upstream)):
            text = text.replace(f"@{name}@", str(value))
        conf = self.where / "nginx.conf"
        conf.write_text(text)
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(conf)]

    def load(self, port: int, case: Case, *, ramp_ms: int = 0, key: str = KEY) -> dict[str, float]:
        """Run the load once; give what the client measured."""
        argv = ["taskset", "-c", str(LOAD_CORE), str(self.where / "load")]
        argv += ["-u", f"http://127.0.0.1:{port}/v1/chat/completions", "-b", str(HERE / f"kit/bodies/{case.body}.json")]
        argv += ["-c", str(case.connections), "-n", str(case.requests), "-H", f"Authorization: Bearer {key}"]
        argv += ["-r", str(ramp_ms)] if ramp_ms else []
        argv += ["-s"] if case.apart else []
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300)
        measured: dict[str, float] = json.loads(done.stdout)
        if measured["errors"] or measured["non200"]:
            msg = f"the load met errors: {done.stdout} {done.stderr}"
            raise RuntimeError(msg)
        return measured

    def measure(self, pid: int, port: int, case: Case, key: str = KEY, times: int = 0) -> tuple[float, float]:
        """Give the least CPU microseconds a unit and the least p50 (microseconds) over the repetitions."""
        cpu, p50 = [], []
        for _ in range(times or self.repetitions):
            processes.warm(GATEWAY_CORE)
            before = processes.cpu_seconds(pid)
            measured = self.load(port, case, key=key)
            used = processes.cpu_seconds(pid) - before
            cpu.append(used * 1e6 / case.requests / case.per)
            p50.append(measured["p50_us"])
        return min(cpu), min(p50)


def compare(bench: Bench, names: list[str]) -> list[Row]:
    """Measure nginx and the gateway, one after the other, case by case."""
    rows = []
    nginx_port, port = processes.free_port(), processes.free_port()
    ask = (HERE / "kit/bodies/json.json").read_bytes()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    key = {"SWITCHGEAR_BENCH_KEY": KEY}
    nginx = bench.write_nginx(nginx_port)
    ours = bench.gateway(bench.write_config(), port)
    with (
        processes.running(nginx, core=GATEWAY_CORE, log=bench.where / "nginx.log") as nginx_pid,
        processes.running(ours, core=GATEWAY_CORE, log=bench.where / "gateway.log", env=key) as pid,
    ):
        processes.wait_for(f"http://127.0.0.1:{nginx_port}/v1/chat/completions", seconds=10, body=ask, headers=headers)
        processes.wait_for(f"http://127.0.0.1:{port}/v1/chat/completions", seconds=20, body=ask, headers=headers)
        bench.load(port, Case(body="json", connections=8, requests=500))
        bench.load(port, Case(body="s64", connections=8, requests=64))
        for name in names:
            case = CASES[name]
            limit, limit_p50 = bench.measure(nginx_pid, nginx_port, case)
            cost, p50 = bench.measure(pid, port, case)
            ratio, need = cost / limit, NEEDED.get(name)
            rows.append(
                Row(
                    f"{name}: CPU a {'chunk' if case.per > 1 else 'request'}",
                    f"{limit:.1f} µs",
                    f"{cost:.1f} µs",
                    f"{ratio:.2f} ×",
                    f"≤ {need:g} ×" if need else "",
                    None if need is None else ratio <= need,
                )
            )
            if name == "json1":
                added = p50 - limit_p50
                rows.append(
                    Row(
                        "json1: p50 added",
                        f"{limit_p50:.0f} µs",
                        f"{p50:.0f} µs",
                        f"{added:.0f} µs",
                        f"≤ {NEEDED_P50_ADDED_US} µs",
                        added <= NEEDED_P50_ADDED_US,
                    )
                )
    return rows


def governed(bench: Bench) -> list[Row]:
    """Measure what keys, policies, two rates, a budget and the ledger add, beside the same gateway without them."""
    rows = []
    folder = bench.where / "governed"
    plain_port, port = processes.free_port(), processes.free_port()
    plain = bench.gateway(bench.write_config(), plain_port)
    ours = bench.gateway(write_governed(folder, f"http://127.0.0.1:{bench.upstream}/v1"), port)
    env = {"SWITCHGEAR_BENCH_KEY": KEY}
    with (
        processes.running(plain, core=GATEWAY_CORE, log=bench.where / "plain.log", env=env) as plain_pid,
        processes.running(ours, core=GATEWAY_CORE, log=bench.where / "governed.log") as pid,
    ):
        processes.wait_for(f"http://127.0.0.1:{plain_port}/healthz", seconds=20)
        processes.wait_for(f"http://127.0.0.1:{port}/healthz", seconds=20)
        key = make_key(f"http://127.0.0.1:{port}", folder)
        bench.load(plain_port, Case(body="json", connections=8, requests=500))
        bench.load(port, Case(body="json", connections=8, requests=500), key=key)
        for name in ("json32", "paced"):
            case = CASES[name]
            before, _ = bench.measure(plain_pid, plain_port, case)
            after, _ = bench.measure(pid, port, case, key)
            rows.append(
                Row(
                    f"governed {name}: CPU a {'chunk' if case.per > 1 else 'request'}",
                    f"{before:.1f} µs (without)",
                    f"{after:.1f} µs",
                    f"{after - before:+.1f} µs",
                    "",
                    None,
                )
            )
    return rows


def routed(bench: Bench) -> list[Row]:
    """Measure what choosing between two targets by weight adds to a gateway with one, and what both add to a call asked directly."""
    rows = []
    env = {"SWITCHGEAR_BENCH_KEY": KEY}
    with contextlib.ExitStack() as stack:
        # Two processes that do the same differ by a tenth for as long as they live: of each kind there are two, the better one counts.
        started: list[tuple[int, int, int]] = []
        for number, targets in enumerate((1, 2, 2, 1)):
            port = processes.free_port()
            argv = bench.gateway(bench.write_config(targets=targets), port)
            log = bench.where / f"routed-{number}.log"
            pid = stack.enter_context(processes.running(argv, core=GATEWAY_CORE, log=log, env=env))
            processes.wait_for(f"http://127.0.0.1:{port}/healthz", seconds=20)
            bench.load(port, Case(body="json", connections=8, requests=500))
            started.append((targets, pid, port))
        for name, need in NEEDED_ROUTED_US.items():
            # In turns, so that a machine that slows down does so for all.
            found = [
                (targets, bench.measure(pid, port, CASES[name], times=1)[0])
                for _ in range(bench.repetitions)
                for targets, pid, port in started
            ]
            before, after = [min(cpu for targets, cpu in found if targets == wanted) for wanted in (1, 2)]
            title = f"routed {name}: CPU a {'chunk' if CASES[name].per > 1 else 'request'}, two targets by weight"
            rows.append(_added(title, before, after, "one target", need))
    argv = ["taskset", "-c", str(GATEWAY_CORE), sys.executable, str(HERE / "routing.py"), "--json"]
    argv += ["--repeats", str(4 * bench.repetitions)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120, cwd=ROOT)
    least: dict[str, float] = json.loads(done.stdout)
    for unit, need in zip(("request", "chunk"), NEEDED_ROUTED_US.values(), strict=True):
        title = f"choosing and surviving: CPU a {unit}, two targets by weight"
        rows.append(_added(title, least[f"direct {unit}"], least[f"weighted {unit}"], "asked directly", need))
    return rows


def _added(title: str, before: float, after: float, without: str, need: float) -> Row:
    added = after - before
    return Row(
        title, f"{before:.1f} µs ({without})", f"{after:.1f} µs", f"{added:+.1f} µs", f"≤ {need:g} µs", added <= need
    )


def hold(bench: Bench) -> list[Row]:
    """Hold 1,000 streams at once; they all must end on time."""
    port = processes.free_port()
    case = Case(body="hold", connections=1000, requests=1000)
    command = bench.gateway(bench.write_config(), port)
    key = {"SWITCHGEAR_BENCH_KEY": KEY}
    with processes.running(command, core=GATEWAY_CORE, log=bench.where / "hold.log", env=key) as pid:
        processes.wait_for(f"http://127.0.0.1:{port}/healthz", seconds=20)
        bench.load(port, Case(body="s64", connections=8, requests=64))
        before = processes.memory_kib(pid)
        argv = ["taskset", "-c", str(LOAD_CORE), str(bench.where / "load")]
        argv += ["-u", f"http://127.0.0.1:{port}/v1/chat/completions", "-b", str(HERE / "kit/bodies/hold.json")]
        argv += ["-c", "1000", "-n", "1000", "-r", "1", "-H", f"Authorization: Bearer {KEY}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as client:
            time.sleep(18)
            each = (processes.memory_kib(pid) - before) / case.connections
            measured = json.loads(client.communicate(timeout=60)[0])
    late = measured["max_us"] / 1e6
    whole = measured["errors"] == 0 and measured["non200"] == 0 and measured["reqs"] == case.requests
    return [
        Row(
            "hold: memory a stream",
            "",
            f"{each:.1f} KiB",
            "",
            f"≤ {NEEDED_KIB_A_STREAM} KiB",
            each <= NEEDED_KIB_A_STREAM,
        ),
        Row("hold: slowest of 1,000 streams of 30 s", "", f"{late:.2f} s", "", "≤ 31.5 s", whole and late <= 31.5),
    ]


def idle(bench: Bench) -> list[Row]:
    """Start with the scripted provider and measure the time to its first answer; then memory at rest."""
    script = bench.where / "script.yaml"
    script.write_text("models: {demo: {answers: [{say: hello}]}}\n")
    config = bench.where / "idle.yaml"
    config.write_text("providers: {s: {kind: scripted, document: script.yaml}}\nmodels: {demo: s/demo}\n")
    port = processes.free_port()
    ask = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "hi"}]}).encode()
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    starts = []
    for _ in range(3):
        with processes.running(bench.gateway(config, port), core=GATEWAY_CORE, log=bench.where / "idle.log") as pid:
            starts.append(processes.wait_for(url, seconds=30, body=ask, headers={"content-type": "application/json"}))
            memory = processes.memory_kib(pid) / 1024
    return [
        Row(
            "idle: resident memory", "", f"{memory:.0f} MiB", "", f"≤ {NEEDED_IDLE_MIB} MiB", memory <= NEEDED_IDLE_MIB
        ),
        Row(
            "idle: start to first answer",
            "",
            f"{min(starts):.2f} s",
            "",
            f"≤ {NEEDED_START_S:g} s",
            min(starts) <= NEEDED_START_S,
        ),
    ]


def soaked(bench: Bench, total: int) -> list[Row]:
    """Send the mixed requests; memory must be flat after warm-up."""
    port = processes.free_port()
    command = bench.gateway(bench.write_config(), port)
    key = {"SWITCHGEAR_BENCH_KEY": KEY}
    with processes.running(command, core=GATEWAY_CORE, log=bench.where / "soak.log", env=key) as pid:
        processes.wait_for(f"http://127.0.0.1:{port}/healthz", seconds=20)
        server = processes.tree(pid)[0]
        readings = asyncio.run(soak(port, KEY, total, lambda: processes.resident_kib(server)))
    half = readings[len(readings) // 2 :]
    growth = (half[-1] - readings[len(readings) // 2 - 1]) / 1024
    shown = " ".join(f"{reading / 1024:.1f}" for reading in readings)
    return [
        Row(
            f"soak: growth over the second half of {len(readings) * BATCH:,} requests",
            "",
            f"{growth:+.1f} MiB (after each {BATCH:,}: {shown})",
            "",
            f"≤ {NEEDED_SOAK_GROWTH_MIB:g} MiB",
            growth <= NEEDED_SOAK_GROWTH_MIB,
        )
    ]


def table(rows: list[Row]) -> str:
    """Give the rows as a Markdown table."""
    lines = ["| | nginx | Switchgear | ratio or difference | needed | |", "|---|---|---|---|---|---|"]
    for row in rows:
        verdict = "" if row.good is None else "yes" if row.good else "**no**"
        lines.append(f"| {row.name} | {row.nginx} | {row.ours} | {row.figure} | {row.needed} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run what was asked for. Exits 1 with --gate when a needed figure was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default=",".join(CASES), help="which of " + ", ".join(CASES))
    parser.add_argument(
        "--only", choices=["compare", "governed", "routed", "hold", "idle", "soak"], help="one part alone"
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, no hold, a short soak")
    parser.add_argument("--gate", action="store_true", help="fail when a needed figure was missed")
    parser.add_argument("--no-write", action="store_true", help="leave RESULTS.md as it is")
    asked = parser.parse_args()
    bench = Bench(HERE / ".build", repetitions=5 if asked.quick else 15)
    rows: list[Row] = []
    mock = [str(bench.where / "mock"), str(bench.upstream)]
    with processes.running(mock, core=LOAD_CORE, log=bench.where / "mock.log"):
        time.sleep(0.3)
        parts = {
            "compare": lambda: compare(bench, asked.cases.split(",")),
            "governed": lambda: governed(bench),
            "routed": lambda: routed(bench),
            "idle": lambda: idle(bench),
            "soak": lambda: soaked(bench, 10_000 if asked.quick else 50_000),
            "hold": lambda: hold(bench),
        }
        for name, part in parts.items():
            if asked.only in (None, name) and not (asked.quick and name == "hold" and asked.only is None):
                rows += part()
                print(table(rows[-8:]) if asked.only is None else "", flush=True)
    text = table(rows)
    print(text)
    if not asked.no_write and asked.only is None and not asked.quick:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        head = (
            f"# Results\n\n`make bench`, {today}, CPython {platform.python_version()}, {platform.machine()}, loopback. "
        )
        head += "See [README.md](README.md) for what the cases are.\n\n"
        (HERE / "RESULTS.md").write_text(head + text)
    return 1 if asked.gate and any(row.good is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
