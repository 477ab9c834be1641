"""The figures in docs/structured-coverage.md are those of the code."""

import re
from pathlib import Path

import pytest

from gateway.providers.embedded import endurance, promises, room, structured
from gateway.schemas import judging_child, limits, worker

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "structured-coverage.md").read_text().split())


@pytest.mark.parametrize(
    "shown",
    [
        f"| bytes of the schema (as compact JSON) | {limits.MAX_BYTES:,} |",
        f"| nesting | {limits.MAX_DEPTH} levels;",
        f"| parts (schemas in the schema) | {limits.MAX_PARTS:,} |",
        f"`prefixItems` | {limits.MAX_BRANCHES:,} |",
        f"`patternProperties` | {limits.MAX_PROPERTIES:,} |",
        f"together | {limits.MAX_ENUM:,} |",
        f"| characters of a pattern | {limits.MAX_PATTERN:,} |",
        f"| patterns | {limits.MAX_PATTERNS} |",
        f"multiply to | {limits.MAX_EFFORT:,} |",
        f"{structured.MAX_BYTES // 1024} KiB, {structured.MAX_DEPTH} levels, {structured.MAX_SCHEMAS:,} parts",
        f"more than {limits.LIGHT_BYTES // 1024} KiB",
        f"more than {worker.AT_ONCE_EFFORT:,} checks or has more than {worker.AT_ONCE_BYTES // 1024} KiB",
        f"deadline of {worker.DEADLINE:g} seconds and {judging_child.MEMORY // 1024**3} GiB of memory",
        f"every {room.LETTERS_A_TOKEN} characters",
        f"beyond {room.MOST_COUNTED:,} elements",
        f"process take {endurance.MEMORY // 1024**3} GiB more",
        f"for {endurance.SILENCE} seconds over a grammar",
        f"one of up to {promises.MOST_CHOICES:,} strings",
        f"at most {promises.MOST_BYTES // 1024} KiB",
    ],
)
def test_a_limit_in_the_page_is_the_codes(shown):
    assert shown in PAGE


def test_the_tables_have_a_row_for_the_whole():
    assert len(re.findall(r"\*\*together\*\*", PAGE)) == 2
