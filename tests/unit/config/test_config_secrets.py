"""A secret is used and never shown: not in settings, faults, differences, dumps or copies."""

import copy
import pickle
from pathlib import Path

import msgspec
import pytest

from gateway.config import ConfigError, Secret, diff, reveal
from gateway.config.secret import read_secret

VALUE = "sk-live-0123456789"
PROVIDERS = "providers: {{p: {{kind: openai, api_key: {}}}}}\nmodels: {{m: p/x}}\n"


def test_a_secret_comes_from_a_variable(configuration):
    provider = configuration.load(PROVIDERS.format("env:MY_KEY"), {"MY_KEY": VALUE}).providers["p"]

    assert provider.api_key.reveal() == VALUE
    assert provider.api_key.source == "env:MY_KEY"


def test_a_secret_comes_from_a_file_without_its_last_newline(configuration, tmp_path):
    (tmp_path / "key").write_text(f"{VALUE}\n")

    assert configuration.load(PROVIDERS.format("file:key")).providers["p"].api_key.reveal() == VALUE


def test_settings_print_without_their_secrets(configuration):
    settings = configuration.load(PROVIDERS.format("env:MY_KEY"), {"MY_KEY": VALUE})

    assert VALUE not in repr(settings)
    assert "Secret(env:MY_KEY)" in repr(settings)
    assert VALUE not in f"{settings.providers['p'].api_key}"


def test_settings_are_not_written_out_with_their_secrets(configuration):
    settings = configuration.load(PROVIDERS.format("env:MY_KEY"), {"MY_KEY": VALUE})

    assert VALUE.encode() not in msgspec.json.encode(settings, enc_hook=str)
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)
    with pytest.raises(TypeError):
        pickle.dumps(settings.providers["p"].api_key)
    assert copy.deepcopy(settings) == settings


@pytest.mark.parametrize(
    "literal", [VALUE, f"env:{VALUE}", f"Env:{VALUE}", "12345678", f"[{VALUE}]", f"{{a: {VALUE}}}"]
)
def test_a_literal_secret_is_refused_and_not_repeated(configuration, literal):
    with pytest.raises(ConfigError) as caught:
        configuration.load(PROVIDERS.format(literal))

    (fault,) = caught.value.faults
    assert (fault.line, fault.path) == (1, "providers.p.api_key")
    assert "env:" in fault.message
    assert VALUE not in str(caught.value)
    assert "12345678" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "environ", "message"),
    [
        ("env:MISSING", {}, "the environment variable MISSING is not set"),
        ("env:EMPTY", {"EMPTY": "  "}, "the environment variable EMPTY is empty"),
        ("env:SPACED", {"SPACED": f"{VALUE} x"}, "holds spaces"),
        ("env:LINES", {"LINES": f"{VALUE}\r\nx: y"}, "holds spaces, line breaks"),
        ("env:WIDE", {"WIDE": f"{VALUE}é"}, "outside ASCII"),
        ("env:", {}, "the name of an environment variable"),
        ("file:nowhere", {}, "does not exist"),
        ("file:.", {}, "no regular file"),
        ("file:binary", {}, "is not UTF-8 text"),
        ("file:large", {}, "larger than"),
        ("file:empty", {}, "is empty"),
        ("'file:'", {}, "expected a file path"),
    ],
)
def test_a_secret_that_leads_nowhere_is_told_without_its_value(configuration, tmp_path, reference, environ, message):
    (tmp_path / "binary").write_bytes(b"\xff" + VALUE.encode())
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    (tmp_path / "empty").touch()

    (fault,) = configuration.faults(PROVIDERS.format(reference if ":" in reference[:-1] else f"'{reference}'"), environ)

    assert message in fault.message
    assert VALUE not in str(fault)


def test_a_customary_variable_with_an_unusable_value_is_told(configuration):
    (fault,) = configuration.faults(
        "providers: {p: {kind: openai}}\nmodels: {m: p/x}\n", {"OPENAI_API_KEY": f"{VALUE} x"}
    )

    assert "the key from env:OPENAI_API_KEY holds spaces" in fault.message
    assert VALUE not in str(fault)


def test_a_header_may_be_text_or_a_secret(provider):
    settings = provider("kind: ollama, headers: {x-team: research, x-token: 'env:TOKEN'}", {"TOKEN": VALUE})

    assert {name: reveal(value) for name, value in settings.headers.items()} == {"x-team": "research", "x-token": VALUE}
    assert VALUE not in repr(settings)


def test_a_secret_header_cannot_smuggle_a_second_one(provider_faults):
    ((path, message),) = provider_faults("kind: ollama, headers: {x: 'env:TOKEN'}", {"TOKEN": f"a\r\nb: {VALUE}"})

    assert path == "providers.p.headers.x"
    assert "on one line" in message
    assert VALUE not in message


def test_a_proxy_with_a_password_is_written_as_a_secret(provider, provider_faults):
    settings = provider("kind: ollama, http: httpx2, proxy: 'env:PROXY'", {"PROXY": f"http://me:{VALUE}@proxy:3128"})

    assert reveal(settings.proxy) == f"http://me:{VALUE}@proxy:3128"
    assert VALUE not in repr(settings)
    ((path, message),) = provider_faults(f"kind: ollama, http: httpx2, proxy: 'http://me:{VALUE}@proxy:3128'")
    assert path == "providers.p.proxy"
    assert VALUE not in message


def test_a_secret_of_several_lines_may_be_an_argument_of_litellm(provider):
    credentials = '{\n  "type": "service_account"\n}'

    settings = provider(
        "kind: litellm, provider: vertex_ai, api_base: 'https://x.example', extra: {vertex_credentials: 'env:ACCOUNT'}",
        {"ACCOUNT": credentials},
    )

    assert reveal(settings.extra["vertex_credentials"]) == credentials


def test_a_changed_secret_is_a_change_that_shows_nothing(configuration):
    old = configuration.load(PROVIDERS.format("env:MY_KEY"), {"MY_KEY": VALUE})
    new = configuration.load(PROVIDERS.format("env:MY_KEY"), {"MY_KEY": VALUE + "9"})

    (change,) = diff(old, new)

    assert (change.path, change.kind) == ("providers.p.api_key", "changed")
    assert VALUE not in repr(change)


def test_secrets_are_equal_when_source_and_value_are():
    assert Secret("a", source="env:A") == Secret("a", source="env:A")
    assert Secret("a", source="env:A") != Secret("b", source="env:A")
    assert Secret("a", source="env:A") != "a"
    assert len({Secret("a", source="env:A"), Secret("a", source="env:A")}) == 1


def test_an_unreadable_text_is_no_secret():
    with pytest.raises(ValueError, match="env:NAME"):
        read_secret(VALUE, base=Path("/"), environ={})
