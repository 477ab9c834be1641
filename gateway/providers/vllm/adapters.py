"""LoRA adapters of a running vLLM server: kept loaded while they are configured, and unloaded when they no longer are."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from gateway.core.errors import SwitchgearError
from gateway.providers.vllm.server_api import ServerApi

log = structlog.get_logger()


class Adapters:
    """The adapters that one provider wants: name -> path as the server sees it."""

    def __init__(self, provider: str, wanted: Mapping[str, str], server: ServerApi) -> None:
        self._provider = provider
        self._wanted = dict(wanted)
        self._server = server
        self._faults: dict[str, str] = {}
        self._ours: set[str] = set()

    @property
    def any(self) -> bool:
        """Whether there are adapters to look after."""
        return bool(self._wanted)

    def fault(self, model: str) -> str | None:
        """Tell why an adapter is not there; None when it is, when nobody knows yet, and for every other model."""
        return self._faults.get(model)

    async def tend(self) -> None:
        """Load what is missing: at first, and again after the server was restarted. Raises when it does not answer at all."""
        if not self._wanted:
            return
        present = await self._server.adapters()
        for name, path in self._wanted.items():
            if present.get(name) != path:
                await self._load(name, path, again=name in present)
            else:
                self._faults.pop(name, None)

    async def _load(self, name: str, path: str, *, again: bool) -> None:
        try:
            await self._server.load_adapter(name, path, again=again)
        except SwitchgearError as exc:
            if self._faults.get(name) != exc.message:
                log.warning("vllm.adapter_refused", provider=self._provider, adapter=name, reason=exc.message)
            self._faults[name] = exc.message
            return
        self._ours.add(name)
        self._faults.pop(name, None)
        log.info("vllm.adapter_loaded", provider=self._provider, adapter=name)

    async def unload(self) -> None:
        """Unload what was loaded here, unless somebody has put another in its place. Raises when there is no answer."""
        if not self._ours:
            return
        present = await self._server.adapters()
        for name in sorted(self._ours):
            if present.get(name) == self._wanted[name]:
                await self._server.unload_adapter(name)
                log.info("vllm.adapter_unloaded", provider=self._provider, adapter=name)
        self._ours.clear()
