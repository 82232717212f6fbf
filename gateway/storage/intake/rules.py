"""What speaks against a row that is handed over, and where an accepted one goes: one set of rules and moves, for the
rows of a batch in its temporary tables (`staging`) and for single rows of many clients in one statement (`singles`).

Both call the rows `intake_rows r`. A row may meet, in this order: another organisation's participant, the same
instalment handed over before (a repeat or a conflict), one that was paid though cancelled, another NIK, partner or
account than the participant's, another participant with the same NIK in the same instalment, one that was paid to
somebody who was erased since.
"""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from typing import NamedTuple

REPEAT = "repeat"

DIFFER = """concat_ws(', ', CASE WHEN {nik} <> r.nik_index THEN 'nik' END,
    CASE WHEN NOT same_name({person}.name_index, r.name_index) THEN 'full_name' END,
    CASE WHEN {person}.phone_index <> r.phone_index THEN 'phone' END,
    CASE WHEN {row}.partner <> r.partner THEN 'partner' END,
    CASE WHEN {person}.account_index <> r.account_index THEN 'account' END,
    CASE WHEN {row}.amount_rupiah <> r.amount_rupiah THEN 'amount_rupiah' END,
    CASE WHEN {row}.due_on <> r.due_on THEN 'due_on' END,
    CASE WHEN {row}.deadline_on <> r.deadline_on THEN 'deadline_on' END)"""
"""Names of the fields in which a row differs from another one of its instalment, in the order of the columns."""

_ERASED = "p.account_sealed = ''"
"""Everything about the participant was erased, for good: what came under the id anew nobody could erase again."""
BOUND = f"""({_ERASED} OR EXISTS (SELECT FROM incentives b WHERE b.participant = p.id
        AND (NOT b.cancelled OR b.payout IS NOT NULL OR b.payouts > 0) OFFSET 0)
    OR EXISTS (SELECT FROM entitlements e WHERE e.participant = p.id AND e.state <> 'cancelled' OFFSET 0)
    OR EXISTS (SELECT FROM links l WHERE l.participant = p.id AND l.state NOT IN ('failed', 'revoked', 'unlinked')
        OFFSET 0))"""
"""Whether anything that stands is of the participant as known: a hand-over that was rejected, expired or cancelled
binds nobody. OFFSET 0 here and below: each stays a look-up, where the planner might read the whole table once instead.
"""

LOCK = (
    "WITH locked AS MATERIALIZED (SELECT id FROM participants WHERE id = ANY (ARRAY(SELECT p.id FROM intake_rows r"
    " CROSS JOIN LATERAL (SELECT id FROM participants p WHERE p.participant_id = r.participant_id OFFSET 0) p))"
    " ORDER BY id FOR SHARE) SELECT count(*) FROM locked"
)
"""Keeps the participants' identity and facts as they are until the rows are in: a fact that changes meanwhile waits,
and is then copied to the new incentives as to all others.
"""

FREE = f"(NOT {_ERASED} AND participant_is_free(p.id))"
"""Whether whoever hands the participant over next may have them: of another organisation there is nothing but
hand-overs that came to nothing.
"""

AS_KNOWN = (
    "((p.nik_index, p.partner, p.account_index, p.phone_index)"
    " IS NOT DISTINCT FROM (r.nik_index, r.partner, r.account_index, r.phone_index)"
    " AND same_name(p.name_index, r.name_index) IS TRUE)"
)


def _looked_up(condition: str) -> str:
    """Joins the participant `p`, found by a key for each row: as a join all who are stored would be read for each piece
    of a batch.
    """
    return f"JOIN LATERAL (SELECT * FROM participants p WHERE {condition} OFFSET 0) p"


_PERSON = _looked_up("p.participant_id = r.participant_id")

