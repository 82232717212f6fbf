"""What a demonstration is given, and a copy of it in its folder, so that the same can be run once more."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from gateway.demo.cohort import Cohort, CohortError, read_cohort

_FOLDER, _NUMBERS = "given", "given.json"
_FILES = {"incentives": "incentives.csv", "world": "world.csv", "expected": "expected.csv", "scenario": "scenario.toml"}


class _Numbers(msgspec.Struct, frozen=True):
    seed: int
    workers: int


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """Files and numbers that decide what a demonstration does."""

    incentives: Path
    world: Path
    expected: Path | None
    scenario: Path | None
    seed: int
    workers: int

    def cohort(self) -> Cohort:
        """The people; raises `CohortError`."""
        return read_cohort(self.incentives, self.world, self.expected)

    def write(self, folder: Path) -> None:
        """Keep a copy in a demonstration's folder."""
        kept = folder / _FOLDER
        kept.mkdir(mode=0o700)
        for name, file in _FILES.items():
            if (path := getattr(self, name)) is not None:
                shutil.copyfile(path, kept / file)
        (kept / _NUMBERS).write_bytes(msgspec.json.encode(_Numbers(self.seed, self.workers)))

    @classmethod
    def read(cls, folder: Path) -> Given:
        """What was given to the demonstration that ran in `folder`; raises `CohortError`."""
        kept = folder / _FOLDER
        try:
            numbers = msgspec.json.decode((kept / _NUMBERS).read_bytes(), type=_Numbers)
        except (OSError, msgspec.DecodeError):
            raise CohortError(f"{folder}: no demonstration was kept here, --keep keeps one") from None
        files = {name: path if (path := kept / file).exists() else None for name, file in _FILES.items()}
        return cls(
            incentives=kept / _FILES["incentives"],
            world=kept / _FILES["world"],
            expected=files["expected"],
            scenario=files["scenario"],
            seed=numbers.seed,
            workers=numbers.workers,
        )
