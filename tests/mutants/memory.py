"""What is kept from one run of the planted bugs to the next, and how long a run will take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutants.runner import ROOT, Verdict

FILE = ROOT / ".mutants.json"


@dataclass
class Memory:
    """Seconds of each test file without a mutant, and the names of those mutants that were caught last."""

    seconds: dict[str, float] = field(default_factory=dict)
    caught: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, file: Path = FILE) -> Memory:
        """What was kept; nothing where there is no file, or none that can be read."""
        try:
            kept = json.loads(file.read_text())
            return cls(dict(kept["seconds"]), set(kept["caught"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, file: Path = FILE) -> None:
        """Keep it: after each mutant, so that a run that is broken off goes on with `--again`."""
        file.write_text(json.dumps({"seconds": self.seconds, "caught": sorted(self.caught)}, indent=1) + "\n")


class Clock:
    """How long the rest will take: as long as those before took beside what was thought likely, so many at once."""

    def __init__(self, likely_s: Mapping[str, float], workers: int) -> None:
        self._likely_s, self._workers = dict(likely_s), workers
        self._took_s = self._thought_s = 0.0

    def done(self, verdict: Verdict) -> None:
        """One more is over."""
        self._thought_s += self._likely_s.pop(verdict.mutant.name)
        self._took_s += verdict.took_s

    def left(self) -> str:
        """In words."""
        pace = self._took_s / self._thought_s if self._thought_s else 1.0
        left_s = pace * sum(self._likely_s.values()) / self._workers
        return f"{left_s / 60:.0f} min" if left_s >= 90 else f"{left_s:.0f} s"
