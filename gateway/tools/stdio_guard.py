"""A program that runs another one, and ends it with all that it started when the gateway is gone, however the gateway went.

    python -I -S stdio_guard.py FD PROGRAM [ARGUMENT ...]

FD is the reading end of a pipe that only the gateway holds open: its end is the gateway's. The program gets this one's standard
input, output and error as they are. Both must be in a process group of their own. It imports nothing but the standard library, and nothing of ours.
"""

import os
import select
import signal
import sys

CANNOT_START = 127


def main(liveness: int, command: list[str]) -> int:
    """Run `command`, and give its exit status; 128 and the signal's number for one that a signal ended."""
    os.set_inheritable(liveness, False)  # noqa: FBT003 the library's signature
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if child == 0:
        _become(command)
    # The gateway asks politely first, and means the program.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Held here, they would not end when the program does.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return _wait(child, liveness, woken)


def _become(command: list[str]) -> None:
    # Python ignores SIGPIPE, and what is ignored stays so in a child: the program is to have it as from a shell.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 what the operator has configured
    except (OSError, ValueError) as error:
        os.write(2, f"fatal: {command[0]} cannot be started: {error}\n".encode(errors="replace"))
    finally:
        os._exit(CANNOT_START)


def _wait(child: int, liveness: int, woken: int) -> int:
    waiting = select.poll()
    waiting.register(liveness, select.POLLIN | select.POLLHUP)
    waiting.register(woken, select.POLLIN)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        for descriptor, _ in waiting.poll():
            if descriptor == liveness:
                os.killpg(0, signal.SIGKILL)
            else:
                os.read(woken, 512)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
