"""What came of the cases: how many, of which kinds, and what was wrong with the bad ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SHOWN = 20


@dataclass
class Tally:
    """Counts of one run; `bad` holds a line for each case that broke a rule, with what is needed to repeat it."""

    cases: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def add(self, kind: str, end: str) -> None:
        """One case that broke no rule."""
        self.cases += 1
        self.kinds[kind] += 1
        self.ends[end] += 1

    def wrong(self, kind: str, what: str) -> None:
        """One that did."""
        self.add(kind, "BAD")
        self.bad.append(f"{kind}: {what}")

    def __iadd__(self, other: Tally) -> Tally:
        self.cases += other.cases
        self.kinds += other.kinds
        self.ends += other.ends
        self.bad += other.bad
        return self

    def line(self, seconds: float) -> str:
        """The summary."""
        return f"fuzz: {self.cases} cases, {len(self.bad)} bad, {seconds:.1f} seconds"
