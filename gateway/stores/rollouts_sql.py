"""Rollouts in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.stores.database import Database
from gateway.stores.rollouts import RolloutState, Score, Sums
from gateway.stores.rollouts_tables import CALL_SCORES, ROLLOUT_SUMS, ROLLOUTS


class SqlRollouts:
    """The rollout store over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect: Any = postgresql if database.kind == "postgres" else sqlite

    async def load(self) -> Sequence[RolloutState]:
        """Give the states of all models."""
        async with self._database.connect() as connection:
            found = await connection.execute(select(ROLLOUTS.c.state).order_by(ROLLOUTS.c.model))
            return [msgspec.convert(state, RolloutState) for state in found.scalars()]

    async def replace(self, state: RolloutState) -> bool:
        """Put it in the place of the version before it; the first has version 1. False when somebody was faster.

        What was counted under the epochs before it is forgotten.
        """
        row = {"version": state.version, "state": msgspec.to_builtins(state)}
        sums = ROLLOUT_SUMS.c
        async with self._database.begin() as connection:
            if state.version == 1:
                adding = self._dialect.insert(ROLLOUTS).values(model=state.model, **row)
                done = await connection.execute(adding.on_conflict_do_nothing(index_elements=["model"]))
            else:
                before = and_(ROLLOUTS.c.model == state.model, ROLLOUTS.c.version == state.version - 1)
                done = await connection.execute(update(ROLLOUTS).where(before).values(row))
            if done.rowcount:
                await connection.execute(
                    delete(ROLLOUT_SUMS).where(sums.model == state.model, sums.epoch < state.epoch)
                )
        return done.rowcount > 0

    async def save_sums(self, replica: str, sums: Iterable[tuple[str, int, Sums]]) -> None:
        """Keep all that a replica has counted so far, in place of what was kept of it: (model, epoch, sums).

        Saying it twice counts once.
        """
        rows = [{"model": model, "epoch": epoch, "replica": replica, "sums": dict(one)} for model, epoch, one in sums]
        async with self._database.begin() as connection:
            for row in rows:
                adding = self._dialect.insert(ROLLOUT_SUMS).values(row)
                await connection.execute(
                    adding.on_conflict_do_update(
                        index_elements=["model", "epoch", "replica"], set_={"sums": adding.excluded.sums}
                    )
                )

    async def sums_of_others(self, replica: str) -> Mapping[tuple[str, int], Sums]:
        """Give what all other replicas have counted, those that are gone among them, by model and epoch."""
        columns = ROLLOUT_SUMS.c
        found = select(columns.model, columns.epoch, columns.sums).where(columns.replica != replica)
        added: dict[tuple[str, int], dict[str, float]] = {}
        async with self._database.connect() as connection:
            for model, epoch, sums in await connection.execute(found):
                total = added.setdefault((model, epoch), {})
                for name, amount in sums.items():
                    total[name] = total.get(name, 0.0) + amount
        return added

    async def add_score(self, score: Score) -> bool:
        """Keep a score; False when the call has one of that name."""
        adding = self._dialect.insert(CALL_SCORES).values(msgspec.structs.asdict(score))
        async with self._database.begin() as connection:
            done = await connection.execute(adding.on_conflict_do_nothing(index_elements=["call", "name"]))
        return bool(done.rowcount > 0)

    async def scores(self, call: str) -> Sequence[Score]:
        """Give the scores of a call, by name."""
        found = select(CALL_SCORES).where(CALL_SCORES.c.call == call).order_by(CALL_SCORES.c.name)
        async with self._database.connect() as connection:
            return [Score(**row) for row in (await connection.execute(found)).mappings()]
