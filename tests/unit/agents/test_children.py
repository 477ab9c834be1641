"""An agent calls another: a run of its own, begun once, whose last words are what the call gives."""

import anyio

from gateway.config.agent_settings import AgentLimitSettings
from gateway.core.caller import Caller
from gateway.core.tools import Label
from tests.unit.agents.children_world import BOSS, HELPER, agent, call_of, family
from tests.unit.agents.runs_world import ADA, check_stream, endless, speak
from tests.unit.agents.tools_world import a_tool, kinds, results, want


async def test_an_agents_answer_is_what_a_call_of_it_gives(tmp_path):
    scripts = {"boss": [[call_of("helper", "find it")], "So be it."], "helper": [[want("look")], "It is there."]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts) as world:
        run, events = await world.ask_agent(text="where is it?")
        check_stream(events)

        assert kinds(run) == ["mcp_list_tools", "mcp_call", "message"]
        assert results(run) == [("helper", "It is there.")]
        assert run.response["output"][1]["server_label"] == "agents"
        assert world.models["boss"].told() == [
            ("system", "You are boss."),
            ("user", "where is it?"),
            ("call", "agents__helper"),
            ("result", "It is there."),
        ]
        assert world.models["helper"].told(0) == [("system", "You are helper."), ("user", "find it")]


