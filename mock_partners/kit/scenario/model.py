"""A scenario as it was read: its rules, in file order, each with conditions and atoms by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

START = "start"
"""The state that every scenario begins in."""


class ScenarioError(ValueError):
    """A scenario that cannot be used; `problems` has a line each, with line number, key and what is allowed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Rule:
    """When a call or notification meets all of `when`, everything in `do` happens."""

    name: str
    when: Mapping[str, Any]
    do: Mapping[str, Any]
    line: int

    @property
    def for_notices(self) -> bool:
        return "notification" in self.when


@dataclass(frozen=True)
class Scenario:
    """One file. `clock_at` sets each mock's clock when the scenario is set; `frozen` stops it there.

    `skew_s`: so far the partner's clock is off from there on; client's time stamps are judged by the machine's.
    """

    title: str
    source: str
    seed: int
    rules: tuple[Rule, ...]
    clock_at: datetime | None = None
    frozen: bool = False
    skew_s: float = 0.0

    def of(self, partner: str) -> tuple[Rule, ...]:
        """The rules that concern one partner."""
        return tuple(rule for rule in self.rules if partner in rule.when.get("partner", (partner,)))
