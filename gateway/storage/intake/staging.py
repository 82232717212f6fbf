"""Where a batch waits while it is being received: temporary tables of one connection, which nobody else sees and which
go with it.

It is then decided about every row (`rules`), and what is accepted is moved into the real tables; the caller wraps that
in one transaction.
"""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from array import array
from datetime import datetime

import asyncpg
import msgspec

from contracts.batch import RowCode
from gateway.security.vault import KEY_ID_BYTES
from gateway.storage.base import witness
from gateway.storage.base.database import Connection
from gateway.storage.base.walking import walk
from gateway.storage.intake import copying, rules

STATEMENT_S = 900.0
"""Bound on one statement over a whole batch."""
_LOCK = 0x70_72_61_6C
"""Large merges go one after another: each keeps a core busy."""
_ROUNDS = 20
"""Each decides about every row that was stored before it began, so that more than two are hardly ever needed."""

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
CREATE TEMP TABLE IF NOT EXISTS intake_accounts (account_index bytea NOT NULL, participant_id text NOT NULL);
"""
_EMPTY = "TRUNCATE intake_rows, intake_refused, intake_fate, intake_copies, intake_accounts"

LIVE = "FROM intake_rows r WHERE NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)"
"""Rows that nothing speaks against so far."""

_OURS = "current_setting('gateway.organisation')"
"""The organisation that hands over, as `settle` has set it for the transaction."""

_OPEN = "NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)"

_AGAINST = rules.against(_OURS, _OPEN)
_COPIES = (
    # A line that stands twice shares the fate of its first one.
    "INSERT INTO intake_copies SELECT r.line, d.first_line FROM (SELECT content_hash, min(line) AS first_line"
    " FROM intake_rows GROUP BY content_hash HAVING count(*) > 1) d"
    " JOIN intake_rows r USING (content_hash) WHERE r.line <> d.first_line;"
    "INSERT INTO intake_fate SELECT line, 'copy' FROM intake_copies"
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

_SHARED = (
    "SELECT EXISTS (SELECT FROM intake_rows GROUP BY GROUPING SETS ((participant_id), (nik_index)) HAVING count(*) > 1)"
)
"""Whether any two rows have a participant or a NIK in common; if not, no row can repeat or contradict another."""
_CONTESTED = f"""
WITH live AS MATERIALIZED (SELECT line, programme, purpose, period, participant_id, identity, nik_index {LIVE}),
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

_BY_LINE = "SELECT * FROM intake_contested ORDER BY line"
_COUNT = "SELECT (SELECT count(*) FROM intake_rows) - (SELECT count(*) FROM intake_fate)"
"""Of `LIVE`: a line has one fate at most, and only one that is staged has any."""
_COUNTS = """
SELECT (SELECT count(*) FROM intake_refused) AS rejected, (SELECT count(*) FROM intake_fate WHERE code = $1) AS repeated
"""

_ANALYZE = (
    "ANALYZE intake_rows (line, programme, purpose, period, participant_id, partner, content_hash, identity, nik_index)"
)
"""Only what rows are grouped and joined by; the sealed fields would cost most of it."""

_MOVE_PARTICIPANTS = rules.new_participants(_OURS, LIVE, "$1")
_HOLD_CORRECTED = rules.hold_corrected(_OURS, LIVE)
_CORRECT_PARTICIPANTS = rules.corrected_participants(_OURS, LIVE, "$1")
_NOTE = rules.notes("$1", LIVE)
_MOVE_INCENTIVES = rules.new_incentives(_OURS, LIVE, "$1", "$2")
_ALL_NEW = rules.all_new(_OURS, LIVE, "$1", "$2")
_ALL_PARTICIPANTS = rules.new_participants(_OURS, LIVE, "$1", overtaken="")
_ALL_INCENTIVES = rules.new_incentives(_OURS, LIVE, "$1", "$2", overtaken="")

_TAKEN = """
INSERT INTO intake_fate (line, code) SELECT i.line, 'taken' FROM incentives i
WHERE i.batch_id = $1 AND NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = i.line)
"""

_MOVE_REFUSED = """
INSERT INTO batch_errors (batch_id, line, field, code, faults, programme, participant_id, purpose, period)
SELECT $1, line, field, code, faults, programme, participant_id, purpose, period FROM intake_refused
"""

_MEETS_ITSELF = f"""
SELECT EXISTS (SELECT FROM intake_fate f JOIN intake_rows r USING (line) WHERE f.other IS NULL AND CASE f.code
    WHEN 'copy' THEN false
    WHEN 'repeat' THEN EXISTS (SELECT FROM ({rules.STANDING}) i WHERE i.batch_id = $1 AND {rules.SAME}
        AND i.content_hash <> r.content_hash)
    ELSE EXISTS (SELECT FROM ({rules.STANDING}) i WHERE i.batch_id = $1)
        OR EXISTS (SELECT FROM ({rules.of_nik("NOT i.cancelled")}) i WHERE i.batch_id = $1 AND {rules.SAME})
    END)
"""

