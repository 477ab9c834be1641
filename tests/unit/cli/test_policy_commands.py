"""`switchgear policy`: the folder is judged as a server would judge it, and every answer says why."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.policy import command

SHIPPED = Path(__file__).resolve().parents[3] / "policies"
POLICY = """\
@id("no-gpt") @explain("Ask finance.")
forbid (principal in Team::"research", action == Action::"use_model", resource)
when { resource.id like "gpt-*" };

@id("night") @effect("require_approval") @approvers("sre, ops") @quorum("2") @ttl("600")
forbid (principal, action == Action::"use_tool", resource)
when { context.hour >= 22 };
"""
CASES = """\
- name: research asks for gpt
  principal: {kind: user, id: alice, team: research}
  action: use_model
  resource: model:gpt-5
  expect: deny
  rules: [no-gpt]
- principal: user:bob
  action: use_tool
  resource: tool:github/create
  context: {time: 2026-01-05T23:00}
  expect: ask
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.cedar").write_text(POLICY)
    (tmp_path / "policies" / "cases.yaml").write_text(CASES)
    return tmp_path / "policies"


def run(*args):
    return CliRunner().invoke(command, [str(arg) for arg in args], prog_name="switchgear policy")


def test_the_folder_that_is_shipped_is_sound_and_passes_its_cases():
    assert run("check", SHIPPED).exit_code == 0
    assert run("test", SHIPPED).exit_code == 0


def test_check_counts_what_it_found(folder):
    done = run("check", folder)

    assert done.exit_code == 0
    assert done.stdout.endswith("sound; 2 policies in 1 file, 2 cases passed, default allow\n")


def test_check_names_every_fault_with_its_line(folder):
    (folder / "b.cedar").write_text('\n@id("x")\nforbid (principal, action, resource) when { principal.a };\npermit')

    done = run("check", folder)

    assert done.exit_code == 1
    assert f"{folder}/b.cedar:2: x: " in done.stderr
    assert f"{folder}/b.cedar:4: " in done.stderr
    assert done.stderr.endswith("faults found\n")


def test_check_holds_the_policies_to_their_cases(folder):
    done = run("check", folder, "--time-zone", "UTC", "--default", "deny")
    assert done.exit_code == 0

    (folder / "cases.yaml").write_text(CASES.replace("23:00", "21:00"))
    done = run("check", folder)
    assert done.exit_code == 1
    assert f"{folder}/cases.yaml:7: user:bob use_tool tool:github/create: this case fails" in done.stderr


def test_test_shows_what_differs_and_fails(folder):
    (folder / "cases.yaml").write_text(CASES.replace("expect: deny", "expect: allow"))

    done = run("test", folder)

    assert done.exit_code == 1
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1] == ["FAIL", *["research", "asks", "for", "gpt", "allow", "deny", "no-gpt"]]
    assert rows[2][0] == "ok"
    assert done.stdout.endswith("1 of 2 cases passed\n")
    assert done.stderr == f"{folder}/cases.yaml:1: research asks for gpt: expected allow, found deny (by no-gpt)\n"


def test_test_prints_json(folder):
    done = run("test", folder, "--json")

    first, second = json.loads(done.stdout)
    assert first == {
        "case": "research asks for gpt",
        "line": 1,
        "passed": True,
        "expected": "deny",
        "found": "deny",
        "rules": ["no-gpt"],
        "problem": "",
    }
    assert (second["found"], second["rules"]) == ("ask", ["night"])


def test_test_fails_for_policies_at_fault(folder):
    (folder / "b.cedar").write_text("forbid")

    assert run("test", folder).exit_code == 1


def test_without_a_folder_the_configuration_decides(folder):
    config = folder.parent / "switchgear.yaml"
    text = "providers: {up: {kind: openai_compatible, base_url: http://10.0.0.1/v1}}\nmodels: {chat: up/chat}\n"
    config.write_text(text)
    assert "no policies are configured" in run("test", "--config", config).stderr

    config.write_text(f"{text}policies: {{folder: policies, default: deny, time_zone: Europe/Berlin}}\n")
    assert run("check", "--config", config).stdout.endswith("default deny\n")
    assert run("test", "--config", config).exit_code == 0


def test_explain_says_which_rule_decided(folder):
    done = run(
        "explain", folder, "--principal", '{"kind": "user", "id": "alice", "team": "research", "tenant": "acme"}',
        "--action", "use_model", "--resource", "model:gpt-5",
    )  # fmt: skip
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:3] == [
        "allow: user:alice may use_model model:gpt-5",
        "  because: no policy permits or forbids it, and the default is allow",
        '  User::"acme/alice" in Tenant::"acme", Team::"acme/research"',
    ]

    done = run(
        "explain", folder, "--principal", '{"kind": "user", "id": "alice", "team": "research"}',
        "--action", "use_model", "--resource", "model:gpt-5",
    )  # fmt: skip
    assert done.stdout.startswith(
        "deny: user:alice may not use_model model:gpt-5\n  because: this policy decides: no-gpt\n"
    )
    assert f'{folder}/a.cedar:1: no-gpt\n    @id("no-gpt") @explain("Ask finance.")\n' in done.stdout


