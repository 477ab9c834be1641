"""What a run that has ended says to the run that began it: its last words, or why there are none. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.agents.agent_tools import SERVER
from gateway.core.items import Json
from gateway.core.tools import Label, ToolOutput
from gateway.stores.runs import Run, RunItem


def answer_of(child: Run, output: Sequence[RunItem]) -> tuple[ToolOutput, Label]:
    """Give the answer of a child that has ended, and where it came from: as little to be trusted, and as secret, as what it read."""
    ordered = sorted(output, key=lambda item: item.index)
    text = _last_words(ordered)
    label = _label(child, ordered)
    if child.status == "completed":
        return ToolOutput(text=text), label
    why = _reason(child)
    said = f" It had said: {text}" if text else ""
    return ToolOutput(text=f"The agent {child.agent} did not finish: {why}{said}", is_error=True), label


def _last_words(output: Sequence[RunItem]) -> str:
    """Give the text of what was said after the last call of a tool."""
    texts: list[str] = []
    for item in output:
        if item.body.get("type") == "message":
            texts += _texts(item.body.get("content"))
        elif str(item.body.get("type")).endswith("_call"):
            texts.clear()
    return "\n\n".join(texts)


def _texts(content: Json) -> Iterable[str]:
    for part in content if isinstance(content, list) else ():
        text = part.get("text") or part.get("refusal")
        if isinstance(text, str) and text:
            yield text


def _label(child: Run, output: Sequence[RunItem]) -> Label:
    """Give the worst of what its model's words were labelled with, or, where it came to no end, of all that it read."""
    own = [
        item.label
        for item in output
        if item.label is not None and (child.status != "completed" or item.body.get("type") == "message")
    ]
    source = f"{SERVER}/{child.agent}"
    return Label(
        source=source,
        integrity="untrusted" if any(label.integrity == "untrusted" for label in own) else "trusted",
        confidentiality="sensitive" if any(label.confidentiality == "sensitive" for label in own) else "internal",
    )


def _reason(child: Run) -> str:
    """Give a sentence that says why a run came to no good end."""
    if child.status == "cancelled":
        return "it was cancelled."
    response = child.response or {}
    error, details = response.get("error"), response.get("incomplete_details")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    if isinstance(details, dict):
        return f"its answer is incomplete ({details.get('reason')})."
    return f"it is {child.status}."
