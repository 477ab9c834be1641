"""From a document to what stands around routes and targets: which rule is for which destination, and what is refused."""

import pytest
import yaml

from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.protection_settings import (
    FindSettings,
    LengthSettings,
    MatchSettings,
    PiiSettings,
    ProtectionSettings,
    RedactionSettings,
    WordsSettings,
    protection_faults,
)
from gateway.config.provider_settings import (
    AnthropicSettings,
    EmbeddedSettings,
    LitellmSettings,
    OpenAISettings,
    VllmSettings,
)
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.content import Prompt
from gateway.core.errors import ContentBlocked
from gateway.core.events import Finished, Started
from gateway.core.items import Message, Text
from gateway.core.target import Target
from gateway.pipeline.guarded_build import Protection, Surroundings, is_local
from gateway.protection.judgements import Judgements

BASE = {
    "providers": {
        "house": {"kind": "openai_compatible", "base_url": "http://10.0.0.1/v1"},
        "cloud": {"kind": "openai_compatible", "base_url": "https://api.example.com/v1"},
    },
    "models": {"chat": "house/m", "big": "cloud/m"},
}
HOUSE, CLOUD = Target(provider="house", model="m"), Target(provider="cloud", model="m")
RULES = {
    "redact": {
        "leaving": {
            "match": {"providers": ["hosted"]},
            "find": [
                {"kinds": ["pii"], "action": "placeholder"},
                {"kinds": ["secrets"], "action": "block"},
                {"kinds": ["ip"], "action": "report"},
            ],
        }
    },
    "guardrails": {"topics": {"kind": "words", "words": ["fruit"], "match": {"models": ["big"]}}},
}


def loaded(folder, protection):
    path = folder / "switchgear.yaml"
    path.write_text(yaml.safe_dump({**BASE, "protection": protection}))
    return load(path, {})


def protection(folder, document, ask=None):
    settings = loaded(folder, document)
    surroundings = Surroundings(providers=settings.providers, judgements=Judgements(), ask=ask, wall=lambda: 0.0)
    return Protection(settings.protection, surroundings)


class Upstream:
    def __init__(self):
        self.texts = []

    async def __call__(self, call, send):
        self.texts.append(call.content.items[0].parts[0].text)
        await send(Started(id="1", model="m", created=0, target="t"))
        await send(Finished())


async def asked(responder, text):
    call = Call(
        id="c", operation="generate", dialect="openai_chat", model="big", stream=False, caller=Caller(id="k"), received=0.0,
        body=b"", fields={}, content=Prompt(items=(Message(role="user", parts=(Text(text=text),)),)),
    )  # fmt: skip

    async def send(event):
        pass

    await responder(call, send)


async def test_what_leaves_the_house_is_redacted_and_what_stays_is_not(tmp_path):
    rules, upstream = protection(tmp_path, RULES), Upstream()
    for target in (HOUSE, CLOUD):
        await asked(rules.around_target(upstream, "chat", target), "jane@example.com at 203.0.113.7")

    assert upstream.texts == ["jane@example.com at 203.0.113.7", "⟦EMAIL_1⟧ at 203.0.113.7"]
    assert rules.around_target(upstream, "chat", HOUSE) is upstream
    with pytest.raises(ContentBlocked):
        await asked(rules.around_target(upstream, "chat", CLOUD), "password=hunter2!")


async def test_a_guardrail_without_providers_stands_around_the_route(tmp_path):
    rules, upstream = protection(tmp_path, RULES), Upstream()

    assert rules.around_route(upstream, "chat") is upstream
    with pytest.raises(ContentBlocked):
        await asked(rules.around_route(upstream, "big"), "fruit")


def test_a_route_that_nothing_looks_into_needs_no_decoding(tmp_path):
    rules = protection(tmp_path, RULES)

    assert [rules.opens("chat", [HOUSE]), rules.opens("chat", [HOUSE, CLOUD]), rules.opens("big", [HOUSE])] == [
        False,
        True,
        True,
    ]


