"""A policy that could err at run time is refused when it is loaded, with its file, its line and its id."""

import pytest

from gateway.config import ConfigError

PERMIT = "permit (principal, action, resource)"


def faults(bench, *texts):
    with pytest.raises(ConfigError) as caught:
        bench.rules(*texts)
    return caught.value.faults


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('forbid (principal, action in Action::"use", resource) when { context.hour > "nine" };', "expected Long"),
        ('forbid (principal, action in Action::"use", resource) when { context.nowhere };', "`nowhere`"),
        ("forbid (principal, action, resource) when { context.stream };", "`stream`"),
        ('forbid (principal in Crew::"a", action, resource);', "Crew"),
        ('forbid (principal, action == Action::"use_modle", resource);', "use_modle"),
        ('forbid (principal, action == Action::"use_model", resource is Tool);', "applicable action"),
        ('forbid (principal, action, resource) when { principal.getTag("a") == "b" };', "tag"),
        ("forbid (principal, action, resource) when { principal.secret };", "secret"),
        ("forbid (principal, action, resource) when { true } x;", "not valid Cedar"),
        ("forbid (principal == ?principal, action, resource);", "templates"),
        ('@effect("maybe") forbid (principal, action, resource);', "@effect is one of"),
        ('@effect("require_approval") @approvers("a") permit (principal, action, resource);', "belongs on a forbid"),
        ('@effect("require_approval") @approvers("") forbid (principal, action, resource);', "names nobody"),
        ('@effect("require_approval") @approvers("a") @quorum("0") forbid (principal, action, resource);', "@quorum"),
        ('@effect("require_approval") @approvers("a") @ttl("1h") forbid (principal, action, resource);', "@ttl"),
        ('@quorum("2") forbid (principal, action, resource);', "means nothing without"),
        ('@aprovers("a") forbid (principal, action, resource);', "did you mean @approvers?"),
        ('@id("") forbid (principal, action, resource);', "@id must be"),
        ('@id("a\\nb") forbid (principal, action, resource);', "@id must be"),
    ],
)
def test_a_faulty_policy_refuses_the_load(bench, text, said):
    found = faults(bench, f"{PERMIT};\n\n{text}\n")

    assert all((fault.file, fault.line) == ("policies/0.cedar", 3) for fault in found)
    assert any(said in fault.message for fault in found), found


def test_every_fault_is_named_at_once(bench):
    found = faults(
        bench, f'@id("one") {PERMIT} when {{ context.a }};', f'\n@id("two") {PERMIT} when {{ principal.id == 3 }};'
    )

    assert {(fault.file, fault.line, fault.path) for fault in found} == {
        ("policies/0.cedar", 1, "one"),
        ("policies/1.cedar", 2, "two"),
    }
    assert not any("policy0" in fault.message for fault in found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{PERMIT}\nwhen {{ context.hour }}\nwhne {{ true }};", 3),
        (f"{PERMIT}\nwhen {{\n  principal\n  nonsense }};", 4),
        (f"// a\n{PERMIT}\nwhen {{\n  principal.id = true }};", 4),
        (f"{PERMIT}\nwhen {{ }}\nwhen {{ }};", 1),
    ],
)
def test_the_line_of_what_was_not_expected_is_found_inside_the_policy(bench, text, line):
    (fault,) = faults(bench, text)

    assert (fault.line, fault.message.startswith("not valid Cedar: ")) == (line, True)


def test_an_id_is_used_once(bench):
    (fault,) = faults(bench, f'@id("a") {PERMIT};', f'{PERMIT};\n@id("a") {PERMIT};')

    assert (fault.file, fault.line, fault.path) == ("policies/1.cedar", 2, "a")
    assert "policies/0.cedar:1" in fault.message


def test_a_derived_id_cannot_be_taken(bench):
    (fault,) = faults(bench, f'{PERMIT};\n@id("0.cedar:1") {PERMIT};')

    assert "the id is taken" in fault.message


def test_there_is_a_most_of_policies(bench):
    (fault,) = faults(bench, f"{PERMIT};\n" * 1001)

    assert "more than 1,000 policies" in fault.message


def test_deep_nesting_is_a_fault_and_not_the_end_of_the_process(bench):
    chain = " && ".join(["true"] * 400)

    (fault,) = faults(bench, f"{PERMIT} when {{ {chain} }};")

    assert "nesting" in fault.message


def test_annotations_of_ones_own_are_kept(bench):
    (rule,) = bench.rules(f'@id("a") @owner("sre") @explain("Because.") {PERMIT};').rules

    assert (rule.id, rule.named, rule.note("owner"), rule.note("explain")) == ("a", True, "sre", "Because.")
    assert (rule.kind, rule.path, rule.line) == ("permit", "policies/0.cedar", 1)
