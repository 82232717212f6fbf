"""The world of one partner: its customers' accounts, the programme's deposit and the books, kept apart from the app.

An app can be rebuilt on the same `World` (a restarted partner) and goes on with the same counters, tokens and books.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.sms import SmsBox
from mock_partners.kit.turn import effect
from mock_partners.registry import PARTNERS, PHONE

COLUMNS = (
    "partner", "account", "phone", "holder_name", "nik_on_file", "kyc", "status", "pin", "card_no",
    "balance_rupiah", "monthly_in_rupiah", "behaviour",
)  # fmt: skip
DEFAULT_DEPOSIT_RUPIAH = 10**12
BALANCE_CAP_RUPIAH = {"basic": 2_000_000, "full": 20_000_000}
MONTHLY_CAP_RUPIAH = {"basic": 20_000_000, "full": 40_000_000}
"""E-money ceilings (wallets.md 2.8, 4.7 and 5); the month is Jakarta's."""
T = TypeVar("T")


class WorldError(ValueError):
    """A world file that cannot be used; the text names line and field, never the value."""


def normal_phone(text: str) -> str:
    """+62812.. out of +62812.., 62812.., 0812.. or 812..: partners spell one number in all four ways."""
    digits = re.sub(r"[^0-9]", "", text)
    if digits.startswith("62"):
        return "+" + digits
    return "+62" + digits.removeprefix("0")


@dataclass(repr=False)
class Account:
    """One customer account as the partner knows it; `account` is the number at BNI and the phone at the wallets."""

    partner: str
    account: str
    phone: str
    holder_name: str
    nik_on_file: str
    kyc: str
    status: str
    pin: str = ""
    card_no: str = ""
    balance_rupiah: int = 0
    monthly_in_rupiah: int = 0
    behaviour: Behaviour = Behaviour.NONE
    month: tuple[int, int] | None = None
    scripted_reference: str | None = None
    nik_checks: int = 0

    def __repr__(self) -> str:
        return f"<Account {self.partner} *{self.account[-2:]}>"

    @property
    def active(self) -> bool:
        return self.status == "active"


class Kind(StrEnum):
    """What a booking did. `OTHER` stands in no books: a statement may have rows that no partner's list explains."""

    CREDIT = "credit"
    REVERSAL = "reversal"
    FEE = "fee"
    OTHER = "other"


@dataclass(frozen=True, repr=False)
class Booking:
    """One line of the partner's books (decisions X3); `reference` is the gateway's, `partner_reference` the mock's."""

    reference: str
    partner_reference: str
    account: str
    amount_rupiah: int
    kind: Kind
    booked_at: datetime

    def as_json(self) -> dict[str, str | int]:
        return {
            "reference": self.reference,
            "partner_reference": self.partner_reference,
            "account": self.account,
            "amount_rupiah": self.amount_rupiah,
            "kind": self.kind.value,
            "booked_at": self.booked_at.isoformat(),
        }


ChangeStatement = Callable[[date, Mapping[date, list[Booking]]], list[Booking]]
"""What a scenario shows of a day, given the bookings of all days."""
FOREIGN_RUPIAH = 12_345


def strange_booking(day: date, name: str, kind: Kind = Kind.CREDIT) -> Booking:
    """A row of somebody else's, which no book of the programme explains."""
    at = datetime.combine(day, time(12), JAKARTA)
    return Booking(name, name, "0000000000", FOREIGN_RUPIAH, kind, at)


class Cap(StrEnum):
    """Which limit a credit would exceed."""

    BALANCE = "balance"
    MONTHLY = "monthly"


