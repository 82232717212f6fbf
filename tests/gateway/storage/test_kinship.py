"""No statement of a hot path joins one participant's rows with another's, or finds them by anything but a number of
theirs, unless it is named here with the reason; and ADR 48 says of each transaction what it touches.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from tests.conftest import Builder
from tests.gateway.storage import asked, store
from tests.gateway.storage.catalog import Catalog, Gone
from tests.gateway.storage.kinship import KEYS

RECORD = Path(__file__).parents[3] / "docs/adr/0048-past-one-primary-by-installations.md"
HOT: Mapping[str, tuple[str, ...]] = {
    "a batch is merged": ("staging.*", "accepted.*"),
    "one incentive is handed over": ("singles.*",),
    "claim": ("queue.reserve", "queue.lease", "queue.take", "queue.load", "queue.give_back"),
    "intent": ("queue.begin", "queue.stopped"),
    "outcome": (
        "payouts.lock", "payouts.numbered_too", "payouts.recovering", "payouts.write", "payouts.write_incentives",
        "payouts.cancel_stopped", "observations.*", "ledger.add", "refusals.lock_stage", "refusals.add",
        "refusals.good", "refusals.accounts", "refusals.ring", "cases.open_cases", "cases.close_cases", "events.emit",
    ),
    "linking": ("links.*", "consents.*", "owners.claim", "owners.owner", "owners.free", "proofs.*",
                "participants.link_began", "participants.link_granted",
                "participants.link_ended"),
    "verification": ("verifications.*", "participants.verified", "participants.not_verified", "participants.expired"),
    "a notification": ("inbox.store", "inbox.lease", "inbox.applied", "inbox.put_off", "links.look_due",
                       "payouts.find_references"),
    "a page of a statement": ("statements.*", "lookalikes.*", "strays.keep", "payouts.find_references"),
}  # fmt: skip
"""By transaction, in the record's words: the functions of `gateway.storage` that are asked in it."""
LITTLE = {
    "fetch": [], "fetchrow": defaultdict(int), "fetchval": 1, "execute": "UPDATE 0", "executemany": None,
    "cursor": None,
}  # fmt: skip
"""By method: an answer from which most functions go on, whatever they asked."""
EVERY = tuple(name for names in HOT.values() for name in names)
UNREACHED = {
    "payouts.cancel_stopped", "payouts.lock", "singles.store", "staging._hold_keys", "staging._move_anew",
    "staging.close",
}  # fmt: skip
"""Of which a statement depends on what an earlier one found."""
DUE = "what is due of anybody, by its time: each of several nodes would look among its own"
NIK = "an instalment is paid once a NIK, whoever it is handed over for: others are found by the NIK"
ACCOUNT = "an account is one person's, whoever claims it: others are found by the account"
TOKEN = "who comes with a token, or a notice of one, says nothing else of himself"
PARTNERS = "the partner knows a payout by our reference or its own number, and a statement is of a partner"
CROWD = "refusals of a partner are weighed as a crowd"
WITHOUT_KEY: Mapping[str, str] = {
    "begin_payouts(): incentives": NIK,
    "links.answered: links": ACCOUNT,
    "links.begun_lately: links": ACCOUNT,
    "links.by_connect: links": TOKEN,
    "links.by_grant: links": TOKEN,
    "links.by_state: links": TOKEN,
    "links.held_by_us: links": ACCOUNT,
    "links.lease_health: links": DUE,
    "links.lease_refresh: links": DUE,
    "links.lease_unlinking: links": DUE,
    "links.look_due: links": TOKEN,
    "links.others_on_grant: links": TOKEN,
    "links.overdue: links": DUE,
    "links.unanswered: links": ACCOUNT,
    "links.waiting_accounts: links": ACCOUNT,
    "links.waiting_for: links": ACCOUNT,
    "participants.expired: participants": DUE,
    "payouts.find_references: payouts": PARTNERS,
    "payouts.numbered_too: payouts": PARTNERS,
    "proofs.under_other_accounts: links": TOKEN,
    "queue.lease: payouts": DUE,
    "queue.reserve: incentives": DUE,
    "refusals.add: refusals": ACCOUNT,
    "refusals.ring: refusals": CROWD,
    "singles.fates: incentives": NIK,
    "staging._move_anew: incentives": "the rows of the batch that is being merged, which is of many",
    "staging._niks_met: incentives": NIK,
    "staging._speak_against: incentives": NIK,
    "staging.meets_itself: incentives": NIK,
    "statements.beside_unlisted: payouts": PARTNERS,
    "statements.first_payout_at: payouts": PARTNERS,
    "statements.ours: payouts": PARTNERS,
    "statements.waiting: payouts": PARTNERS,
    "verifications.lease: verifications": DUE,
}
"""By who asks and for which table: why it is found by no number of a participant."""


