"""What else a server offers: when it is looked at again, what becomes of progress, and who hears of changes."""

import anyio
import pytest

from gateway.config.tool_settings import StdioServerSettings, ToolSettings
from gateway.tools.changes import Changes
from gateway.tools.connection import CannotConnect, Signals
from gateway.tools.offers import Offer, Offers, Page
from gateway.tools.progress import Advancing
from gateway.tools.shelf import Shelf


class Listing:
    """A connection to a server that gives one page a time; an exception is raised."""

    def __init__(self, *pages):
        self.signals = Signals()
        self.pages = list(pages)
        self.asked = 0

    async def list(self):
        return ()

    async def call(self, asked):
        pytest.fail("only lists are read here")

    async def offered(self, kind, wanted):
        self.asked += 1
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        if isinstance(page, Exception):
            raise page
        return page

    async def ask(self, asked, seconds):
        pytest.fail("only lists are read here")

    async def listen(self):
        pytest.fail("only lists are read here")

    async def watch(self, watched):
        await anyio.sleep_forever()


def page(*names, fresh=None, **said):
    return Page(offers=tuple(Offer(key=name, said={"name": name, **said}) for name in names), fresh=fresh)


def shelf(told=lambda kind: None, **fields):
    settings = StdioServerSettings(command="x", tools={"a": ToolSettings()}, **({"prompts": ("a", "b")} | fields))
    return Shelf("docs", settings, told)


async def keeping(kept, connection, seconds):
    with anyio.move_on_after(seconds):
        await kept.keep(connection)


async def test_a_list_that_says_that_it_holds_for_a_moment_is_not_asked_for_without_pause():
    """`ttlMs` of one millisecond: the shortest pause is five seconds."""
    connection = Listing(page("a", fresh=0.001))
    await keeping(shelf(), connection, 0.5)

    assert connection.asked == 1


async def test_a_change_is_looked_at_at_once_and_told_only_where_it_is_one():
    told = []
    kept = shelf(told.append)
    connection = Listing(page("a"), page("a"), page("a", title="A"), CannotConnect("away"), page("a", title="A"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.keep, connection)
        await kept.looked()
        for count in (2, 3, 4, 5):
            connection.signals.look_again()
            with anyio.fail_after(5):
                while connection.asked < count:
                    await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()

    assert told == ["prompts", "prompts"]
    assert kept.offers.prompts["a"].said["title"] == "A"


async def test_it_ends_with_its_connection():
    connection = Listing(page("a"))
    kept = shelf()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.keep, connection)
        await kept.looked()
        connection.signals.breaks("gone")
        with anyio.fail_after(5):
            while not connection.signals.offered.is_set():
                await anyio.sleep(0.001)


async def test_whatever_a_list_raises_is_no_end_of_the_connection():
    connection = Listing(RuntimeError("a fault of the library"), page("a"))
    kept = shelf()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.keep, connection)
        await kept.looked()
        assert kept.offers.prompts == {}
        connection.signals.look_again()
        with anyio.fail_after(5):
            while not kept.offers.prompts:
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()


class Heard:
    def __init__(self):
        self.said = []
        self.now = 0.0

    async def __call__(self, progress, total, message):
        self.said.append((progress, total, message))


async def test_progress_goes_forwards_and_not_too_often():
    heard = Heard()
    advancing = Advancing(heard, lambda: heard.now)
    for now, progress in (
        (0, 1),
        (0.01, 2),
        (0.2, 1),
        (0.3, 1),
        (0.4, 2.5),
        (0.41, 10),
        (0.5, float("nan")),
        (0.6, float("inf")),
    ):
        heard.now = now
        await advancing(progress, 10.0, "x" * 1000)

    assert [progress for progress, _, _ in heard.said] == [1, 2.5, 10], "the last is told however soon it comes"
    assert {len(message) for _, _, message in heard.said} == {500}


async def test_progress_after_the_end_of_a_call_is_not_told():
    heard = Heard()
    advancing = Advancing(heard, lambda: 0.0)
    advancing.close()
    await advancing(1.0)

    assert heard.said == []


@pytest.mark.parametrize(
    ("uri", "may"),
    [
        ("memo://p/a", True),
        ("memo://p/..", False),
        ("memo://p/a/../b", False),
        ("memo://p/%2e%2e", False),
        ("memo://p/%252e%252e/x", False),
        ("memo://p/..%5cx", False),
        ("memo://p/x?y=../z", False),
        ("memo://p/a..b", True),
        ("memo://q/a", False),
        ("memo://exact/../up", True),
    ],
)
def test_a_template_gives_room_below_itself_alone(uri, may):
    """A URI that the operator wrote down whole is his own word, whatever is in it."""
    template = Offer(key="p", said={"uriTemplate": "memo://p/{+x}"}, matches=lambda uri: uri.startswith("memo://p/"))
    offers = Offers(templates={"p": template}, reachable=frozenset({"memo://exact/../up"}))

    assert offers.may_read(uri) is may


def test_the_same_tools_once_more_are_no_change():
    changes, told = Changes(), []
    stop = changes.subscribe(told.append)
    changes.tools_of("docs", ("a",))
    changes.tools_of("docs", ("a",))
    changes.tools_of("docs", ())
    stop()
    stop()
    changes.tell_all()

    assert told == ["tools", "tools"]


class Restless(Listing):
    """A server that tells of a change with each list."""

    async def offered(self, kind, wanted):
        self.signals.look_again()
        return await super().offered(kind, wanted)


async def test_a_server_that_tells_of_changes_without_pause_is_looked_at_with_one():
    connection = Restless(page("a"))
    await keeping(shelf(), connection, 0.6)

    assert 2 <= connection.asked <= 4
