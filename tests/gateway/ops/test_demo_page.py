"""The demonstration's page, its bars, and what it is given."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.incentive import BLOCKERS, BlockerCode, Owner, Stage
from gateway.core import Core
from gateway.demo import stage as page
from gateway.demo.cluster import ClusterError, free_ports, peak_mb
from gateway.demo.cohort import SMALL, CohortError, read_cohort
from gateway.demo.given import Given
from gateway.demo.run import WAITS, waits_for
from gateway.demo.tally import tallied
from gateway.settings import parse_waits
from tests.conftest import MASTER_KEY

PEOPLE = (Owner.PARTICIPANT, Owner.CORE, Owner.OPERATOR)
ROWS = st.builds(
    lambda stage, blocker, due, n: {
        "partner": "ovo", "stage": stage.value, "blocker": blocker and blocker.value, "due": due, "n": n,
    },
    st.sampled_from(Stage), st.none() | st.sampled_from(BlockerCode), st.booleans(), st.integers(1, 9),
)  # fmt: skip


@given(st.lists(ROWS, min_size=1), st.booleans())
def test_bars_count_what_is_due_and_are_full_once_it_is_nobodys_but_a_persons(rows: list[Any], playing: bool) -> None:
    tally = tallied(rows, playing=playing)["ovo"]
    assert tally.due + tally.later == sum(row["n"] for row in rows)
    assert tally.paid <= tally.settled <= tally.due
    goes_on = [
        row for row in rows
        if row["due"] and row["stage"] not in ("paid", "returned", "cancelled") and (
            row["blocker"] is None or BLOCKERS[BlockerCode(row["blocker"])].owner not in PEOPLE
            or playing and row["blocker"] == "link_required"
        )
    ]  # fmt: skip
    assert tally.due - tally.settled == sum(row["n"] for row in goes_on)


def test_what_was_kept_is_run_again(tmp_path: Path) -> None:
    scenario = tmp_path / "mine.toml"
    scenario.write_text('title = "nothing"')
    first = Given(
        incentives=SMALL / "incentives.csv", world=SMALL / "world.csv", expected=None, scenario=scenario, seed=7,
        workers=3,
    )  # fmt: skip
    with pytest.raises(CohortError, match="--keep"):
        Given.read(tmp_path)
    first.write(tmp_path)
    again = Given.read(tmp_path)
    assert (again.seed, again.workers, again.expected) == (7, 3, None)
    assert again.scenario is not None and again.scenario.read_text() == scenario.read_text()
    assert again.cohort().people == first.cohort().people and not again.cohort().has_expectations


def test_ports_that_are_taken_are_refused_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ClusterError, match="--port-base"):
        free_ports(taken.getsockname()[1])


def test_ports_are_free_once_whoever_had_them_is_gone() -> None:
    base = free_ports().page
    with socket.create_server(("127.0.0.1", base)) as server, socket.create_connection(server.getsockname()) as client:
        server.accept()[0].close()  # who closes first waits
        client.recv(1)
    assert free_ports(base).page == base


def test_the_most_memory_of_a_process_is_told() -> None:
    assert 20 < peak_mb(os.getpid()) < 20_000
    assert peak_mb(2**22 + 1) == 0


def test_many_people_have_their_statements_read_less_often() -> None:
    assert waits_for(60) == WAITS
    assert parse_waits(waits_for(3000)).statement_sweep_s == 10
    assert parse_waits(waits_for(3000)).link_life_s == parse_waits(WAITS).link_life_s


class Platform:
    """Begins a link, or answers a list."""

    async def call(self, method: str, path: str, **given: Any) -> Any:
        assert (method, path) == ("POST", "/v1/links")
        return {"challenge": {"url": f"http://127.0.0.1:1/connect/of-{given['json']['participant_id']}"}}


@pytest.fixture
async def stage(core: Core, database: str) -> AsyncIterator[page.Stage]:
    cluster: Any = SimpleNamespace(
        environment={"GATEWAY_MASTER_KEY": base64.b64encode(MASTER_KEY).decode()}, database_url=database,
        page_port=free_ports().page, api_url="http://127.0.0.1:1", console_url="http://127.0.0.1:2/",
    )  # fmt: skip
    cohort = read_cohort(SMALL / "incentives.csv", SMALL / "world.csv", None)
    async with page.staged(cluster, cohort) as shown:
        yield shown


async def test_one_address_leads_to_everything(stage: page.Stage, core: Core) -> None:
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as browser:
        begun = await browser.get("/")
        assert "Nothing has been handed over yet" in begun.text and "every 2s" in begun.text
        assert stage.watched() and "http://127.0.0.1:2/" in begun.text
        led = [await browser.get("/ops") for _ in range(2)]
        assert [reply.headers["location"] for reply in led] == ["http://127.0.0.1:1/ops"] * 2
        (session,) = {reply.cookies["ops"] for reply in led}
        trap = await browser.get("/ops", headers={"Host": "evil.test"})
        assert (trap.status_code, "set-cookie" in trap.headers) == (400, False), "a trap gets no session"
        known = await core.operators.recognise(session)
        assert known is not None and "approver" in known.roles

        funnel = {"rows": [{"stage": "paid", "blocker": None, "owner": None, "incentives": 3, "amount_rupiah": 1}]}
        person = next(one for one in stage.cohort.people if one.partner == "bni")
        stage.volunteers = [page.Volunteer(person=person, blocker="consent_denied")]
        stage.follow(SimpleNamespace(tallies={}, words=""), Platform())  # type: ignore[arg-type]
        path = f"/be/{person.participant_id}"
        assert (await browser.post(path, headers={"Origin": "http://elsewhere.test"})).status_code == 403
        assert (await browser.post("/be/P0")).status_code == 404
        went = await browser.post(path, headers={"Origin": stage.url.rstrip("/")})
        assert went.headers["location"] == f"http://127.0.0.1:1/connect/of-{person.participant_id}"

        await stage.end(funnel, clean=True, lasts=False)
        ended = await browser.get("/")
        assert "3 paid" in ended.text and "every 2s" not in ended.text and "--keep" in ended.text
        assert "form-action 'self' http://127.0.0.1:1;" in ended.headers["Content-Security-Policy"]
