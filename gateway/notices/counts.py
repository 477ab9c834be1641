"""What is counted of notices, approvals and clicks, and shown as metrics."""

from __future__ import annotations

from gateway.telemetry.metrics import Counter, Metric, Reading


class Counts:
    """Counters. `waiting` is how many notices wait, as it was last looked up."""

    def __init__(self) -> None:
        self.waiting = 0
        self.notices = Counter(
            "switchgear_notices_total", "Tries to send a notice, by what came of them.", ("kind", "outcome")
        )
        self.answers = Counter(
            "switchgear_approval_answers_total", "Answers to approvals that were counted here.", ("verdict", "channel")
        )
        self.expired = Counter(
            "switchgear_approvals_expired_total", "Approvals that expired before enough people answered."
        )
        self.clicks = Counter(
            "switchgear_slack_interactions_total", "What Slack sent of clicks, by what came of them.", ("outcome",)
        )
        self.metrics: tuple[Metric, ...] = (
            self.notices,
            self.answers,
            self.expired,
            self.clicks,
            Reading("switchgear_notices_waiting", "Notices that wait to be sent.", lambda: {(): self.waiting}),
        )
