"""Files inside a request: data URLs (RFC 2397), and what may be missing beside base64 data."""

from __future__ import annotations

import re

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,", re.ASCII)
_IMAGE_STARTS = {"/9j/": "image/jpeg", "iVBOR": "image/png", "R0lG": "image/gif", "UklG": "image/webp"}
"""How the base64 of each image format begins."""
_EXTENSIONS = {"application/pdf": ".pdf", "text/plain": ".txt", "text/markdown": ".md", "text/html": ".html"}


def split_data_url(url: str) -> tuple[str | None, str | None]:
    """Give (media type, base64 text) of a plain base64 data URL, else (None, None)."""
    found = _DATA_URL.match(url)
    return (found[1], url[found.end() :]) if found else (None, None)


def data_url(media_type: str, data: str) -> str:
    """Write base64 text as a data URL."""
    return f"data:{media_type};base64,{data}"


def image_type(media_type: str | None, data: str) -> str | None:
    """Give the media type of an image, by its first bytes where nobody said; None where they do not tell."""
    return media_type or next((kind for start, kind in _IMAGE_STARTS.items() if data.startswith(start)), None)


def file_name(media_type: str | None) -> str:
    """Name a document that has no name: OpenAI refuses data without one."""
    return "document" + _EXTENSIONS.get(media_type or "", "")
