"""litellm itself: imported off the request path, and asked for three functions. The one module that imports it.

It takes 7 seconds and 180 MB, and without being told otherwise it fetches a table of prices while it is imported.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anyio
import msgspec
import structlog
from anyio import to_thread

from gateway.config.environment import set_variable
from gateway.core.errors import Unavailable, UpstreamUnreachable

log = structlog.get_logger()

HOW_TO_INSTALL = "litellm is not installed: pip install 'switchgear[litellm]', or in a checkout make setup KIND=litellm"
_SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # the table of prices in the package, not the newest from the network
    "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB": "0",  # it fetches no address that a caller names
    "LITELLM_LOG": "CRITICAL",  # its log would hold parts of prompts
}
_RETRY_S = 5.0


class Functions(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of litellm."""

    acompletion: Callable[..., Awaitable[Any]]
    aembedding: Callable[..., Awaitable[Any]]


class Library:
    """Imports litellm once, in a worker thread. `load` does it; calls wait for it, but not for long."""

    def __init__(self) -> None:
        self.state: Literal["starting", "ready", "failed"] = "starting"
        self.reason: str | None = None
        self._functions: Functions | None = None
        self._over = anyio.Event()

    async def load(self) -> None:
        """Import it. Whatever goes wrong is kept as the reason, for health and for every call."""
        if importlib.util.find_spec("litellm") is None:
            self._fail(HOW_TO_INSTALL)
            return
        began = time.perf_counter()
        try:
            # Left behind, not waited for, when the server stops meanwhile: an import cannot be interrupted.
            self._functions = await to_thread.run_sync(_import, abandon_on_cancel=True)
        except Exception as exc:  # noqa: BLE001 importing runs foreign code, which may raise anything
            self._fail(f"litellm cannot be imported: {type(exc).__name__}: {exc}")
            return
        self.state = "ready"
        self._over.set()
        log.info("litellm.imported", took_s=round(time.perf_counter() - began, 2))

    def _fail(self, reason: str) -> None:
        self.state, self.reason = "failed", reason
        self._over.set()
        log.error("litellm.import_failed", reason=reason)

    async def functions(self, patience: float) -> Functions:
        """Give the functions, after at most `patience` seconds. Raises UpstreamUnreachable or Unavailable."""
        if self._functions is None and self.reason is None:
            with anyio.move_on_after(patience):
                await self._over.wait()
        if self._functions is not None:
            return self._functions
        if self.reason is not None:
            raise UpstreamUnreachable(self.reason)
        raise Unavailable("litellm is still being imported.", retry_after=_RETRY_S)


def _import() -> Functions:
    for name, value in _SETTINGS.items():
        set_variable(name, value)
    import litellm  # noqa: PLC0415 180 MB and 7 s: only where a configured provider needs it

    library: Any = litellm  # it makes most of its attributes when they are asked for, unseen by type checkers
    library.suppress_debug_info = True
    library.drop_params = False
    library.callbacks, library.success_callback, library.failure_callback = [], [], []
    return Functions(acompletion=library.acompletion, aembedding=library.aembedding)
