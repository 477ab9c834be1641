"""The key ring: all virtual keys in memory, as the data path needs them, kept up to date from the directory.

A look-up never waits for the database. When the database is away, the ring goes on with what it knows and catches up by
itself. It says whose a key is and where it may be used; it does not decide what the caller may do.
"""

from __future__ import annotations

from typing import Final

import structlog
from anyio import CancelScope, Lock, fail_after, move_on_after, sleep
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.errors import StoreUnavailable, SwitchgearError
from gateway.stores.directory import KeyChanges, Keys, VirtualKey
from gateway.stores.held_key import HeldKey, hold

log = structlog.get_logger()

_TOUCH_SECONDS: Final = 5.0
_STORE_SECONDS: Final = 10.0
_LAST_FLUSH_SECONDS: Final = 2.0
_AT_ONCE: Final = 500


class KeyRing:
    """A snapshot of all keys, by digest. `poll` is how often the directory is asked for changes, in seconds."""

    def __init__(
        self,
        keys: Keys,
        pepper: bytes,
        *,
        poll: float = 0.5,
        store_timeout: float = _STORE_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.pepper = pepper
        self.loaded = False
        self.healthy = False
        self.reason = "not loaded yet"
        self._keys = keys
        self._poll = poll
        self._store_timeout = store_timeout
        self._clock = clock
        self._revision = 0
        self._held: dict[bytes, HeldKey] = {}
        self._digests: dict[str, bytes] = {}
        self._common = 0
        self._in_step_at = clock.monotonic()
        self._used: dict[str, float] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def locked(self) -> bool:
        """Whether somebody besides the first start has made a key, or it is not known whether.

        Expired and revoked keys count: the end of the last key must not let everybody in.
        """
        return not self.loaded or self._common > 0

    @property
    def age(self) -> float:
        """Seconds since the directory was last known to hold what is held here; before the first load, since the start."""
        return self._clock.monotonic() - self._in_step_at

    def find(self, digest: bytes) -> HeldKey | None:
        """Give the key of this digest, whatever has become of it."""
        return self._held.get(digest)

    def holder(self, key_id: str) -> HeldKey | None:
        """Give the key of this id, whatever has become of it; None when it is gone."""
        digest = self._digests.get(key_id)
        return None if digest is None else self._held.get(digest)

    def note_use(self, key_id: str, at: float) -> None:
        """Note that a key was used; it is written in a batch, some seconds later."""
        self._used[key_id] = at

    async def load(self) -> None:
        """Take in all keys for the first time. Raises StoreUnavailable."""
        async with self._lock:
            await self._catch_up()

    async def refresh(self) -> bool:
        """Take in what has changed, now. Gives False, and keeps what it knows, when the directory is away.

        Who changes a key calls it before he answers: then the change holds here when the answer is read.
        """
        async with self._lock:
            try:
                await self._catch_up()
            except SwitchgearError as exc:
                self._note_loss(exc.message)
            except Exception:
                log.exception("key_ring.crashed")
                self._note_loss("an error of its own")
            return self.healthy

    async def run(self) -> None:
        """Keep up with the directory until cancelled; the uses not written yet are then written."""
        due = self._clock.monotonic() + _TOUCH_SECONDS
        try:
            while True:
                await sleep(self._poll)
                if await self.refresh() and self._clock.monotonic() >= due:
                    await self.write_uses()
                    due = self._clock.monotonic() + _TOUCH_SECONDS
        finally:
            with CancelScope(shield=True), move_on_after(_LAST_FLUSH_SECONDS):
                await self.write_uses()

    async def write_uses(self) -> None:
        """Write when keys were last used. What cannot be written is kept for the next time."""
        if not self._used:
            return
        batch, self._used = self._used, {}
        written = False
        try:
            with fail_after(self._store_timeout):
                await self._keys.touch(batch)
            written = True
        except (SwitchgearError, TimeoutError) as exc:
            log.warning("key_ring.uses_kept", keys=len(batch), error=type(exc).__name__)
        except Exception:
            log.exception("key_ring.crashed")  # when keys were last used is not worth the server
        finally:
            if not written:
                self._used = {**batch, **self._used}

    async def _catch_up(self) -> None:
        try:
            with fail_after(self._store_timeout):
                changes = await self._changes()
        except TimeoutError as exc:
            msg = f"The directory did not answer within {self._store_timeout:g} s."
            raise StoreUnavailable(msg) from exc
        if changes is not None:
            for key_id in changes.removed:
                self._drop(key_id)
            for number, key in enumerate(changes.keys, start=1):
                self._take(key)
                if number % _AT_ONCE == 0:
                    await checkpoint()  # calls go on while thousands of keys come in
            self._revision = changes.revision
            self.loaded = True
        self._note_health()

    async def _changes(self) -> KeyChanges | None:
        """Give what happened since the last time, None for nothing."""
        if not self.loaded:
            return await self._keys.changed_since(0)
        revision = await self._keys.revision()
        if revision == self._revision:
            return None
        if revision > self._revision:
            return await self._keys.changed_since(self._revision)
        # The directory has gone back: it was restored from a backup. What it does not tell of is gone.
        whole = await self._keys.changed_since(0)
        told = {key.id for key in whole.keys}
        log.warning("key_ring.set_back", revision=revision, before=self._revision)
        return replace(whole, removed=tuple(key_id for key_id in self._digests if key_id not in told))

    def _take(self, key: VirtualKey) -> None:
        self._drop(key.id)
        held = hold(key)
        self._held[held.digest] = held
        self._digests[key.id] = held.digest
        self._common += not held.bootstrap

    def _drop(self, key_id: str) -> None:
        digest = self._digests.pop(key_id, None)
        if digest is not None:
            self._common -= not self._held.pop(digest).bootstrap

    def _note_loss(self, reason: str) -> None:
        if self.healthy or self.reason != reason:
            log.warning("key_ring.lost", reason=reason, keys=len(self._held))
        self.healthy, self.reason = False, reason

    def _note_health(self) -> None:
        if not self.healthy:
            log.info("key_ring.in_step", keys=len(self._held), revision=self._revision)
        self.healthy, self.reason = True, ""
        self._in_step_at = self._clock.monotonic()