STANDING = "SELECT * FROM incentives i WHERE i.participant_id = r.participant_id AND NOT i.cancelled OFFSET 0"
"""Of the row's participant. Found by that alone: an instalment, which is in the index of the NIKs as well, would be
looked for by reading that whole index where it was empty when the plan was made, and go on so as it grows.
"""

SAME = "(i.programme, i.purpose, i.period) = (r.programme, r.purpose, r.period)"
_OF_PARTICIPANT = f"JOIN LATERAL ({STANDING}) i ON {SAME}"

REPEATED = (
    "INSERT INTO batch_repeats (batch_id, line, incentive) SELECT $1, r.line, i.id"
    f" FROM intake_fate f JOIN intake_rows r USING (line) {_OF_PARTICIPANT} WHERE f.code = '{REPEAT}'"
)
"""Notes which incentive each repeated row of the batch ($1) stands for."""


_STOPPED_NIKS = (
    "SELECT t.nik_index FROM stopped_people s"
    " CROSS JOIN LATERAL (SELECT nik_index FROM participants WHERE id = s.participant OFFSET 0) t"
)


def of_stopped(row: str) -> str:
    """Whether payments to the row's person were stopped, under its id or another one of the same NIK, and nothing
    approved since. Each list is made once for all rows.
    """
    return (
        f"({row}.participant_id IN (SELECT participant_id FROM stopped_people) OR {row}.nik_index IN ({_STOPPED_NIKS}))"
    )


def of_nik(which: str) -> str:
    """Selects those of the row's NIK, found by that alone."""
    return f"SELECT * FROM incentives i WHERE i.nik_index = r.nik_index AND {which} OFFSET 0"


_IS_PAID_THOUGH_CANCELLED = "i.cancelled AND i.payout = 'succeeded'"
_PAID_THOUGH_CANCELLED = of_nik(_IS_PAID_THOUGH_CANCELLED)
_COUNTED = (
    "(SELECT count(*) FROM incentives i WHERE i.nik_index = ANY (ARRAY(SELECT nik_index FROM intake_rows)) AND {})"
)
NIKS_MET = f"SELECT {_COUNTED.format('NOT i.cancelled')} + {_COUNTED.format(_IS_PAID_THOUGH_CANCELLED)} > 0"
"""Whether any of the rows' NIKs has an incentive that could speak against a row: all looked up at once, in the order of
the index, which costs a third of looking for each row's.
"""


class Against(NamedTuple):
    """One rule: a selection of (line, code, fields, hint)."""

    selection: str
    of_known: bool = False
    """It only speaks of participants that are stored already."""
    of_niks: bool = False
    """It only speaks of NIKs that incentives are stored under (`NIKS_MET`)."""


