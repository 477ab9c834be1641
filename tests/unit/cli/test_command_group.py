import click
import pytest
from click.testing import CliRunner

from gateway import __version__
from gateway.cli.embedding_models import makes_embeddings
from gateway.cli.main import cli
from gateway.cli.options import GatewayUrl, default_config

COMMANDS = cli.list_commands(click.Context(cli))


def run(*args: str):
    return CliRunner().invoke(cli, args, prog_name="switchgear")


def test_without_arguments_it_helps_and_succeeds():
    done = run()

    assert done.exit_code == 0
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps(command, flag):
    done = run(command, flag)

    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: switchgear {command}")


def test_every_name_in_the_list_is_a_command():
    assert all(isinstance(cli.get_command(click.Context(cli), name), click.Command) for name in COMMANDS)
    assert cli.get_command(click.Context(cli), "sevre") is None


@pytest.mark.parametrize(("typed", "meant"), [("srve", "serve"), ("model", "models"), ("chek", "check")])
def test_an_unknown_command_names_a_near_one(typed, meant):
    done = run(typed)

    assert done.exit_code == 2
    assert f"'{meant}'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("args", [["version"], ["--version"]])
def test_it_knows_its_version(args):
    assert run(*args).stdout == f"switchgear {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://h:1/", "http://h:1"),
        ("https://h/gate/v1/", "https://h/gate"),
    ],
)
def test_an_address_may_be_written_as_clients_write_it(typed, url):
    assert GatewayUrl().convert(typed, None, None) == url


@pytest.mark.parametrize("typed", ["ftp://h", "http://", "h:port", "http://me:secret@h", ""])
def test_what_is_no_address_is_a_usage_error(typed):
    done = run("models", "--url", typed)

    assert done.exit_code == 2
    assert "Invalid value for '--url'" in done.stderr
    assert "secret" not in done.stderr


def test_a_configuration_in_this_directory_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(default_config()) == "config/switchgear.yaml"

    (tmp_path / "switchgear.yaml").touch()
    assert str(default_config()) == "switchgear.yaml"

    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "switchgear.yaml").touch()
    assert str(default_config()) == "config/switchgear.yaml"


@pytest.mark.parametrize(
    "model", ["text-embedding-3-small", "all-minilm-l6-v2", "BAAI/bge-m3", "omni-moderation-latest"]
)
def test_models_that_do_not_chat_are_told_by_their_names(model):
    assert makes_embeddings(model)


@pytest.mark.parametrize("model", ["smollm2-135m-instruct", "gpt-5-mini", "abge-3", "meta-llama/Llama-3.1-8B-Instruct"])
def test_models_that_chat_are_not(model):
    assert not makes_embeddings(model)
