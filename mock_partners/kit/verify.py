"""Compares a request log with what was expected: which calls, how often, in which order, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from mock_partners.kit.log import Exchange, Log
from mock_partners.kit.scenario.facts import Facts, Handles
from mock_partners.kit.scenario.roles import concerns, unmatched
from mock_partners.kit.scenario.routes import allowed
from mock_partners.kit.world import World, normal_phone


class Count(msgspec.Struct, forbid_unknown_fields=True):
    """How often a call is expected, both ends included."""

    min: int = 0
    max: int | None = None


class Expected(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One expectation: calls that meet everything that is given; once or more unless `count` says otherwise."""

    operation: str
    count: int | Count = msgspec.field(default_factory=lambda: Count(min=1))
    account: str = ""
    reference: str = ""
    code: str = ""
    status: int = 0
    outcome: str = ""
    rule: str = ""

    def __str__(self) -> str:
        parts = [f"{name} {value}" for name, value in self._conditions() if value and name != "account"]
        if self.account:
            parts.append(f"account *{self.account[-2:]}")
        return ", ".join([self.operation, *parts])

    def _conditions(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in ("account", "reference", "code", "status", "outcome", "rule")]


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `/__mock__/verify`. `since`: only calls after that number; `nothing_else`: no other call came."""

    expect: list[Expected] = []
    in_order: bool = False
    nothing_else: bool = False
    since: int = 0


class _Judge:
    """Which calls of a log meet an expectation; accounts are known from every call before."""

    def __init__(self, log: Log, world: World, since: int) -> None:
        handles = Handles()
        self._facts: dict[int, Facts] = {}
        for exchange in log.calls:
            facts = self._facts[exchange.number] = Facts(exchange.call, world, handles)
            facts.learn(exchange.reply)
        self.calls = list(log.since(since))

    def meets(self, exchange: Exchange, wanted: Expected) -> bool:
        if not concerns(wanted.operation, exchange.operation):
            return False
        facts = self._facts[exchange.number]
        if wanted.reference and not any(fnmatchcase(one, wanted.reference) for one in facts.references):
            return False
        if wanted.account and not _is_account(facts, wanted.account):
            return False
        if wanted.code and not fnmatchcase(exchange.code, wanted.code):
            return False
        if wanted.status and (exchange.reply is None or exchange.reply.status != wanted.status):
            return False
        if wanted.outcome and exchange.outcome != wanted.outcome:
            return False
        return not wanted.rule or wanted.rule in exchange.rules


def problems(asked: Asked, log: Log, world: World, operations: Sequence[str]) -> list[str]:
    """What is not as expected, in words; empty if all is. A word that means nothing is a problem however often."""
    dropped = log.total_calls - len(log.calls)
    if dropped > asked.since:
        return [f"calls 1 to {dropped} are no longer kept: ask with since = {dropped} or more, or reset before"]
    judge = _Judge(log, world, asked.since)
    found: list[str] = []
    met: set[int] = set()
    for wanted in asked.expect:
        numbers = [exchange.number for exchange in judge.calls if judge.meets(exchange, wanted)]
        met.update(numbers)
        if not numbers and unmatched([wanted.operation], operations):
            found.append(f"{wanted.operation!r} is no operation here; {allowed(operations, wanted.operation)}")
            continue
        found += _count_problem(wanted, numbers)
    if asked.in_order and not found:
        found += _order_problem(asked.expect, judge)
    if asked.nothing_else:
        others = [exchange for exchange in judge.calls if exchange.number not in met]
        found += [f"unexpected: call {one.number}, {one.operation} ({one.code or one.outcome})" for one in others[:20]]
        if len(others) > 20:
            found.append(f"unexpected: {len(others) - 20} more")
    return found


def _count_problem(wanted: Expected, numbers: list[int]) -> list[str]:
    count = wanted.count if isinstance(wanted.count, Count) else Count(wanted.count, wanted.count)
    if len(numbers) >= count.min and (count.max is None or len(numbers) <= count.max):
        return []
    most = "" if count.max is None else f" to {count.max}"
    told = str(count.min) if count.max == count.min else f"{count.min}{most or ' or more'}"
    which = f" (calls {', '.join(str(number) for number in numbers[:20])})" if numbers else ""
    return [f"expected {told} of: {wanted}; there were {len(numbers)}{which}"]


def _order_problem(expected: list[Expected], judge: _Judge) -> list[str]:
    """Takes each expectation's first call that comes after the one before it."""
    after, previous = 0, ""
    for wanted in expected:
        if isinstance(wanted.count, int) and wanted.count == 0:
            continue
        first = next((one.number for one in judge.calls if one.number > after and judge.meets(one, wanted)), None)
        if first is None:
            return [f"out of order: no call after number {after} ({previous}) is: {wanted}"]
        after, previous = first, str(wanted)
    return []


def _is_account(facts: Facts, wanted: str) -> bool:
    account = facts.account
    return account is not None and (account.account == wanted or account.phone == normal_phone(wanted))
