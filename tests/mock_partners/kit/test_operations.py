"""Every call that a mock serves has a word in the scenario language, and no word is without a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mock_partners.bni import CREDENTIALS
from mock_partners.bni.onegate import CLIENT_ID
from mock_partners.kit.host import operations
from mock_partners.kit.scenario import roles
from mock_partners.kit.scenario.roles import ROLES, concerns, roles_of
from mock_partners.pytest import PartnerInProcess
from mock_partners.registry import PARTNERS
from tests.mock_partners.bni.test_onegate import jwt, payment
from tests.mock_partners.kit.staged import toml

SERVED = {partner: operations(partner) for partner in PARTNERS}
KNOWN = CREDENTIALS["one_gate_payment"]


def test_every_served_call_has_one_word() -> None:
    """OVO's account inquiry alone has two: with an identificationNo it is the NIK check (decisions O7)."""
    without = [(partner, one) for partner, served in SERVED.items() for one in served if not roles_of(one)]
    several = {one: roles_of(one) for served in SERVED.values() for one in served if len(roles_of(one)) > 1}
    assert without == [], "give its path a word in its scenario.toml"
    hint = (
        "a path that ends like another partner's is written whole in scenario.toml, with its first slash"
        f" (`POST /v1/payouts`), or has the word that it has there: {several}"
    )
    assert [*several] == ["POST /OVOSNAP/v2.0/emoney/account-inquiry"], hint


def test_a_word_that_is_none_is_refused_with_its_file_and_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "_told", lambda partner, table: {"pay-out": ("x",)} if partner == "ovo" else {})
    with pytest.raises(
        ValueError, match=r"mock_partners/ovo/scenario.toml, \[words\]: pay-out .* payout-create, payout,"
    ):
        roles._united()


@pytest.mark.parametrize("word", ROLES)
def test_every_word_and_each_of_its_ends_means_a_served_call(word: str) -> None:
    all_served = [one for served in SERVED.values() for one in served]
    idle = [end for end in ROLES[word] if not any(concerns(end, one) for one in all_served)]
    assert idle == []


class OneGate:
    """A One Gate Payment client of a staged mock."""

    def __init__(self, partner: PartnerInProcess) -> None:
        self.partner, self.token = partner, ""

    async def ask(self, operation: str, body: dict[str, Any]) -> httpx.Response:
        http = self.partner.http
        if not self.token:
            asked = {"data": {"grant_type": "client_credentials"}, "auth": (KNOWN["client_id"], KNOWN["client_secret"])}
            self.token = (await http.post("/api/oauth/token", **asked)).json()["access_token"]
        full = {"clientId": CLIENT_ID, **body}
        full["signature"] = jwt(full)
        return await http.post(
            f"/H2H/v2/{operation}",
            params={"access_token": self.token},
            json=full,
            headers={"x-api-key": KNOWN["api_key"]},
        )


OGP = {
    "getbalance": ("balance", {"accountNo": "113183203"}),
    "getinhouseinquiry": ("inquiry", {"accountNo": "115471119"}),
    "dopayment": ("payout", payment()),
    "getpaymentstatus": ("status", {"customerReferenceNumber": "20170227000000000020"}),
    "getinterbankinquiry": ("inquiry", {
        "customerReferenceNumber": "20180930112233003", "accountNum": "113183203", "destinationBankCode": "014",
        "destinationAccountNum": "3333333333",
    }),
    "getinterbankpayment": ("payout", {
        "customerReferenceNumber": "20180930112233003", "amount": "10000", "destinationAccountNum": "3333333333",
        "destinationAccountName": "X", "destinationBankCode": "014", "destinationBankName": "BCA",
        "accountNum": "113183203", "retrievalReffNum": "100000000024",
    }),
}  # fmt: skip


@pytest.mark.parametrize("operation", OGP)
async def test_one_gate_payment_obeys_a_scenario(mock_partner: Callable[..., PartnerInProcess], operation: str) -> None:
    partner = mock_partner("bni")
    word, body = OGP[operation]
    client = OneGate(partner)
    assert (await client.ask(operation, body)).status_code in (200, 400)
    partner.set_scenario(toml('outage = "unavailable"', f'operation = "{word}"\nto = 1'))
    assert (await client.ask(operation, body)).status_code == 503
    assert (await client.ask(operation, body)).status_code in (200, 400)
    partner.set_scenario(toml("drop_after_booking = true", f'operation = "H2H/v2/{operation}"'))
    with pytest.raises(httpx.ReadError):
        await client.ask(operation, body)


async def test_a_one_gate_payment_is_found_by_its_reference_amount_and_code(
    mock_partner: Callable[..., PartnerInProcess],
) -> None:
    partner = mock_partner("bni")
    client = OneGate(partner)
    when = 'operation = "payout"\nreference = "2017*20"\namount = { min = 100500 }\naccount = "115471119"'
    partner.set_scenario(toml("drop_after_booking = true", when))
    with pytest.raises(httpx.ReadError):
        await client.ask("dopayment", payment())
    assert [booking.amount_rupiah for booking in partner.world.books] == [100_500]
    assert (await client.ask("dopayment", payment("20170227000000000021"))).status_code == 200
    assert partner.requests()[-1]["code"] == "0001"
