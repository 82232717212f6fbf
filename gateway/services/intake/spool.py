"""Where the checked rows of an upload wait while the rest of it is still on its way: in memory, then in a file.

Rows are sealed before they come here, so that nothing personal is ever written in plain.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from types import TracebackType

import msgspec

from gateway.services.intake.rows import Refused, Row

_IN_MEMORY_BYTES = 4_194_304
_SIZE_BYTES = 8


class _Piece(msgspec.Struct, array_like=True):
    rows: list[Row]
    refused: list[Refused]


class Spool:
    """Takes pieces of rows and hands them back in order; `with Spool() as spool` removes the file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by __exit__
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Piece).decode

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, rows: list[Row], refused: list[Refused]) -> None:
        """Keep a piece."""
        if rows or refused:
            piece = self._encode(_Piece(rows, refused))
            self._file.write(len(piece).to_bytes(_SIZE_BYTES, "big"))
            self._file.write(piece)

    def pieces(self) -> Iterator[tuple[list[Row], list[Refused]]]:
        """What was added, piece by piece."""
        self._file.seek(0)
        while size := self._file.read(_SIZE_BYTES):
            piece = self._decode(self._file.read(int.from_bytes(size, "big")))
            yield piece.rows, piece.refused
