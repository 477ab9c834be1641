"""Which part of JSON Schema the embedded model's constrained decoder enforces, over two sets of schemas, by keyword.

    scripts/setup-suites.sh
    .venv/bin/python -m benchmarks.schema_coverage            the tables of docs/structured-coverage.md
    .venv/bin/python -m benchmarks.schema_coverage --cases    every case that the grammar lets through and the judge stops

For each schema: refused with a reason, or compiled; then every instance of the suite is fed to the grammar, byte by byte. It may refuse
what the schema allows (it narrows on purpose); what it lets through that the schema forbids is for the judge, and is counted here
against the keywords that are known to be left to the judge. Nothing is ever generated unconstrained.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from llguidance import LLMatcher, LLTokenizer

from gateway.core.errors import UnsupportedSchema
from gateway.providers.embedded.structured import enforced, lark_grammar
from gateway.schemas.judge import Judge, compiled

SUITES = Path(__file__).parents[1] / ".suites"


class Case(NamedTuple):
    """A schema, what it is about, and instances of it or not."""

    keyword: str
    name: str
    schema: dict[str, Any]
    instances: list[Any]


class Result(NamedTuple):
    """What became of a case. `slipped` are the invalid instances that the grammar admits; `lost` the keywords left to the judge."""

    refused: str | None
    lost: tuple[str, ...] = ()
    admitted: int = 0
    narrowed: int = 0
    stopped: int = 0
    slipped: tuple[str, ...] = ()


def suite_cases() -> Iterator[Case]:
    """Give the official suite's cases for draft 2020-12, by the keyword that each file is about."""
    folder = SUITES / "json-schema-test-suite" / "tests" / "draft2020-12"
    for file in sorted(folder.rglob("*.json")):
        keyword = f"format: {file.stem}" if file.parent.name == "format" else file.stem
        for group in json.loads(file.read_text()):
            if isinstance(group["schema"], dict):
                instances = [test["data"] for test in group["tests"]]
                yield Case(keyword, f"{file.stem}: {group['description']}", group["schema"], instances)


def real_cases() -> Iterator[Case]:
    """Give the schemas of real configuration files."""
    for file in sorted((SUITES / "schemastore").glob("*.json")):
        yield Case(file.stem, file.stem, json.loads(file.read_text()), [])


def result_of(case: Case) -> Result | None:
    """Try one case; None where even the judge refuses the schema, as it does with remote references."""
    try:
        judge = compiled(case.schema)
    except UnsupportedSchema:
        return None
    try:
        text, lost = enforced(case.schema)
    except UnsupportedSchema as error:
        return Result(error.message)
    grammar = lark_grammar(f"answer: %json {text}")
    counts: Counter[tuple[bool, bool]] = Counter()
    slipped = []
    for instance in case.instances:
        written = json.dumps(instance, ensure_ascii=False)
        verdict = (_is_valid(judge, instance), _admits(grammar, written))
        counts[verdict] += 1
        if verdict == (False, True):
            slipped.append(written)
    return Result(None, lost, counts[True, True], counts[True, False], counts[False, False], tuple(slipped))


def _is_valid(judge: Judge, instance: Any) -> bool:
    return not judge.judge(instance)


def _admits(grammar: str, text: str) -> bool:
    matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)
    return all(matcher.consume_token(byte) for byte in text.encode()) and matcher.is_accepting()


def table(cases: Iterator[Case], *, first: str) -> list[str]:
    """Give the lines of a table with one row a keyword."""
    rows: dict[str, list[Result | None]] = defaultdict(list)
    for case in cases:
        rows[case.keyword].append(result_of(case))
    head = (
        first,
        "schemas",
        "compiled",
        "refused",
        "invalid stopped",
        "left to the judge",
        "keywords left to the judge",
    )
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    everything = [result for results in rows.values() for result in results]
    for keyword, results in [*rows.items(), ("**together**", everything)]:
        lines.append("| " + " | ".join(_row(keyword, results)) + " |")
    return lines


def _row(keyword: str, results: list[Result | None]) -> tuple[str, ...]:
    known = [result for result in results if result is not None]
    done = [result for result in known if result.refused is None]
    lost = Counter(word for result in done for word in result.lost)
    slipped = sum(len(result.slipped) for result in done)
    stopped = sum(result.stopped for result in done)
    named = ", ".join(f"`{word}`" for word in sorted(lost)) if not keyword.startswith("**") else ""
    counts = (len(results), len(done), len(results) - len(done), stopped, slipped)
    return (keyword if keyword.startswith("**") else f"`{keyword}`", *map(str, counts), named)


def reasons(cases: Iterator[Case]) -> list[str]:
    """Give the reasons for refusals, with how often each."""
    found: Counter[str] = Counter()
    for case in cases:
        result = result_of(case)
        reason = "remote, or no schema: the judge refuses it too" if result is None else result.refused
        if reason is not None:
            found[reason] += 1
    return [f"| {reason} | {count} |" for reason, count in found.most_common()]


def main() -> None:
    """Print the tables, or the cases."""
    arguments = argparse.ArgumentParser(prog="schema_coverage", description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--cases", action="store_true", help="print what the grammar lets through instead")
    if arguments.parse_args().cases:
        for case in suite_cases():
            result = result_of(case)
            for written in result.slipped if result else ():
                print(f"{case.name} | {', '.join(result.lost) if result else ''} | {written[:100]}")
        return
    print("\n".join(table(suite_cases(), first="file of the suite")))
    print("\n| refused because | schemas |\n|---|---|")
    print("\n".join(reasons(suite_cases())))
    print()
    print("\n".join(table(real_cases(), first="schema")))
    print("\n| refused because | schemas |\n|---|---|")
    print("\n".join(reasons(real_cases())))


if __name__ == "__main__":
    main()
