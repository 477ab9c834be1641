"""What a client keeps for us between two requests of one call (`requestState`): the call's run, sealed for who asked. Any replica opens it."""

from __future__ import annotations

import msgspec

from gateway.core.caller import Caller
from gateway.core.errors import NotFound
from gateway.stores.sealing import Seal, Unsealable


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call that waits. `asked` is what it is, hashed: a client that asks again asks for the same. `rounds` is how often it did."""

    run: str
    caller: str
    asked: str
    rounds: int = 0


class States:
    """Seals and opens. Without a seal nothing is handed out: this server keeps no keys that others share."""

    def __init__(self, seal: Seal | None) -> None:
        self._seal = seal

    @property
    def usable(self) -> bool:
        """Whether there are keys."""
        return self._seal is not None

    def close(self, state: State, tenant: str) -> str:
        """Give the sealed text."""
        if self._seal is None:
            msg = "nothing can be sealed without keys"
            raise RuntimeError(msg)
        return self._seal.close(msgspec.json.encode(state), tenant)

    def open(self, text: str, caller: Caller, asked: str) -> State:
        """Give what was sealed for this caller and this very call. Raises NotFound for everything else."""
        refused = NotFound(
            "`requestState` is not of this call: it was changed, or is somebody else's.", param="requestState"
        )
        if self._seal is None:
            raise refused
        try:
            state = msgspec.json.decode(self._seal.open(text, caller.tenant), type=State)
        except (Unsealable, msgspec.DecodeError) as error:
            raise refused from error
        if state.caller != person_key(caller) or state.asked != asked:
            raise refused
        return state


def person_key(caller: Caller) -> str:
    """Give who somebody is, whatever key he comes with."""
    return caller.user or caller.id
