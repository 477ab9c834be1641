"""Log probabilities of the completions API (parallel lists) and the chat form that the hub has (one object a token)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.items import Json


def decode_logprobs(raw: dict[str, Json]) -> list[dict[str, Json]]:
    """Give one object a token: token, logprob, bytes, top_logprobs."""
    tokens = raw.get("tokens") or []
    values = raw.get("token_logprobs") or []
    tops = raw.get("top_logprobs") or []
    return [
        {
            "token": token,
            "logprob": values[number] if number < len(values) else None,
            "bytes": None,
            "top_logprobs": _listed(tops[number] if number < len(tops) else None),
        }
        for number, token in enumerate(tokens)
    ]


def _listed(top: Json) -> list[dict[str, Json]]:
    if not isinstance(top, dict):
        return []
    return [{"token": token, "logprob": value, "bytes": None} for token, value in top.items()]


def encode_logprobs(marks: Sequence[Json], offset: int = 0) -> dict[str, Json] | None:
    """Give the parallel lists, None where there are no marks. `offset` counts the characters before the first token."""
    if not marks:
        return None
    offsets: list[int] = []
    for mark in marks:
        offsets.append(offset)
        offset += len(mark["token"])
    return {
        "tokens": [mark["token"] for mark in marks],
        "token_logprobs": [mark["logprob"] for mark in marks],
        "top_logprobs": [{top["token"]: top["logprob"] for top in mark.get("top_logprobs") or ()} for mark in marks],
        "text_offset": offsets,
    }
