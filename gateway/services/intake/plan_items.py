"""What becomes of each participant or notice of one request under a payment plan, while it is decided about."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated

import msgspec

from contracts.batch import Fault, RowCode, RowFault, row_fault
from contracts.payment_plan import (
    NOTICE_REMEDIES,
    TRAINING,
    EntitlementState,
    Instalment,
    ItemOutcome,
    NoticeCode,
    PaymentPlan,
    Slug,
    days_of,
)
from contracts.secret import Masked
from contracts.text import Text
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.intake.cells import cleaned
from gateway.services.intake.framing import Cells, Record
from gateway.services.intake.row_faults import faults_of
from gateway.services.intake.rows import Checker
from gateway.storage.base.database import Connection
from gateway.storage.intake import entitlements as stored
from gateway.storage.intake.copying import Refused, Row
from gateway.storage.intake.entitlements import EntitlementRow, PersonRow
from gateway.storage.intake.plans import PlanRow

Text200 = Annotated[str, msgspec.Meta(max_length=200)]
OLDEST = timedelta(days=400)
"""No notice is of a day before that."""


class Person(Masked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A participant to be entitled, in the forms of a row of a file."""

    participant_id: Text200
    nik: Text200
    full_name: Text200
    phone: Text200
    partner: Text200
    account: Text200


class Completion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a participant has finished."""

    participant_id: Text200
    finished_on: date
    """The day in Asia/Jakarta; the days of the instalments are counted from it."""
    notice: Slug = TRAINING
    """`training`, or the name of one of the plan's surveys."""


class ItemFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a participant or notice was refused."""

    code: str
    """Of the participant (as of a row), or of the notice."""
    field: str | None
    remedy: Text


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one participant or notice of a request."""

    number: int
    """Its place in the request, counted from 1."""
    outcome: ItemOutcome
    participant_id: str | None = None
    """Null where what was sent is no id."""
    entitlement_id: str | None = None
    incentives: int = 0
    """How many this request made of it."""
    deadlines_over: int = 0
    """How many of these have their deadline behind them already: they are never paid. Check the day of the notice."""
    not_taken: tuple[str, ...] = ()
    """What a repeated participant is known with otherwise (`full_name`, `phone`): that stays."""
    faults: tuple[ItemFault, ...] = ()


class Items:
    """The items of one request, with the rows staged for each: item n has the lines from (n - 1) * width + 1 on."""

    def __init__(self, plan: PlanRow, checker: Checker, today: date) -> None:
        self.row = plan
        self.plan: PaymentPlan = plan.plan
        self.today = today
        self.width = len(self.plan.instalments)
        self.items: dict[int, Item] = {}
        self.rows: list[Row] = []
        self._checker = checker
        self._same: dict[int, int] = {}
        """Items that say what an earlier one of the request says: they share its fate."""

    def number_of(self, line: int) -> int:
        """Whose line it is."""
        return (line - 1) // self.width + 1

    def lines_of(self, number: int) -> tuple[int, int]:
        """First and last line of an item."""
        return (number - 1) * self.width + 1, number * self.width

    def leave_out(self, number: int, lines: Collection[int]) -> bool:
        """Of an item these lines were paid before: whether it goes on without them."""
        return len(lines) < self.width

    def refuse(self, number: int, *faults: NoticeCode | RowFault) -> None:
        """Nothing becomes of it."""
        told: dict[tuple[str, str | None], ItemFault] = {}
        for fault in faults:
            one = (
                ItemFault(code=fault.value, field=None, remedy=NOTICE_REMEDIES[fault])
                if isinstance(fault, NoticeCode)
                else ItemFault(code=fault.code.value, field=fault.field, remedy=fault.remedy)
            )
            told.setdefault((one.code, one.field), one)
        before = self.items.get(number)
        participant_id = None if before is None else before.participant_id
        self.items[number] = Item(
            number=number, participant_id=participant_id, outcome=ItemOutcome.REFUSED, faults=tuple(told.values())
        )

    def check(
        self, number: int, instalments: Iterable[Instalment], person: Sequence[str], noticed_on: date
    ) -> list[Row] | list[RowFault]:
        """The rows that a person's instalments make, or all that is wrong with them; `person` as the fields of
        `Person`.
        """
        rows: list[Row] = []
        faults: list[RowFault] = []
        seal = self._checker.sealer(self.width)
        for line, one in enumerate(instalments, self.lines_of(number)[0]):
            row = self._checker.check(Record(line, _cells(self.plan, one, person, noticed_on)), seal)
            if isinstance(row, Refused):
                faults += faults_of(row.faults)
            else:
                rows.append(row)
        return faults or rows

    def standing(self) -> list[Item]:
        """Items of which something is to be made, in order."""
        return [item for _, item in sorted(self.items.items()) if item.outcome is ItemOutcome.MADE]

    def in_order(self) -> list[Item]:
        """All items."""
        for number, first in self._same.items():
            item = self.items[first]
            fate = ItemOutcome.REPEATED if item.outcome is ItemOutcome.MADE else item.outcome
            self.items[number] = msgspec.structs.replace(
                item, number=number, outcome=fate, incentives=0, deadlines_over=0
            )
        return [item for _, item in sorted(self.items.items())]


