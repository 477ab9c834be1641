"""What a good configuration becomes."""

import base64
import re

import msgspec
import pytest

from gateway.config import (
    AnthropicSettings,
    EmbeddedSettings,
    LitellmSettings,
    OpenAISettings,
    ScriptedSettings,
    ServerSettings,
    VllmSettings,
    load,
    starter_text,
)
from gateway.config.presets import PRESETS

MINIMAL = "providers: {local: {kind: embedded}}\nmodels: {small: local/smollm2-135m-instruct}\n"


def test_the_shipped_configuration_is_the_embedded_default(pytestconfig):
    settings = load(pytestconfig.rootpath / "config/switchgear.yaml", {})

    assert settings.providers == {"local": EmbeddedSettings()}
    assert {name: model.targets[0].model for name, model in settings.models.items()} == {
        "small": "smollm2-135m-instruct",
        "embed": "all-minilm-l6-v2",
    }


def test_what_is_not_written_has_its_documented_default(configuration):
    settings = configuration.load(MINIMAL)

    assert settings.server == ServerSettings()
    assert (settings.server.host, settings.server.port, settings.server.keys) == ("127.0.0.1", 8080, ())
    assert settings.server.limits.body_bytes == 32 * 1024 * 1024
    assert settings.telemetry.otlp is None
    assert settings.prices == {}


def test_a_section_left_empty_has_its_defaults(configuration):
    assert configuration.load(f"server:\nlogging:\nprices:\n{MINIMAL}") == configuration.load(MINIMAL)


def test_a_shorthand_is_one_target_split_at_the_first_slash(configuration):
    text = "providers: {gpu: {kind: vllm}}\nmodels: {chat: gpu/meta-llama/Llama-3.1-8B-Instruct}\n"

    (target,) = configuration.load(text).models["chat"].targets

    assert (target.provider, target.model) == ("gpu", "meta-llama/Llama-3.1-8B-Instruct")


def test_the_long_form_keeps_the_order_of_targets_and_their_timeouts(configuration):
    model = configuration.load(
        """
        providers: {a: {kind: lmstudio}, b: {kind: ollama}}
        models:
          chat:
            on_unsupported: drop
            targets:
              - {provider: b, model: x, timeouts: {total: 5}}
              - {provider: a, model: y}
        """
    ).models["chat"]

    assert [target.provider for target in model.targets] == ["b", "a"]
    assert model.targets[0].timeouts.total == 5.0
    assert model.targets[1].timeouts is None
    assert model.on_unsupported == "drop"


def test_whole_numbers_are_taken_where_seconds_are_asked_and_become_floats(configuration):
    drain = configuration.load(f"server: {{drain_timeout: 5}}\n{MINIMAL}").server.drain_timeout

    assert (drain, type(drain)) == (5.0, float)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: embedded, chat_model: x", EmbeddedSettings),
        ("kind: vllm", VllmSettings),
        ("kind: anthropic, api_key: 'env:KEY'", AnthropicSettings),
        ("kind: litellm, provider: cohere, api_base: 'https://api.cohere.com'", LitellmSettings),
        ("kind: groq, api_key: 'env:KEY'", OpenAISettings),
    ],
)
def test_the_kind_chooses_the_settings(provider, text, expected):
    assert type(provider(text, {"KEY": "k"})) is expected


OPENAI_KINDS = [kind for kind in PRESETS if kind not in {"anthropic", "vllm"}]


@pytest.mark.parametrize("kind", OPENAI_KINDS)
def test_a_preset_gives_address_apis_and_key_where_nothing_is_written(configuration, kind):
    preset = PRESETS[kind]
    address = "" if preset.base_url else ", base_url: 'https://example.com/v1'"

    text = f"server: {{port: 9999}}\nproviders: {{p: {{kind: {kind}{address}}}}}\nmodels: {{m: p/x}}\n"

    settings = configuration.load(text, {preset.key_variable or "UNUSED": "the-key"}).providers["p"]

    assert settings.endpoint == (preset.base_url or "https://example.com/v1")
    assert settings.spoken_apis == preset.apis
    assert [key.reveal() for key in settings.keys] == (["the-key"] if preset.key_variable else [])


