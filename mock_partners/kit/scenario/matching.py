"""Whether a rule's conditions hold: of a call or notification, by the partner's clock, its count, and a seeded draw."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from fnmatch import fnmatchcase
from typing import Any

from mock_partners.kit.scenario.facts import Facts
from mock_partners.kit.scenario.kinds import LONGEST_S, MOST
from mock_partners.kit.scenario.model import Rule
from mock_partners.kit.scenario.roles import concerns
from mock_partners.kit.world import normal_phone

ALL = ""
SHARDS = 10
DELAYS = frozenset({"delay_s", "slow_answer_s", "delay_notification_s"})


@dataclass
class Track:
    """A rule in play: how often its conditions held (for all, an account, or a reference), and how often it fired."""

    rule: Rule
    rng: random.Random
    begun_s: float = 0.0
    """When the scenario was begun, by the partner's clock."""
    first_s: float | None = None
    """When the rest of `when` held for the first time."""
    matched: Counter[str] = field(default_factory=Counter)
    fired: int = 0

    def fires(self, facts: Facts, where: str, state: str, now: datetime) -> bool:
        """Whether the rule fires now; counts, so that it is asked once for a call. `where`: operation or path."""
        when = self.rule.when
        if not (_place(when, where) and _time(when, state, now) and _content(when, facts)):
            return False
        if self.first_s is None:
            self.first_s = now.timestamp()
        if not when.get("after_s", 0) <= self._passed_s(now) < when.get("until_s", LONGEST_S):
            return False
        if "crowd" in when and not self._in_crowd(when["crowd"], facts, self._passed_s(now)):
            return False
        key = self._counted(facts)
        self.matched[key] += 1
        if not _in_turn(when, self.matched[key]):
            return False
        if "rate" in when and self.rng.random() >= when["rate"]:
            return False
        self.fired += 1
        return True

    def does(self, now: datetime) -> dict[str, Any]:
        """The rule's atoms with every delay drawn, or climbed to, as this call's."""
        passed_s = self._passed_s(now)
        return {name: self._delay(value, passed_s) if name in DELAYS else value for name, value in self.rule.do.items()}

    def _delay(self, value: Any, passed_s: float) -> Any:
        if not isinstance(value, dict):
            return value
        if "min" in value:
            return self.rng.uniform(value["min"], value["max"])
        risen = min(passed_s / value["over_s"], 1.0)
        return value["from"] + (value["to"] - value["from"]) * risen

    def _passed_s(self, now: datetime) -> float:
        """Since the scenario was begun, or since the first call that the rule is about."""
        start_s = self.first_s if self.rule.when.get("since") == "first" else self.begun_s
        return max(now.timestamp() - (start_s if start_s is not None else now.timestamp()), 0.0)

    def _in_crowd(self, crowd: Mapping[str, Any], facts: Facts, passed_s: float) -> bool:
        """Whether this call is among the share that is ill. By person and by shard the same ones always are; with an
        onset the share climbs from 0, and whoever is ill stays so. Calls about nobody are in no crowd but by dice."""
        share: float = crowd["share"]
        if crowd.get("onset_s"):
            share *= min((passed_s - self.rule.when.get("after_s", 0)) / crowd["onset_s"], 1.0)
        match crowd.get("by", "person"):
            case "dice":
                return self.rng.random() < share
            case "shard" if facts.account is not None:
                shard = int(_place_of(facts.account.account, "") * crowd.get("shards", SHARDS))
                return _place_of(str(shard), self.rule.name) < share
            case "person" if facts.account is not None:
                return _place_of(facts.account.account, self.rule.name) < share
            case _:
                return False

    def _counted(self, facts: Facts) -> str:
        match self.rule.when.get("per"):
            case "account":
                return facts.account.account if facts.account is not None else ALL
            case "reference":
                return facts.references[0] if facts.references else ALL
            case _:
                return ALL


def _place_of(name: str, salt: str) -> float:
    """A number from 0 to 1 that a name has for good."""
    digest = hashlib.sha256(f"{salt}:{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


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
