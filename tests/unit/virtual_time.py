"""An event loop in which time passes at once, as soon as nobody has anything to do. Nothing in it may wait for a thread or a socket."""

import asyncio
import selectors

import anyio


class _Impatient(selectors.DefaultSelector):
    """A selector that never waits: it moves the clock on instead."""

    clock = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout is None:
            message = "everybody waits, and nothing will ever happen"
            raise RuntimeError(message)
        if not found and timeout:
            self.clock += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds pass when everybody sleeps."""

    def __init__(self):
        self._passing = _Impatient()
        super().__init__(self._passing)

    def time(self):
        return self._passing.clock


def run_in_virtual_time(main):
    """Run `main`, an asynchronous function, to its end, and give what it gives. What a callback raises is raised."""
    faults = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        return await main()

    given = anyio.run(watched, backend="asyncio", backend_options={"loop_factory": VirtualLoop})
    assert not faults, faults
    return given
