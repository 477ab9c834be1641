"""An agent looks things up in knowledge bases, and what it read there counts as who wrote it. Promised by docs/knowledge.md."""

import hashlib

import anyio
import pytest

from tests.journeys.knowledge_world import NAMES, TEXTS, calls_of, knowledge_world

pytestmark = pytest.mark.anyio


async def test_an_agent_searches_its_bases_and_cites_them(tmp_path):
    async with knowledge_world(tmp_path) as world:
        response = await world.openai.responses.create(model="agent/helper", input="look up escalation")

    (call,) = calls_of(response)
    sha = hashlib.sha256(TEXTS["handbook/on-call.md"].encode()).hexdigest()
    assert (call.server_label, call.name) == ("knowledge", "search_knowledge")
    assert response.output_text == call.output
    assert call.output.startswith(
        f'[handbook: on-call.md, lines 3-5, offset 11, under "On call > Escalation", sha256 {sha[:12]}]\n## Escalation'
    )
    assert "wiki" not in call.output
    (listed,) = [item for item in response.output if item.type == "mcp_list_tools" and item.server_label == "knowledge"]
    assert {tool.name for tool in listed.tools} == NAMES


async def test_an_agent_reads_on_where_a_passage_stands(tmp_path):
    async with knowledge_world(tmp_path) as world:
        response = await world.openai.responses.create(model="agent/helper", input="read on")

    assert response.output_text.endswith(TEXTS["handbook/on-call.md"][11:])


async def test_an_agent_has_its_own_bases_and_no_other(tmp_path):
    async with knowledge_world(tmp_path) as world:
        response = await world.openai.responses.create(model="agent/helper", input="in the vault")

    (call,) = calls_of(response)
    assert call.status == "failed"
    assert "555" not in str(response.output)


async def test_the_definition_says_how_many_passages_of_a_base_a_search_gives(tmp_path):
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "more.txt").write_text("Another escalation.\n")
    async with knowledge_world(tmp_path) as world:
        response = await world.openai.responses.create(model="agent/keeper", input="look up escalation")

    (call,) = calls_of(response)
    assert call.output.count("[vault:") == 1
    assert call.output.count("[handbook:") == 1


async def test_what_strangers_wrote_makes_a_later_write_ask_a_person(tmp_path):
    async with knowledge_world(tmp_path) as world:
        tainted = await world.openai.responses.create(model="agent/gossip", input="look up escalation and note it")
        (approval,) = (await world.http.get("/admin/approvals", params={"state": "pending"})).json()["data"]
        before = world.written()
        clean = await world.openai.responses.create(model="agent/helper", input="look up escalation and note it")
        after = world.written()

    assert [item.type for item in tainted.output][-1] == "mcp_approval_request"
    assert before == []
    assert approval["tool"] == "count"
    assert "knowledge/wiki" in str(approval["taint"]) + str(approval["origins"])
    assert clean.status == "completed"
    assert [call["tool"] for call in after] == ["count"]


async def test_a_definition_may_have_people_asked_before_a_search(tmp_path):
    async with knowledge_world(tmp_path) as world:
        waits = await world.openai.responses.create(model="agent/careful", input="look up escalation")
        (asked,) = [item for item in waits.output if item.type == "mcp_approval_request"]
        done = await world.openai.responses.create(
            model="agent/careful",
            previous_response_id=waits.id,
            input=[{"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}],
        )

    assert asked.name == "search_knowledge"
    assert calls_of(waits) == []
    assert "second engineer" in done.output_text


async def test_a_request_that_is_no_agents_may_name_the_bases_too(tmp_path):
    tools = [{"type": "mcp", "server_label": "knowledge", "require_approval": "never"}]
    async with knowledge_world(tmp_path) as world:
        response = await world.openai.responses.create(model="thinker", input="look up escalation", tools=tools)

    (call,) = calls_of(response)
    assert all(f"[{base}:" in call.output for base in ("handbook", "wiki", "vault"))


async def test_changed_texts_are_searched_after_a_reload_and_broken_ones_change_nothing(tmp_path):
    async with knowledge_world(tmp_path) as world:
        (tmp_path / "handbook" / "new.md").write_text("# New\n\nescalation escalation escalation\n")
        applied = await world.reload()
        found = await world.openai.responses.create(model="agent/helper", input="look up escalation")
        (tmp_path / "handbook" / "bad.md").write_bytes(b"escalation \xff\n")
        refused = await world.reload()
        still = await world.openai.responses.create(model="agent/helper", input="look up escalation")

    assert {change["path"] for change in applied["changes"]} <= {"knowledge.handbook.folder"}
    assert "new.md" in found.output_text
    assert refused["status"] == "refused"
    assert refused["faults"][0]["file"].endswith("handbook/bad.md")
    assert still.output_text == found.output_text


async def test_a_new_text_is_seen_without_being_told_of_also_in_a_new_folder(tmp_path):
    async with knowledge_world(tmp_path) as world:
        (tmp_path / "handbook" / "sub").mkdir()
        (tmp_path / "handbook" / "sub" / "new.txt").write_text("zebra\n")
        with anyio.fail_after(20):
            while "sub/new.txt" not in (await world.http.get("/admin/knowledge/handbook")).json()["files"]:
                await anyio.sleep(0.05)
        (tmp_path / "handbook" / "sub" / "new.txt").write_text("giraffe\n")
        before = (await world.http.get("/admin/knowledge/handbook")).json()["digest"]
        with anyio.fail_after(20):
            while (await world.http.get("/admin/knowledge/handbook")).json()["digest"] == before:
                await anyio.sleep(0.05)


async def test_an_operator_sees_what_is_loaded_and_nothing_of_what_it_says(tmp_path):
    async with knowledge_world(tmp_path) as world:
        await world.openai.responses.create(model="agent/helper", input="look up escalation")
        listed = (await world.http.get("/admin/knowledge")).json()
        one = (await world.http.get("/admin/knowledge/handbook")).json()
        absent = await world.http.get("/admin/knowledge/none")
        metrics = (await world.http.get("/metrics")).text

    assert [base["id"] for base in listed["data"]] == ["handbook", "vault", "wiki"]
    assert (one["documents"], one["passages"], one["bytes"]) == (1, 1, len(TEXTS["handbook/on-call.md"]))
    assert one["files"] == ["on-call.md"]
    assert one["gives"] == {"integrity": "trusted", "confidentiality": "internal"}
    assert "engineer" not in str(listed) + str(one)
    assert absent.status_code == 404
    assert 'switchgear_knowledge_calls_total{tool="search_knowledge",outcome="found"} 1' in metrics
    assert 'switchgear_knowledge_passages{base="handbook"} 1' in metrics
