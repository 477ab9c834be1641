"""Documents that providers read beside their settings: equal settings mean an equal provider only if these are equal too."""

from __future__ import annotations

import hashlib

from gateway.config.provider_settings import ProviderSettings, ScriptedSettings


def document_digest(settings: ProviderSettings) -> bytes | None:
    """Give a digest of the document that `settings` name; None where there is none, or where it cannot be read.

    (Opening the provider says why it cannot be read.)
    """
    if not isinstance(settings, ScriptedSettings):
        return None
    try:
        with settings.document.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None
