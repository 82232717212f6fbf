"""Single rows of many clients, each a batch of its own, decided about and stored together: no temporary tables, and a
handful of statements whatever their number. The rules are the batches' (`rules`).

No two rows of one call may be of one participant or one NIK, nor under one key: they would have to be decided about one
after the other.
"""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import asyncpg
import msgspec

from gateway.storage.base.database import Connection, set_by_key
from gateway.storage.intake import rules
from gateway.storage.intake.batches import BatchRow

_WHOSE = "coalesce(c.organisation, 'main')"
"""As `organisation_of` says of `t.client_id`, without a call for each row."""
_OF_CLIENT = "LEFT JOIN clients c ON c.id = t.client_id"
_ROWS = f"""WITH intake_rows AS MATERIALIZED (
SELECT line, client_id, key, programme, purpose, period, participant_id, partner, amount_rupiah, due_on, deadline_on,
    decode(content_hash, 'base64') AS content_hash, decode(digest, 'base64') AS digest,
    decode(nik_index, 'base64') AS nik_index, decode(account_index, 'base64') AS account_index,
    decode(name_index, 'base64') AS name_index, decode(phone_index, 'base64') AS phone_index,
    decode(nik_sealed, 'base64') AS nik_sealed, decode(name_sealed, 'base64') AS name_sealed,
    decode(phone_sealed, 'base64') AS phone_sealed, decode(account_sealed, 'base64') AS account_sealed,
    batch_id, {_WHOSE} AS organisation
FROM json_to_recordset($1::json) AS t (line integer, client_id text, key text, programme text, purpose text,
    period text, participant_id text, partner text, amount_rupiah bigint, due_on date, deadline_on date,
    content_hash text, digest text, nik_index text, account_index text, name_index text, phone_index text,
    nik_sealed text,
    name_sealed text, phone_sealed text, account_sealed text, batch_id text)
    {_OF_CLIENT})
"""
"""`Single`s as rows, with whose they are."""

_OURS = "r.organisation"
_LIVE = "FROM intake_rows r WHERE true"
"""Whoever calls hands over accepted rows alone."""
_AGAINST = " UNION ALL ".join(
    f"SELECT {n} AS rule, met.* FROM ({rule.selection}) AS met" for n, rule in enumerate(rules.against(_OURS, "true"))
)
_ENOUGH_BYTES = 131_072
"""Of incentives, some 400: each look-up here is by a key of its own, which costs less than the whole of another index
from then on. Planning them for each group took more than all else.
"""
_SAFE = f"SELECT set_config('lock_timeout', $1, true), {set_by_key(_ENOUGH_BYTES)}"
_LOCK = f"""WITH intake_rows AS MATERIALIZED (SELECT unnest($1::text[]) AS participant_id),
{rules.LOCK.removeprefix("WITH ")}"""
_FATES = f"""{_ROWS}, met AS (
    SELECT DISTINCT ON (line) line, code, fields, hint FROM ({_AGAINST}) AS every ORDER BY line, rule)
SELECT r.line, m.code, m.fields, m.hint, EXISTS (SELECT FROM idempotency k
        WHERE (k.client_id, k.key) = (r.client_id, r.key) OFFSET 0) AS answered,
    CASE WHEN m.code = '{rules.REPEAT}' THEN (SELECT i.id FROM ({rules.STANDING}) i
        WHERE (i.programme, i.purpose, i.period) = (r.programme, r.purpose, r.period)) END AS incentive_id,
    p.id IS NULL AS unknown, p.id IS NOT NULL AND (p.organisation <> r.organisation OR NOT {rules.AS_KNOWN}) AS differs,
    {rules.unusual("r")} AS unusual,
    {rules.of_stopped("r")} AS stopped,
    'b' || new_id($2) AS batch_id
FROM intake_rows r LEFT JOIN met m USING (line) LEFT JOIN participants p USING (participant_id)
"""
_HOLD_CORRECTED = _ROWS + ", " + rules.hold_corrected(_OURS, _LIVE).strip().removeprefix("WITH ")
_CORRECT = _ROWS + rules.corrected_participants(_OURS, _LIVE, "$2")
_PARTICIPANTS = _ROWS + rules.new_participants(_OURS, _LIVE, "$2", overtaken="")
_NOTE = _ROWS + rules.notes("r.batch_id", _LIVE, line="1")
_MADE = " RETURNING id, batch_id"
_INCENTIVES = _ROWS + rules.new_incentives(_OURS, _LIVE, "r.batch_id", "$2", line="1", overtaken="") + _MADE
_ALL_NEW = f"{_ROWS}, {rules.all_new(_OURS, _LIVE, 'r.batch_id', '$2', line='1').strip().removeprefix('WITH ')}{_MADE}"
_BATCHES = f"""
INSERT INTO batches (id, client_id, organisation, state, single, rows_accepted, rows_rejected, rows_repeated,
    amount_rupiah, content_root, content_key_sealed, partners, warnings, received_at)
SELECT t.id, client_id, {_WHOSE}, state, single, rows_accepted, rows_rejected, rows_repeated,
    amount_rupiah, decode(content_root, 'base64'), decode(content_key_sealed, 'base64'), partners, warnings, received_at
FROM json_to_recordset($1::json) AS t (id text, client_id text, state text, single boolean, rows_accepted integer,
    rows_rejected integer, rows_repeated integer, amount_rupiah bigint, content_root text, content_key_sealed text,
    partners text, warnings text, received_at timestamptz) {_OF_CLIENT}
"""


