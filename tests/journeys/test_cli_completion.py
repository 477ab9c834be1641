"""Tab completion, as a real bash does it."""

import shutil
import subprocess

import pytest

from tests.journeys.command_line import SWITCHGEAR, Workplace

COMPLETE = """\
eval "$(switchgear completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
"$(complete -p switchgear | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" switchgear "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def workplace(tmp_path):
    place = Workplace(tmp_path)
    command = place.write("switchgear", f'#!/bin/sh\nexec {SWITCHGEAR[0]} -m gateway "$@"\n')
    command.chmod(0o755)
    place.env["PATH"] = f"{tmp_path}:{place.env['PATH']}"
    return place


def completed(workplace: Workplace, *words: str) -> set[str]:
    """What bash offers for the last of these words."""
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", *words],
        cwd=workplace.directory,
        env=workplace.env,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_choices_and_models(workplace):
    assert completed(workplace, "switchgear", "c") == {"cache", "chat", "check", "completion"}
    assert completed(workplace, "switchgear", "ledger", "") == {"chargeback", "delete", "reconcile"}
    assert {"key", "service-account", "tenant", "usage"} <= completed(workplace, "switchgear", "")
    assert {"--config", "--host", "--port"} <= completed(workplace, "switchgear", "serve", "--")
    assert completed(workplace, "switchgear", "completion", "z") == {"zsh"}
    assert completed(workplace, "switchgear", "chat", "") == {"demo", "free"}
    assert completed(workplace, "switchgear", "chat", "-c", "none.yaml", "") == set()


@pytest.mark.parametrize(("shell", "check"), [("zsh", "-n"), ("fish", "--no-execute")])
def test_the_other_shells_get_a_script_in_their_language(workplace, shell, check):
    script = workplace.write("completion", workplace.run("completion", shell).stdout)

    assert "_SWITCHGEAR_COMPLETE" in script.read_text()
    if shutil.which(shell):
        subprocess.run([shell, check, str(script)], check=True, timeout=10)


def test_an_unknown_shell_names_the_known_ones(workplace):
    done = workplace.run("completion", "tcsh")

    assert done.returncode == 2
    assert "'bash', 'zsh', 'fish'" in done.stderr
