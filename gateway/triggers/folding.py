"""What a delivery makes of what there is: new incidents, alerts that join one, what is resolved, what is held. Pure.

It is asked within a transaction, for many deliveries at once; what comes of them is the same as one after the other.
"""

from __future__ import annotations

import msgspec

from gateway.config.trigger_settings import AlertmanagerTriggerSettings, TriggerSettings
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.stores.incidents import Alert, Changes, DeliveryRow, Found, Incident, IncidentEvent, Kind
from gateway.triggers.payloads import EventDelivery, GroupDelivery, Sent

_MOST_NAMED = 20
"""Alerts that one event names; it counts all."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery. `word` is accepted, joined, repeated, resolved, ignored, skipped or duplicate; `incident` is empty where there is none."""

    word: str
    incident: str = ""


class Folding:
    """Folds deliveries of one trigger, one after the other, and then gives the changes."""

    def __init__(self, trigger: str, settings: TriggerSettings, found: Found, *, now: float, new_id: NewId) -> None:
        self._trigger = trigger
        self._settings = settings
        self._now = now
        self._new_id = new_id
        self._open = dict(found.open)
        self._incidents = dict(found.incidents)
        self._alerts = dict(found.alerts)
        self._delivered = set(found.delivered)
        self._changed: dict[str, Incident] = {}
        self._changed_alerts: dict[str, Alert] = {}
        self._events: list[IncidentEvent] = []
        self._rows: list[DeliveryRow] = []

    @property
    def changes(self) -> Changes:
        """What is to be written."""
        return Changes(
            incidents=tuple(self._changed.values()),
            alerts=tuple(self._changed_alerts.values()),
            events=self._events,
            deliveries=self._rows,
        )

    def group(self, delivery: GroupDelivery) -> Outcome:
        """Fold a group of alerts in."""
        if delivery.dedupe in self._delivered:
            return Outcome(word="duplicate")
        new = [sent for sent in delivery.alerts if sent.firing and not self._fires(sent)]
        word, incident = "ignored", ""
        if new:
            word, incident = self._fire(delivery, new)
        else:
            repeated = next((sent for sent in delivery.alerts if sent.firing), None)
            if repeated is not None:
                word, incident = "repeated", self._alerts[repeated.fingerprint].incident
        resolved = self._resolve([sent for sent in delivery.alerts if not sent.firing])
        if word == "ignored" and resolved:
            word, incident = "resolved", resolved
        return self._delivery(delivery.dedupe, word, incident)

    def event(self, delivery: EventDelivery, kind: Kind = "event", *, due_at: float | None = None) -> Outcome:
        """Fold an event in, whose run may begin at `due_at` (at once, where nothing is said)."""
        if delivery.dedupe in self._delivered:
            return Outcome(word="duplicate")
        incident = self._open.get(delivery.key)
        if incident is not None:
            self._say(incident, "event.joined", {"fields": delivery.shown}, alerts=incident.alerts + 1)
            return self._delivery(delivery.dedupe, "joined", incident.id)
        incident = self._opened(kind, delivery.key, delivery.title)
        due = self._now if due_at is None else due_at
        seq = incident.last_seq + 1
        self._say(incident, "event.received", {"fields": delivery.shown}, alerts=1, news_seq=seq, due_at=due)
        return self._delivery(delivery.dedupe, "accepted", incident.id)

    def skip(self, dedupe: str) -> Outcome:
        """Write down that something came, and is not acted on."""
        if dedupe in self._delivered:
            return Outcome(word="duplicate")
        return self._delivery(dedupe, "skipped", "")

    def _fires(self, sent: Sent) -> bool:
        """Whether an alert is known to fire, in an incident that is not over."""
        known = self._alerts.get(sent.fingerprint)
        if known is None or not known.firing:
            return False
        incident = self._incidents.get(known.incident)
        return incident is not None and incident.ended_at is None

    def _fire(self, delivery: GroupDelivery, new: list[Sent]) -> tuple[str, str]:
        known = self._open.get(delivery.key)
        incident = known or self._opened("alerts", delivery.key, delivery.title, delivery.severity)
        seq, flaps = incident.last_seq + 1, False
        for sent in new:
            before = self._alerts.get(sent.fingerprint)
            began = self._began(before)
            flaps = flaps or len(began) > self._alerting.flapping.times
            self._put(
                Alert(
                    trigger=self._trigger,
                    fingerprint=sent.fingerprint,
                    incident=incident.id,
                    seq=seq,
                    firing=True,
                    at=self._now,
                    began=began,
                    shown=sent.shown,
                )
            )
        body: dict[str, Json] = {
            "count": len(new),
            "cut": delivery.cut,
            "alerts": [{"fingerprint": sent.fingerprint, "title": sent.title} for sent in new[:_MOST_NAMED]],
        }
        firing, alerts = incident.firing + len(new), incident.alerts + len(new)
        incident = self._say(
            *(incident, "alerts.fired", body),
            firing=firing,
            alerts=alerts,
            news_seq=seq,
            state="open",
            cancel=False,
        )
        self._wish(incident, flaps=flaps)
        return ("accepted" if known is None else "joined"), incident.id

    def _wish(self, incident: Incident, *, flaps: bool) -> None:
        """Say when a run may begin that is told of the news; what is held has its time already, or none."""
        if incident.held:
            return
        if flaps:
            until = self._now + self._alerting.flapping.window
            body: dict[str, Json] = {"until": until}
            self._say(incident, "held.flapping", body, held="flapping", held_until=until, due_at=until)
        elif incident.runs >= self._alerting.most_runs:
            self._say(incident, "run.not_wanted", {"runs": incident.runs}, told_seq=incident.news_seq)
        elif incident.due_at is None:
            self._keep(msgspec.structs.replace(incident, due_at=self._now))

    def _resolve(self, sent: list[Sent]) -> str:
        """Write down what is resolved, wherever it belongs; give one of the incidents."""
        by_incident: dict[str, list[Sent]] = {}
        for one in sent:
            known = self._alerts.get(one.fingerprint)
            if known is None or not known.firing:
                continue
            self._put(msgspec.structs.replace(known, firing=False, at=self._now))
            incident = self._incidents.get(known.incident)
            if incident is not None and incident.ended_at is None:
                by_incident.setdefault(known.incident, []).append(one)
        for name, ones in by_incident.items():
            incident = self._incidents[name]
            left = max(0, incident.firing - len(ones))
            named: list[Json] = [{"fingerprint": one.fingerprint, "title": one.title} for one in ones[:_MOST_NAMED]]
            body: dict[str, Json] = {"count": len(ones), "firing": left, "alerts": named}
            incident = self._say(incident, "alerts.resolved", body, firing=left)
            if left == 0:
                self._resolved(incident)
        return next(iter(by_incident), "")

    def _resolved(self, incident: Incident) -> None:
        """Say what becomes of an incident of which nothing fires any more."""
        incident = self._keep(msgspec.structs.replace(incident, state="resolved"))
        cancels = self._alerting.on_resolved == "cancel"
        if incident.phase:
            # Its run goes on, or is ended by who follows it; the incident is over when the run is.
            self._keep(msgspec.structs.replace(incident, cancel=cancels))
        elif incident.held == "flapping":
            pass  # it will come again: whether it fires is asked when its time is over
        elif incident.due_at is None or cancels:
            if incident.due_at is not None:
                incident = self._say(incident, "run.not_wanted", {"reason": "resolved before it began"}, due_at=None)
            self._keep(msgspec.structs.replace(incident, ended_at=self._now, held="", held_until=None))

    @property
    def _alerting(self) -> AlertmanagerTriggerSettings:
        if not isinstance(self._settings, AlertmanagerTriggerSettings):
            msg = "only alerts come in groups"
            raise TypeError(msg)
        return self._settings

    def _began(self, alert: Alert | None) -> tuple[float, ...]:
        flapping = self._alerting.flapping
        before = () if alert is None else alert.began
        recent = tuple(at for at in before if at > self._now - flapping.window)
        return (*recent, self._now)[-flapping.times - 1 :]

    def _opened(self, kind: Kind, key: str, title: str, severity: str = "") -> Incident:
        incident = Incident(
            id=self._new_id("inc_"),
            trigger=self._trigger,
            tenant=self._settings.run_as.tenant,
            kind=kind,
            key=key,
            title=title,
            severity=severity,
            opened_at=self._now,
            updated_at=self._now,
        )
        return self._keep(incident)

    def _say(self, incident: Incident, name: str, body: dict[str, Json], **change: object) -> Incident:
        seq = incident.last_seq + 1
        self._events.append(IncidentEvent(incident=incident.id, seq=seq, at=self._now, name=name, body=body))
        changed: Incident = msgspec.structs.replace(incident, last_seq=seq, updated_at=self._now, **change)
        return self._keep(changed)

    def _keep(self, incident: Incident) -> Incident:
        self._incidents[incident.id] = self._changed[incident.id] = incident
        if incident.ended_at is None:
            self._open[incident.key] = incident
        elif self._open.get(incident.key, incident).id == incident.id:
            self._open.pop(incident.key, None)
        return incident

    def _put(self, alert: Alert) -> None:
        self._alerts[alert.fingerprint] = self._changed_alerts[alert.fingerprint] = alert

    def _delivery(self, dedupe: str, word: str, incident: str) -> Outcome:
        name = dedupe or self._new_id("dlv_")
        self._delivered.add(name)
        row = DeliveryRow(trigger=self._trigger, dedupe=name, at=self._now, outcome=word, incident=incident)
        self._rows.append(row)
        return Outcome(word=word, incident=incident)
