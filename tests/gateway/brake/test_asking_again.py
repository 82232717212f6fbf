"""`POST /v1/partners/{partner}/ask-again`: who may, about what, and that it is on record."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.api.conftest import api, core, http
from tests.gateway.api.kit import Api

__all__ = ["api", "core", "http"]

SINCE = "2026-11-01T00:00:00+07:00"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"stage": "payout", "since": SINCE}, 200),
        ({"stage": "verify", "since": SINCE, "until": SINCE, "code": "4041511"}, 200),
        ({"stage": "link", "since": SINCE}, 200),
        ({"stage": "statement", "since": SINCE}, 422),
        ({"stage": "payout"}, 422),
        ({"stage": "payout", "since": "2026-11-01T00:00:00"}, 422),
        ({"stage": "payout", "since": SINCE, "code": ""}, 422),
        ({"stage": "payout", "since": SINCE, "who": "all"}, 422),
    ],
)
async def test_what_may_be_asked(api: Api, body: dict[str, Any], status: int) -> None:
    before = await api.state()
    reply = await api.call("POST", "/v1/partners/bni/ask-again", role="operator", json=body)
    assert reply.status_code == status, reply.text
    if status == 200:
        assert reply.json() == {"asked": 0}
        (row,) = await api.fetch("SELECT * FROM audit_log WHERE action = 'partner.ask_again'")
        assert (row["actor"], row["subject"]) == (api.ids["operator"], "bni")
    else:
        assert await api.state() == before


async def test_only_operators_and_only_of_a_partner_that_is_there(api: Api) -> None:
    body = {"stage": "payout", "since": SINCE}
    for role in ("maker", "one", "reader"):
        assert (await api.call("POST", "/v1/partners/bni/ask-again", role=role, json=body)).status_code == 403
    assert (await api.call("POST", "/v1/partners/none/ask-again", role="operator", json=body)).status_code == 404
