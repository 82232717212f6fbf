"""Everything the store says that a rule or a trace needs, read after each step as far as it may have changed."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

import asyncpg
import msgspec


class Incentive(msgspec.Struct, array_like=True):
    id: int
    participant: int
    partner: str
    amount_rupiah: int
    due_on: str
    deadline_on: str
    approved: bool
    cancelled: bool
    past_deadline: bool
    link_active: bool
    verified: bool
    own: str | None
    own_next_s: float | None
    payout: str | None
    payouts: int
    stage: str
    blocker: str | None
    participant_id: str


class Payout(msgspec.Struct, array_like=True):
    id: int
    reference: str
    incentive: int
    link_id: str
    partner: str
    amount_rupiah: int
    state: str
    attempt: int
    looks: int
    first_sent_s: float | None
    sent_deadline_s: float | None
    next_s: float | None
    lease_until_s: float | None
    reason: str | None
    reason_due_s: float | None
    released_s: float | None
    number: str | None
    statements_from_s: float | None


class Link(msgspec.Struct, array_like=True):
    id: str
    participant: int
    partner: str
    state: str
    opens_until_s: float | None
    lives_until_s: float | None
    health_due_s: float | None
    refresh_s: float | None
    unlink_due_s: float | None
    updated_s: float
    wants: list[str]
    ended_because: str | None


class Participant(msgspec.Struct, array_like=True):
    id: int
    participant_id: str
    partner: str
    link_id: str | None
    link_active: bool
    verified: bool
    verified_until_s: float | None
    standing: str | None
    account: str
    """Keyed hash: tells one account from another."""


class Check(msgspec.Struct, array_like=True):
    id: int
    participant: int
    partner: str
    tries: int
    next_s: float | None
    lease_until_s: float | None


class Note(msgspec.Struct, array_like=True):
    id: int
    partner: str
    kind: str
    next_s: float | None


class Case(msgspec.Struct, array_like=True):
    id: int
    code: str
    partner: str
    payout: int | None
    open: bool
    detail: str


class Entry(msgspec.Struct, array_like=True):
    payout: int
    kind: str
    debit: str
    credit: str
    amount_rupiah: int


class Heard(msgspec.Struct, array_like=True):
    payout: int
    source: str
    kind: str
    partner_code: str | None


class Count(msgspec.Struct, array_like=True):
    partner: str
    stage: str
    blocker: str
    incentives: int
    amount_rupiah: int


class Batch(msgspec.Struct, array_like=True):
    id: str
    state: str
    accepted: int


class Paused(msgspec.Struct, array_like=True):
    partner: str
    by: str
    """Who paused it; `recovery`: it is held until it is known what the store has forgotten."""


class Held(msgspec.Struct, array_like=True):
    """A hold, open or released."""

    id: int
    partner: str
    stage: str
    kind: str
    since_s: float
    next_canary_s: float | None
    released_s: float | None
    run_asked_s: float | None

    @property
    def open(self) -> bool:
        return self.released_s is None


class Refusal(msgspec.Struct, array_like=True):
    id: int
    partner: str
    stage: str
    participant: int
    code: str
    said_s: float
    asked_again_s: float | None
    next_look_s: float | None


class Stray(msgspec.Struct, array_like=True):
    """A credit that no payout has and nobody has settled yet."""

    partner: str
    reference: str
    told: bool
    """Whether staff have a case of it."""


class Snapshot(msgspec.Struct):
    """The store at one moment."""

    incentives: list[Incentive] = []
    payouts: list[Payout] = []
    links: list[Link] = []
    participants: list[Participant] = []
    checks: list[Check] = []
    notes: list[Note] = []
    cases: list[Case] = []
    ledger: list[Entry] = []
    heard: list[Heard] = []
    funnel: list[Count] = []
    batches: list[Batch] = []
    paused: list[Paused] = []
    holds: list[Held] = []
    refusals: list[Refusal] = []
    strays: list[Stray] = []


def _s(column: str) -> str:
    return f"extract(epoch from {column})::float8"


def _rows(columns: str, rest: str, order: str = "id") -> str:
    return f"(SELECT coalesce(json_agg(json_build_array({columns}) ORDER BY {order}), '[]') FROM {rest})"


_PARTS = {
    "incentives": _rows(
        "id, participant, partner, amount_rupiah, due_on, deadline_on, approved, cancelled, past_deadline, link_active,"
        f" verified, own, {_s('own_next_at')}, payout, payouts, stage, blocker, participant_id",
        "incentives",
    ),
    "payouts": _rows(
        "id, reference, incentive, link_id, partner, amount_rupiah, state, attempt, looks,"
        f" {_s('first_sent_at')}, {_s('sent_deadline')}, {_s('next_at')}, {_s('lease_until')}, reason,"
        f" {_s('reason_due_at')}, {_s('released_at')}, partner_reference,"
        f" {_s('statements_from')}",
        "payouts",
    ),
    "links": _rows(
        f"id, participant, partner, state, {_s('opens_until')}, {_s('lives_until')}, {_s('health_due_at')},"
        f" {_s('refresh_at')}, {_s('unlink_due_at')}, {_s('updated_at')}, wants, ended_because",
        "links",
    ),
    "participants": _rows(
        f"id, participant_id, partner, link_id, link_active, verified, {_s('verified_until')}, standing,"
        " encode(account_index, 'hex')",
        "participants",
    ),
    "checks": _rows(
        f"v.id, v.participant, l.partner, v.tries, {_s('v.next_attempt_at')}, {_s('v.lease_until')}",
        "verifications v JOIN links l ON l.id = v.link_id WHERE v.state = 'open'",
        "v.id",
    ),
    "notes": _rows(f"id, partner, kind, {_s('next_attempt_at')}", "inbox WHERE applied_at IS NULL"),
    "cases": _rows("id, code, partner, payout, closed_at IS NULL, detail", "cases"),
    "ledger": _rows("payout, kind, debit, credit, amount_rupiah", "ledger"),
    "heard": _rows("payout, source, kind, partner_code", "observations"),
    "funnel": _rows(
        "partner, stage, blocker, n, amount",
        "(SELECT partner, stage, blocker, sum(incentives)::int AS n, sum(amount_rupiah)::bigint AS amount"
        " FROM funnel_counts GROUP BY 1, 2, 3 HAVING sum(incentives) <> 0 OR sum(amount_rupiah) <> 0) AS f",
        "partner, stage, blocker",
    ),
    "batches": _rows("id, state, (rows_accepted * (NOT reapproval)::int)", "batches"),
    "holds": _rows(
        f"id, partner, stage, kind, {_s('since')}, {_s('next_canary_at')}, {_s('released_at')}, {_s('run_asked_at')}",
        "holds",
    ),
    "refusals": _rows(
        f"id, partner, stage, participant, code, {_s('said_at')}, {_s('asked_again_at')}, {_s('next_look_at')}",
        "refusals",
    ),
    "strays": _rows("partner, reference, case_id IS NOT NULL", "strays WHERE settled_at IS NULL", "partner, reference"),
    "paused": _rows(
        "partner, by",
        "(SELECT partner, paused_by AS by FROM partner_switches WHERE paused_at IS NOT NULL"
        " UNION ALL SELECT partner, 'recovery' FROM recoveries WHERE released_at IS NULL) AS p",
        "partner, by",
    ),
}
_FROM = {
    "checks": ("verifications", "links"),
    "notes": ("inbox",),
    "heard": ("observations",),
    "funnel": ("funnel_counts",),
    "paused": ("partner_switches", "recoveries"),
}
"""The tables of a part, where they are not of its name."""
_TABLES = {name: frozenset(_FROM.get(name, (name,))) for name in _PARTS}
SHOWN = frozenset().union(*_TABLES.values())
"""The tables of which anything is shown."""
_DECODERS = {one.name: msgspec.json.Decoder(one.type) for one in msgspec.structs.fields(Snapshot)}


class Reader:
    """Reads the store again and again: only what may have been written to since."""

    def __init__(self) -> None:
        self._texts = dict.fromkeys(_PARTS, "[]")
        self._rows: dict[str, list[Any]] = {name: [] for name in _PARTS}

    async def read(
        self, connection: asyncpg.Connection[asyncpg.Record], stale: AbstractSet[str]
    ) -> tuple[str, Snapshot]:
        """The store as text, the same content giving the same text, and as rows; what is as before is the same list.
        `stale`: the tables that may have been written to since.
        """
        names = [name for name, tables in _TABLES.items() if not tables.isdisjoint(stale)]
        row = await connection.fetchrow("SELECT " + ", ".join(f"{_PARTS[name]}::text" for name in names))
        assert row is not None
        for name, text in zip(names, row.values(), strict=True):
            if text != self._texts[name]:
                self._texts[name], self._rows[name] = text, _DECODERS[name].decode(text)
        whole = ", ".join(f'"{name}" : {text}' for name, text in self._texts.items())
        return f"{{{whole}}}", Snapshot(**self._rows)


_SHOWN: dict[str, tuple[str, ...]] = {
    "incentives": ("stage", "blocker", "own", "payouts"),
    "payouts": ("state", "attempt", "reason", "released_s"),
    "links": ("state", "ended_because"),
    "participants": ("link_active", "verified", "standing"),
    "cases": ("code", "open"),
    "paused": ("by",),
    "holds": ("partner", "stage", "kind", "open"),
    "refusals": ("partner", "stage", "code"),
    "batches": ("state",),
}


def moved(before: Snapshot, after: Snapshot) -> bool:
    """Whether anything changed but holds."""
    return any(_differ(before, after, name) for name in _PARTS if name != "holds")


def _differ(before: Snapshot, after: Snapshot, name: str) -> bool:
    was, now = getattr(before, name), getattr(after, name)
    return was is not now and was != now


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """What changed, in words, for people who read a trace."""
    lines = []
    for table, names in _SHOWN.items():
        if getattr(before, table) is getattr(after, table):
            continue
        old: dict[Any, Any] = {_key(row): row for row in getattr(before, table)}
        for row in getattr(after, table):
            before_row = old.get(_key(row))
            if row == before_row:
                continue
            was, now = _shown(before_row, names), _shown(row, names)
            if was != now:
                lines.append(f"{table[:-1] if table != 'paused' else table} {_key(row)}: {was or 'new'} -> {now}")
    return lines


def _key(row: Any) -> Any:
    return row.partner if isinstance(row, Paused) else row.id


def _shown(row: Any, names: tuple[str, ...]) -> str:
    if row is None:
        return ""
    values = [getattr(row, name) for name in names]
    return " ".join("-" if value is None else str(value) for value in values)
