"""Names say what a thing is: a module is a noun with one job, and no name is a drawer."""

import ast
from pathlib import PurePosixPath

DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "base2", "stuff", "shared"}


def drawers(path: str) -> list[str]:
    parts = PurePosixPath(path).with_suffix("").parts
    return [part for part in parts if part.lower().strip("_") in DRAWERS or part.endswith(("_utils", "_helpers"))]


def vague_classes(tree: ast.AST) -> list[str]:
    classes = (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return [name for name in classes if name.endswith(("Manager", "Helper", "Utils", "Util")) or name == "Base"]


def test_no_file_or_folder_is_a_drawer(repository):
    assert {path: found for path in repository.python if (found := drawers(path))} == {}


def test_no_class_is_named_for_nothing(repository):
    assert {path: found for path, tree in repository.source.items() if (found := vague_classes(tree))} == {}


def test_every_module_says_what_it_is(repository):
    assert [path for path, tree in repository.source.items() if tree.body and not ast.get_docstring(tree)] == []


def test_test_files_have_names_of_their_own(repository):
    """Modules are imported by path; two files of one name are told apart by nobody who reads a report."""
    names = [PurePosixPath(path).name for path in repository.python if path.startswith("tests/")]
    tests = [name for name in names if name.startswith("test_")]

    assert sorted({name for name in tests if tests.count(name) > 1}) == []


def test_the_checks_see_a_drawer_and_a_manager():
    assert drawers("gateway/api/http_utils.py") == ["http_utils"]
    assert drawers("gateway/common/keys.py") == ["common"]
    assert drawers("gateway/providers/commonplace.py") == []
    assert vague_classes(ast.parse("class KeyManager: ...\nclass Keys: ...")) == ["KeyManager"]
