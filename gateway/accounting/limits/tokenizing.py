"""Counts what a call puts in by its model's own tokenizer, where a file of it is named.

A long prompt is counted by a sample: a tokenizer needs a microsecond a token, and everybody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.accounting.limits.estimates import CountInput, count_by_length
from gateway.accounting.limits.prompt_texts import PICTURE_TOKENS, texts_of
from gateway.config.faults import ConfigError, Fault
from gateway.core.call import Call

if TYPE_CHECKING:
    import tokenizers

SAMPLE = 4096
"""Characters that are tokenized at most; the rest is taken to be like them."""
MOST_BYTES = 64 * 1024 * 1024


def open_counting(model: str, tokenizer: Path | None) -> CountInput:
    """Give what counts for a model: by its tokenizer's file where one is named, else by length. Raises ConfigError."""
    return count_by_length if tokenizer is None else open_tokenizer(tokenizer, f"models.{model}.tokenizer")


def open_tokenizer(path: Path, where: str) -> CountInput:
    """Give what counts by the tokenizer of a file, tokenizer.json as Hugging Face writes it.

    `where` names the setting. Raises ConfigError.
    """
    try:
        # An extra: imported where a model names a tokenizer.
        import tokenizers  # noqa: PLC0415
    except ImportError as error:
        message = "needs the package tokenizers: pip install 'switchgear[tokenizers]'"
        raise ConfigError([Fault(file="", path=where, message=message)]) from error
    try:
        small = path.stat().st_size <= MOST_BYTES
        opened = tokenizers.Tokenizer.from_file(str(path)) if small else None
    except Exception as error:  # the package raises nothing more telling
        message = "cannot be read as a tokenizer.json"
        raise ConfigError([Fault(file=str(path), path=where, message=message)]) from error
    if opened is None:
        raise ConfigError([Fault(file=str(path), path=where, message=f"is larger than {MOST_BYTES:,} bytes")])
    opened.no_truncation()
    opened.no_padding()
    return TokenizedInput(opened)


class TokenizedInput:
    """Counts by one tokenizer."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, call: Call) -> int:
        """Give the number of tokens; of more than `SAMPLE` characters, an estimate."""
        found = texts_of(call.fields)
        counted = sum(len(text) for text in found.texts)
        sample = list(_sampled(found.texts, SAMPLE))
        seen = sum(len(text) for text in sample)
        encoded = self._tokenizer.encode_batch_fast(sample, add_special_tokens=False) if sample else []
        tokens = sum(len(one) for one in encoded)
        if seen < counted:
            tokens = -(-tokens * counted // seen)
        return tokens + found.numbers + found.pictures * PICTURE_TOKENS


def _sampled(texts: list[str], most: int) -> Iterator[str]:
    """Give the beginning of each text, the same part of all, in `most` characters together."""
    whole = sum(len(text) for text in texts)
    for text in texts:
        share = len(text) if whole <= most else -(-len(text) * most // whole)
        yield text[:share]
