"""The commented configuration that `switchgear init` writes: the embedded default, and every setting as a comment.

A `#` in the first column switches a setting off, unless one space and a word follow: that is a remark.
"""

from pathlib import Path


def starter_text() -> str:
    """Return the text of a configuration to start from, which loads as it is."""
    return Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8")
