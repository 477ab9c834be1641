"""What a WebSocket remembers: the last response of each stream, and no more bytes than it may."""

from gateway.api.socket_memory import Memory, items_of

ITEM = {"type": "message", "role": "user", "content": "x" * 80}


def test_the_last_response_of_each_lane_is_there_for_all_of_them():
    memory = Memory(10_000)
    memory.keep("", "resp_1", [ITEM])
    memory.keep("side", "resp_2", [ITEM])
    memory.keep("", "resp_3", [ITEM, ITEM])

    assert memory.find("resp_1") is None
    assert [memory.find(name).items for name in ("resp_2", "resp_3")] == [(ITEM,), (ITEM, ITEM)]


def test_what_is_forgotten_is_gone_from_every_lane():
    memory = Memory(10_000)
    memory.keep("", "resp_1", [ITEM])
    memory.forget("resp_1")

    assert memory.find("resp_1") is None


def test_the_oldest_goes_when_there_is_no_room():
    memory = Memory(300)
    for number in range(3):
        memory.keep(f"lane-{number}", f"resp_{number}", [ITEM])
    assert [memory.find(f"resp_{number}") is None for number in range(3)] == [True, False, False]

    memory.keep("large", "resp_large", [ITEM] * 10)

    assert memory.find("resp_large") is None


def test_a_string_is_one_message_and_what_is_no_input_is_nothing():
    assert items_of("hi") == [{"type": "message", "role": "user", "content": "hi"}]
    assert items_of([ITEM]) == [ITEM]
    assert items_of(None) == items_of(7) == []
