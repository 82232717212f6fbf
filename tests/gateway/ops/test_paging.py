"""A list that is cut says so and leads on, at /ops and in the terminal: whoever follows it sees each row once."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest

from gateway.routes.ops import people
from gateway.storage.ops import story
from tests.gateway import program
from tests.gateway.ops.desk import Desk
from tests.gateway.ops.test_acts import desk, in_doubt, town
from tests.gateway.payouts.town import Town

__all__ = ["desk", "town"]
HELD, MOST_PAGES = 2, 20
"""Rows on a page here."""


async def walk(browser: Any, address: str, row: str, *, between: Any = None) -> list[list[str]]:
    """What each page shows of the first group of `row`, by following what leads on; the address keeps its filters."""
    path, _, asked = address.partition("?")
    pages: list[list[str]] = []
    for _ in range(MOST_PAGES):
        reply = await browser.get(f"{path}?{asked}")
        assert reply.status_code == 200, reply.text
        pages.append(re.findall(row, reply.text))
        following = re.search(r'<a rel="next" href="\?([^"]+)"', reply.text)
        if following is None:
            assert "masih berlanjut" not in reply.text
            return pages
        assert "masih berlanjut" in reply.text
        before, asked = asked, unescape(following[1])
        assert {one for one in before.split("&") if not re.match("(after|before)=", one)} <= set(asked.split("&")) | {
            ""
        }
        if between is not None:
            await between(pages[-1])
            between = None
    raise AssertionError("the list has no end")


def flat(pages: list[list[str]]) -> list[str]:
    return [one for page in pages for one in page]


async def test_whoever_follows_a_list_sees_all_of_it(
    desk: Desk, town: Town, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MOST", HELD)
    monkeypatch.setattr(people, "PAGE", HELD)
    made = [await in_doubt(town) for _ in range(5)]
    payouts = [payout for _, payout in made]
    await town.execute("UPDATE payouts SET updated_at = now()")  # all alike: their numbers tell which is next
    await town.execute(
        "INSERT INTO exchanges (at, partner, operation, effect, subject, left_us, took_ms)"
        " SELECT now(), 'fake', 'payout.status', 'read', $1, true, n FROM generate_series(101, 105) AS n",
        str(payouts[0]),
    )
    await town.execute(
        "INSERT INTO reconciliations (id, partner, day, requested_by, started_at, finished_at, state, breaks, complete)"
        " VALUES (7, 'fake', current_date, 'x', now(), now(), 'done', 5, true)"
    )
    await town.execute(
        "INSERT INTO reconciliation_breaks (reconciliation, n, class, detail)"
        " SELECT 7, n, 'missing_here', 'the ' || n || 'th' FROM generate_series(1, 5) AS n"
    )
    await town.execute(
        "INSERT INTO batches SELECT (jsonb_populate_record(b, jsonb_build_object('id', 'b' || n, 'received_at',"
        " b.received_at - interval '1 hour', 'content_key', 'k' || n))).* FROM batches b, generate_series(21, 25) AS n"
    )
    batches = {row["id"] for row in await town.fetch("SELECT id FROM batches")}
    assert len(batches) > HELD

    async def meanwhile(shown: list[str]) -> None:
        """The last one shown is settled, and one that waits behind it was looked up."""
        behind = next(one for one in payouts if str(one) not in shown)
        await town.execute("UPDATE payouts SET updated_at = now() + interval '1 s' WHERE id = $1", behind)
        await town.execute("UPDATE payouts SET state = 'pending' WHERE id = $1", int(shown[-1]))

    async with desk.signed_in("auditor") as browser:
        found = await walk(
            browser, "/ops/payouts?payout_state=unknown&partner=fake", r'/ops/payouts/(\d+)"', between=meanwhile
        )
        assert sorted(flat(found)) == sorted(map(str, payouts)) and len(found) == 3
        assert await walk(browser, "/ops/payouts?payout_state=pending", r'/ops/payouts/(\d+)"') == [[found[0][-1]]]
        calls = await walk(browser, f"/ops/payouts/{payouts[0]}", r'<td class="n">(10[1-5])</td>')
        assert calls[:2] == [["104", "105"], ["102", "103"]], "the newest"
        assert flat(calls)[4] == "101"
        differ = await walk(browser, "/ops/reconciliations/7", r"the (\d)th")
        assert flat(differ) == ["1", "2", "3", "4", "5"]
        assert set(flat(await walk(browser, "/ops/batches", r'/ops/batches/(b\d*)"'))) == batches
        of_state = await walk(browser, "/ops/batches?batch_state=approved", r'/ops/batches/(b\d*)"')
        assert set(flat(of_state)) == batches
        assert (await browser.get("/ops/batches?batch_state=nowhere")).status_code == 404
        assert (await browser.get("/ops/payouts?after=nowhere")).status_code == 422
        incentives = await walk(browser, "/ops/incentives?partner=fake", r'/ops/incentives/(\d+)"')
        assert sorted(map(int, flat(incentives))) == sorted(incentive for incentive, _ in made)
        decisions = await walk(browser, "/ops/audit", r'<tr><td class="n">(\d+)</td>')
        assert flat(decisions) == sorted(set(flat(decisions)), key=int, reverse=True)
        assert decisions[-1][-1] == "1" and all(len(page) <= HELD for page in decisions)
    assert_the_terminal_leads_on(database, set(payouts))


def assert_the_terminal_leads_on(database: str, payouts: set[int]) -> None:
    """As long as a page holds two, by what it prints beside the JSON."""
    asked, seen = ["payouts", "list", "--json"], set[int]()
    for _ in range(MOST_PAGES):
        printed = program.run(*asked, DATABASE_URL=database)
        seen |= {row["id"] for row in json.loads(printed.splitlines()[0])}
        following = re.search(r"the list goes on: (--after) (\S+)", printed)
        if following is None:
            break
        asked = [*asked[:3], *following.groups()]
    assert len(seen) == len(payouts) - 1, "one is no longer in doubt"
    printed = program.run("incentives", "list", "--limit", "2", "--json", DATABASE_URL=database)
    assert len(json.loads(printed.splitlines()[0])) == 2 and "--after" in printed
