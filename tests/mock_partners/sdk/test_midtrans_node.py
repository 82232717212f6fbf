"""Midtrans' own Node client against the GoPay mock: Core, Iris and its SnapBi class (wallets.md 2.2-2.7)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from mock_partners.kit.clock import Clock
from tests.mock_partners.sdk.conftest import ANSWER_S, Driver, Served
from tests.mock_partners.sdk.consent import agree
from tests.mock_partners.signing import rsa_signature

PHONE = "+628215023424"
RECIPIENT = "08215023424"


@pytest.fixture
def node(gopay: Served, node_packages: Path) -> Iterator[Driver]:
    given = gopay.credentials["credentials"]
    snap = {
        "client_id": given["snap_client_id"], "client_secret": given["snap_client_secret"],
        "private_key": given["snap_private_key_pem"], "partner_id": given["snap_partner_id"],
        "channel_id": given["channel_id"], "device_id": given["device_id"],
    }  # fmt: skip
    snaps = {"right": snap, "wrong secret": {**snap, "client_secret": "another"}}
    snaps["wrong client"] = {**snap, "client_id": "another"}
    settings = json.dumps({"base": gopay.url, "snap": snaps})
    driver = Driver("node", "driver.js", settings, cwd=node_packages)
    yield driver
    driver.close()


def value(told: dict[str, Any]) -> Any:
    assert "value" in told, told
    return told["value"]


def payout(**changes: Any) -> dict[str, Any]:
    return {
        "beneficiary_name": "Budi Santoso", "beneficiary_account": RECIPIENT, "beneficiary_bank": "gopay",
        "beneficiary_email": "budi@example.test", "amount": "50000.00", "notes": "N1", **changes,
    }  # fmt: skip


class Iris:
    """The client's Iris object under each of the two keys."""

    def __init__(self, gopay: Served, node: Driver) -> None:
        self._node = node
        given = gopay.credentials["credentials"]
        self.keys = {"creator": given["iris_creator_key"], "approver": given["iris_approver_key"], "none": "another"}

    def ask(self, who: str, method: str, *args: Any) -> dict[str, Any]:
        return self._node.ask(object="iris", key=self.keys[who], method=method, args=list(args))


@pytest.fixture
def iris(gopay: Served, node: Driver) -> Iris:
    return Iris(gopay, node)


def test_core_link_get_unlink(gopay: Served, node: Driver) -> None:
    def ask(method: str, *args: Any, key: str = gopay.credentials["core_server_key"]) -> dict[str, Any]:
        return node.ask(object="core", key=key, method=method, args=list(args))

    partner = {"phone_number": "8215023424", "country_code": "62", "redirect_url": "https://shop.example.test/back"}
    asked = {"payment_type": "gopay", "gopay_partner": partner}
    made = value(ask("linkPaymentAccount", asked))
    assert value(ask("getPaymentAccount", made["account_id"]))["account_status"] == "PENDING"
    assert ask("unlinkPaymentAccount", made["account_id"])["status"] == "412"
    assert ask("getPaymentAccount", "dummy")["status"] == ask("unlinkPaymentAccount", "dummy")["status"] == "404"
    agree(made["actions"][0]["url"], phone=PHONE, otp="987654", pin="112233")
    assert value(ask("getPaymentAccount", made["account_id"]))["account_status"] == "ENABLED"
    assert value(ask("unlinkPaymentAccount", made["account_id"]))["account_status"] == "DISABLED"
    assert ask("linkPaymentAccount", asked, key="another")["status"] == 401


def test_iris_create_approve_status_balance_statements(gopay: Served, iris: Iris) -> None:
    assert value(iris.ask("creator", "ping")) == "pong"
    before = float(value(iris.ask("creator", "getBalance"))["balance"])
    made = value(iris.ask("creator", "createPayouts", {"payouts": [payout(), payout(amount="10000", notes="N2")]}))
    assert [row["status"] for row in made["payouts"]] == ["queued", "queued"]
    first, second = (row["reference_no"] for row in made["payouts"])
    assert value(iris.ask("approver", "approvePayouts", {"reference_nos": [first], "otp": "335163"})) == {
        "status": "ok"
    }
    rejected = {"reference_nos": [second], "reject_reason": "not today"}
    assert value(iris.ask("approver", "rejectPayouts", rejected)) == {"status": "ok"}
    until = time.monotonic() + ANSWER_S
    while (found := value(iris.ask("creator", "getPayoutDetails", first)))["status"] != "completed":
        assert time.monotonic() < until
    assert (found["amount"], found["beneficiary_account"], found["reference_no"]) == ("50000.00", RECIPIENT, first)
    assert value(iris.ask("creator", "getPayoutDetails", second))["status"] == "rejected"
    assert before - float(value(iris.ask("creator", "getBalance"))["balance"]) == 50000
    today = f"{Clock().today()}"
    rows = value(iris.ask("creator", "getTransactionHistory", {"from_date": today, "to_date": today}))
    assert [(row["reference_no"], row["amount"], row["type"]) for row in rows] == [(first, "50000.00", "Payout")]


