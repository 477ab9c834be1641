"""What the calls of a run cost is counted against what it may cost."""

import msgspec
import pytest

from gateway.agents.costs import MOST_RUNS, Costs
from gateway.core.record import Beside
from gateway.core.usage import Usage
from tests.unit.accounting.memory_ledger import record


def costing(run, nano, *beside):
    parts = tuple(Beside("p/m", "judge", Usage(), each) for each in beside)
    return msgspec.structs.replace(record(1), run=run, cost_nano=nano, beside=parts)


def test_calls_of_a_run_add_up_with_what_was_asked_beside_them():
    costs = Costs()
    costs.hear(costing("r1", 5))
    costs.hear(costing("r1", 7, 3, None))
    costs.hear(costing("r2", 100))

    assert costs.take("r1") == 15
    assert costs.take("r1") == 0, "it was taken up"


@pytest.mark.parametrize(("run", "nano"), [("", 5), ("r1", None), ("r1", 0)])
def test_what_is_no_cost_of_a_run_is_not_held(run, nano):
    costs = Costs()
    costs.hear(costing(run, nano))

    assert costs.take(run) == 0


def test_runs_that_nobody_asks_about_are_forgotten():
    costs = Costs()
    for number in range(MOST_RUNS + 1):
        costs.hear(costing(f"r{number}", 1))

    assert costs.take("r0") == 0
    assert costs.take(f"r{MOST_RUNS}") == 1
