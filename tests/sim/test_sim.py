"""Seeds that break no rule, and what the simulator promises: a seed repeats to the byte, and it can fail."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from unittest.mock import AsyncMock

import msgspec
import pytest

from gateway.embedded import create_database_from_template
from tests.sim import rules
from tests.sim.chance import PROFILES, Chance
from tests.sim.crowd import CROWDED, drawn
from tests.sim.run import Result, run
from tests.sim.shrink import kind_of, shrink
from tests.sim.snapshot import SHOWN, Reader, Snapshot
from tests.sim.store import TEMPLATE, Connected, Store, server
from tests.sim.town import Town

ROOT = Path(__file__).parents[2]
SEEDS, SEEDS_LONG, CROWD_SEEDS = 50, 1_000, 8


async def _run(*arguments: str) -> str:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.sim", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(child.communicate(), 1_800)
    return out.decode()


async def test_seeds_break_no_rule(tmp_path: Path, long: bool) -> None:
    report = tmp_path / "report.json"
    seeds = SEEDS_LONG if long else SEEDS
    out = await _run("--seeds", str(seeds), "--jobs", "2", "--json", str(report))
    found = msgspec.json.decode(report.read_bytes())
    assert found["bad"] == 0, out
    assert found["cases"] == seeds
    assert found["paid"] > found["incentives"] / 3
    assert found["faults"] > 5 * seeds
    assert all(found["profiles"].values())


async def test_crowds_of_equal_answers_break_no_rule(tmp_path: Path, long: bool) -> None:
    report = tmp_path / "report.json"
    seeds = SEEDS_LONG if long else CROWD_SEEDS
    out = await _run("--seeds", str(seeds), "--profile", CROWDED.name, "--jobs", "2", "--json", str(report))
    found = msgspec.json.decode(report.read_bytes())
    assert found["bad"] == 0, out
    assert found["cases"] == seeds
    assert found["paid"] > found["incentives"] / 2


@pytest.mark.parametrize("kind", ["link", "ours", "token", "stale"])
async def test_a_crowd_of_a_seldom_kind_breaks_no_rule(kind: str, store: Store) -> None:
    """At linking, about our own limit or token, or once nobody was known good for a month: the smallest of its kind."""
    crowds = [(seed, drawn(seed)) for seed in range(1, 400)]
    seed = min(
        (one.size, seed)
        for seed, one in crowds
        if (one.stage == kind or getattr(one, kind, False))
        and one.size > 6 * (kind == "link")
        and not one.clean
        and one.share == 1.0
        and not one.onset_s
    )[1]
    played = await run(seed, store, profile=CROWDED.name)
    assert played.violations == []
    told = {"link": "link", "ours": "our own limit", "token": "our own token", "stale": "known good a month ago"}[kind]
    assert f"crowd, {told}" in played.faults
    assert played.paid > 0


async def test_a_seed_repeats_to_the_byte_in_another_process() -> None:
    traces = [
        [
            line
            for line in (await _run("--seeds", "1", "--seed", "12", "--trace")).splitlines()
            if re.match(r"\d\d \d\d:", line)
        ]
        for _ in range(2)
    ]
    assert len(traces[0]) > 200
    assert traces[0] == traces[1]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with server() as postgres:
        store = Store(await create_database_from_template(postgres.dsn, TEMPLATE, "sim_test"))
        yield store
        await store.close()


async def test_a_seed_repeats_after_others_on_the_same_store(store: Store) -> None:
    first = await run(12, store)
    await run(7, store)
    again = await run(12, store)
    assert again.fingerprint == first.fingerprint
    assert (await run(13, store)).fingerprint != first.fingerprint


async def test_a_broken_rule_is_found_and_made_short(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that took a time-out for a refusal would pay twice; a rule that forbids time-outs stands for it."""
    real = rules.broken

    def strict(town: object) -> list[str]:
        unknown = [f"payout {p.id} is unknown" for p in town.state.payouts if p.state == "unknown"]  # type: ignore[attr-defined]
        return [*real(town), *unknown]  # type: ignore[arg-type]

    monkeypatch.setattr(rules, "broken", strict)
    failed = next(r for r in [await run(seed, store, profile="stormy") for seed in range(20, 40)] if not r.ok)
    short = await shrink(failed, store, profile="stormy")
    assert kind_of(short) == kind_of(failed) == "payout # is unknown"
    assert len(short.faults) < len(failed.faults)
    assert (
        await run(failed.seed, store, profile="stormy", only=frozenset(short.faults))
    ).fingerprint == short.fingerprint


def _read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look reads all of the store besides: what was not written to since is as it was."""
    part = Reader.read

    async def read(reader: Reader, connection: Connected, stale: AbstractSet[str]) -> tuple[str, Snapshot]:
        told = await part(reader, connection, stale)
        assert told == await part(Reader(), connection, SHOWN)
        return told

    monkeypatch.setattr(Reader, "read", read)


@pytest.mark.parametrize("noticed", [True, False])
async def test_a_store_that_was_put_back_pays_nobody_twice_where_it_is_noticed(
    noticed: bool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the comparing of each process, and with nobody who says what was done, it must show."""
    if not noticed:
        monkeypatch.setattr(Town, "compare", AsyncMock())
        monkeypatch.setattr(Town, "cache_knows", lambda _: True)
    else:
        _read_twice(monkeypatch)
    played = [await run(seed, store, profile="rough") for seed in (50, 56)]
    assert all(any(fault.startswith("put back") for fault in one.faults) for one in played)
    told = [what for one in played for what in one.violations]
    assert told == [] if noticed else any("is paid 2 times" in what for what in told), told


def test_a_fault_that_is_left_out_changes_no_other() -> None:
    def draw(only: frozenset[str] | None) -> list[str]:
        chance = Chance(5, PROFILES["stormy"], only)
        for point in ("a", "b", "a", "c") * 20:
            chance.fault(point, 0.3, {"x": 1, "y": 1})
        return chance.drawn

    everything = draw(None)
    some = frozenset(everything[::2])
    assert draw(some) == [one for one in everything if one in some]


def test_a_result_can_be_sent_between_processes() -> None:
    result = Result(
        seed=1, profile="calm", violations=[], fingerprint="", events=0, faults=[], incentives=0, paid=0, days=0.0,
        seconds=0.0,
    )  # fmt: skip
    assert result.ok
    assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result
