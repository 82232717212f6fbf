"""Payments that a restored database has forgotten: matched with the incentive that they paid, or an operator's.

A credit under a reference of this installation that no payout has can only be a payout that was made after the copy. It
is adopted where account, amount and the day it was made leave no choice; until then nothing is sent to its account.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from contracts.errors import Conflict, NotFound
from contracts.incentive import BlockerCode
from contracts.observation import Source, StatementKind, StatementLine
from contracts.payout import reversed_, succeeded
from gateway.clock import SKEW_S, jakarta_day
from gateway.resources import Resources
from gateway.security import places
from gateway.services.each import each
from gateway.services.payouts.absence import listed_from
from gateway.services.payouts.apply import apply
from gateway.services.payouts.ends import Terms
from gateway.services.payouts.words import Finding, What, Word
from gateway.storage.access import clients
from gateway.storage.base import ids
from gateway.storage.base.database import Connection, transact
from gateway.storage.ops import audit, cases
from gateway.storage.ops.cases import NewCase
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.reconciliation import instances, recovery, strays
from gateway.storage.reconciliation.strays import Candidate, NewStray, Stray

MOST = 5_000
"""So many strays are looked at in one pass."""
_REFERENCE = re.compile(r"[0-9]{19}", re.ASCII)


class Settled(NamedTuple):
    """What an operator's word did: nothing yet (`done` false), or it became a payout, or it was nothing of ours."""

    done: bool
    payout: int | None


