"""The spool keeps lines until they are in the database, in order, within its bounds, and for its own process alone."""

import os

import pytest

from gateway.accounting.ledger_leftovers import find_leftovers
from gateway.accounting.ledger_spool import Spool, sync_paths


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "spool"


def spool_in(folder, name="a", max_bytes=1_000_000, segment_bytes=100):
    return Spool(folder, max_bytes=max_bytes, new_id=name, segment_bytes=segment_bytes)


def line(number):
    return f"{number:029d}\n".encode()


def read_all(spool):
    lines = []
    while (segment := spool.next_segment()) is not None:
        data = segment.read_lines(65)
        lines += data.splitlines(keepends=True)
        spool.advance(segment, len(data))
    return lines


def files(spool):
    return sorted(path.name for path in spool.path.glob("*.log"))


def test_lines_come_back_in_order_over_all_segments(folder):
    spool = spool_in(folder)
    for number in range(10):
        spool.append(line(number))

    assert read_all(spool) == [line(number) for number in range(10)]
    spool.close()


def test_what_is_read_and_finished_is_removed(folder):
    spool = spool_in(folder)
    segments = [spool.append(line(number)) for number in range(10)]
    segments[0].unfinished += 1
    read_all(spool)

    assert files(spool) == ["00000001.log", "00000004.log"]
    assert spool.size == 90 + 30
    segments[0].unfinished -= 1
    spool.tidy()
    assert files(spool) == ["00000004.log"]
    spool.close()
    assert list(folder.iterdir()) == []


def test_what_is_needed_stays_when_the_spool_is_closed(folder):
    spool = spool_in(folder)
    spool.append(line(1))
    spool.close()

    (leftover,) = find_leftovers(folder, folder / "other")
    assert list(leftover.chunks()) == [line(1)]
    leftover.remove()
    assert list(folder.iterdir()) == []


def test_a_line_longer_than_a_read_comes_whole(folder):
    spool = spool_in(folder)
    spool.append(b"x" * 500 + b"\n")

    assert read_all(spool) == [b"x" * 500 + b"\n"]
    spool.close()


def test_a_full_spool_takes_nothing_and_has_space_again_when_it_is_read(folder):
    spool = spool_in(folder, max_bytes=300)
    taken = [spool.append(line(number)) is not None for number in range(12)]

    assert taken == [True] * 10 + [False] * 2
    assert spool.append(b"", spare=1) is None
    read_all(spool)
    assert spool.append(line(12)) is not None
    spool.close()


def test_the_spool_of_a_living_process_is_left_alone(folder):
    """The lock is the file description's, so two spools of one process exclude each other as two processes do."""
    spool = spool_in(folder)
    spool.append(line(1))

    assert list(find_leftovers(folder, folder / "other")) == []
    read_all(spool)
    spool.close()


def test_two_who_look_for_leftovers_do_not_get_the_same(folder):
    spool = spool_in(folder)
    spool.append(line(1))
    spool.close()

    (first,) = find_leftovers(folder, folder / "other")
    assert list(find_leftovers(folder, folder / "another")) == []
    first.release()
    (second,) = find_leftovers(folder, folder / "another")
    second.remove()


def test_a_folder_that_somebody_is_only_just_making_is_made_again(folder, monkeypatch):
    """Between making the folder and locking it, another process clears it away."""
    folder.mkdir(parents=True)
    real = os.open
    interruptions = iter([True])

    def interrupted(path, *arguments, **keywords):
        if str(path).endswith("lock") and next(interruptions, False):
            assert list(find_leftovers(folder, folder / "other")) == []
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", interrupted)
    spool = spool_in(folder)

    assert spool.path.name == "a-1"
    assert spool.append(line(1)) is not None
    monkeypatch.undo()
    read_all(spool)
    spool.close()


def test_a_torn_last_line_is_left_out(folder):
    spool = spool_in(folder)
    spool.append(line(1))
    spool.append(b"half")
    spool.close()

    (leftover,) = find_leftovers(folder, folder / "other")
    assert list(leftover.chunks()) == [line(1)]
    leftover.remove()


def test_only_the_user_reads_it(folder):
    spool = spool_in(folder)
    spool.append(line(1))

    assert {path.stat().st_mode & 0o077 for path in (folder, spool.path, *spool.path.iterdir())} == {0}
    read_all(spool)
    spool.close()


def test_what_was_written_can_be_forced_to_the_disk_also_when_it_is_gone(folder):
    spool = spool_in(folder)
    for number in range(10):
        spool.append(line(number))
    unsynced = spool.take_unsynced()
    read_all(spool)

    assert {path.name for path in unsynced} >= {"00000001.log", "00000004.log", spool.path.name}
    sync_paths(unsynced)
    assert spool.take_unsynced() == set()
    spool.close()
