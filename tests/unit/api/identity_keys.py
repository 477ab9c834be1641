"""Virtual keys in memory, for tests of what is done with them: a small store that keeps the contract of `Keys`."""

import msgspec

from gateway.core.errors import StoreUnavailable
from gateway.stores.directory import KeyChanges, VirtualKey
from gateway.stores.key_material import digest_key, make_key, shown_prefix
from gateway.stores.key_ring import KeyRing

PEPPER = b"p" * 32


class KeysInMemory:
    """As much of the port as the ring uses, with a store that can be taken away."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[int, VirtualKey]] = {}
        self.used: dict[str, float] = {}
        self.away = False
        self._revision = 0

    def put(self, key: VirtualKey) -> None:
        self._revision += 1
        self.kept[key.id] = (self._revision, key)

    async def revision(self) -> int:
        self._reach()
        return self._revision

    async def changed_since(self, revision: int) -> KeyChanges:
        self._reach()
        keys = tuple(key for at, key in self.kept.values() if at > revision)
        return KeyChanges(revision=self._revision, keys=keys)

    async def touch(self, used) -> None:
        self._reach()
        self.used.update(used)

    def _reach(self) -> None:
        if self.away:
            raise StoreUnavailable("The database cannot be reached.")


class Held:
    """A store, the ring over it, and the keys that were made."""

    def __init__(self, clock) -> None:
        self.store = KeysInMemory()
        self.ring = KeyRing(self.store, PEPPER, clock=clock)

    async def make(self, key_id: str = "key_1", **fields) -> str:
        """Make a key, and give its text."""
        text = make_key()
        record = virtual_key(text, id=key_id, **fields)
        self.store.put(record)
        await self.ring.refresh()
        return text

    async def change(self, key_id: str, **fields) -> None:
        self.store.put(msgspec.structs.replace(self.store.kept[key_id][1], **fields))
        await self.ring.refresh()


def virtual_key(text: str, **fields) -> VirtualKey:
    """A record for the text of a key."""
    fine = {"id": "key_1", "tenant": "acme", "name": "one", "created_at": 0.0}
    return VirtualKey(**{**fine, "prefix": shown_prefix(text), "digest": digest_key(text.encode(), PEPPER), **fields})
