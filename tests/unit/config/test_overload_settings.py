"""Settings of overload that could never work are refused when they are read, with the line."""

import pytest

from gateway.config.overload_settings import QueueSettings, StepSettings
from gateway.config.routing_settings import RoutingSettings
from gateway.routing.plan import plan_of

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
models:
"""
LIMITED = "  a: {targets: [{provider: up, model: m, concurrency: 2}], routing: {%s}}\n"
FREE = "  b: {targets: [{provider: up, model: n}], routing: {%s}}\n"


@pytest.mark.parametrize(
    ("models", "line", "said"),
    [
        ("  a: {targets: [{provider: up, model: m, concurrency: 0}]}\n", 4, "at least 1"),
        ("  a: {targets: [{provider: up, model: m, concurrency: many}]}\n", 4, "a whole number"),
        (
            LIMITED % "" + "  c: {targets: [{provider: up, model: m, concurrency: 3}]}\n",
            5,
            "models.c.targets[0].concurrency: all models share the places of up/m, and the model 'a' says 2",
        ),
        (FREE % "queue: {most: 5}", 4, "models.b.routing.queue: no target of this model has a limit"),
        (FREE % "degrade: [queue]", 4, "models.b.routing.degrade[0]: no target of this model has a limit"),
        (FREE % "" + "routing: {queue: {most: 5}}\n", 5, "routing.queue: no target of any model has a limit"),
        (LIMITED % "queue: {most: 0}", 4, "queue.most"),
        (LIMITED % "queue: {longest: 0}", 4, "queue.longest"),
        (LIMITED % 'queue: {priorities: {"tier=gold": high}}', 4, "tag:NAME=VALUE"),
        (LIMITED % 'queue: {priorities: {"tag:tier=gold": highest}}', 4, "one of high, normal, low"),
        (LIMITED % "degrade: [wait]", 4, "expected queue, stale, {model: NAME}"),
        (LIMITED % "degrade: [{}]", 4, "a step is one of queue"),
        (LIMITED % "degrade: [{model: a, static: x}]", 4, "a step is one of queue"),
        (LIMITED % 'degrade: [{static: ""}]', 4, "must not be empty"),
        (LIMITED % "degrade: [{static: x}, queue]", 4, "degrade[0]: a static answer never fails"),
        (LIMITED % "degrade: [{model: nobody}]", 4, "degrade[0]: there is no model 'nobody'"),
        (LIMITED % "degrade: [{model: a}]", 4, "must not lead back: a -> a"),
        (LIMITED % "degrade: [{model: b}]" + FREE % "degrade: [{model: a}]", 5, "must not lead back: b -> a -> b"),
        (FREE % "" + "routing: {degrade: [{model: b}]}\n", 5, "write this step at the models"),
    ],
)
def test_what_could_never_work_is_refused_with_its_line(configuration, models, line, said):
    faults = configuration.faults(HEAD + models)

    assert any(fault.line == line and said in f"{fault.path}: {fault.message}" for fault in faults), faults


def test_a_limit_holds_for_every_model_that_uses_the_target(configuration):
    """It is written once; a queue at another model is then no contradiction."""
    configuration.load(
        HEAD + LIMITED % "" + "  c: {targets: [{provider: up, model: m}], routing: {queue: {most: 5}}}\n"
    )


def test_a_ladder_is_read_as_it_is_written(configuration):
    ladder = "degrade: [{model: b}, queue, {static: Later.}]"
    settings = configuration.load(HEAD + LIMITED % ladder + FREE % "degrade: []")

    assert settings.models["a"].routing.degrade == (
        StepSettings(model="b"),
        StepSettings(queue="wait"),
        StepSettings(static="Later."),
    )
    assert settings.models["b"].routing.degrade == ()


def test_a_model_may_do_without_what_holds_for_all():
    everywhere = RoutingSettings(degrade=(StepSettings(queue="wait"),), queue=QueueSettings(most=7))
    plan = plan_of(RoutingSettings(degrade=()), everywhere, (1.0,), (2,))

    assert (plan.degrade, plan.queue.most, plan.concurrency) == ((), 7, (2,))
    assert plan_of(None, RoutingSettings(), ()).degrade is None
