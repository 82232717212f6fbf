"""docs/api.md: this participant ends as ..., row by row, through `/v1` alone, with BNI's real adapter and mock."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core import build_core
from gateway.services.each import each
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.app import app_of
from tests.gateway.payouts.city import City, open_city

_TEXT = (Path(__file__).parents[3] / "docs/api.md").read_text("utf-8")
_SECTION = _TEXT.partition("## This participant ends as")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip(" `") for cell in line.strip("|").split("|")] for line in _SECTION.splitlines() if line[:3] == "| `"
]
ROWS = [cells for cells in ROWS if cells[0] != "account"]
PERSON = "P-1"


@pytest.fixture
async def city(database: str) -> AsyncIterator[City]:
    """Real adapters before the mock partners, on a clock of its own."""
    async with open_city(database) as opened:
        yield opened


def test_the_table_is_read() -> None:
    assert len(ROWS) >= 9 and {len(cells) for cells in ROWS} == {7}


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: f"{cells[0]}-{cells[5] or cells[4]}")
async def test_each_row_ends_as_the_table_says(city: City, cells: list[str]) -> None:
    account, card, nik, otp, stage, blocker, owner = cells
    core = build_core(city.resources)
    transport = httpx.ASGITransport(app_of(core), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        api = await Api.open(core, http)
        phone = {"0115476151": "+6281200000151", "0115476152": "+6281200000152"}.get(account, f"+62812{account[-8:]}")
        line = row(1, participant_id=PERSON, partner="bni", account=account, nik=nik, phone=phone)
        batch = (await api.submit(as_csv([line | {"due_on": "2026-11-01"}]))).json()
        for role in ("one", "two"):
            assert (await api.decide(batch, role)).status_code == 200
        if re.fullmatch("[0-9]+", card):
            await _link(api, city, card, phone, otp)
        for _ in range(8):
            await core.verification.tick()
            await each("send", await core.payouts.claim("bni", 32), core.payouts.send)
            await each("follow", await core.payouts.claim_followed("bni", 32), core.payouts.follow)
            await city.pass_time(60.0)
        (found,) = (await api.call("GET", f"/v1/incentives?participant_id={PERSON}")).json()["incentives"]
        why = found["blocker"] or {}
        assert (found["stage"], why.get("code", ""), why.get("owner", "")) == (stage, blocker, owner)
        assert len(city.bookings()) == (stage == "paid")
        (line,) = (await api.call("GET", batch["results_url"])).json()["rows"]
        assert (line["partner"], line["amount_rupiah"]) == ("bni", 600_000)
        (payout,) = (await api.call("GET", "/v1/payouts?state=succeeded")).json()["payouts"] or [{}]
        for told, known in (("paid_at", "ended_at"), ("partner_reference", "partner_reference")):
            assert line[told] == payout.get(known), told
            assert (line[told] is not None) == (stage == "paid"), told


async def _link(api: Api, city: City, card: str, phone: str, otp: str) -> None:
    body = {"participant_id": PERSON, "return_url": "https://core.test/back"}
    link = (await api.call("POST", "/v1/links", json=body)).json()
    path = f"/v1/links/{link['link_id']}/inputs"
    shown: dict[str, Any] = (await api.call("POST", path, json={"inputs": {"card_no": card}})).json()
    if not otp:
        assert shown["state"] == "failed", shown
        return
    box = "http://bni.mock/__mock__/sms"
    sent = await city.sides["bni"].answer("GET", f"/__mock__/sms?phone={phone.replace('+', '%2B')}", {"host": box}, b"")
    (code,) = re.findall(rb'"code": ?"([0-9]{6})"', sent.body)
    typed = code.decode() if otp == "as sent" else f"{(int(code) + 1) % 1_000_000:06d}"
    for _ in range(1 if otp == "as sent" else 3):
        shown = (await api.call("POST", path, json={"inputs": {"otp": typed}})).json()
    assert shown["state"] == ("active" if otp == "as sent" else "failed"), shown
