"""The parts of messages in Slack. Pure.

What a model, a tool or a person wrote is an element of rich text: Slack reads no mention, link or markup in those. The one exception is the line for
notifications, where what Slack would read is escaped.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.notices.approval_view import visible

Block = dict[str, Any]

MOST_LINE: Final = 200
"""Characters of a line."""
_PIECE: Final = 2500


def cut(text: str, most: int = MOST_LINE) -> str:
    """Give a text without what is not seen, at most so many characters of it."""
    shown = visible(text)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def context(text: str) -> Block:
    """Give a small line."""
    return {"type": "context", "elements": [plain(text)]}


def plain(text: str) -> Block:
    """Give a text in which nothing is read."""
    return {"type": "plain_text", "text": text, "emoji": False}


def text_of(text: str, *, bold: bool = False) -> Block:
    """Give an element of rich text."""
    return {"type": "text", "text": text, **({"style": {"bold": True}} if bold else {})}


def link_to(url: str, text: str) -> Block:
    """Give an element of rich text that leads somewhere: for addresses alone that an operator has allowed."""
    return {"type": "link", "url": url, "text": text}


def section(elements: list[Block]) -> Block:
    """Give a paragraph of rich text."""
    return {"type": "rich_text_section", "elements": elements}


def preformatted(text: str) -> Block:
    """Give rich text that keeps its form."""
    pieces = [text_of(text[at : at + _PIECE]) for at in range(0, len(text), _PIECE)]
    return {"type": "rich_text_preformatted", "elements": pieces}


def rich(*elements: Block) -> Block:
    """Give a block of rich text."""
    return {"type": "rich_text", "elements": list(elements)}


def escaped(text: str) -> str:
    """Give text without what Slack would read in it: mentions, links, commands."""
    shown = visible(text)[: MOST_LINE * 2]
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
