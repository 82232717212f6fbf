"""Where the checked rows of an upload wait for their turn: in memory, then in a file.

Rows are sealed before they come here, so that nothing personal is ever written in plain.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from types import TracebackType

import msgspec

from gateway.services.intake.rows import Refused, Row

_IN_MEMORY_BYTES = 4_194_304
_SIZE_BYTES = 8
_PIECE = 2_000
"""Rows in a piece: so many that a COPY for each costs little, so few that nobody else in the process waits for one."""


class _Piece(msgspec.Struct, array_like=True):
    rows: list[Row]
    refused: list[Refused]


class Spool:
    """Takes rows and hands them back in order, also while more come; `with Spool() as spool` removes the file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by __exit__
        self._next = _Piece([], [])
        self._at = 0
        """Up to where the file is handed out."""
        self._rows = self._handed_out = 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Piece).decode

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, rows: list[Row], refused: list[Refused]) -> None:
        """Keep rows."""
        self._next.rows.extend(rows)
        self._next.refused.extend(refused)
        self._rows += len(rows) + len(refused)
        if len(self._next.rows) + len(self._next.refused) >= _PIECE:
            self._write()

    def pieces(self) -> Iterator[tuple[list[Row], list[Refused]]]:
        """What was added up to now and not handed out yet, some at a time."""
        self._write()
        end = self._file.seek(0, os.SEEK_END)
        while self._at < end:
            self._file.seek(self._at)  # meanwhile more may have been written
            piece = self._decode(self._file.read(int.from_bytes(self._file.read(_SIZE_BYTES), "big")))
            self._at = self._file.tell()
            self._handed_out += len(piece.rows) + len(piece.refused)
            yield piece.rows, piece.refused

    def again(self) -> None:
        """From now on hand out everything anew."""
        self._at = self._handed_out = 0

    @property
    def waiting(self) -> int:
        """Rows that were added and not handed out, refused ones included."""
        return self._rows - self._handed_out

    def _write(self) -> None:
        if self._next.rows or self._next.refused:
            piece = self._encode(self._next)
            self._file.seek(0, os.SEEK_END)
            self._file.write(len(piece).to_bytes(_SIZE_BYTES, "big"))
            self._file.write(piece)
            self._next = _Piece([], [])