def against(ours: str, still_open: str) -> tuple[Against, ...]:
    """What is stored already against the rows; the first rule that has a row decides about it. `ours`: the organisation
    that hands it over; `still_open`: which rows to look at.
    """
    return (
        # Whoever hands over for another organisation learns that the id is taken, and nothing else.
        Against(
            "SELECT r.line, 'participant_taken' AS code, 'participant_id' AS fields, NULL AS hint"
            " FROM intake_rows r"
            f" {_PERSON} ON p.organisation <> {ours} AND NOT {FREE} WHERE {still_open}",
            of_known=True,
        ),
        # The same row as handed over, or as what was handed over was corrected to.
        Against(
            "SELECT line, CASE WHEN same OR fields = '' THEN 'repeat' WHEN payout IS NULL THEN 'incentive_conflict'"
            " ELSE 'instalment_paid' END, fields, 'incentive ' || id FROM ("
            " SELECT r.line, i.id, i.payout, i.content_hash = r.content_hash AS same,"
            f" {DIFFER.format(nik='i.nik_index', person='p', row='i')} AS fields"
            f" FROM intake_rows r {_OF_PARTICIPANT} {_looked_up('p.id = i.participant')} ON true"
            f" WHERE {still_open}) AS met",
            of_known=True,
        ),
        # Cancelled after a refusal that the partner took back: paid all the same.
        Against(
            "SELECT r.line, 'instalment_paid', NULL,"
            f" 'incentive ' || min(i.id) FILTER (WHERE i.organisation = {ours})"
            f" FROM intake_rows r JOIN LATERAL ({_PAID_THOUGH_CANCELLED}) i ON {SAME}"
            f" WHERE {still_open} GROUP BY r.line",
            of_niks=True,
        ),
        Against(
            "SELECT r.line, 'participant_conflict',"
            " concat_ws(', ', CASE WHEN p.nik_index <> r.nik_index THEN 'nik' END,"
            " CASE WHEN p.partner <> r.partner THEN 'partner' END,"
            " CASE WHEN p.account_index <> r.account_index THEN 'account' END), NULL"
            f" FROM intake_rows r {_PERSON}"
            " ON (p.nik_index, p.partner, p.account_index) <> (r.nik_index, r.partner, r.account_index)"
            f" WHERE {still_open} AND {BOUND}",
            of_known=True,
        ),
        Against(
            "SELECT r.line, 'nik_duplicate', 'nik',"
            f" min('participant ' || i.participant_id || ', incentive ' || i.id) FILTER (WHERE i.organisation = {ours})"
            f" FROM intake_rows r JOIN LATERAL ({of_nik('NOT i.cancelled')}) i ON {SAME}"
            f" WHERE i.participant_id <> r.participant_id AND {still_open} GROUP BY r.line",
            of_niks=True,
        ),
        # Paid to somebody who was erased since, under whatever id. Last: who is erased between two of these looks was
        # there when the NIK was looked for, or has left the mark by now.
        Against(
            "SELECT r.line, 'instalment_paid', NULL, NULL FROM intake_rows r JOIN erased_and_paid e"
            f" ON e.mark = instalment_mark(r.nik_index, r.programme, r.purpose, r.period) WHERE {still_open}"
        ),
    )


_PARTICIPANT = """participant_id, nik_sealed, nik_index, name_sealed, name_index, phone_sealed, phone_index, partner,
    account_sealed, account_index"""


def new_participants(ours: str, live: str, now: str, overtaken: str = "ON CONFLICT (participant_id) DO NOTHING") -> str:
    """Inserts who is not known yet; `live`: a FROM clause with the accepted rows `r`, `now`: a parameter, `overtaken`:
    what to do about somebody who was stored meanwhile.
    """
    return f"""
INSERT INTO participants ({_PARTICIPANT}, facts_at, created_at, organisation)
SELECT {_PARTICIPANT}, {now}, {now}, {ours}
FROM intake_rows r JOIN (
    SELECT min(r.line) AS line {live}
    AND NOT EXISTS (SELECT FROM participants p WHERE p.participant_id = r.participant_id OFFSET 0)
    GROUP BY r.participant_id
) AS new_ones USING (line) ORDER BY r.line {overtaken}
"""


def hold_corrected(ours: str, live: str) -> str:
    """Holds whom the rows say anything new of, hardly ever anybody, before `corrected_participants`: what somebody else
    hands over of them meanwhile binds them. Selects how many they are.
    """
    return f"""
WITH held AS MATERIALIZED (SELECT id FROM participants WHERE id = ANY (ARRAY(SELECT p.id FROM (SELECT r.* {live}) r
    {_PERSON} ON p.organisation <> {ours} OR NOT {AS_KNOWN})) ORDER BY id FOR NO KEY UPDATE)
SELECT count(*) FROM held
"""


