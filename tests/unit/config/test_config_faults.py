"""Every way in which a configuration can be wrong is told, with its line and its path, all in one go."""

import os

import pytest

from gateway.config import ConfigError, load

LOCAL = "providers: {local: {kind: embedded}}\n"
SMALL = "models: {small: local/all-minilm-l6-v2}\n"

# (document, line, path, part of the message)
FAULTS = [
    ("modles: {}\n" + LOCAL + SMALL, 1, "modles", "unknown key 'modles'; did you mean 'models'?"),
    (LOCAL + SMALL + "server:\n  prot: 1\n", 4, "server.prot", "did you mean 'port'?"),
    (LOCAL + SMALL + "server:\n  zzz: 1\n", 4, "server.zzz", "known: host, port, keys"),
    (LOCAL, 1, "", "missing key 'models'"),
    (SMALL, 1, "", "missing key 'providers'"),
    (LOCAL + "models: {}\n", 2, "models", "at least one entry"),
    (LOCAL + "models:\n", 2, "models", "at least one entry"),
    ("providers: {}\nmodels: {a: b/c}\n", 1, "providers", "at least one entry"),
    (LOCAL + SMALL + "server: [1]\n", 3, "server", "expected a mapping, found a list"),
    ("- 1\n", 1, "", "expected a mapping, found a list"),
    ("just text\n", 1, "", "expected a mapping, found text"),
    (LOCAL + SMALL + "server:\n  port: '80'\n", 4, "server.port", "expected a whole number, found text"),
    (LOCAL + SMALL + "server:\n  port: 80.5\n", 4, "server.port", "expected a whole number, found a number"),
    (LOCAL + SMALL + "server:\n  port: true\n", 4, "server.port", "expected a whole number, found true or false"),
    (LOCAL + SMALL + "server:\n  port: 70000\n", 4, "server.port", "at least 0 and at most 65535"),
    (LOCAL + SMALL + "server:\n  port: -1\n", 4, "server.port", "at least 0"),
    (LOCAL + SMALL + "server: {drain_timeout: .inf}\n", 3, "server.drain_timeout", "at most 86400"),
    (LOCAL + SMALL + "server: {drain_timeout: .nan}\n", 3, "server.drain_timeout", "expected a number of"),
    (LOCAL + SMALL + "server: {host: ''}\n", 3, "server.host", "must not be empty"),
    (LOCAL + SMALL + "server: {host: 'http://x'}\n", 3, "server.host", "an IP address or a host name"),
    (LOCAL + SMALL + "server: {host: 0.0.0.0}\n", 3, "server.host", "set server.keys"),
    (LOCAL + SMALL + "server: {host: gpu-box}\n", 3, "server.host", "server.host to 127.0.0.1"),
    (LOCAL + SMALL + "server: {keys: 'env:K'}\n", 3, "server.keys", "expected a list, found text"),
    (LOCAL + SMALL + "logging: {level: warn}\n", 3, "logging.level", "did you mean 'warning'?"),
    (LOCAL + SMALL + "logging: {calls: 1}\n", 3, "logging.calls", "expected true or false, found a whole number"),
    (LOCAL + SMALL + "telemetry:\n  otlp: {endpoint: 'localhost:4318'}\n", 4, "telemetry.otlp.endpoint", "http://"),
    (LOCAL + SMALL + "telemetry:\n  otlp: {}\n", 4, "telemetry.otlp", "missing key 'endpoint'"),
    (LOCAL + SMALL + "prices:\n  x: {input: -1}\n", 4, "prices.x.input", "at least 0"),
    (LOCAL + "models:\n  a: lokal/x\n", 3, "models.a", "no provider is named 'lokal'; did you mean 'local'?"),
    (LOCAL + "models:\n  a: zz/x\n", 3, "models.a", "no provider is named 'zz' (known: local)"),
    (LOCAL + "models:\n  a: nonsense\n", 3, "models.a", "expected provider/model"),
    (LOCAL + "models:\n  a: /x\n", 3, "models.a", "expected provider/model"),
    (LOCAL + "models:\n  a: 7\n", 3, "models.a", "expected a mapping, found a whole number"),
    (LOCAL + "models:\n  a: {targets: []}\n", 3, "models.a.targets", "at least one item"),
    (LOCAL + "models:\n  a: {targets: [{provider: local}]}\n", 3, "models.a.targets[0]", "missing key 'model'"),
    (
        LOCAL
        + "models:\n  a:\n    targets:\n      - {provider: local, model: x}\n      - {provider: no, model: 7.5}\n",
        6,
        "models.a.targets[1].model",
        "expected text, found a number; put it in quotes",
    ),
    (
        LOCAL + "models:\n  gpt-4.1:\n    targets:\n      - provider: loc\n        model: x\n",
        5,
        'models["gpt-4.1"].targets[0].provider',
        "no provider is named 'loc'",
    ),
    (LOCAL + "models:\n  a: local/gpt4\n", 3, "models.a", "provider 'local' has no model 'gpt4' (it has: smollm2-135m"),
    (LOCAL + "models:\n  a: local/all-minilm\n", 3, "models.a", "; did you mean 'all-minilm-l6-v2'?"),
    (
        LOCAL + "models:\n  a:\n    targets:\n      - provider: local\n        model: gpt4\n",
        6,
        "models.a.targets[0].model",
        "has no model 'gpt4'",
    ),
    (
        "providers: {p: {kind: embedded, chat_model: 'off', embedding: false}}\nmodels:\n  a: p/x\n",
        3,
        "models.a",
        "(it has: none)",
    ),
    (LOCAL + "models:\n  agent/x: local/y\n", 3, "models.agent/x", "kept for agents"),
    (LOCAL + "models:\n  two words: local/y\n", 3, 'models["two words"]', "visible ASCII"),
    ("providers:\n  a/b: {kind: embedded}\nmodels: {m: a/b}\n", 2, "providers.a/b", "as the key"),
    ("providers:\n  a: {}\nmodels: {m: a/b}\n", 2, "providers.a", "missing key 'kind': one of embedded, openai"),
    ("providers:\n  a: {kind: vlm}\nmodels: {m: a/b}\n", 2, "providers.a.kind", "did you mean 'vllm'?"),
    ("providers:\n  a: {kind: [x]}\nmodels: {m: a/b}\n", 2, "providers.a.kind", "expected one of"),
    ("providers:\n  a: embedded\nmodels: {m: a/b}\n", 2, "providers.a", "a mapping with a kind, found text"),
]


