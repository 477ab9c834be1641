"""The benchmark runs: nginx, the mock upstream and a gateway with everything on, in a few seconds."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_measures_the_gateway_beside_nginx():
    """The figures of so short a run prove nothing; a gateway that costs 30 times nginx has lost its hot path."""
    arguments = ["benchmarks/run.py", "--quick", "--only", "compare", "--cases", "json32,s64"]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr[-2000:]
    ratios = {name: float(ratio) for name, ratio in re.findall(r"\| (\w+): CPU a request .*?([\d.]+) ×", done.stdout)}
    assert ratios.keys() == {"json32", "s64"}
    assert all(0.5 < ratio < 30 for ratio in ratios.values()), ratios
