"""Where a batch waits while it is being received: temporary tables of one connection, which nobody else sees and which
go with it.

`merge` then decides about every row and moves what is accepted into the real tables; the caller wraps it in one
transaction. What a row may meet, in this order: the same instalment handed over before (a repeat or a conflict),
another NIK, partner or account than the participant's, another participant with the same NIK in the same instalment.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from contracts.batch import RowCode
from gateway.storage.base.database import Connection

STATEMENT_S = 900.0
"""Bound on one statement over a whole batch."""
_CHUNK = 20_000
_LOCK = 0x70_72_61_6C
"""Merges go one after another: each must see what the one before has stored."""
_REPEAT = "repeat"

_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS intake_rows (
    line integer NOT NULL, programme text NOT NULL, purpose text NOT NULL, period text NOT NULL,
    participant_id text NOT NULL, partner text NOT NULL, amount_rupiah bigint NOT NULL,
    due_on date NOT NULL, deadline_on date NOT NULL, content_hash bytea NOT NULL, identity bigint NOT NULL,
    nik_index bytea NOT NULL, account_index bytea NOT NULL,
    nik_sealed bytea NOT NULL, name_sealed bytea NOT NULL, phone_sealed bytea NOT NULL, account_sealed bytea NOT NULL);
CREATE TEMP TABLE IF NOT EXISTS intake_refused (
    line integer NOT NULL, field text, code text NOT NULL,
    programme text, participant_id text, purpose text, period text);
CREATE TEMP TABLE IF NOT EXISTS intake_fate (line integer PRIMARY KEY, code text NOT NULL);
CREATE TEMP TABLE IF NOT EXISTS intake_copies (line integer PRIMARY KEY, first_line integer NOT NULL);
TRUNCATE intake_rows, intake_refused, intake_fate, intake_copies;
"""

_LIVE = "FROM intake_rows r WHERE NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)"
"""Rows that nothing speaks against so far."""

_STORED = (
    # The locks keep the participants' identity and facts as they are until the batch is in: a fact that changes
    # meanwhile waits, and is then copied to the new incentives as to all others.
    "WITH locked AS MATERIALIZED (SELECT id FROM participants WHERE participant_id IN"
    " (SELECT participant_id FROM intake_rows) ORDER BY id FOR SHARE) SELECT count(*) FROM locked",
    # A line that stands twice shares the fate of its first one.
    "INSERT INTO intake_copies SELECT r.line, d.first_line FROM (SELECT content_hash, min(line) AS first_line"
    " FROM intake_rows GROUP BY content_hash HAVING count(*) > 1) d"
    " JOIN intake_rows r USING (content_hash) WHERE r.line <> d.first_line",
    "INSERT INTO intake_fate SELECT line, 'copy' FROM intake_copies",
    "INSERT INTO intake_fate SELECT r.line, CASE WHEN i.content_hash = r.content_hash THEN 'repeat'"
    " ELSE 'incentive_conflict' END FROM intake_rows r JOIN incentives i"
    " USING (programme, purpose, period, participant_id)"
    " WHERE NOT i.cancelled AND NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)",
    # Cancelled after a refusal that the partner took back: paid all the same.
    "INSERT INTO intake_fate SELECT DISTINCT r.line, 'incentive_conflict' FROM intake_rows r JOIN incentives i"
    " USING (programme, purpose, period, nik_index) WHERE i.cancelled AND i.payout = 'succeeded'"
    " AND NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)",
    "INSERT INTO intake_fate SELECT r.line, 'participant_conflict' FROM intake_rows r"
    " JOIN participants p USING (participant_id)"
    " WHERE (p.nik_index, p.partner, p.account_index) <> (r.nik_index, r.partner, r.account_index)"
    " AND NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)",
    "INSERT INTO intake_fate SELECT r.line, 'nik_duplicate' FROM intake_rows r JOIN incentives i"
    " USING (programme, purpose, period, nik_index)"
    " WHERE NOT i.cancelled AND i.participant_id <> r.participant_id"
    " AND NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)",
)
"""What is stored already against the rows."""