def test_iris_side_calls(iris: Iris) -> None:
    entry = {"name": "Budi", "account": RECIPIENT, "bank": "gopay", "alias_name": "budi", "email": "b@example.test"}
    assert value(iris.ask("creator", "createBeneficiaries", entry)) == {"status": "created"}
    assert iris.ask("creator", "createBeneficiaries", entry)["status"] == 400
    changed = {**entry, "name": "Budi S", "alias_name": "budis"}
    assert value(iris.ask("creator", "updateBeneficiaries", "budi", changed)) == {"status": "updated"}
    assert [row["alias_name"] for row in value(iris.ask("creator", "getBeneficiaries"))] == ["budis"]
    banks = value(iris.ask("creator", "getBeneficiaryBanks"))["beneficiary_banks"]
    assert "gopay" in {bank["code"] for bank in banks}
    assert value(iris.ask("creator", "getTopupChannels"))[0]["virtual_account_number"]
    account = {"bank": "gopay", "account": RECIPIENT}
    assert value(iris.ask("creator", "validateBankAccount", account))["account_name"] == "BUDI SANTOSO"
    assert iris.ask("creator", "validateBankAccount", {**account, "account": "081999999999"})["status"] == 400
    elsewhere = {"bank": "mandiri", "account": "1111222233333"}
    assert value(iris.ask("creator", "validateBankAccount", elsewhere))["account_no"] == "1111222233333"
    bca = {**entry, "account": "0611101146", "bank": "bca", "alias_name": "budisusantoo"}
    assert value(iris.ask("creator", "createBeneficiaries", bca)) == {"status": "created"}
    assert "already been taken" in iris.ask("creator", "createBeneficiaries", bca)["body"]["errors"][0]
    to_bca = payout(beneficiary_bank="bca", beneficiary_account="0611101146")
    assert value(iris.ask("creator", "createPayouts", {"payouts": [to_bca]}))["payouts"][0]["status"] == "queued"
    assert value(iris.ask("creator", "getTransactionHistory")) == []


def test_iris_refusals(iris: Iris) -> None:
    made = value(iris.ask("creator", "createPayouts", {"payouts": [payout()]}))
    number = made["payouts"][0]["reference_no"]
    for who, method in (("creator", "approvePayouts"), ("creator", "rejectPayouts"), ("none", "approvePayouts")):
        told = iris.ask(who, method, {"reference_nos": [number], "reject_reason": "no"})
        assert told["status"] == 401
        assert ("denied" if who == "none" else "not authorized") in told["body"]["error_message"]
    assert iris.ask("none", "getBalance")["status"] == 401
    for told in (iris.ask("creator", "getFacilitatorBankAccounts"), iris.ask("creator", "getFacilitatorBalance", "b1")):
        assert "not authorized" in told["error"]
    unknown = iris.ask("approver", "approvePayouts", {"reference_nos": ["0"]})
    assert unknown["body"]["errors"] == ["Payouts not found. Please check reference nos"]
    assert value(iris.ask("approver", "approvePayouts", {"reference_nos": [number]})) == {"status": "ok"}
    again = iris.ask("approver", "approvePayouts", {"reference_nos": [number]})
    assert (again["status"], again["body"]["errors"]) == (400, [f"Reference nos '{number}' are not queued"])
    bad = iris.ask("creator", "createPayouts", {"payouts": [payout(amount="x", beneficiary_bank="nowhere")]})
    expected = ["Amount is not a number", "Beneficiary bank is not included in the list"]
    assert bad["body"] == {"error_message": "An error occurred when creating payouts", "errors": [expected]}
    assert iris.ask("creator", "getPayoutDetails", "0")["status"] == 404


def test_snap_bi_tokens(node: Driver) -> None:
    told = value(node.ask(object="snap", key="right", method="getAccessToken", args=[]))
    assert (told["responseCode"], told["tokenType"], told["expiresIn"]) == ("2007300", "Bearer", "900")
    wrong = value(node.ask(object="snap", key="wrong client", method="getAccessToken", args=[]))
    assert wrong["responseCode"] == "4017300"


