"""Rows of a batch: checked, cleaned of what cannot be seen, sealed. No I/O; the store gets what comes out.

A row is refused with everything that is wrong with it (line, field, code) and never with a value; the rest of the batch
goes on.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from contracts.batch import COLUMNS, Fault, RowCode
from contracts.errors import InvalidRequest
from contracts.nik import is_nik
from contracts.partner import Manifest
from gateway.security import approval, places
from gateway.security.vault import Seal, Vault, keyed_hash
from gateway.services.intake.cells import cleaned, folded, is_name, name_fault, name_index, sign_of
from gateway.services.intake.framing import DIGITS, Cells, CsvCells, Decoder, JsonCells, Record
from gateway.services.intake.merkle import leaf_of
from gateway.services.intake.programmes import nearest
from gateway.storage.intake.copying import Refused, Row

_KEY = re.compile(
    r"(?!(?:.*[^0-9])?[0-9]{16}(?:[^0-9]|$))(?!(?:62|0)8[0-9]{8,11}\Z)[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII
)
"""Identifiers end up in addresses and answers; 16 digits are taken for a NIK, and what
looks like a mobile number for one: neither must.
"""
_KEYS = COLUMNS[:4]
_NAME = COLUMNS.index("full_name")
_PERIOD = re.compile(r"0|[1-9][0-9]{0,3}", re.ASCII)
PHONE = re.compile(r"\+62[1-9][0-9]{7,12}", re.ASCII)
"""E.164; how to reach the participant, at a wallet not always the account."""
_AMOUNT = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]{1,3}", re.ASCII)
"""A number of many digits as a spreadsheet saves it: the last ones are gone."""
_DIGITS = frozenset({"participant_id", "nik", "phone", "account"})
"""Columns of digits that are no numbers."""
_DAYS = frozenset({"due_on", "deadline_on"})
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


_SEALED = 4
"""Values of a row."""
Checked = tuple[list[Row], list[Refused]]
"""Rows that may be staged, and rows that were refused."""

_AT_A_TIME = 32
"""Rows are checked in a millisecond, so that whoever else has work in this process waits no longer for his turn: a
merge beside the reading takes dozens of turns for each of its pieces, and PostgreSQL rests while it waits for one.
"""


class PartnerRule(msgspec.Struct, frozen=True, kw_only=True):
    """What one partner takes."""

    account: re.Pattern[str]
    account_example: str
    min_amount_rupiah: int
    max_amount_rupiah: int


def rules_of(manifests: Mapping[str, Manifest]) -> dict[str, PartnerRule]:
    """The partners' rules, from their manifests."""
    return {
        slug: PartnerRule(
            account=re.compile(manifest.account_pattern, re.ASCII),
            account_example=manifest.account_example,
            min_amount_rupiah=manifest.min_amount_rupiah,
            max_amount_rupiah=manifest.max_amount_rupiah,
        )
        for slug, manifest in manifests.items()
    }


class _Indexes(NamedTuple):
    nik: Callable[[bytes], bytes]
    phone: Callable[[bytes], bytes]
    content: Callable[[bytes], bytes]
    account: Mapping[str, Callable[[bytes], bytes]]
    """By partner."""