_CONTESTED = f"""
WITH live AS MATERIALIZED (SELECT line, programme, purpose, period, participant_id, identity, nik_index {_LIVE}),
same_key AS (SELECT programme, purpose, period, participant_id FROM live
    GROUP BY programme, purpose, period, participant_id HAVING count(*) > 1),
same_person AS (SELECT participant_id FROM live
    GROUP BY participant_id HAVING min(identity) <> max(identity)),
same_nik AS (SELECT programme, purpose, period, nik_index FROM live
    GROUP BY programme, purpose, period, nik_index HAVING min(participant_id) <> max(participant_id)),
contested AS (
    SELECT line FROM live JOIN same_key USING (programme, purpose, period, participant_id)
    UNION SELECT line FROM live JOIN same_person USING (participant_id)
    UNION SELECT line FROM live JOIN same_nik USING (programme, purpose, period, nik_index))
SELECT line,
    dense_rank() OVER (ORDER BY identity)::integer AS identity_no,
    dense_rank() OVER (ORDER BY programme, purpose, period, participant_id)::integer AS key_no,
    dense_rank() OVER (ORDER BY participant_id)::integer AS person_no,
    dense_rank() OVER (ORDER BY programme, purpose, period, nik_index)::integer AS nik_no
FROM live JOIN contested USING (line) ORDER BY line
"""  # noqa: S608 - constants
"""Rows of one batch that could contradict each other. A row that shares its instalment, its participant's identity and
its NIK with no differing row is accepted whatever becomes of the others.
"""


_COUNTS = f"""
SELECT a.accepted, a.amount_rupiah, (SELECT count(*) FROM intake_refused) AS rejected,
    (SELECT count(*) FROM intake_fate WHERE code = $1) AS repeated
FROM (SELECT count(*) AS accepted, coalesce(sum(amount_rupiah), 0)::bigint AS amount_rupiah {_LIVE}) a
"""  # noqa: S608 - constants

_MOVE_PARTICIPANTS = f"""
INSERT INTO participants (participant_id, nik_sealed, nik_index, name_sealed, phone_sealed, partner, account_sealed,
    account_index, facts_at, created_at)
SELECT participant_id, nik_sealed, nik_index, name_sealed, phone_sealed, partner, account_sealed, account_index, $1, $1
FROM intake_rows JOIN (
    SELECT min(r.line) AS line {_LIVE}
    AND NOT EXISTS (SELECT FROM participants p WHERE p.participant_id = r.participant_id) GROUP BY r.participant_id
) AS new_ones USING (line) ORDER BY line
"""  # noqa: S608 - constants

_MOVE_INCENTIVES = f"""
INSERT INTO incentives (batch_id, line, programme, purpose, period, participant, participant_id, nik_index, partner,
    amount_rupiah, due_on, deadline_on, content_hash, link_active, verified, standing, facts_at, created_at)
SELECT $1, r.line, r.programme, r.purpose, r.period, p.id, r.participant_id, r.nik_index, r.partner,
    r.amount_rupiah, r.due_on, r.deadline_on, r.content_hash, p.link_active, p.verified, p.standing, $2, $2
FROM participants p JOIN (SELECT r.* {_LIVE}) r USING (participant_id) ORDER BY r.line
"""  # noqa: S608 - constants

_MOVE_REFUSED = """
INSERT INTO batch_errors (batch_id, line, field, code, programme, participant_id, purpose, period)
SELECT $1, line, field, code, programme, participant_id, purpose, period FROM intake_refused
"""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows became what."""

    accepted: int
    rejected: int
    repeated: int
    amount_rupiah: int


async def prepare(connection: Connection) -> None:
    """Make the tables, empty."""
    await connection.execute(_TABLES)


async def clear(connection: Connection) -> None:
    """Give the space back."""
    await connection.execute("TRUNCATE intake_rows, intake_refused, intake_fate, intake_copies")


async def add_rows(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Copy checked rows in (`gateway.services.intake.rows.Row`)."""
    await connection.copy_records_to_table("intake_rows", records=rows, timeout=STATEMENT_S)


