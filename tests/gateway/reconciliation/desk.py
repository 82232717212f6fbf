"""A partner that serves statements and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from contracts.errors import PartnerProtocolError, PartnerUnavailable
from contracts.observation import StatementLine, StatementPage
from contracts.partner import Context
from contracts.plan import Effect, Plan, Request
from gateway.partners.transport import Reply
from gateway.services.reconciliation.reconcile import BreakView, Reconciliations
from gateway.storage.reconciliation.reconciliation import Reconciliation
from tests.gateway.payouts.fake import NOON, FakePartner
from tests.gateway.payouts.town import Town
from tests.gateway.reconciliation.day import Day, Expected, store

DAY = (NOON - timedelta(days=1)).date()


class Shelf(FakePartner):
    """Statements by day, in pages of a few lines; `spoil` says how the next pages fail."""

    def __init__(self, manifest: Any) -> None:
        super().__init__(manifest)
        self.statements: dict[date, list[StatementLine]] = defaultdict(list)
        self.asked: list[date] = []
        self.spoil: list[Exception | None] = []
        self.size = 7

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        yield self._request("statement", Effect.READ, {"day": str(day), "cursor": cursor})
        self.asked.append(day)
        problem = self.spoil.pop(0) if self.spoil else None
        if problem is not None:
            raise problem
        start = int(cursor or 0)
        lines = self.statements[day]
        more = start + self.size < len(lines)
        return StatementPage(
            lines=tuple(lines[start : start + self.size]), next_cursor=str(start + self.size) if more else None
        )

    def _request(self, operation: str, effect: Effect, body: Any, timeout_s: float = 15.0) -> Request:
        return super()._request(operation, effect, body, timeout_s)


class Silent:
    """A transport that answers everything with nothing: the shelf does not look at it."""

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        return Reply(200, {}, b"{}")


class Bureau:
    """The town with a shelf in the place of its partner, and the service."""

    def __init__(self, town: Town) -> None:
        self.town = town
        bank = town.partner()
        bank.before = None
        desk = town.desks["fake"]
        self.shelf = Shelf(desk.manifest)
        desk.partner = self.shelf  # type: ignore[assignment]
        self.service = Reconciliations(town.resources)

    async def hold(self, day: Day, *others: tuple[date, Iterable[StatementLine]]) -> None:
        """Store the day, and lay out its statement and those of other days."""
        self.shelf.statements[day.day] = list(day.lines())
        for other, lines in others:
            self.shelf.statements[other] = list(lines)
        async with self.town.database.connection() as connection:
            await store(connection, self.town.vault, "fake", day)  # type: ignore[arg-type]

    async def compare(self, day: date = DAY) -> tuple[Reconciliation, list[BreakView]]:
        """One comparison with all it found."""
        done = await self.service.run("fake", day, actor="test")
        return done, await self.service.breaks(done.id, 0, 10_000)

    @staticmethod
    def found(breaks: Iterable[BreakView]) -> Expected:
        """As a day expects it."""
        return Expected((b.kind, int(b.payout_id) if b.payout_id else None, b.partner_reference) for b in breaks)


__all__ = ["DAY", "Bureau", "PartnerProtocolError", "PartnerUnavailable", "Shelf"]
