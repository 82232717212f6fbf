"""The one way a payout's row changes after it was made: locked, decided, written with everything that belongs to it.

State, observation, ledger, event, incentive and case are one transaction. A group of payouts costs a handful of
statements whatever its size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from contracts.errors import Hint, NotFound
from contracts.events import EventType
from contracts.hold import HoldStage
from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.payout import OutcomeKind, PayoutState, safe_detail, unknown
from gateway.clock import jakarta_day
from gateway.services.brake import brake
from gateway.services.ops.holds import settled_short
from gateway.services.payouts.ends import Effects, Standing, Terms
from gateway.services.payouts.rules import decide
from gateway.services.payouts.words import OTHER_NUMBER, Word, WordOrFinding, agreed
from gateway.storage.base.database import Connection
from gateway.storage.brake import refusals
from gateway.storage.intake import reapprovals
from gateway.storage.messages import events
from gateway.storage.ops import cases, switches
from gateway.storage.payouts import ledger, observations, payouts
from gateway.storage.payouts.observations import Heard, NewObservation
from gateway.storage.payouts.payouts import PayoutRow

MISMATCHES_PAUSE = 3
"""So many open cases of rows that are not the approved ones, and the partner is paused."""
_SETTLE_NOTHING = frozenset({OutcomeKind.NOT_FOUND, OutcomeKind.UNKNOWN, OutcomeKind.PENDING})


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one item: the payout as it stands now, and everything heard about it (words only)."""

    payout: PayoutRow
    before: PayoutState
    heard: list[Heard]


async def apply(
    connection: Connection, now: datetime, terms: Mapping[str, Terms], items: Sequence[WordOrFinding]
) -> list[Applied]:
    """Apply words and findings inside the caller's transaction; one result for each, in order. Raises `NotFound` where
    the store knows nothing of a payout.
    """
    short = {item.payout for item in items if _hint(item) is Hint.FLOAT_SHORT}  # perhaps at once the last try
    rows, incentives = await payouts.lock(connection, list({item.payout for item in items}), short)
    by_id = {row.id: row for row in rows}
    if gone := {item.payout for item in items} - by_id.keys():  # this process has outlived a failover
        remedy = "What a failover or a restore has lost, `gateway recover` finds."
        raise NotFound(f"Payout {min(gone)} is not in the store (any more).", remedy=remedy)
    before = {row.id: msgspec.structs.replace(row) for row in rows}
    incentives_before = {key: msgspec.structs.replace(row) for key, row in incentives.items()}
    family: dict[int, list[PayoutRow]] = {}
    for row in rows:
        family.setdefault(row.incentive, []).append(row)
    items = [_agreed(item, by_id[item.payout]) for item in items]
    items = await _own_numbers(connection, items, by_id)
    heard = await _store(connection, now, terms, items, by_id)
    told = [by_id[item.payout] for item in items if isinstance(item, Word)]
    unsent = {row.partner for row in told if row.state is PayoutState.RESERVED and row.attempt == 0}
    recovering = await payouts.recovering(connection, unsent) if unsent else frozenset()

    applied, effects = [], []
    for item in items:
        row = by_id[item.payout]
        was = row.state
        standing = Standing(
            payout=row,
            incentive=incentives[row.incentive],
            others=[other for other in family[row.incentive] if other is not row],
            recovering=row.partner in recovering,
        )
        effects.append((row, decide(terms[row.partner], standing, heard.get(row.id, []), item, now)))
        applied.append(Applied(payout=row, before=was, heard=heard.get(row.id, [])))

    await _write(connection, now, [row for row in rows if row != before[row.id]], before)
    changed = [row for key, row in incentives.items() if row != incentives_before[key]]
    if changed:
        await payouts.write_incentives(connection, now, changed)
    if free := [row.id for row in changed if row.payout is None]:
        await payouts.cancel_stopped(connection, now, free)
    await _follow(connection, now, effects, before)
    await _hold_short(connection, now, applied)
    await _weigh(connection, now, terms, effects, before)
    return applied


def _hint(item: WordOrFinding) -> Hint:
    return item.outcome.hint if isinstance(item, Word) else item.hint