class Ear:
    """A connection that notes what it is asked. `deaf`: it asks nobody and refuses nothing, so that what made-up
    values would break goes on.
    """

    def __init__(self, real: asyncpg.Connection[Any], *, deaf: bool) -> None:
        self.real = real
        self.asked: list[tuple[asked.Place, str]] = []
        self._deaf = deaf

    def __getattr__(self, name: str) -> Any:
        it = getattr(self.real, name)
        if name not in asked.ASKS:
            return it

        async def little() -> Any:
            return LITTLE[name]

        def note(query: str, *values: object, **options: Any) -> Any:
            self.asked.append((asked.place(), query))
            return little() if self._deaf else it(query, *values, **options)

        return note


def _is_of(name: str, wanted: tuple[str, ...]) -> bool:
    return name in wanted or f"{name.partition('.')[0]}.*" in wanted


class Walked(NamedTuple):
    """The statements of all hot functions, and what the schema makes of them."""

    asked: Mapping[str, set[str]]
    """By function, `module.function`."""
    reached: set[tuple[str, int]]
    """File and line of each call."""
    catalog: Catalog

    def of(self, *names: str) -> Iterator[Gone]:
        """What the functions of these names do."""
        for who, texts in self.asked.items():
            if _is_of(who, names):
                yield self.catalog.follow(who, texts)


async def _walk(database: str) -> Walked:
    found: dict[str, set[str]] = {}
    reached: set[tuple[str, int]] = set()
    async with asked.connected(database, {}) as connection:
        await store.fill(connection)
        for module, function in asked.functions():
            if not _is_of(f"{module.__name__.rpartition('.')[2]}.{function.__name__}", EVERY):
                continue
            for arguments, deaf in itertools.product(asked.calls(module, function), (False, True)):
                ear = Ear(connection, deaf=deaf)
                await asked.run(ear, lambda ear, f=function, a=arguments: f(ear, **a))
                for place, query in ear.asked:
                    found.setdefault(f"{Path(place.file).stem}.{place.within}", set()).add(query)
                    reached.add((place.file, place.line))
        return Walked(found, reached, await Catalog.read(connection))


@pytest.fixture(scope="module")
def walked(builder: Builder, template: str) -> Iterator[Walked]:
    for database in builder.lend(template):
        yield asyncio.run(_walk(database))


def test_no_hot_statement_crosses_participants_but_those_named(walked: Walked) -> None:
    found = {f"{who}: {one.table}" for gone in walked.of(*EVERY) for who, one in gone.without_key}
    assert found - WITHOUT_KEY.keys() == set(), "joined or found by something else than a number of the participant"
    assert WITHOUT_KEY.keys() - found == set(), "named, but not so"


def test_each_call_of_a_hot_function_is_walked(walked: Walked) -> None:
    names = {f"{module.__name__.rpartition('.')[2]}.{function.__name__}" for module, function in asked.functions()}
    assert [one for one in EVERY if not any(_is_of(name, (one,)) for name in names)] == []
    missed = {
        f"{Path(file).stem}.{within}"
        for file, sites in asked.sites().items()
        for line, end, within in sites
        if _is_of(f"{Path(file).stem}.{within}", EVERY)
        and not any((file, at) in walked.reached for at in range(line, end + 1))
    }
    assert missed == UNREACHED


def test_the_record_says_what_each_transaction_touches(walked: Walked) -> None:
    rows = dict(re.findall(r"^\| ([^|`]+) \| (.+) \|$", RECORD.read_text(), re.MULTILINE))
    for transaction, names in HOT.items():
        touched = {table for gone in walked.of(*names) for table in gone.touched}
        of_a_participant, of_everybody = rows[transaction].split(" | ")
        assert set(re.findall(r"`(\w+)`", of_a_participant)) == touched & KEYS.keys(), transaction
        assert set(re.findall(r"`(\w+)`", of_everybody)) == touched - KEYS.keys(), transaction


