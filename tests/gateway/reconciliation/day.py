"""A day of payouts in the store and the statement a partner would serve of it; and every way to break it.

Used with a few dozen lines by the tests and with a million by the benchmark: rows are copied in, lines come as pages.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import asyncpg

from contracts.observation import StatementKind, StatementLine
from contracts.secret import Secret
from gateway.clock import start_of_jakarta_day
from gateway.security import places
from gateway.security.vault import Vault

INSTANCE = "10"
AMOUNT_RUPIAH = 600_000
_K = StatementKind


@dataclass(frozen=True)
class Paid:
    """One payout as we hold it, and its booking as the partner lists it."""

    n: int
    id: int
    reference: str
    sent_at: datetime
    booked_at: datetime

    @property
    def number(self) -> str:
        return f"N{self.reference}"

    @property
    def account(self) -> str:
        return f"{4_321_000_000 + self.n}"

    @property
    def line(self) -> StatementLine:
        return StatementLine(
            kind=_K.CREDIT,
            amount_rupiah=AMOUNT_RUPIAH,
            reference=self.reference,
            partner_reference=self.number,
            account=Secret(self.account),
            booked_at=self.booked_at,
        )


Expected = Counter[tuple[str, int | None, str | None]]
"""How often each class, payout and partner's number must be named: two lines without a number are two differences."""


@dataclass
class Day:
    """A clean day with what was done to it."""

    day: date
    count: int
    lines_at: dict[int, list[StatementLine]] = field(default_factory=dict)
    """Instead of the payout's own line, where it was changed."""
    sql: list[str] = field(default_factory=list)
    """What was changed in the store."""
    expected: Expected = field(default_factory=Counter)

    @property
    def begins(self) -> datetime:
        return start_of_jakarta_day(self.day)

    def paid(self, n: int) -> Paid:
        """The n-th payout, spread over the day from 01:00 to 22:00."""
        sent_at = self.begins + timedelta(hours=1, seconds=round(n * 21 * 3600 / self.count))
        identity = int(sent_at.timestamp()) * 1_000 * 10_000 + n % 10_000
        if self.count > 10_000:  # several a second: the number of the payout within its second
            identity = int(sent_at.timestamp()) * 10_000_000 + n % 10_000_000
        return Paid(n, identity, f"{INSTANCE}{identity:017d}", sent_at, sent_at + timedelta(seconds=2))

    def lines(self) -> Iterator[StatementLine]:
        """The statement in the order of its bookings."""
        for n in range(self.count):
            changed = self.lines_at.get(n)
            if changed is None:
                yield self.paid(n).line
            else:
                yield from changed

    def put(self, n: int, *lines: StatementLine) -> None:
        self.lines_at[n] = list(lines)

    def expect(self, kind: str, payout: int | None, number: str | None) -> None:
        self.expected[kind, payout, number] += 1


def _changed(line: StatementLine, **changes: object) -> StatementLine:
    values = {name: getattr(line, name) for name in StatementLine.__struct_fields__}
    return StatementLine(**(values | changes))


