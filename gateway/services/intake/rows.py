"""Reading a batch: bytes into lines, lines into rows, rows checked and sealed. No I/O; the store gets what comes out.

A row is refused with its line, field and code and never with a value; the rest of the batch goes on.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

import msgspec

from contracts.batch import COLUMNS, RowCode
from contracts.errors import InvalidRequest
from contracts.nik import Nik, NikInvalid
from contracts.partner import Manifest
from gateway.security import places
from gateway.security.vault import Vault

MAX_LINE_BYTES = 4_096
_KEY = re.compile(r"(?!(?:.*[^0-9])?[0-9]{16}(?:[^0-9]|$))[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
"""Identifiers end up in addresses and answers; 16 digits are taken for a NIK, which must not."""
PHONE = re.compile(r"\+62[1-9][0-9]{7,12}", re.ASCII)
"""E.164; how to reach the participant, at a wallet not always the account."""
_AMOUNT = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MAX_NAME = 120


class Refused(NamedTuple):
    """A row that was refused; the key fields only where they could be read, and nothing else of the row."""

    line: int
    field: str | None
    code: str
    programme: str | None = None
    participant_id: str | None = None
    purpose: str | None = None
    period: str | None = None


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
    identity: int
    """64 bits that are equal when NIK, partner and account are; only compared within one batch, in this process."""
    nik_index: bytes
    account_index: bytes
    nik_sealed: bytes
    name_sealed: bytes
    phone_sealed: bytes
    account_sealed: bytes


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What one partner takes."""

    account: re.Pattern[str]
    min_amount_rupiah: int
    max_amount_rupiah: int


def rules_of(manifests: Mapping[str, Manifest]) -> dict[str, Rule]:
    """The partners' rules, from their manifests."""
    return {
        slug: Rule(
            account=re.compile(manifest.account_pattern, re.ASCII),
            min_amount_rupiah=manifest.min_amount_rupiah,
            max_amount_rupiah=manifest.max_amount_rupiah,
        )
        for slug, manifest in manifests.items()
    }


class Lines:
    """Cuts a stream of bytes into numbered lines; an overlong one is cut short, so that it takes no memory."""

    def __init__(self) -> None:
        self._rest = b""
        self._number = 0

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """The lines that are complete now, without their ends and without empty ones."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()[: MAX_LINE_BYTES + 1]
        return self._numbered(lines)

    def end(self) -> list[tuple[int, bytes]]:
        """The last line, where the file does not end with a line end."""
        rest, self._rest = self._rest, b""
        return self._numbered([rest])

    def _numbered(self, lines: list[bytes]) -> list[tuple[int, bytes]]:
        first = self._number + 1
        self._number += len(lines)
        return [(number, line) for number, line in enumerate(lines, first) if line and line != b"\r"]


Cells = tuple[str, ...]
"""A row's values in the order of `COLUMNS`; empty where one is missing."""


class CsvCells:
    """Lines of a CSV as cells. The first line is the header: exactly the columns, in any order."""

    def __init__(self) -> None:
        self._order: list[int] = []

    def begin(self, line: bytes) -> bool:
        """Read the first line, which is no row; raises `InvalidRequest`."""
        self._order = _order_of(line)
        return True

    def read(self, line: bytes) -> Cells | None:
        """A row's cells, or None for a line that is none."""
        text = _text(line)
        cells = None if text is None else _split(text)
        if cells is None or len(cells) != len(COLUMNS):
            return None
        return tuple([cells[at] for at in self._order])


def _order_of(header: bytes) -> list[int]:
    names = _split(_text(header.removeprefix(b"\xef\xbb\xbf")) or "") or []
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InvalidRequest(
            f"The first line must name the columns; missing: {', '.join(missing)}.",
            field=missing[0],
            code="header_invalid",
            remedy=f"Begin with: {','.join(COLUMNS)}",
        )
    if len(names) != len(COLUMNS):
        raise InvalidRequest(
            "The first line names columns that a batch does not have, or one twice.",
            code="header_invalid",
            remedy=f"Begin with: {','.join(COLUMNS)}",
        )
    return [names.index(name) for name in COLUMNS]


def _text(line: bytes) -> str | None:
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        return None


def _split(text: str) -> list[str] | None:
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        return None


class JsonCells:
    """Lines of NDJSON as cells: one object with exactly the columns as keys."""

    _decode = staticmethod(msgspec.json.Decoder(dict[str, msgspec.Raw]).decode)

    def begin(self, line: bytes) -> bool:
        """The first line is a row like all others."""
        return False

    def read(self, line: bytes) -> Cells | None:
        """A row's cells, or None for a line that is none."""
        text = _text(line)
        if text is None:
            return None
        try:
            values = self._decode(text)
        except (msgspec.DecodeError, RecursionError):  # so deep is no row
            return None
        if not values.keys() <= _COLUMN_SET:
            return None
        return tuple([_cell(name, values.get(name)) for name in COLUMNS])


_COLUMN_SET = frozenset(COLUMNS)


