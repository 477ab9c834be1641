"""Items that a request names instead of sending them: found among what the caller's tenant keeps, and put in their places."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.agents.means import Means
from gateway.agents.provenance import label_of
from gateway.core.errors import ContextLengthExceeded, NotFound
from gateway.core.items import Json
from gateway.core.tools import Label
from gateway.dialects.openai_responses.kept_items import is_item_id, is_reference
from gateway.dialects.openai_responses.reader import Reader
from gateway.stores.runs import RunItem


async def resolved(
    means: Means, tenant: str, fields: dict[str, Json]
) -> tuple[dict[str, Json], Mapping[int, Label | None]]:
    """Give a request with what it names in the place of the names, and where that came from, by place in `input`.

    What was not said by the client is not trusted as if it were. Raises NotFound for an item that the tenant does not have, whoever has it,
    ContextLengthExceeded where it is more than a model is given, and InvalidRequest.
    """
    given: Json = fields.get("input")
    listed: list[Json] = given if isinstance(given, list) else []
    named = {number: entry for number, entry in enumerate(listed) if is_reference(entry)}
    if not named:
        return fields, {}
    names = {number: Reader(entry, f"input[{number}]").needed_string("id") for number, entry in named.items()}
    ids = [name for name in names.values() if is_item_id(name)]
    found: dict[str, RunItem] = {
        item.id: RunItem(id=item.id, place="input", index=0, body=item.body, label=item.label)
        for item in await means.conversations.find_items(tenant, ids)
    }
    found |= {item.id: item for item in await means.runs.find_items(tenant, ids)}
    sizes = {name: len(msgspec.json.encode(item.body)) for name, item in found.items()}
    _require_room(means, len(listed), sum(sizes.get(name, 0) for name in names.values()))
    whole, labels = list(listed), dict[int, Label | None]()
    for number, name in names.items():
        item = found.get(name)
        if item is None:
            msg = f"There is no item {name[:128]!r} here: send it whole, or take it out of `input`."
            raise NotFound(msg, param=f"input[{number}]")
        whole[number], labels[number] = item.body, label_of(item, {})
    return {**fields, "input": whole}, labels


def _require_room(means: Means, count: int, size: int) -> None:
    # A name is short, and what it names may be long: nobody keeps a gigabyte by naming something a thousand times.
    if count > means.settings.context_items or size > means.settings.context_bytes:
        msg = "What `input` names is larger than this server gives to a model: name less of it."
        raise ContextLengthExceeded(msg, param="input")
