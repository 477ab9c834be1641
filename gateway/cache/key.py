"""The key of a call: a digest of all that its answer depends on. Pure. Which calls may be cached is not its business.

What does not shape an answer is named in `IGNORED`, and nothing else is left out: a field that nobody here knows makes another key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from gateway.core.call import Call
from gateway.core.items import Json

IGNORED: Final = frozenset(
    {
        "cache",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream",
        "stream_options",
        "user",
    }
)
"""How the answer travels, who asks and what is kept elsewhere. The caller is in the key by the scope, not by what the body says."""

VERSION: Final = "1"
"""Of what a key is made of, and of how answers are written: what an older version kept is never found."""

_DIGEST_BYTES: Final = 24
_EXACT: Final = 2.0**53
"""Below it every whole number is a float of its own."""
_encode = msgspec.json.Encoder(order="sorted").encode

Sharing = Literal["tenant", "key", "user"]


class Depends(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers of a model depend on beside the call: all of it is in every key.

    `revision` is a digest of how the model is served, `policy` one of the documents that judge and change calls. `prompt` is the version
    of the prompt that was put in, `indexes` are the versions of what is searched for the call; both are empty where there are none.
    """

    model: str
    version: str = ""
    revision: str = ""
    policy: str = ""
    prompt: str = ""
    indexes: tuple[str, ...] = ()


class Keys:
    """Makes the keys of one model's calls. Calls share answers where `sharing` says so: never beyond a tenant.

    `outside` gives what else the choice of a target goes by, beside the body; None where it goes by nothing else.
    """

    def __init__(
        self, depends: Depends, sharing: Sharing = "tenant", outside: Callable[[Call], bytes] | None = None
    ) -> None:
        self.outside = outside
        self._base = blake2b(_encode([VERSION, depends]), digest_size=_DIGEST_BYTES)
        self._sharing = sharing

    def key(self, call: Call, fields: Mapping[str, Json], namespace: str = "") -> str:
        """Give the key of a call with these fields. Raises ValueError for what cannot be written as JSON."""
        digest = self._base.copy()
        # JSON holds no NUL, so that nothing can pass for the end of the one and the beginning of the other.
        digest.update(b"\0%b\0%b" % (self._whose(call, namespace), canonical(fields)))
        if self.outside is not None:
            digest.update(b"\0%b" % self.outside(call))
        return digest.hexdigest()

    def part(self, key: str, name: str) -> str:
        """Give the key of one part of what was asked, such as one of several texts, by the key of all the rest."""
        return blake2b(name.encode("utf-8", "surrogatepass"), key=key.encode(), digest_size=_DIGEST_BYTES).hexdigest()

    def _whose(self, call: Call, namespace: str) -> bytes:
        caller, sharing = call.caller, self._sharing
        if sharing == "tenant":
            who: tuple[str, ...] = ()
        elif sharing == "key":
            who = (caller.kind, caller.id)
        else:
            # Who is nobody's user is told apart by the key, and both may speak for users of their own.
            own = ("user", caller.user) if caller.user else ("nobody", caller.kind, caller.id)
            who = (*own, user_of(call.fields))
        return _encode((caller.tenant, sharing, who, namespace, call.dialect, call.operation, call.headers))


def canonical(fields: Mapping[str, Json]) -> bytes:
    """Write what shapes an answer, in one form: order and white space do not matter, nor does it whether 1 is written as 1.0.

    Raises ValueError for what cannot be written as JSON.
    """
    kept = {name: value for name, value in fields.items() if name not in IGNORED}
    try:
        written = _encode(kept)
        # A whole number as a float ends so; so may a text, which then costs a walk and changes nothing.
        return _encode(_whole(kept)) if b".0" in written else written
    except (OverflowError, RecursionError, TypeError) as exc:
        msg = "the fields cannot be written as JSON"
        raise ValueError(msg) from exc


def user_of(fields: Mapping[str, Json]) -> str:
    """Give whom a body says that it is sent for, empty where it does not."""
    metadata = fields.get("metadata")
    named = (
        fields.get("user"),
        fields.get("safety_identifier"),
        metadata.get("user_id") if isinstance(metadata, dict) else None,
    )
    said = [value if isinstance(value, str) else "" for value in named]
    return _encode(said).decode() if any(said) else ""


def _whole(value: Json) -> Json:
    """Give the same with whole numbers as integers."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return value