def _cell(name: str, raw: msgspec.Raw | None) -> str:
    if raw is None or bytes(raw) == b"null":
        return ""
    kind = int if name == "amount_rupiah" else str
    try:
        return str(msgspec.json.decode(raw, type=kind))
    except msgspec.DecodeError:
        return _ODD


_ODD = "\0"
"""Stands for a value of another JSON type: no check of any field lets it through."""


class Checker:
    """Checks, seals and indexes rows."""

    def __init__(self, rules: Mapping[str, Rule], vault: Vault) -> None:
        self._rules = rules
        self._seal = vault.seal
        self._index = vault.index

    def check(self, line: int, cells: Cells) -> Row | Refused:
        """The row to stage, or why it is refused."""
        programme, purpose, period, participant_id, nik, name, phone, partner, account, amount, due, deadline = cells
        if not (_is_key(programme) and _is_key(purpose) and _is_key(period) and _KEY.fullmatch(participant_id)):
            return _unreadable_key(line, cells)

        def refused(field: str, code: RowCode) -> Refused:
            return Refused(line, field, code.value, programme, participant_id, purpose, period)

        if "" in cells:
            return refused(COLUMNS[cells.index("")], RowCode.FIELD_MISSING)
        try:
            Nik(nik)
        except NikInvalid:
            return refused("nik", RowCode.NIK_INVALID)
        if len(name) > _MAX_NAME or not name.isprintable() or name.isspace():
            return refused("full_name", RowCode.FIELD_INVALID)
        if PHONE.fullmatch(phone) is None:
            return refused("phone", RowCode.FIELD_INVALID)
        rule = self._rules.get(partner)
        if rule is None:
            return refused("partner", RowCode.PARTNER_UNKNOWN)
        if rule.account.fullmatch(account) is None:
            return refused("account", RowCode.FIELD_INVALID)
        amount_rupiah = int(amount) if _AMOUNT.fullmatch(amount) else 0
        if not max(1, rule.min_amount_rupiah) <= amount_rupiah <= rule.max_amount_rupiah:
            return refused("amount_rupiah", RowCode.AMOUNT_INVALID)
        due_on, deadline_on = _date(due), _date(deadline)
        if due_on is None:
            return refused("due_on", RowCode.DATE_INVALID)
        if deadline_on is None or deadline_on < due_on:
            return refused("deadline_on", RowCode.DATE_INVALID)
        seal, index = self._seal, self._index
        nik_index = index(places.NIK_INDEX, nik)
        account_index = index(places.account_index(partner), account)
        return Row(
            line,
            programme,
            purpose,
            period,
            participant_id,
            partner,
            amount_rupiah,
            due_on,
            deadline_on,
            index(places.CONTENT_INDEX, "\x1f".join(cells)),
            hash(nik_index + account_index),
            nik_index,
            account_index,
            seal(places.nik(participant_id), nik),
            seal(places.name(participant_id), name),
            seal(places.phone(participant_id), phone),
            seal(places.account(participant_id), account),
        )


def _unreadable_key(line: int, cells: Cells) -> Refused:
    for name, value in zip(COLUMNS[:4], cells[:4], strict=True):
        if not value:
            return Refused(line, name, RowCode.FIELD_MISSING.value)
        if _KEY.fullmatch(value) is None:
            return Refused(line, name, RowCode.FIELD_INVALID.value)
    raise AssertionError("one of the four was missing or malformed")


@functools.lru_cache(maxsize=4_096)
def _is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


@functools.lru_cache(maxsize=4_096)
def _date(text: str) -> date | None:
    if _DATE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


class Reader:
    """A stream of bytes as checked rows; counts what it has seen."""

    def __init__(self, cells: CsvCells | JsonCells, checker: Checker) -> None:
        self._cells = cells
        self._checker = checker
        self._lines = Lines()
        self._begun = False
        self.rows = 0
        """Rows read so far, refused ones included."""

    def feed(self, chunk: bytes) -> tuple[list[Row], list[Refused]]:
        """What the next bytes bring."""
        return self._check(self._lines.feed(chunk))

    def end(self) -> tuple[list[Row], list[Refused]]:
        """What is left at the end; raises `InvalidRequest` for a file without a single row."""
        rows = self._check(self._lines.end())
        if self.rows == 0:
            raise InvalidRequest("The batch has no row.", code="batch_empty")
        return rows

    def _check(self, lines: Iterable[tuple[int, bytes]]) -> tuple[list[Row], list[Refused]]:
        accepted: list[Row] = []
        refused: list[Refused] = []
        read, check = self._cells.read, self._checker.check
        for number, line in lines:
            if not self._begun:
                self._begun = True
                if self._cells.begin(line):
                    continue
            self.rows += 1
            cells = read(line)
            if cells is None:
                refused.append(Refused(number, None, RowCode.ROW_MALFORMED.value))
                continue
            row = check(number, cells)
            if isinstance(row, Refused):
                refused.append(row)
            else:
                accepted.append(row)
        return accepted, refused
