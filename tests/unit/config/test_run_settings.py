"""Responses are kept in the database: without one the section is refused, with its line."""

import pytest

from gateway.config.run_settings import RunSettings

HEAD = """\
providers: {up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}}
models: {a: up/m}
"""


def test_without_a_database_nothing_can_be_kept(configuration):
    faults = configuration.faults(HEAD + "runs: {}\n")

    assert any(fault.line == 3 and "database" in fault.message for fault in faults), faults


@pytest.mark.parametrize(
    ("setting", "said"), [("lease: 0.5", "lease"), ("at_once: 0", "at_once"), ("keep: 3", "keep_days")]
)
def test_what_makes_no_sense_is_refused(configuration, setting, said):
    faults = configuration.faults(HEAD + f"database: {{kind: sqlite, path: x.db}}\nruns: {{{setting}}}\n")

    assert any(fault.line == 4 and said in f"{fault.path}: {fault.message}" for fault in faults), faults


def test_with_one_it_may_be_empty(configuration):
    settings = configuration.load(HEAD + "database: {kind: sqlite, path: x.db}\nruns: {}\n")

    assert settings.runs == RunSettings()