class Breaking:
    """Breaks a day's payouts, each in one way; `WAYS` names them all.

    `referenced`: at a partner whose adapter refuses a whole page with a booking that has no reference.
    """

    def __init__(self, day: Day, rng: random.Random, *, referenced: bool = False) -> None:
        self.day = day
        self.rng = rng
        self.referenced = referenced

    def apply(self, way: str, n: int) -> None:
        """Break the n-th payout in a way, and note what must be found."""
        getattr(self, way)(self.day.paid(n))

    def _found(self, kind: str, paid: Paid, number: str | None = None) -> None:
        self.day.expect(kind, paid.id, paid.number if number is None else number)

    def missing_here(self, paid: Paid) -> None:
        forgotten = f"{INSTANCE}{self.rng.randrange(10**16):017d}"
        self.day.put(paid.n, paid.line, _changed(paid.line, reference=forgotten, partner_reference=f"X{paid.id}"))
        self.day.expect("missing_here", None, f"X{paid.id}")

    def refused_here(self, paid: Paid) -> None:
        self._set(paid, "state = 'rejected', released_at = ended_at")
        self._unsettle(paid)
        self._found("missing_here", paid)

    def missing_there(self, paid: Paid) -> None:
        self.day.put(paid.n)
        self.day.expect("missing_there", paid.id, None)

    def amount(self, paid: Paid) -> None:
        self.day.put(paid.n, _changed(paid.line, amount_rupiah=AMOUNT_RUPIAH + self.rng.choice((-1, 1, 40_000))))
        self._found("amount", paid)

    def duplicate(self, paid: Paid) -> None:
        again = _changed(paid.line, partner_reference=f"X{paid.id}", booked_at=paid.booked_at + timedelta(seconds=9))
        self.day.put(paid.n, paid.line, again)
        self._found("duplicate", paid, f"X{paid.id}")

    def late(self, paid: Paid) -> None:
        booked_at = paid.sent_at + timedelta(hours=1, minutes=30)
        self._set(paid, f"ended_at = '{paid.sent_at + timedelta(hours=1, minutes=31)}'")
        self.day.put(paid.n, _changed(paid.line, booked_at=booked_at))
        self._found("late", paid)

    def reversed(self, paid: Paid) -> None:
        given_back = _changed(paid.line, kind=_K.REVERSAL, booked_at=paid.booked_at + timedelta(seconds=60))
        self.day.put(paid.n, paid.line, given_back)
        self._found("reversed", paid)

    def wrong_account(self, paid: Paid) -> None:
        self.day.put(paid.n, _changed(paid.line, account=Secret(f"{5_432_000_000 + paid.n}")))
        self._found("wrong_account", paid)

    def fee(self, paid: Paid) -> None:
        fee = _changed(paid.line, kind=_K.FEE, amount_rupiah=2_500, partner_reference=f"F{paid.id}")
        self.day.put(paid.n, paid.line, fee)
        self._found("fee", paid, f"F{paid.id}")

    def wrong_day(self, paid: Paid) -> None:
        self.day.put(paid.n, _changed(paid.line, booked_at=paid.booked_at + timedelta(days=self.rng.choice((-1, 1)))))
        self._found("wrong_day", paid)

    def unknown_reference(self, paid: Paid) -> None:
        references = ["PORTAL-7", f"77{self.rng.randrange(10**16):017d}", *([] if self.referenced else [None])]
        reference = self.rng.choice(references)
        self.day.put(paid.n, paid.line, _changed(paid.line, reference=reference, partner_reference=f"X{paid.id}"))
        self.day.expect("unknown_reference", None, f"X{paid.id}")

    def pending_on_one_side(self, paid: Paid) -> None:
        self._set(paid, f"state = '{self.rng.choice(('unknown', 'pending'))}', ended_at = NULL")
        self._unsettle(paid)
        self._found("pending_on_one_side", paid)

    def format(self, paid: Paid) -> None:
        ways = [{"amount_rupiah": 0, "partner_reference": f"X{paid.id}"}]
        ways += [] if self.referenced else [{"reference": None, "partner_reference": None}]
        broken = _changed(paid.line, **self.rng.choice(ways))
        self.day.put(paid.n, paid.line, broken)
        self.day.expect("format", None if broken.reference is None else paid.id, broken.partner_reference)

    def not_instructed(self, paid: Paid) -> None:
        change = self.rng.choice(("cancelled = true", "approved = false", f"due_on = '{self.day.day}'::date + 1"))
        self.day.sql.append(f"UPDATE incentives SET {change} WHERE id = {paid.n + 1}")
        self._found("not_instructed", paid)

    def ledger(self, paid: Paid) -> None:
        self._unsettle(paid)
        self._found("ledger", paid)

    def _set(self, paid: Paid, change: str) -> None:
        self.day.sql.append(f"UPDATE payouts SET {change} WHERE id = {paid.id}")

    def _unsettle(self, paid: Paid) -> None:
        # The database keeps what was booked; a break of this kind can only come from whoever may switch that off.
        self.day.sql.append(
            "ALTER TABLE ledger DISABLE TRIGGER ledger_stays;"
            f" DELETE FROM ledger WHERE payout = {paid.id} AND kind = 'settle';"
            " ALTER TABLE ledger ENABLE TRIGGER ledger_stays"
        )


WAYS = (
    "missing_here", "refused_here", "missing_there", "amount", "duplicate", "late", "reversed", "wrong_account", "fee",
    "wrong_day", "unknown_reference", "pending_on_one_side", "format", "not_instructed", "ledger",
)  # fmt: skip
"""`refused_here` is `missing_here` too: the partner paid what we hold as refused."""


def harmless(day: Day, n: int, rng: random.Random) -> None:
    """What looks odd and is none: a booking known by the partner's number alone, a deposit between, a clock that is
    off, a long wait that the partner had announced.
    """
    paid = day.paid(n)
    way = rng.randrange(4)
    if way == 0:
        day.sql.append(f"UPDATE payouts SET partner_reference = '{paid.number}' WHERE id = {paid.id}")
        day.put(n, _changed(paid.line, reference=None))
    elif way == 1:
        deposit = _changed(paid.line, kind=_K.OTHER, reference=None, partner_reference=f"D{paid.id}", account=None)
        day.put(n, paid.line, deposit)
    elif way == 2:
        day.put(n, _changed(paid.line, booked_at=paid.booked_at + timedelta(seconds=rng.choice((-300, 300)))))
    else:
        late = paid.sent_at + timedelta(hours=1, minutes=30)
        day.put(n, _changed(paid.line, booked_at=late))
        day.sql += [
            f"UPDATE payouts SET ended_at = '{late}' WHERE id = {paid.id}",
            "INSERT INTO observations (payout, source, attempt, kind, at)"
            f" VALUES ({paid.id}, 'reply', 1, 'pending', '{paid.sent_at}')",
        ]


