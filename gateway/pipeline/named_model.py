"""The model that finds names: an ONNX token classifier and its tokenizer. It blocks: threads call it, never the event loop.

Heavy to import (numpy, ONNX Runtime, tokenizers: 0.4 s, 60 MB): loaded when a configured model is first asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import onnxruntime
import tokenizers

from gateway.config.names_files import NamesFiles
from gateway.config.names_settings import NAME_KINDS
from gateway.core.errors import InternalError
from gateway.protection.finding import Finding
from gateway.protection.name_spans import name_spans

_FED: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_INTEGERS: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
# Half a character is no text, and tokenizers take none.
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# A stretch that is more tokens than the model takes is halved; each half goes on so far into the other.
_OVERLAP: Final = 40

Floats = npt.NDArray[np.float32]


class ModelFailed(InternalError):
    """The model cannot be loaded, or does not do what a token classifier does. The message holds no text of a call."""


class TokenClassifier:
    """A loaded model. `threads` processor cores, `threshold` how sure it must be (0 to 1). Raises ModelFailed."""

    def __init__(self, files: NamesFiles, *, threads: int, threshold: float) -> None:
        self._threshold = threshold
        self._most_tokens = files.most_tokens
        # Column by column what the classes mean, so that one product gives how sure the model is of each kind.
        self._meaning = np.array([[kind == name for name in NAME_KINDS] for kind in files.kinds], np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # The arena keeps what the largest batch ever needed, and is no faster.
        options.enable_cpu_mem_arena = False
        # Errors are raised; warnings about the graph are nothing that an operator could act on.
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(files.model), options, providers=["CPUExecutionProvider"])
            self._tokenizer = tokenizers.Tokenizer.from_file(str(files.tokenizer))
        # Both libraries raise types of their own that derive from Exception alone.
        except Exception as error:
            reason = str(error).partition("\n")[0][:300]
            raise _failure(f"it cannot be loaded ({type(error).__name__}): {reason}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._inputs = {each.name: _INTEGERS.get(each.type) for each in self._session.get_inputs()}
        odd = [name for name, kind in self._inputs.items() if name not in _FED or kind is None]
        if odd or "input_ids" not in self._inputs:
            raise _failure(f"it takes inputs that a token classifier does not: {', '.join(odd) or 'no input_ids'}")
        self.find(["Jane Doe lives in Berlin."])

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        """Give the names in each text. Raises ModelFailed."""
        stretches = [
            (index, *rest) for index, text in enumerate(texts) for rest in self._fitting(_SURROGATES.sub("?", text), 0)
        ]
        if not stretches:
            return [[] for _ in texts]
        sure = self._run([encoding.ids for _, _, encoding in stretches])
        tokens: list[list[tuple[int, int, str]]] = [[] for _ in texts]
        for row, (index, offset, encoding) in enumerate(stretches):
            of_row = sure[row]
            best = of_row.argmax(axis=1)
            named = np.flatnonzero(of_row.max(axis=1) >= self._threshold)
            places = encoding.offsets
            for place in named[named < len(places)]:
                start, end = places[place]
                # Marks that the tokenizer adds stand nowhere in the text.
                if start < end:
                    tokens[index].append((start + offset, end + offset, NAME_KINDS[best[place]]))
        return [name_spans(text, sorted(found)) for text, found in zip(texts, tokens, strict=True)]

    def _fitting(self, text: str, offset: int) -> Iterator[tuple[int, Any]]:
        """Give the text as encodings that the model can take, each with where in the text it begins."""
        encoding = self._tokenizer.encode(text)
        if len(encoding.ids) <= self._most_tokens or len(text) <= 1:
            yield offset, encoding
            return
        half = len(text) // 2
        reach = min(_OVERLAP, half // 2)
        yield from self._fitting(text[: half + reach], offset)
        yield from self._fitting(text[half - reach :], offset + half - reach)

    def _run(self, texts: list[list[int]]) -> Floats:
        """Give for each text and token how sure the model is of each kind of name (texts, tokens, kinds)."""
        longest = max(map(len, texts))
        ids = np.zeros((len(texts), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(texts):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        feed = {name: fed[name].astype(kind) for name, kind in self._inputs.items()}
        try:
            output = self._session.run(None, feed)[0]
        # ONNX Runtime's errors derive from Exception alone. Their text may hold values of tensors: it stays here.
        except Exception as error:
            raise _failure(f"it failed ({type(error).__name__})") from error
        logits = cast("Floats", np.asarray(output, np.float32))
        wanted = (*ids.shape, len(self._meaning))
        if logits.shape != wanted:
            raise _failure(f"it gives {list(logits.shape)} for texts, tokens and classes; {list(wanted)} was expected")
        if not np.isfinite(logits).all():
            raise _failure("it gives numbers that are none")
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return cast("Floats", weights @ self._meaning / weights.sum(axis=-1, keepdims=True))


def _failure(reason: str) -> ModelFailed:
    return ModelFailed(f"The model of names cannot be used: {reason}.")