class Checker:
    """Checks, cleans, seals and indexes rows."""

    def __init__(
        self, rules: Mapping[str, PartnerRule], vault: Vault, programmes: Mapping[str, frozenset[str]], key: bytes, *,
        under: bytes = b"",
    ) -> None:  # fmt: skip
        """`programmes`: the purposes of each one that is registered; `key`: the batch's own; `under`: the root of the
        payment plan that the rows are made by.
        """
        self.key = key
        self._keyed = keyed_hash(key)
        self._under = under
        self._rules = rules
        self._programmes = programmes
        self.accepted = 0
        self.niks_ending_in_0 = 0
        """Of the accepted rows."""
        self._vault = vault

    @functools.cached_property
    def _indexes(self) -> _Indexes:
        indexer = self._vault.indexer
        accounts = {slug: indexer(places.account_index(slug)) for slug in self._rules}
        return _Indexes(indexer(places.NIK_INDEX), indexer(places.PHONE_INDEX), indexer(places.CONTENT_INDEX), accounts)

    def sealer(self, rows: int) -> Seal:
        """What seals the values of so many rows at once."""
        return self._vault.sealer(rows * _SEALED)

    def check(self, record: Record, seal: Seal | None = None) -> Row | Refused:
        """The row to stage, or all that is wrong with it; `seal`: of the rows that it is checked with."""
        if record.fault is None:
            row = self._row(record.line, record.cells, seal)
            if row is not None:
                return row
        cells = tuple([cleaned(cell) for cell in record.cells])
        if record.fault is None and cells != record.cells:
            row = self._row(record.line, cells, seal)
            if row is not None:
                return row
        return self._refused(record.line, cells, record.fault)

    def _row(self, line: int, cells: Cells, seal: Seal | None) -> Row | None:
        """The row, unless anything is wrong with it; `_faults` says what."""
        programme, purpose, period, participant_id, nik, name, phone, partner, account, amount, due, deadline = cells
        if purpose not in self._programmes.get(programme, ()) or _PERIOD.fullmatch(period) is None:
            return None
        if _KEY.fullmatch(participant_id) is None:
            return None
        if not is_nik(nik) or not is_name(name) or PHONE.fullmatch(phone) is None:
            return None
        rule = self._rules.get(partner)
        if rule is None or rule.account.fullmatch(account) is None:
            return None
        amount_rupiah = _amount(amount, rule)
        due_on, deadline_on = _date(due), _date(deadline)
        if amount_rupiah is None or due_on is None or deadline_on is None or deadline_on < due_on:
            return None
        self.accepted += 1
        self.niks_ending_in_0 += nik[-1] == "0"
        indexes, seal = self._indexes, seal or self.sealer(1)
        nik_index = indexes.nik(nik.encode())
        account_index = indexes.account[partner](account.encode())
        name_folded = folded(name)
        row = approval.approved_row(
            programme, purpose, period, participant_id, nik_index, partner, amount_rupiah, due_on, deadline_on
        )
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
            indexes.content("\x1f".join((*cells[:_NAME], name_folded, *cells[_NAME + 1 :])).encode()),
            leaf_of(self._keyed, cells),
            approval.digest(self._vault, row, account_index, self._under),
            hash(nik_index + account_index),
            nik_index,
            account_index,
            name_index(self._vault, name, name_folded),
            indexes.phone(phone.encode()),
            seal(places.nik(participant_id), nik),
            seal(places.name(participant_id), name),
            seal(places.phone(participant_id), phone),
            seal(places.account(participant_id), account),
        )

    def person_faults(self, values: Mapping[str, str]) -> list[Fault]:
        """Everything that is wrong with fields of a person (`PERSON`), an unknown `partner` included."""
        found = [self._fault(name, value, values) if value else Fault(name, RowCode.FIELD_MISSING.value)
                 for name, value in values.items()]  # fmt: skip
        return [fault for fault in found if fault is not None]

    def _refused(self, line: int, cells: Cells, fault: Fault | None) -> Refused:
        faults = [] if fault is None else [fault]
        known = {one.field for one in faults}
        faults += [one for one in self._faults(cells) if one.field not in known]
        keys = dict.fromkeys(_KEYS) | {
            name: value for name, value in zip(_KEYS, cells[: len(_KEYS)], strict=False) if is_key(value)
        }
        return refused_for(line, faults, keys["programme"], keys["participant_id"], keys["purpose"], keys["period"])

    def _faults(self, cells: Cells) -> list[Fault]:
        """Everything that is wrong, in the order of the columns."""
        if not cells:
            return []
        values = dict(zip(COLUMNS, cells, strict=True))
        found: list[Fault] = []
        for name, value in values.items():
            if not value:
                found.append(Fault(name, RowCode.FIELD_MISSING.value))
            elif (fault := self._fault(name, value, values)) is not None:
                found.append(fault)
        return found

    def _fault(self, name: str, value: str, values: Mapping[str, str]) -> Fault | None:
        rule = self._rules.get(values["partner"])
        if (value == DIGITS and name not in _DAYS) or (name in _DIGITS and _ROUNDED.fullmatch(value)):
            return Fault(name, RowCode.DIGITS_LOST.value)
        match name:
            case "nik" if not is_nik(value):
                return Fault(name, RowCode.NIK_INVALID.value)
            case "full_name" if not is_name(value):
                return name_fault(value)
            case "phone" if PHONE.fullmatch(value) is None:
                return Fault(name, RowCode.FIELD_INVALID.value)
            case "partner" if rule is None:
                return Fault(name, RowCode.PARTNER_UNKNOWN.value, ", ".join(sorted(self._rules)))
            case "account" if rule is not None and rule.account.fullmatch(value) is None:
                return Fault(name, RowCode.FIELD_INVALID.value, rule.account_example)
            case "amount_rupiah" if _amount(value, rule) is None:
                hint = None if rule is None else f"{max(1, rule.min_amount_rupiah)} - {rule.max_amount_rupiah}"
                return Fault(name, RowCode.AMOUNT_INVALID.value, hint)
            case "due_on" if _date(value) is None:
                return Fault(name, RowCode.DATE_INVALID.value)
            case "deadline_on" if (last := _date(value)) is None or last < (_date(values["due_on"]) or last):
                return Fault(name, RowCode.DATE_INVALID.value)
            case "programme" if value not in self._programmes:
                return Fault(name, RowCode.PROGRAMME_UNKNOWN.value, nearest(value, self._programmes))
            case "purpose" if (known := self._purposes(values["programme"])) is not None and value not in known:
                return Fault(name, RowCode.PURPOSE_UNKNOWN.value, nearest(value, known))
            case "period" if _PERIOD.fullmatch(value) is None:
                return Fault(name, RowCode.FIELD_INVALID.value)
            case "participant_id" if not is_key(value):
                return Fault(name, RowCode.FIELD_INVALID.value, sign_of(value, _in_keys))
        return None

    def _purposes(self, programme: str) -> frozenset[str] | None:
        """Of the programme, or of the one that was probably meant; None where nothing is near."""
        meant = programme if programme in self._programmes else nearest(programme, self._programmes)
        return None if meant is None else self._programmes[meant]


