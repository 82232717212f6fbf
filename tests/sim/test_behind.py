"""Partners whose look-ups are behind their own payments: what one early *not there* is worth, the simulator shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contracts.observation import Absence, absence_proved
from gateway.embedded import create_database_from_template
from gateway.services.payouts import absence
from tests.sim.chance import PROFILES, Chance
from tests.sim.manners import BEHIND, BEHIND_HOURS, BEHIND_S, Manners
from tests.sim.run import profile_of, run
from tests.sim.store import TEMPLATE, Store, server

CAUGHT = 68
"""A seed whose partners are behind by minutes, and that meets it."""


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with server() as postgres:
        store = Store(await create_database_from_template(postgres.dsn, TEMPLATE, "sim_behind"))
        yield store
        await store.close()


@pytest.mark.parametrize("early", [False, True])
async def test_who_believes_one_early_look_pays_twice(
    early: bool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if early:

        def believed(gathered: Absence, **given: object) -> bool:
            return absence_proved(gathered, **{**given, "after_s": 0.0, "lookups": 1})  # type: ignore[arg-type]

        monkeypatch.setattr(absence, "absence_proved", believed)
    played = await run(CAUGHT, store)
    told = [what for what in played.violations if "is paid 2 times" in what]
    assert told if early else played.violations == [], played.violations
    assert f"partners: {BEHIND}" in played.faults


def test_some_seeds_are_behind_by_minutes_and_some_by_hours() -> None:
    of_seeds = [Manners(Chance(seed, PROFILES[profile_of(seed)])) for seed in range(1, 200)]
    for trait, ages in BEHIND_S.items():
        drawn = [manners.behind(slug) for manners in of_seeds if trait in manners for slug in ("bni", "gopay", "ovo")]
        assert len(drawn) > 30
        seen = {behind.looks_s() for behind in drawn} | {behind.looks_s() for behind in drawn}
        assert seen == {0.0, *ages}
        assert {behind.duplicates_s() > 0.0 for behind in drawn} == {trait == BEHIND}
    assert any(BEHIND_HOURS not in manners and BEHIND not in manners for manners in of_seeds)