class Enrolment(Items):
    """Participants to be entitled."""

    async def read(self, connection: Connection, people: Sequence[Person]) -> None:
        """Decide as far as it does not take the staged rows."""
        checked: dict[int, list[Row] | list[RowFault]] = {}
        for number, person in enumerate(people, 1):
            checked[number] = self.check(number, self.plan.instalments, _fields(person), self.today)
            await asyncio.sleep(
                0
            )  # a thousand people take a second or more, and nobody else of the process waits for it
        fine = {number: rows for number, rows in checked.items() if isinstance(rows[0], Row)}
        ids = {number: str(rows[0].participant_id) for number, rows in fine.items() if isinstance(rows[0], Row)}
        niks = [rows[0].nik_index for rows in fine.values() if isinstance(rows[0], Row)]
        programme, ours = self.row.programme, self.row.organisation
        entitled = await stored.standing(connection, programme, ours, ids.values())
        known = await stored.persons(connection, entitled.keys())
        holders = await stored.holders(connection, programme, ours, niks)
        given: dict[str, tuple[bytes, bytes]] = {}
        for lines in fine.values():
            if isinstance(row := lines[0], Row) and row.participant_id in entitled:
                given.setdefault(row.participant_id, (row.name_index, row.phone_index))
        self._not_taken = await stored.not_taken(connection, given)
        seen: dict[str, tuple[int, tuple[object, ...]]] = {}
        for number, rows in checked.items():
            first = rows[0]
            if not isinstance(first, Row):
                self.refuse(number, *(fault for fault in rows if isinstance(fault, RowFault)))
                continue
            pid = first.participant_id
            before, said = seen.setdefault(pid, (number, _said(first)))
            if before != number and said == _said(first):
                self._same[number] = before
                continue
            self.items[number] = Item(number=number, participant_id=pid, outcome=ItemOutcome.MADE)
            holder = holders.get(first.nik_index)
            if before != number:
                self.refuse(number, NoticeCode.ITEM_REPEATED)
            elif pid in entitled:
                self._again(number, entitled[pid], known[pid], first)
            elif holder is not None:
                hint = f"participant {holder.participant_id}" if holder.ours else None
                self.refuse(number, row_fault(Fault("nik", RowCode.NIK_DUPLICATE.value, hint, ("nik",))))
            else:
                self.rows += [row for row in rows if isinstance(row, Row)]

    def _again(self, number: int, entitled: EntitlementRow, known: PersonRow, row: Row) -> None:
        differ = tuple(
            field
            for field, was, now in (
                ("nik", known.nik_index, row.nik_index),
                ("partner", known.partner, row.partner),
                ("account", known.account_index, row.account_index),
            )
            if was != now
        )
        if entitled.plan_id != self.row.id:
            self.refuse(number, NoticeCode.ENTITLEMENT_ELSEWHERE)
        elif differ:
            fault = Fault(differ[0], RowCode.PARTICIPANT_CONFLICT.value, None, differ)
            self.refuse(number, row_fault(fault))
        else:
            self.items[number] = Item(
                number=number, participant_id=entitled.participant_id, outcome=ItemOutcome.REPEATED,
                entitlement_id=str(entitled.id), not_taken=self._not_taken.get(row.participant_id, ()),
            )  # fmt: skip

    def made(self, made: Mapping[str, EntitlementRow]) -> None:
        """The standing items are entitled."""
        for item in self.standing():
            entitled = made[str(item.participant_id)]
            self.items[item.number] = msgspec.structs.replace(item, entitlement_id=str(entitled.id))