_TABLES: Mapping[str, str] = {
    "participants": "id participant_id nik_sealed nik_index name_sealed phone_sealed partner account_sealed"
    " account_index link_id link_active verified verified_until facts_at created_at",
    "links": "id participant client_id partner account_index account_sealed state return_url created_at updated_at",
    "incentives": "id batch_id line programme purpose period participant participant_id nik_index partner"
    " amount_rupiah due_on deadline_on content_hash approved link_active verified payout payouts facts_at created_at",
    "payouts": "id reference incentive participant link_id partner amount_rupiah state attempt first_sent_at sent_at"
    " sent_deadline created_at updated_at ended_at",
    "ledger": "payout partner kind debit credit amount_rupiah at",
}


async def store(connection: asyncpg.Connection[asyncpg.Record], vault: Vault, partner: str, day: Day) -> None:
    """Everything that we hold of the day, copied in 50,000 payouts at a time; then what was changed."""
    began = day.begins - timedelta(days=3)
    await connection.execute(
        "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ('c', 'c', '', '{}', $1)", began
    )
    await connection.execute(
        "INSERT INTO batches (id, client_id, state, rows_accepted, rows_rejected, rows_repeated, amount_rupiah,"
        " content_root, received_at) VALUES ('b', 'c', 'approved', 0, 0, 0, 0, '', $1)",
        began,
    )
    for table in ("participants", "incentives"):
        await connection.execute(f"ALTER TABLE {table} ALTER COLUMN id SET GENERATED BY DEFAULT")
    for start in range(0, day.count, 50_000):
        rows = _rows(vault, partner, day, range(start, min(start + 50_000, day.count)), began)
        for table, columns in _TABLES.items():
            await connection.copy_records_to_table(table, columns=columns.split(), records=rows[table], timeout=600)
    for statement in day.sql:
        await connection.execute(statement)
    await connection.execute("ANALYZE", timeout=600)


def _rows(vault: Vault, partner: str, day: Day, numbers: range, began: datetime) -> dict[str, list[tuple[object, ...]]]:
    rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in _TABLES}
    for n in numbers:
        paid, one, name, link = day.paid(n), n + 1, f"P{n:07d}", f"L{n:07d}"
        index = vault.index(places.account_index(partner), paid.account)
        ended_at = paid.sent_at + timedelta(seconds=3)
        rows["participants"].append(
            (one, name, b"", name.encode(), b"", b"", partner, b"", index, link, True, True,
             day.begins + timedelta(days=90), began, began)
        )  # fmt: skip
        rows["links"].append((link, one, "c", partner, index, b"", "active", "", began, began))
        rows["incentives"].append(
            (one, "b", n, "kp", "training", "1", one, name, name.encode(), partner, AMOUNT_RUPIAH, day.day,
             day.day + timedelta(days=60), b"", True, True, True, "succeeded", 1, ended_at, began)
        )  # fmt: skip
        rows["payouts"].append(
            (paid.id, paid.reference, one, one, link, partner, AMOUNT_RUPIAH, "succeeded", 1, paid.sent_at,
             paid.sent_at, paid.sent_at + timedelta(seconds=50), paid.sent_at, ended_at, ended_at)
        )  # fmt: skip
        rows["ledger"] += [
            (paid.id, partner, "reserve", "reserved", "float", AMOUNT_RUPIAH, paid.sent_at),
            (paid.id, partner, "settle", "paid", "reserved", AMOUNT_RUPIAH, ended_at),
        ]
    return rows


def near_midnight(day: Day, n: int, *, sent_before: timedelta, booked_after: timedelta) -> tuple[Paid, StatementLine]:
    """Move a payout to the end of its day: sent before midnight, booked after it (or, negative, before)."""
    paid = day.paid(n)
    ends = day.begins + timedelta(days=1)
    sent_at, booked_at = ends - sent_before, ends + booked_after
    ended_at = max(booked_at, sent_at) + timedelta(seconds=1)
    day.sql.append(
        f"UPDATE payouts SET first_sent_at = '{sent_at}', sent_at = '{sent_at}',"
        f" sent_deadline = '{sent_at + timedelta(seconds=50)}', ended_at = '{ended_at}' WHERE id = {paid.id}"
    )
    return replace(paid, sent_at=sent_at), _changed(paid.line, booked_at=booked_at)
