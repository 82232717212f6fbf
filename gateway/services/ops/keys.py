"""Changing the master key while everything goes on: another key is added, made the one that seals, everything sealed is
sealed anew under it, and the old one is retired once nothing is left under it.

Every process learns within `witness.FOLLOW_S` which key seals, and one that cannot ask seals nothing any more after
`witness.FENCE_S`. Until then it seals under the one before, which opens all the same; so the old key is retired only
some time after the change, and only where nothing lies under it and nobody still writes what was sealed before.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import asyncpg
import msgspec
import structlog

from contracts.errors import Conflict, NotFound
from gateway.clock import Clock
from gateway.security.vault import SealBroken, Vault
from gateway.storage.access import keys
from gateway.storage.access.keys import TABLES, KeyRow, SealedTable
from gateway.storage.base import witness
from gateway.storage.base.database import Database
from gateway.storage.ops import audit

SETTLED = timedelta(minutes=5)
"""After a change of keys no process seals under the one before, and whatever it sealed is written: an answer is kept
for two minutes while the database is away.
"""
STILL_SEALS = timedelta(seconds=witness.FENCE_S)
"""After it a process may have sealed under the key before."""
CHUNK = 20
"""Rows sealed anew in one statement: so few that whoever asks meanwhile waits for a moment. With 200 the slowest of a
hundred requests took 1.6 to 1.8 times as long as without (`tests/bench/rotation.py`), with 20 no longer.
"""
_ROUNDS = 20
_PAUSE_S = 0.5
_log = structlog.get_logger(__name__)


class KeyState(msgspec.Struct, frozen=True, kw_only=True):
    """One key, and what lies under it."""

    key_id: str
    state: str
    """`active`, `added` (opens, was never the one that seals), `old`, `retired`, or `unknown`: values lie under a key
    that the store does not know.
    """
    here: bool
    """Whether this environment has it."""
    values: int
    added_at: datetime | None = None
    activated_at: datetime | None = None
    retired_at: datetime | None = None


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """How far sealing anew got."""

    key_id: str
    rows: int
    """Sealed anew by this run."""
    left: int
    """Values under other keys; 0: done."""
    broken: int
    """Rows that do not open under any key that is here: left as they are."""


class Keys:
    """Changes and shows the ring."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database, self._clock, self._vault = database, clock, vault

    async def status(self) -> list[KeyState]:
        """Every key; reads all that is sealed."""
        async with self._database.connection() as connection:
            ring, counts = await keys.ring(connection), await keys.sealed_under(connection)
        here = set(self._vault.key_ids())
        states = [_state(row, row.key_id in here, counts.pop(row.key_id, 0)) for row in ring]
        return states + [
            KeyState(key_id=key_id.hex(), state="unknown", here=key_id in here, values=n)
            for key_id, n in sorted(counts.items())
        ]

    async def add(self, actor: str) -> list[str]:
        """Make the store know each key of this environment that it does not know yet; their ids. From then on no
        process starts without them. Raises `Conflict` for one that was retired.
        """
        now, added = self._clock.now(), []
        async with self._database.transaction() as connection:
            await keys.lock(connection)
            known = {row.key_id: row for row in await keys.ring(connection)}
            for key_id in self._vault.key_ids():
                row = known.get(key_id)
                if row is None:
                    await keys.add(connection, self._vault.stored(key_id), now)
                    await audit.record(connection, now, actor, "keys.add", key_id.hex(), {})
                    added.append(key_id.hex())
                elif row.retired_at is not None:
                    raise Conflict(
                        f"The key {key_id.hex()} was retired.",
                        code="key_retired",
                        remedy="Take it out of GATEWAY_MASTER_KEY; make a new one with `openssl rand -base64 32`.",
                    )
        return added

    async def rotate(
        self, key_id: str | None, actor: str, *, most_rows: int | None = None, rows_per_s: float | None = None
    ) -> Rotated:
        """Have `key_id` seal (None: whichever seals now) and seal anew what lies under others; run again, it goes on.

        `most_rows`: end after about so many; `rows_per_s`: no faster. Raises `NotFound`, `Conflict`.
        """
        if key_id is not None:
            await self._activate(key_id, actor)
        async with self._database.connection() as connection:
            await witness.check(connection, self._vault)
        async with witness.following(self._database, self._vault):
            rows, broken = await self._seal_anew(most_rows, rows_per_s)
        active = self._vault.active_id
        async with self._database.connection() as connection:
            counts = await keys.sealed_under(connection)
        left = sum(n for found, n in counts.items() if found != active)
        return Rotated(key_id=active.hex(), rows=rows, left=left, broken=broken)

    async def _seal_anew(self, most_rows: int | None, rows_per_s: float | None) -> tuple[int, int]:
        """Everything, or about so many rows: how many were, and how many do not open."""
        rows, broken = 0, 0
        for round_ in range(_ROUNDS):
            done, broken, held = 0, 0, 0
            for table in TABLES:
                room = None if most_rows is None else most_rows - rows - done
                a, b, c = await self._table(table, room, rows_per_s)
                done, broken, held = done + a, broken + b, held + c
            rows += done
            if held == 0 or (most_rows is not None and rows >= most_rows) or round_ == _ROUNDS - 1:
                break
            await asyncio.sleep(_PAUSE_S)  # somebody holds rows, or changes them at this moment
        return rows, broken

    async def retire(self, key_id: str, actor: str) -> None:
        """Let a key open nothing any more. Raises `NotFound`, and `Conflict` where it seals, something is left under
        it, a process may still seal under it, or somebody stores what may have been sealed under it.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await keys.lock(connection)
            ring = {row.key_id.hex(): row for row in await keys.ring(connection)}
            row = _known(ring.get(key_id))
            since = max((one.activated_at for one in ring.values() if one.active and one.activated_at), default=now)
            if row.active:
                raise Conflict(
                    "This key seals.", code="key_active", remedy="Add another and `gateway keys rotate` to it first."
                )
            if row.activated_at is not None and now < since + SETTLED:
                raise Conflict(
                    "A process may still seal under this key, or write what it sealed.",
                    code="key_in_use",
                    remedy=f"Try again {SETTLED.seconds // 60} minutes after another key began to seal.",
                )
            if hidden := await keys.hidden_writers(connection):
                raise Conflict(
                    f"The server does not show this role the transactions of {', '.join(hidden)}:"
                    " one may store what was sealed before.",
                    code="key_in_use",
                    remedy=f"Have who runs the server say GRANT {', '.join(hidden)} TO the role of this command.",
                )
            # Asked before the values are counted: whatever such a transaction stores is among them, or it goes on.
            waits = await keys.older_transaction(connection, since + STILL_SEALS) or not await witness.free(connection)
            if left := (await keys.sealed_under(connection)).get(row.key_id, 0):
                raise Conflict(
                    f"{left} values lie under this key.", code="key_in_use", remedy="Run `gateway keys rotate` again."
                )
            if waits:
                raise Conflict(
                    "Rows sealed before may be being stored: a transaction that began by then goes on.",
                    code="key_in_use",
                    remedy="Try again once it has ended.",
                )
            await keys.retire(connection, row.key_id, now)
            await audit.record(connection, now, actor, "keys.retire", key_id, {})

    async def _activate(self, key_id: str, actor: str) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await keys.lock(connection)
            row = _known({one.key_id.hex(): one for one in await keys.ring(connection)}.get(key_id))
            if not row.active:
                await keys.activate(connection, row.key_id, now)
                await audit.record(connection, now, actor, "keys.rotate", key_id, {})

    async def _table(self, table: SealedTable, most: int | None, rows_per_s: float | None) -> tuple[int, int, int]:
        """Seal one table anew: how many rows were, how many do not open, how many somebody else held."""
        done, broken, held = 0, 0, 0
        after: list[object] | None = None
        while most is None or done < most:
            limit = CHUNK if most is None else min(CHUNK, most - done)
            async with self._database.connection() as connection:
                rows = await keys.others(connection, table, self._vault.active_id, after, limit)
                if not rows:
                    break
                after = [rows[-1][name] for name in table.keys]
                opened = [(row, made) for row in rows if (made := self._anew(table, row)) is not None]
                put = await keys.put(connection, table, [row for row, _ in opened], [made for _, made in opened])
            done, broken, held = done + put, broken + len(rows) - len(opened), held + len(opened) - put
            if rows_per_s is not None:
                await asyncio.sleep(len(rows) / rows_per_s)
        return done, broken, held

    def _anew(self, table: SealedTable, row: asyncpg.Record) -> dict[str, bytes | None] | None:
        try:
            return {
                column: self._vault.seal(place(row), self._vault.open(place(row), row[column]))
                if row[column]
                else row[column]
                for column, place in table.columns.items()
            }
        except SealBroken:
            _log.warning("seal_broken", table=table.name, key=str([row[name] for name in table.keys]))
            return None


def _known(row: KeyRow | None) -> KeyRow:
    if row is None or row.retired_at is not None:
        raise NotFound("There is no such key in the ring, or it was retired: `gateway keys status` lists them.")
    return row


def _state(row: KeyRow, here: bool, values: int) -> KeyState:
    if row.active:
        state = "active"
    elif row.retired_at is not None:
        state = "retired"
    else:
        state = "added" if row.activated_at is None else "old"
    return KeyState(
        key_id=row.key_id.hex(),
        state=state,
        here=here,
        values=values,
        added_at=row.added_at,
        activated_at=row.activated_at,
        retired_at=row.retired_at,
    )