async def test_every_kind_of_guardrail_can_be_built_and_closed(tmp_path):
    (tmp_path / "s.json").write_text("{}")
    kinds = {
        "a": {"kind": "words", "words": ["x"], "when": "output", "mode": "window"},
        "b": {"kind": "injection", "action": "report"},
        "c": {"kind": "pii", "when": "output", "mode": "window", "found": "redact"},
        "d": {"kind": "moderation", "model": "chat", "mode": "async"},
        "e": {"kind": "http", "url": "https://guard.example.com/judge", "fails": "open"},
        "f": {"kind": "length", "characters": 5, "when": "output"},
        "g": {"kind": "schema", "document": "s.json", "when": "output"},
    }
    rules, upstream = protection(tmp_path, {"guardrails": kinds}), Upstream()

    assert rules.around_route(upstream, "chat") is not upstream
    await rules.aclose()


def test_a_window_has_room_for_the_longest_phrase(tmp_path):
    long = "word " * 100
    rules = protection(
        tmp_path, {"guardrails": {"a": {"kind": "words", "words": [long], "when": "output", "mode": "window"}}}
    )

    assert rules.around_route(Upstream(), "chat")._rail.window >= len(long)


@pytest.mark.parametrize(
    ("settings", "local"),
    [
        (EmbeddedSettings(), True),
        (OpenAISettings(kind="ollama"), True),
        (OpenAISettings(kind="openai"), False),
        (OpenAISettings(kind="openai_compatible", base_url="http://192.168.1.5:8000/v1"), True),
        (OpenAISettings(kind="openai_compatible", base_url="http://[::1]:8000/v1"), True),
        (OpenAISettings(kind="openai_compatible", base_url="http://llm.corp.internal/v1"), False),
        (OpenAISettings(kind="openai_compatible", base_url="http://10.0.0.1.evil.example/v1"), False),
        (OpenAISettings(kind="openai_compatible", base_url="http://10.0.0.1/v1", proxy="http://proxy.example"), False),
        (VllmSettings(base_url="http://localhost:8000/v1"), True),
        (AnthropicSettings(), False),
        (LitellmSettings(provider="bedrock", api_base="https://bedrock.example.com"), False),
    ],
)
def test_only_what_cannot_leave_counts_as_local(settings, local):
    assert is_local(settings) is local


def found_in(**settings):
    return [path for path, _ in protection_faults(ProtectionSettings(**settings), ["chat"], ["house"])]


@pytest.mark.parametrize(
    "guard",
    [
        WordsSettings(words=("x",), mode="window"),
        LengthSettings(characters=9, when="output", mode="window"),
        PiiSettings(when="output", mode="async", found="redact"),
    ],
)
def test_a_mode_that_makes_no_sense_is_told_with_its_place(guard):
    assert ("guardrails", "g", "mode") in found_in(guardrails={"g": guard})


def test_a_destination_that_is_not_there_is_told_with_its_place():
    find = (FindSettings(kinds=("pii",), action="block"),)
    good = RedactionSettings(find=find, match=MatchSettings(providers=("hosted", "local", "house", "hou*")))
    bad = RedactionSettings(find=find, match=MatchSettings(providers=("hostd",)))

    gone = RedactionSettings(find=find, match=MatchSettings(models=("chat", "ch*", "gone")))

    assert found_in(redact={"good": good, "bad": bad, "gone": gone}) == [
        ("redact", "bad", "match", "providers"),
        ("redact", "gone", "match", "models"),
    ]


@pytest.mark.parametrize(
    "document", [{"local": ["nope"]}, {"guardrails": {"g": {"kind": "moderation", "model": "nope"}}}]
)
def test_a_name_that_is_not_there_is_refused(document, tmp_path):
    with pytest.raises(ConfigError, match="nope"):
        loaded(tmp_path, document)
