"""What Switchgear itself asks a vLLM server, beside the calls: its metrics, its list of models, its LoRA adapters."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.errors import UpstreamBroken, UpstreamRefused
from gateway.dialects.openai_errors import read_error
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts, Upstream
from gateway.providers.keyring import Keyring
from gateway.providers.openai_shaped import Headers, credential

_LIMITS = HttpTimeouts(connect=5, first_byte=5, idle=5, total=10)
_LOADING = HttpTimeouts(connect=5, first_byte=120, idle=60, total=180)  # an adapter's weights come off a disk
_MAX_BYTES = 8 * 1024 * 1024


class ServerApi:
    """Asks the server at its root. Every method raises UpstreamError when there is no answer, or not the one expected."""

    def __init__(self, root: Upstream, prefix: bytes, keyring: Keyring, headers: Headers = ()) -> None:
        self._root = root
        self._prefix = prefix
        self._keyring = keyring
        self._headers = headers

    async def metrics(self) -> str:
        """Give the Prometheus text."""
        return (await self._ask(b"GET", b"/metrics")).decode("utf-8", "replace")

    async def adapters(self) -> dict[str, str]:
        """Give the path of each LoRA adapter that is loaded, by name."""
        body = await self._ask(b"GET", self._prefix + b"/models")
        try:
            listed: list[dict[str, Any]] = msgspec.json.decode(body)["data"]
            return {each["id"]: str(each.get("root")) for each in listed if each.get("parent")}
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as exc:
            raise UpstreamBroken("The server's list of models is not what OpenAI's API promises.") from exc

    async def load_adapter(self, name: str, path: str, *, again: bool) -> None:
        """Load an adapter; `again` replaces one of that name."""
        body = {"lora_name": name, "lora_path": path, "load_inplace": again}
        try:
            await self._ask(b"POST", self._prefix + b"/load_lora_adapter", body, _LOADING)
        except UpstreamRefused as exc:
            if exc.upstream_status != 404 or "adapter" in exc.message:
                raise
            hint = "the server takes no adapters: start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 and --enable-lora"
            raise UpstreamRefused(hint, upstream_status=404) from exc

    async def unload_adapter(self, name: str) -> None:
        """Unload an adapter."""
        await self._ask(b"POST", self._prefix + b"/unload_lora_adapter", {"lora_name": name})

    async def _ask(
        self, method: bytes, path: bytes, body: dict[str, object] | None = None, limits: HttpTimeouts = _LIMITS
    ) -> bytes:
        encoded = b"" if body is None else msgspec.json.encode(body)
        headers = (
            (b"content-type", b"application/json"),
            *credential("authorization", self._keyring.in_turn()[0]),
            *self._headers,
        )
        response = await self._root.request(
            HttpRequest(method=method, path=path, headers=headers, body=encoded), limits
        )
        try:
            answer = await response.read_all(_MAX_BYTES)
            if response.status != 200:
                raise read_error(response.status, answer)
            return answer
        finally:
            await response.aclose()
