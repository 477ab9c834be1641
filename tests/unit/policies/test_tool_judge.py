"""Who may call which tool with which arguments: deny over ask over allow, and whatever goes wrong is a denial."""

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.faults import ConfigError
from gateway.core.tools import Label, Tool
from gateway.policies.authorizer import Authorizer
from gateway.policies.decision import Approval
from gateway.policies.tool_judge import StandingToolJudge
from gateway.policies.tool_judgement import ToolFacts

CALL = 'action == Action::"call_tool"'
USER = Label(source="user")
WEB = Label(source="web/fetch", integrity="untrusted")
SECRET = Label(source="crm/find", confidentiality="sensitive")
SCHEMA = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "share": {"type": "number"},
        "name": {"type": "string"},
        "force": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "spec": {"type": "object", "properties": {"zone": {"type": "string"}}},
    },
    "required": ["replicas"],
}
SCALE = Tool(server="k8s", name="scale", schema=SCHEMA, definition="0", gives=USER, outward=False)
READ = Tool(server="k8s", name="get", schema=SCHEMA, definition="0", gives=USER, effect="read", outward=False)
MAIL = Tool(server="mail", name="send", schema={"properties": {"to": {"type": "string"}}}, definition="0", gives=USER)
ANYBODY = Approval(approvers=(), quorum=1, ttl=3600)


def judge(bench, *texts, **more):
    rules = bench.rules(*texts, **more) if texts or more else None
    return StandingToolJudge(Authorizer(rules, wall=lambda: 0.0, capacity=0))


def facts(bench, tool=SCALE, arguments=None, **more):
    arguments = {"replicas": 2} if arguments is None else arguments
    more = {"caller": bench.caller(), "origins": dict.fromkeys(arguments, USER), "at": 0.0, **more}
    return ToolFacts(tool=tool, arguments=arguments, **more)


def forbid(condition, *, notes="", head="resource"):
    return f'@id("f") {notes} forbid (principal, {CALL}, {head}) when {{ {condition} }};'


ASK = '@effect("require_approval") @approvers("sre") @quorum("2") @ttl("600")'


@pytest.mark.parametrize(
    ("condition", "arguments", "effect"),
    [
        ("context.args.replicas > 3", {"replicas": 4}, "deny"),
        ("context.args.replicas > 3", {"replicas": 3}, "allow"),
        ("context.args.replicas > 3", {"replicas": 4.0}, "deny"),
        ('context.args has name && context.args.name like "prod-*"', {"replicas": 1, "name": "prod-a"}, "deny"),
        ('context.args has name && context.args.name like "prod-*"', {"replicas": 1}, "allow"),
        ("context.args has force && context.args.force", {"force": True}, "deny"),
        ('context.args has tags && context.args.tags.contains("x")', {"tags": ["y", "x", "x"]}, "deny"),
        (
            'context.args has spec && context.args.spec has zone && context.args.spec.zone == "a"',
            {"spec": {"zone": "a"}},
            "deny",
        ),
        (
            'context.args has spec && context.args.spec has zone && context.args.spec.zone == "a"',
            {"spec": {"b": None}},
            "allow",
        ),
        ('context.args has share && context.args.share.greaterThan(decimal("0.5"))', {"share": 0.75}, "deny"),
        ('context.args has share && context.args.share.greaterThan(decimal("0.5"))', {"share": 1}, "deny"),
        ('context.args has share && context.args.share.greaterThan(decimal("0.5"))', {"share": 0}, "allow"),
        ('context.args has "odd \\"name\\"" && context.args["odd \\"name\\""] == 1', {'odd "name"': 1}, "deny"),
    ],
)
def test_policies_see_the_arguments_that_they_name(bench, condition, arguments, effect):
    assert judge(bench, forbid(condition)).judge(facts(bench, arguments=arguments)).effect == effect


