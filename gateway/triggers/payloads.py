"""What triggers are sent, read into deliveries: only the declared fields of it, each cut to its size. Pure; nothing of it is believed.

Source: Alertmanager's webhook, version 4 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway.config.trigger_settings import AlertmanagerTriggerSettings, WebhookTriggerSettings
from gateway.core.errors import InvalidRequest
from gateway.core.items import Json
from gateway.core.strict_json import decode_object

_DEPTH: Final = 20
_PLAIN: Final = re.compile(r"[ -~]{1,512}\Z")
"""Keys and fingerprints that are kept as they are; others are known by their hash."""
_MOST_TITLE: Final = 200
_MOST_SEVERITY: Final = 40
_HEX: Final = re.compile(r"[0-9a-f]{1,32}\Z")
_HARMFUL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
"""What drives a terminal, turns writing around, or is not seen by who reads along."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a delivery. `shown` is what an agent may be given of it."""

    fingerprint: str
    firing: bool
    title: str
    shown: dict[str, Json]


class GroupDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A group of alerts as Alertmanager sent it. `cut` counts alerts that were left out, by it or here. `dedupe` is empty where nothing tells it from others."""

    key: str
    title: str
    alerts: tuple[Sent, ...]
    cut: int
    dedupe: str = ""
    severity: str = ""


class EventDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a webhook, or a time of a schedule. `key` tells events apart, `dedupe` deliveries."""

    key: str
    title: str
    dedupe: str
    shown: dict[str, Json]


class _Alert(msgspec.Struct, kw_only=True):
    """An alert on the wire. What else there is of it is not read."""

    status: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    fingerprint: str = ""
    starts_at: str = msgspec.field(default="", name="startsAt")
    ends_at: str = msgspec.field(default="", name="endsAt")
    generator_url: str = msgspec.field(default="", name="generatorURL")


class _Group(msgspec.Struct, kw_only=True):
    """A payload on the wire."""

    version: str
    group_key: str = msgspec.field(name="groupKey")
    alerts: list[_Alert]
    truncated: int = msgspec.field(default=0, name="truncatedAlerts")
    common_labels: dict[str, str] = msgspec.field(default_factory=dict, name="commonLabels")


def read_group(body: bytes, settings: AlertmanagerTriggerSettings, dedupe: str = "") -> GroupDelivery:
    """Read an Alertmanager's payload. Raises InvalidRequest, whose message says what is wrong with it."""
    group = _converted(decode_object(body, depth=_DEPTH), _Group)
    if group.version != "4":
        msg = f"`version` is {group.version[:20]!r}: this reads version 4 of Alertmanager's webhook."
        raise InvalidRequest(msg, param="version")
    if not group.group_key:
        msg = "`groupKey` must not be empty."
        raise InvalidRequest(msg, param="groupKey")
    kept = group.alerts[: settings.most_alerts]
    # The same alert twice in one payload is one alert: what is said of it last counts.
    alerts = {sent.fingerprint: sent for sent in (_sent(alert, settings) for alert in kept)}
    first = group.common_labels or (kept[0].labels if kept else {})
    return GroupDelivery(
        key=f"group:{_name(group.group_key)}",
        title=_title(first),
        alerts=tuple(alerts.values()),
        cut=max(0, group.truncated) + len(group.alerts) - len(kept),
        dedupe=dedupe,
        severity=clean(first.get("severity", ""), _MOST_SEVERITY),
    )


def read_event(body: bytes, settings: WebhookTriggerSettings, identifier: str) -> EventDelivery:
    """Read a webhook's body. Raises InvalidRequest for what is no JSON object, and where what tells events apart is not there."""
    document = decode_object(body, depth=_DEPTH)
    shown = {name: value for name, pointer in settings.fields.items() if (value := at(document, pointer)) is not None}
    key = identifier
    if settings.dedupe is not None:
        found = at(document, settings.dedupe)
        if not isinstance(found, str | int | float) or found == "":
            msg = f"`{settings.dedupe}` must be a text or a number: it tells events apart."
            raise InvalidRequest(msg, param=settings.dedupe)
        key = str(found)
    title = next((str(value) for value in shown.values() if isinstance(value, str | int)), key)
    return EventDelivery(
        key=f"event:{_name(key)}",
        title=clean(title, _MOST_TITLE),
        dedupe=f"id:{identifier}",
        shown={name: bounded(value, settings.value_chars) for name, value in shown.items()},
    )


def at(document: Json, pointer: str) -> Json:
    """Give what stands at a JSON Pointer (RFC 6901), None where nothing does."""
    found: Json = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isascii() and name.isdecimal() and len(name) < 7:
            found = found[int(name)] if int(name) < len(found) else None
        else:
            return None
    return found


def clean(text: str, most: int) -> str:
    """Give a text without what is not seen, at most so many characters; what was cut off is said."""
    seen = _HARMFUL.sub("\ufffd", text[: most + 1])
    return seen if len(text) <= most else f"{seen[:most]}… ({len(text) - most} more characters)"


def bounded(value: Json, most: int) -> Json:
    """Give a value as a text of at most so many characters, numbers and truth values as they are."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean(value if isinstance(value, str) else msgspec.json.encode(value).decode(), most)


def _sent(alert: _Alert, settings: AlertmanagerTriggerSettings) -> Sent:
    most = settings.value_chars
    if alert.status not in ("firing", "resolved"):
        msg = f"`alerts[].status` is {alert.status[:20]!r}: it must be firing or resolved."
        raise InvalidRequest(msg, param="alerts")
    fingerprint = alert.fingerprint or _hash(msgspec.json.encode(sorted(alert.labels.items())))
    return Sent(
        fingerprint=_name(fingerprint),
        firing=alert.status == "firing",
        title=_title(alert.labels),
        shown={
            # Alertmanager's are hexadecimal; of anything else only a hash is shown: there is room for words in it.
            "fingerprint": fingerprint if _HEX.match(fingerprint) else _hash(fingerprint.encode())[:16],
            "labels": _declared(alert.labels, settings.labels, most),
            "annotations": _declared(alert.annotations, settings.annotations, most),
            "starts_at": clean(alert.starts_at, 40),
            "source": clean(alert.generator_url, most),
        },
    )


def _declared(found: Mapping[str, str], names: Iterable[str], most: int) -> dict[str, Json]:
    return {name: clean(found[name], most) for name in names if name in found}


def _title(labels: Mapping[str, str]) -> str:
    name, severity = labels.get("alertname", "alerts"), labels.get("severity")
    return clean(f"{name} ({severity})" if severity else name, _MOST_TITLE)


def _name(text: str) -> str:
    """Give what any database keeps and is short enough to be a key: the text itself where it is plain, else its hash."""
    return text if _PLAIN.match(text) and not text.startswith("sha256:") else f"sha256:{_hash(text.encode())}"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _converted(document: dict[str, Any], form: type[_Group]) -> _Group:
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        msg = f"This is no payload of Alertmanager's webhook: {str(error)[:300]}"
        raise InvalidRequest(msg) from None
