"""What a planted bug is: changes to source texts that must apply, and the part of the suites that must notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class DoesNotApply(Exception):
    """The text that a mutant changes is not in the source, or not as often as it says."""


@dataclass(frozen=True)
class Edit:
    """In `path`, `old` becomes `new`; `old` stands there exactly `times`."""

    path: str
    old: str
    new: str
    times: int = 1

    def changed(self, text: str) -> str:
        """The source with the bug in it; raises `DoesNotApply`."""
        if (found := text.count(self.old)) != self.times:
            raise DoesNotApply(f"{self.path} has {found} of {self.old!r} instead of {self.times}")
        return text.replace(self.old, self.new)

    def apply(self, root: Path) -> None:
        """Plant it in a tree."""
        file = root / self.path
        file.write_text(self.changed(file.read_text(encoding="utf-8")), encoding="utf-8")


@dataclass(frozen=True)
class Mutant:
    """One bug. `tests` are the test files that must notice, those that notice soonest first; `only` is pytest's -k.

    `first` is a test of the first file that should notice: it is run before the rest.
    """

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    only: str = ""
    first: str = ""
    survives: str = ""
    """Why it cannot be caught, where that is so."""