def corrected_participants(ours: str, live: str, now: str) -> str:
    """Takes over what the rows say of participants whom nothing binds, or who are another organisation's no more."""
    return f"""
UPDATE participants p SET nik_sealed = r.nik_sealed, nik_index = r.nik_index, name_sealed = r.name_sealed,
    name_index = r.name_index, phone_sealed = r.phone_sealed, phone_index = r.phone_index, partner = r.partner,
    account_sealed = r.account_sealed, account_index = r.account_index, link_id = NULL, link_active = false,
    verified = false, verified_until = NULL, standing = NULL, facts_at = {now}, corrected_at = {now},
    organisation = {ours}
FROM intake_rows r JOIN (SELECT min(r.line) AS line {live} GROUP BY r.participant_id) AS firsts USING (line)
WHERE p.participant_id = r.participant_id AND CASE WHEN p.organisation = {ours} THEN NOT {AS_KNOWN} AND NOT {BOUND}
    ELSE {FREE} END
"""


def notes(batch: str, live: str, line: str = "r.line") -> str:
    """Notes what of accepted rows was not taken, as the participant is known with another name or phone."""
    return f"""
INSERT INTO batch_notes SELECT batch_id, line, fields FROM (
    SELECT {batch} AS batch_id, {line} AS line, concat_ws(', ',
        CASE WHEN NOT same_name(p.name_index, r.name_index) THEN 'full_name' END,
        CASE WHEN p.phone_index <> r.phone_index THEN 'phone' END) AS fields
    FROM (SELECT r.* {live}) r {_PERSON} ON true) AS newer WHERE fields <> ''
"""


_INCENTIVE = """batch_id, line, programme, purpose, period, participant, participant_id, nik_index, partner,
    amount_rupiah, due_on, deadline_on, content_hash, digest, link_active, verified, standing, facts_at, created_at,
    organisation"""


def _incentive(batch: str, now: str, line: str) -> str:
    """An accepted row `r` of the participant `p`, in the order of `_INCENTIVE`."""
    return f"""{batch}, {line}, r.programme, r.purpose, r.period, p.id, r.participant_id, r.nik_index, r.partner,
    r.amount_rupiah, r.due_on, r.deadline_on, r.content_hash, r.digest, p.link_active, p.verified, p.standing, {now},
    {now}, p.organisation"""


def new_incentives(
    ours: str, live: str, batch: str, now: str, line: str = "r.line", overtaken: str = "ON CONFLICT DO NOTHING"
) -> str:
    """Inserts the accepted rows. What somebody else has stored since they were decided about is left out, or as
    `overtaken` says.
    """
    return f"""
INSERT INTO incentives ({_INCENTIVE})
SELECT {_incentive(batch, now, line)}
FROM (SELECT r.* {live}) r {_PERSON}
    ON (p.nik_index, p.partner, p.account_index) = (r.nik_index, r.partner, r.account_index) AND p.organisation = {ours}
ORDER BY r.line {overtaken}
"""


def all_new(ours: str, live: str, batch: str, now: str, line: str = "r.line") -> str:
    """Inserts the accepted rows where each brings a participant of its own who is not known yet, and that participant:
    nobody who is stored is looked at.
    """
    return f"""
WITH p AS (
    INSERT INTO participants ({_PARTICIPANT}, facts_at, created_at, organisation)
    SELECT {_PARTICIPANT}, {now}, {now}, {ours} {live} ORDER BY r.line
    RETURNING id, participant_id, link_active, verified, standing, organisation)
INSERT INTO incentives ({_INCENTIVE})
SELECT {_incentive(batch, now, line)} FROM p JOIN intake_rows r USING (participant_id) ORDER BY r.line
"""


def unusual(row: str) -> str:
    """Whether a row's amount was never approved for its programme and purpose, where others were."""
    return f"""EXISTS (SELECT FROM usual_amounts u WHERE (u.programme, u.purpose) = ({row}.programme, {row}.purpose)
          OFFSET 0)
      AND NOT EXISTS (SELECT FROM usual_amounts u
          WHERE (u.programme, u.purpose, u.amount_rupiah) = ({row}.programme, {row}.purpose, {row}.amount_rupiah)
          OFFSET 0)"""
