"""The judge agrees with the official JSON-Schema-Test-Suite, and with `jsonschema` wherever that one agrees with the suite."""

import json

import jsonschema
import pytest
from referencing import Registry

from gateway.core.errors import UnsupportedSchema
from gateway.schemas.judge import compiled
from gateway.schemas.lowering import anthropic, openai_strict, vllm
from gateway.schemas.parsing import Prefix
from tests.schema_suites import DRAFTS, groups, real_schemas

pytestmark = pytest.mark.usefixtures("suites")

# Formats are only annotations by default, says the specification of draft 2020-12; here they are promises.
FORMATS_ASSERTED = "format.json"
# ECMA-262 patterns that Python's `re` reads differently or not at all. The suite is right, and the judge with it.
PYTHON_DIFFERS = "optional/ecmascript-regex.json"


def judged(draft):
    for group in groups(draft):
        if isinstance(group.schema, dict):
            try:
                yield group, compiled(group.schema)
            except UnsupportedSchema:
                continue


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_judge_says_what_the_official_suite_says(draft):
    wrong = [
        (group.name, test["description"])
        for group, judge in judged(draft)
        for test in group.tests
        if (judge.violations(json.dumps(test["data"])) == ()) != test["valid"]
        and not (group.name.startswith(FORMATS_ASSERTED) and draft == "draft2020-12")
    ]

    assert wrong == []


def test_asserted_formats_are_stricter_than_the_suite_and_nothing_else_is():
    stricter = [
        (test["valid"], judge.violations(json.dumps(test["data"]))[0].keyword)
        for group, judge in judged("draft2020-12")
        for test in group.tests
        if (judge.violations(json.dumps(test["data"])) == ()) != test["valid"]
    ]

    assert set(stricter) == {(True, "format")}


@pytest.mark.parametrize("draft", DRAFTS)
def test_what_the_suite_has_that_is_refused_is_remote_or_of_a_foreign_meta_schema(draft):
    reasons = []
    for group in groups(draft):
        if isinstance(group.schema, dict):
            try:
                compiled(group.schema)
            except UnsupportedSchema as error:
                reasons.append(error.message)

    assert reasons
    assert [r for r in reasons if "nothing is fetched" not in r and "`$schema` names is not known" not in r] == []


@pytest.mark.parametrize("draft", DRAFTS)
def test_nothing_is_valid_here_that_jsonschema_calls_invalid(draft):
    laxer = []
    for group, judge in judged(draft):
        kind = jsonschema.validators.validator_for(group.schema, default=jsonschema.Draft202012Validator)
        theirs = kind(group.schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)
        if group.name.startswith(PYTHON_DIFFERS):
            continue
        laxer += [
            (group.name, test["description"])
            for test in group.tests
            if judge.violations(json.dumps(test["data"])) == () and not theirs.is_valid(test["data"])
        ]

    assert laxer == []


def test_a_document_of_the_suite_that_is_valid_passes_while_it_arrives():
    stopped = []
    for group, judge in judged("draft2020-12"):
        for test in group.tests:
            text = json.dumps(test["data"])
            prefix = Prefix(group.schema)
            if judge.violations(text) == () and not (all(map(prefix.feed, text)) and prefix.complete):
                stopped.append((group.name, test["description"]))

    assert stopped == []


@pytest.mark.parametrize("lower", [openai_strict.lower, anthropic.lower, vllm.lower])
def test_an_answer_of_a_lowered_schema_is_one_of_the_original_unless_the_loss_was_named(lower):
    unsound = []
    lowered_schemas = 0
    for group, judge in judged("draft2020-12"):
        try:
            lowered = lower(group.schema)
        except UnsupportedSchema:
            continue
        lowered_schemas += 1
        sent = compiled(lowered.schema)
        unsound += [
            (group.name, test["description"])
            for test in group.tests
            for answer in (test["data"], {"value": test["data"]})
            if not sent.judge(answer) and judge.judge(lowered.restore(answer)) and not lowered.loosened
        ]

    assert unsound == []
    assert lowered_schemas > 150


def test_schemas_of_real_files_are_judged_by_or_refused_by_name():
    refused = {}
    for name, schema in real_schemas():
        try:
            compiled(schema)
        except UnsupportedSchema as error:
            refused[name] = error.message

    assert set(refused) == {"drone-ci", "renovate"}
    assert "nothing is fetched" in refused["drone-ci"]
    assert "bytes" in refused["renovate"]
