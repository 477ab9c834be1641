"""The MCP inspector's command line as a client of /mcp."""

import json
import os
import subprocess

import pytest

from tests.mcp_clients.typescript import HOME, NODE, PATIENCE

pytestmark = pytest.mark.mcp_clients
INSPECTOR = (
    HOME / "node_modules" / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
)
NEEDS_LOGIN, TOOL_FAILED = 3, 5


@pytest.fixture(params=["legacy", "modern"])
def inspector(request, world, tmp_path):
    """Run it; give its exit code, and what it said as JSON."""

    def run(method, *words, target=(), key=True):
        assert INSPECTOR.exists(), "run scripts/setup-mcp-clients.sh (make test-mcp-clients does)"
        header = ("--header", f"Authorization: Bearer {world.key}") if key else ()
        place = target or (world.mcp, "--transport", "http", *header)
        ran = subprocess.run(
            [
                NODE,
                INSPECTOR,
                "--cli",
                *place,
                "--protocol-era",
                request.param,
                "--method",
                method,
                *words,
                "--format",
                "json",
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return ran.returncode, json.loads(ran.stdout or ran.stderr)

    return run


def call(inspector, name, *words, **more):
    return inspector("tools/call", "--tool-name", name, *words, **more)


def test_it_lists_the_tools_and_finds_no_fault_with_their_schemas(inspector):
    code, said = inspector("tools/list", "--strict")

    assert code == 0
    assert {"agent_clerk", "desk__echo", "office__pay"} < {tool["name"] for tool in said["result"]["tools"]}


def test_it_calls_tools(inspector):
    echoed = call(inspector, "desk__echo", "--tool-arg", "text=tea")
    structured = call(inspector, "desk__structured")
    failed = call(inspector, "desk__fail")

    assert echoed[1]["result"]["content"] == [{"type": "text", "text": "tea"}]
    assert structured[1]["result"]["structuredContent"] == {"n": 3}
    assert (failed[0], failed[1]["result"]["isError"]) == (TOOL_FAILED, True)


def test_it_writes_pictures_to_files(inspector, tmp_path):
    code, _ = call(inspector, "desk__blocks", "--output", str(tmp_path / "blocks.json"))

    assert code == 0
    assert "A" * 4000 in (tmp_path / "blocks.json").read_text()


def test_it_reads_resources_and_prompts(inspector):
    listed = inspector("resources/list")[1]["result"]["resources"]
    templates = inspector("resources/templates/list")[1]["result"]["resourceTemplates"]
    read = inspector("resources/read", "--uri", listed[0]["uri"])[1]["result"]["contents"]
    prompts = inspector("prompts/list")[1]["result"]["prompts"]
    prompt = inspector("prompts/get", "--prompt-name", "memos__greet", "--prompt-args", "name=Ada")[1]["result"]

    assert read[0]["text"] == "this is memo://one"
    assert [template["name"] for template in templates] == ["note"]
    assert prompts[0]["name"] == "memos__greet"
    assert prompt["messages"][0]["content"]["text"] == "Greet Ada."


def test_a_call_that_waits_for_people_says_how_it_stands(inspector, world, request):
    said = f"inspected {request.node.name}"
    told = call(inspector, "desk__count", "--tool-arg", f"text={said}")[1]["result"]["structuredContent"]
    world.agree(told["approval_id"])
    done = call(inspector, "approval_status", "--tool-args-json", json.dumps({"id": told["approval_id"], "wait": 20}))

    assert told["status"] == "waiting_for_approval"
    assert done[1]["result"]["content"] == [{"type": "text", "text": said}]
    assert world.count(said) == 1


def test_without_a_key_it_knows_that_it_has_to_log_in(inspector):
    code, said = inspector("tools/list", key=False)

    assert (code, said["error"]["code"]) == (NEEDS_LOGIN, "auth_required")


def test_the_command_is_a_server_as_any_other(inspector, world):
    program = world.by_command
    env = [word for name in ("SWITCHGEAR_API_KEY", "PYTHONPATH") for word in ("-e", f"{name}={program['env'][name]}")]
    code, said = call(
        inspector, "desk__echo", "--tool-arg", "text=tea", target=(program["command"], *program["args"], *env)
    )

    assert (code, said["result"]["content"][0]["text"]) == (0, "tea")