@dataclass(repr=False)
class World:
    """All that one partner remembers. `rng` is seeded: the same calls give the same tokens, references and OTPs."""

    partner: str
    deposit_rupiah: int = DEFAULT_DEPOSIT_RUPIAH
    seed: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)
    books: list[Booking] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}:{self.partner}")
        self.sms = SmsBox(self.rng)
        self._kept: dict[str, Any] = {}
        self._last_number = 0
        self._by_day: dict[date, list[Booking]] = {}

    def keep(self, name: str, make: Callable[[], T]) -> T:
        """The object of that name which belongs to this world: made at first, the same for every later app."""
        if name not in self._kept:
            self._kept[name] = make()
        kept: T = self._kept[name]
        return kept

    def kept(self) -> Mapping[str, Any]:
        """Everything that is kept, by name: what a scenario can make the partner forget."""
        return self._kept

    def add_missing(self, accounts: Iterable[Account]) -> None:
        """Adds a partner's fixed sandbox accounts; the world file wins where both name one."""
        for account in accounts:
            if account.account not in self.accounts:
                self.accounts[account.account] = account

    def by_phone(self, phone: str) -> list[Account]:
        """The accounts under a phone number, in any spelling; at a wallet none or one."""
        wanted = normal_phone(phone)
        found = self.accounts.get(wanted)
        if found is not None:
            return [found]
        return [account for account in self.accounts.values() if account.phone == wanted]

    def wallet(self, phone: str) -> Account | None:
        """The one account under a phone number in any spelling, at a partner where a phone is an account."""
        found = self.by_phone(phone)
        return found[0] if found else None

    def number(self) -> int:
        """The next number of this partner's own numbering: 1, 2, 3, ..."""
        self._last_number += 1
        return self._last_number

    def withdraw(self, amount_rupiah: int) -> bool:
        """Takes money for a payout out of the deposit, or says that the deposit is short."""
        if amount_rupiah > self.deposit_rupiah or effect("deposit_short"):
            return False
        self.deposit_rupiah -= amount_rupiah
        return True

    def refund(self, amount_rupiah: int) -> None:
        """Gives the deposit back what a failed payout had taken."""
        self.deposit_rupiah += amount_rupiah

    def cap_hit(self, account: Account, amount_rupiah: int, at: datetime) -> Cap | None:
        """Which e-money ceiling a credit would break; a credit that would overflow is refused whole."""
        self._turn_month(account, at)
        if account.balance_rupiah + amount_rupiah > BALANCE_CAP_RUPIAH[account.kyc]:
            return Cap.BALANCE
        if account.monthly_in_rupiah + amount_rupiah > MONTHLY_CAP_RUPIAH[account.kyc]:
            return Cap.MONTHLY
        return None

    def credit(
        self, account: Account, amount_rupiah: int, *, reference: str, partner_reference: str, at: datetime
    ) -> Booking:
        """Books a payout on the account. The money has left the deposit before (`withdraw`)."""
        amount_rupiah = effect("book_amount_rupiah", amount_rupiah)
        if effect("book_twice"):
            self._credit_once(account, amount_rupiah, reference, partner_reference, at)
        return self._credit_once(account, amount_rupiah, reference, partner_reference, at)

    def _credit_once(
        self, account: Account, amount_rupiah: int, reference: str, partner_reference: str, at: datetime
    ) -> Booking:
        self._turn_month(account, at)
        account.balance_rupiah += amount_rupiah
        account.monthly_in_rupiah += amount_rupiah
        booking = self._book(reference, partner_reference, account.account, amount_rupiah, Kind.CREDIT, at)
        if fee_rupiah := effect("fee_rupiah"):
            self.fee(booking, fee_rupiah, at)
        return booking

    def reverse(self, account: Account, credit: Booking, at: datetime) -> Booking:
        """Takes a booked payout back and returns it to the deposit; the month's incoming total stays as it was."""
        account.balance_rupiah -= credit.amount_rupiah
        self.deposit_rupiah += credit.amount_rupiah
        return self._book(
            credit.reference, credit.partner_reference, account.account, credit.amount_rupiah, Kind.REVERSAL, at
        )

    def fee(self, credit: Booking, amount_rupiah: int, at: datetime) -> Booking:
        """Books a fee for a payout and takes it out of the deposit."""
        self.deposit_rupiah -= amount_rupiah
        return self._book(credit.reference, credit.partner_reference, credit.account, amount_rupiah, Kind.FEE, at)

    def booked_on(self, day: date) -> list[Booking]:
        """The bookings of one Jakarta day, in the order in which they were made: what a statement shows."""
        change: ChangeStatement | None = effect("statement")
        return self._by_day.get(day, []) if change is None else change(day, self._by_day)

    def _book(
        self, reference: str, partner_reference: str, account: str, amount_rupiah: int, kind: Kind, at: datetime
    ) -> Booking:
        booking = Booking(reference, partner_reference, account, amount_rupiah, kind, at)
        self.books.append(booking)
        self._by_day.setdefault(at.astimezone(JAKARTA).date(), []).append(booking)
        return booking

    @staticmethod
    def _turn_month(account: Account, at: datetime) -> None:
        month = (at.year, at.month)
        if account.month is not None and account.month != month:
            account.monthly_in_rupiah = 0
        account.month = month