def _agreed(item: WordOrFinding, row: PayoutRow) -> WordOrFinding:
    """A word about another amount than ours is no verdict, whoever brought it."""
    return msgspec.structs.replace(item, outcome=agreed(item.outcome, row, None)) if isinstance(item, Word) else item


async def _own_numbers(
    connection: Connection, items: Sequence[WordOrFinding], by_id: Mapping[int, PayoutRow]
) -> Sequence[WordOrFinding]:
    """A reply whose number another payout of the partner has may be the answer to that one (a cache in front gave it
    again, two were swapped): no verdict, a look-up by our own reference decides. Numbers of bookings may come again on
    another day; one by which an instruction is approved never may.
    """
    asked = {
        item.payout: (row.partner, item.outcome.partner_reference, None if queued else jakarta_day(sent_at))
        for item in items
        if isinstance(item, Word) and (row := by_id[item.payout]).partner_reference is None
        if (queued := item.outcome.kind is OutcomeKind.QUEUED) or _is_booked(item)
        if item.outcome.partner_reference is not None
        if (sent_at := row.first_sent_at or row.created_at) is not None
    }
    if not asked:
        return items
    times = Counter((partner, number) for partner, number, _ in asked.values())
    others = await payouts.numbered_too(connection, [(payout, *one) for payout, one in asked.items()])
    others |= {payout for payout, (partner, number, _) in asked.items() if times[partner, number] > 1}
    return [
        msgspec.structs.replace(item, outcome=unknown(partner_code=OTHER_NUMBER))
        if isinstance(item, Word) and item.payout in others
        else item
        for item in items
    ]


def _is_booked(word: Word) -> bool:
    """Whether it is the answer to a WRITE, and says that it was booked."""
    return word.source is Source.REPLY and word.outcome.kind is OutcomeKind.SUCCEEDED


def _event_key(terms: Terms, row: PayoutRow, word: Word, now: datetime) -> str | None:
    """What makes two words one. A look-up that settles nothing is kept each time while its repetition may prove
    something, and past the horizon and the first attempt's day once a day: nobody would ever stop asking.
    """
    outcome, first = word.outcome, row.first_sent_at
    passing = word.source is Source.LOOKUP and outcome.kind in _SETTLE_NOTHING
    if word.event_key is not None or not passing or first is None:
        return word.event_key
    today = jakarta_day(now)
    if first > terms.pace.over_since(now) or today == jakarta_day(first):
        return None
    return f"look:{row.attempt}:{outcome.kind.value}:{outcome.partner_code}:{today}"


async def _store(
    connection: Connection,
    now: datetime,
    terms: Mapping[str, Terms],
    items: Sequence[WordOrFinding],
    by_id: Mapping[int, PayoutRow],
) -> dict[int, list[Heard]]:
    """Keep the words; everything heard about their payouts."""
    new = []
    for item in items:
        if not isinstance(item, Word):
            continue
        row = by_id[item.payout]
        outcome = item.outcome
        new.append(
            NewObservation(
                payout=row.id,
                source=item.source,
                attempt=row.attempt if item.attempt is None else item.attempt,
                kind=outcome.kind,
                reason=outcome.reason,
                technical=outcome.technical,
                partner_code=outcome.partner_code,
                refusal=outcome.refusal,
                said_at=outcome.said_at,
                detail=safe_detail(outcome.detail or ""),
                event_key=_event_key(terms[row.partner], row, item, now),
            )
        )
    if not new:
        return {}
    found: dict[int, list[Heard]] = {}
    for one in await observations.add(connection, now, new, list({o.payout for o in new})):
        found.setdefault(one.payout, []).append(one)
    return found


async def _write(
    connection: Connection, now: datetime, rows: Sequence[PayoutRow], before: Mapping[int, PayoutRow]
) -> None:
    """Rows, ledger and events. What was withdrawn goes first: it frees the one place an incentive has."""
    withdrawn = [row for row in rows if row.state is PayoutState.CANCELLED]
    others = [row for row in rows if row.state is not PayoutState.CANCELLED]
    for part in (withdrawn, others):
        if part:
            await payouts.write(connection, now, part)
    moved = [row for row in rows if row.state is not before[row.id].state]
    await ledger.add(
        connection,
        now,
        [
            (row.id, row.partner, entry, row.amount_rupiah)
            for row in moved
            for entry in ledger.entries_between(before[row.id].state, row.state)
        ],
    )
    await events.emit(connection, now, [(EventType.PAYOUT_CHANGED, str(row.id), _event(row)) for row in moved])


