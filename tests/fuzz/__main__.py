"""`python -m tests.fuzz`: damaged replies and notifications; exit status 1 if one of them was believed."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from gateway.embedded import EmbeddedPostgres, data_home
from gateway.storage.base.migrate import migrate
from tests.fuzz.run import LONG, SEED, SMALL, notifications, replies
from tests.fuzz.tally import SHOWN, Tally


async def _run(seed: int, cases: int, folder: Path) -> Tally:
    tally = await replies(seed, cases // 2)
    async with EmbeddedPostgres(data_home(folder / "servers") / "postgres") as postgres:
        await migrate(postgres.dsn)
        tally += await notifications(seed, cases - tally.cases, postgres.dsn)
    return tally


def main() -> int:
    """Run, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed, the same cases")
    parser.add_argument("--cases", type=int, default=SMALL)
    parser.add_argument("--long", action="store_true", help=f"{LONG} cases")
    parser.add_argument("--json", type=Path, help="write the counts here")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        tally = asyncio.run(_run(options.seed, LONG if options.long else options.cases, Path(folder)))
    seconds = time.monotonic() - began
    for line in tally.bad[:SHOWN]:
        print(f"bad: {line}")
    for name, counts in (("damage", tally.kinds), ("end", tally.ends)):
        print(f"{name}: " + ", ".join(f"{what} {n}" for what, n in sorted(counts.items())))
    if options.json is not None:
        told = {"cases": tally.cases, "bad": len(tally.bad), "seconds": round(seconds, 1), "seed": options.seed}
        told |= {"damage": dict(tally.kinds), "ends": dict(tally.ends)}
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    print(tally.line(seconds))
    return 1 if tally.bad else 0


if __name__ == "__main__":
    sys.exit(main())
