"""A batch's file on this side: its refused rows to correct, and its content root computed from it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from contracts.batch import COLUMNS, NOTES, RowFault, notes_of
from contracts.errors import GatewayError
from gateway.security.vault import keyed_hash
from gateway.services.intake.cells import cleaned, plain
from gateway.services.intake.framing import CsvCells, Decoder, JsonCells, Record
from gateway.services.intake.merkle import MerkleTree, leaf_of

_CHUNK = 65_536


class ResultsRefused(GatewayError):
    """The API did not give the results."""


def results(http: httpx.Client, results_url: str, *, outcome: str = "rejected") -> Iterator[dict[str, Any]]:
    """A batch's rows of one outcome in the order of the file, one at a time."""
    headers = {"Accept": "application/x-ndjson"}
    with http.stream("GET", results_url, params={"outcome": outcome}, headers=headers) as reply:
        if not reply.is_success:
            raise ResultsRefused(f"HTTP {reply.status_code} for the batch's results.")
        for line in reply.iter_lines():
            yield json.loads(line)


def records(file: Path, *, ndjson: bool) -> Iterator[Record]:
    """The rows of a file as the gateway frames them; raises `FileRefused`."""
    decoder, cells = Decoder(), JsonCells() if ndjson else CsvCells()
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield from cells.feed(decoder.feed(chunk))
    yield from cells.feed(decoder.feed(b"", last=True), last=True)


def root(file: Path, lines: Collection[int], key: bytes, *, ndjson: bool) -> str:
    """The content root of those lines of a file, in hex digits."""
    tree, keyed = MerkleTree(), keyed_hash(key)
    for record in records(file, ndjson=ndjson):
        if record.line in lines:
            tree.add([leaf_of(keyed, [cleaned(cell) for cell in record.cells])])
    return tree.root().hex()


def write(target: Path, file: Path, rejected: Iterable[dict[str, Any]], *, ndjson: bool) -> int:
    """Write the refused rows of `file` to `target`; how many. Bytes that are not UTF-8 stay as they are."""
    found = records(file, ndjson=ndjson)
    count = 0
    with open(target, "w", encoding="utf-8", errors="surrogateescape", newline="", opener=_private) as sink:
        writer = csv.writer(sink)
        writer.writerow([*COLUMNS, *NOTES])
        for row in rejected:
            record = next((one for one in found if one.line == row["line"]), None)
            if record is None:
                raise ResultsRefused("The file has changed since it was handed over.", remedy="Write it from that one.")
            faults = msgspec.convert(row["faults"], list[RowFault])
            # What stands for a value of another type is no value: its cell is left to be filled in.
            cells = ["" if cell[:1] == "\0" else plain(cell) for cell in record.cells or [""] * len(COLUMNS)]
            writer.writerow([*cells, *_notes(row["line"], faults, record)])
            count += 1
    return count


def _private(path: str, flags: int) -> int:
    """A new file is its owner's alone: it holds people's NIKs."""
    return os.open(path, flags, 0o600)


def _notes(line: int, faults: list[RowFault], record: Record) -> tuple[str, str]:
    wrong, todo = notes_of(faults)
    return (wrong, todo) if record.cells else (f"line {line}, {wrong}", todo)
