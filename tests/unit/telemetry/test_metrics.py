"""The exposition at /metrics: what Prometheus' own parser reads out of it, whatever names come from outside."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.record import Record
from gateway.core.usage import Usage
from gateway.telemetry.call_log import JsonCallLog
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.metrics import MAX_SERIES, CallMetrics, Counter, Histogram, Reading
from gateway.telemetry.process_metrics import process_metrics
from gateway.telemetry.structured_metrics import StructuredMetrics


def record(**changes):
    fields = {
        "id": "call_1", "started_at": 1_700_000_000.0, "operation": "generate", "dialect": "openai_chat", "stream": True,
        "caller": "key_7", "model": "chat", "provider": "hosted", "served": "gpt-5-mini", "route": ("hosted/gpt-5-mini",),
        "status": 200, "duration": 1.5, "first_token": 0.5, "upstream": 0.4, "usage": Usage(input=70, cache_read=20, output=30),
        "cost": 0.25, "finish_reason": "stop", "error": None, "parameters": {},
    }  # fmt: skip
    return Record(**{**fields, **changes})


def samples(metrics):
    """The samples by name: a list of (labels, value) each."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def taken(*records):
    metrics = CallMetrics()
    metrics.take(records)
    return samples(metrics)


def test_a_call_is_counted_by_what_it_asked_for_and_what_came_of_it():
    found = taken(record(), record(), record(status=504, error="upstream_timeout", usage=None, cost=None))
    by = {"model": "chat", "target": "hosted/gpt-5-mini", "dialect": "openai_chat"}

    assert found["switchgear_calls_total"] == [
        ({**by, "status": "200", "error": ""}, 2),
        ({**by, "status": "504", "error": "upstream_timeout"}, 1),
    ]


def test_a_batch_is_counted_as_its_calls_would_be_one_by_one():
    records = [
        record(), record(dialect="openai_responses"), record(status=499, error="client_left", first_token=None),
        record(first_token=None, usage=None, cost=None), record(upstream=None), record(usage=Usage(), cost=0.0, cache="exact",
        route=(), saved=Usage(input=3, output=4), saved_nano=5_000), record(cache="miss"), record(route=(), model="unknown"),
        record(degraded="stale", guards=(("words", "deny", 0.1, 0.5),), found=(("mail", 2),)), record(provider=None, served=None),
    ] * 3  # fmt: skip
    one_by_one = CallMetrics()
    for each in records:
        one_by_one.take([each])

    def by_labels(found):
        return {(name, *labels.items()): value for name, some in found.items() for labels, value in some}

    assert by_labels(taken(*records)) == pytest.approx(by_labels(samples(one_by_one)))


def test_tokens_are_counted_in_disjoint_buckets_and_cost_beside_them():
    found = taken(record(), record(cost=None))

    assert {labels["bucket"]: value for labels, value in found["switchgear_tokens_total"]} == {
        "input": 140, "cache_read": 40, "output": 60,
    }  # fmt: skip
    assert [value for _, value in found["switchgear_cost_dollars_total"]] == [0.25]
    assert [value for _, value in found["switchgear_calls_unpriced_total"]] == [1]


def test_tries_that_another_target_had_to_make_good_are_counted():
    found = taken(record(route=("gpu/llama", "hosted/gpt-5-mini")))

    assert found["switchgear_failed_tries_total"] == [({"target": "gpu/llama"}, 1)]


def test_a_histogram_is_cumulative_and_its_last_bucket_is_its_count():
    histogram = Histogram("seconds", "Help.", (1, 2), ("model",))
    for value in (0.5, 1, 1.5, 5):
        histogram.observe(("m",), value)
    found = samples(CallMetrics((histogram,)))

    assert [(labels["le"], value) for labels, value in found["seconds_bucket"]] == [("1", 2), ("2", 3), ("+Inf", 4)]
    assert found["seconds_sum"] == [({"model": "m"}, 8)]
    assert found["seconds_count"] == [({"model": "m"}, 4)]


def test_the_time_spent_here_is_told_apart_from_waiting_for_the_upstream():
    found = taken(record(first_token=0.5, upstream=0.4))

    assert found["switchgear_overhead_seconds_sum"] == [({}, pytest.approx(0.1))]