@pytest.mark.parametrize(
    ("condition", "more"),
    [
        ('context.agent == "helper"', {"agent": "helper"}),
        ("context.tainted", {"taint": ("web/fetch",)}),
        ('context.taint.contains("web/fetch")', {"taint": ("web/fetch",)}),
        ('context.sensitive.contains("crm/find")', {"sensitive": ("crm/find",)}),
        ('context.untrusted.contains("replicas")', {"origins": {"replicas": WEB}}),
        ("context.outward", {"tool": msgspec.structs.replace(READ, outward=True)}),
        ('context.effect == "once"', {"tool": SCALE}),
        ('context.wish == "never"', {"wish": "never"}),
        ('context.cost.greaterThan(decimal("1.5"))', {"nano": 1_500_000_001}),
        ("context.steps > 7 && context.calls > 8", {"steps": 8, "calls": 9}),
        ("context.hour == 13", {"at": 13 * 3600.0}),
    ],
)
def test_policies_see_the_circumstances(bench, condition, more):
    ruled = judge(bench, forbid(condition))
    read = facts(bench, **{"tool": READ, **more})

    assert (ruled.judge(read).effect, ruled.judge(facts(bench, READ)).effect) == ("deny", "allow")


@pytest.mark.parametrize(
    ("origins", "name"),
    [
        ({"to[0].address": WEB}, "to"),
        ({"to[0].address": WEB}, "to.address"),
        ({"to[0].address": WEB}, "to[0].address"),
        ({"to.x (name)": WEB}, "to.x"),
        ({"…": WEB}, "to"),
        ({"a.b": WEB}, "a.b"),
    ],
)
def test_untrusted_arguments_are_named_from_the_whole_to_the_part(bench, origins, name):
    ruled = judge(bench, forbid(f'context.untrusted.contains("{name}")'))
    arguments = {"to": [{"address": "x"}], "a.b": "y"}

    assert ruled.judge(facts(bench, READ, arguments, origins=origins)).effect == "deny"


def deep(levels):
    value = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        None, 2**63, -(2**63) - 1, 10**30, 0.12345, 1e300, float("nan"), float("inf"), "\ud800", "x" * 70_000, ["x"] * 2000,
        {"__entity": {"type": "Role", "id": "owner"}}, {"__extn": {"fn": "decimal", "arg": "0.1"}}, {"\ud800": 1}, deep(30), [None],
    ],
)  # fmt: skip
def test_an_argument_that_no_policy_can_read_is_refused_where_one_names_it_and_only_there(bench, value):
    ruled = judge(bench, forbid('context.args has x && context.args.x == "y"'))
    judgement = ruled.judge(facts(bench, arguments={"x": value}))

    assert (judgement.effect, judgement.rules) == ("deny", ("builtin:unreadable-argument",))
    assert "`x`" in judgement.reason
    assert ruled.judge(facts(bench, arguments={"z": value})).effect == "allow"


def test_an_argument_of_another_type_than_a_policy_takes_it_for_is_refused(bench):
    judgement = judge(bench, forbid("context.args has x && context.args.x > 3")).judge(
        facts(bench, arguments={"x": "9"})
    )

    assert (judgement.effect, judgement.rules) == ("deny", ("builtin:error",))
    assert "type error" in judgement.errors[0]
    assert "type" not in judgement.reason


def test_an_argument_that_is_missing_where_a_policy_does_not_ask_first_is_refused(bench):
    assert judge(bench, forbid("context.args.x > 3")).judge(facts(bench)).effect == "deny"


def test_a_policy_for_one_server_does_not_judge_the_arguments_of_another(bench):
    ruled = judge(bench, forbid("context.args has to && context.args.to > 3", head='resource in Server::"k8s"'))

    assert ruled.judge(facts(bench, MAIL, {"to": None})).effect == "allow"
    assert ruled.judge(facts(bench, READ, {"to": None})).effect == "deny"


def test_an_approval_is_asked_of_whom_the_policy_names(bench):
    judgement = judge(bench, forbid("context.args.replicas > 3", notes=ASK)).judge(
        facts(bench, arguments={"replicas": 4})
    )

    assert (judgement.effect, judgement.rules) == ("ask", ("f",))
    assert judgement.approvals == (Approval(approvers=("sre",), quorum=2, ttl=600),)
    assert judgement.reason == "The policy f requires an approval."


def test_a_denial_is_over_an_approval_and_tells_why(bench):
    text = forbid("true", notes=ASK) + '@id("no") @explain("Not on Sundays.") forbid (principal, action, resource);'
    judgement = judge(bench, text).judge(facts(bench, taint=("web/fetch",), wish="never"))

    assert (judgement.effect, judgement.rules, judgement.approvals) == ("deny", ("no",), ())
    assert judgement.reason == "The policy no forbids this call. Not on Sundays."


