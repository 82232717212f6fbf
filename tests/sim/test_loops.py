"""What the workers do by themselves is played, or a reason says why not: a loop that nobody plays finds nothing."""

from __future__ import annotations

import asyncio
import inspect
from unittest.mock import Mock

from gateway.core import build_core
from gateway.services.reconciliation.statements import Statements
from gateway.worker.outage import Outages
from gateway.worker.runner import Worker, people_loops
from tests.sim import work
from tests.sim.chance import PROFILES, Chance
from tests.sim.town import Town

PLAYED = {
    "deadlines": "deadlines", "timers": "timers", "lookups": "look-ups ", "unpayable": "unpayable ",
    "statements": "statements ", "verification": "verify ", "inbox": "inbox", "link_expiry": "link expiry",
    "link_health": "link health", "link_refresh": "grant refresh", "link_waiting": "waiting links",
    "unlinking": "unlinking", "verification_expiry": "expired verdicts", "strays": "strays", "brake": "brake",
    "second_looks": "second looks",
}  # fmt: skip
"""By loop of the worker, the chore that stands for it (dispatching is `send`)."""
_WAKES, _PURGES = "only says when to look", "takes away what is old, and nothing that can still happen"
NOT_PLAYED = {
    "stops": _WAKES,
    "due": _WAKES,
    "holds": "looked at with each send and check (`feeding.py`)",
    "approvals": "marks the rows of large batches; those here are marked at once",
    "daily": "compares whole days, with tests of its own (tests/gateway/reconciliation/test_daily.py)",
    "silence": "finds what slipped through, which the rules do after every step",
    "failing": "tells what loops fail at, in the store; here a failing tick breaks a rule at once",
    "bad_batches": "needs people of other batches; here all are of one (tests/gateway/brake/test_batches.py)",
    "batch_expiry": "drops batches that nobody approves in time; here somebody always does",
    "plan_expiry": "there are no plans",
    "corrections": "forgets a person's first word on another NIK; here nobody's NIK is corrected",
    "retention": _PURGES,
    "backlog": "counts for the forecast alone",
    "refusals_purge": _PURGES,
    "audit": "seals what was written, and decides nothing",
}


async def test_each_loop_of_the_workers_is_played_or_has_a_reason() -> None:
    town = Town(1, Chance(1, PROFILES["calm"]), Mock(), Mock())
    resources = town.processes[0].services.resources
    core, outages = build_core(resources), Outages(resources, "worker", asyncio.Event())
    worker = Worker(resources, core.payouts, Statements(resources))
    names = {loop.name.partition(":")[0] for loop in [*worker._loops, *people_loops(core, outages)]}
    assert names == PLAYED.keys() | NOT_PLAYED.keys()
    assert not PLAYED.keys() & NOT_PLAYED.keys()
    source = inspect.getsource(work)
    assert [chore for chore in PLAYED.values() if f'"{chore}' not in source] == []