@pytest.mark.parametrize("kind", ["ollama", "lmstudio", "llamacpp", "vllm"])
def test_local_servers_need_no_key(configuration, kind):
    text = f"server: {{port: 9999}}\nproviders: {{p: {{kind: {kind}}}}}\nmodels: {{m: p/x}}\n"

    assert configuration.load(text).providers["p"].keys == ()


def test_written_keys_address_and_apis_overrule_the_preset(provider):
    settings = provider(
        "kind: openai, base_url: 'https://proxy.example/v1/', apis: [chat], api_keys: ['env:A', 'env:B']",
        {"A": "a", "B": "b", "OPENAI_API_KEY": "preset"},
    )

    assert settings.endpoint == "https://proxy.example/v1"
    assert settings.spoken_apis == ("chat",)
    assert [key.reveal() for key in settings.keys] == ["a", "b"]


def test_a_credential_in_the_headers_stands_for_a_key(provider):
    settings = provider("kind: openai, headers: {Authorization: 'env:AUTH'}", {"AUTH": "Bearer x y"})

    assert settings.keys == ()


def test_a_spawned_vllm_is_reached_at_its_own_port(provider, tmp_path):
    (tmp_path / "python").touch()

    settings = provider("kind: vllm, spawn: {python: python, model: some/model, port: 8123}")

    assert settings.endpoint == "http://127.0.0.1:8123/v1"


def test_files_are_relative_to_the_configuration_or_to_home(configuration, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/script.yaml").touch()
    text = "providers: {{p: {{kind: scripted, document: {}}}}}\nmodels: {{m: p/x}}\n"

    relative = configuration.load(text.format("home/script.yaml"))
    in_home = configuration.load(text.format("'~/script.yaml'"), {"HOME": str(tmp_path / "home")})

    assert relative.providers == {"p": ScriptedSettings(document=tmp_path / "home/script.yaml")}
    assert relative == in_home


def test_a_link_to_an_interpreter_is_kept_because_the_environment_is_where_the_link_is(provider, tmp_path):
    (tmp_path / "real").touch()
    (tmp_path / "python").symlink_to(tmp_path / "real")

    assert provider("kind: vllm, spawn: {python: python, model: m}").spawn.python == tmp_path / "python"


def test_the_command_line_overrules_the_file_before_anything_is_checked(configuration):
    text = f"server: {{host: 0.0.0.0}}\n{MINIMAL}"

    settings = configuration.load(text, overrides={("server", "host"): "127.0.0.1", ("server", "port"): 9000})

    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 9000)


def test_settings_cannot_be_changed(configuration):
    with pytest.raises(AttributeError):
        configuration.load(MINIMAL).server.port = 1


def test_the_starting_configuration_loads_as_it_is(configuration):
    assert max(map(len, starter_text().splitlines())) <= 125
    assert configuration.load(starter_text()) == configuration.load(
        "providers: {local: {kind: embedded}}\n"
        "models: {small: local/smollm2-135m-instruct, embed: local/all-minilm-l6-v2}\n"
    )


def test_every_setting_of_the_starting_configuration_loads_once_uncommented(configuration, tmp_path):
    for name in ("models/another.gguf", "vllm-env/bin/python", "demo.yaml", "secrets/any_other.key"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("GGUF\n")  # a key, and what the file of a model begins with
    text = re.sub(r"^#(?! \S|$)", "", starter_text(), flags=re.MULTILINE)
    names = set(re.findall(r"env:([A-Z_0-9]+)", text)) | {preset.key_variable for preset in PRESETS.values()}

    # Long enough for a pepper, and 32 bytes in base64 for a master key.
    value = base64.b64encode(bytes(32)).decode()

    settings = configuration.load(text, {name: value for name in names if name})

    kinds = {msgspec.to_builtins(type(item).__name__) for item in settings.providers.values()}
    assert len(kinds) == 6
    assert settings.telemetry.otlp is not None
    assert len(settings.models["chat"].targets) == 2
    governed = ("database", "redis", "policies", "limits", "protection")
    assert [name for name in governed if not getattr(settings, name)] == []
