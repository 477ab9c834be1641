"""Measures what an answer from the exact cache costs beside the same call proxied: CPU of the whole process tree. `python benchmarks/caching.py`.

Two gateways in the same run, with and without a cache, in turns; the upstream is the mock of the kit. Linux and gcc. See README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import pathlib
import subprocess
import sys
import tempfile

import processes
from run import CASES, GATEWAY_CORE, KEY, LOAD_CORE, Bench, Case

NEEDED_SHARE = 0.5  # of a proxied request
MEASURED = {
    **{name: CASES[name] for name in ("json1", "json32", "json64k", "s64")},
    "apart1": dataclasses.replace(CASES["json1"], apart=True),
    "apart32": dataclasses.replace(CASES["json32"], apart=True),
}
LONGER = 5  # times the requests of the other benchmarks, so that opening connections does not count


def write_config(bench: Bench, cache: str) -> pathlib.Path:
    """Write a configuration in which the models of the mock have this cache."""
    config = bench.where / f"cache-{cache}.yaml"
    models = "".join(f"  {name}: mock/{name}\n" for name in ("mock-1", "mock-s64"))
    config.write_text(
        'server: {keys: ["env:SWITCHGEAR_BENCH_KEY"]}\nlogging: {format: json}\n'
        f"cache: {{models: {{mode: '{cache}', pace: 0}}}}\n"
        f'providers:\n  mock: {{kind: openai_compatible, base_url: "http://127.0.0.1:{bench.upstream}/v1", connections: 2048}}\n'
        f"models:\n{models}"
    )
    return config


def compare(bench: Bench) -> dict[str, tuple[float, float, float]]:
    """Give by case the CPU microseconds of a proxied request and of one from the cache, and the second by the first."""
    found: dict[str, tuple[float, float, float]] = {}
    env = {"SWITCHGEAR_BENCH_KEY": KEY}
    with contextlib.ExitStack() as stack:
        started = []
        for cache in ("off", "exact"):
            port = processes.free_port()
            argv = bench.gateway(write_config(bench, cache), port)
            log = bench.where / f"cache-{cache}.log"
            started.append((stack.enter_context(processes.running(argv, core=GATEWAY_CORE, log=log, env=env)), port))
            processes.wait_for(f"http://127.0.0.1:{port}/healthz", seconds=20)
        for name, usual in MEASURED.items():
            case = dataclasses.replace(usual, requests=LONGER * usual.requests)
            for _, port in started:
                bench.load(port, Case(body=case.body, connections=4, requests=200))
            least = [float("inf")] * 2
            for _ in range(bench.repetitions):
                for number, (pid, port) in enumerate(started):
                    least[number] = min(least[number], bench.measure(pid, port, case, times=1)[0])
            found[name] = (least[0], least[1], least[1] / least[0])
    return found


def main() -> int:
    """Measure and print; 1 when a hit costs more than its share in any case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(folder), asked.repetitions)
        mock = ["taskset", "-c", str(LOAD_CORE), str(bench.where / "mock"), str(bench.upstream)]
        with subprocess.Popen(mock) as upstream:
            try:
                found = compare(bench)
            finally:
                upstream.terminate()
    for name, (proxied, hit, share) in found.items():
        print(f"{name:8} proxied {proxied:7.1f} µs, from the cache {hit:7.1f} µs, {share:.2f} ×")
    return 0 if all(share <= NEEDED_SHARE for _, _, share in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
