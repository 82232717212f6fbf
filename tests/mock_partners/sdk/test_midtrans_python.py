"""Midtrans' own Python client against the GoPay mock: the Core API's account linking (wallets.md 2.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mock_partners.sdk.conftest import Served
from tests.mock_partners.sdk.consent import agree

midtransclient = pytest.importorskip(
    "midtransclient", reason="Midtrans' Python client was NOT run: midtransclient==1.4.2 is not installed"
)
PHONE = "8215023424"


def core(gopay: Served, key: str = "") -> Any:
    """The client with the mock as its sandbox: the base URL is an attribute of its public configuration."""
    client = midtransclient.CoreApi(server_key=key or gopay.credentials["core_server_key"])
    client.api_config.CORE_SANDBOX_BASE_URL = gopay.url
    return client


def asked(phone: str = PHONE, redirect_url: str = "https://shop.example.test/back") -> dict[str, Any]:
    partner = {"phone_number": phone, "country_code": "62", "redirect_url": redirect_url}
    return {"payment_type": "gopay", "gopay_partner": partner}


def test_link_get_unlink(gopay: Served) -> None:
    client = core(gopay)
    made = client.link_payment_account(asked())
    assert (made["status_code"], made["account_status"]) == ("201", "PENDING")
    account_id = made["account_id"]
    assert client.get_payment_account(account_id)["account_status"] == "PENDING"
    with pytest.raises(midtransclient.error_midtrans.MidtransAPIError) as pending:
        client.unlink_payment_account(account_id)
    assert pending.value.api_response_dict["status_code"] == "412"
    page = next(action["url"] for action in made["actions"] if action["name"] == "activation-link-url")
    assert agree(page, phone=PHONE, otp="987654", pin="112233") == "https://shop.example.test/back"
    found = client.get_payment_account(account_id)
    assert (found["status_code"], found["account_status"]) == ("200", "ENABLED")
    assert found["metadata"]["payment_options"][0]["name"] == "GOPAY_WALLET"
    gone = client.unlink_payment_account(account_id)
    assert (gone["status_code"], gone["account_status"], gone["channel_response_code"]) == ("204", "DISABLED", "0")
    assert client.get_payment_account(account_id)["account_status"] == "DISABLED"
    assert [notice.path for notice in gopay.notices] == ["/callbacks/gopay/v2/pay/account"] * 2


@pytest.mark.parametrize(("phone", "code"), [("123450001", "105"), ("123450002", "106"), ("8271939753", "106")])
def test_refusals_of_the_provider_are_no_errors(gopay: Served, phone: str, code: str) -> None:
    told = core(gopay).link_payment_account(asked(phone))
    assert (told["status_code"], told["channel_response_code"]) == ("202", code)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (asked("0" + PHONE), 400), ({"payment_type": "gopay"}, 400), ({"payment_type": "ovo"}, 400),
    ],
)  # fmt: skip
def test_bad_requests(gopay: Served, body: dict[str, Any], status: int) -> None:
    with pytest.raises(midtransclient.error_midtrans.MidtransAPIError) as refused:
        core(gopay).link_payment_account(body)
    assert refused.value.http_status_code == status


def test_a_wrong_key_and_an_unknown_account(gopay: Served) -> None:
    with pytest.raises(midtransclient.error_midtrans.MidtransAPIError) as refused:
        core(gopay, "SB-Mid-server-another").link_payment_account(asked())
    assert refused.value.api_response_dict["status_code"] == "401"
    with pytest.raises(midtransclient.error_midtrans.MidtransAPIError) as unknown:
        core(gopay).get_payment_account("00000000-0000-4000-8000-000000000000")
    assert (unknown.value.http_status_code, unknown.value.api_response_dict["status_code"]) == (200, "404")


def test_a_page_with_a_wrong_otp_links_nothing(gopay: Served) -> None:
    made = core(gopay).link_payment_account(asked())
    page = next(action["url"] for action in made["actions"] if action["name"] == "activation-link-app")
    back = agree(page, phone=PHONE, otp="000000", pin="112233")
    assert back == "https://shop.example.test/back"
    assert core(gopay).get_payment_account(made["account_id"])["account_status"] == "PENDING"
