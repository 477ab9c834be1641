"""Where the policies in force come from: the folder that the settings name, read and parsed. Cedar is loaded only for that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.config import Settings
from gateway.config.policy_documents import digest_policy_folder, load_policy_documents, policy_documents
from gateway.config.policy_settings import PolicyDocuments, PolicySettings
from gateway.core.clock import Clock
from gateway.policies.authorizer import Authorizer


class PolicySource:
    """Reads the folder. `config` is the configuration's file: a relative folder counts from where it lies."""

    def __init__(self, config: Path, environ: Mapping[str, str]) -> None:
        self._config = config
        self._base = config.absolute().parent
        self._environ = environ

    def open(self, settings: PolicySettings | None, clock: Clock) -> Authorizer:
        """Give what decides: without policies, by the callers' own lists. Raises ConfigError."""
        if settings is None:
            return Authorizer(None, wall=clock.wall)
        documents = load_policy_documents(settings, base=self._base, environ=self._environ, file=str(self._config))
        return _opened(documents, clock, settings.cached_decisions)

    def digest(self, settings: Settings) -> bytes:
        """Give what differs whenever a document of the folder does, empty where there is none. Raises ConfigError."""
        if settings.policies is None:
            return b""
        return digest_policy_folder(settings.policies, base=self._base, environ=self._environ)


def open_policies(texts: Mapping[str, str], settings: PolicySettings | None, clock: Clock) -> Authorizer:
    """Give what decides by policies that are written out, by name, and by nothing else. Raises ConfigError."""
    return _opened(policy_documents(texts, settings), clock, 0)


def _opened(documents: PolicyDocuments, clock: Clock, capacity: int) -> Authorizer:
    from gateway.policies.folder import open_folder  # noqa: PLC0415 - loads Cedar, 10 MB, where there are policies

    return Authorizer(open_folder(documents), wall=clock.wall, capacity=capacity)
