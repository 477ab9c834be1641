"""The log's writer: in order and whole when somebody reads, bounded and counted when nobody does, and never in the way."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

from gateway.telemetry.line_writer import LineWriter

LINE = b"x" * 999 + b"\n"


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def drained(reader, size):
    """Read until `size` bytes came."""
    found = b""
    while len(found) < size:
        found += os.read(reader, 1 << 20)
    return found


def test_lines_come_out_whole_and_in_order(pipe):
    reader, descriptor = pipe
    writer = LineWriter(descriptor)
    lines = [b"line %d\n" % number for number in range(2000)]
    for line in lines:
        writer.write(line)

    assert drained(reader, sum(map(len, lines))) == b"".join(lines)
    assert writer.flush()
    assert writer.dropped == 0


def test_lines_of_many_threads_are_not_mixed(pipe):
    reader, descriptor = pipe
    writer = LineWriter(descriptor)

    def write(number):
        for _ in range(200):
            writer.write(b"%d" % number * 50 + b"\n")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    found = drained(reader, 4 * 200 * 51).splitlines()
    for thread in threads:
        thread.join()

    assert {len(set(line)) for line in found} == {1}


def test_a_reader_that_stopped_blocks_nobody_and_what_is_lost_is_counted(pipe):
    reader, descriptor = pipe
    writer = LineWriter(descriptor, max_bytes=1_000_000)
    slowest = 0.0
    for _ in range(3000):
        began = time.thread_time()
        writer.write(LINE)
        slowest = max(slowest, time.thread_time() - began)

    # A pipe holds 64 KiB and the queue 1 MB; everything else found no place.
    assert 1900 <= writer.dropped <= 2000
    assert slowest < 0.1
    assert not writer.flush(0.05)
    os.close(reader)
    assert writer.flush()


def test_writing_goes_on_when_the_reader_comes_back(pipe):
    reader, descriptor = pipe
    writer = LineWriter(descriptor, max_bytes=200_000)
    for _ in range(400):
        writer.write(LINE)
    kept = 400 - writer.dropped
    drained(reader, kept * len(LINE))
    writer.flush()
    writer.write(b"again\n")

    assert drained(reader, 6) == b"again\n"


def test_a_reader_that_is_gone_is_counted_and_not_raised(pipe):
    reader, descriptor = pipe
    os.close(reader)
    writer = LineWriter(descriptor)
    writer.write(b"one\ntwo\n")

    assert writer.flush()
    assert writer.dropped == 2


def test_a_pipe_that_somebody_made_non_blocking_still_takes_everything(pipe):
    reader, descriptor = pipe
    os.set_blocking(descriptor, False)
    writer = LineWriter(descriptor)
    for _ in range(300):
        writer.write(LINE)

    assert drained(reader, 300 * len(LINE)) == LINE * 300


def test_a_process_ends_though_nobody_reads_its_log():
    program = (
        "import sys, structlog\n"
        "from gateway.telemetry.logs import configure_logs\n"
        "configure_logs(format='json', level='info')\n"
        "for _ in range(3000): structlog.get_logger().info('line.written', text='x' * 100)\n"
        "print('done', flush=True)\n"
    )
    running = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert running.stdout.readline() == b"done\n"
        assert running.wait(10) == 0
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
        running.stderr.close()
