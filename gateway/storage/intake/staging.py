"""Where a batch waits while it is being received: temporary tables of one connection, which nobody else sees and which
go with it.

It is then decided about every row (`rules`), and what is accepted is moved into the real tables; the caller wraps that
in one transaction.
"""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime

import asyncpg
import msgspec

from contracts.batch import PartnerTotal, RowCode
from gateway.security.vault import KEY_ID_BYTES
from gateway.storage.base import witness
from gateway.storage.base.database import Connection
from gateway.storage.intake import rules

STATEMENT_S = 900.0
"""Bound on one statement over a whole batch."""
_CHUNK = 2_000
"""Rows that are handled at a time, so few that nobody else in the process waits for them."""
_LOCK = 0x70_72_61_6C
"""Large merges go one after another: each keeps a core busy."""
_ROUNDS = 20
"""Each round decides about every row that was stored before it began, so that more than two are hardly ever needed."""

_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS intake_rows (
    line integer NOT NULL, programme text NOT NULL, purpose text NOT NULL, period text NOT NULL,
    participant_id text NOT NULL, partner text NOT NULL, amount_rupiah bigint NOT NULL,
    due_on date NOT NULL, deadline_on date NOT NULL, content_hash bytea NOT NULL, leaf bytea NOT NULL,
    digest bytea NOT NULL,
    identity bigint NOT NULL, nik_index bytea NOT NULL, account_index bytea NOT NULL,
    name_index bytea NOT NULL, phone_index bytea NOT NULL,
    nik_sealed bytea NOT NULL, name_sealed bytea NOT NULL, phone_sealed bytea NOT NULL, account_sealed bytea NOT NULL);
CREATE TEMP TABLE IF NOT EXISTS intake_refused (
    line integer NOT NULL, field text, code text NOT NULL, faults text NOT NULL,
    programme text, participant_id text, purpose text, period text);
CREATE TEMP TABLE IF NOT EXISTS intake_fate (
    line integer PRIMARY KEY, code text NOT NULL, other integer, fields text, hint text);
CREATE TEMP TABLE IF NOT EXISTS intake_copies (line integer PRIMARY KEY, first_line integer NOT NULL);
TRUNCATE intake_rows, intake_refused, intake_fate, intake_copies;
"""

_LIVE = "FROM intake_rows r WHERE NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)"
"""Rows that nothing speaks against so far."""

_OURS = "current_setting('gateway.organisation')"
"""The organisation that hands over, as `settle` has set it for the transaction."""

_OPEN = "NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)"

_AGAINST = tuple(f"INSERT INTO intake_fate (line, code, fields, hint) {rule}" for rule in rules.against(_OURS, _OPEN))
_STORED = (
    rules.LOCK,
    # A line that stands twice shares the fate of its first one.
    "INSERT INTO intake_copies SELECT r.line, d.first_line FROM (SELECT content_hash, min(line) AS first_line"
    " FROM intake_rows GROUP BY content_hash HAVING count(*) > 1) d"
    " JOIN intake_rows r USING (content_hash) WHERE r.line <> d.first_line",
    "INSERT INTO intake_fate SELECT line, 'copy' FROM intake_copies",
    *_AGAINST,
)

_OF_THE_FILE = (
    f"UPDATE intake_fate f SET fields = {rules.DIFFER.format(nik='o.nik_index', person='o', row='o')},"
    " hint = 'line ' || o.line FROM intake_rows r, intake_rows o"
    " WHERE r.line = f.line AND o.line = f.other AND f.code <> 'nik_duplicate'",
    "UPDATE intake_fate SET fields = 'nik', hint = 'line ' || other WHERE code = 'nik_duplicate' AND other IS NOT NULL",
    "UPDATE intake_fate f SET code = coalesce(o.code, 'repeat'), fields = o.fields, hint = o.hint"
    " FROM intake_copies c LEFT JOIN intake_fate o ON o.line = c.first_line WHERE c.line = f.line AND f.code = 'copy'",
    """INSERT INTO intake_refused
    SELECT line, field, code, json_build_array(json_build_array(field, code, hint, fields))::text,
        programme, participant_id, purpose, period
    FROM (SELECT line, f.code, nullif(split_part(f.fields, ', ', 1), '') AS field, programme, participant_id, purpose,
        period, f.hint, string_to_array(coalesce(f.fields, ''), ', ') AS fields
        FROM intake_fate f JOIN intake_rows r USING (line) WHERE f.code <> 'repeat') AS conflicts""",
)
"""What other rows of the file say against a row, and the refusals that come of it all."""

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
"""
"""Rows of one batch that could contradict each other. A row that shares its instalment, its participant's identity and
its NIK with no differing row is accepted whatever becomes of the others.
"""


_COUNTS = f"""
SELECT a.accepted, a.amount_rupiah, (SELECT count(*) FROM intake_refused) AS rejected,
    (SELECT count(*) FROM intake_fate WHERE code = $1) AS repeated
FROM (SELECT count(*) AS accepted, coalesce(sum(amount_rupiah), 0)::bigint AS amount_rupiah {_LIVE}) a
"""

