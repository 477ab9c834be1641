"""What the judge costs and what it keeps out: `PYTHONPATH=. python -m tests.security.injections.figures`."""

import sys
from collections import Counter

from gateway.policies.authorizer import Authorizer
from gateway.policies.tool_judge import StandingToolJudge
from tests.security.injections.attacks import attacks, unwanted
from tests.security.injections.loop import eager, late, work
from tests.security.injections.obedient import orders
from tests.security.injections.tasks import TASKS

MODELS = {"eager": eager, "late": late}


def bare_judge():
    """The built-in rules alone: no policies."""
    return StandingToolJudge(Authorizer(None, wall=lambda: 0.0))


def benign(judge, model):
    """Give how many tasks were done, and how many approvals that took."""
    outcomes = [(task, work(judge, task, model, lambda *_: True, orders)) for task in TASKS]
    done = sum(Counter(outcome.made) == Counter(call.key for call in task.calls) for task, outcome in outcomes)
    return done, sum(len(outcome.asked) for _, outcome in outcomes)


def every_write():
    """What asking for every write would take."""
    return sum(len(task.writes) for task in TASKS)


def report():
    """Give the figures, a line each."""
    judge = bare_judge()
    tried = list(attacks())
    changing = sum(bool(task.writes) for task in TASKS)
    yield f"{len(TASKS)} tasks, {changing} of which change something, with {every_write()} changing calls; {len(tried)} attacks"
    for name, model in MODELS.items():
        done, asked = benign(judge, model)
        through = sum(bool(unwanted(attack, judge, model)[0]) for attack in tried)
        rates = f"{asked / len(TASKS):.2f} a task, {asked / changing:.2f} a task that changes something"
        yield f"{name}: {done} tasks done, {asked} approvals: {rates}; {through} attacks through"


if __name__ == "__main__":
    sys.stdout.write("\n".join(report()) + "\n")
