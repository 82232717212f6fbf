"""`python -m tests.sim --seeds 100 --seed 1`: run seeds, say what broke, shrink it, and print how to repeat it."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time

from gateway.embedded import create_database_from_template
from tests.sim.run import run
from tests.sim.store import TEMPLATE, Store, server


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile")
    parser.add_argument("--trace", action="store_true")
    args = parser.parse_args()
    began = time.monotonic()
    bad, seconds, events = 0, [], []
    async with server() as postgres:
        store = Store(await create_database_from_template(postgres.dsn, TEMPLATE, "sim_0"))
        for seed in range(args.seed, args.seed + args.seeds):
            result = await run(seed, store, profile=args.profile, keep=args.trace)
            seconds.append(result.seconds)
            events.append(result.events)
            if args.trace:
                print("\n".join(result.trace))
            print(seed, result.profile, "ok" if result.ok else "BAD", result.events, len(result.faults), f"{result.paid}/{result.incentives}", result.days, round(result.seconds, 2), result.fingerprint[:8], result.violations[:2], flush=True)
            bad += not result.ok
        await store.close()
    print(statistics.median(seconds), statistics.median(events))
    print(f"sim: {args.seeds} cases, {bad} bad, {time.monotonic() - began:.1f} s")
    return bad > 0


sys.exit(asyncio.run(main()))
