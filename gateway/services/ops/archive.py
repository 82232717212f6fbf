"""What only grows, written into files and then taken out of the store: events, and the journal of calls to partners.

A folder holds `events-...jsonl.gz` and `exchanges-...jsonl.gz`, one JSON object a line, and `archive.jsonl`, which
names each file with its rows and its SHA-256; each of its lines has the hash of the one before. A file is on the disk,
read again and on record before anything is taken out; killed in between, the next run takes out what the last file
holds.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from contracts.errors import Conflict, InvalidRequest
from gateway.clock import Clock
from gateway.storage.base.database import Connection, Database
from gateway.storage.messages import events
from gateway.storage.ops import archive as stored
from gateway.storage.ops import audit

LEAST_KEPT = timedelta(days=45)
"""Longer than a webhook is tried and its dead letter kept, and than a partner's word is waited for."""
PIECE = 50_000
"""Rows of a file at most: some 20 MB in memory, and one transaction to take them out."""
_DAY = timedelta(days=1)
_MANIFEST = "archive.jsonl"


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `archive.jsonl`."""

    file: str
    kind: str
    """`events` or `exchanges`."""
    rows: int
    first_at: datetime
    last_at: datetime
    sha256: str
    """Of the file."""
    previous: str
    """SHA-256 of the line before, empty for the first."""


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not what is on record of it."""

    file: str
    why: str


_Row = events.Event | stored.Line
_LINES: dict[str, type[events.Event] | type[stored.Line]] = {
    "events": events.Event,
    "exchanges": stored.Line,
}


class Archive:
    """One folder's, for one store."""

    def __init__(self, database: Database, clock: Clock, folder: Path) -> None:
        self._database = database
        self._clock = clock
        self._folder = folder

    async def run(self, kept: timedelta, actor: str, piece: int = PIECE) -> AsyncIterator[Filed]:
        """File what is older than `kept` and take it out, a file at a time; each once that is done.

        Raises `InvalidRequest` for a time that is too short, or a folder whose record is not whole, and `Conflict`
        while another run archives into it.
        """
        if kept < LEAST_KEPT:
            raise InvalidRequest(f"{LEAST_KEPT.days} days at least stay in the store.")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(self._folder):
            before = self._clock.now() - kept
            await self._go_on(actor)
            async for filed in self._events(before, actor, piece):
                yield filed
            async for filed in self._exchanges(before, actor, piece):
                yield filed

    async def _go_on(self, actor: str) -> None:
        """Where the last run was killed. Of the files before its own it is asked only whether they are there: to read
        them all each time takes longer with each; `gateway archive verify` does.
        """
        if wrong := verify(self._folder, whole=False):
            raise InvalidRequest(f"{wrong[0].file}: {wrong[0].why}. Archive into another folder.")
        manifest = self._folder / _MANIFEST
        if manifest.exists():
            os.truncate(manifest, len(_whole(manifest.read_bytes())))
        if last := _filed(self._folder)[-1:]:
            await self._take_out(last[0], actor, again=True)

    async def _events(self, before: datetime, actor: str, piece: int) -> AsyncIterator[Filed]:
        """The oldest events, in their order, up to the first that is not old or that a webhook endpoint still wants."""
        while True:
            async with self._database.connection() as connection:
                wanted = await stored.first_wanted(connection)
                page = await events.read_after(connection, 0, 0, piece)
            old: list[events.Event] = []
            for event in page:
                if event.at >= before or (wanted is not None and (event.tx, event.seq) > wanted):
                    break
                old.append(event)
            if not old:
                return
            yield await self._file("events", old, actor)

    async def _exchanges(self, before: datetime, actor: str, piece: int) -> AsyncIterator[Filed]:
        """Day by day, those whose payout has ended and is in nobody's hands."""
        async with self._database.connection() as connection:
            day = await stored.first_exchange(connection)
        while day is not None and day < before:
            until = min(day + _DAY, before)
            async with self._database.connection() as connection:
                lines = await stored.exchanges(connection, day, until, piece)
            if lines:
                yield await self._file("exchanges", lines, actor)
            else:
                day = until

    async def _file(self, kind: str, rows: Sequence[_Row], actor: str) -> Filed:
        times = [row.at for row in rows]
        known = _filed(self._folder)
        name = f"{kind}-{min(times):%Y%m%d}-{len(known) + 1:06}.jsonl.gz"
        content = gzip.compress(b"".join(msgspec.json.encode(row) + b"\n" for row in rows), mtime=0)
        _write(self._folder / name, content)
        filed = Filed(
            file=name,
            kind=kind,
            rows=len(rows),
            first_at=min(times),
            last_at=max(times),
            sha256=hashlib.sha256(content).hexdigest(),
            previous=_hash(known[-1]) if known else "",
        )
        if why := _differs(self._folder, filed):
            raise InvalidRequest(f"{name}: {why} right after it was written. Nothing was taken out of the store.")
        with (self._folder / _MANIFEST).open("ab") as manifest:
            manifest.write(msgspec.json.encode(filed) + b"\n")
            manifest.flush()
            os.fsync(manifest.fileno())
        await self._take_out(filed, actor)
        return filed

    async def _take_out(self, filed: Filed, actor: str, *, again: bool = False) -> None:
        """Take a file's rows out of the store: all of them, or, `again`, none where that was done before."""
        rows = list(_rows(self._folder / filed.file, filed.kind))
        async with self._database.transaction() as connection:
            await events.take_out_alone(connection)
            wanted = await stored.first_wanted(connection)
            gone = await _forget(connection, filed, rows)
            if not gone and again:
                return
            last = rows[-1]
            if isinstance(last, events.Event) and wanted is not None and (last.tx, last.seq) > wanted:
                raise Conflict(
                    f"A webhook endpoint is to be told once more of what is in {filed.file}. Nothing was taken out;"
                    " archive again once it was told."
                )
            if gone != rows:  # row by row: the folder may be another store's, or somebody else took some
                raise Conflict(
                    f"The store does not hold what is in {filed.file}, or no longer all of it. Nothing was taken out;"
                    " archive into another folder, and one store into one folder."
                )
            if isinstance(last, events.Event):
                await stored.purged(connection, (last.tx, last.seq))
            seen = {"kind": filed.kind, "rows": filed.rows, "sha256": filed.sha256}
            await audit.record(connection, self._clock.now(), actor, "archive.filed", filed.file, seen)


