"""Where the checked rows of an upload wait for their turn: in memory, then in a file.

Rows are sealed before they come here, so that nothing personal is ever written in plain.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from types import TracebackType

from gateway.storage.intake.copying import Refused, Row, refused_bytes, row_bytes

_IN_MEMORY_BYTES = 4_194_304
_HEAD = struct.Struct(">IIII")
"""Rows, refused rows, and the bytes of each."""
_PIECE = 5_000
"""Rows in a piece: so many that a COPY for each costs little, so few that some megabytes hold them."""


class Spool:
    """Takes rows and hands them back in order, also while more come; `with Spool() as spool` removes the file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by __exit__
        self._next_rows: list[bytes] = []
        self._next_refused: list[bytes] = []
        self._at = 0
        """Up to where the file is handed out."""
        self._rows = self._handed_out = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, rows: list[Row], refused: list[Refused]) -> None:
        """Keep rows."""
        self._next_rows += map(row_bytes, rows)
        self._next_refused += map(refused_bytes, refused)
        self._rows += len(rows) + len(refused)
        if len(self._next_rows) + len(self._next_refused) >= _PIECE:
            self._write()

    def pieces(self) -> Iterator[tuple[bytes, bytes]]:
        """What was added up to now and not handed out yet, some at a time: rows, and refused ones, as they are copied
        into the store.
        """
        self._write()
        end = self._file.seek(0, os.SEEK_END)
        while self._at < end:
            self._file.seek(self._at)  # meanwhile more may have been written
            rows, refused, rows_size, refused_size = _HEAD.unpack(self._file.read(_HEAD.size))
            piece = self._file.read(rows_size), self._file.read(refused_size)
            self._at = self._file.tell()
            self._handed_out += rows + refused
            yield piece

    def again(self) -> None:
        """From now on hand out everything anew."""
        self._at = self._handed_out = 0

    @property
    def waiting(self) -> int:
        """Rows that were added and not handed out, refused ones included."""
        return self._rows - self._handed_out

    def _write(self) -> None:
        if self._next_rows or self._next_refused:
            rows, refused = b"".join(self._next_rows), b"".join(self._next_refused)
            self._file.seek(0, os.SEEK_END)
            self._file.write(_HEAD.pack(len(self._next_rows), len(self._next_refused), len(rows), len(refused)))
            self._file.write(rows)
            self._file.write(refused)
            self._next_rows, self._next_refused = [], []
