"""Which policies do not fit which tools is known before a call fails, and nothing that a server defines keeps others from it."""

from datetime import UTC

import anyio
import pytest
from structlog.testing import capture_logs

from gateway.config.policy_settings import PolicyDocuments, PolicyText
from gateway.config.tool_settings import StdioServerSettings, ToolSettings
from gateway.core.tools import Label, Tool
from gateway.policies.rules import open_rules
from gateway.schemas.worker import Judging
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.catalogue import Catalogue
from gateway.tools.definitions import Listed
from gateway.tools.fitting import Fitting

COUNTED = {"type": "object", "properties": {"replicas": {"type": "integer"}}, "required": ["replicas"]}
WORDED = {"type": "object", "properties": {"replicas": {"type": "string"}}, "required": ["replicas"]}


def scale(schema, definition="1"):
    return Tool(server="k8s", name="scale", schema=schema, definition=definition, gives=Label(source="k8s/scale"))


def rules(condition):
    text = f'@id("few") forbid (principal, action == Action::"call_tool", resource) when {{ {condition} }};'
    document = PolicyText(name="a.cedar", path="policies/a.cedar", text=text)
    return open_rules(
        PolicyDocuments(folder="policies", texts=(document,), cases=(), zone=UTC, default="allow", digest=b"")
    )


async def looked(fitting):
    """Let it look once, at what is new."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fitting.run)
        await anyio.wait_all_tasks_blocked()
        while anyio.to_thread.current_default_thread_limiter().borrowed_tokens:
            await anyio.wait_all_tasks_blocked()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()


async def test_a_policy_that_does_not_fit_is_told_of_once_for_each_definition():
    tools = [scale(COUNTED)]
    fitting = Fitting(lambda: tools)
    fitting.hold(rules("context.args.replicas > 3"))
    with capture_logs() as logs:
        await looked(fitting)
        assert fitting.of(tools[0]) == ()
        tools[0] = scale(WORDED, "2")
        await looked(fitting)
        await looked(fitting)

    (fault,) = fitting.of(tools[0])
    assert (fault.file, fault.line, fault.path) == ("policies/a.cedar", 1, "few")
    assert [(line["event"], line["tool"], line["policy"]) for line in logs] == [
        ("policy.misfit_found", "k8s/scale", "few")
    ]


async def test_other_policies_are_held_against_the_tools_anew():
    tool = scale(WORDED)
    fitting = Fitting(lambda: [tool])
    fitting.hold(rules("context.args.replicas > 3"))
    await looked(fitting)
    assert fitting.of(tool)

    fitting.hold(rules('context.args.replicas == "many"'))
    await looked(fitting)
    assert not fitting.of(tool)

    fitting.hold(None)
    await looked(fitting)
    assert not fitting.of(tool)


class Breaks:
    """Policies that cannot be held against one tool at all."""

    def __init__(self, policies):
        self._policies = policies

    def misfits(self, called):
        if called.name == "odd":
            raise ValueError("a schema that nobody has thought of")
        return self._policies.misfits(called)


async def test_a_tool_that_cannot_be_looked_at_keeps_no_other_from_it():
    odd = Tool(server="a", name="odd", schema={}, definition="1", gives=Label(source="a/odd"))
    fitting = Fitting(lambda: [odd, scale(WORDED)])
    fitting.hold(Breaks(rules("context.args.replicas > 3")))
    await looked(fitting)

    assert "ValueError" in fitting.of(odd)[0].message
    assert fitting.of(scale(WORDED))


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": []},
        {"properties": {"replicas": True}},
        {"properties": {"replicas": {"type": ["integer", "null"]}}, "required": None},
        {"properties": {"replicas": {"type": []}, "__extn": {"type": "string"}, "\ud800": {}}},
        {"properties": {"replicas": {"type": "object", "properties": {'"': {"type": "array"}}}}},
    ],
)
async def test_whatever_a_schema_is_something_can_be_said_of_it(schema):
    fitting = Fitting(lambda: [scale(schema)])
    fitting.hold(rules('context.args has replicas && context.args.replicas > 3 || context.args has "__extn"'))
    await looked(fitting)

    assert all("could not be found out" not in fault.message for fault in fitting.of(scale(schema)))


async def test_what_a_server_lists_anew_is_looked_at():
    seen = []
    catalogue = Catalogue(
        "k8s",
        StdioServerSettings(command="x", tools={"scale": ToolSettings()}),
        pins=PinsInMemory(),
        judging=Judging(),
        wall=lambda: 0.0,
        seen=lambda: seen.append([tool.name for tool in catalogue.sight.tools]),
    )

    await catalogue.take([Listed(name="scale", schema=COUNTED)])

    assert seen == [["scale"]]
