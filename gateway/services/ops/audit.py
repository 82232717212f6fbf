"""The record of decisions, closed link by link, and whether it is as it was closed.

A link's hash runs over every row since the link before, in their order; its code is under the master key. So a row that
is changed, left out, put in or moved shows, and so does a link. What was cut off at the end, links and all, shows to
whoever kept the last root somewhere else (`gateway audit root`, the log line `audit_sealed`).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

import asyncpg
import msgspec
import structlog

from gateway.clock import Clock
from gateway.security import places
from gateway.security.vault import Vault
from gateway.storage.base.database import Database
from gateway.storage.ops import audit
from gateway.storage.ops.audit import Seal

EVERY = timedelta(minutes=1)
_LOCK_S = 0.3
_NOTHING = (0, -(2**63), 0, b"\0" * 32)
"""Link, row, rows and hash before the first."""
_log = structlog.get_logger(__name__)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the whole record found."""

    rows: int
    """Closed by links that hold."""
    open_rows: int
    """Written since the last link."""
    links: int
    wrong: str | None
    """The first thing that is not as it was closed; None: all is."""


class Sealing:
    """Closes the record and looks it over."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database, self._clock, self._vault = database, clock, vault

    async def tick(self) -> int:
        """Close what was written since the last link, at most once in `EVERY`; how many rows."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            last = await audit.last_seal(connection)
        if last is not None and last.at + EVERY > now:
            return 0
        try:
            return await self.seal(now)
        except (asyncpg.LockNotAvailableError, asyncpg.UniqueViolationError):
            return 0  # a long transaction decides something, or another worker made this link: a minute is soon enough

    async def seal(self, now: datetime) -> int:
        """Close whatever is written; how many rows. Writers wait until it is known which row is the last, not while
        the rows are read. Raises `UniqueViolationError` where another process made the same link.
        """
        async with self._database.transaction() as connection:
            until = await audit.last_settled(connection, _LOCK_S)
        async with self._database.transaction() as connection:
            last = await audit.last_seal(connection)
            n, after, before, chain = (last.n, last.last_seq, last.rows, last.chain) if last else _NOTHING
            rows, seq = 0, after
            async for number, line in audit.lines(connection, after, until):
                chain, seq = _next(chain, line), number
                rows += 1
            if not rows:
                return 0
            made = self._coded(Seal(n=n + 1, last_seq=seq, rows=before + rows, chain=chain, code=b"", at=now), last)
            await audit.add_seal(connection, made)
        _log.info("audit_sealed", root=root_of(made), rows=made.rows)
        return rows

    async def root(self) -> str | None:
        """The newest link's root, to be kept where the database's owner cannot reach it."""
        async with self._database.connection() as connection:
            last = await audit.last_seal(connection)
        return None if last is None else root_of(last)

    async def verify(self, expected: str | None = None) -> Verified:
        """Look at every row and link, in one snapshot; `expected`: a root that was kept elsewhere."""
        async with self._database.connection() as connection, connection.transaction(isolation="repeatable_read"):
            links = [link async for link in audit.seals(connection)]
            before: Seal | None = None
            (_, after, rows, chain) = _NOTHING
            for link in links:
                if link.n != (before.n if before else 0) + 1:
                    return _wrong(f"link {(before.n if before else 0) + 1} is missing", rows, before)
                if not hmac.compare_digest(self._coded(link, before).code, link.code):
                    return _wrong(f"link {link.n} is not as it was made", rows, before)
                async for _, line in audit.lines(connection, after, link.last_seq):
                    chain = _next(chain, line)
                    rows += 1
                if (chain, rows) != (link.chain, link.rows):
                    return _wrong(
                        f"rows {after + 1} to {link.last_seq} are not those that link {link.n} closed", rows, before
                    )
                after, before = link.last_seq, link
            open_rows = 0
            async for _ in audit.lines(connection, after):
                open_rows += 1
        if expected is not None and expected not in {root_of(link) for link in links}:
            return _wrong("the root that was kept is not in the record: its end was cut off or made anew", rows, before)
        return Verified(rows=rows, open_rows=open_rows, links=len(links), wrong=None)

    def _coded(self, seal: Seal, before: Seal | None) -> Seal:
        earlier = before.code.hex() if before else ""
        at_us = round(seal.at.timestamp() * 1e6)
        text = f"{seal.n}|{seal.last_seq}|{seal.rows}|{seal.chain.hex()}|{at_us}|{earlier}"
        return msgspec.structs.replace(seal, code=self._vault.index(places.AUDIT_SEAL, text))


def root_of(seal: Seal) -> str:
    """A link as text that stands for everything up to it."""
    return f"{seal.n}:{seal.code.hex()}"


def _next(chain: bytes, line: str) -> bytes:
    return hashlib.sha256(chain + line.encode()).digest()


def _wrong(what: str, rows: int, before: Seal | None) -> Verified:
    return Verified(rows=rows, open_rows=0, links=before.n if before else 0, wrong=what)
