"""Runs vLLM as a child that cannot be left behind. A program of its own, run by the Python of vLLM's environment.

    python launcher.py PORT PROGRAM [ARGUMENT …]

It refuses a port that somebody else listens on (whose /health would pass for ours), says `launching` on stdout, starts the
program, and waits. Its stdin is a pipe that whoever started it holds open: when that ends, even by SIGKILL, the program
and all that it started (vLLM's engine and workers, which hold the GPU's memory) are ended too. Standard library only.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from types import FrameType

GRACE_S = 10.0


def port_is_taken(port: int) -> bool:
    """Whether somebody listens on this port of 127.0.0.1 (or of every address)."""
    with socket.socket() as probe:
        # As servers do, so that connections of an earlier run that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def end_group() -> None:
    """Kill this process and all that it started: they are one process group."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def end_with_parent(child: subprocess.Popen[bytes], orphaned: threading.Event) -> None:
    """Wait for stdin's end, then end everything: politely first, so that vLLM frees what it shares."""
    while os.read(0, 4096):
        pass
    orphaned.set()
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    end_group()


def main(arguments: list[str]) -> int:
    """Run the program to its end and give its exit status."""
    port = int(arguments[0])
    if port_is_taken(port):
        sys.stderr.write(f"port {port} of 127.0.0.1 is in use by another program\n")
        return 1
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    sys.stdout.write("launching\n")
    sys.stdout.flush()
    child = subprocess.Popen(arguments[1:], stdin=subprocess.DEVNULL)  # noqa: S603 the operator names the program

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        child.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    orphaned = threading.Event()
    threading.Thread(target=end_with_parent, args=(child, orphaned), daemon=True).start()
    code = child.wait()
    if orphaned.is_set():
        # What it started may live on, and nobody else is left to end it.
        end_group()
    # A shell's way to tell of a signal; the reader of the log wants to know which.
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
