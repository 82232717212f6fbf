"""No statement reads a table that grows from end to end, whatever PostgreSQL believes of it: with statistics taken
while all tables were empty and with true ones, planned for its values or once for all, as the API's connections are and
as a worker's.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from gateway.storage.base.database import _BY_KEY
from tests.gateway.storage import asked, store

MOST = 900
"""Entries of indexes and rows of tables that one statement may look at to find twenty; the smallest table has 1,000."""
MOST_OF_ALL = 12 * store.ROWS
"""Also where it reads a table whole: each a few times, never one for each row of another."""
WHOLE = {
    "archive.exchanges": "a command's: a day of the journal, by a block range index",
    "archive.first_exchange": "a command's, once",
    "archive.first_wanted": "a command's: what waits at all endpoints, once a file",
    "archive.forget_exchanges": "a command's: a day of the journal, by a block range index",
    "batches.others_good": "the last 1,000 people of whom a partner said something good, for a batch that is suspected",
    "queue.put_right": "all that is due is read, once a claim has failed on a row that was put back",
    "stopping.stop_batches": "the index of what is not cancelled is read beside that of the batch, once",
    "story.endpoints": "what waits at all endpoints is counted",
    "webhooks.lease": "what waits at the endpoints whose time has come, 5,200 each at most, once",
    "verifications.lease": "of all partners at once: a simulator's; a worker asks for one partner's",
    "witness._open_some": "a command's, each sealed field of each row",
    "refusals.counted": "of the refusals of one held partner's stage since it is held",
    "recovery.distrust_links": "a recovery's: each link of the partner",
    "entitlements.find": "those at risk are walked to through all others",
    "erasures.erase": "one person's erasure, by two people: refusals and owners have no index by person",
    "backlog.answered": "of the last quarter of an hour's calls, by a block range index",
    "backlog.troubles": "of a day's calls, by the same index, where somebody looks at one partner",
    "recovery.held_incentives": "a recovery's: all that the partner may not be paid",
    "recovery.held_payouts": "a recovery's: all that the partner may not be paid",
    "ledger.imbalance": "the whole ledger is compared with the payouts",
    "erasures.in_the_way": "one person's erasure",
    "reapprovals.has_rows_of": "each row that a batch of reapprovals puts up, once for a decision",
    "reapprovals.lapse_given": "each row that notices made, and what is on record of its person",
    "reapprovals.lapsed": "who puts up lapsed approvals asks for all of an organisation's",
    "reapprovals.first_lapsed": "the same, of everybody's, for a measure of how long they wait",
    "holds.loads": "all that is due at a partner, while it is held",
    "batches.suspects": "the last 1,000 refusals, each looked up, every half a minute",
    "canaries.check_known_good": "the last 250 matched, each looked up, once a NIK check is held for a crowd",
    "canaries.look_at_good_links": "a partner's live links, once it refuses them in a crowd",
    "moving.moving": "up to 1,000 of each kind",
    "recovery.not_ended": "a recovery's: all of the partner's payouts, page by page",
    "recovery.not_looked_up": "a recovery's: all of the partner's payouts, page by page",
    "refusals.lift": "of a crowd, once: the index of what is not cancelled is read beside that of the people",
    "refusals.run": "the crowd that a brake held",
    "incentives.find": "a page of what is rare is walked to through all that is not shown, once each",
    "keys.sealed_under": "`gateway keys`: each sealed field of each row",
    "exposure.seen": "an auditor asks whom somebody looked at",
    "silence.silent": "what waits is walked through for what stands still, every few minutes",
}
"""By function: why it reads whole tables."""
OF_A_WORKER = frozenset({
    "due.at_partners", "holds.make_due", "incentive_timers.block_paid_before", "journal.purge", "payouts.write",
    "queue.lease", "queue.reserve", "queue.unpayable", "refusals.lift", "silence.silent", "verifications.lease",
})  # fmt: skip
"""Asked over a worker's connections alone."""
OF_THE_API = frozenset({
    "cases.find", "entitlements.incentives_of", "entitlements.places", "listing.find",
    "participants.instalment_of_another", "payouts.find",
    "staging.settle", "story.decisions", "story.evidence", "story.payouts_in",
})  # fmt: skip
"""Asked over the API's alone, and planned for the values given."""
UNREACHED = frozenset({
    "_hold_keys", "_move_anew", "_stored_before", "add", "adopt", "beat", "candidates", "compare", "find", "grant",
    "hasten", "keep", "lock", "mark_next", "migrate", "others", "prove", "put", "release", "resume", "settle", "store",
})  # fmt: skip
"""Functions of which a statement depends on what an earlier one found."""
KINDS = {"api": {}, "api, one plan for all": {"plan_cache_mode": "force_generic_plan"}, "worker": _BY_KEY}


