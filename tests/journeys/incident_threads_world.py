"""A gateway with a trigger, an agent that acts, and a double of Slack in which its incidents have threads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from tests.journeys.triggers_world import PATIENCE, World, triggers_world
from tests.slack_double import SIGNING_SECRET, TEAM, TOKEN, SlackDouble, slack_double, words

CHANNEL = "C0SRE"
TRIGGERS = """
  alertmanager:
    kind: alertmanager
    agent: triage
    token: env:ALERT_TOKEN
    %(more)s
slack:
  bot_token: file:%(folder)s/bot.token
  signing_secret: file:%(folder)s/signing.secret
  channel: C0MAIN
  users: {%(team)s/U0ADA: {user: ada, groups: [sre]}}
  api_url: %(url)s/api
  incidents: {channel: C0SRE, link: "https://gateway.example.com/console/incidents/{incident}", evidence: ["https://prometheus.example.com"]}
approvals: {poll: 0.1}
"""


class Threads:
    """`world` is the gateway, `slack` what it posts to."""

    def __init__(self, world: World, slack: SlackDouble) -> None:
        self.world = world
        self.slack = slack

    @property
    def said(self) -> list[str]:
        """What stands in the channel of incidents, first messages before their replies."""
        return [words(message) for message in self.slack.thread(CHANNEL)]

    async def until(self, *parts: str) -> list[str]:
        """Wait until all of this is said in the channel."""
        try:
            with anyio.fail_after(PATIENCE):
                while not all(any(part in said for said in self.said) for part in parts):
                    await anyio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not all of {parts} is said: {self.said}") from None
        return self.said

    async def click(self, label: str) -> None:
        """Click on the only open question."""
        (message,) = self.slack.open_questions()
        sent = self.slack.click(message, label)
        answer = await self.world.outside.post("/slack/interactions", content=sent.body, headers=sent.headers)
        assert answer.status_code == 200


@asynccontextmanager
async def incident_threads(folder: Path, *, more: str = "labels: [alertname, severity, pod, note]") -> AsyncIterator[Threads]:  # fmt: skip
    """Run it."""
    (folder / "bot.token").write_text(TOKEN)
    (folder / "signing.secret").write_text(SIGNING_SECRET)
    async with slack_double() as slack:
        triggers = TRIGGERS % {"folder": folder, "team": TEAM, "url": slack.url, "more": more}
        async with triggers_world(folder, triggers=triggers) as world:
            yield Threads(world, slack)
