"""Triggers that could not work, or that anybody could fire, are refused when the configuration is read."""

import pytest

from gateway.config import ConfigError
from gateway.config.load import parse

BASE = """
database: {kind: sqlite}
runs: {}
agents: {folder: agents}
providers: {local: {kind: embedded}}
models: {small: local/smollm2-135m-instruct}
triggers:
"""
ENVIRON = {"LONG": "x" * 16, "SHORT": "x" * 15, "WHSEC": "whsec_" + "A" * 24, "BROKEN": "whsec_!!"}


def read(tmp_path, trigger, base=BASE):
    (tmp_path / "agents").mkdir(exist_ok=True)
    text = f"{base}  one: {trigger}\n"
    return parse(text.encode(), tmp_path / "switchgear.yaml", ENVIRON).triggers["one"]


def faults(tmp_path, trigger, base=BASE):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, trigger, base)
    return "\n".join(map(str, caught.value.faults))


@pytest.mark.parametrize(
    "trigger",
    [
        '{kind: alertmanager, agent: a, token: "env:LONG"}',
        '{kind: alertmanager, agent: a, signing_secret: "env:WHSEC"}',
        '{kind: webhook, agent: a, secret: "env:LONG", fields: {a: /b/0/~1c~0}}',
        '{kind: schedule, agent: a, cron: "0 9 * * mon-fri", time_zone: Europe/Vienna}',
    ],
)
def test_what_can_work_is_taken(tmp_path, trigger):
    assert read(tmp_path, trigger).agent == "a"


@pytest.mark.parametrize(
    ("trigger", "says"),
    [
        ("{kind: alertmanager, agent: a}", "anybody could fire it"),
        ('{kind: alertmanager, agent: a, token: "env:SHORT"}', "can be guessed"),
        ('{kind: alertmanager, agent: a, token: "a-token-as-itself"}', "a secret is written as"),
        ('{kind: alertmanager, agent: a, token: "env:LONG", signing_secret: "env:SHORT"}', "can be guessed"),
        ("{kind: webhook, agent: a, fields: {a: /b}}", "secret"),
        ('{kind: webhook, agent: a, secret: "env:BROKEN", fields: {a: /b}}', "not base64"),
        ('{kind: webhook, agent: a, secret: "env:LONG", fields: {}}', "fields"),
        ('{kind: webhook, agent: a, secret: "env:LONG", fields: {a: b}}', "JSON Pointer"),
        ('{kind: webhook, agent: a, secret: "env:LONG", fields: {a: /b~2}}', "JSON Pointer"),
        ('{kind: schedule, agent: a, cron: "0 9 * *"}', "five fields"),
        ('{kind: schedule, agent: a, cron: "0 0 31 2 *"}', "no such day"),
        ('{kind: schedule, agent: a, cron: "0 9 * * *", time_zone: Mars/Base}', "no time zone 'Mars/Base'"),
        ('{kind: schedule, agent: "*", cron: "0 9 * * *"}', "the name of one agent"),
        ("{kind: telepathy, agent: a}", "kind"),
    ],
)
def test_what_cannot_is_refused_with_the_reason(tmp_path, trigger, says):
    assert says in faults(tmp_path, trigger)


def test_triggers_without_agents_are_refused(tmp_path):
    base = BASE.replace("agents: {folder: agents}\n", "")

    assert "write the sections agents, runs and database" in faults(
        tmp_path, '{kind: schedule, agent: a, cron: "0 9 * * *"}', base
    )


def test_a_signature_is_good_for_no_longer_than_its_delivery_is_remembered(tmp_path):
    """Its time may be ahead as far as behind; deliveries are kept for a day at least."""
    trigger = '{kind: webhook, agent: a, secret: "env:LONG", fields: {a: /b}, keep_days: 1, window: %d}'

    assert 2 * read(tmp_path, trigger % 43_200).window == 86_400
    assert "window" in faults(tmp_path, trigger % 43_201)


def test_threads_in_slack_are_of_triggers_that_there_are(tmp_path):
    slack = "slack: {bot_token: env:LONG, signing_secret: env:LONG, channel: C0MAIN, incidents: {triggers: [on]}}"

    said = faults(tmp_path, '{kind: alertmanager, agent: a, token: "env:LONG"}', f"{slack}\n{BASE}")

    assert "no trigger is named 'on'" in said
    assert "slack.incidents.triggers" in said