_ANALYZE = (
    "ANALYZE intake_rows (line, programme, purpose, period, participant_id, partner, content_hash, identity, nik_index)"
)
"""Only what rows are grouped and joined by; the sealed fields would cost most of it."""

_MOVE_PARTICIPANTS = rules.new_participants(_OURS, _LIVE, "$1")
_CORRECT_PARTICIPANTS = rules.corrected_participants(_OURS, _LIVE, "$1")
_NOTE = rules.notes("$1", _LIVE)
_MOVE_INCENTIVES = rules.new_incentives(_OURS, _LIVE, "$1", "$2")
_ALL_PARTICIPANTS = rules.new_participants(_OURS, _LIVE, "$1", overtaken="")
_ALL_INCENTIVES = rules.new_incentives(_OURS, _LIVE, "$1", "$2", overtaken="")

_TAKEN = """
INSERT INTO intake_fate (line, code) SELECT i.line, 'taken' FROM incentives i
WHERE i.batch_id = $1 AND NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = i.line)
"""

_MOVE_REFUSED = """
INSERT INTO batch_errors (batch_id, line, field, code, faults, programme, participant_id, purpose, period)
SELECT $1, line, field, code, faults, programme, participant_id, purpose, period FROM intake_refused
"""


class MergeUnsettled(Exception):
    """The same rows were stored and cancelled by others again and again: the transaction may be tried anew."""


class KeyRetired(Exception):
    """Staged rows were sealed under a key that was retired since."""


class _Met(Exception):
    """Somebody else has stored one of the participants meanwhile, and otherwise."""


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


async def settle(connection: Connection, *, client_id: str, single: bool, many: bool) -> int:
    """Decide about every row that the client hands over, in the caller's transaction; how many are to be moved in. Few
    rows (`single`) wait for no batch that is being merged, and a batch for no other row than those that it shares.
    """
    await connection.execute(
        "SELECT set_config('gateway.organisation', organisation_of($1), true),"
        # Counters of its own, so that nobody who counts one incentive waits for a merge.
        " set_config('gateway.merging', CASE WHEN $2 THEN 'off' ELSE 'on' END, true)",
        client_id,
        single,
        timeout=STATEMENT_S,
    )
    await _hold_keys(connection)
    # Compiling these statements takes seconds; running them does not.
    await connection.execute("SET LOCAL jit = off")
    await connection.execute("SET LOCAL work_mem = '64MB'")
    if not single:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=STATEMENT_S)
    if many:
        await connection.execute("SET LOCAL default_statistics_target = 10")
        await connection.execute(_ANALYZE, timeout=STATEMENT_S)
    for statement in _STORED:
        await connection.execute(statement, timeout=STATEMENT_S)
    await _settle_contested(connection)
    return await count(connection)


async def _hold_keys(connection: Connection) -> None:
    """Rows are sealed when they are read, and a large file waits for minutes until it is stored: what they lie under
    is not retired from here on, and was not before.
    """
    retired = await witness.hold(connection)
    if retired and await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM intake_rows WHERE substring(nik_sealed FROM 1 FOR {KEY_ID_BYTES}) = ANY($1))",
        retired,
        timeout=STATEMENT_S,
    ):
        raise KeyRetired


async def count(connection: Connection) -> int:
    """How many staged rows nothing speaks against."""
    return int(await connection.fetchval(f"SELECT count(*) {_LIVE}", timeout=STATEMENT_S))


async def _settle_contested(connection: Connection) -> None:
    """Go through the rows that could contradict each other in the order of their lines; first come, first served."""
    # How many groups contradict themselves cannot be estimated; taken for few, each would be looked up by walking.
    await connection.execute("SET LOCAL enable_nestloop = off")
    await connection.execute(f"CREATE TEMP TABLE intake_contested ON COMMIT DROP AS {_CONTESTED}", timeout=STATEMENT_S)
    await connection.execute("SET LOCAL enable_nestloop = on")
    most = await connection.fetchval("SELECT count(*) FROM intake_contested")
    if not most:
        return
    # By the groups' numbers: the line that took an instalment, whose NIK it is, a person's identity (0: none yet), and
    # the lines that said so.
    taken, holders, held, identities, said = (array("i", bytes(4 * (most + 1))) for _ in range(5))
    refused: list[tuple[int, str, int]] = []
    async for row in connection.cursor("SELECT * FROM intake_contested ORDER BY line", prefetch=_CHUNK):
        line, identity_no, key_no, person_no, nik_no = row
        if taken[key_no]:
            refused.append((line, RowCode.INCENTIVE_CONFLICT.value, taken[key_no]))
        elif identities[person_no] not in (0, identity_no):
            refused.append((line, RowCode.PARTICIPANT_CONFLICT.value, said[person_no]))
        elif holders[nik_no] not in (0, person_no):
            refused.append((line, RowCode.NIK_DUPLICATE.value, held[nik_no]))
        else:
            taken[key_no] = said[person_no] = held[nik_no] = line
            identities[person_no], holders[nik_no] = identity_no, person_no
    await connection.copy_records_to_table(
        "intake_fate", records=refused, columns=["line", "code", "other"], timeout=STATEMENT_S
    )