def refused_for(
    line: int,
    faults: Sequence[Fault],
    programme: str | None = None,
    participant_id: str | None = None,
    purpose: str | None = None,
    period: str | None = None,
) -> Refused:
    """A refused row with at least one fault."""
    first, said = faults[0], msgspec.json.encode(faults).decode()
    return Refused(line, first.field, first.code, said, programme, participant_id, purpose, period)


def _in_keys(sign: str) -> bool:
    return sign.isascii() and (sign.isalnum() or sign in "._:-")


@functools.lru_cache(maxsize=4_096)
def is_key(text: str) -> bool:
    """Whether it can be a participant's id."""
    return _KEY.fullmatch(text) is not None


def _amount(text: str, rule: PartnerRule | None) -> int | None:
    if _AMOUNT.fullmatch(text) is None:
        return None
    amount_rupiah = int(text)
    if rule is not None and not max(1, rule.min_amount_rupiah) <= amount_rupiah <= rule.max_amount_rupiah:
        return None
    return amount_rupiah


@functools.lru_cache(maxsize=4_096)
def _date(text: str) -> date | None:
    if _DATE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender says that the file holds, refused rows included; None: not said."""

    rows: int | None = None
    amount_rupiah: int | None = None
    partners: Mapping[str, int] = {}
    """Rupiah by partner."""


class Reader:
    """A stream of bytes as checked rows; counts what it has seen."""

    def __init__(self, cells: CsvCells | JsonCells, checker: Checker, declared: Declared | None = None) -> None:
        self._cells = cells
        self._checker = checker
        self._declared = declared
        self._sums: dict[str, int] = {}
        self._decoder = Decoder()
        self.rows = 0
        """Rows read so far, refused ones included."""

    def feed(self, chunk: bytes) -> Iterator[Checked]:
        """What the next bytes bring, a few rows at a time; raises `FileRefused`."""
        if text := self._decoder.feed(chunk):
            yield from self._check(self._cells.feed(text))

    def end(self) -> Iterator[Checked]:
        """What is left at the end; raises `InvalidRequest` for a file without a single row."""
        yield from self._check(self._cells.feed(self._decoder.feed(b"", last=True), last=True))
        if self.rows == 0:
            raise InvalidRequest("The batch has no row.", code="batch_empty")
        if self._declared is not None:
            self._compare(self._declared)

    def _compare(self, declared: Declared) -> None:
        said = {"rows": (declared.rows, self.rows), "amount_rupiah": (declared.amount_rupiah, sum(self._sums.values()))}
        said |= {partner: (amount, self._sums.get(partner, 0)) for partner, amount in declared.partners.items()}
        differ = [
            f"{name} {want} declared, {have} in the file"
            for name, (want, have) in said.items()
            if want is not None and want != have
        ]
        if differ:
            raise InvalidRequest(
                f"The file is not what was declared: {'; '.join(differ)}.",
                code="totals_differ",
                remedy="Send the whole file, or the totals that it has; an unreadable amount counts as nothing.",
            )

    def _add(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.cells:
                partner, amount = (cleaned(record.cells[COLUMNS.index(name)]) for name in ("partner", "amount_rupiah"))
                if (amount_rupiah := _amount(amount, None)) is not None:
                    self._sums[partner] = self._sums.get(partner, 0) + amount_rupiah

    def _check(self, records: Sequence[Record]) -> Iterator[Checked]:
        check = self._checker.check
        self.rows += len(records)
        if self._declared is not None:
            self._add(records)
        for first in range(0, len(records), _AT_A_TIME):
            accepted: list[Row] = []
            refused: list[Refused] = []
            some = records[first : first + _AT_A_TIME]
            seal = self._checker.sealer(len(some))
            for record in some:
                row = check(record, seal)
                if isinstance(row, Refused):
                    refused.append(row)
                else:
                    accepted.append(row)
            yield accepted, refused
