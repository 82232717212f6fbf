"""What goes on during one call: the checks it passed, and what a scenario does to it. Anything of the kit may ask."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Turn:
    """One call in progress: the checks that were begun, the rules that it fired, the atoms in force by name."""

    __slots__ = ("checks", "effects", "rules")

    def __init__(self) -> None:
        self.checks: list[str] = []
        self.rules: list[str] = []
        self.effects = NOTHING


CURRENT: ContextVar[Turn | None] = ContextVar("turn", default=None)


def checking(name: str) -> None:
    """Notes that a check begins. The last one noted is the one that refused, if the call is refused."""
    turn = CURRENT.get()
    if turn is not None:
        turn.checks.append(name)


def effects() -> Mapping[str, Any]:
    """All atoms in force for the call in progress; empty without a scenario."""
    turn = CURRENT.get()
    return NOTHING if turn is None else turn.effects


def effect(name: str, default: Any = None) -> Any:
    """The value of a scenario's atom for the call in progress; `default` without one."""
    turn = CURRENT.get()
    return turn.effects.get(name, default) if turn is not None and turn.effects else default
