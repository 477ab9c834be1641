"""Caches that could never work are refused when they are read, with the line."""

import pytest

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
  vectors: {kind: openai_compatible, base_url: "http://10.0.0.1/v1", apis: [embeddings]}
  here: {kind: embedded}
models:
  embed: here/all-minilm-l6-v2
"""
MODEL = "  a: {targets: [{provider: up, model: m}], %s}\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (MODEL % "cache: semantic", 7, "models.a.cache: similar questions are found by an embedding model"),
        ("cache: {models: semantic}\n", 7, "cache.models: similar questions are found by an embedding model"),
        (
            "  v: {targets: [{provider: vectors, model: m}], cache: semantic}\ncache: {embedding: embed}\n",
            7,
            "models.v.cache: this model only embeds",
        ),
        (
            "  v: {targets: [{provider: here, model: all-minilm-l6-v2}], cache: semantic}\ncache: {embedding: embed}\n",
            7,
            "models.v.cache: this model only embeds",
        ),
        (
            MODEL % "cache: {mode: semantic, semantic: {verifier: {model: a}}}" + "cache: {embedding: embed}\n",
            7,
            "the model 'a' has a cache of similar questions itself",
        ),
        (
            MODEL % "cache: {mode: semantic, semantic: {audit: {model: a}}}" + "cache: {embedding: embed}\n",
            7,
            "the model 'a' has a cache of similar questions itself",
        ),
        (MODEL % "routing: {degrade: [stale]}", 7, "models.a.routing.degrade[0]: this model keeps no old answers"),
        (MODEL % "cache: exact, routing: {degrade: [stale]}", 7, "this model keeps no old answers"),
        (MODEL % "cache: off, routing: {degrade: [stale]}", 7, "this model keeps no old answers"),
        (
            MODEL % "cache: exact" + "routing: {degrade: [stale]}\n",
            8,
            "routing.degrade[0]: no model has a cache with stale_if_error",
        ),
        (MODEL % "cache: {ttl: 0}", 7, "cache.ttl"),
        (MODEL % "cache: maybe", 7, "models.a.cache"),
        (MODEL % "cache: {mode: exact, tlt: 5}", 7, "tlt"),
        ("cache: {embedding: nobody}\n", 7, "cache.embedding"),
        ("cache: {bytes: 5}\n", 7, "cache.bytes"),
    ],
)
def test_what_could_never_work_is_refused_with_its_line(configuration, text, line, said):
    faults = configuration.faults(HEAD + text)

    assert any(fault.line == line and said in f"{fault.path}: {fault.message}" for fault in faults), faults


@pytest.mark.parametrize(
    "text",
    [
        MODEL % "cache: exact",
        MODEL % "cache: off",
        MODEL % "cache: {mode: exact, stale_if_error: 60}, routing: {degrade: [{model: embed}, stale]}",
        MODEL % "routing: {degrade: [stale]}" + "cache: {models: {stale_if_error: 60}}\n",
        MODEL % "cache: {stale_if_error: 5}" + "routing: {degrade: [stale]}\n",
        MODEL % "cache: semantic" + "cache: {embedding: embed}\n",
        MODEL % "cache: exact" + "cache: {embedding: embed, models: semantic}\n",
        "cache: {models: exact, bytes: 1048576}\n",
    ],
)
def test_what_works_is_taken(configuration, text):
    assert configuration.load(HEAD + text).models
