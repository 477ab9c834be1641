"""A stored response is shown, watched, listed and deleted by its own tenant, and what can be no id is looked for nowhere."""

import pytest

from gateway.api import kept_responses
from gateway.app import Application
from gateway.config import load
from gateway.core.caller import Caller
from gateway.loading import Loader
from gateway.stores.runs import Run
from tests.unit.api.run_desk_double import DeskDouble, ask, events_of

STREAM = events_of("response.queued", "response.created", "response.in_progress", "response.completed")
MINE = Run(id="resp_1", tenant="default", caller=Caller(id="k"), model="demo", status="completed", created_at=0.0)
THEIRS = Run(id="resp_2", tenant="other", caller=Caller(id="k"), model="demo", status="completed", created_at=0.0)
WAYS = [
    ("GET", kept_responses.ONE_PATH, ""),
    ("GET", kept_responses.ONE_PATH, "stream=true"),
    ("DELETE", kept_responses.ONE_PATH, ""),
    ("POST", kept_responses.CANCEL_PATH, ""),
    ("GET", kept_responses.ITEMS_PATH, ""),
]


@pytest.fixture
def desk():
    desk = DeskDouble(*STREAM)
    desk.runs = {run.id: run for run in (MINE, THEIRS)}
    return desk


@pytest.fixture
def to(tmp_path, desk):
    config = tmp_path / "c.yaml"
    (tmp_path / "script.yaml").write_text("models: {demo: {answers: [{say: hello}]}}")
    config.write_text("providers: {s: {kind: scripted, document: script.yaml}}\nmodels: {demo: s/demo}\n")
    application = Application(load(config, {}), Loader(config, dict), config_path=config)

    async def to(method, path, response="resp_1", *, query="", there=desk):
        endpoint = kept_responses.endpoints(application.edge, there)[path]
        shown = path.replace("{response}", "x")
        return await ask(endpoint, method, shown, query=query, params={"response": response})

    return to


async def test_a_response_is_shown(to):
    assert (await to("GET", kept_responses.ONE_PATH, query="include[]=reasoning.encrypted_content&include=message.output_text.logprobs")).json() == {
        "id": "resp_1", "object": "response", "status": "completed",
    }  # fmt: skip


@pytest.mark.parametrize("after", [None, -1, 0, 1, 2, 3])
async def test_its_events_are_given_from_any_of_them_on(to, after):
    query = "stream=true" if after is None else f"stream=true&starting_after={after}"

    answered = await to("GET", kept_responses.ONE_PATH, query=query)

    first = 0 if after is None else after + 1
    assert answered.headers[b"content-type"].startswith(b"text/event-stream")
    assert (answered.numbers, answered.complete) == ([0, 1, 2, 3][first:], True)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("starting_after=1", "starting_after"),
        ("stream=true&starting_after=-2", "starting_after"),
        ("stream=true&starting_after=x", "starting_after"),
        ("stream=perhaps", "stream"),
        ("include=all", "include[0]"),
        ("included=all", "included"),
        ("&".join(["include=reasoning.encrypted_content"] * 21), "include"),
    ],
)
async def test_a_wrong_query_is_refused_by_name(to, query, param):
    answered = await to("GET", kept_responses.ONE_PATH, query=query)

    assert (answered.status, answered.json()["error"]["param"]) == (400, param)


async def test_it_is_deleted_once(to):
    first, second = [await to("DELETE", kept_responses.ONE_PATH) for _ in range(2)]

    assert first.json() == {"id": "resp_1", "object": "response", "deleted": True}
    assert second.status == 404


@pytest.mark.parametrize(("method", "path", "query"), WAYS)
async def test_a_foreign_response_is_told_from_an_absent_one_by_nobody(to, method, path, query):
    foreign, absent = [await to(method, path, name, query=query) for name in ("resp_2", "resp_3")]

    assert foreign.status == absent.status == 404
    assert foreign.body == absent.body.replace(b"resp_3", b"resp_2")


@pytest.mark.parametrize(("method", "path", "query"), WAYS)
@pytest.mark.parametrize("name", ["", "x" * 129, "resp_1'--", "resp_\x00", "résp", "a/b"])
async def test_what_can_be_no_id_is_not_looked_for(to, desk, method, path, query, name):
    answered = await to(method, path, name, query=query)

    assert (answered.status, desk.asked) == (404, [])


@pytest.mark.parametrize(("method", "path", "query"), WAYS)
async def test_without_a_desk_every_way_says_how_to_have_one(to, method, path, query):
    answered = await to(method, path, query=query, there=None)

    assert answered.status == 404
    assert "`runs`" in answered.json()["error"]["message"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 5, 6, 100])
async def test_input_is_listed_in_pages_that_miss_nothing(to, desk, order, limit):
    desk.items = [f"msg_{number}" for number in range(6)]
    seen, after, more = [], "", True

    while more:
        query = f"order={order}&limit={limit}" + (f"&after={after}" if after else "")
        page = (await to("GET", kept_responses.ITEMS_PATH, query=query)).json()
        ids = [item["id"] for item in page["data"]]
        assert (page["object"], page["first_id"], page["last_id"]) == ("list", ids[0], ids[-1])
        seen, after, more = seen + ids, ids[-1], page["has_more"]

    assert seen == (desk.items if order == "asc" else desk.items[::-1])


async def test_input_comes_twenty_at_a_time_and_the_last_first(to, desk):
    desk.items = [f"msg_{number}" for number in range(30)]

    page = (await to("GET", kept_responses.ITEMS_PATH)).json()

    assert [item["id"] for item in page["data"]] == desk.items[:9:-1]
    assert page["has_more"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "order=up", "limit=1&limit=2"])
async def test_a_page_has_its_bounds(to, query):
    assert (await to("GET", kept_responses.ITEMS_PATH, query=query)).status == 400


async def test_after_an_item_that_is_not_there_comes_nothing(to, desk):
    desk.items = ["msg_1"]

    page = (await to("GET", kept_responses.ITEMS_PATH, query="after=msg_9")).json()

    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
