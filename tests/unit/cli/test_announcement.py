import json
import shlex
from pathlib import Path

import pytest

from gateway.cli.announcement import announcement
from gateway.config.load import parse

SCRIPT = Path(__file__).resolve().parents[3] / "examples" / "demo.yaml"


@pytest.fixture
def announced(tmp_path):
    """What a configuration announces, line by line."""
    (tmp_path / "my key").write_text("from-a-file")

    def announce(models: str, *, keys: str = "", host: str = "127.0.0.1", is_open: bool | None = None) -> list[str]:
        document = f"server: {{{keys}}}\nproviders: {{s: {{kind: scripted, document: {SCRIPT}}}}}\nmodels: {models}"
        settings = parse(document.encode(), tmp_path / "switchgear.yaml", {"SWITCHGEAR_KEY": "from-the-environment"})
        return announcement(settings, host, 8080, directory=tmp_path, is_open=is_open).splitlines()

    return announce


def body_of(curl: str) -> dict[str, object]:
    words = shlex.split(curl)
    return json.loads(words[words.index("-d") + 1])


def test_it_says_where_who_and_what(announced):
    lines = announced("{demo: s/demo}")

    assert lines[0] == (
        "Switchgear listens on http://127.0.0.1:8080 (no keys configured: open to everybody on this machine)"
    )
    assert lines[1].split() == ["model", "demo", "s/demo"]
    assert shlex.split(lines[-1])[:2] == ["curl", "http://127.0.0.1:8080/v1/chat/completions"]
    assert body_of(lines[-1])["model"] == "demo"


def test_with_a_database_it_says_what_the_first_key_is_for_and_what_closes_the_door(announced):
    kept = "127.0.0.1}\ndatabase: {kind: sqlite, path: d.db}\naccess: {bootstrap_key_file: first.key"
    lines = announced("{demo: s/demo}", keys=f"host: {kept}", is_open=True)

    assert lines[0].endswith(
        "(open to everybody on this machine until another key is made; administering takes the first key, in first.key)"
    )
    assert "keys are asked for" in announced("{demo: s/demo}", keys=f"host: {kept}", is_open=False)[0]


def test_what_listens_everywhere_is_tried_on_this_machine(announced):
    assert "http://0.0.0.0:8080" in announced("{demo: s/demo}", host="0.0.0.0")[0]
    assert "curl http://127.0.0.1:8080/" in announced("{demo: s/demo}", host="0.0.0.0")[-1]
    assert "curl 'http://[::1]:8080/" in announced("{demo: s/demo}", host="::")[-1]


def test_an_ipv6_address_is_in_brackets_that_no_shell_takes_for_a_pattern(announced):
    lines = announced("{demo: s/demo}", host="::1")

    assert "http://[::1]:8080" in lines[0]
    assert "'http://[::1]:8080/v1/chat/completions'" in lines[-1]


def test_the_key_comes_from_where_the_configuration_takes_it_and_is_not_shown(announced, tmp_path):
    from_variable = announced("{demo: s/demo}", keys='keys: ["env:SWITCHGEAR_KEY"]')
    from_file = announced("{demo: s/demo}", keys='keys: ["file:my key"]')

    assert '-H "authorization: Bearer $SWITCHGEAR_KEY"' in from_variable[-1]
    assert f"$(cat {shlex.quote(str(tmp_path / 'my key'))})" in from_file[-1]
    assert "keys are asked for" in from_file[0]
    assert "from-a-file" not in str(from_file)
    assert "from-the-environment" not in str(from_variable)


def test_the_request_to_try_goes_to_a_model_that_chats(announced):
    both = announced("{embed: s/text-embedding-3-small, chat: s/demo}")
    vectors = announced("{embed: s/text-embedding-3-small}")

    assert body_of(both[-1])["model"] == "chat"
    assert "/v1/embeddings" in vectors[-1]
    assert body_of(vectors[-1]) == {"model": "embed", "input": "hello"}


def test_a_models_name_cannot_break_out_of_the_line_to_paste(announced):
    lines = announced("""{"it's-$(reboot)": s/demo}""")

    assert body_of(lines[-1])["model"] == "it's-$(reboot)"


def test_many_models_do_not_fill_the_screen(announced):
    lines = announced("{" + ", ".join(f"m{number}: s/demo" for number in range(100)) + "}")

    assert len(lines) < 30
    assert any("80 more" in line for line in lines)


def test_where_only_virtual_keys_and_tokens_are_known_the_line_to_try_sends_one(announced):
    assert '-H "authorization: Bearer $SWITCHGEAR_KEY"' in announced("{demo: s/demo}", is_open=False)[-1]
    assert "authorization" not in announced("{demo: s/demo}", is_open=True)[-1]