def test_snap_bi_links_pays_out_and_verifies_the_notification(gopay: Served, node: Driver) -> None:
    """SnapBi signs any path: `apiPath` is a public field of it, and its clock has milliseconds and `Z`."""
    numbers = iter(range(1, 100))
    given = gopay.credentials["credentials"]

    def ask(path: str, body: Any, token: str = "", key: str = "right", number: int | None = None) -> dict[str, Any]:
        headers = {"Authorization-Customer": f"Bearer {token}"} if token else {}
        external_id = str(next(numbers) if number is None else number)
        told: dict[str, Any] = value(
            node.ask(object="snap", key=key, method="createConnection", args=[path, body, headers, external_id])
        )
        return told

    binding = "/v1.0/registration-account-binding"
    asked = {"merchantId": given["payment_handle"], "authCode": auth_code(gopay), "grantType": "AUTHORIZATION_CODE"}
    assert ask(binding, asked, key="wrong secret")["responseCode"] == "4010700"
    bound = ask(binding, asked)
    assert bound["responseCode"] == "2000700"
    assert ask(binding, asked)["responseCode"] == "4040711"
    token = bound["accessTokenInfo"]["accessToken"]
    inquiry = "/v1.0/registration-account-inquiry"
    assert ask(inquiry, {"additionalInfo": {}}, token, number=50)["responseCode"] == "2000800"
    assert ask(inquiry, {"additionalInfo": {}}, token, number=50)["responseCode"] == "4090800"
    assert ask(inquiry, {"additionalInfo": {}}, "another")["responseCode"] == "4010802"
    amount = {"value": "50000.00", "currency": "IDR"}
    info = {"additionalInfo": {"beneficiaryProvider": "gopay"}}
    known = ask("/v1.0/emoney/account-inquiry", {"customerNumber": RECIPIENT, "amount": amount, **info})
    assert (known["responseCode"], known["customerName"]) == ("2003700", "BUDI SANTOSO")
    topup = {
        "partnerReferenceNo": "PAYOUT-1", "customerNumber": RECIPIENT, "customerName": "BUDI SANTOSO",
        "amount": amount, "notes": "héllo", **info,
    }  # fmt: skip
    assert ask("/v1.0/emoney/topup", topup)["responseCode"] == "4003801"
    topup["notes"] = "loan 0001"
    assert ask("/v1.0/emoney/topup", topup)["responseCode"] == "2003800"
    assert ask("/v1.0/emoney/topup", topup)["responseCode"] == "4093801"
    status = ask("/v1.0/transfer/status", {"originalPartnerReferenceNo": "PAYOUT-1", "serviceCode": "38"})
    assert (status["responseCode"], status["latestTransactionStatus"]) == ("2003600", "00")
    unbinding = "/v1.0/registration-account-unbinding"
    assert ask(unbinding, {"merchantId": given["payment_handle"]}, token)["responseCode"] == "2000900"
    assert ask(inquiry, {"additionalInfo": {}}, token)["responseCode"] == "4010802"
    linked = [notice for notice in gopay.notices if notice.path.endswith("registration-account/notify")]
    assert len(linked) == 2
    for notice in linked:
        signed = [notice.path, json.loads(notice.body), notice.headers["X-SIGNATURE"], notice.headers["X-TIMESTAMP"]]
        for timestamp, expected in ((signed[3], True), ("2026-01-15T10:00:00+07:00", False)):
            args = [*signed[:3], timestamp, given["midtrans_public_key_pem"]]
            verified = node.ask(object="snap", key="right", method="isWebhookNotificationVerified", args=args)
            assert value(verified) is expected


def auth_code(gopay: Served) -> str:
    """What the browser brings back from get-auth-code and GoPay's page."""
    given = gopay.credentials["credentials"]
    data = quote("mobileNumber=628215023424&paymentType=gopay", safe="")
    sign = quote(rsa_signature(given["snap_private_key_pem"], data), safe="")
    back = quote("http://merchant.example.test/callbacks/gopay/link", safe="")
    query = f"state=s1&merchantId={given['payment_handle']}&lang=id&scopes=DEFAULT&redirectUrl={back}"
    url = f"{gopay.url}/v1.0/get-auth-code?{query}&seamlessData={data}&seamlessSign={sign}"
    returned = agree(url, phone=PHONE, otp="987654", pin="112233")
    return parse_qs(urlsplit(returned).query)["authCode"][0]
