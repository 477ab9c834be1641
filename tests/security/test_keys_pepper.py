"""The pepper: made once, for its owner only, and never made anew where keys depend on it."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from gateway.config.secret import Secret
from gateway.stores.pepper import PepperFault, open_pepper_file, pepper_of


def test_the_first_start_makes_it_and_the_others_find_it(tmp_path):
    database = tmp_path / "data" / "switchgear.db"
    first = open_pepper_file(database)
    file = database.with_name("switchgear.db.pepper")

    assert len(first) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert open_pepper_file(database) == first
    database.touch()
    assert open_pepper_file(database) == first
    assert sorted(path.name for path in database.parent.iterdir()) == ["switchgear.db", "switchgear.db.pepper"]


def test_processes_that_start_at_once_agree(tmp_path):
    with ThreadPoolExecutor(16) as threads:
        peppers = set(threads.map(lambda _: open_pepper_file(tmp_path / "x.db"), range(64)))

    assert len(peppers) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.db.pepper"]


def test_a_lost_pepper_is_a_fault_and_not_a_new_one(tmp_path):
    """A new one would make every key unknown, and say nothing of it."""
    database = tmp_path / "x.db"
    database.touch()

    with pytest.raises(PepperFault, match=r"x\.db\.pepper is missing"):
        open_pepper_file(database)
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


@pytest.mark.parametrize("content", [b"", b"CANARY", b"ab" * 31, b"zz" * 32, b"\xff" * 64, b"ab" * 33])
def test_a_damaged_pepper_is_a_fault(tmp_path, content):
    (tmp_path / "x.db.pepper").write_bytes(content)

    with pytest.raises(PepperFault, match="damaged") as caught:
        open_pepper_file(tmp_path / "x.db")
    assert "CANARY" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(PepperFault, match="cannot be opened"):
        open_pepper_file(tmp_path / "file" / "x.db")


def test_a_pepper_that_others_can_read_is_told_of(tmp_path):
    open_pepper_file(tmp_path / "x.db")
    (tmp_path / "x.db.pepper").chmod(0o644)

    with structlog.testing.capture_logs() as logs:
        open_pepper_file(tmp_path / "x.db")
    assert [entry["event"] for entry in logs] == ["pepper.exposed"]


def test_a_pepper_of_the_configuration_is_the_same_everywhere():
    secret = Secret("x" * 32, source="env:PEPPER")

    assert pepper_of(secret) == pepper_of(Secret("x" * 32, source="file:elsewhere"))
    assert pepper_of(secret) != pepper_of(Secret("x" * 33, source="env:PEPPER"))
    assert len(pepper_of(secret)) == 32
    with pytest.raises(PepperFault, match="env:PEPPER"):
        pepper_of(Secret("CANARY", source="env:PEPPER"))
