"""The shipped cohort is what `gateway cohort` makes of today's registry, so that every partner has people in it."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest

from adapters.registry import PARTNERS
from gateway.demo.cohort import SMALL
from gateway.demo.cohort_make import make_cohort
from tests.gateway.program import run

SEED, PARTICIPANTS = 1, 60
REMEDY = f"gateway cohort gateway/demo/cohort-small --seed {SEED} --participants {PARTICIPANTS}"


@pytest.mark.parametrize("name", ["incentives.csv", "world.csv", "expected.csv"])
def test_the_shipped_cohort_is_of_this_registry(name: str, tmp_path: Path) -> None:
    make_cohort(tmp_path, seed=SEED, participants=PARTICIPANTS)
    assert (SMALL / name).read_text("utf-8") == (tmp_path / name).read_text("utf-8"), f"make it anew: {REMEDY}"


def test_the_line_to_try_next_is_one_for_the_shell_wherever_the_cohort_lies(tmp_path: Path) -> None:
    folder = tmp_path / "it's a [new] one"
    told = run("cohort", str(folder), "--participants", "2")
    _, _, line = told.partition("try: ")
    command, verb, *files = shlex.split(line)
    assert (command, verb, files[::2]) == ("gateway", "demo", ["--incentives", "--world", "--expected"])
    assert all(Path(file).exists() for file in files[1::2]), files


def test_every_partner_has_people_who_are_paid() -> None:
    with (SMALL / "expected.csv").open(newline="") as file:
        paid = {row["participant_id"] for row in csv.DictReader(file) if row["outcome"] == "paid"}
    with (SMALL / "incentives.csv").open(newline="") as file:
        partners = {row["partner"] for row in csv.DictReader(file) if row["participant_id"] in paid}
    assert partners == set(PARTNERS), f"make it anew: {REMEDY}"