class Strays:
    """Keeps, adopts and settles them."""

    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._database = resources.database
        self._vault = resources.vault
        self._instance = resources.settings.instance
        self._instances = frozenset({self._instance})
        """Of this installation, now or before."""
        self._terms = {slug: Terms(manifest=desk.manifest, pace=desk.pace) for slug, desk in resources.desks.items()}

    async def learn(self) -> None:
        """Ask the store which instances it has had: before lines are read, as another process may have another one."""
        async with self._database.connection() as connection:
            self._instances = frozenset({self._instance, *(one.instance for one in await instances.used(connection))})

    def ours(self, reference: str | None) -> bool:
        """Whether only this installation can have made a reference, as far as was learnt."""
        return reference is not None and reference[:2] in self._instances and bool(_REFERENCE.fullmatch(reference))

    async def keep(self, partner: str, lines: Iterable[StatementLine]) -> int:
        """Keep what of some lines without a payout of ours is a stray; how many were."""
        found = {}
        for line in lines:
            if line.reference is None or not self.ours(line.reference):
                continue
            found[line.reference, line.kind] = NewStray(
                partner=partner,
                reference=line.reference,
                partner_reference=line.partner_reference,
                amount_rupiah=line.amount_rupiah,
                account_index=None
                if line.account is None
                else self._vault.index(places.account_index(partner), line.account.reveal()),
                booked_at=line.booked_at,
                reversed=line.kind is StatementKind.REVERSAL,
            )
        for kind in (StatementKind.CREDIT, StatementKind.REVERSAL):
            part = [stray for (_, its), stray in found.items() if its is kind]
            if part:
                await transact(self._database, partial(strays.keep, now=self._clock.now(), strays=part))
        return len(found)

    async def tick(self) -> int:
        """Adopt what can be matched by now; what cannot is an operator's, once no recovery is under way."""
        async with self._database.connection() as connection:
            if not await strays.unsettled(connection, 1):
                return 0
        adopted = await self.adopt()
        async with self._database.connection() as connection:
            if await recovery.open_ones(connection):
                return adopted
        return adopted + await transact(self._database, self._hand_over)

    async def adopt(self) -> int:
        """Make payouts of those that can only have paid one incentive; how many."""
        return await transact(self._database, self._adopt_all)

    async def unsettled(self) -> list[Stray]:
        """Those that are left."""
        async with self._database.connection() as connection:
            return await strays.unsettled(connection, MOST)

    async def settle(self, reference: str, incentive: int | None, *, actor: str) -> Settled:
        """An operator's word on one: it paid this incentive, or (None) nothing of ours. It counts once another one has
        said the same: a wrong word pays someone twice. Of an incentive that is known to be paid by another payout it is
        one payment too many, and a case.

        Raises `NotFound`, and `Conflict` where the incentive cannot be the one or the same person decides again.
        """
        return await transact(self._database, lambda connection: self._settle(connection, reference, incentive, actor))

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _adopt_all(self, connection: Connection) -> int:
        waiting = await strays.unsettled(connection, MOST, lock=True)
        known = await strays.of_known_payouts(connection, waiting)
        waiting = [stray for stray in waiting if stray.reference not in known]
        by_key: defaultdict[tuple[str, bytes | None, int], list[Candidate]] = defaultdict(list)
        for one in await strays.candidates(connection, waiting):
            by_key[one.key].append(one)
        groups: defaultdict[tuple[str, bytes | None, int], list[Stray]] = defaultdict(list)
        for stray in waiting:
            groups[stray.key].append(stray)
        pairs = [pair for key, group in groups.items() for pair in matched(group, by_key[key])]
        adopted: list[int] = []

        async def adopt(pair: tuple[Stray, Candidate]) -> None:
            stray, to = pair
            async with connection.transaction():  # of one that cannot be adopted nothing is kept
                free = await self._replaced(connection, to) is None
                payout = await self._adopt(connection, stray, to, by="gateway") if free else None
            adopted.extend([] if payout is None else [payout])

        await each("strays", pairs, adopt)
        return len(adopted)

    async def _replaced(self, connection: Connection, to: Candidate) -> Conflict | None:
        """Let a refused payout stand in nobody's way: a credit paid in its place. What is against it, where it has
        gone another way meanwhile.
        """
        if to.standing is None:
            return None
        found = Finding(payout=to.standing, what=What.REPLACED)
        [after] = await apply(connection, self._clock.now(), self._terms, [found])
        return None if after.payout.released_at else _on_its_way(after.payout.id, after.payout.state.value)

    async def _adopt(self, connection: Connection, stray: Stray, to: Candidate, *, by: str) -> int:
        now = self._clock.now()
        link_id = await strays.link_of(connection, stray, to)
        if link_id is None:
            link_id = f"L{await ids.new_id(connection, now)}"
            account = self._vault.open(
                places.account(to.participant_id), await strays.account_sealed(connection, to.participant)
            )
            sealed = self._vault.seal(places.link_account(link_id), account)
            await strays.stand_in_link(connection, now, to, link_id=link_id, account_sealed=sealed)
        payout = await strays.adopt(connection, now, stray, to, link_id, stray.made_at)
        said = [
            succeeded(
                partner_reference=stray.partner_reference,
                amount_rupiah=stray.amount_rupiah,
                said_at=stray.booked_at,
            )
        ]
        said += [reversed_()] if stray.reversed else []
        await apply(
            connection,
            now,
            self._terms,
            [
                Word(
                    payout=payout,
                    source=Source.STATEMENT,
                    outcome=outcome,
                    event_key=f"statement:{kind.value}:{stray.partner_reference or ''}",
                )
                for outcome, kind in zip(said, (StatementKind.CREDIT, StatementKind.REVERSAL), strict=False)
            ],
        )
        await strays.settle(connection, now, stray, by=by, payout=payout)
        await audit.record(
            connection,
            now,
            by,
            "stray.adopt",
            stray.reference,
            {"payout_id": str(payout), "incentive_id": to.id, "partner": stray.partner},
        )
        return payout

    async def _settle(self, connection: Connection, reference: str, incentive: int | None, actor: str) -> Settled:
        now = self._clock.now()
        stray = await strays.get(connection, reference)
        if stray is None or stray.settled_at is not None:
            raise NotFound("There is no unsettled credit of that reference.")
        to = None if incentive is None else await self._named(connection, stray, incentive)
        first = stray.proposed_by if stray.proposed_for == incentive else None
        if first is None or not await clients.seconded(connection, first, actor):
            if first == actor:
                raise Conflict("You have decided so already.", remedy="A second person must decide the same.")
            await strays.propose(connection, stray, by=actor, incentive=incentive)
            said = {"partner": stray.partner, "incentive_id": incentive}
            await audit.record(connection, now, actor, "stray.propose", reference, said)
            return Settled(done=False, payout=None)
        if to is not None and not to.ended:
            if known := await strays.of_known_payouts(connection, [stray]):
                raise _of_another(*known[reference])
            if (against := await self._replaced(connection, to)) is not None:
                raise against
            return Settled(done=True, payout=await self._adopt(connection, stray, to, by=actor))
        await strays.settle(connection, now, stray, by=actor, payout=None)
        said = {"partner": stray.partner, "incentive_id": incentive}
        await audit.record(connection, now, actor, "stray.excess" if to else "stray.dismiss", reference, said)
        if to is not None and not stray.reversed:
            detail = (
                f"the credit of {stray.day} under our reference {reference} paid this incentive, of which another"
                " payment is known, once more: have that credit given back"
            )
            case = NewCase(code=BlockerCode.CONTRADICTION, partner=stray.partner, incentive=to.id, detail=detail)
            await cases.open_cases(connection, now, [case])
        return Settled(done=True, payout=None)

    async def _named(self, connection: Connection, stray: Stray, incentive: int) -> Candidate:
        to = await strays.candidate(connection, incentive)
        if to is None or to.amount_rupiah != stray.amount_rupiah:
            raise Conflict("The credit cannot have paid that incentive: there is none, or its amount is another.")
        elsewhere = to.partner != stray.partner or stray.account_index not in (None, to.account_index)
        excess = to.ended and to.partner == stray.partner
        if elsewhere and not excess and await strays.link_of(connection, stray, to) is None:
            raise Conflict(
                "That incentive is not paid at the credit's partner and account, nor was it as far as we know.",
                remedy="If a change of account was forgotten too, have core make it again: then settle the credit.",
            )
        if to.open and to.standing is not None:
            raise _on_its_way(to.standing, to.state)
        return to

    async def _hand_over(self, connection: Connection) -> int:
        """Cases and blockers for what is left."""
        now = self._clock.now()
        told = await strays.block(connection, now)
        for stray in await strays.unsettled(connection, MOST, lock=True):
            if stray.case_id is not None:
                continue
            detail = f"a credit of {stray.day} under our reference {stray.reference} belongs to no payout we know"
            await cases.open_cases(
                connection, now, [NewCase(code=BlockerCode.CONTRADICTION, partner=stray.partner, detail=detail)]
            )
            await strays.set_case(connection, stray, detail)
            told += 1
        return told