_NEXT = f"""INSERT INTO intake_accounts SELECT r.account_index, r.participant_id {LIVE};
TRUNCATE intake_rows, intake_refused, intake_fate, intake_copies"""


class MergeUnsettled(Exception):
    """The same rows were stored and cancelled by others again and again: the transaction may be tried anew."""


class KeyRetired(Exception):
    """Staged rows were sealed under a key that was retired since."""


class _Met(Exception):
    """Somebody else has stored one of the participants meanwhile, and otherwise."""


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about the staged rows."""

    live: int
    """Rows that nothing speaks against."""
    known: bool
    """Whether any participant of theirs was stored before."""
    shared: bool
    """Whether any two rows have a participant or a NIK in common."""


async def prepare(connection: Connection) -> None:
    """Make the tables, empty."""
    await connection.execute(_TABLES + _EMPTY)


async def clear(connection: Connection) -> None:
    """Give the space back."""
    await connection.execute(_EMPTY)


async def next_piece(connection: Connection) -> None:
    """Make room for the next rows of the batch whose staged rows were moved in."""
    await connection.execute(_NEXT, timeout=STATEMENT_S)


async def add(connection: Connection, rows: bytes, refused: bytes = b"") -> None:
    """Copy checked rows in, and refused ones: what `row_bytes` and `refused_bytes` make of them, joined."""
    for table, lines in (("intake_rows", rows), ("intake_refused", refused)):
        if lines:
            await connection.copy_to_table(table, source=copying.framed(lines), format="binary", timeout=STATEMENT_S)


async def take_turn(connection: Connection) -> bool:
    """Whether no other large merge is under way; none begins until this transaction ends."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK))


async def settle(connection: Connection, *, client_id: str, merging: bool, analyse: bool) -> Decided:
    """Decide about every row that the client hands over, in the caller's transaction.

    `merging`: one large merge after the other; else it waits for none that it shares no row with, and for another's
    lock only so long as no merge is broken off for it (`asyncpg.LockNotAvailableError`). `analyse`: look at how the
    rows are distributed, which pays from some thousand on.
    """
    await connection.execute(
        "SELECT set_config('gateway.organisation', organisation_of($1), true),"
        # Counters of its own, so that nobody who counts one incentive waits for a merge.
        " set_config('gateway.merging', CASE WHEN $2 THEN 'on' ELSE 'off' END, true),"
        " set_config('lock_timeout', CASE WHEN $2 THEN '0' ELSE '500ms' END, true),"
        # Compiling these statements takes seconds, a bitmap half of the look-up of a key that has one entry or none.
        " set_config('jit', 'off', true), set_config('enable_bitmapscan', 'off', true),"
        " set_config('work_mem', '64MB', true)",
        client_id,
        merging,
        timeout=STATEMENT_S,
    )
    await _hold_keys(connection)
    if merging:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=STATEMENT_S)
    if analyse:
        await connection.execute(f"SET LOCAL default_statistics_target = 10; {_ANALYZE}", timeout=STATEMENT_S)
    known = await connection.fetchval(rules.LOCK, timeout=STATEMENT_S) > 0
    shared = bool(await connection.fetchval(_SHARED, timeout=STATEMENT_S))
    if shared:
        await connection.execute(_COPIES, timeout=STATEMENT_S)
    await _speak_against(connection, known=known, niks=known or await _niks_met(connection))
    if shared:
        await _settle_contested(connection)
    return Decided(live=await count(connection), known=known, shared=shared)


async def meets_itself(connection: Connection, batch_id: str) -> bool:
    """Whether a settled row met rows of its own batch that were moved in before, and not as an exact repeat."""
    return bool(await connection.fetchval(_MEETS_ITSELF, batch_id, timeout=STATEMENT_S))


async def _niks_met(connection: Connection) -> bool:
    # In a table not looked at lately each NIK is taken to have many incentives, and all would be read.
    await connection.execute("SET LOCAL enable_seqscan = off")
    met = bool(await connection.fetchval(rules.NIKS_MET, timeout=STATEMENT_S))
    await connection.execute("SET LOCAL enable_seqscan = on")
    return met


async def _speak_against(connection: Connection, *, known: bool = True, niks: bool = True) -> None:
    """`known`: any of the participants is stored already; `niks`: an incentive under any of the NIKs."""
    asked = ";\n".join(
        f"INSERT INTO intake_fate (line, code, fields, hint) {rule.selection}"
        for rule in _AGAINST
        if (known or not rule.of_known) and (niks or not rule.of_niks)
    )
    await connection.execute(asked, timeout=STATEMENT_S)


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
    return int(await connection.fetchval(_COUNT, timeout=STATEMENT_S))


