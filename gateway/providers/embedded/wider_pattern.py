"""Wider patterns: what of a pattern a grammar can say, where it looks around or back. The judge has the last word on the whole. Pure."""

from __future__ import annotations

import re

_STEP = re.compile(r"\\k<|\\.|\(\?<?[=!]|[()\[\]]|.", re.DOTALL)
_LOOKS = frozenset({"(?=", "(?!", "(?<=", "(?<!"})


def wider(pattern: str) -> str | None:
    """Give `pattern` without what looks around: it matches all that the whole does. None where it looks back to a group."""
    kept: list[str] = []
    depth = looking = 0
    in_class = False
    for step in _STEP.findall(pattern):
        if in_class:
            in_class = step != "]"
        elif step == "\\k<" or (len(step) == 2 and step[0] == "\\" and step[1] in "123456789"):
            return None
        elif step == "[":
            in_class = True
        elif step == ")":
            depth -= 1
            if looking > depth:
                looking = 0
                continue
        elif step[0] == "(":
            depth += 1
            if step in _LOOKS and not looking:
                looking = depth
        if not looking:
            kept.append(step)
    return "".join(kept)