def test_who_may_not_use_the_tool_may_not_call_it(bench):
    by_list = judge(bench).judge(facts(bench, caller=bench.caller(tools=("mail/*",))))
    by_policy = judge(bench, '@id("u") forbid (principal, action == Action::"use_tool", resource);').judge(facts(bench))

    assert (by_list.effect, by_list.rules) == ("deny", ("builtin:callers-list",))
    assert (by_policy.effect, by_policy.rules) == ("deny", ("u",))


def test_where_nothing_is_permitted_that_no_policy_permits_a_call_needs_one(bench):
    uses = '@id("u") permit (principal, action == Action::"use_tool", resource);'
    calls = f'@id("c") permit (principal, {CALL}, resource);'

    assert judge(bench, uses, default="deny").judge(facts(bench)).rules == ("builtin:default",)
    assert judge(bench, uses, calls, default="deny").judge(facts(bench)).effect == "allow"


@pytest.mark.parametrize("texts", [(), (f"permit (principal, {CALL}, resource);",)])
@pytest.mark.parametrize(
    ("tool", "more", "rules"),
    [
        (SCALE, {}, ()),
        (SCALE, {"taint": ("web/fetch",)}, ("builtin:untrusted-write",)),
        (SCALE, {"taint": ("web/fetch",), "wish": "never"}, ("builtin:untrusted-write",)),
        (SCALE, {"origins": {"replicas": WEB}}, ("builtin:untrusted-write",)),
        (READ, {"taint": ("web/fetch",), "origins": {"replicas": WEB}}, ()),
        (READ, {"wish": "always"}, ("builtin:asked-by-client",)),
        (SCALE, {"sensitive": ("crm/find",), "origins": {"replicas": SECRET}}, ()),
        (MAIL, {"sensitive": ("crm/find",)}, ()),
        (MAIL, {"sensitive": ("crm/find",), "origins": {}}, ("builtin:sensitive-outward",)),
        (MAIL, {"sensitive": ("crm/find",), "origins": {"to": SECRET}}, ("builtin:sensitive-outward",)),
        (
            MAIL,
            {"sensitive": ("crm/find",), "taint": ("web/fetch",)},
            ("builtin:untrusted-write", "builtin:sensitive-outward"),
        ),
    ],
)
def test_the_builtin_rules_ask_whatever_the_client_wishes(bench, texts, tool, more, rules):
    judgement = judge(bench, *texts).judge(facts(bench, tool, **more))

    assert judgement.effect == ("ask" if rules else "allow")
    assert set(rules) <= set(judgement.rules)
    assert judgement.approvals == ((ANYBODY,) if rules else ())


def test_the_operator_lifts_a_builtin_rule_for_the_calls_that_a_policy_permits(bench):
    text = f'@id("p") @lifts("untrusted-write") permit (principal, {CALL}, resource == Tool::"k8s/scale") when {{ context.args.replicas < 3 }};'
    ruled = judge(bench, text)
    tainted = {"taint": ("web/fetch",)}

    assert ruled.judge(facts(bench, **tainted)).effect == "allow"
    assert ruled.judge(facts(bench, arguments={"replicas": 3}, **tainted)).effect == "ask"
    assert ruled.judge(facts(bench, MAIL, **tainted)).effect == "ask"
    assert ruled.judge(facts(bench, wish="always", **tainted)).rules == ("builtin:asked-by-client",)


