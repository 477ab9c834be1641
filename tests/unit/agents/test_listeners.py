"""Who follows is told of what is written, in order, and remembers no more than a bound; what it missed it sees by the numbers."""

from gateway.agents.counts import Counts
from gateway.agents.listeners import MOST_BYTES, MOST_EVENTS, Listeners
from gateway.stores.runs import RunEvent


def events(first, count, data=b"{}"):
    return [RunEvent(seq=seq, name="response.output_text.delta", data=data) for seq in range(first, first + count)]


async def test_a_listener_hears_what_follows_what_it_has():
    listeners = Listeners(Counts())
    with listeners.following("resp_1") as listener:
        listeners.tell("resp_1", events(0, 3))
        listeners.tell("resp_2", events(0, 9))
        listeners.tell("resp_1", events(3, 2))

        assert await listener.wait(5)
        assert listener.take(1) == events(2, 3)
        assert listener.take(4) == ()


async def test_a_gap_is_never_given():
    """Whoever was told of event 5 while it has only 2 reads the journal."""
    listeners = Listeners(Counts())
    with listeners.following("resp_1") as listener:
        listeners.tell("resp_1", events(5, 3))

        assert listener.take(2) == ()
        assert not await listener.wait(0) or listener.take(2) == ()


async def test_one_who_takes_nothing_fills_no_memory():
    listeners = Listeners(Counts())
    with listeners.following("resp_1") as listener:
        for first in range(0, 10 * MOST_EVENTS, 100):
            listeners.tell("resp_1", events(first, 100))
            assert len(listener._events) <= MOST_EVENTS
        listeners.tell("resp_1", events(10 * MOST_EVENTS, 1, b"x" * (MOST_BYTES + 1)))

        assert list(listener._events) == []
        assert await listener.wait(0)


async def test_who_has_left_is_forgotten():
    counts = Counts()
    listeners = Listeners(counts)
    with listeners.following("resp_1"), listeners.following("resp_1"):
        assert counts.followers == 2
    listeners.tell("resp_1", events(0, 1))

    assert counts.followers == 0
    assert listeners._of == {}
