"""The official JSON-Schema-Test-Suite and schemas of the SchemaStore, as scripts/setup-suites.sh unpacked them into .suites.

They are not part of this repository. Where they are missing, tests of them are left out; where CI is true, they fail.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SUITES = Path(__file__).parents[1] / ".suites"
DRAFTS = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft4": "http://json-schema.org/draft-04/schema#",
}


class Group(NamedTuple):
    """A schema with instances, each of them valid or not. `name` is the file and what it is about."""

    name: str
    schema: Any
    tests: list[dict[str, Any]]


@pytest.fixture
def suites():
    """What a test asks for that reads the suites."""
    assert _there(), "The suites are missing: run scripts/setup-suites.sh"


def leave_out_suites(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of suites that are missing, unless CI is true: then they fail. For `pytest_collection_modifyitems`."""
    if _there() or os.environ.get("CI") == "true":
        return
    without = [item for item in items if "suites" in getattr(item, "fixturenames", ())]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


def _there() -> bool:
    return (SUITES / "switchgear-setup").is_file()


def groups(draft: str = "draft2020-12") -> Iterator[Group]:
    """Give the groups of a draft; other drafts' schemas are marked as such."""
    folder = SUITES / "json-schema-test-suite" / "tests" / draft
    for file in sorted(folder.rglob("*.json")):
        for group in json.loads(file.read_text()):
            schema = group["schema"]
            if isinstance(schema, dict) and draft != "draft2020-12":
                schema = {"$schema": DRAFTS[draft], **schema}
            yield Group(f"{file.relative_to(folder)}: {group['description']}", schema, group["tests"])


def real_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the schemas of real configuration files, by name."""
    for file in sorted((SUITES / "schemastore").glob("*.json")):
        yield file.stem, json.loads(file.read_text())
