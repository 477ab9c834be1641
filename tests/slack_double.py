"""The double of Slack in tests: the fake one of the demo, with a workspace, channels and secrets of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from examples.oncall import fake_slack
from examples.oncall.fake_slack import FakeSlack, buttons, fault_of, lines, serving, words

__all__ = ["SIGNING_SECRET", "TEAM", "TOKEN", "Sent", "SlackDouble", "buttons", "fault_of", "lines", "slack_double", "words"]  # fmt: skip

TOKEN = "xoxb-token-of-the-bot"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TEAM = "T0TEAM"


class SlackDouble(FakeSlack):
    """One with the channels of these tests."""

    def __init__(self) -> None:
        super().__init__(token=TOKEN, secret=SIGNING_SECRET, team=TEAM, channels=("C0MAIN", "C0SRE", "C0LATE"))

    def message(self, channel: str = "C0MAIN") -> dict:
        """The only message of a channel."""
        return super().message(channel)


class Sent(fake_slack.Sent):
    """A request that Slack would send, signed with these tests' secret."""

    def __init__(self, payload: dict, *, at: float | None = None, secret: str = SIGNING_SECRET) -> None:
        super().__init__(payload, at=at, secret=secret)


@asynccontextmanager
async def slack_double() -> AsyncIterator[SlackDouble]:
    """Run one on a free port."""
    slack = SlackDouble()
    async with serving(slack):
        yield slack
