"""What a delivery would come to, tried without a database: the run's input as it would be told, with nothing begun. Pure."""

from __future__ import annotations

from gateway.config.trigger_settings import AlertmanagerTriggerSettings, TriggerSettings
from gateway.stores.incidents import Found
from gateway.triggers.folding import Folding
from gateway.triggers.payloads import EventDelivery, GroupDelivery
from gateway.triggers.telling import Facts, Telling, tell

_MOST = 20


def rehearse(trigger: str, settings: TriggerSettings, delivery: GroupDelivery | EventDelivery) -> Telling | None:
    """Give what the first run would be told; None where the delivery would begin none (nothing of it fires)."""
    found = Found(open={}, incidents={}, alerts={}, delivered=())
    folding = Folding(trigger, settings, found, now=0.0, new_id=lambda prefix: f"{prefix}rehearsal")
    if isinstance(delivery, GroupDelivery):
        folding.group(delivery)
    else:
        folding.event(delivery)
    changes = folding.changes
    if not changes.incidents:
        return None
    most = settings.shown_alerts if isinstance(settings, AlertmanagerTriggerSettings) else _MOST
    facts = Facts(alerts=changes.alerts[:most], all_alerts=len(changes.alerts), events=changes.events)
    return tell(trigger, settings, changes.incidents[0], facts)
