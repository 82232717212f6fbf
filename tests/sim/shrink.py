"""Makes a failing seed short: leaves out faults, half of them at a time and then fewer, as long as it still fails."""

from __future__ import annotations

import re

from tests.sim.run import Result, run
from tests.sim.store import Store

MOST_RUNS = 150


async def shrink(result: Result, store: Store, *, profile: str | None = None) -> Result:
    """The same seed with as few of its faults as still break the same rule; delta debugging over the faults."""
    wanted = kind_of(result)
    best, faults, runs, parts = result, list(dict.fromkeys(result.faults)), 0, 2
    while faults and runs < MOST_RUNS:
        size = -(-len(faults) // parts)
        for start in range(0, len(faults), size):
            fewer = faults[:start] + faults[start + size :]
            runs += 1
            tried = await run(result.seed, store, profile=profile, only=frozenset(fewer))
            if not tried.ok and kind_of(tried) == wanted:
                best, faults, parts = tried, [one for one in fewer if one in set(tried.faults)], max(parts - 1, 2)
                break
            if runs >= MOST_RUNS:
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(faults))
    return best


def kind_of(result: Result) -> str:
    """Which rule was broken first, without the numbers in it."""
    return re.sub(r"[0-9]+", "#", result.violations[0]) if result.violations else ""
