"""People at all partners who can all be paid, with many instalments each, as the demonstration's files."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import msgspec

from adapters.registry import PARTNERS
from contracts.batch import COLUMNS
from gateway.demo.cohort import Cohort, read_cohort

MANIFESTS = {slug: PARTNERS[slug].manifest for slug in sorted(PARTNERS)}
TROUBLED = ("pay:lost_answer", "pay:timeout_no_credit", "pay:false_not_found", "pay:pending_then_success")
"""What the accounts of every fifth person do to their first payout."""
FIRST = "0"
"""The instalment that is handed over first, for people to link their accounts."""
_AMOUNT_RUPIAH = 10_000


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """The cohort, and the two files that are handed over one after the other."""

    cohort: Cohort
    first: Path
    rest: Path
    payouts: int


def make_crowd(folder: Path, *, seed: int, people: int, instalments: int, step_rupiah: int = 0) -> Crowd:
    """Write the files; each instalment is `step_rupiah` more than the one before. Same arguments, same bytes.

    Every NIK is synthetic: serial 99xx.
    """
    rng = random.Random(f"crowd {seed}")
    world, rows = [], []
    for n in range(people):
        partner, phone = list(MANIFESTS)[n % len(MANIFESTS)], f"+62811{n:08d}"
        account = phone if MANIFESTS[partner].account_is_phone else f"{7_000_000_000 + n}"
        nik = f"3174{n // 10_000:02d}{n % 28 + 1:02d}{n % 12 + 1:02d}{n // 28 % 100:02d}99{n % 100:02d}"
        world.append(
            {
                "partner": partner, "account": account, "phone": phone, "holder_name": f"ORANG {n}",
                "nik_on_file": nik, "kyc": "full", "status": "active", "pin": f"{rng.randrange(100_000, 1_000_000)}",
                "card_no": "" if MANIFESTS[partner].account_is_phone else f"194634{n:010d}", "balance_rupiah": 0,
                "monthly_in_rupiah": 0, "behaviour": rng.choice(TROUBLED) if n % 5 == 4 else "",
            }
        )  # fmt: skip
        rows += [
            {
                "programme": "crash", "purpose": "training", "period": str(period), "participant_id": f"C{n:06d}",
                "nik": nik, "full_name": f"ORANG {n}", "phone": phone, "partner": partner, "account": account,
                "amount_rupiah": _AMOUNT_RUPIAH + period * step_rupiah,
                "due_on": "2020-06-05", "deadline_on": "2099-12-31",
            }
            for period in range(instalments)
        ]  # fmt: skip
    expected = [{name: row[name] for name in ("participant_id", "purpose", "period")} for row in rows]
    for name, columns, lines in (
        ("world", list(world[0]), world),
        ("all", COLUMNS, rows),
        ("first", COLUMNS, [row for row in rows if row["period"] == FIRST]),
        ("rest", COLUMNS, [row for row in rows if row["period"] != FIRST]),
        ("expected", [*expected[0], "outcome"], [row | {"outcome": "paid"} for row in expected]),
    ):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(lines)
    return Crowd(
        cohort=read_cohort(folder / "all.csv", folder / "world.csv", folder / "expected.csv"),
        first=folder / "first.csv",
        rest=folder / "rest.csv",
        payouts=len(rows),
    )
