"""What a server of tools asks people for in the midst of a call: by stdio and by HTTP, in the newest revision of MCP and with its handshake.

Sources: elicitation and multi-round-trip requests of the specifications 2025-11-25 and 2026-07-28. The servers are real ones.
"""

import anyio
import pytest

from tests.mcp_asking_double import FORM, NAMES, PAGE
from tests.tool_world import ASKING, allowed, call, free_port, http, hub_over, noted, stdio, web

LINKS = ("stdio-auto", "stdio-legacy", "http-auto", "http-legacy")
TOOLS = allowed(*NAMES, effect="once")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The double behind HTTP; its folder and its port."""
    folder, port = tmp_path_factory.mktemp("asking"), free_port()
    with web(folder, port, program=ASKING):
        yield folder, port


@pytest.fixture(params=LINKS)
def link(request, tmp_path, site):
    """The settings of one server, and where it takes notes."""
    kind, _, protocol = request.param.partition("-")
    folder, port = (tmp_path, 0) if kind == "stdio" else site
    for notes in folder.iterdir():
        notes.unlink()
    made = (
        stdio(folder, program=ASKING, tools=TOOLS, protocol=protocol)
        if kind == "stdio"
        else http(port, tools=TOOLS, protocol=protocol)
    )
    return folder, made, protocol


async def test_a_form_is_asked_for_and_nothing_is_done_before_it_is_answered(link):
    folder, server, _ = link
    async with hub_over({"docs": server}) as hub:
        asked = await call(hub, "docs", "book")
        assert noted(folder, "booked.jsonl") == []
        [wish] = asked.wishes
        done = await call(hub, "docs", "book", answers={wish.key: {"seats": 2}}, state=wish.state)

    assert (wish.message, wish.schema, wish.url) == ("How many seats?", FORM, "")
    assert (done.text, done.wishes) == ('booked {"seats": 2}', ())
    assert noted(folder, "booked.jsonl") == [{"seats": 2}]
    assert {one["key"] for one in noted(folder, "calls.jsonl")} == {"key-1"}


@pytest.mark.parametrize("word", ["decline", "cancel"])
async def test_a_server_is_told_that_nobody_fills_in_its_form(link, word):
    folder, server, _ = link
    async with hub_over({"docs": server}) as hub:
        [wish] = (await call(hub, "docs", "book")).wishes
        done = await call(hub, "docs", "book", refused={wish.key: word}, state=wish.state)

    assert noted(folder, "answers.jsonl")[-1] == {"action": word}
    assert (done.text, done.wishes) == (f"{word}: nothing was booked", ())
    assert noted(folder, "booked.jsonl") == []


async def test_who_has_declined_is_not_asked_for_more_in_the_same_call(link):
    folder, server, _ = link
    async with hub_over({"docs": server}) as hub:
        [name] = (await call(hub, "docs", "twice")).wishes
        [seats] = (await call(hub, "docs", "twice", answers={name.key: {"name": "Ada"}}, state=name.state)).wishes
        done = await call(
            hub, "docs", "twice", answers=seats.earlier, refused={seats.key: "decline"}, state=seats.state
        )

    assert (done.wishes, done.text) == ((), "decline: nothing was booked")
    assert noted(folder, "answers.jsonl")[-1] == {"action": "decline"}


async def test_what_is_asked_later_in_a_call_is_asked_with_what_was_said_before(link):
    _, server, _ = link
    async with hub_over({"docs": server}) as hub:
        [name] = (await call(hub, "docs", "twice")).wishes
        first = {name.key: {"name": "Ada"}}
        [seats] = (await call(hub, "docs", "twice", answers=first, state=name.state)).wishes
        second = {**seats.earlier, seats.key: {"seats": 3}}
        done = await call(hub, "docs", "twice", answers=second, state=seats.state)

    assert seats.message == "How many seats, Ada?"
    assert done.text == "Ada has 3"


async def test_a_page_is_asked_for_with_its_address(link):
    folder, server, _ = link
    async with hub_over({"docs": server}) as hub:
        [wish] = (await call(hub, "docs", "pay")).wishes
        (folder / "paid").touch()
        done = await call(hub, "docs", "pay", answers={wish.key: None}, state=wish.state)

    assert (wish.message, wish.url, wish.schema) == ("Pay first.", PAGE, {})
    assert done.text == "paid"


async def test_a_page_that_does_not_help_is_not_asked_for_for_ever(link):
    _, server, protocol = link
    if protocol == "auto":
        return  # there the server sees the answer, and says itself what it thinks of it
    async with hub_over({"docs": server}) as hub:
        [wish] = (await call(hub, "docs", "pay")).wishes
        again = await call(hub, "docs", "pay", answers={wish.key: None})

    assert again.is_error
    assert "although a person says that it was" in again.text


async def test_a_model_is_not_lent_to_a_server(link):
    """Sampling and roots are refused by name: a server is given neither a model nor folders."""
    _, server, protocol = link
    if protocol == "legacy":
        return  # it is a result of the newest revision
    async with hub_over({"docs": server}) as hub:
        refused = await call(hub, "docs", "model")

    assert refused.is_error
    assert "sampling" in refused.text


async def test_calls_at_once_that_ask_get_each_its_own_answer(link):
    """The handshake's revision does not say to which call a question belongs: one that cannot be told apart is answered by nobody."""
    folder, server, _ = link
    got = []
    async with hub_over({"docs": server}) as hub:
        [wish] = (await call(hub, "docs", "book", key="k0")).wishes

        async def book(seats):
            answers, state = {wish.key: {"seats": seats}}, wish.state
            for _ in range(3):
                output = await call(hub, "docs", "book", key=f"k{seats}", answers=answers, state=state)
                if output.text.startswith("booked"):
                    got.append((seats, output.text))
                    return

        async with anyio.create_task_group() as tasks:
            for seats in range(1, 5):
                tasks.start_soon(book, seats)

    assert sorted(got) == [(seats, f'booked {{"seats": {seats}}}') for seats in range(1, 5)]
    assert sorted(one["seats"] for one in noted(folder, "booked.jsonl")) == [1, 2, 3, 4]