async def _settle_contested(connection: Connection) -> None:
    """Go through the rows that could contradict each other in the order of their lines; first come, first served."""
    # How many groups contradict themselves cannot be estimated; taken for few, each would be looked up by walking.
    await connection.execute(
        f"SET LOCAL enable_nestloop = off; CREATE TEMP TABLE intake_contested ON COMMIT DROP AS {_CONTESTED};"
        " SET LOCAL enable_nestloop = on",
        timeout=STATEMENT_S,
    )
    most = await connection.fetchval("SELECT count(*) FROM intake_contested")
    if most:
        await _refuse_contested(connection, most)
    await connection.execute("DROP TABLE intake_contested")


async def _refuse_contested(connection: Connection, most: int) -> None:
    # By the groups' numbers: the line that took an instalment, whose NIK it is, a person's identity (0: none yet), and
    # the lines that said so.
    taken, holders, held, identities, said = (array("i", bytes(4 * (most + 1))) for _ in range(5))
    refused: list[tuple[int, str, int]] = []
    async for rows in walk(connection, "contested", _BY_LINE, timeout_s=STATEMENT_S):
        for line, identity_no, key_no, person_no, nik_no in rows:
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


async def move(connection: Connection, batch_id: str, settled: Decided, now: datetime, *, alone: bool) -> bool:
    """Put the accepted rows where they belong; whether each of them brought its own, new participant. Rows that
    somebody else has handed over meanwhile are decided about again: nobody who hands over one incentive ends a merge.
    Not `alone` in the batch: raises `MergeUnsettled` instead, as what is decided again could meet rows of earlier
    pieces.
    """
    if settled.known:
        await _correct(connection, now)
    made = await _move_all(connection, batch_id, settled, now)
    if made is None:
        if not alone:
            raise MergeUnsettled
        await _move_anew(connection, batch_id, settled.live, now)
    return made == settled.live


async def _correct(connection: Connection, now: datetime) -> None:
    if await connection.fetchval(_HOLD_CORRECTED, timeout=STATEMENT_S):
        await connection.execute(_CORRECT_PARTICIPANTS, now, timeout=STATEMENT_S)


async def _move_all(connection: Connection, batch_id: str, settled: Decided, now: datetime) -> int | None:
    """Try it without looking beforehand whether each row is there already, which costs a third of the insertions; how
    many participants are new. None: not every row was free, and nothing is done.
    """
    if not settled.live:
        return 0
    try:
        async with connection.transaction():
            if settled.known or settled.shared:
                made = await connection.execute(_ALL_PARTICIPANTS, now, timeout=STATEMENT_S)
                done = await connection.execute(_ALL_INCENTIVES, batch_id, now, timeout=STATEMENT_S)
            else:
                made = done = await connection.execute(_ALL_NEW, batch_id, now, timeout=STATEMENT_S)
            if int(done.split()[-1]) != settled.live:
                raise _Met
    except (asyncpg.UniqueViolationError, _Met):
        return None
    return int(made.split()[-1])


async def _move_anew(connection: Connection, batch_id: str, left: int, now: datetime) -> None:
    for _ in range(_ROUNDS):
        await connection.execute(_MOVE_PARTICIPANTS, now, timeout=STATEMENT_S)
        done = await connection.execute(_MOVE_INCENTIVES, batch_id, now, timeout=STATEMENT_S)
        if int(done.split()[-1]) == left:
            break
        await connection.execute(_TAKEN, batch_id, timeout=STATEMENT_S)
        await _speak_against(connection)
        left = await count(connection)
        if not left:
            break
    else:
        raise MergeUnsettled
    await connection.execute("DELETE FROM intake_fate WHERE code = 'taken'", timeout=STATEMENT_S)


async def close(connection: Connection, batch_id: str, *, fresh: bool) -> tuple[int, int]:
    """Put refused and repeated rows beside the batch; how many of each. `fresh`: no row brought a known participant."""
    await refuse(connection)
    await connection.execute(_MOVE_REFUSED, batch_id, timeout=STATEMENT_S)
    if not fresh:
        await connection.execute(_NOTE, batch_id, timeout=STATEMENT_S)
    row = await connection.fetchrow(_COUNTS, rules.REPEAT, timeout=STATEMENT_S)
    if row and row["repeated"]:
        await connection.execute(rules.REPEATED, batch_id, timeout=STATEMENT_S)
    return (row["rejected"], row["repeated"]) if row else (0, 0)


async def enrol(connection: Connection, now: datetime) -> None:
    """Of the accepted rows move in the participants alone."""
    await _correct(connection, now)
    await connection.execute(_MOVE_PARTICIPANTS, now, timeout=STATEMENT_S)


async def refuse(connection: Connection) -> None:
    """Work out what is said about the rows that contradict others."""
    await connection.execute(";\n".join(_OF_THE_FILE), timeout=STATEMENT_S)
