"""Lock files pin everything by hash, and say nothing about where it comes from: that is each machine's own business."""

import re
import tomllib

LOCKS = ("bootstrap", "dev", "litellm", "mcp-conformance", "models", "otlp", "runtime", "suites", "vllm")
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9-]*)==[^\s;]+")
# A requirement begins a line; its hashes are indented below it.
REQUIREMENT = re.compile(r"^\S")


def canonical(requirement: str) -> str:
    name = re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lock: str) -> set[str]:
    return {found["name"] for line in lock.splitlines() if (found := PIN.match(line))}


def unpinned_lines(lock: str) -> list[str]:
    return [line for line in lock.splitlines() if REQUIREMENT.match(line) and not PIN.match(line)]


def without_hash(lock: str) -> list[str]:
    entries = re.split(r"\n(?=\S)", lock.strip())
    return [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


def addresses(lock: str) -> list[str]:
    return [
        line for line in lock.splitlines() if "://" in line or " @ " in line or line.startswith(("--", "-f", "-i", "/"))
    ]


def locks(repository):
    return {name: repository.texts[f"requirements/{name}.txt"] for name in LOCKS}


def test_no_lock_file_holds_an_address(repository):
    assert {name: found for name, lock in locks(repository).items() if (found := addresses(lock))} == {}


def test_every_locked_package_has_one_version_and_a_hash(repository):
    faults = {name: unpinned_lines(lock) + without_hash(lock) for name, lock in locks(repository).items()}

    assert {name: found for name, found in faults.items() if found} == {}


def test_every_declared_dependency_is_in_its_lock_file(repository):
    project = tomllib.loads(repository.texts["pyproject.toml"])
    extras, group = project["project"]["optional-dependencies"], project["dependency-groups"]["dev"]
    runtime = [*project["project"]["dependencies"], *extras["embedded"]]
    otlp = [*runtime, *extras["otlp"]]
    declared = {"runtime": runtime, "otlp": otlp, "litellm": [*otlp, *extras["litellm"]], "dev": [*otlp, *group]}
    declared["bootstrap"] = project["build-system"]["requires"]

    for name, requirements in declared.items():
        missing = {canonical(requirement) for requirement in requirements} - pinned(locks(repository)[name])
        assert not missing, f"requirements/{name}.txt lacks {sorted(missing)}: run make lock"


def test_every_lock_file_is_checked(repository):
    found = {path for path in repository.texts if path.startswith("requirements/") and path.endswith(".txt")}

    assert found == {f"requirements/{name}.txt" for name in LOCKS}


def test_what_serves_is_the_same_version_as_what_is_tested(repository):
    lines = {name: set(re.findall(r"^\S+==\S+", lock, flags=re.MULTILINE)) for name, lock in locks(repository).items()}

    assert lines["runtime"] <= lines["dev"]
    assert lines["otlp"] <= lines["dev"]


def test_the_checks_see_a_loose_lock_file():
    bad = "--index-url https://example.test/simple\nclick==8.5.1\nrich>=15 \\\n    --hash=sha256:00\n"

    assert addresses(bad) == ["--index-url https://example.test/simple"]
    assert unpinned_lines(bad) == ["--index-url https://example.test/simple", "rich>=15 \\"]
    assert without_hash(bad) == ["--index-url https://example.test/simple", "click==8.5.1"]
    assert pinned(bad) == {"click"}
    assert canonical("types-PyYAML>=6.0") == "types-pyyaml"
