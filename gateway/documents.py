"""The documents beside the configuration: where policies, agents, prompts and knowledge bases come from, what differs whenever one does, which folders they are in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from gateway.config import Change, Settings, read_environment
from gateway.config.agent_documents import agents_folder
from gateway.config.agent_settings import AgentDocuments
from gateway.config.knowledge_documents import folders_in, knowledge_folder
from gateway.config.policy_documents import policy_folder
from gateway.config.policy_settings import PolicySettings
from gateway.config.prompt_documents import prompts_folder
from gateway.core.clock import Clock
from gateway.knowledge_source import KnowledgeSource
from gateway.pipeline.route import Route, Surroundings
from gateway.policies.authorizer import Authorizer
from gateway.policy_source import PolicySource
from gateway.prompt_source import PromptSource
from gateway.prompts.catalogue import Prompts
from gateway.protection_source import schema_documents
from gateway.retrieval.library import NO_KNOWLEDGE, Library


class Digests(msgspec.Struct, frozen=True, kw_only=True):
    """Those of one generation; empty where there is no such document. `files` are by the paths of their settings."""

    policies: bytes
    agents: bytes
    prompts: bytes
    files: dict[str, bytes]


class Policies(Protocol):
    """Where the policies come from."""

    def open(self, settings: PolicySettings | None, clock: Clock) -> Authorizer:
        """Read them and give what decides by them. Raises ConfigError."""
        ...

    def digest(self, settings: Settings) -> bytes:
        """Give what differs whenever a document does. Raises ConfigError."""
        ...


class Agents(Protocol):
    """Where the agents come from."""

    def open(self, settings: Settings, authorizer: Authorizer) -> AgentDocuments:
        """Read them. Raises ConfigError."""
        ...

    def digest(self, settings: Settings) -> bytes:
        """Give what differs whenever a document does. Raises ConfigError."""
        ...

    def routes(self, documents: AgentDocuments, surroundings: Surroundings) -> dict[str, Route]:
        """Give what answers as them."""
        ...


class PromptTemplates(Protocol):
    """Where the prompts come from."""

    def open(self, settings: Settings, agents: Collection[str]) -> Prompts:
        """Read them; `agents` are the models that agents are. Raises ConfigError."""
        ...

    def digest(self, settings: Settings) -> bytes:
        """Give what differs whenever a document does. Raises ConfigError."""
        ...


class KnowledgeBases(Protocol):
    """Where the knowledge bases come from."""

    def open(self, settings: Settings, before: Library = NO_KNOWLEDGE) -> Library:
        """Read them; those of `before` that have not changed are taken over. Raises ConfigError."""
        ...

    async def prepare(self, settings: Settings, before: Library) -> Library:
        """Do the same in a thread. Raises ConfigError."""
        ...


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where all documents come from."""

    policies: Policies
    agents: Agents
    prompts: PromptTemplates
    knowledge: KnowledgeBases


def open_sources(config: Path, environ: Mapping[str, str], agents: Agents, clock: Clock) -> Sources:
    """Give where the documents beside the file `config` come from."""
    return Sources(
        policies=PolicySource(config, environ),
        agents=agents,
        prompts=PromptSource(config, environ),
        knowledge=KnowledgeSource(config, environ, clock),
    )


class Documents(msgspec.Struct, frozen=True, kw_only=True):
    """Those of one generation, and what makes routes of its agents."""

    digests: Digests
    agents: AgentDocuments
    prompts: Prompts
    knowledge: Library
    agent_routes: Callable[[AgentDocuments, Surroundings], dict[str, Route]]


def digests_of(settings: Settings, sources: Sources) -> Digests:
    """Read them all. Raises ConfigError."""
    return Digests(
        policies=sources.policies.digest(settings),
        agents=sources.agents.digest(settings),
        prompts=sources.prompts.digest(settings),
        files=_files(settings),
    )


def changed(before: Digests, now: Digests) -> Iterator[Change]:
    """Give the documents that changed although the settings that name them did not."""
    for path, one, other in (
        ("policies.folder", before.policies, now.policies),
        ("agents.folder", before.agents, now.agents),
        ("prompts.folder", before.prompts, now.prompts),
    ):
        if one and other and one != other:
            yield Change(path=path, kind="changed")
    for path, digest in now.files.items():
        if before.files.get(path, digest) != digest:
            yield Change(path=path, kind="changed")


def rewritten_bases(before: Library, now: Library) -> Iterator[Change]:
    """Give the knowledge bases whose files changed although the settings that name them did not."""
    for name, digest in now.digests.items():
        if before.digests.get(name, digest) != digest:
            yield Change(path=f"knowledge.{name}.folder", kind="changed")


def _files(settings: Settings) -> dict[str, bytes]:
    files = schema_documents(settings)
    files |= {f"models.{name}.tokenizer": model.tokenizer for name, model in settings.models.items() if model.tokenizer}
    return {path: hashlib.sha256(file.read_bytes()).digest() for path, file in files.items() if file.is_file()}


def folders_of(current: Callable[[], Settings], config: Path) -> frozenset[Path]:
    """Give the folders that exist whose documents are in force: that of the policies, and those of the agents, the prompts and the knowledge bases. Raises ConfigError."""
    settings, base, environ = current(), config.absolute().parent, read_environment()
    folders: set[Path] = set()
    if settings.policies is not None:
        folders.add(policy_folder(settings.policies, base=base, environ=environ))
    if settings.agents is not None:
        folder = agents_folder(settings.agents, base=base, environ=environ)
        folders |= {folder, *(folder.iterdir() if folder.is_dir() else ())}
    if settings.prompts is not None:
        folder = prompts_folder(settings.prompts, base=base, environ=environ)
        folders |= {folder, *(folder.iterdir() if folder.is_dir() else ())}
    for name, written in settings.knowledge.items():
        folders |= {*folders_in(knowledge_folder(name, written, base=base, environ=environ))}
    return frozenset(folder for folder in folders if folder.is_dir())
