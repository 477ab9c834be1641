"""The load of a vLLM server is read off its metrics, or it is not known."""

import pytest

from gateway.core.errors import UpstreamBroken
from gateway.providers.vllm.load import Load, read_load

METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="smol"} 3.0
vllm:num_requests_running{engine="1",model_name="smol"} 2.0
vllm:num_requests_waiting{engine="0",model_name="smol"} 7.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="smol",reason="capacity"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="smol"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="smol"} 0.5
vllm:prefix_cache_hits_total{engine="0",model_name="smol"} 12.0
"""


def test_requests_of_all_engines_are_added_and_the_fullest_cache_counts():
    assert read_load(METRICS, at=12.5) == Load(running=5, waiting=7, kv_cache_usage=0.5, at=12.5)


def test_the_older_name_of_the_cache_is_understood():
    older = METRICS.replace("kv_cache_usage_perc", "gpu_cache_usage_perc")

    assert read_load(older, at=0).kv_cache_usage == 0.5


def test_a_number_that_is_none_counts_as_nothing():
    assert read_load(METRICS.replace("7.0", "NaN"), at=0).waiting == 0


def test_metrics_of_another_program_are_no_load():
    with pytest.raises(UpstreamBroken, match="does not look like vLLM"):
        read_load("# HELP up Whether.\nup 1\n", at=0)