class Ear:
    """A connection that notes for each statement how much was read for it."""

    def __init__(self, real: asyncpg.Connection[Any], oids: list[int]) -> None:
        self.real, self._oids = real, oids
        self.read: list[tuple[str, int, str, int]] = []
        """File and line of the call, the statement, and how much it read."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def _asked(self, method: str, query: str, *values: object, **options: Any) -> Any:
        place = asked.place()[:2]
        before = await self._so_far()
        try:
            found = await getattr(self.real, method)(query, *values, **options)
        except asyncpg.PostgresError:  # made-up values may break a rule of the schema
            self.read.append((*place, query, 0))
            raise
        self.read.append((*place, query, await self._so_far() - before))
        return found

    async def _so_far(self) -> int:
        return int(
            await self.real.fetchval(
                "SELECT sum(pg_stat_get_xact_tuples_returned(o)) FROM unnest($1::oid[]) AS o", self._oids
            )
        )

    async def fetch(self, *asked: Any, **options: Any) -> Any:
        return await self._asked("fetch", *asked, **options)

    async def fetchrow(self, *asked: Any, **options: Any) -> Any:
        return await self._asked("fetchrow", *asked, **options)

    async def fetchval(self, *asked: Any, **options: Any) -> Any:
        return await self._asked("fetchval", *asked, **options)

    async def execute(self, *asked: Any, **options: Any) -> Any:
        return await self._asked("execute", *asked, **options)

    async def executemany(self, *asked: Any, **options: Any) -> Any:
        return await self._asked("executemany", *asked, **options)

    def cursor(self, query: str, *values: object, **options: Any) -> Any:
        self.read.append((*asked.place()[:2], query, 0))
        return self.real.cursor(query, *values, **options)


async def test_nothing_is_read_from_end_to_end_whatever_is_believed_of_it(database: str, long: bool) -> None:
    reached: set[tuple[str, int]] = set()
    found: dict[tuple[str, str, str], int] = {}
    async with asked.connected(database, {}) as first:
        await store.fill(first)
        oids = [row[0] for row in await first.fetch(
            "SELECT oid FROM pg_class WHERE oid = ANY($1::regclass[]) UNION ALL SELECT indexrelid FROM pg_index"
            " WHERE indrelid = ANY($1::regclass[])", list(store.GROWING),
        )]  # fmt: skip
    for statistics in ("empty", "true"):
        for kind, settings in KINDS.items():
            if (statistics == "true" or kind.endswith("for all")) and not long:
                continue  # with --long alone: those that went wrong went wrong with statistics of empty tables
            async with asked.connected(database, settings) as connection:
                if statistics == "true" and kind == "api":
                    await connection.execute("ANALYZE")
                for module, function in asked.functions():
                    for arguments in asked.calls(module, function):
                        ear = await asked.run(Ear(connection, oids), lambda ear, f=function, a=arguments: f(ear, **a))
                        for path, line, query, read in ear.read:
                            reached.add((path, line))
                            at = f"{module.__name__.rpartition('.')[2]}.{function.__name__}"
                            key = (at, kind, f"{statistics} statistics: {' '.join(query.split())[:120]}")
                            found[key] = max(read, found.get(key, 0))
    bad = {key: read for key, read in found.items() if read > _most(key[0], key[1])}
    assert not bad, "\n".join(f"{read:,} read: {' / '.join(key)}" for key, read in bad.items())
    calls = [(path, line, end, within) for path, sites in asked.sites().items() for line, end, within in sites]
    missed = {
        (path, line, within)
        for path, line, end, within in calls
        if not any((path, at) in reached for at in range(line, end + 1))
    }
    assert len(missed) < len(calls) / 10, "give asked.py what makes these ask, or say why not"
    if long:
        assert {within for _, _, within in missed} - UNREACHED == set()


def _most(function: str, kind: str) -> float:
    if function in OF_A_WORKER and kind != "worker" or function in OF_THE_API and kind != "api":
        return float("inf")
    return MOST_OF_ALL if function in WHOLE else MOST


def test_each_exception_is_of_a_function_that_there_is() -> None:
    names = {f"{module.__name__.rpartition('.')[2]}.{function.__name__}" for module, function in asked.functions()}
    assert set(WHOLE) | OF_A_WORKER | OF_THE_API <= names


async def test_a_plan_that_reads_for_each_row_is_noticed(database: str) -> None:
    """The look-up of an incentive's last payout as it was, and as it is."""
    query = "SELECT p.id FROM incentives i, LATERAL (SELECT id FROM {} ORDER BY id DESC LIMIT 1) p"
    async with asked.connected(database, {}) as connection:
        await store.fill(connection)
        oids = [row[0] for row in await connection.fetch("SELECT 'payouts'::regclass::oid UNION ALL"
                " SELECT indexrelid FROM pg_index WHERE indrelid = 'payouts'::regclass")]  # fmt: skip
        for looked_up, noticed in (
            ("payouts WHERE incentive = i.id", True),
            ("(SELECT * FROM payouts WHERE incentive = i.id OFFSET 0) its", False),
        ):
            ear = await asked.run(Ear(connection, oids), lambda ear, text=looked_up: ear.fetch(query.format(text)))
            assert (ear.read[0][3] > MOST_OF_ALL) is noticed, looked_up