BY_KEY = (
    "SELECT FROM payouts p JOIN incentives i ON i.id = p.incentive WHERE p.id = $1",
    "SELECT FROM payouts WHERE id = ANY($1::bigint[])",
    "SELECT FROM payouts p WHERE (p.incentive, p.state) = ($1, $2)",
    "SELECT FROM payouts p WHERE p.id IN (SELECT payout FROM observations WHERE payout IN ($1, $2))",
    "SELECT FROM payouts p, LATERAL (SELECT * FROM incentives WHERE id = p.incentive OFFSET 0) i WHERE p.id = $1",
    "SELECT FROM payouts p WHERE p.id = $1 AND NOT EXISTS (SELECT FROM observations o WHERE o.payout = p.id)",
    "SELECT FROM participants JOIN incentives USING (participant_id) WHERE participant_id = $1",
    "WITH due AS (SELECT id AS it FROM incentives WHERE participant = $1) SELECT FROM due, payouts WHERE incentive=it",
    "UPDATE payouts p SET state = n.state FROM json_to_recordset($1) AS n (id bigint, state text) WHERE p.id = n.id",
    "INSERT INTO ledger (payout, partner) SELECT p.id, p.partner FROM payouts p WHERE p.incentive = $1",
    "SELECT FROM incentives i WHERE i.participant = $1 AND EXISTS (SELECT FROM batches b WHERE b.id = i.batch_id)",
    "SELECT FROM holds WHERE partner = $1",
)
CROSSING = {
    "SELECT FROM payouts p JOIN incentives i ON i.partner = p.partner WHERE p.id = $1": {"incentives"},
    "SELECT FROM payouts p JOIN incentives i ON i.id = p.id WHERE p.id = $1": {"incentives"},
    "SELECT FROM payouts WHERE id = $1 OR partner = $2": {"payouts"},
    "SELECT FROM payouts WHERE NOT id = ANY($1::bigint[])": {"payouts"},
    "SELECT FROM payouts WHERE id > $1": {"payouts"},
    "SELECT FROM payouts p WHERE p.id = $1 AND EXISTS (SELECT FROM observations o WHERE o.at > p.sent_at)": {
        "observations"
    },
    "WITH a AS (SELECT partner FROM incentives WHERE participant = $1) SELECT FROM a JOIN payouts USING (partner)": {
        "payouts"
    },
    "UPDATE payouts p SET state = '' FROM links l WHERE l.account_index = $1 AND p.link_id = l.id": {"payouts"},
    "UPDATE incentives SET own = NULL WHERE nik_index = $1": {"incentives"},
    "UPDATE incentives i SET own = NULL FROM batches b WHERE b.id = $1 AND i.batch_id = b.id": {"incentives"},
    "DELETE FROM observations o USING payouts p WHERE p.id = $1 AND o.at < p.ended_at": {"observations"},
    "INSERT INTO payouts (id, incentive, participant) SELECT new_id($1), id, participant FROM incentives": {"payouts"},
    "SELECT (SELECT max(amount_rupiah) FROM incentives) FROM payouts WHERE id = $1": {"incentives"},
    "SELECT FROM payouts WHERE id = $1 UNION ALL SELECT FROM payouts WHERE partner = $2": {"payouts"},
}


@pytest.mark.parametrize("text", [*BY_KEY, *CROSSING])
def test_a_statement_that_crosses_participants_is_noticed(walked: Walked, text: str) -> None:
    gone = walked.catalog.follow("planted", [text])
    assert {one.table for _, one in gone.without_key} == CROSSING.get(text, set())


async def test_what_a_trigger_or_a_function_does_counts_as_well(database: str) -> None:
    async with asked.connected(database, {}) as connection:
        await connection.execute("""
            CREATE FUNCTION looks(who bytea) RETURNS bigint LANGUAGE sql STABLE
                AS $$ SELECT count(*) FROM participants WHERE nik_index = who $$;
            CREATE FUNCTION frees() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE others bigint;
            BEGIN
                others := looks(NEW.frozen_hash);
                UPDATE incentives SET own = NULL WHERE amount_rupiah = NEW.amount_rupiah;
                RETURN NULL;
            END $$;
            CREATE TRIGGER frees AFTER UPDATE OF state ON payouts FOR EACH ROW EXECUTE FUNCTION frees();
        """)
        catalog = await Catalog.read(connection)
    gone = catalog.follow("planted", ["UPDATE payouts SET state = 'pending' WHERE id = $1"])
    assert {(who, one.table) for who, one in gone.without_key} == {
        ("frees()", "incentives"),
        ("looks()", "participants"),
    }
    assert catalog.follow("planted", ["UPDATE payouts SET looks = 1 WHERE id = $1"]).without_key == frozenset()