@pytest.mark.parametrize(("text", "line", "path", "message"), FAULTS)
def test_a_fault_is_told_with_its_line_and_path(configuration, text, line, path, message):
    faults = configuration.faults(text)

    assert [(fault.line, fault.path) for fault in faults if message in fault.message] == [(line, path)], faults


PROVIDER_FAULTS = [
    ("kind: openai", "p", "set the environment variable OPENAI_API_KEY"),
    ("kind: anthropic", "p", "set the environment variable ANTHROPIC_API_KEY"),
    ("kind: xai", "p", "set the environment variable XAI_API_KEY"),
    ("kind: openai_compatible", "p", "missing key 'base_url'"),
    ("kind: azure, api_key: 'env:KEY'", "p", "missing key 'base_url'"),
    ("kind: ollama, base_url: 'ftp://x'", "p.base_url", "http://"),
    ("kind: ollama, base_url: 'http://user:pw@x/v1'", "p.base_url", "without user, password"),
    ("kind: ollama, base_url: 'http://x:99999/v1'", "p.base_url", "http://"),
    ("kind: ollama, base_url: 'http://[::1'", "p.base_url", "http://"),
    ("kind: ollama, api_key: 'env:KEY', api_keys: ['env:KEY']", "p.api_keys", "either api_key or api_keys"),
    ("kind: ollama, proxy: 'http://x:1'", "p.proxy", "http: httpx2"),
    ("kind: ollama, apis: []", "p.apis", "at least one item"),
    ("kind: ollama, apis: [chat, chta]", "p.apis[1]", "did you mean 'chat'?"),
    ("kind: ollama, azure_api_version: '2024-10-21'", "p.azure_api_version", "only kind azure"),
    ("kind: ollama, headers: {'bad name': x}", 'p.headers["bad name"]', "a header name"),
    ('kind: ollama, headers: {x: "a\\r\\nb: c"}', "p.headers.x", "on one line"),
    ("kind: ollama, headers: {X-A: b, x-a: c}", "p.headers.x-a", "case does not count"),
    ("kind: ollama, headers: {Authorization: Bearer abc}", "p.headers.Authorization", "carries a credential"),
    ("kind: ollama, connections: 0", "p.connections", "at least 1"),
    ("kind: ollama, timeouts: {total: 0}", "p.timeouts.total", "more than 0"),
    ("kind: ollama, base_url: 'http://localhost:8080/v1'", "p.base_url", "Switchgear itself listens on"),
    ("kind: llamacpp", "p", "Switchgear itself listens on"),
    ("kind: embedded, chat_model_path: nowhere.gguf", "p.chat_model_path", "does not exist"),
    ("kind: embedded, chat_model_path: .", "p.chat_model_path", "is not a file"),
    ("kind: embedded, chat_model_path: '~/x'", "p.chat_model_path", "HOME, which is not set"),
    ("kind: embedded, chat_model_path: '~other/x'", "p.chat_model_path", "~name is not supported"),
    ('kind: embedded, chat_model_path: "a\\0b"', "p.chat_model_path", "expected a file path"),
    ("kind: embedded, chat_model_path: [a]", "p.chat_model_path", "expected a file path, found a list"),
    (f"kind: embedded, chat_model_path: {'x' * 5000}", "p.chat_model_path", "cannot be looked at"),
    ("kind: embedded, api_key: 'env:KEY'", "p.api_key", "unknown key"),
    ("kind: scripted", "p", "missing key 'document'"),
    ("kind: scripted, document: nowhere.yaml", "p.document", "does not exist"),
    ("kind: litellm, provider: cohere", "p", "missing key 'api_base'"),
    ("kind: vllm, spawn: {model: m}", "p.spawn", "missing key 'python'"),
    ("kind: vllm, spawn: {model: m, python: nowhere}", "p.spawn.python", "does not exist"),
    ("kind: vllm, base_url: 'http://x', spawn: {model: m, python: switchgear.yaml}", "p.base_url", "remove base_url"),
]