def sandbox_accounts(partner: str, rows: Iterable[Mapping[str, str]]) -> list[Account]:
    """Fresh copies of a partner's fixed test accounts; what an account `shows` is said to readers only."""
    columns = ({name: value for name, value in row.items() if name != "shows"} for row in rows)
    return [Account(partner=partner, **{"phone": row["account"], **row}) for row in columns]  # type: ignore[arg-type]


def wallet_people(serial: str, *, basic: str, full: str = "linking, match, payout") -> tuple[dict[str, str], ...]:
    """The three people of a wallet's sandbox: one who is paid, one of basic KYC, one blocked; NIKs end in `serial`."""
    people = (
        ("+6281234567890", "BUDI SANTOSO", f"317405220998{serial}", "full", "active", full),
        ("+6281234567803", "SITI AMINAH", "", "basic", "active", f"{basic}, balance ceiling Rp 2,000,000"),
        ("+6281234567802", "AGUS SALIM", f"317405620998{serial}", "full", "blocked", "a blocked account"),
    )
    return tuple(
        {
            "account": phone, "phone": phone, "holder_name": name, "nik_on_file": nik, "kyc": kyc, "status": status,
            "pin": "112233", "shows": shows,
        }
        for phone, name, nik, kyc, status, shows in people
    )  # fmt: skip


PATTERNS = {
    "partner": re.compile("|".join(PARTNERS)),
    "phone": PHONE,
    "holder_name": re.compile(r".{1,128}"),
    "nik_on_file": re.compile(r"([0-9]{16})?"),
    "kyc": re.compile("full|basic"),
    "status": re.compile("active|blocked"),
    "pin": re.compile(r"([0-9]{6})?"),
    "card_no": re.compile(r"([0-9]{16})?"),
    "balance_rupiah": re.compile(r"[0-9]{1,15}"),
    "monthly_in_rupiah": re.compile(r"[0-9]{1,15}"),
    "behaviour": re.compile("|".join(re.escape(behaviour.value) for behaviour in Behaviour)),
}


def load_worlds(
    path: Path, *, deposits: Mapping[str, int] | None = None, seed: int = 0, at: datetime | None = None
) -> dict[str, World]:
    """Reads world.csv into one `World` per partner, or refuses it with the line number and the field."""
    return parse_worlds(_text(path), path.name, deposits=deposits, seed=seed, at=at)


def parse_worlds(
    text: str, name: str, *, deposits: Mapping[str, int] | None = None, seed: int = 0, at: datetime | None = None
) -> dict[str, World]:
    """Reads the text of a world.csv; `name` stands in front of every complaint."""
    deposits = deposits or {}
    worlds = {
        partner: World(partner, deposit_rupiah=deposits.get(partner, DEFAULT_DEPOSIT_RUPIAH), seed=seed)
        for partner in PARTNERS
    }
    month = (at.year, at.month) if at is not None else None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise WorldError(f"{name} line 1: the columns must be {','.join(COLUMNS)}")
        for row in reader:
            account = _account(row, f"{name} line {reader.line_num}")
            account.month = month
            accounts = worlds[account.partner].accounts
            if account.account in accounts:
                raise WorldError(f"{name} line {reader.line_num}: field account stands twice at this partner")
            accounts[account.account] = account
    except csv.Error as problem:
        raise WorldError(f"{name} line {reader.line_num}: not readable as CSV") from problem
    return worlds


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise WorldError(f"{path.name} line {line}: not readable as UTF-8") from None


def _account(row: dict[str, Any], where: str) -> Account:
    if None in row or None in row.values():
        raise WorldError(f"{where}: {len(COLUMNS)} fields are needed")
    for name, pattern in PATTERNS.items():
        if not pattern.fullmatch(row[name]):
            raise WorldError(f"{where}: field {name} is malformed")
    if not PARTNERS[row["partner"]].fullmatch(row["account"]):
        raise WorldError(f"{where}: field account is malformed")
    numbers = {name: int(row[name]) for name in ("balance_rupiah", "monthly_in_rupiah")}
    return Account(**{**row, **numbers, "behaviour": Behaviour(row["behaviour"])})
