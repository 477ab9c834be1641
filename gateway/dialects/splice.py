"""Changes top-level fields of a JSON body and leaves every other byte of every value as the client wrote it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def splice(body: bytes, changes: Mapping[str, bytes]) -> bytes:
    """Give `body`, a valid JSON object without duplicate keys, with the fields of `changes` (encoded JSON) set."""
    fields: dict[str, bytes | msgspec.Raw] = {**_split(body), **changes}
    return b"{%b}" % b",".join([b"%b:%b" % (_encode(key), value) for key, value in fields.items()])


def cut(body: bytes, name: str) -> bytes:
    """Give `body`, a valid JSON object without duplicate keys, without the field `name`."""
    kept = [b"%b:%b" % (_encode(key), value) for key, value in _split(body).items() if key != name]
    return b"{%b}" % b",".join(kept)
