"""What a seed draws: faults at named points, and the order in which things happen."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Profile:
    """How rough a run is: chances at each point."""

    name: str
    send: float
    """A request or its answer meets a fault."""
    commit: float
    """A commit fails, or its process dies around it."""
    crash: float
    """A process dies before a request, or before it reads the answer."""
    stall: float
    """A process stands still for a while."""
    switch: float
    """Another one goes on first."""
    notice: float
    """A notification is dropped, doubled, delayed or damaged."""
    events: int
    """Things that happen from outside: outages, midnights, revoked links, changed accounts, lost caches."""


PROFILES: dict[str, Profile] = {
    one.name: one
    for one in (
        Profile("calm", send=0.01, commit=0.0, crash=0.0, stall=0.0, switch=0.1, notice=0.05, events=1),
        Profile("breezy", send=0.06, commit=0.005, crash=0.005, stall=0.01, switch=0.3, notice=0.15, events=3),
        Profile("rough", send=0.15, commit=0.015, crash=0.02, stall=0.03, switch=0.5, notice=0.3, events=6),
        Profile("stormy", send=0.30, commit=0.03, crash=0.04, stall=0.05, switch=0.5, notice=0.5, events=10),
    )
}


class Chance:
    """The draws of one seed. A fault is drawn by the name of its point alone: leaving one out changes no other."""

    def __init__(self, seed: int, profile: Profile, only: frozenset[str] | None = None) -> None:
        self.seed = seed
        self.profile = profile
        self.order = random.Random(f"{seed} order")
        self.over = False
        self.drawn: list[str] = []
        """Faults that happened, by name."""
        self._only = only
        self._points: Counter[str] = Counter()

    def stream(self, name: str) -> random.Random:
        """Draws for one purpose that no other purpose disturbs."""
        return random.Random(f"{self.seed} {name}")

    def fault(self, point: str, chance: float, kinds: Mapping[str, int]) -> tuple[str, random.Random] | None:
        """Which fault happens at this point, with draws of its own; None: none."""
        number = self._points[point]
        self._points[point] += 1
        if self.over or chance <= 0.0:
            return None
        rng = random.Random(f"{self.seed} {point} {number}")
        if rng.random() >= chance:
            return None
        kind = rng.choices(list(kinds), weights=list(kinds.values()))[0]
        return (kind, rng) if self.happens(f"{point} {number}: {kind}") else None

    def happens(self, name: str) -> bool:
        """Note a fault that was drawn; False: it is none of the only ones that may happen in this run."""
        if self._only is not None and name not in self._only:
            return False
        self.drawn.append(name)
        return True

    def pick(self, things: Sequence[T]) -> T:
        """One of some things, for the order of the run."""
        return things[self.order.randrange(len(things))]


def kind_of_fault(name: str) -> str:
    """What a fault is, without its place and number."""
    _, colon, kind = name.partition(": ")
    return kind if colon else name.partition(" at turn ")[0]
