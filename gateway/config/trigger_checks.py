"""Rules between the settings of triggers that no single type can say, and what agents there must be for them."""

from __future__ import annotations

import base64
import binascii
import zoneinfo
from collections.abc import Collection, Iterator

from gateway.config.agent_checks import near
from gateway.config.cron import parse_cron
from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.config.trigger_settings import (
    AlertmanagerTriggerSettings,
    ScheduleTriggerSettings,
    WebhookTriggerSettings,
)

_SHORTEST = 16
"""Characters of a secret: fewer can be guessed."""


def triggers_findings(settings: Settings) -> Iterator[Finding]:
    """Yield triggers without what runs their agents."""
    if settings.triggers and settings.agents is None:
        message = "a trigger starts runs of an agent: write the sections agents, runs and database"
        yield Finding(path=("triggers",), needs=("agents",), message=message)
    threads = None if settings.slack is None else settings.slack.incidents
    for place, name in enumerate(() if threads is None else threads.triggers):
        if name not in settings.triggers:
            message = f"no trigger is named {shown(name)}{near(name, settings.triggers)}"
            yield Finding(path=("slack", "incidents", "triggers", place), message=message)


def alertmanager_findings(trigger: AlertmanagerTriggerSettings) -> Iterator[Finding]:
    """Yield a door without a lock."""
    if trigger.token is None and trigger.signing_secret is None:
        message = "anybody could fire it: write token (a bearer token) or signing_secret, as env:NAME or file:path"
        yield Finding(needs=("token", "signing_secret"), message=message)
    if trigger.token is not None and len(trigger.token.reveal()) < _SHORTEST and not trigger.token.in_database:
        yield Finding(path=("token",), message=f"the token has fewer than {_SHORTEST} characters: it can be guessed")
    if trigger.signing_secret is not None:
        yield from _of_secret("signing_secret", trigger.signing_secret)


def webhook_findings(trigger: WebhookTriggerSettings) -> Iterator[Finding]:
    """Yield a secret that is none."""
    yield from _of_secret("secret", trigger.secret)


def _of_secret(field: str, secret: Secret) -> Iterator[Finding]:
    if secret.in_database:
        return
    try:
        key = key_of(secret)
    except ValueError as error:
        yield Finding(path=(field,), message=str(error))
        return
    if len(key) < _SHORTEST:
        yield Finding(path=(field,), message=f"the secret has fewer than {_SHORTEST} bytes: it can be guessed")


def key_of(secret: Secret) -> bytes:
    """Give the key of a signing secret: what follows `whsec_` in base64, or the text itself. Raises ValueError."""
    text = secret.reveal()
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        msg = "what follows whsec_ is not base64"
        raise ValueError(msg) from None


def schedule_findings(trigger: ScheduleTriggerSettings) -> Iterator[Finding]:
    """Yield times that never come, and zones that there are not."""
    try:
        parse_cron(trigger.cron)
    except ValueError as error:
        yield Finding(path=("cron",), message=str(error))
    try:
        zoneinfo.ZoneInfo(trigger.time_zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        message = f"this system knows no time zone {shown(trigger.time_zone)} (they are named as Europe/Vienna)"
        yield Finding(path=("time_zone",), message=message)


def agents_of_triggers(settings: Settings, agents: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield path and message of each trigger whose agent there is not."""
    for name, trigger in settings.triggers.items():
        if trigger.agent not in agents:
            yield f"triggers.{name}.agent", f"no agent is named {shown(trigger.agent)}{near(trigger.agent, agents)}"