class Taking(Items):
    """Notices to be taken."""

    def __init__(self, plan: PlanRow, checker: Checker, today: date, vault: Vault) -> None:
        super().__init__(plan, checker, today)
        self._vault = vault
        self._taken: dict[int, tuple[int, str, date]] = {}

    async def read(self, connection: Connection, notices: Sequence[Completion]) -> None:
        """Decide as far as it does not take the staged rows."""
        ids = [cleaned(notice.participant_id) for notice in notices]
        entitled = await stored.under(connection, self.row.id, ids)
        known = await stored.persons(connection, entitled.keys())
        taken = {
            (one.entitlement, one.notice): one.finished_on
            for one in await stored.completions(connection, [row.id for row in entitled.values()])
        }
        seen: dict[tuple[str, str], tuple[int, date]] = {}
        for number, (pid, notice) in enumerate(zip(ids, notices, strict=True), 1):
            await asyncio.sleep(0)
            row = entitled.get(pid)
            first, day = seen.setdefault((pid, notice.notice), (number, notice.finished_on))
            if first != number and day == notice.finished_on:
                self._same[number] = first
                continue
            wrong = self._wrong(row, notice, taken) if first == number else NoticeCode.ITEM_REPEATED
            if row is None:
                self.refuse(number, wrong or NoticeCode.ENTITLEMENT_UNKNOWN)
                continue
            item = Item(number=number, participant_id=pid, outcome=ItemOutcome.MADE, entitlement_id=str(row.id))
            self.items[number] = item
            if wrong is not None:
                self.refuse(number, wrong)
            elif (row.id, notice.notice) in taken:
                self.items[number] = msgspec.structs.replace(item, outcome=ItemOutcome.REPEATED)
            else:
                self._stage(item, row, known[pid], notice)

    def leave_out(self, number: int, lines: Collection[int]) -> bool:
        """A notice is taken even where all that it makes was paid before: a survey may follow it."""
        item = self.items[number]
        over = sum(row.deadline_on < self.today for row in self.rows if row.line in lines)
        self.items[number] = msgspec.structs.replace(
            item, incentives=item.incentives - len(lines), deadlines_over=item.deadlines_over - over
        )
        return True

    def _wrong(
        self, row: EntitlementRow | None, notice: Completion, taken: Mapping[tuple[int, str], date]
    ) -> NoticeCode | None:
        if row is None:
            return NoticeCode.ENTITLEMENT_UNKNOWN
        if row.state is EntitlementState.CANCELLED:
            return NoticeCode.ENTITLEMENT_CANCELLED
        if not self.plan.after(notice.notice):
            return NoticeCode.NOTICE_UNKNOWN
        if (before := taken.get((row.id, notice.notice))) is not None:
            return None if before == notice.finished_on else NoticeCode.NOTICE_DIFFERS
        trained = taken.get((row.id, TRAINING))
        if notice.notice != TRAINING and trained is None:
            return NoticeCode.NOTICE_EARLY
        first = max(self.today - OLDEST, trained or date.min)
        return None if first <= notice.finished_on <= self.today else NoticeCode.NOTICE_DATE

    def _stage(self, item: Item, row: EntitlementRow, person: PersonRow, notice: Completion) -> None:
        pid, instalments = person.participant_id, self.plan.after(notice.notice)
        opened = (
            pid,
            self._vault.open(places.nik(pid), person.nik_sealed),
            self._vault.open(places.name(pid), person.name_sealed),
            self._vault.open(places.phone(pid), person.phone_sealed),
            person.partner,
            self._vault.open(places.account(pid), person.account_sealed),
        )
        rows = self.check(item.number, instalments, opened, notice.finished_on)
        if faults := [fault for fault in rows if isinstance(fault, RowFault)]:
            self.refuse(item.number, *faults)
            return
        self.rows += [made for made in rows if isinstance(made, Row)]
        over = sum(row.deadline_on < self.today for row in rows if isinstance(row, Row))
        self.items[item.number] = msgspec.structs.replace(item, incentives=len(instalments), deadlines_over=over)
        self._taken[item.number] = (row.id, notice.notice, notice.finished_on)

    def taken(self) -> list[tuple[int, str, date]]:
        """Entitlement, notice and day of what is taken."""
        return [self._taken[item.number] for item in self.standing()]


def _said(row: Row) -> tuple[object, ...]:
    return row.nik_index, row.name_index, row.phone_index, row.partner, row.account_index


def _fields(person: Person) -> tuple[str, ...]:
    return person.participant_id, person.nik, person.full_name, person.phone, person.partner, person.account


def _cells(plan: PaymentPlan, one: Instalment, person: Sequence[str], noticed_on: date) -> Cells:
    """One instalment of one person as a row of a file, in the order of `COLUMNS`."""
    due, deadline = days_of(plan, one, noticed_on)
    return (
        plan.programme, one.purpose, str(one.period), *person, str(one.amount_rupiah), due.isoformat(),
        deadline.isoformat(),
    )  # fmt: skip