def test_an_answer_of_a_form_is_counted_when_it_is_made_and_not_when_it_is_given_again():
    metrics = StructuredMetrics()
    metrics.take([record(structured="native; repairs=1", cache=status) for status in ("", "miss", "exact", "stale")])

    told = [line for metric in metrics.metrics for line in metric.render() if not line.startswith("#")]
    assert told == [
        'switchgear_structured_total{model="chat",step="native",outcome="valid"} 2',
        'switchgear_structured_repairs_total{model="chat",step="native"} 2',
    ]


def test_large_counts_are_exact():
    counter = Counter("tokens_total", "Help.", ("model",))
    counter.add(("m",), 123_456_789_012)

    assert list(counter.render()) == ['tokens_total{model="m"} 123456789012']


@given(st.text(max_size=40), st.text(max_size=40))
def test_hostile_names_neither_break_the_exposition_nor_change(model, target):
    found = taken(record(model=model, provider="p", served=target))
    ((labels, value),) = found["switchgear_calls_total"]

    assert (labels["model"], labels["target"], value) == (model, f"p/{target}", 1)


def test_a_lone_surrogate_does_not_take_the_metrics_down():
    assert taken(record(model="\ud800"))["switchgear_calls_total"][0][1] == 1


def test_names_from_outside_cannot_fill_the_memory():
    metrics = CallMetrics()
    metrics.take([record(model=f"m{number}") for number in range(MAX_SERIES + 100)])
    found = samples(metrics)
    calls = {labels["model"]: value for labels, value in found["switchgear_calls_total"]}

    assert len(calls) == MAX_SERIES + 1
    assert calls["(other)"] == 100
    assert sum(value for _, value in found["switchgear_call_seconds_count"]) == MAX_SERIES + 100


def test_the_process_says_how_much_it_holds():
    with_process = CallMetrics(process_metrics(version="1.2.3", started_at=1_700_000_000.0, writer=lambda: None))
    found = {name: values[0] for name, values in samples(with_process).items()}

    assert found["switchgear_build_info"][0]["version"] == "1.2.3"
    assert 5e6 < found["process_resident_memory_bytes"][1] < 1e10
    assert found["process_cpu_seconds_total"][1] > 0
    assert 3 <= found["process_open_fds"][1] <= found["process_max_fds"][1]
    assert found["process_start_time_seconds"][1] == 1_700_000_000.0
    assert found["switchgear_log_lines_dropped_total"][1] == 0


def test_lost_log_lines_are_a_metric():
    writer = LineWriter(2, max_bytes=0)
    writer.write(b"lost\n")
    metrics = CallMetrics(process_metrics(version="1", started_at=0.0, writer=lambda: writer))

    assert samples(metrics)["switchgear_log_lines_dropped_total"] == [({}, 1)]


def test_every_family_has_help_and_a_type_that_prometheus_knows():
    metrics = CallMetrics(process_metrics(version="1", started_at=0.0, writer=lambda: None))
    metrics.take([record(route=("a/b", "hosted/gpt-5-mini")), record(cost=None)])
    families = list(text_string_to_metric_families(metrics.render().decode()))

    assert len(families) == len(metrics.metrics)
    assert all(family.documentation and family.type in {"counter", "gauge", "histogram"} for family in families)


def test_a_counter_that_somebody_else_keeps_is_a_counter():
    metrics = CallMetrics((Reading("lost_total", "Help.", lambda: {(): 3.5}, kind="counter"),))

    assert samples(metrics)["lost_total"] == [({}, 3.5)]


def test_metrics_and_log_line_of_a_call_are_cheap():
    """The budget is 12 µs together on a quiet core (8 were measured); the best of many batches, and room for a slow one."""
    metrics, log = CallMetrics(), JsonCallLog(lambda lines: None)
    batch = [record(id=f"call_{number}", model=f"m{number % 5}") for number in range(200)]
    best = float("inf")
    for _ in range(20):
        began = time.thread_time()
        metrics.take(batch)
        log.take(batch)
        best = min(best, (time.thread_time() - began) / len(batch))

    assert best < 30e-6