def _of_another(payout: int, partner: str) -> Conflict:
    return Conflict(
        f"The credit bears the reference of payout {payout}, which is at {partner}: it did not pay this incentive.",
        remedy="Ask the partner what it is, and settle it as nothing of ours (REFERENCE=none).",
    )


def _on_its_way(payout: int, state: str | None) -> Conflict:
    return Conflict(
        f"Payout {payout} of that incentive is {state}: it may be the one that was paid.",
        remedy=f"Settle the credit once payout {payout} has ended: look-ups and statements end it, or a document of the"
        " partner (`gateway settlements propose`).",
    )


def numbered(by_number: Mapping[str, Sequence[PayoutRow]], line: StatementLine) -> PayoutRow | None:
    """Whose a line is that carries no reference of the form of ours: one that does is another payment's. A partner may
    give a number again: then it is the last payout that had left by the day of the booking.
    """
    if line.reference is not None and _REFERENCE.fullmatch(line.reference):
        return None
    rows = by_number.get(line.partner_reference or "", ())
    day = jakarta_day(line.booked_at + timedelta(seconds=SKEW_S))
    return next((row for row in reversed(rows) if listed_from(row) <= day), rows[0] if rows else None)


def matched(group: Sequence[Stray], candidates: Sequence[Candidate]) -> list[tuple[Stray, Candidate]]:
    """Which stray of one account and amount paid which incentive; none where there is a choice to be made.

    There must be one incentive for each stray, all of one participant, none of which has a payout on its way (one that
    was refused is on no way: only its end can have let the stray be paid). Then each of them was paid, whichever way
    round. Only incentives that could be paid when a stray's payout was made count: an instalment that was due later is
    no choice, even where the partner booked the payment after that day had begun.
    """
    able = [one for one in candidates if any(_payable(one, stray) for stray in group)]
    if len(able) != len(group) or any(one.open for one in able):
        return []
    pairs = list(zip(sorted(group, key=lambda stray: stray.reference), able, strict=True))
    if len({to.participant for _, to in pairs}) != 1 or not all(_payable(to, stray) for stray, to in pairs):
        return []
    return pairs


def _payable(incentive: Candidate, stray: Stray) -> bool:
    return incentive.due_on <= jakarta_day(stray.made_at) <= incentive.deadline_on