async def test_a_child_is_a_run_of_its_own(tmp_path):
    scripts = {"boss": [[call_of("helper", "find it")]], "helper": [[want("look")], "It is there."]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()
        [child] = await world.children(run)
        [call] = await world.tool_calls.calls(run.id)

        assert (child.tenant, child.caller, child.agent, child.version) == ("acme", ADA, "helper", "helper-1")
        assert (child.parent, child.parent_call, child.depth, run.depth) == (run.id, call.id, 1, 0)
        assert (child.status, child.spent.steps, child.spent.tool_calls) == ("completed", 2, 1)
        check_stream(await world.runs.events(child.id))
        assert [(one.server, one.tool, one.state) for one in await world.tool_calls.calls(child.id)] == [
            ("desk", "look", "done")
        ]
        assert {asked.run for asked in world.hub.calls} == {child.id}
        assert [one.run for one in world.models["helper"].calls] == [child.id, child.id]


async def test_agents_are_asked_side_by_side(tmp_path):
    both = anyio.Event()
    waiting = []

    async def meet(call, send):
        waiting.append(call.run)
        if len(waiting) == 2:
            both.set()
        with anyio.fail_after(5):
            await both.wait()
        await speak(call, send, ["Met."])

    scripts = {"boss": [[call_of("helper", "one"), call_of("helper", "two")], "Both."], "helper": [meet, meet]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts) as world:
        run, events = await world.ask_agent()
        check_stream(events)

        assert results(run) == [("helper", "Met."), ("helper", "Met.")]
        assert len(await world.children(run)) == len(set(waiting)) == 2


async def test_agents_call_agents_that_call_agents(tmp_path):
    middle = agent("middle", agents=("helper",))
    boss = agent("boss", agents=("middle",))
    scripts = {
        "boss": [[call_of("middle", "a")], "Top."],
        "middle": [[call_of("helper", "b")], "Middle."],
        "helper": ["Bottom."],
    }
    async with family(tmp_path, boss, middle, HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()
        [child] = await world.children(run)
        [grandchild] = await world.children(child)

        assert run.response["output"][-1]["content"][0]["text"] == "Top."
        assert (grandchild.agent, grandchild.depth, grandchild.status) == ("helper", 2, "completed")


async def test_the_child_of_a_background_run_goes_on_where_all_places_are_taken(tmp_path):
    scripts = {"boss": [[call_of("helper", "find it")], "Done."], "helper": ["There."]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts, at_once=1) as world:
        run = await world.ended(await world.begin_agent())

        assert run.status == "completed"
        assert results(run) == [("helper", "There.")]


async def test_what_an_agent_has_read_marks_its_answer(tmp_path):
    mail = a_tool("mail", gives=Label(source="desk/mail", integrity="untrusted", confidentiality="sensitive"))
    reader = agent("helper", tools={"desk": ("mail",)})
    scripts = {"boss": [[call_of("helper", "read it")], "Read."], "helper": [[want("mail")], "It says: obey."]}
    async with family(tmp_path, BOSS, reader, tools=(mail,), scripts=scripts) as world:
        run, _ = await world.ask_agent()
        labels = {item.body["type"]: item.label for item in await world.runs.items(run.id, "output")}

        worst = Label(source="agents/helper", integrity="untrusted", confidentiality="sensitive")
        assert labels["mcp_call"] == worst
        assert (labels["message"].integrity, labels["message"].confidentiality) == ("untrusted", "sensitive")


async def test_what_its_caller_has_read_marks_what_an_agent_is_asked(tmp_path):
    mail = a_tool("mail", gives=Label(source="desk/mail", integrity="untrusted"))
    boss = agent("boss", agents=("helper",), tools={"desk": ("mail",)})
    scripts = {
        "boss": [[want("mail")], [call_of("helper", "obey")], "Done."],
        "helper": [[want("send")], "Sent."],
    }
    tools = (mail, a_tool("look"), a_tool("send", effect="once"))
    async with family(tmp_path, boss, HELPER, tools=tools, scripts=scripts) as world:
        run, _ = await world.ask_agent()
        [child] = await world.children(run)
        [asked] = await world.runs.items(child.id, "input")

        assert asked.label.integrity == "untrusted"
        [facts] = [facts for facts in world.judge.facts if facts.tool.name == "send"]
        assert facts.taint == ("model",)


async def test_an_agent_that_fails_is_told_as_an_error(tmp_path):
    small = agent("helper", limits=AgentLimitSettings(steps=1), tools={"desk": ("look",)})
    scripts = {"boss": [[call_of("helper", "find it")], "A pity."], "helper": [[want("look")], "Never said."]}
    async with family(tmp_path, BOSS, small, scripts=scripts) as world:
        run, _ = await world.ask_agent()

        assert run.status == "completed"
        [(_, [told])] = results(run)
        assert told["text"].startswith("The agent helper did not finish: The run has used the 1 answers")


async def test_the_end_of_a_caller_ends_its_children(tmp_path):
    scripts = {"boss": [[call_of("helper", "find it")]], "helper": [endless]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts) as world:
        run = await world.begin_agent()
        [child] = await world.until(lambda: world.children(run))
        await world.until(lambda: _event_count(world, child))
        with anyio.fail_after(1.0):
            ended = await world.desk.cancel(run.tenant, run.id)
            while (await world.runs.find(None, child.id)).status != "cancelled":
                await anyio.sleep(0.01)

        assert ended.status == "cancelled"


async def test_agents_that_a_caller_may_not_use_are_not_his_through_others(tmp_path):
    caller = Caller(id="ada", tenant="acme", models=("agent/boss",))
    scripts = {"boss": [[call_of("helper", "find it")], "Alone."], "helper": ["Never said."]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent(caller=caller)

        [(_, told)] = results(run)
        assert told == "There is no tool 'agents__helper' here."
        assert "tools" not in world.models["boss"].calls[0].fields
        assert await world.children(run) == []


async def test_a_child_has_no_tools_that_its_caller_may_not_use(tmp_path):
    caller = Caller(id="ada", tenant="acme", tools=("desk/look",))
    scripts = {"boss": [[call_of("helper", "do it")], "Done."], "helper": [[want("send")], "I cannot."]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent(caller=caller)

        assert results(run) == [("helper", "I cannot.")]
        assert world.hub.made == []


async def test_a_circle_that_came_with_a_reload_has_an_end(tmp_path):
    async def again(call, send):
        await world.models["helper"].ask(call, send, [call_of("helper", "again")])

    scripts = {"boss": [[call_of("helper", "go")], "Enough."], "helper": [again, again, "No deeper.", "Up.", "Top."]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts, agent_depth=3) as world:
        world.agents["helper"] = agent("helper", agents=("helper",))
        world.models["helper"].answers.insert(2, again)
        run, _ = await world.ask_agent()
        every = await world.runs.list("acme")
        deepest = max(every, key=lambda each: each.depth)
        [call] = [item.body for item in await world.runs.items(deepest.id) if item.body["type"] == "mcp_call"]

        assert sorted(each.depth for each in every) == [0, 1, 2, 3]
        assert "Agents may call each other 3 levels deep" in call["error"]["content"][0]["text"]
        assert results(run) == [("helper", "Top.")]


async def test_a_long_answer_is_kept_and_read_on_in(tmp_path):
    scripts = {"boss": [[call_of("helper", "tell")]], "helper": ["x" * 3000]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts, result_bytes=1024) as world:

        async def read_on(call, send):
            [_, told] = world.models["boss"].told()[-1]
            arguments = '{"offset":1024,"ref":"' + told.split('ref="')[1].split('"')[0] + '"}'
            await world.models["boss"].ask(call, send, [want("read_result", arguments, "switchgear")])

        world.models["boss"].answers.append(read_on)
        run, _ = await world.ask_agent()

        [first, second] = results(run)
        assert first[1].startswith("x" * 1024 + "\n[1024 of 3000 bytes.")
        assert second == ("read_result", "x" * 1976)


async def _event_count(world, run):
    return len(await world.runs.events(run.id)) > 3
