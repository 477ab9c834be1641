"""A workflow in an agent's definition: what it may say, and how one that is at fault is refused. Promised by docs/workflows.md."""

import pytest

from tests.unit.config.test_agent_documents import Folder


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


WORKFLOW = """
workflow:
  sequence:
    - writer
    - loop:
        step: {sequence: [critic, {agent: writer, name: draft}]}
        until: {contains: GOOD}
        max: 2
    - router:
        agent: critic
        routes: {short: writer, long: {parallel: [writer, critic]}}
        otherwise: {agent: writer, input: "{{draft}} for {{input}}", may_fail: true}
"""


def others(folder) -> None:
    for name in ("writer", "critic"):
        folder.agent("model: chat\n", name)


def test_a_workflow_is_read(folder):
    folder.write("flow", "agent.yaml", WORKFLOW)
    others(folder)

    read = folder.load().agents["flow"]

    first, again, choice = read.settings.workflow.sequence
    assert (first.agent, again.loop.max, again.loop.until.contains) == ("writer", 2, "GOOD")
    assert again.loop.step.sequence[1].name == "draft"
    assert [step.agent for step in choice.router.routes["long"].parallel] == ["writer", "critic"]
    assert (read.settings.model, read.instructions) == ("", "")


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("workflow: {}\n", 1, "workflow", "expected one of agent, sequence, parallel, loop, router"),
        ("workflow:\n  agent: writer\n  loop: {step: writer}\n", 3, "workflow.loop", "this one is agent already"),
        ("workflow:\n  sequence: [writer, critc]\n", 2, "workflow.sequence[1]", "did you mean 'critic'?"),
        ("workflow:\n  sequence: []\n", 2, "workflow.sequence", "expected at least one item"),
        ("workflow:\n  loop: {step: writer, max: 0}\n", 2, "workflow.loop.max", "expected a whole number"),
        ("workflow:\n  loop: {step: writer, until: {}}\n", 2, "workflow.loop.until", "either contains or lacks"),
        ("workflow: {agent: writer, name: input}\n", 1, "workflow.name", "stands for something else"),
        ("workflow: {agent: writer, input: '{{drft}}'}\n", 1, "workflow.input", "no step has the name 'drft'"),
        ("workflow: {sequence: [writer], may_fail: true}\n", 1, "workflow.may_fail", "only an agent may fail"),
        ("model: chat\nworkflow: {agent: writer}\n", 1, "model", "thinks with a model or follows a workflow"),
        ("workflow: {agent: writer}\ntools: {files: [read]}\n", 2, "tools", "a workflow has no tools"),
        ("workflow: {agent: writer}\nhandoffs: [critic]\n", 2, "handoffs", "a workflow has no handoffs"),
        ("workflow: {agent: writer}\nmemory: notes\n", 2, "memory", "a workflow has no memory"),
        ("workflow: {agent: writer}\ntemperature: 0.5\n", 2, "temperature", "a workflow has no temperature"),
        ("workflow: {agent: writer}\napproval: {agents/critic: always}\n", 2, "approval.agents/critic", "is no tool"),
        (f"workflow: {'{loop: {step: ' * 9}writer{'}}' * 9}\n", 1, f"workflow{'.loop.step' * 9}", "8 levels deep"),
        (f"workflow:\n  parallel: [{', '.join(['writer'] * 100)}]\n", 1, "workflow", "more than 100 steps"),
        ("description: x\n", 1, "", "missing key 'model' (or 'workflow' in its place)"),
    ],
)
def test_a_workflow_at_fault_is_told_by_line_and_path(folder, text, line, path, message):
    folder.write("flow", "agent.yaml", text)
    folder.write("flow", "instructions.md", "")
    others(folder)

    (found,) = folder.faults()

    assert found[:3] == ("agent.yaml", line, path)
    assert message in found[3]


def test_a_workflow_that_leads_back_to_itself_is_a_circle(folder):
    folder.write("flow", "agent.yaml", "workflow:\n  sequence: [writer, critic]\n")
    folder.agent("model: chat\n", "writer")
    folder.agent("model: chat\nagents: [flow]\n", "critic")

    [found] = folder.faults()

    assert found[2:] == ("workflow.sequence[1]", "agents call each other in a circle: critic → flow → critic")
