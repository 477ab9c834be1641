"""Fills a script's placeholders for what tools gave: `{result TOOL}`, or `{result TOOL /path/0/name}` for a part of JSON (RFC 6901). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.errors import UpstreamRefused
from gateway.core.items import Json
from gateway.core.tools import model_name

_PLACE: Final = re.compile(r"\{result ([A-Za-z0-9_./-]{1,200})(?: (/[^\s{}]*))?\}")
_ANY: Final = re.compile(_PLACE.pattern + r"|\{input\}|\{tool_result\}")


def quoted(value: Json, results: Mapping[str, str]) -> Json:
    """Give a value with its placeholders filled, also those deep inside of it.

    `results` are the last results by tool. A text that is nothing but a placeholder becomes what it stands for,
    number or list as it may be. A tool is named as the model knows it, or as server/tool. Raises UpstreamRefused (400) for what there is not.
    """
    if isinstance(value, str):
        whole = _PLACE.fullmatch(value)
        if whole is not None:
            return _found(whole, results)
        return _PLACE.sub(lambda place: _text(_found(place, results)), value)
    if isinstance(value, dict):
        return {name: quoted(one, results) for name, one in value.items()}
    if isinstance(value, list):
        return [quoted(one, results) for one in value]
    return value


def filled(text: str, results: Mapping[str, str], said: Mapping[str, str]) -> str:
    """Give a text with its placeholders filled, and those of `said`, which are whole. Raises UpstreamRefused (400) for a result that there is not."""
    return _ANY.sub(lambda place: said[place[0]] if place[0] in said else _text(_found(place, results)), text)


def _found(place: re.Match[str], results: Mapping[str, str]) -> Json:
    tool, path = place[1], place[2]
    if "/" in tool:
        tool = model_name(*tool.split("/", 1))
    if tool not in results:
        raise _nothing(place)
    if path is None:
        return results[tool]
    try:
        found: Json = msgspec.json.decode(results[tool])
        for step in path[1:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found[int(name)] if isinstance(found, list) else found[name]
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, ValueError):
        raise _nothing(place) from None
    return found


def _text(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _nothing(place: re.Match[str]) -> UpstreamRefused:
    msg = f"The script quotes {place[0]}, and there is no such result."
    return UpstreamRefused(msg, upstream_status=400, code="script_quotes_nothing")
