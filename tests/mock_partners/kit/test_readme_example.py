"""The smallest mock in mock_partners/README.md runs as printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

import mock_partners
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, MockApp, Reply, Route
from mock_partners.kit.keys import Key, private_pem
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from tests.mock_partners.signing import SnapClient
from tests.mock_partners.wire import must_be_written


async def test_the_smallest_mock_pays_once() -> None:
    text = (Path(mock_partners.__file__).parent / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    clock, world = Clock(), World("ovo")
    world.add_missing([Account("ovo", "+628123456789", "+628123456789", "BUDI", "3174052209989901", "full", "active")])
    app = names["create_app"](world, clock=clock, waits=Waits(), notify_base="http://none")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mock") as http:
        snap = SnapClient(
            http, client_key="client-1", partner_id="partner-1", secret="secret", pem=private_pem(Key.WALLETS),
            token_path="/v1.0/access-token/b2b", now=clock.now,
        )  # fmt: skip
        assert (await snap.authenticate()).json()["responseCode"] == "2007300"
        body = {
            "partnerReferenceNo": "R1", "customerNumber": "08123456789",
            "amount": {"value": "600000.00", "currency": "IDR"},
        }  # fmt: skip
        codes = [(await snap.post("/v1.0/emoney/topup", body)).json()["responseCode"] for _ in range(2)]
        books = (await http.get("/__mock__/books")).text.splitlines()
    assert codes == ["2003800", "4093801"]
    assert len(books) == 1
    assert world.accounts["+628123456789"].balance_rupiah == 600_000


async def test_a_blank_of_a_mock_says_what_to_write_and_a_bug_of_it_quotes_nobody() -> None:
    async def blank(_call: Call) -> Reply:
        raise NotImplementedError("newpay, mock linking.bind: opens a page (sheet 3)")

    async def bug(_call: Call) -> Reply:
        raise ValueError("what a person sent")

    app = MockApp([Route("GET", "/blank", blank), Route("GET", "/bug", bug)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mock") as http:
        told = [await http.get(path) for path in ("/blank", "/bug")]
    assert [reply.status_code for reply in told] == [500, 500]
    assert told[0].text == "to be written: newpay, mock linking.bind: opens a page (sheet 3)"
    assert "person" not in told[1].text
    with pytest.raises(pytest.fail.Exception, match=r"newpay, mock linking\.bind"):
        must_be_written(told[0].content)
    must_be_written(told[1].content)
