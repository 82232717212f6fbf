"""A cohort as three CSV files: what core hands over, what is true at the partners, and what must come out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from contracts.secret import Secret


class CohortError(Exception):
    """A cohort file cannot be used; the message names file, line and field."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One participant as the player knows them."""

    participant_id: str
    partner: str
    account: Secret
    phone: Secret
    """Where the partner's SMS goes: the account's own phone where the world knows it."""
    pin: Secret
    card_no: Secret
    behaviour: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One distinct incentive of the file and what may come out for it."""

    participant_id: str
    purpose: str
    period: str
    outcomes: frozenset[str]
    """Empty where nothing is expected of it."""


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a demonstration starts from."""

    incentives: Path
    world: Path
    people: tuple[Person, ...]
    """In the order of their first row; only those with a row that may be accepted."""
    rows: tuple[Row, ...]
    has_expectations: bool

    def programmes(self) -> dict[str, list[str]]:
        """The purposes that the file names, by programme: to be registered before it is handed over."""
        found: dict[str, set[str]] = {}
        for line in _read(self.incentives, ("programme", "purpose")):
            found.setdefault(line["programme"], set()).add(line["purpose"])
        return {programme: sorted(purposes) for programme, purposes in found.items()}


SMALL = Path(__file__).parent / "cohort-small"
"""The cohort shipped with the project."""


def read_cohort(incentives: Path, world: Path, expected: Path | None) -> Cohort:
    """Read the files; raises `CohortError`."""
    outcomes: dict[tuple[str, str, str], frozenset[str]] = {}
    for line in _read(expected, ("participant_id", "purpose", "period", "outcome")) if expected else ():
        outcomes[_key(line)] = frozenset(line["outcome"].split("|"))
    accounts = {
        (line["partner"], line["account"]): line
        for line in _read(world, ("partner", "account", "phone", "pin", "card_no", "behaviour"))
    }
    rows: dict[tuple[str, str, str], Row] = {}
    people: dict[str, Person] = {}
    for line in _read(incentives, ("participant_id", "purpose", "period", "partner", "account", "phone")):
        key = _key(line)
        rows.setdefault(
            key,
            Row(participant_id=key[0], purpose=key[1], period=key[2], outcomes=outcomes.get(key, frozenset())),
        )
        if line["participant_id"] not in people:
            people[line["participant_id"]] = _person(line, accounts.get((line["partner"], line["account"]), {}))
    missing = [key for key in outcomes if key not in rows]
    if missing:
        raise CohortError(f"{expected}: {missing[0]} is not in {incentives}")
    return Cohort(
        incentives=incentives,
        world=world,
        people=tuple(people.values()),
        rows=tuple(rows.values()),
        has_expectations=bool(outcomes),
    )


_UNKNOWN_PIN, _UNKNOWN_CARD = "135790", "5555000011119999"
"""What people type whose account the partner does not know."""


def _person(line: Mapping[str, str], account: Mapping[str, str]) -> Person:
    return Person(
        participant_id=line["participant_id"],
        partner=line["partner"],
        account=Secret(line["account"]),
        phone=Secret(account.get("phone") or line["phone"]),
        pin=Secret(account.get("pin") or _UNKNOWN_PIN),
        card_no=Secret(account.get("card_no") or _UNKNOWN_CARD),
        behaviour=account.get("behaviour", ""),
    )


def _key(line: Mapping[str, str]) -> tuple[str, str, str]:
    return line["participant_id"], line["purpose"], line["period"]


def _read(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            lacking = [name for name in columns if name not in (reader.fieldnames or ())]
            if lacking:
                raise CohortError(f"{path}: line 1: column {lacking[0]} is missing")
            lines = []
            for line in reader:
                if None in line or None in line.values():
                    raise CohortError(f"{path}: line {reader.line_num}: not as many fields as columns")
                lines.append(line)
            return lines
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path}: {type(error).__name__}") from error
