"""Whether a rule's conditions hold: of a call or notification, by the partner's clock, its count, and a seeded draw."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from fnmatch import fnmatchcase
from typing import Any

from mock_partners.kit.scenario.facts import Facts
from mock_partners.kit.scenario.kinds import MOST
from mock_partners.kit.scenario.model import Rule
from mock_partners.kit.scenario.roles import concerns
from mock_partners.kit.world import normal_phone

ALL = ""


@dataclass
class Track:
    """A rule in play: how often its conditions held (for all, an account, or a reference), and how often it fired."""

    rule: Rule
    rng: random.Random
    matched: Counter[str] = field(default_factory=Counter)
    fired: int = 0

    def fires(self, facts: Facts, where: str, state: str, now: datetime) -> bool:
        """Whether the rule fires now; counts, so that it is asked once for a call. `where`: operation or path."""
        when = self.rule.when
        if not (_place(when, where) and _time(when, state, now) and _content(when, facts)):
            return False
        key = self._counted(facts)
        self.matched[key] += 1
        if not _in_turn(when, self.matched[key]):
            return False
        if "rate" in when and self.rng.random() >= when["rate"]:
            return False
        self.fired += 1
        return True

    def _counted(self, facts: Facts) -> str:
        match self.rule.when.get("per"):
            case "account":
                return facts.account.account if facts.account is not None else ALL
            case "reference":
                return facts.references[0] if facts.references else ALL
            case _:
                return ALL


def _place(when: Mapping[str, Any], where: str) -> bool:
    if "notification" in when:
        return where.startswith("notification ") and any(
            concerns(wanted, f"POST {where.removeprefix('notification ')}") for wanted in when["notification"]
        )
    if where.startswith("notification "):
        return False
    return "operation" not in when or any(concerns(wanted, where) for wanted in when["operation"])


def _time(when: Mapping[str, Any], state: str, now: datetime) -> bool:
    if "state" in when and state not in when["state"]:
        return False
    if ("after" in when and now < when["after"]) or ("before" in when and now >= when["before"]):
        return False
    return "between" not in when or _between(now.time(), *when["between"])


def _between(now: time, first: time, last: time) -> bool:
    """A window of the day, which may go over midnight."""
    return first <= now < last if first <= last else now >= first or now < last


def _in_turn(when: Mapping[str, Any], number: int) -> bool:
    if "nth" in when:
        return number in when["nth"]
    return bool(when.get("from", 1) <= number <= when.get("to", MOST))


def _content(when: Mapping[str, Any], facts: Facts) -> bool:
    if "header" in when and not all(_like(facts.call.header(k.lower()), v) for k, v in when["header"].items()):
        return False
    if "field" in when and not all(_like(str(facts.fields.get(k, "")), v) for k, v in when["field"].items()):
        return False
    if "reference" in when and not any(_like(one, v) for v in when["reference"] for one in facts.references):
        return False
    if "amount" in when and not _amount(when["amount"], facts.amount_rupiah):
        return False
    return "account" not in when or _account(when["account"], facts)


def _like(value: str, wanted: str) -> bool:
    return fnmatchcase(value, wanted)


def _amount(wanted: Any, amount_rupiah: int | None) -> bool:
    if amount_rupiah is None:
        return False
    if isinstance(wanted, dict):
        return bool(wanted.get("min", 0) <= amount_rupiah <= wanted.get("max", amount_rupiah))
    return bool(amount_rupiah == wanted)


def _account(wanted: tuple[str, ...], facts: Facts) -> bool:
    account = facts.account
    return account is not None and any(one == account.account or normal_phone(one) == account.phone for one in wanted)
