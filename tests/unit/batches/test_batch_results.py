"""The results of a batch are its journal: what is written is done, what was cut in the middle is not, and nothing is there twice."""

import json

import pytest

from gateway.batches.asking import Answer
from gateway.batches.claim import Claim, clear_claims
from gateway.batches.results import Results, answered_line, unanswered_line


def answered(custom_id, body=b'{"a": 1}', status=200):
    return answered_line("batch_req_1", custom_id, Answer(status=status, request_id="call_1", body=body))


@pytest.fixture
def results(tmp_path):
    opened = Results(tmp_path / "output", tmp_path / "errors")
    opened.open()
    yield opened
    opened.close()


def reopened(results):
    results.close()
    again = Results(results.output.path, results.errors.path)
    again.open()
    again.close()
    return again


def test_a_line_has_the_form_of_openais():
    assert json.loads(answered("a")) == {
        "id": "batch_req_1",
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "call_1", "body": {"a": 1}},
        "error": None,
    }
    assert json.loads(unanswered_line("batch_req_2", "b", "batch_expired", "Too late.")) == {
        "id": "batch_req_2",
        "custom_id": "b",
        "response": None,
        "error": {"code": "batch_expired", "message": "Too late."},
    }


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{\n  "a": [1,\r\n 2]\n}', {"a": [1, 2]}),
        (b'{"seed": 18446744073709551616123, "x": "\xe2\x80\xa8"}', {"seed": 18446744073709551616123, "x": "\u2028"}),
        (b"<html>\n</html>", "<html>\n</html>"),
        (b"", ""),
    ],
)
def test_whatever_the_body_is_its_line_is_one_line_of_json(body, kept):
    line = answered("a", body)

    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line)["response"]["body"] == kept


def test_what_was_noted_is_done_after_a_death(results):
    results.note("good", answered("good"), into="output")
    results.note("bad", answered("bad", status=400), into="errors")

    again = reopened(results)

    assert again.done == {"good", "bad"}
    assert (again.completed, again.failed) == (1, 1)


@pytest.mark.parametrize("cut", range(1, len(answered("torn")), 7))
def test_a_line_that_was_cut_is_taken_away_and_not_done(results, cut):
    results.note("whole", answered("whole"), into="output")
    results.close()
    with results.output.path.open("ab") as file:
        file.write(answered("torn")[:-cut])

    again = reopened(results)

    assert again.done == {"whole"}
    assert results.output.path.read_bytes() == answered("whole")


def test_a_disk_without_room_leaves_no_half_line(results, monkeypatch):
    results.note("before", answered("before"), into="output")
    size = results.output.size

    def half(descriptor, data):
        return real(descriptor, data[:10])

    real = __import__("os").write
    with monkeypatch.context() as patched:
        patched.setattr("gateway.batches.results.os.write", half)
        with pytest.raises(OSError, match="No space"):
            results.note("lost", answered("lost"), into="output")

    assert "lost" not in results.done
    assert results.output.path.stat().st_size == size
    results.note("after", answered("after"), into="output")
    assert reopened(results).done == {"before", "after"}


def test_one_claim_at_a_time_and_a_batch_that_ended_leaves_nothing(tmp_path):
    path = tmp_path / "batch_1.lock"
    first = Claim.take(path)
    assert first is not None
    assert Claim.take(path) is None

    first.release(for_good=False)
    second = Claim.take(path)
    assert second is not None
    second.release(for_good=True)
    assert not path.exists()


def test_claims_on_batches_that_have_ended_are_cleared_away(tmp_path):
    kept = [Claim.take(tmp_path / f"batch_{name}.lock") for name in ("held", "unfinished")]
    Claim.take(tmp_path / "batch_ended.lock").release(for_good=False)
    kept[1].release(for_good=False)

    clear_claims(tmp_path, ["batch_unfinished"])

    assert {path.name for path in tmp_path.iterdir()} == {"batch_held.lock", "batch_unfinished.lock"}
    kept[0].release(for_good=True)
