"""Embedding child: the program that serves the sentence-embedding model over loopback HTTP in OpenAI's wire format.

`python -m gateway.providers.embedded.embedding_child --id ID`; token on stdin, `ready <port>` on stdout (see `loopback`). A process
of its own so that the gateway holds neither numpy nor ONNX Runtime (220 MB), and a crash of native code ends nothing else.
POST /v1/embeddings (model, input: a string or strings, encoding_format, dimensions: 384 only, user), /tokenize; GET /health,
/v1/models.
"""

from __future__ import annotations

import argparse
import base64
import struct
from typing import Any

from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.providers.embedded import request_fields as field
from gateway.providers.embedded.embedder import DIMENSIONS, MAX_TOKENS, Embedder, load
from gateway.providers.embedded.loopback import LoopbackApp, Reply, serve, take_stdin, take_stdout

MOST_TEXTS = 2048


class EmbeddingService:
    """The endpoints around the loaded model."""

    def __init__(self, embedder: Embedder, model: str) -> None:
        self._embedder = embedder
        self._model = model

    def app(self, token: str) -> LoopbackApp:
        """Give the ASGI application that serves the endpoints to the holder of `token`."""
        routes = {
            "POST /v1/embeddings": self.embeddings,
            "POST /tokenize": self.tokenize,
            "GET /health": self.health,
            "GET /v1/models": self.models,
        }
        return LoopbackApp(routes, token=token, beside=self._embedder.run)

    async def embeddings(self, body: dict[str, Any], reply: Reply) -> None:
        """POST /v1/embeddings."""
        field.refuse_unknown(body, ("model", "input", "encoding_format", "dimensions", "user"))
        texts = _texts(field.required(body, "input"))
        wanted = field.integer(body, "dimensions", 1, 1_000_000)
        if wanted not in (None, DIMENSIONS):
            message = f"This model has {DIMENSIONS} dimensions, and was not trained to be shortened."
            raise UnsupportedParameter(message, param="dimensions")
        encoding = body.get("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            raise InvalidRequest("'encoding_format' is float or base64.", param="encoding_format")
        result = await self._embedder.embed(texts)
        render = _as_base64 if encoding == "base64" else _as_floats
        data = [
            {"object": "embedding", "index": index, "embedding": render(vector)}
            for index, vector in enumerate(result.vectors)
        ]
        tokens = sum(result.tokens)
        counted = {"prompt_tokens": tokens, "total_tokens": tokens}
        await reply.json({"object": "list", "data": data, "model": self._model, "usage": counted})

    async def tokenize(self, body: dict[str, Any], reply: Reply) -> None:
        """POST /tokenize: {"prompt"} to {"tokens", "count", "max_model_len"}."""
        field.refuse_unknown(body, ("model", "prompt"))
        tokens = self._embedder.token_ids(field.text(body.get("prompt"), "prompt"))
        await reply.json({"tokens": tokens, "count": len(tokens), "max_model_len": MAX_TOKENS})

    async def health(self, _: dict[str, Any], reply: Reply) -> None:
        """GET /health."""
        await reply.json({"status": "ok", "model": self._model, "waiting": self._embedder.waiting})

    async def models(self, _: dict[str, Any], reply: Reply) -> None:
        """GET /v1/models."""
        model = {"id": self._model, "object": "model", "created": 0, "owned_by": "switchgear"}
        await reply.json({"object": "list", "data": [{**model, "max_model_len": MAX_TOKENS}]})


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not 1 <= len(texts) <= MOST_TEXTS:
        raise InvalidRequest(f"'input' is a text, or an array of 1 to {MOST_TEXTS} of them.", param="input")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            message = "Token ids belong to another model's vocabulary; send texts."
            raise UnsupportedParameter(message, param=f"input[{index}]")
        if not text:
            raise InvalidRequest("An empty text has no embedding.", param=f"input[{index}]")
    return texts


def _as_base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()


def _as_floats(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{DIMENSIONS}f", vector)


def main() -> None:
    """Load the model, announce the port, serve until the parent ends."""
    announce = take_stdout()
    arguments = argparse.ArgumentParser(prog="embedding_child")
    arguments.add_argument("--id", required=True, help="the model's name in answers")
    options = arguments.parse_args()
    token = take_stdin()
    serve(EmbeddingService(load(), options.id).app(token), announce)


if __name__ == "__main__":
    main()
