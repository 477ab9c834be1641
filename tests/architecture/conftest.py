"""The repository as the architecture tests see it: its files, and the trees of its Python."""

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

NOT_OURS = {"__pycache__", "build", "dist", "kit", "node_modules", "vendor"}
HIDDEN_BUT_OURS = {".ci"}
SOURCE = ("gateway", "mcp_servers")


class Repository:
    """Every file that is ours, read once. Paths are relative to the root, with forward slashes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _walk(self, folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if path.name in NOT_OURS or path.name.endswith(".egg-info"):
                continue
            if path.is_dir():
                if path.name.startswith(".") and path.name not in HIDDEN_BUT_OURS:
                    continue  # environments and caches, each in a hidden folder
                yield from self._walk(path)
            elif not path.is_symlink():
                yield path

    @cached_property
    def texts(self) -> dict[str, str]:
        """Every text file's content by its path."""
        found = {}
        for path in self._walk(self.root):
            try:
                found[path.relative_to(self.root).as_posix()] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # a binary file has no lines to judge
        return found

    @cached_property
    def python(self) -> dict[str, str]:
        """Every Python file's source by its path."""
        return {path: text for path, text in self.texts.items() if path.endswith(".py")}

    @cached_property
    def source(self) -> dict[str, ast.Module]:
        """The syntax trees of the product's own code."""
        return {path: ast.parse(text) for path, text in self.python.items() if path.startswith(SOURCE)}

    @cached_property
    def docs(self) -> str:
        """All documentation pages, one after the other."""
        return "\n".join(text for path, text in self.texts.items() if path.startswith("docs/") and path.endswith(".md"))


@pytest.fixture(scope="session")
def repository():
    return Repository(Path(__file__).resolve().parents[2])
