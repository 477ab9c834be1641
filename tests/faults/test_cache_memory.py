"""The cache's memory while many more distinct answers pass through it than it may keep. A million: python -m benchmarks.cache_memory."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 32 * 2**20

# In a process of its own: what other tests have left behind would hide what this one takes.
PROGRAM = f"""
import json, anyio
from benchmarks.cache_memory import measure
found = anyio.run(measure, 200_000, {MOST_BYTES}, 1536)
print(json.dumps([found.curve, found.first_full]))
"""


def test_memory_is_flat_and_within_its_bound_while_200000_distinct_answers_pass():
    """And the vector of a text, 384 numbers, costs no more than 600 bytes beside itself, give or take what a machine has to do."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    curve, first_full = json.loads(done.stdout)
    memory = [taken for _, taken, _ in curve[1:]]
    counted = [bytes_ for _, _, bytes_ in curve[1:]]

    assert max(counted) <= MOST_BYTES
    assert max(memory) < MOST_BYTES * 1.15
    assert max(memory) - min(memory) < MOST_BYTES * 0.1
    assert first_full - 1536 < 650
