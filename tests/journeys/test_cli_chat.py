"""`switchgear chat` on a real terminal, and in a pipe."""

import re
import socket
from pathlib import Path

import anyio.to_thread
import pytest

from tests.journeys.command_line import CONFIG, SCRIPT, Workplace
from tests.journeys.running_gateway import running
from tests.journeys.terminal import END_OF_INPUT, INTERRUPT, TAB, UP

PROMPT = "you> "


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture
def chat(workplace):
    """A chat with a gateway of its own, at its first prompt."""
    with workplace.terminal("chat") as terminal:
        terminal.wait_for(PROMPT)
        yield terminal


def said(chat, line: str) -> str:
    """What comes between a line and the next prompt."""
    chat.enter(line)
    return chat.wait_for(f"\n{PROMPT}")


def test_a_conversation_goes_on_from_turn_to_turn(chat):
    assert "this chat runs its own" in chat.text
    assert "You said: hello" in said(chat, "hello")
    assert "Second turn: and now" in said(chat, "and now")
    said(chat, "/clear")
    assert "You said: again" in said(chat, "again")


def test_each_answer_is_followed_by_tokens_cost_and_time(chat):
    assert re.search(r"script/demo: 600 \+ 400 tokens, \$0\.0014, \d+\.\d\d s, first after", said(chat, "cost"))
    said(chat, "/model free")
    assert "script/demo-too: 600 + 400 tokens, price unknown," in said(chat, "cost")


def test_thinking_is_dim_and_apart(chat):
    shown = said(chat, "think")

    assert "Let me see.\nI have thought.\n" in shown
    assert b"\x1b[2m\x1b[3mLet" in chat.raw
    assert b"\x1b[0m\r\nI have" in chat.raw


def test_ctrl_c_stops_an_answer_and_only_that(chat):
    chat.enter("slowly")
    chat.wait_for("one")
    chat.press(INTERRUPT)

    assert "stopped" in chat.wait_for(f"\n{PROMPT}", within=1.5)
    assert "You said: hello" in said(chat, "hello")


@pytest.mark.parametrize("leaving", [INTERRUPT, END_OF_INPUT, "/quit\r", "/exit\r"])
def test_leaving_is_clean(chat, leaving):
    chat.press(leaving)
    if not chat.ends(within=2):
        # Between its prompt and its wait CPython's readline does not notice a signal: a user presses again.
        chat.press(leaving)

    assert chat.exit_code() == 0
    assert "Traceback" not in chat.text


def test_ctrl_c_in_a_pipe_stops_with_the_status_of_an_interrupt(workplace):
    with workplace.shell("trap : INT; echo slowly | $SWITCHGEAR chat; echo status $?") as terminal:
        terminal.wait_for("one")
        terminal.press(INTERRUPT)

        terminal.wait_for("status 130", within=3)

    assert "Traceback" not in terminal.text


def test_ctrl_c_while_a_gateway_keeps_silent_is_clean(workplace):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        with workplace.terminal("chat", "--url", f"127.0.0.1:{silent.getsockname()[1]}") as terminal:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1024)
                terminal.press(INTERRUPT)

                assert terminal.exit_code(within=3) == 130

    assert terminal.text.split() == ["^C"]


def test_an_error_is_one_line_and_the_conversation_goes_on(chat):
    said(chat, "hello")

    assert said(chat, "too many").strip().splitlines()[-2] == "rate_limit_exceeded: Slow down."
    assert "This answer does" in (broken := said(chat, "break off"))
    assert broken.strip().splitlines()[-2] == "upstream_broken: The connection was lost."
    assert "Second turn: still there" in said(chat, "still there")


def test_an_unknown_model_names_those_that_there_are(chat):
    assert "There is no model dmeo. Did you mean demo? There are: demo, free" in said(chat, "/model dmeo")
    assert "* demo" in said(chat, "/models")
    assert "(model: free)" in said(chat, "/model free")
    assert "* free" in said(chat, "/models")


def test_an_unknown_command_is_not_sent_to_the_model(chat):
    shown = said(chat, "/modle")

    assert "unknown command /modle; did you mean /model?" in shown
    assert "tokens" not in shown
    assert all(f"\n{name}" in said(chat, "/help") for name in ("/model", "/system", "/retry", "/clear", "/quit"))


