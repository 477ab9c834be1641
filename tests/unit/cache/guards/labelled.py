"""The development set: pairs of questions, with whether the answer to one answers the other. Our own writing.

`pairs_*.jsonl` is split in halves by a hash of the pair: the even half is tuned on, the odd one is held out. `seen*.jsonl`
were looked at as a whole, and are tuned on. `fresh.jsonl` was written after the tuning, in another style, and is only measured.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Pair(NamedTuple):
    asked: str
    kept: str
    same: bool
    category: str
    odd: bool


def load(pattern: str) -> list[Pair]:
    """Give the pairs of the files that match, in order."""
    lines = [line for path in sorted(HERE.glob(pattern)) for line in path.read_text(encoding="utf-8").splitlines()]
    return [_pair(json.loads(line)) for line in lines]


def _pair(row: dict[str, str]) -> Pair:
    digest = hashlib.sha256(f"{row['asked']}\n{row['kept']}".encode()).digest()
    return Pair(row["asked"], row["kept"], row["label"] == "same", row["category"], bool(digest[0] % 2))


def sets() -> dict[str, list[Pair]]:
    """Give the pairs by what they are for."""
    pairs = load("pairs_*.jsonl")
    return {
        "tuned on": [*(pair for pair in pairs if not pair.odd), *load("seen*.jsonl")],
        "held out": [pair for pair in pairs if pair.odd],
        "fresh": load("fresh.jsonl"),
    }