async def _forget(connection: Connection, filed: Filed, rows: Sequence[_Row]) -> Sequence[_Row]:
    if isinstance(last := rows[-1], events.Event):
        return await stored.forget_events(connection, (last.tx, last.seq))
    numbers = [row.id for row in rows if isinstance(row, stored.Line)]
    return await stored.forget_exchanges(connection, filed.first_at, filed.last_at, numbers)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two that count the files at once would give one of them the other's name. Raises `Conflict`."""
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("Another run archives into this folder.", remedy="Wait until it has ended.") from error
        yield
    finally:
        os.close(held)


def verify(folder: Path, *, whole: bool = True) -> list[Wrong]:
    """Each file of a folder that is missing or changed, and each line of its record that was. Unless the `whole` is
    asked for, only the last file is read.
    """
    wrong, previous, record = [], "", _filed(folder)
    for number, filed in enumerate(record, 1):
        if filed.previous != previous:
            wrong.append(Wrong(file=_MANIFEST, why=f"a line before {filed.file} was changed, put in or taken out"))
        if why := _differs(folder, filed, read=whole or number == len(record)):
            wrong.append(Wrong(file=filed.file, why=why))
        previous = _hash(filed)
    return wrong


def _differs(folder: Path, filed: Filed, *, read: bool = True) -> str | None:
    path = folder / filed.file
    if not path.exists():
        return "is missing"
    if not read:
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != filed.sha256:
        return "was changed"
    if sum(1 for _ in _rows(path, filed.kind)) != filed.rows:
        return "holds another number of rows"
    return None


def _filed(folder: Path) -> list[Filed]:
    path = folder / _MANIFEST
    if not path.exists():
        return []
    try:
        return [msgspec.json.decode(line, type=Filed) for line in _whole(path.read_bytes()).splitlines()]
    except msgspec.DecodeError as error:
        raise InvalidRequest(
            f"{path} was changed: a line of it cannot be read. Archive into another folder."
        ) from error


def _whole(lines: bytes) -> bytes:
    """Without a last line that was cut off: nothing was taken out of the store for it yet."""
    return lines[: lines.rfind(b"\n") + 1]


def _rows(path: Path, kind: str) -> Iterator[_Row]:
    decoder = msgspec.json.Decoder(_LINES[kind])
    with gzip.open(path) as lines:
        for line in lines:
            yield decoder.decode(line)


def _hash(filed: Filed) -> str:
    return hashlib.sha256(msgspec.json.encode(filed)).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """On the disk, under its name, or not at all."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