async def add_refused(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Copy refused rows in (`gateway.services.intake.rows.Refused`)."""
    await connection.copy_records_to_table("intake_refused", records=rows, timeout=STATEMENT_S)


async def settle(connection: Connection, *, many: bool) -> Merged:
    """Decide about every row; in the caller's transaction, which from here on is the only one to merge."""
    # Compiling these statements takes seconds; running them does not.
    await connection.execute("SET LOCAL jit = off")
    await connection.execute("SET LOCAL work_mem = '64MB'")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=STATEMENT_S)
    if many:
        await connection.execute("ANALYZE intake_rows", timeout=STATEMENT_S)
    for statement in _STORED:
        await connection.execute(statement, timeout=STATEMENT_S)
    await _settle_contested(connection)
    await connection.execute(
        "UPDATE intake_fate f SET code = coalesce((SELECT o.code FROM intake_copies c JOIN intake_fate o"
        " ON o.line = c.first_line WHERE c.line = f.line), 'repeat') WHERE f.code = 'copy'",
        timeout=STATEMENT_S,
    )
    await connection.execute(
        "INSERT INTO intake_refused SELECT line, NULL, f.code, programme, participant_id, purpose, period"
        " FROM intake_fate f JOIN intake_rows r USING (line) WHERE f.code <> $1",
        _REPEAT,
        timeout=STATEMENT_S,
    )
    row = await connection.fetchrow(_COUNTS, _REPEAT, timeout=STATEMENT_S)
    return msgspec.convert(dict(row or {}), Merged)


async def _settle_contested(connection: Connection) -> None:
    """Go through the rows that could contradict each other in the order of their lines; first come, first served."""
    # How many groups contradict themselves cannot be estimated; taken for few, each would be looked up by walking.
    await connection.execute("SET LOCAL enable_nestloop = off")
    await connection.execute(f"CREATE TEMP TABLE intake_contested ON COMMIT DROP AS {_CONTESTED}", timeout=STATEMENT_S)
    await connection.execute("SET LOCAL enable_nestloop = on")
    most = await connection.fetchval("SELECT count(*) FROM intake_contested")
    if not most:
        return
    # By the groups' numbers: whether an instalment is taken, whose NIK it is, a person's identity (0: none yet).
    taken, holders, identities = (array("i", bytes(4 * (most + 1))) for _ in range(3))
    refused: list[tuple[int, str]] = []
    async for row in connection.cursor("SELECT * FROM intake_contested ORDER BY line", prefetch=_CHUNK):
        line, identity_no, key_no, person_no, nik_no = row
        if taken[key_no]:
            refused.append((line, RowCode.INCENTIVE_CONFLICT.value))
        elif identities[person_no] not in (0, identity_no):
            refused.append((line, RowCode.PARTICIPANT_CONFLICT.value))
        elif holders[nik_no] not in (0, person_no):
            refused.append((line, RowCode.NIK_DUPLICATE.value))
        else:
            taken[key_no], identities[person_no], holders[nik_no] = 1, identity_no, person_no
    await connection.copy_records_to_table("intake_fate", records=refused, timeout=STATEMENT_S)


async def content_hashes(connection: Connection) -> AsyncIterator[list[bytes]]:
    """The accepted rows' hashes in the order of their lines, some at a time."""
    cursor = await connection.cursor(f"SELECT r.content_hash {_LIVE} ORDER BY r.line")
    while rows := await cursor.fetch(_CHUNK, timeout=STATEMENT_S):
        yield [row[0] for row in rows]


async def move(connection: Connection, batch_id: str, now: datetime) -> None:
    """Put the accepted rows where they belong, and the refused ones beside the batch."""
    await connection.execute(_MOVE_PARTICIPANTS, now, timeout=STATEMENT_S)
    await connection.execute(_MOVE_INCENTIVES, batch_id, now, timeout=STATEMENT_S)
    await connection.execute(_MOVE_REFUSED, batch_id, timeout=STATEMENT_S)


async def refused_code(connection: Connection) -> str:
    """Why the only row was refused."""
    return str(await connection.fetchval("SELECT code FROM intake_refused"))


async def stored_incentive(connection: Connection) -> int:
    """The incentive of the only row, once moved or where it stood before."""
    return int(
        await connection.fetchval(
            "SELECT i.id FROM intake_rows r JOIN incentives i USING (programme, purpose, period, participant_id)"
            " WHERE NOT i.cancelled"
        )
    )