@pytest.mark.parametrize(("inside", "path", "message"), PROVIDER_FAULTS)
def test_a_fault_of_a_provider_is_told_with_its_path(provider_faults, inside, path, message):
    faults = provider_faults(inside, {"KEY": "k"})

    assert len(faults) == 1, faults
    assert faults[0][0] == f"providers.{path}"
    assert message in faults[0][1]


def test_all_faults_are_told_at_once_in_the_order_of_the_file(configuration):
    faults = configuration.faults(
        """\
        server: {host: 'http://x', port: eighty}
        modles: {}
        providers:
          local: {kind: embeded}
          hosted: {kind: openai, api_key: sk-literal}
          other: {kind: groq}
        models:
          small: locale/x
          chat:
            targets:
              - {provider: hosted}
              - {provider: hostd, model: 7}
          chat: hosted/x
        """
    )

    assert [(fault.line, fault.path) for fault in faults] == [
        (1, "server.host"),
        (1, "server.port"),
        (2, "modles"),
        (4, "providers.local.kind"),
        (5, "providers.hosted.api_key"),
        (6, "providers.other"),
        (8, "models.small"),
        (11, "models.chat.targets[0]"),
        (12, "models.chat.targets[1].provider"),
        (12, "models.chat.targets[1].model"),
        (13, "models.chat"),
    ]


def test_a_fault_does_not_bring_others_that_are_only_its_shadow(configuration):
    text = "server: {port: x}\nproviders: {p: {kind: llamacpp}}\nmodels: {m: p/x}\n"

    assert [fault.path for fault in configuration.faults(text)] == ["server.port"]


def test_an_error_reads_as_file_line_path_and_message(configuration):
    with pytest.raises(ConfigError) as caught:
        configuration.load(LOCAL + SMALL + "server: {port: x}\n")

    assert str(caught.value) == f"{configuration.path}:3: server.port: expected a whole number, found text"


@pytest.mark.parametrize("value", ["!!int 8080", '!!int "8080"', "!!str 8080", "!mine eighty"])
def test_a_refused_tag_is_the_only_fault_of_its_value(configuration, value):
    (fault,) = configuration.faults(LOCAL + SMALL + f"server: {{port: {value}}}\n")

    assert (fault.path, fault.line) == ("server.port", 3)
    assert "tags" in fault.message


@pytest.mark.parametrize(
    ("option", "value", "beginning"),
    [
        ("port", 70000, "--port 70000: server.port: expected a whole number of"),
        ("host", "0.0.0.0", "--host 0.0.0.0: server.host: without keys, anyone"),
    ],
)
def test_a_fault_of_the_command_line_does_not_blame_the_file(configuration, option, value, beginning):
    (fault,) = configuration.faults(LOCAL + SMALL, overrides={("server", option): value})

    assert str(fault).startswith(beginning)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "directory"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"# only a remark\n"), "is empty"),
        (lambda path: path.write_bytes(b"a: 1\nb: \xff\n"), "not UTF-8"),
        (lambda path: path.write_bytes(b"#" * (1024 * 1024 + 1)), "larger than 1,048,576 bytes"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_clearly(tmp_path, make, message):
    path = tmp_path / "switchgear.yaml"
    make(path)

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    (fault,) = caught.value.faults
    assert message in fault.message
    assert fault.file == str(path)


def test_a_file_that_is_no_model_is_told_at_the_line_that_names_it(configuration):
    (configuration.path.parent / "x.gguf").write_text("text")
    text = "providers:\n  p:\n    kind: embedded\n    chat_model: x\n    chat_model_path: x.gguf\nmodels: {m: p/x}\n"

    (fault,) = configuration.faults(text)

    assert (fault.line, fault.path) == (5, "providers.p.chat_model_path")
    assert fault.message == "'x.gguf' is not a GGUF file"


def test_a_file_that_begins_like_a_model_is_taken(configuration):
    (configuration.path.parent / "x.gguf").write_bytes(b"GGUF...")
    inside = "kind: embedded, chat_model: x, chat_model_path: x.gguf"

    assert configuration.load(f"providers: {{p: {{{inside}}}}}\nmodels: {{m: p/x}}\n").providers["p"].served[0] == "x"
