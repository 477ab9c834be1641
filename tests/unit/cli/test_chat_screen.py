import pytest

from gateway.cli.screen import Screen, one_line


def test_a_models_text_cannot_drive_the_terminal(capsys):
    screen = Screen()

    screen.piece("red \x1b[31m alert\x07\x9b2J\ttab\n", thinking=False)

    assert capsys.readouterr().out == "red [31m alert2J\ttab\n"


def test_an_answer_begins_on_a_line_of_its_own_after_thinking(capsys):
    screen = Screen()

    screen.piece("hm", thinking=True)
    screen.piece("Yes", thinking=False)
    screen.piece(".", thinking=False)
    screen.end()

    assert capsys.readouterr().out == "hm\nYes.\n"


def test_an_answer_that_ends_its_line_gets_no_empty_one(capsys):
    screen = Screen()

    screen.piece("Yes.\n", thinking=False)
    screen.end()

    assert capsys.readouterr().out == "Yes.\n"


@pytest.mark.parametrize("text", [":smile: [bold]x[/]", "tab\there"])
def test_text_is_shown_as_it_is(capsys, text):
    Screen().piece(text, thinking=False)

    assert capsys.readouterr().out == text


def test_an_error_is_one_line(capsys):
    Screen().error("first\nsecond\x1b[2J\r\nthird")

    assert capsys.readouterr().out == "first second[2J third\n"
    assert one_line(" a\n\tb ") == "a b"
