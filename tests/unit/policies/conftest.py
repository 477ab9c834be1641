"""Small folders of policies, parsed as a server parses them."""

from datetime import UTC

import pytest

from gateway.config.policy_settings import PolicyDocuments, PolicyText
from gateway.core.caller import Caller
from gateway.policies.facts import Situation, model
from gateway.policies.rules import open_rules


class Bench:
    """Puts texts together to rules, and asks them."""

    def documents(self, *texts, default="allow", zone=UTC, cases=()):
        files = tuple(
            PolicyText(name=f"{number}.cedar", path=f"policies/{number}.cedar", text=text)
            for number, text in enumerate(texts)
        )
        return PolicyDocuments(
            folder="policies", texts=files, cases=cases, zone=zone, default=default, digest=repr(texts).encode()
        )

    def rules(self, *texts, **more):
        return open_rules(self.documents(*texts, **more))

    def caller(self, **facts):
        return Caller(**{"id": "key-1", "kind": "key", **facts})

    def ask(self, rules, caller=None, action="use_model", resource=None, at=0.0, **situation):
        situation = {"operation": "generate", "dialect": "openai_chat", **situation}
        return rules.judge(
            caller or self.caller(), action, resource or model("chat", ("local",)), Situation(**situation), at
        )


@pytest.fixture(scope="session")
def bench():
    return Bench()