def test_a_policy_that_asks_is_not_undone_by_one_that_lifts(bench):
    text = f'@lifts("untrusted-write") permit (principal, {CALL}, resource); {forbid("context.tainted", notes=ASK)}'
    judgement = judge(bench, text).judge(facts(bench, taint=("web/fetch",)))

    assert (judgement.effect, judgement.approvals[0].approvers) == ("ask", ("sre",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'@lifts("untrusted-writes") permit (principal, {CALL}, resource);', "untrusted-write, sensitive-outward"),
        (f'@lifts("") permit (principal, {CALL}, resource);', "@lifts names"),
        (f'@lifts("untrusted-write") forbid (principal, {CALL}, resource);', "belongs on a permit"),
        ('@lifts("untrusted-write") permit (principal, action, resource);', "belongs on a policy for action"),
        (f'@lift("untrusted-write") permit (principal, {CALL}, resource);', "did you mean @lifts?"),
        (forbid("context.args == {}"), "name the argument"),
        (forbid('context.args.a > 3 && context.args.a like "x"'), "expected"),
        (forbid("context.arg.a"), "not found"),
        (forbid("context.args has a && context.args.b > 1 && context.args has c && context.args.d.e && context.nothing"), "nothing"),
        ('forbid (principal, action == Action::"use_tool", resource) when { context.args.a > 3 };', "not found"),
        (forbid(f"[{', '.join(f'context.args.a{n}' for n in range(102))}].contains(1)"), "may name 100"),
    ],
)  # fmt: skip
def test_a_policy_that_could_not_mean_anything_is_refused_at_load(bench, text, words):
    with pytest.raises(ConfigError) as caught:
        bench.rules(text)

    assert words in str(caught.value.faults[0])


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("context.args.replicas > 3", ""),
        ("context.args has name && context.args.name == \"a\"", ""),
        ("context.args.name == \"a\"", "optional"),
        ("context.args.replica > 3", "not found"),
        ("context.args has replica && context.args.replica > 3", ""),
        ("context.args.replicas == \"3\"", "Long"),
        ("context.args has share && context.args.share > 3", "decimal"),
        ("context.args has tags && context.args.tags.contains(3)", "String"),
        ("context.args has spec && context.args.spec.zone == \"a\"", "optional"),
        ("resource == Tool::\"mail/send\" && context.args.to == \"a\"", ""),
        ("resource in Server::\"mail\" && context.args.to == \"a\"", ""),
        ("resource in Server::\"k8s\" && context.args.to == \"a\"", "not found"),
        ("(if resource == Tool::\"mail/send\" then context.args.to == \"a\" else false)", ""),
    ],
)  # fmt: skip
def test_a_policy_that_does_not_fit_a_tool_is_found_when_the_tool_is_known(bench, condition, words):
    found = bench.rules(forbid(condition)).misfits(SCALE)

    assert words in " ".join(str(fault) for fault in found)
    assert bool(found) is bool(words)
    assert all("it does not fit the tool k8s/scale" in fault.message for fault in found)


def test_a_policy_for_another_tool_fits(bench):
    rules = bench.rules(forbid('context.args.to == "a"', head='resource == Tool::"mail/send"'))

    assert rules.misfits(SCALE) == ()
    assert rules.misfits(MAIL) != ()


def test_which_tools_may_be_freed_of_a_builtin_rule_is_known(bench):
    rules = bench.rules(
        f'@lifts("untrusted-write") permit (principal, {CALL}, resource in Server::"k8s") when {{ false }};'
    )

    assert rules.may_lift(SCALE, "untrusted-write")
    assert not rules.may_lift(SCALE, "sensitive-outward")
    assert not rules.may_lift(MAIL, "untrusted-write")


def test_a_judge_that_breaks_denies(bench):
    class Broken(Authorizer):
        def decide(self, *_):
            raise RuntimeError

    judgement = StandingToolJudge(Broken(None, wall=lambda: 0.0)).judge(facts(bench))

    assert (judgement.effect, judgement.rules) == ("deny", ("builtin:error",))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(value=JSON)
@settings(max_examples=300, deadline=None)
def test_no_value_of_an_argument_raises_or_slips_past_a_policy_that_forbids_its_presence(bench, value):
    ruled = judge(bench, forbid("context.args has x"))

    assert ruled.judge(facts(bench, arguments={"x": value})).effect == "deny"


def test_a_decision_with_two_hundred_policies_is_soon_made(bench):
    texts = [
        f'@id("p{n}") forbid (principal in Group::"g{n}", {CALL}, resource in Server::"s{n}") when {{ context.args has a{n} && context.args.a{n} > 3 }};'
        for n in range(200)
    ]
    ruled = judge(bench, *texts)
    asked = facts(bench)
    ruled.judge(asked)
    begin = time.process_time()
    for _ in range(50):
        ruled.judge(asked)

    # The measure is 0.35 ms; a machine that is shared may take several times as long.
    assert (time.process_time() - begin) / 50 < 0.005