def _event(row: PayoutRow) -> dict[str, object]:
    return {
        "payout_id": str(row.id),
        "incentive_id": str(row.incentive),
        "partner": row.partner,
        "state": row.state.value,
        "reason": row.reason.value if row.reason else None,
    }


async def _follow(
    connection: Connection,
    now: datetime,
    effects: Sequence[tuple[PayoutRow, Effects]],
    before: Mapping[int, PayoutRow],
) -> None:
    """Cases and pauses: rare, so one by one. Pauses last, each partner's in order: who
    waits for such a row must hold nothing that its holder still wants.
    """
    answered = [
        (row.id, code)
        for row, effect in effects
        for code in effect.answered
        if before[row.id].state is not PayoutState.SUBMITTING or before[row.id].attempt > 1
    ]
    if answered:
        await cases.close_cases(connection, now, answered, by="gateway")
    for _, effect in effects:
        await cases.open_cases(connection, now, effect.cases)
    pauses = await _lapse(connection, now, [row for row, effect in effects if effect.lapsed])
    pauses |= {partner: reason for _, effect in effects for partner, reason in effect.pauses.items()}
    for partner in sorted(pauses):
        await switches.pause(connection, now, partner, by="gateway", reason=pauses[partner])


async def _hold_short(connection: Connection, now: datetime, applied: Sequence[Applied]) -> None:
    """Where a payment fails for our deposit after it was taken, no call says so, and each that follows would fail."""
    rejected = PayoutState.REJECTED
    short = {
        one.payout.partner: next((h.partner_code for h in reversed(one.heard) if h.reason is one.payout.reason), None)
        for one in applied
        if one.before is not rejected is one.payout.state and one.payout.reason is BlockerCode.PARTNER_FLOAT_SHORT
    }
    for partner in sorted(short):
        await settled_short(connection, now, partner, short[partner] or "failed for our deposit")


async def _weigh(
    connection: Connection,
    now: datetime,
    terms: Mapping[str, Terms],
    effects: Sequence[tuple[PayoutRow, Effects]],
    before: Mapping[int, PayoutRow],
) -> None:
    """Count payments and refusals among the partner's answers; refusals in a crowd hold its payouts. Whoever is to be
    paid was matched before, so all of them are known good.
    """
    moved = {row.id: row for row, _ in effects if row.state is not before[row.id].state}
    paid = Counter(row.partner for row in moved.values() if row.state is PayoutState.SUCCEEDED)
    for partner, answers in sorted(paid.items()):
        await refusals.good(connection, partner, HoldStage.PAYOUT, known=True, answers=answers)
    refused = [(row, effect.refused, effect.look) for row, effect in effects if effect.refused is not None]
    if not refused:
        return
    accounts = await refusals.accounts(connection, [row.link_id for row, _, _ in refused])
    for row, outcome, look in sorted(refused, key=lambda one: (one[0].partner, one[0].id)):
        assert outcome.reason is not None
        said = refusals.NewRefusal(
            partner=row.partner,
            stage=HoldStage.PAYOUT,
            known=True,
            participant=row.participant,
            account_index=accounts[row.link_id],
            code=outcome.reason,
            partner_code=outcome.partner_code,
            look=look,
        )
        await brake.refused(connection, now, said, terms[row.partner].pace.looks_s)


async def _lapse(connection: Connection, now: datetime, rows: Sequence[PayoutRow]) -> dict[str, str]:
    """Let approvals lapse that do not hold; partners where it is no single row any more, and why they are paused."""
    if not rows:
        return {}
    await reapprovals.lapse(connection, [row.incentive for row in rows], now)
    pauses = {}
    for partner in sorted({row.partner for row in rows}):
        found = await cases.count_open(connection, partner, BlockerCode.APPROVAL_MISMATCH)
        if found >= MISMATCHES_PAUSE:
            pauses[partner] = f"{found} rows about to be paid are not the ones that were approved"
    return pauses
