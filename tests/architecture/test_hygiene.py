"""What must not be in the repository: places of somebody's machine, registry hosts, unfinished business, muted faults."""

import ast
import re

# Written with brackets, so that this file does not hold what it looks for.
PLACES = re.compile(r"(?<![\w./-])(?:/[w]ork/|/home/(?!switchgear)\w|/[U]sers/\w|/[r]oot/|[C]:\\[U]sers|/tmp/[b]ash)")
REGISTRIES = re.compile(
    r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|deb[.]debian[.]org|docker[.]io/|ghcr[.]io/|quay[.]io/"
)
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X|Not[I]mplementedError)\b")
SKIPS = re.compile(r"pytest[.]skip|mark[.](?:skip|xfail)|importor[s]kip|unittest[.]skip")
# Data and words of others, taken as they are.
TAKEN = ("LICENSE", "requirements/", "benchmarks/kit/", "gateway/console/static/")


def matches(pattern: re.Pattern[str], texts: dict[str, str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts.items()
        if not path.startswith(TAKEN) and not path.endswith(("vocab.txt", "prices.json", "prices.jsonl"))
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def muted_faults(tree: ast.AST) -> list[int]:
    """Handlers of everything that do nothing: the fault is gone and nobody knows."""
    broad = {"Exception", "BaseException"}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in broad))
        and all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
    ]


def sleeps(tree: ast.AST) -> list[int]:
    """Blocking sleeps: on an event loop they stop every other call, in a test they are a guess."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep")
        or (
            isinstance(node, ast.ImportFrom) and node.module == "time" and "sleep" in {name.name for name in node.names}
        )
    ]


def bare_tasks(tree: ast.AST) -> list[int]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call.lineno for call in calls if ast.unparse(call.func) in {"asyncio.create_task", "asyncio.ensure_future"}]


def test_no_file_names_a_place_on_somebodys_machine(repository):
    assert matches(PLACES, repository.texts) == []


def test_no_file_names_a_package_registry(repository):
    assert matches(REGISTRIES, repository.texts) == []


def test_no_work_is_left_as_a_mark_in_the_code(repository):
    assert matches(UNFINISHED, repository.texts) == []


def test_no_test_is_skipped(repository):
    tests = {path: text for path, text in repository.python.items() if path.startswith("tests/")}

    assert matches(SKIPS, tests) == []


def test_no_fault_is_swallowed(repository):
    assert {path: found for path, tree in repository.source.items() if (found := muted_faults(tree))} == {}


def test_nothing_blocks_the_event_loop_with_a_sleep(repository):
    assert {path: found for path, tree in repository.source.items() if (found := sleeps(tree))} == {}


def test_no_task_runs_outside_a_task_group(repository):
    assert {path: found for path, tree in repository.source.items() if (found := bare_tasks(tree))} == {}


def test_tests_wait_for_things_and_not_for_time(repository):
    tests = {path: ast.parse(text) for path, text in repository.python.items() if path.startswith("tests/")}

    assert {path: found for path, tree in tests.items() if (found := sleeps(tree))} == {}


def test_the_checks_see_what_they_forbid():
    bad = ast.parse(
        "try:\n"
        "    time.sleep(1)\n"
        "    asyncio.create_task(late())\n"
        "except Exception:\n"
        "    pass\n"
        "try:\n"
        "    from time import sleep\n"
        "except OSError:\n"
        "    pass\n"
    )
    lines = {
        "place.md": "see /wo" + "rk/main/notes",
        "registry.md": "https://py" + "pi.org/simple",
        "mark.py": "# TO" + "DO later",
        "skip.py": "pytest." + "skip('no')",
        "fine.py": "the network/work/flow of TODOs",
    }

    assert muted_faults(bad) == [4]
    assert sorted(sleeps(bad)) == [2, 7]
    assert bare_tasks(bad) == [3]
    assert [matches(pattern, lines)[0].split(":")[0] for pattern in (PLACES, REGISTRIES, UNFINISHED, SKIPS)] == [
        "place.md",
        "registry.md",
        "mark.py",
        "skip.py",
    ]
    assert all(not matches(pattern, {"fine.py": lines["fine.py"]}) for pattern in (PLACES, REGISTRIES, UNFINISHED))
