"""File names written in a configuration: what they are relative to. It touches no file."""

import os.path
from collections.abc import Mapping
from pathlib import Path


def resolve_path(text: str, *, base: Path, environ: Mapping[str, str]) -> Path:
    """Return `text` as an absolute path: `~` is HOME, and a relative path counts from `base`.

    Symbolic links stay as they are: the interpreter of a virtual environment is one, and means nothing without it.
    Raises ValueError for text that cannot be a path.
    """
    if not text or not text.isprintable():
        raise ValueError("expected a file path")
    if text == "~" or text.startswith("~/"):
        home = environ.get("HOME", "")
        if not home:
            raise ValueError("~ needs the environment variable HOME, which is not set")
        text = home + text[1:]
    elif text.startswith("~"):
        raise ValueError("~name is not supported: write the directory in full")
    return Path(os.path.normpath(base / text))