def test_retry_asks_the_last_question_in_its_own_place(chat):
    assert "no question" in said(chat, "/retry")
    said(chat, "hello")

    assert "You said: hello" in said(chat, "/retry")
    said(chat, "too many")
    assert "Slow down." in said(chat, "/retry")
    assert "Second turn: on" in said(chat, "on")


def test_instructions_can_be_set_shown_and_removed(chat):
    assert "(instructions: none)" in said(chat, "/system")
    assert "(instructions: Be brief.)" in said(chat, "/system Be brief.")
    assert "(instructions: none)" in said(chat, "/system -")


def test_lines_can_be_edited_recalled_and_completed(chat):
    said(chat, "hello")
    chat.press(UP)
    assert "Second turn: hello" in said(chat, "")
    chat.press(f"/model f{TAB}")
    assert "(model: free)" in said(chat, "")


def test_a_pipe_gets_the_answer_and_nothing_else(workplace):
    done = workplace.run("chat", "free", text="think about it\n")

    assert (done.returncode, done.stdout) == (0, "I have thought.\n")
    assert "tokens, price unknown" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("args", "text", "complaint"),
    [
        (["chat"], "", "no message on standard input"),
        (["chat"], "too many", "rate_limit_exceeded: Slow down."),
        (["chat"], "break off", "upstream_broken: The connection was lost."),
        (["chat", "nobody"], "hi", "There is no model 'nobody'. There are: demo, free"),
        (["chat", "-c", "none.yaml"], "hi", "none.yaml: the file does not exist"),
        (["chat", "--url", "127.0.0.1:1"], "hi", "could not connect"),
    ],
)
def test_a_pipe_gets_exit_code_1_and_one_line_for_an_error(workplace, args, text, complaint):
    done = workplace.run(*args, text=text)

    assert done.returncode == 1
    assert complaint in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


async def test_a_running_gateway_sees_the_key_and_the_cancel(tmp_path: Path):
    (tmp_path / "script.yaml").write_text(SCRIPT + SCRIPT.partition("\n")[2].replace("demo:", "demo-too:"))
    config = CONFIG.replace("port: 0", 'port: 0, keys: ["env:GATE_KEY"]')
    async with running(tmp_path, config, environ={"GATE_KEY": "open-sesame"}) as gateway:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        workplace = Workplace(elsewhere)

        refused = await anyio.to_thread.run_sync(lambda: workplace.run("chat", "--url", gateway.url, text="hi"))
        workplace.env["SWITCHGEAR_KEY"] = "open-sesame"

        def stop_one() -> str:
            with workplace.terminal("chat", "--url", f"{gateway.url}/v1") as chat:
                chat.wait_for(PROMPT)
                chat.enter("slowly")
                chat.wait_for("one")
                chat.press(INTERRUPT)
                chat.wait_for(f"\n{PROMPT}")
                chat.press(END_OF_INPUT)
                assert chat.exit_code() == 0
                return chat.text

        shown = await anyio.to_thread.run_sync(stop_one)

        with anyio.fail_after(2):
            while not gateway.idle:
                await anyio.sleep(0.01)
        assert refused.returncode == 1
        assert "key" in refused.stderr.splitlines()[-1]
        assert "open-sesame" not in shown
        assert "its own" not in shown
        assert gateway.records[-1].status == 499


async def test_a_gateway_that_serves_another_configuration_is_named_with_the_way_out(tmp_path: Path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    other = "providers: {s: {kind: scripted, document: script.yaml}}\nmodels: {theirs: s/demo}\n"
    async with running(tmp_path, other) as gateway:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        workplace = Workplace(elsewhere)
        workplace.write("switchgear.yaml", CONFIG.replace("port: 0", f"port: {gateway.port}"))

        done = await anyio.to_thread.run_sync(lambda: workplace.run("chat", "free", text="hi"))

    note, complaint = done.stderr.splitlines()
    assert done.returncode == 1
    assert note == f"The gateway at {gateway.url} does not serve the models of switchgear.yaml."
    assert f"no model 'free' at {gateway.url}. There are: theirs. Another gateway: --url" in complaint
