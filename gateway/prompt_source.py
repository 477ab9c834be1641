"""Where the prompts in force come from: the folder that the settings name, read, and made ready to be rendered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from gateway.config import Settings
from gateway.config.prompt_documents import digest_prompts_folder, load_prompt_documents
from gateway.prompts.catalogue import Prompts


class PromptSource:
    """Reads the folder. `config` is the configuration's file: a relative folder counts from where it lies."""

    def __init__(self, config: Path, environ: Mapping[str, str]) -> None:
        self._base = config.absolute().parent
        self._environ = environ

    def open(self, settings: Settings, agents: Collection[str]) -> Prompts:
        """Give the prompts that the settings name; `agents` are the models that agents are. Raises ConfigError."""
        models = {*settings.models, *agents}
        return Prompts(load_prompt_documents(settings, base=self._base, environ=self._environ, models=models))

    def digest(self, settings: Settings) -> bytes:
        """Give what differs whenever a file of a prompt does, empty where there are none. Raises ConfigError."""
        if settings.prompts is None:
            return b""
        return digest_prompts_folder(settings.prompts, base=self._base, environ=self._environ)
