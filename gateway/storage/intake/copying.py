"""Checked rows as PostgreSQL copies them in: its binary COPY format, made once for each row when it is checked, so
that a merge has nothing left to do but to send it.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import AsyncIterator
from datetime import date
from typing import NamedTuple

_BEGIN, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_FIRST_DAY = date(2000, 1, 1).toordinal()
_NULL = b"\xff\xff\xff\xff"
_length = struct.Struct(">i").pack
_line = struct.Struct(">hii").pack
_terms = struct.Struct(">iqiiii").pack
_number = struct.Struct(">iq").pack
_L32, _L64 = _length(32), _length(64)


class Row(NamedTuple):
    """A row as it is staged: checked, with everything personal sealed or indexed."""

    line: int
    programme: str
    purpose: str
    period: str
    participant_id: str
    partner: str
    amount_rupiah: int
    due_on: date
    deadline_on: date
    content_hash: bytes
    leaf: bytes
    digest: bytes
    """Of what is approved of it (`gateway.security.approval`)."""
    identity: int
    """64 bits that are equal when NIK, partner and account are; only compared within one batch, in this process."""
    nik_index: bytes
    account_index: bytes
    name_index: bytes
    """64 bytes; the other indexes and hashes have 32."""
    phone_index: bytes
    nik_sealed: bytes
    name_sealed: bytes
    phone_sealed: bytes
    account_sealed: bytes


class Refused(NamedTuple):
    """A row that was refused; the key fields only where they could be read, and nothing else of the row."""

    line: int
    field: str | None
    """Of the first fault, as `code`."""
    code: str
    faults: str
    """All of them, as JSON: a list of `Fault`."""
    programme: str | None = None
    participant_id: str | None = None
    purpose: str | None = None
    period: str | None = None


def row_bytes(row: Row) -> bytes:
    """One line of `intake_rows`."""
    (
        line, programme, purpose, period, participant_id, partner, amount_rupiah, due_on, deadline_on, content_hash,
        leaf, digest, identity, nik_index, account_index, name_index, phone_index, nik, name, phone, account,
    ) = row  # fmt: skip
    person = participant_id.encode()
    return b"".join(
        (
            _line(len(row), 4, line), _instalment(programme, purpose, period), _length(len(person)), person,
            _word(partner),
            _terms(8, amount_rupiah, 4, due_on.toordinal() - _FIRST_DAY, 4, deadline_on.toordinal() - _FIRST_DAY),
            _L32, content_hash, _L32, leaf, _L32, digest, _number(8, identity), _L32, nik_index, _L32, account_index,
            _L64, name_index, _L32, phone_index, _length(len(nik)), nik, _length(len(name)), name,
            _length(len(phone)), phone, _length(len(account)), account,
        )
    )  # fmt: skip


def refused_bytes(refused: Refused) -> bytes:
    """One line of `intake_refused`."""
    line, field, code, faults, programme, participant_id, purpose, period = refused
    return b"".join(
        (
            _line(len(refused), 4, line), _word(field), _word(code), _text(faults), _word(programme),
            _text(participant_id), _word(purpose), _word(period),
        )
    )  # fmt: skip


async def framed(lines: bytes) -> AsyncIterator[bytes]:
    """Lines as the whole of one COPY."""
    yield _BEGIN
    yield lines
    yield _END


def _text(text: str | None) -> bytes:
    if text is None:
        return _NULL
    encoded = text.encode()
    return _length(len(encoded)) + encoded


_word = functools.lru_cache(maxsize=256)(_text)
"""For what many rows have in common."""


@functools.lru_cache(maxsize=256)
def _instalment(programme: str, purpose: str, period: str) -> bytes:
    return _text(programme) + _text(purpose) + _text(period)
