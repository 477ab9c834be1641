"""The rerank API of Cohere and Jina, in the form that vLLM serves."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, Operation, RerankInput
from gateway.core.errors import InvalidRequest, UpstreamBroken
from gateway.core.events import Finished, Ranking
from gateway.core.items import Json
from gateway.core.usage import Usage
from gateway.dialects.dialect import Dialect, EncodedCall
from gateway.dialects.one_document import OneDocument, results_of, started
from gateway.dialects.openai_chat.usage import decode_usage
from gateway.dialects.rest import Leftovers, note, own
from gateway.dialects.shapes import check

NAME = "rerank"
_HUB_FIELDS = {"model", "query", "documents", "top_n", "return_documents"}


class _Body(msgspec.Struct):
    model: str
    query: str
    documents: list[str | dict[str, Any]]
    top_n: int | None = None
    return_documents: bool | None = None


class Rerank(OneDocument):
    """`POST /v1/rerank`. Implements Dialect."""

    name: str = NAME
    operation: Operation = "rerank"
    title: str = "Rerank API"

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """Request body -> RerankInput. Raises InvalidRequest."""
        body = check(fields, _Body)
        if not body.documents:
            msg = "`documents` must not be empty."
            raise InvalidRequest(msg, param="documents")
        if body.top_n is not None and body.top_n < 0:
            msg = "`top_n` must not be negative."
            raise InvalidRequest(msg, param="top_n")
        rest = {name: value for name, value in fields.items() if name not in _HUB_FIELDS or value is None}
        if any(isinstance(each, dict) for each in body.documents):
            rest["$documents"] = fields["documents"]
        if body.return_documents is False:
            rest["return_documents"] = False
        return RerankInput(
            query=body.query,
            documents=tuple(_text(each, f"documents[{number}]") for number, each in enumerate(body.documents)),
            top_n=body.top_n,
            return_documents=bool(body.return_documents),
            rest={NAME: rest},
        )

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """RerankInput -> request body."""
        if not isinstance(content, RerankInput):
            raise self.wrong_content(content)
        left = Leftovers(NAME, self.title, drop=drop)
        left.foreign(content.rest)
        documents = note(content.rest, NAME, "documents")
        if documents is None or tuple(_text(each, "documents") for each in documents) != content.documents:
            documents = list(content.documents)
        body: dict[str, Json] = {"model": model, "query": content.query, "documents": documents}
        if content.top_n is not None:
            body["top_n"] = content.top_n
        if content.return_documents:
            body["return_documents"] = True
        return EncodedCall(body={**body, **own(content.rest, NAME)}, dropped=left.dropped)

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """Results -> Answer, best first. Raises UpstreamBroken."""
        pairs = [_pair(each) for each in results_of(fields, "results")]
        pairs.sort(key=lambda pair: pair[1], reverse=True)
        usage = decode_usage(fields.get("usage"))
        return Answer(started=started(fields), result=Ranking(results=tuple(pairs)), finished=Finished(usage=usage))

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Answer -> results; the documents themselves only where the call asks for them."""
        ranking = answer.result.results if isinstance(answer.result, Ranking) else ()
        fields = call.fields
        top = fields.get("top_n") or len(ranking)
        documents: list[Json] = fields["documents"] if fields.get("return_documents") else []
        results: list[dict[str, Json]] = []
        for index, score in ranking[:top]:
            result: dict[str, Json] = {"index": index, "relevance_score": score}
            if index < len(documents):
                document = documents[index]
                result["document"] = {"text": document} if isinstance(document, str) else document
            results.append(result)
        document = {
            "id": answer.started.id or f"rerank-{call.id}",
            "model": answer.started.model or call.model,
            "usage": {"total_tokens": (answer.finished.usage or Usage()).total},
            "results": results,
        }
        return msgspec.json.encode(document)


def _text(document: str | dict[str, Json], path: str) -> str:
    if isinstance(document, str):
        return document
    text = document.get("text")
    if not isinstance(text, str):
        msg = f"A document is a text or an object with a text: `{path}.text`."
        raise InvalidRequest(msg, param=f"{path}.text")
    return text


def _pair(result: dict[str, Json]) -> tuple[int, float]:
    index, score = result.get("index"), result.get("relevance_score", result.get("score"))
    if not isinstance(index, int) or not isinstance(score, (int, float)):
        msg = "The upstream's ranking holds a result without `index` or `relevance_score`."
        raise UpstreamBroken(msg)
    return index, float(score)


RERANK: Dialect = Rerank()