async def leaves(connection: Connection) -> AsyncIterator[list[bytes]]:
    """The accepted rows' leaves of the content root in the order of their lines, some at a time."""
    cursor = await connection.cursor(f"SELECT r.leaf {_LIVE} ORDER BY r.line")
    while rows := await cursor.fetch(_CHUNK, timeout=STATEMENT_S):
        yield [row[0] for row in rows]


async def partners(connection: Connection) -> list[PartnerTotal]:
    """What is accepted at each partner."""
    rows = await connection.fetch(
        f"SELECT partner, count(*) AS rows, sum(amount_rupiah)::bigint AS amount_rupiah {_LIVE}"
        " GROUP BY partner ORDER BY partner",
        timeout=STATEMENT_S,
    )
    return [msgspec.convert(dict(row), PartnerTotal) for row in rows]


async def unusual_amounts(connection: Connection) -> int:
    """How many accepted rows have an amount that was never approved for their programme and purpose, where others
    were.
    """
    found = await connection.fetchval(
        f"""
        WITH amounts AS MATERIALIZED (
            SELECT programme, purpose, amount_rupiah, count(*) AS n {_LIVE} GROUP BY 1, 2, 3)
        SELECT coalesce(sum(n), 0) FROM amounts a WHERE {rules.unusual("a")}
        """,
        timeout=STATEMENT_S,
    )
    return int(found)


async def over(connection: Connection, today: date) -> int:
    """How many accepted rows have a deadline that is over."""
    return int(await connection.fetchval(f"SELECT count(*) {_LIVE} AND r.deadline_on < $1", today, timeout=STATEMENT_S))


async def sharing(connection: Connection) -> int:
    """How many accepted rows have the account of another participant's accepted row."""
    found = await connection.fetchval(
        f"""
        SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n {_LIVE} GROUP BY r.account_index
            HAVING min(r.participant_id COLLATE "C") <> max(r.participant_id COLLATE "C")) AS shared
        """,
        timeout=STATEMENT_S,
    )
    return int(found)


async def move(connection: Connection, batch_id: str, live: int, now: datetime) -> None:
    """Put the `live` accepted rows where they belong. Rows that somebody else has handed over meanwhile are decided
    about again: nobody who hands over one incentive ends a merge.
    """
    await connection.execute(_CORRECT_PARTICIPANTS, now, timeout=STATEMENT_S)
    left = await _move_all(connection, batch_id, live, now)
    for _ in range(_ROUNDS):
        if not left:
            break
        await connection.execute(_MOVE_PARTICIPANTS, now, timeout=STATEMENT_S)
        done = await connection.execute(_MOVE_INCENTIVES, batch_id, now, timeout=STATEMENT_S)
        if int(done.split()[-1]) == left:
            break
        await connection.execute(_TAKEN, batch_id, timeout=STATEMENT_S)
        for statement in _AGAINST:
            await connection.execute(statement, timeout=STATEMENT_S)
        left = await count(connection)
    else:
        raise MergeUnsettled
    await connection.execute("DELETE FROM intake_fate WHERE code = 'taken'", timeout=STATEMENT_S)


async def _move_all(connection: Connection, batch_id: str, live: int, now: datetime) -> int:
    """Try it without looking beforehand whether each row is there already, which costs a third of the insertions; how
    many are left: all, where any was not free.
    """
    if not live:
        return 0
    try:
        async with connection.transaction():
            await connection.execute(_ALL_PARTICIPANTS, now, timeout=STATEMENT_S)
            done = await connection.execute(_ALL_INCENTIVES, batch_id, now, timeout=STATEMENT_S)
            if int(done.split()[-1]) != live:
                raise _Met
    except (asyncpg.UniqueViolationError, _Met):
        return live
    return 0


async def close(connection: Connection, batch_id: str) -> Merged:
    """Put the refused rows beside the batch, and say how many rows became what."""
    await refuse(connection)
    await connection.execute(_MOVE_REFUSED, batch_id, timeout=STATEMENT_S)
    await connection.execute(_NOTE, batch_id, timeout=STATEMENT_S)
    row = await connection.fetchrow(_COUNTS, rules.REPEAT, timeout=STATEMENT_S)
    return msgspec.convert(dict(row or {}), Merged)


async def enrol(connection: Connection, now: datetime) -> None:
    """Of the accepted rows move in the participants alone."""
    await connection.execute(_CORRECT_PARTICIPANTS, now, timeout=STATEMENT_S)
    await connection.execute(_MOVE_PARTICIPANTS, now, timeout=STATEMENT_S)


async def refuse(connection: Connection) -> None:
    """Work out what is said about the rows that contradict others."""
    for statement in _OF_THE_FILE:
        await connection.execute(statement, timeout=STATEMENT_S)
