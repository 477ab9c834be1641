"""Puts `reasoning_details` together from deltas."""

from __future__ import annotations

from gateway.core.items import Json

_GROWING = ("text", "summary", "data", "signature")


def merge_details(whole: list[dict[str, Json]], deltas: list[Json]) -> str:
    """Add `deltas` to `whole` (by index and type, as OpenRouter numbers them); give the text that they add."""
    shown = ""
    for delta in deltas:
        if not isinstance(delta, dict):
            continue
        key = (delta.get("index"), delta.get("type"))
        same = next((d for d in whole if (d.get("index"), d.get("type")) == key and key[0] is not None), None)
        text = delta.get("text") or delta.get("summary")
        shown += text if isinstance(text, str) else ""
        if same is None:
            whole.append(dict(delta))
            continue
        for name, value in delta.items():
            if name in _GROWING and isinstance(value, str):
                same[name] = (same.get(name) or "") + value
            elif value is not None:
                same[name] = value
    return shown
