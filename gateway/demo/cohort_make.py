"""Makes a cohort from a seed: people, their accounts at the partners, how each behaves, and what must come out.

Every NIK is synthetic: a real regency code, a made-up date of birth, a serial of 99xx. Nobody is meant.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from adapters.registry import PARTNERS

WALLETS = tuple(sorted(slug for slug, partner in PARTNERS.items() if partner.manifest.account_is_phone))
BANKS = tuple(sorted(PARTNERS.keys() - set(WALLETS)))
_REGENCIES = ("3171", "3273", "3578", "3374", "1271", "7371", "5171", "6471", "1671", "3471", "6171", "9171")
_FIRST = (
    "Adi", "Ayu", "Bayu", "Citra", "Dian", "Eko", "Fitri", "Gilang", "Hana", "Intan", "Joko", "Kirana",
    "Lina", "Made", "Nadia", "Oki", "Putra", "Rani", "Sari", "Tegar", "Utami", "Wahyu", "Yoga", "Zahra",
)  # fmt: skip
_LAST = (
    "Anwar", "Basri", "Cahyono", "Daulay", "Effendi", "Fauzi", "Ginting", "Hakim", "Iskandar", "Jatmiko",
    "Kusuma", "Laksana", "Marpaung", "Nugroho", "Pranata", "Rahman", "Saputra", "Tarigan", "Wibowo", "Yulianto",
)  # fmt: skip
DUE, LATER, DEADLINE = "2020-06-05", "2099-01-05", "2099-12-31"

_SAME_FOR_ALL_ROWS = {
    "nik_differs": "nik_mismatch",
    "nik_differs_same_name": "nik_mismatch",
    "kyc_basic": "kyc_incomplete",
    "not_registered": "account_not_found",
    "blocked": "account_blocked",
    "link:abandon": "consent_abandoned",
    "link:deny": "consent_denied",
    "shared_account": "nik_mismatch|account_shared",
    "nik_malformed": "nik_invalid",
}
_WHEN_DUE = {"balance_cap": "balance_limit", "pay:reversed_later": "payment_reversed|paid"}
CASES: dict[str, int] = {
    "ok": 268, "name_differs": 13, "nik_differs": 13, "kyc_basic": 11, "pay:lost_answer": 10, "verify:in_progress": 10,
    "shared_account": 7, "pay:pending_then_success": 7, "pay:pending_then_failed": 7, "verify:unavailable_twice": 7,
    "link:callback_twice": 6, "pay:timeout_no_credit": 6, "link:abandon": 5, "nik_differs_same_name": 5,
    "not_registered": 5, "blocked": 4, "pay:slow": 4, "balance_cap": 4, "link:deny": 3, "nik_malformed": 3,
    "pay:false_not_found": 2, "pay:reversed_later": 2,
}  # fmt: skip
"""How often each case stands among 400 people."""


@dataclass
class _Person:
    id: str
    case: str
    partner: str
    nik: str
    name: str
    phone: str
    account: str
    rows: list[tuple[str, str, int, str]] = field(default_factory=list)


def make_cohort(folder: Path, *, seed: int, participants: int) -> None:
    """Write `incentives.csv`, `world.csv` and `expected.csv` into `folder`; the same seed and size give the same
    bytes.
    """
    rng = random.Random(f"cohort {seed} {participants}")  # noqa: S311 - test data
    people = _people(rng, seed, participants)
    incentives, expected = [], []
    for person in people:
        for purpose, period, amount, due in person.rows:
            row = {
                "programme": "prakerja-2020-1", "purpose": purpose, "period": period, "participant_id": person.id,
                "nik": person.nik, "full_name": person.name, "phone": person.phone, "partner": person.partner,
                "account": person.account, "amount_rupiah": str(amount), "due_on": due, "deadline_on": DEADLINE,
            }  # fmt: skip
            incentives.append(row)
            if rng.random() < 0.007:
                incentives.append(row)
            expected.append(
                {
                    "participant_id": person.id, "purpose": purpose, "period": period,
                    "outcome": outcome(person.case, due=due == DUE), "case": person.case,
                }
            )  # fmt: skip
    rng.shuffle(incentives)
    world = [_account(rng, person) for person in people if person.case not in ("not_registered", "shared_account")]
    rng.shuffle(world)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("incentives", incentives), ("world", world), ("expected", expected)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def outcome(case: str, *, due: bool) -> str:
    """What must have come out for a row of someone of this case once the backlog is drained; `a|b` means either."""
    if case in _SAME_FOR_ALL_ROWS:
        return _SAME_FOR_ALL_ROWS[case]
    return _WHEN_DUE.get(case, "paid") if due else "scheduled"


def _people(rng: random.Random, seed: int, participants: int) -> list[_Person]:
    cases = _deal(rng, participants)
    people: list[_Person] = []
    taken: set[str] = set()
    for number, case in enumerate(cases, 1):
        # A bank account has no balance limit, and an account can only be shared with someone who has one.
        partner = rng.choice(WALLETS if case == "balance_cap" else BANKS + WALLETS)
        phone = _fresh(taken, lambda: f"+628{rng.choice('123578')}{rng.randrange(10**8, 10**9)}")
        account = phone
        if partner in BANKS:
            account = _fresh(taken, lambda: str(rng.randrange(10**9, 10**10)))
        name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
        nik = _fresh(taken, lambda: _nik(rng))
        if case == "nik_malformed":
            nik = rng.choice((nik[:-1], nik[:8] + "13" + nik[10:], nik[:-4] + "0000"))
        person = _Person(f"P{seed % 1000:03d}{number:05d}", case, partner, nik, name, phone, account)
        if case == "shared_account":
            owner = rng.choice([other for other in people if other.case == "ok"])
            person.partner, person.account = owner.partner, owner.account
            person.phone = owner.phone
        person.rows = _instalments(rng)
        people.append(person)
    for person in rng.sample(people, max(1, participants // 60)):
        if person.partner in BANKS and person.case == "ok":
            person.phone = rng.choice([other.phone for other in people if other.case == "ok"])
    return people


def _deal(rng: random.Random, participants: int) -> list[str]:
    """Cases for so many people: each at least once where they suffice, else by weight; someone to share with comes
    first.
    """
    if participants < 2 * len(CASES):
        cases = rng.choices(list(CASES), weights=list(CASES.values()), k=max(0, participants - 1))
    else:
        cases = [case for case in CASES if case != "ok"]
        cases += rng.choices(list(CASES), weights=list(CASES.values()), k=participants - 1 - len(cases))
    rng.shuffle(cases)
    return ["ok", *cases][:participants]


def _instalments(rng: random.Random) -> list[tuple[str, str, int, str]]:
    second_due = DUE if rng.random() < 0.28 else LATER
    rows = [
        ("training", "1", 600_000, DUE), ("training", "2", 600_000, second_due),
        ("training", "3", 600_000, LATER), ("training", "4", 600_000, LATER),
    ]  # fmt: skip
    if rng.random() < 0.3:
        rows.append(("survey", "1", 50_000, DUE))
    return rows


def _account(rng: random.Random, person: _Person) -> dict[str, str]:
    case = person.case
    holder = person.name.upper()
    nik = person.nik if case != "nik_malformed" else _nik(rng)
    if case == "name_differs":
        first, last = holder.split()
        holder = rng.choice((f"{first} {last[0]}.", f"HJ. {first} {last[0]}.", first))
    if case in ("nik_differs", "nik_differs_same_name"):
        nik = _nik(rng)
        if case == "nik_differs":
            holder = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}".upper()
    basic = case == "kyc_basic"
    return {
        "partner": person.partner, "account": person.account, "phone": person.phone, "holder_name": holder,
        "nik_on_file": "" if basic else nik, "kyc": "basic" if basic else "full",
        "status": "blocked" if case == "blocked" else "active", "pin": f"{rng.randrange(100_000, 1_000_000)}",
        "card_no": f"{rng.randrange(10**11, 10**12)}99{rng.randrange(100):02d}" if person.partner in BANKS else "",
        "balance_rupiah": "19980000" if case == "balance_cap" else str(rng.randrange(20_000, 1_000_000)),
        "monthly_in_rupiah": "0", "behaviour": case if ":" in case else "",
    }  # fmt: skip


def _nik(rng: random.Random) -> str:
    day = rng.randrange(1, 29) + (40 if rng.random() < 0.5 else 0)
    month, year = rng.randrange(1, 13), rng.randrange(60, 100)
    return f"{rng.choice(_REGENCIES)}{rng.randrange(1, 20):02d}{day:02d}{month:02d}{year:02d}99{rng.randrange(100):02d}"


def _fresh(taken: set[str], draw: Callable[[], str]) -> str:
    for _ in range(1000):
        value = draw()
        if value not in taken:
            taken.add(value)
            return value
    raise RuntimeError("no fresh value in 1000 draws")