class Single(msgspec.Struct, frozen=True, kw_only=True):
    """One row as the store takes it: `gateway.storage.intake.copying.Row`, and who hands it over under which key."""

    line: int
    """Its number in the call."""
    client_id: str
    key: str
    programme: str
    purpose: str
    period: str
    participant_id: str
    partner: str
    amount_rupiah: int
    due_on: date
    deadline_on: date
    content_hash: bytes
    digest: bytes
    nik_index: bytes
    account_index: bytes
    name_index: bytes
    phone_index: bytes
    nik_sealed: bytes
    name_sealed: bytes
    phone_sealed: bytes
    account_sealed: bytes
    batch_id: str | None = None
    """Once it is accepted: the batch that it becomes."""


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What stands against a row, and what there is already of it."""

    line: int
    code: str | None
    """Null: nothing; `rules.REPEAT`: it was handed over before, as `incentive_id`."""
    fields: str | None
    """Names, with ', ' between them."""
    hint: str | None
    answered: bool
    """Something is stored under its key."""
    incentive_id: int | None
    unknown: bool
    """Nobody has heard of the participant."""
    differs: bool
    """The participant is known otherwise, or as another organisation's."""
    unusual: bool
    """No such amount was ever approved for the programme and purpose, where others were."""
    stopped: bool
    """Payments to the participant were stopped, and nothing approved since."""
    batch_id: str
    """A fresh id, ordered by time."""


async def fates(connection: Connection, rows: Sequence[Single], now: datetime, lock_timeout_s: float) -> list[Fate]:
    """Hold the rows' participants and decide about every row, in the caller's transaction, which waits at most so long
    for anybody else's lock (`asyncpg.LockNotAvailableError`).
    """
    await connection.execute(_SAFE, f"{lock_timeout_s * 1_000:.0f}ms")
    await connection.execute(_LOCK, [row.participant_id for row in rows])
    return [msgspec.convert(dict(row), Fate) for row in await connection.fetch(_FATES, _as_json(rows), now)]


async def store(
    connection: Connection, rows: Sequence[Single], batches: Sequence[BatchRow], fates: Sequence[Fate], now: datetime
) -> dict[str, int]:
    """Put accepted rows where they belong, each into its batch; the incentives by batch. Where somebody else has stored
    what one of them says since they were decided about, its incentive is missing, or `asyncpg.UniqueViolationError` is
    raised: decide about them anew, in another transaction.
    """
    content = _as_json(rows)
    await connection.execute(_BATCHES, _as_json(batches))
    if all(fate.unknown for fate in fates):
        return _by_batch(await connection.fetch(_ALL_NEW, content, now))
    if any(fate.differs for fate in fates):
        await connection.execute(_HOLD_CORRECTED, content)
        await connection.execute(_CORRECT, content, now)
    if any(fate.unknown for fate in fates):
        await connection.execute(_PARTICIPANTS, content, now)
    if any(fate.differs for fate in fates):
        await connection.execute(_NOTE, content)
    return _by_batch(await connection.fetch(_INCENTIVES, content, now))


def _by_batch(made: Sequence[asyncpg.Record]) -> dict[str, int]:
    return {row["batch_id"]: row["id"] for row in made}


def _as_json(rows: Sequence[msgspec.Struct]) -> str:
    return msgspec.json.encode(rows).decode()