def test_explain_says_who_must_approve(folder):
    question = ("explain", folder, "--principal", "key:k", "--action", "use_tool", "--resource", "tool:github/create")

    done = run(*question, "--context", '{"time": "2026-01-05T22:00"}')
    assert done.stdout.startswith("ask: key:k may, once it is approved, use_tool tool:github/create\n")
    assert done.stdout.endswith("  approval: 2 of ops or sre, within 600 s\n")

    found = json.loads(run(*question, "--context", '{"time": "2026-01-05T22:00"}', "--json").stdout)
    assert (found["effect"], found["approvals"]) == ("ask", [{"approvers": ["ops", "sre"], "quorum": 2, "ttl": 600}])


CALL = """
@id("many") @effect("require_approval") @approvers("sre")
forbid (principal, action == Action::"call_tool", resource == Tool::"k8s/scale") when { context.args.replicas > 3 };
"""


def test_explain_judges_a_call_of_a_tool_as_a_run_would_be_judged(folder):
    (folder / "calls.cedar").write_text(CALL)
    question = ("explain", folder, "--principal", "key:k", "--action", "call_tool", "--resource", "tool:k8s/scale")

    done = run(*question, "--context", '{"call": {"args": {"replicas": 4}, "taint": ["web/fetch"], "wish": "never"}}')
    assert done.stdout.startswith(
        "ask: key:k may, once it is approved, call_tool tool:k8s/scale\n"
        "  because: these policies decide: many, builtin:untrusted-write\n"
    )
    assert "\nbuiltin:untrusted-write\n" in done.stdout
    assert done.stdout.endswith("  approval: 1 of sre, within 3600 s\n")

    done = run(*question, "--context", '{"call": {"args": {"replicas": 3}, "wish": "always"}}')
    assert done.stdout.endswith("  approval: 1 of whoever may answer approvals, within 3600 s\n")

    done = run(*question, "--context", '{"call": {"args": {"replicas": 3}}}')
    assert "no policy forbids it, and no built-in rule asks for an approval" in done.stdout

    done = run(*question, "--context", '{"call": {"args": {"replicas": null}}}')
    assert done.stdout.startswith("deny: ")
    assert "builtin:unreadable-argument" in done.stdout


def test_a_case_of_a_call_must_be_about_a_tool_and_its_arguments_may_be_anything_that_json_has(folder):
    (folder / "calls.cedar").write_text(CALL)
    case = "- {principal: key:k, action: call_tool, resource: 'RESOURCE', context: {call: {args: ARGS}}, expect: ask}\n"

    def write(args, what="tool:k8s/scale"):
        (folder / "cases.yaml").write_text(case.replace("ARGS", args).replace("RESOURCE", what))

    write("{replicas: 4, more: [1, 2.5, null, true, {a: 'x'}]}")
    assert run("test", folder).exit_code == 0

    write("{replicas: 4}", "model:chat")
    assert "call_tool is about a tool" in run("test", folder).stderr

    write("{replicas: .nan}")
    assert "expected a value that JSON has too" in run("test", folder).stderr

    write("[4]")
    assert "context.call.args" in run("test", folder).stderr


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--principal", "alice", "kind:id"),
        ("--principal", '{"kind": "user", "id": "a", "teem": "b"}', "teem"),
        ("--principal", "{", "truncated"),
        ("--resource", "chat", "kind:id"),
        ("--resource", "modle:chat", "modle"),
        ("--action", "use_modle", "use_model"),
        ("--context", '{"time": "noon"}', "2026-01-05T12:00"),
        ("--context", '{"hour": 3}', "hour"),
        ("--context", '{"call": {"argz": {}}}', "argz"),
    ],
)
def test_a_question_that_is_none_is_a_usage_error(folder, option, value, said):
    given = {"--principal": "user:a", "--action": "use_model", "--resource": "model:chat", option: value}

    done = run("explain", folder, *(part for pair in given.items() for part in pair))

    assert done.exit_code == 2
    assert said in done.stderr


def test_names_that_look_like_markup_or_ids_like_code_are_shown_as_they_are(folder):
    done = run("explain", folder, "--principal", 'user:[red]"x', "--action", "use_model", "--resource", "model:a\nb")

    assert '  User::"[red]\\"x" in Tenant::"default"\n  Model::"a\\nb"\n' in done.stdout
