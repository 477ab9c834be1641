"""What is listed in Redis: pages of it, removal from it, and taking out of the lists what has gone by itself. It knows no breaker."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from gateway.stores.answers import Entry, Listed, Page, Selection
from gateway.stores.answers_coding import Card, Removal, encode_group
from gateway.stores.answers_redis import Place, RedisAnswers
from gateway.stores.answers_selecting import Newest, matches, read_cursor

_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(Entry))


class _Walk:
    """Goes through one list, the newest first, while others write to it."""

    def __init__(self, redis: RedisAnswers, group: bytes, since: float) -> None:
        self._redis = redis
        self._group = group
        self._since = since
        self._skip = 0

    async def following(self) -> list[Place]:
        """Give the next places, none at the end. Raises StoreUnavailable."""
        places = await self._redis.places(self._group, self._since, self._skip)
        if places:
            last = places[-1].made
            same = sum(place.made == last for place in places)
            self._skip = self._skip + same if last == self._since else same
            self._since = last
        return places

    def gone(self, places: list[Place]) -> None:
        """Say which of them are no longer listed."""
        self._skip -= sum(place.made == self._since for place in places)


async def page_of(redis: RedisAnswers, selection: Selection, limit: int, after: str) -> Page:
    """Give a page of entries. Raises StoreUnavailable, and InvalidRequest for an `after` that no page gave."""
    newest = Newest[Card](limit, after)
    since, _ = read_cursor(after)
    if selection.entry is not None:
        card = await redis.card_of(selection.entry)
        newest.take([card] if card is not None and matches(card, selection) else [])
        return newest.page(_listed)
    for group in await _groups_of(redis, selection):
        async for cards, last in _cards_of(redis, group, since):
            newest.take(card for card in cards if matches(card, selection))
            if last < newest.since:
                break
    return newest.page(_listed)


async def remove_from(redis: RedisAnswers, selection: Selection, *, dry_run: bool) -> list[str]:
    """Remove entries, or only tell which it would be. Raises StoreUnavailable."""
    if not dry_run:
        # Those who are about to write such an entry learn of it first.
        await redis.publish(Removal(selection=selection))
    removed: list[str] = []
    if selection.entry is not None:
        card = await redis.card_of(selection.entry)
        if card is not None and matches(card, selection):
            removed.append(card.id)
            if not dry_run:
                await redis.remove(encode_group(card.tenant, card.model), [(card.key, card.id)])
        return removed
    for group in await _groups_of(redis, selection):
        removed += await _remove_from(redis, group, selection, dry_run=dry_run)
    return removed


async def _remove_from(redis: RedisAnswers, group: bytes, selection: Selection, *, dry_run: bool) -> list[str]:
    removed: list[str] = []
    walk = _Walk(redis, group, math.inf)
    while places := await walk.following():
        cards = await redis.cards([place.key for place in places])
        meant = [
            (p, card) for p, card in zip(places, cards, strict=True) if card is not None and matches(card, selection)
        ]
        removed += [card.id for _, card in meant]
        if meant and not dry_run:
            await redis.remove(group, [(place.key, card.id) for place, card in meant])
            walk.gone([place for place, _ in meant])
    return removed


async def tidy(redis: RedisAnswers) -> AsyncIterator[None]:
    """Take out of the lists what has gone by itself, some at a time: who asks says when it goes on. Raises StoreUnavailable."""
    for group, _ in await redis.groups():
        walk = _Walk(redis, group, math.inf)
        while places := await walk.following():
            missing = set(await redis.missing([place.key for place in places]))
            await redis.unlist(group, list(missing))
            walk.gone([place for place in places if place.key in missing])
            yield


async def _cards_of(redis: RedisAnswers, group: bytes, since: float) -> AsyncIterator[tuple[list[Card], float]]:
    """Give the cards of a group some at a time, and when the last of them was made."""
    walk = _Walk(redis, group, since)
    while places := await walk.following():
        cards = await redis.cards([place.key for place in places])
        yield [card for card in cards if card is not None], places[-1].made


async def _groups_of(redis: RedisAnswers, selection: Selection) -> list[bytes]:
    return [
        member
        for member, group in await redis.groups()
        if selection.tenant in (None, group.tenant) and selection.model in (None, group.model)
    ]


def _listed(card: Card) -> Listed:
    fields = {name: getattr(card, name) for name in _FIELDS}
    return Listed(entry=Entry(**fields | {"question": "", "answer": b""}), size=card.size)
