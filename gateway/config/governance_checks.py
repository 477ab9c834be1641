"""Rules between the settings of governance that no single type can say. Each part's own module knows what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gateway.config.access_settings import AccessSettings, JwtSettings, access_faults, issuer_faults
from gateway.config.database_settings import PostgresSettings
from gateway.config.finding import Finding
from gateway.config.limit_settings import LimitRuleSettings, rule_problems
from gateway.config.protection_settings import protection_faults
from gateway.config.secret import Secret
from gateway.config.settings import Settings


def access_findings(access: AccessSettings) -> Iterator[Finding]:
    """Yield what is wrong with the section `access`."""
    for path, message in access_faults(access):
        yield Finding(path=path, message=message)


def issuer_findings(issuer: JwtSettings) -> Iterator[Finding]:
    """Yield what is wrong with one issuer of tokens."""
    for path, message in issuer_faults(issuer):
        yield Finding(path=path, message=message)


def limit_findings(rule: LimitRuleSettings) -> Iterator[Finding]:
    """Yield what is wrong with one limit."""
    for field, message in rule_problems(rule):
        yield Finding(path=(field,), message=message)


def protection_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the section `protection`, which names models and providers."""
    if settings.protection is None:
        return
    for path, message in protection_faults(settings.protection, settings.models, settings.providers):
        yield Finding(path=("protection", *path), needs=("models", "providers"), message=message)


def secrets_findings(settings: Settings) -> Iterator[Finding]:
    """Yield secrets of the database that are needed before it is open."""
    for section in ("database", "redis", "secrets", "audit", "access"):
        for path in _kept_in_database(getattr(settings, section)):
            message = "this is needed before the database is open: write env:NAME or file:path"
            yield Finding(path=(section, *path), needs=(section,), message=message)


def _kept_in_database(value: object) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of secrets that the database keeps."""
    if isinstance(value, Secret):
        if value.in_database:
            yield ()
        return
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, msgspec.Struct):
        inner = ((name, getattr(value, name)) for name in value.__struct_fields__)
    elif isinstance(value, tuple):
        inner = enumerate(value)
    elif isinstance(value, dict):
        inner = value.items()
    for name, one in inner:
        for path in _kept_in_database(one):
            yield name, *path


def batch_findings(settings: Settings) -> Iterator[Finding]:
    """Yield that files and batches are kept in the database."""
    if settings.batches is not None and settings.database is None:
        message = "files and batches are kept in the database: set database, for example {kind: sqlite}"
        yield Finding(path=("batches",), needs=("database",), message=message)
    batches = settings.batches
    if batches is None or batches.keep_ended_days is None or batches.keep_days is None:
        return
    if batches.keep_ended_days < batches.keep_days:
        message = f"results are kept for longer than this (keep_days: {batches.keep_days}), and would lose their batch"
        yield Finding(path=("batches", "keep_ended_days"), message=message)


def run_findings(settings: Settings) -> Iterator[Finding]:
    """Yield that responses are kept in the database."""
    if settings.runs is not None and settings.database is None:
        message = "responses are kept in the database: set database, for example {kind: sqlite}"
        yield Finding(path=("runs",), needs=("database",), message=message)


def approval_findings(settings: Settings) -> Iterator[Finding]:
    """Yield that approvals are those of runs, and what does not fit together in how people are told of them."""
    approvals, slack = settings.approvals, settings.slack
    if settings.runs is None:
        for name, written in (("slack", slack is not None), ("approvals", bool(approvals.webhooks))):
            if written:
                message = "approvals are those of runs: set runs and database"
                yield Finding(path=(name,), needs=("runs",), message=message)
    if approvals.escalate_after is not None and approvals.escalate_after >= approvals.ttl:
        message = f"questions expire before this (ttl: {approvals.ttl:g})"
        yield Finding(path=("approvals", "escalate_after"), needs=("approvals",), message=message)


def pepper_findings(settings: Settings) -> Iterator[Finding]:
    """Yield that replicas on one PostgreSQL need one pepper."""
    if isinstance(settings.database, PostgresSettings) and settings.access.pepper is None:
        message = "all replicas hash keys with the same secret: with PostgreSQL, write pepper: env:NAME or file:path"
        yield Finding(path=("access",), needs=("database", "access"), message=message)
