"""A folder of policies on its way into force: parsed, checked against the schema, and held to its own cases."""

from __future__ import annotations

from gateway.config.faults import ConfigError
from gateway.config.policy_settings import PolicyDocuments
from gateway.policies.cases import faults_of, run_cases
from gateway.policies.rules import Rules, open_rules


def open_folder(documents: PolicyDocuments) -> Rules:
    """Give the rules. Raises ConfigError: policies that do not pass their own cases are not what was meant."""
    rules = open_rules(documents)
    faults = faults_of(run_cases(rules, documents.cases, documents.zone))
    if faults:
        raise ConfigError(faults)
    return rules
