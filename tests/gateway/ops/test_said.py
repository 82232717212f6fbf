"""What the operators' pages say to somebody who has never seen them: whose turn it is, and where they are."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from gateway.services.ops import standstill
from gateway.storage.ops import story
from tests.gateway.api.kit import as_csv, row
from tests.gateway.ops.desk import Desk
from tests.gateway.ops.test_pages import batch_of


async def test_the_language_is_changed_where_one_is_and_keeps_what_was_chosen(desk: Desk) -> None:
    async with desk.signed_in("operator") as browser:
        for page, leads in (
            ("/ops/incentives?stage=paying&partner=ovo", "/ops/incentives?stage=paying&partner=ovo"),
            ("/ops/sign-in?page=%2Fops%2Fcases", "/ops/sign-in?page=%2Fops%2Fcases"),
            ("/ops/payouts/1", "/ops/payouts/1"),
            ("/connect/x", "/ops"),
            ("/ops/acts/pause", "/ops"),
        ):
            came = {"referer": f"http://127.0.0.1{page}"}
            assert (await browser.get("/ops/language/en", headers=came)).headers["location"] == leads


async def test_what_went_wrong_says_whose_turn_it_is(desk: Desk) -> None:
    """A 403 of a person's blocked account is none of our key; nobody is told of what went well."""
    await desk.api.fetch(
        "INSERT INTO exchanges (at, partner, operation, effect, subject, status, left_us, took_ms)"
        " SELECT now(), 'dana', operation, 'write', 's', status, true, 5 FROM (VALUES ('payout.topup', 403),"
        " ('payout.topup', 403), ('identity.token', 401), ('payout.status', NULL), ('payout.balance', 200))"
        " AS t (operation, status)"
    )
    async with desk.signed_in("auditor") as browser:
        overview = (await browser.get("/ops")).text
        assert "tanpa jawaban 1, 401 1, 403 2" in overview
        page = (await browser.get("/ops/partners/dana")).text
        told = re.findall(r'<td class="id">([\w.]+)</td><td>(tanpa jawaban|\d+).*?</td><td class="n">(\d+)', page)
        assert sorted(told) == [
            ("identity.token", "401", "1"), ("payout.status", "tanpa jawaban", "1"), ("payout.topup", "403", "2"),
        ]  # fmt: skip
        assert "Giliran peserta" in page and "gateway doctor" in page and "payout.balance" not in page
        assert "Giliran peserta" not in (await browser.get("/ops/partners/ovo")).text
        record = (await browser.get("/ops/audit")).text
        assert "roles: operator" in record and "[" not in re.sub("<[^>]*>", "", record), "as people write it"
        strange = await browser.get("/ops/payouts?payout_state=nowhere")
        assert "tidak dapat dibaca" in strange.text and ">400<" not in strange.text


async def test_what_is_not_due_yet_is_not_called_ready_without_a_word(desk: Desk) -> None:
    await batch_of(desk, range(1, 6))
    await desk.api.fetch(
        "UPDATE participants SET link_active = true, verified = true, verified_until = now() + interval '1 day'"
    )
    await desk.api.fetch("UPDATE incentives SET due_on = current_date + 9, approved = true WHERE id % 2 = 0")
    await desk.api.fetch("UPDATE incentives SET approved = true, due_on = current_date - 9 WHERE id % 2 = 1")
    (ready,) = await desk.api.fetch(
        "SELECT count(*) AS n FROM incentives WHERE stage = 'scheduled' AND blocker IS NULL AND due_on > current_date"
    )
    async with desk.signed_in("operator") as browser:
        shown = (await browser.get("/ops")).text
    assert ready["n"] and f"{ready['n']} belum jatuh tempo" in shown


async def test_an_approver_sees_which_rows_were_refused_and_what_to_do(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MOST", 2)
    rows = [row(number) | ({"nik": "31740142"} if number > 2 else {}) for number in range(1, 6)]
    batch = (await desk.api.submit(as_csv(rows), key="odd")).json()
    assert batch["rows_rejected"] == 3
    page, lines = f"/ops/batches/{batch['batch_id']}", list[str]()
    async with desk.signed_in("approver") as browser:
        assert "nik_invalid 3" in (await browser.get("/ops")).text
        for address in (page, f"{page}?after=5"):
            shown = (await browser.get(address)).text
            lines += re.findall(r'<td class="n">(\d+)</td><td class="id">P', shown)
            assert "Cocokkan NIK dengan KTP" in shown and "31740142" not in shown
            assert ('rel="next" href="?after=5"' in shown) is (address == page)
    assert lines == ["4", "5", "6"], "as the file counts them"


async def test_a_refresh_reads_once_what_stands_still(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, real = list[Any](), standstill.read

    async def read(*arguments: Any) -> Any:
        asked.append(arguments)
        return await real(*arguments)

    monkeypatch.setattr(standstill, "read", read)
    async with desk.signed_in("auditor") as browser:
        assert (await browser.get("/ops/live")).status_code == 200
    assert len(asked) == 1


class Ids(HTMLParser):
    """The ids of a page, and what refers to one."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids, self.references = list[str](), set[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name in ("for", "aria-describedby", "aria-labelledby"):
                self.references |= set(str(value).split())


async def test_an_id_stands_once_and_what_refers_to_it_finds_it(desk: Desk) -> None:
    """Of two forms of one kind a label was the first one's twice: who clicked at the second filled in the first."""
    batch = await batch_of(desk, range(1, 4))
    await desk.api.fetch(
        "INSERT INTO webhook_endpoints (id, client_id, url, secret_sealed, created_at)"
        " SELECT 'we' || n, (SELECT min(id) FROM clients), 'https://a.test/' || n, '', now()"
        " FROM generate_series(1, 2) AS n"
    )
    async with desk.signed_in("operator") as browser:
        for address in (
            "webhooks",
            "partners/ovo",
            f"batches/{batch['batch_id']}",
            "reconciliations",
            "participants/x",
        ):
            page = Ids((await browser.get(f"/ops/{address}")).text)
            assert len(set(page.ids)) == len(page.ids), address
            assert page.references <= set(page.ids), address
        assert "try-we2-reason" in Ids((await browser.get("/ops/webhooks")).text).ids
