"""The snapshot of prices and capabilities that ships with Switchgear, read only as far as it is asked for.

Its source is litellm's table, trimmed by scripts/refresh_prices.py; its header says of which date and licence.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from gateway.accounting.price import ModelFacts

SNAPSHOT = Path(__file__).parent / "prices.json"


class _Snapshot(msgspec.Struct, frozen=True):
    models: dict[str, msgspec.Raw]


class _About(msgspec.Struct, frozen=True):
    date: str


class _Head(msgspec.Struct, frozen=True):
    about: _About


def load_date(path: Path = SNAPSHOT) -> str:
    """Give the day that the table is of, as YYYY-MM-DD."""
    return msgspec.json.decode(path.read_bytes(), type=_Head).about.date


def load_facts(names: Iterable[str], path: Path = SNAPSHOT) -> dict[str, ModelFacts]:
    """Give what the table says of these models ("provider/model" in its own provider names); unknown ones are left out.

    The table is not kept: of 2,000 models a configuration uses a handful.
    """
    wanted = tuple(names)
    if not wanted:
        return {}
    models = msgspec.json.decode(path.read_bytes(), type=_Snapshot).models
    return {name: msgspec.json.decode(models[name], type=ModelFacts) for name in wanted if name in models}
