"""A folder of policies is read whole or not at all; its cases are part of it."""

from datetime import UTC

import pytest

from gateway.config import ConfigError
from gateway.config.policy_documents import digest_policy_folder, load_policy_documents
from gateway.config.policy_settings import PolicySettings
from gateway.policies.cases import run_cases
from gateway.policies.folder import open_folder

CASES = """\
- name: first
  principal: user:alice
  action: use_model
  resource: model:chat
  expect: deny
  rules: [a]
- principal: {kind: key, id: k, tenant: acme, groups: [x], tags: {env: prod}}
  action: use_tool
  resource: tool:github/create
  context: {time: 2026-01-05T23:00+01:00, stream: true}
  expect: allow
"""
POLICY = '@id("a") forbid (principal, action == Action::"use_model", resource);\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.cedar").write_text(POLICY)
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "notes.txt").write_text("not read")
    return tmp_path


def load(folder, **more):
    return load_policy_documents(PolicySettings(folder=str(folder), **more), base=folder, environ={})


def faults(folder, **more):
    with pytest.raises(ConfigError) as caught:
        open_folder(load(folder, **more))
    return caught.value.faults


def test_a_folder_is_its_policies_and_its_cases(folder):
    documents = load(folder)

    assert [text.name for text in documents.texts] == ["a.cedar"]
    assert [case.line for case in documents.cases] == [1, 7]
    assert (documents.zone, documents.default) == (UTC, "allow")
    assert [rule.id for rule in open_folder(documents).rules] == ["a"]


def test_a_relative_folder_counts_from_the_configuration(folder):
    documents = load_policy_documents(
        PolicySettings(folder=f"../{folder.name}"), base=folder.parent / "config", environ={}
    )

    assert documents.folder == str(folder)


def test_policies_that_fail_their_own_cases_are_refused(folder):
    (folder / "a.cedar").write_text(POLICY.replace("use_model", "use_tool"))

    first, second = faults(folder)

    assert (first.file, first.line, first.path) == (str(folder / "cases.yaml"), 1, "first")
    assert "expected deny, found allow (no policy speaks)" in first.message
    assert (second.line, second.path) == (7, "key:k use_tool tool:github/create")


def test_a_case_may_say_which_rules_decide(folder):
    (folder / "cases.yaml").write_text(CASES.replace("[a]", "[b]"))

    (fault,) = faults(folder)

    assert "expected the rules b, found a" in fault.message


@pytest.mark.parametrize(
    ("cases", "line", "said"),
    [
        ("a: 1", 1, "a list of cases"),
        ("- {principal: user:a, action: use_modle, resource: model:a, expect: allow}", 1, "use_model"),
        ("- {principal: user:a, action: use_model, resource: model:a, expect: maybe}", 1, "one of allow, deny, ask"),
        ("- {principal: alice, action: use_model, resource: model:a, expect: deny}", 1, "kind:id"),
        ("- {principal: user:a, action: use_model, resource: chat, expect: deny}", 1, "kind:id"),
        ("- {principal: crew:a, action: use_model, resource: model:a, expect: deny}", 1, "one of user, key"),
        ("- principal: user:a\n  action: use_model\n  resource: model:a", 1, "'expect'"),
        (
            "-\n  principal: user:a\n  who: me\n  action: use_model\n  resource: model:a\n  expect: deny",
            3,
            "unknown key",
        ),
        ("- {principal: user:a, action: use_model, resource: model:a, expect: deny, context: {time: noon}}", 1, "time"),
        ("\n- [", 3, "not valid YAML"),
    ],
)
def test_a_case_that_is_none_is_named_with_its_line(folder, cases, line, said):
    (folder / "cases.yaml").write_text(cases)

    found = faults(folder)

    assert (found[0].file, found[0].line) == (str(folder / "cases.yaml"), line)
    assert said in found[0].message


def test_a_case_without_cases_is_fine(folder):
    (folder / "cases.yaml").write_text("# none yet\n")

    assert load(folder).cases == ()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "b.cedar").write_bytes(b"// ok\n\xff"), "not UTF-8"),
        (lambda folder: (folder / "b.cedar").mkdir(), "not a regular file"),
        (lambda folder: (folder / "b.cedar").symlink_to("nowhere"), "cannot be read"),
        (lambda folder: (folder / "b.cedar").write_text("/" * (1 << 20)), "larger than"),
        (lambda folder: [(folder / f"{n}.cedar").write_text("") for n in range(101)], "more than 100 files"),
    ],
)
def test_a_file_that_cannot_be_used_refuses_the_folder(folder, harm, said):
    harm(folder)

    assert said in faults(folder)[0].message


def test_a_folder_that_is_not_there_is_a_fault(tmp_path):
    assert "cannot be read" in faults(tmp_path / "none")[0].message


def test_an_unknown_time_zone_is_a_fault(folder):
    (fault,) = faults(folder, time_zone="Europe/Atlantis")

    assert fault.path == "policies.time_zone"


def test_hours_in_cases_are_those_of_the_time_zone(folder):
    (folder / "a.cedar").write_text('@id("a") forbid (principal, action, resource) when { context.hour == 12 };')
    documents = load(folder, time_zone="Asia/Tokyo")
    rules = open_folder(documents)

    elsewhere = run_cases(rules, documents.cases, UTC)

    assert [outcome.decision.effect for outcome in elsewhere] == ["allow", "allow"]


def test_any_change_in_the_folder_changes_its_digest(folder):
    settings = PolicySettings(folder=str(folder))

    def digest():
        return digest_policy_folder(settings, base=folder, environ={})

    first = digest()
    assert load(folder).digest == first
    (folder / "notes.txt").write_text("still not read")
    assert digest() == first
    (folder / "b.cedar").write_text("")
    second = digest()
    (folder / "b.cedar").rename(folder / "c.cedar")

    assert len({first, second, digest()}) == 3
