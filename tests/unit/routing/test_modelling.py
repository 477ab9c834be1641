"""What is known of a target comes from the built-in table, and from the configuration where that knows better."""

import pytest

from gateway.accounting.prices import open_prices
from gateway.config import load
from gateway.modelling import modelled

CONFIG = """
providers:
  openai: {{kind: openai, api_key: "env:KEY"}}
  gpu: {{kind: openai_compatible, base_url: "http://10.0.0.1/v1", timeouts: {{idle: 7}}}}
routing: {{strategy: latency}}
models:
  m:
    targets:
      - {{provider: openai, model: gpt-3.5-turbo{written}}}
      - {{provider: gpu, model: own}}
"""


@pytest.fixture
def built(tmp_path):
    def build(written=""):
        path = tmp_path / "switchgear.yaml"
        path.write_text(CONFIG.format(written=written))
        settings = load(path, {"KEY": "sk-of-a-test-only"})
        return modelled(settings, open_prices(settings))["m"]

    return build


def test_the_table_knows_what_a_model_lacks_and_how_much_fits(built):
    known = built().abilities["openai/gpt-3.5-turbo"]

    assert known.lacks == {"vision", "audio", "documents"}
    assert known.context == 16385


def test_the_configuration_knows_better(built):
    known = built(", abilities: {vision: true, json_schema: false, context: 4096}").abilities["openai/gpt-3.5-turbo"]

    assert known.lacks == {"audio", "documents", "json_schema"}
    assert known.context == 4096


def test_of_what_is_in_no_table_nothing_is_known(built):
    assert not built().abilities["gpu/own"].limited


def test_targets_have_their_providers_timeouts_and_models_the_routing_of_all(built):
    model = built()

    assert [target.timeouts.idle for target in model.targets] == [60, 7]
    assert model.plan.strategy == "latency"
    assert model.plan.weights == (1, 1)
