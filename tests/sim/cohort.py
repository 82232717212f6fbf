"""The people of one seed: at most twelve incentives, their accounts at the partners, and what each account does."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from adapters.registry import PARTNERS
from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.world import Account

MOST_INCENTIVES = 12
SPREAD_DAYS = 45
"""In a run of two months, instalments fall due over so many days."""
BANKS = frozenset(slug for slug, partner in PARTNERS.items() if not partner.manifest.account_is_phone)
CASES = {
    "ok": 40, "mismatch": 3, "basic": 3, "unregistered": 2, "blocked": 2, "full": 2, "denies": 2, "shares": 3,
}  # fmt: skip
CROWD_CASES = {"ok": 40, "mismatch": 2, "basic": 2}
"""Of the people of a crowd: the partner refuses the others by right, and goes on to."""
BEHAVIOURS = {
    Behaviour.NONE: 40, Behaviour.LOST_ANSWER: 6, Behaviour.TIMEOUT_NO_CREDIT: 6, Behaviour.FALSE_NOT_FOUND: 5,
    Behaviour.PENDING_THEN_SUCCESS: 5, Behaviour.PENDING_THEN_FAILED: 5, Behaviour.SLOW: 2,
    Behaviour.REVERSED_LATER: 4, Behaviour.UNAVAILABLE_TWICE: 3, Behaviour.IN_PROGRESS: 3,
}  # fmt: skip


@dataclass
class Row:
    """One incentive as the core platform hands it over."""

    purpose: str
    period: str
    amount_rupiah: int
    due_on: date
    deadline_on: date


@dataclass
class Person:
    """One participant, and what is true about the account that they gave."""

    participant_id: str
    case: str
    nik: str
    name: str
    phone: str
    partner: str
    account: str
    pin: str
    card_no: str
    rows: list[Row] = field(default_factory=list)
    spare: list[tuple[str, str]] = field(default_factory=list)
    """Good accounts (partner, account) that they may change to."""
    visits: int = 0
    next_visit_s: float = 0.0
    visiting: bool = False
    given: dict[str, str] = field(default_factory=dict)
    """The case of each account given so far."""


def make(rng: random.Random, slugs: list[str], today: date, spread_days: int = 2) -> tuple[list[Person], list[Account]]:
    """The people and the accounts that exist; what is due later is so within `spread_days`."""
    people: list[Person] = []
    accounts: list[Account] = []
    budget = rng.choice([1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 10, MOST_INCENTIVES])
    while budget > 0:
        person = _person(rng, len(people), slugs, people)
        for n in range(min(budget, rng.choice([1, 1, 1, 2, 3]))):
            later = rng.random() < (0.15 if spread_days <= 2 else 0.7)
            due = today + timedelta(days=rng.randint(1, spread_days) if later else -rng.randrange(3))
            deadline = today + timedelta(days=rng.choice([0, 1, 2]) if rng.random() < 0.06 else 60 + spread_days)
            amount = rng.choice([600_000, 50_000, 150_000])
            person.rows.append(Row("training", str(n + 1), amount, due, max(due, deadline)))
            budget -= 1
        people.append(person)
        if person.case not in ("unregistered", "shares"):
            accounts.append(_account(rng, person))
        if rng.random() < 0.4:
            accounts.append(_spare(rng, person, slugs))
    return people, accounts


def make_crowd(rng: random.Random, size: int, slug: str, today: date) -> tuple[list[Person], list[Account]]:
    """So many people at one partner, and one beside them elsewhere. A few are rightly refused, and no account does what
    only its payments are about.
    """
    others = sorted(PARTNERS.keys() - {slug})
    people: list[Person] = []
    accounts: list[Account] = []
    for n in range(size + 1):
        person = _person(rng, n, [slug] if n < size else others, [], CROWD_CASES)
        for number in range(rng.choice((1, 1, 2, 3))):
            due = today + timedelta(days=number)
            person.rows.append(Row("training", str(number + 1), 600_000, due, today + timedelta(days=40)))
        people.append(person)
        accounts.append(replace(_account(rng, person), behaviour=Behaviour.NONE))
    return people, accounts


def _person(
    rng: random.Random, number: int, slugs: list[str], people: list[Person], cases: Mapping[str, int] = CASES
) -> Person:
    case = rng.choices(list(cases), weights=list(cases.values()))[0]
    partner = rng.choice(slugs)
    owners = [other for other in people if other.case == "ok"]
    if case == "shares" and not owners or case == "full" and partner in BANKS:
        case = "ok"
    phone = f"+62812{number:02d}{rng.randrange(10**6):06d}"
    account = f"{number:02d}{rng.randrange(10**8):08d}" if partner in BANKS else phone
    person = Person(
        participant_id=f"P{number:03d}",
        case=case,
        nik=_nik(rng, number),
        name=rng.choice(("Siti Contoh", "Budi Contoh", "Ayu Percobaan")),
        phone=phone,
        partner=partner,
        account=account,
        pin=f"{rng.randrange(100_000, 1_000_000)}",
        card_no=f"{rng.randrange(10**11, 10**12)}99{number:02d}",
    )
    if case == "shares":
        owner = rng.choice(owners)
        person.partner, person.account, person.phone = owner.partner, owner.account, owner.phone
        person.pin, person.card_no = owner.pin, owner.card_no
    person.given[f"{person.partner} {person.account}"] = case
    return person


def _account(rng: random.Random, person: Person) -> Account:
    basic = person.case == "basic"
    nik = _nik(rng, 90) if person.case == "mismatch" else person.nik
    return Account(
        partner=person.partner,
        account=person.account,
        phone=person.phone,
        holder_name=person.name.upper(),
        nik_on_file="" if basic else nik,
        kyc="basic" if basic else "full",
        status="blocked" if person.case == "blocked" else "active",
        pin=person.pin,
        card_no=person.card_no,
        balance_rupiah=19_980_000 if person.case == "full" else 100_000,
        behaviour=rng.choices(list(BEHAVIOURS), weights=list(BEHAVIOURS.values()))[0],
    )


def _spare(rng: random.Random, person: Person, slugs: list[str]) -> Account:
    """Another, good account of the same person."""
    number = int(person.participant_id[1:])
    partner = rng.choice(slugs)
    phone = f"+62857{number:02d}{rng.randrange(10**6):06d}"
    account = f"9{number:02d}{rng.randrange(10**7):07d}" if partner in BANKS else phone
    person.spare.append((partner, account))
    return Account(
        partner=partner, account=account, phone=phone, holder_name=person.name.upper(), nik_on_file=person.nik,
        kyc="full", status="active", pin=person.pin, card_no=person.card_no, balance_rupiah=100_000,
    )  # fmt: skip


def _nik(rng: random.Random, number: int) -> str:
    """Synthetic: the serial is 99xx."""
    district, day = rng.randrange(1, 20), rng.randrange(1, 29)
    month, year = rng.randrange(1, 13), rng.randrange(60, 100)
    return f"3171{district:02d}{day:02d}{month:02d}{year}99{number:02d}"
