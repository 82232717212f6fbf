"""What the lines of a partner's statement say of our payouts: each is told once, however often it is listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from contracts.observation import PAYMENTS, Source, StatementKind, StatementLine
from contracts.payout import OutcomeKind, PayoutState, reversed_, succeeded
from contracts.secret import Secret
from gateway.clock import jakarta_day
from gateway.resources import Resources
from gateway.security import places
from gateway.services.each import together
from gateway.services.payouts.apply import Applied, apply
from gateway.services.payouts.ends import Terms
from gateway.services.payouts.words import Word, WordOrFinding, agreed
from gateway.services.reconciliation.listing import Listed, booking_identity
from gateway.services.reconciliation.strays import numbered
from gateway.services.reconciliation.weighed import (
    Weighed,
    not_booked_yet,
)
from gateway.storage.base.database import AWAY, transact
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.reconciliation import statements

BOOKED_WITHIN = timedelta(days=2)
"""So long after a partner said that it paid it may date the booking."""
_MOVES = (StatementKind.CREDIT, StatementKind.REVERSAL)


def _number_came_again(row: PayoutRow, line: StatementLine, known: Mapping[tuple[int, str, datetime], int]) -> bool:
    """Whether a credit that the partner's number alone gives to a payout is of another one, whose own number may not be
    known yet: that payout's credit is listed on another day, or it had been paid for days.
    """
    if line.kind is not StatementKind.CREDIT or row.state not in (PayoutState.SUCCEEDED, PayoutState.REVERSED):
        return False
    credited = {at for payout, kind, at in known if payout == row.id and kind == StatementKind.CREDIT.value}
    elsewhere = any(jakarta_day(at) != jakarta_day(line.booked_at) for at in credited - {line.booked_at})
    return elsewhere or (row.ended_at is not None and line.booked_at > row.ended_at + BOOKED_WITHIN)


class Lines:
    """Applies what is listed."""

    def __init__(self, resources: Resources, terms: Mapping[str, Terms]) -> None:
        self._clock, self._database, self._vault = resources.clock, resources.database, resources.vault
        self._terms = terms

    async def apply(self, partner: str, day: date, lines: Sequence[Listed], weighed: Weighed) -> list[Listed]:
        """Apply lines; the credits and reversals among them that name no payout of ours."""
        moves = [one for one in lines if one.line.kind in PAYMENTS]
        async with self._database.connection() as connection:
            by_reference, by_number = await statements.ours(connection, partner, [one.line for one in moves])
            rows = [*by_reference.values(), *(row for same in by_number.values() for row in same)]
            known = await statements.known_lines(connection, [row.id for row in rows])
        words: list[WordOrFinding] = []
        news: list[tuple[int, bytes, StatementLine]] = []
        without: list[Listed] = []
        times: Counter[tuple[int, str, datetime]] = Counter()
        for one in moves:
            row = by_reference.get(one.line.reference or "") or numbered(by_number, one.line)
            if row is not None and row.reference != one.line.reference and _number_came_again(row, one.line, known):
                # Whose it is nothing tells any more: it may be any payment in doubt of that amount.
                without.append(one._replace(line=msgspec.structs.replace(one.line, reference=None)))
                continue
            if row is None or one.line.kind is StatementKind.PENDING:
                if row is not None and row.state is PayoutState.UNKNOWN:
                    words.append(not_booked_yet(row.id, one.line))
                elif one.line.kind in _MOVES:
                    without.append(one)
                continue
            # Of one payout only kind and moment tell bookings apart: a number that comes in another form, or not at
            # all, makes no second one.
            booking = (row.id, one.line.kind.value, one.line.booked_at)
            times[booking] += 1
            new = times[booking] > known.get(booking, 0)
            if new:
                news.append((row.id, booking_identity(one.line, times[booking]), one.line))
            weighed.listed[booking] += 1
            word = await self._word(one, row, new=new)
            if word is not None:
                words.append(word)
        if words:
            try:
                await together("statements", words, self._applied)
            except AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - raised once the whole list is applied
                weighed.failed = error
                return without  # what these lines say is news as long as one of them could not be applied
        if news:  # after the words, so that a line that was not applied is still news
            async with self._database.connection() as connection:
                await statements.keep_lines(connection, self._clock.now(), day, news)
        return without

    async def _applied(self, words: Sequence[WordOrFinding]) -> list[Applied]:
        return await transact(
            self._database, lambda connection: apply(connection, self._clock.now(), self._terms, words)
        )

    async def _word(self, one: Listed, row: PayoutRow, *, new: bool) -> Word | None:
        """What a line says that is news about a payout."""
        line, account = one.line, None
        paid = row.state is PayoutState.SUCCEEDED and line.kind is StatementKind.CREDIT
        if line.account is not None and (new or not paid):
            account = await self._account(row)
        if line.kind is StatementKind.REVERSAL:
            said = reversed_(amount_rupiah=line.amount_rupiah, account=line.account, said_at=line.booked_at)
        else:
            said = succeeded(
                partner_reference=line.partner_reference,
                amount_rupiah=line.amount_rupiah,
                account=line.account,
                said_at=line.booked_at,
            )
        outcome = agreed(said, row, account)
        ended = outcome.kind in (OutcomeKind.SUCCEEDED, OutcomeKind.REVERSED)
        if row.state is PayoutState.REVERSED or (ended and row.state.value == outcome.kind.value):
            return None
        if not ended and not new:
            return None  # told of before
        key = f"statement:{line.kind.value}:{line.partner_reference or ''}"
        if not ended:
            key = f"statement:other:{one.identity.hex()}"
        return Word(payout=row.id, source=Source.STATEMENT, outcome=outcome, event_key=key)

    async def _account(self, row: PayoutRow) -> Secret | None:
        """The account it went to; None: the person was erased, and amount and reference alone tell."""
        async with self._database.connection() as connection:
            sealed = await statements.account_of(connection, row.link_id)
        if not sealed:
            return None
        return Secret(self._vault.open(places.link_account(row.link_id), sealed))
