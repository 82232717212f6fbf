"""BNI's own Python SDK against the BNI mock: One Gate Payment and SNAP, and the codes of the SDK's own tests (2.3)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.mock_partners.sdk.conftest import Driver, Served

REFERENCES = (f"2026011500000000{number:04d}" for number in itertools.count(1))


def settings(bni: Served, **changes: str) -> dict[str, str]:
    known = bni.credentials["one_gate_payment"]
    names = {"app_name": "appName", "client_id": "clientId", "client_secret": "clientSecret"}
    names |= {"api_key": "apiKey", "api_secret": "apiSecret"}
    return {**{sdk: known[ours] for ours, sdk in names.items()}, **changes}


def transfer(**changes: Any) -> dict[str, Any]:
    reference = next(REFERENCES)
    return {
        "partnerReferenceNo": reference, "amount": {"value": "55000.00", "currency": "IDR"},
        "beneficiaryAccountNo": "0115476151", "beneficiaryEmail": "", "customerReference": reference,
        "currency": "IDR", "remark": reference, "feeType": "OUR", "sourceAccountNo": "0115476117",
        "transactionDate": "", "additionalInfo": {"deviceId": "", "channel": ""}, **changes,
    }  # fmt: skip


def to_other_bank(**changes: Any) -> dict[str, Any]:
    more = {
        "beneficiaryAccountName": "HANS WIJAYA", "beneficiaryAccountNo": "0000000986", "beneficiaryBankCode": "014",
        "beneficiaryBankName": "BCA", "sourceAccountNo": "1000161562", "beneficiaryAddress": "Jakarta",
        "beneficiaryCustomerResidence": "1", "beneficiaryCustomerType": "2", "kodepos": "-", "recieverPhone": "-",
        "senderCustomerResidence": "-", "senderCustomerType": "-", "senderPhone": "",
    }  # fmt: skip
    return transfer(**{**more, **changes})


INQUIRY = {"partnerReferenceNo": "2023062601000000000509"}
OUTSIDE = {"beneficiaryBankCode": "CENAIDJA", "sourceAccountNo": "0115476151", "beneficiaryAccountNo": "3333333333"}
NO_DECIMALS = {"value": "110000010", "currency": "IDR"}
SNAP = [
    ("balanceInquiry", {**INQUIRY, "accountNo": "0115476117"}, "2001100"),
    ("balanceInquiry", {**INQUIRY, "accountNo": ""}, "4001101"),
    ("balanceInquiry", {**INQUIRY, "accountNo": "0115476286"}, "4001101"),
    ("balanceInquiry", {**INQUIRY, "accountNo": "0317471619"}, "4001101"),
    ("internalAccountInquiry", {**INQUIRY, "beneficiaryAccountNo": "317125693"}, "2001500"),
    ("internalAccountInquiry", {**INQUIRY, "beneficiaryAccountNo": ""}, "4001501"),
    ("internalAccountInquiry", {**INQUIRY, "beneficiaryAccountNo": "1000287621"}, "4001501"),
    ("externalAccountInquiry", {**INQUIRY, "beneficiaryBankCode": "014", "beneficiaryAccountNo": "986"}, "2001600"),
    ("externalAccountInquiry", {**INQUIRY, "beneficiaryBankCode": "014", "beneficiaryAccountNo": ""}, "4001601"),
    ("transferIntraBank", transfer(), "2001700"),
    ("transferIntraBank", transfer(sourceAccountNo="0114754574"), "4031714"),
    ("transferInterBank", to_other_bank(amount={"value": "20000", "currency": "IDR"}), "2001800"),
    ("transferInterBank", to_other_bank(sourceAccountNo="0317709144"), "4031814"),
    ("transferRTGS", to_other_bank(**OUTSIDE), "2002200"),
    ("transferRTGS", to_other_bank(**{**OUTSIDE, "beneficiaryAccountNo": ""}), "4002201"),
    ("transferRTGS", to_other_bank(**OUTSIDE, amount=NO_DECIMALS), "4002201"),
    ("transferSKNBI", to_other_bank(**{**OUTSIDE, "beneficiaryBankCode": "CENAIDJAXXX"}), "2002300"),
    ("transferSKNBI", to_other_bank(**{**OUTSIDE, "beneficiaryAccountNo": ""}), "4002301"),
]  # fmt: skip


def test_snap_answers_the_codes_that_the_sdks_own_tests_assert(bni: Served, bni_sdk: Driver) -> None:
    for method, params, expected in SNAP:
        told = bni_sdk.ask(settings=settings(bni), family="snap", method=method, params=params)
        if expected.startswith("200"):
            assert told.get("value", told).get("responseCode") == expected, (method, told)
        else:
            assert f"{expected} : " in told["error"], (method, told)


@pytest.mark.parametrize(
    ("method", "service"), [("transferIntraBank", "17"), ("transferRTGS", "22"), ("transferSKNBI", "23")]
)
def test_a_payment_is_found_by_its_status_and_refused_twice(
    bni: Served, bni_sdk: Driver, method: str, service: str
) -> None:
    paid = transfer() if service == "17" else to_other_bank(**OUTSIDE)
    status = {
        "originalPartnerReferenceNo": paid["partnerReferenceNo"], "originalReferenceNo": "", "originalExternalId": "",
        "serviceCode": service, "transactionDate": "", "amount": NO_DECIMALS,
    }  # fmt: skip

    def ask(method: str, params: dict[str, Any], **changes: str) -> dict[str, Any]:
        return bni_sdk.ask(settings=settings(bni, **changes), family="snap", method=method, params=params)

    assert "4043601 : " in ask("transactionStatusInquiry", status)["error"]
    assert ask(method, paid)["value"]["responseCode"] == f"200{service}00"
    while (found := ask("transactionStatusInquiry", status)["value"])["latestTransactionStatus"] == "03":
        assert service != "17"
    assert (found["latestTransactionStatus"], found["originalPartnerReferenceNo"]) == ("00", paid["partnerReferenceNo"])
    assert f"409{service}01 : " in ask(method, paid)["error"]
    assert f"404{service}18 : " in ask(method, {**paid, "amount": {"value": "1.00", "currency": "IDR"}})["error"]
    empty = {**status, "originalPartnerReferenceNo": ""}
    assert "4003601 : " in ask("transactionStatusInquiry", empty)["error"]
    booked = [line for line in bni.get("/__mock__/books").text.splitlines() if paid["partnerReferenceNo"] in line]
    assert len(booked) == 1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"apiSecret": "another"}, "4011100 : Unauthorized. [Signature]"),
        ({"apiKey": "another"}, "4011100 : Unauthorized. [Unknown client]"),
        ({"clientId": "another"}, "KeyError: 'accessToken'"),
    ],
)
def test_wrong_snap_credentials(bni: Served, bni_sdk: Driver, wrong: dict[str, str], expected: str) -> None:
    """A refused token is a KeyError in the SDK, which does not look at the answer's code."""
    told = bni_sdk.ask(
        settings=settings(bni, **wrong), family="snap", method="balanceInquiry",
        params={**INQUIRY, "accountNo": "0115476117"},
    )  # fmt: skip
    assert expected in told["error"]


def ogp_payment(**changes: Any) -> dict[str, Any]:
    return {
        "customerReferenceNumber": next(REFERENCES), "paymentMethod": "0", "debitAccountNo": "113183203",
        "creditAccountNo": "115471119", "valueDate": "20170227000000000", "valueCurrency": "IDR",
        "valueAmount": 100500, "remark": "?", "beneficiaryEmailAddress": "", "beneficiaryName": "Mr.X",
        "beneficiaryAddress1": "Jakarta", "beneficiaryAddress2": "", "destinationBankCode": "CENAIDJAXXX",
        "chargingModelId": "OUR", **changes,
    }  # fmt: skip


def test_one_gate_payment(bni: Served, bni_sdk: Driver) -> None:
    def ask(method: str, wrapper: str, params: dict[str, Any]) -> dict[str, Any]:
        told = bni_sdk.ask(settings=settings(bni), family="ogp", method=method, params=params)
        assert "value" in told, told
        parameters: dict[str, Any] = told["value"][wrapper]["parameters"]
        assert (told["value"][wrapper]["clientId"], parameters["responseCode"]) == ("BNISERVICE", "0001")
        return parameters

    balance = ask("getBalance", "getBalanceResponse", {"accountNo": "113183203"})
    assert balance["accountBalance"] == bni.world.deposit_rupiah
    owner = ask("getInHouseInquiry", "getInHouseInquiryResponse", {"accountNo": "115471119"})
    assert (owner["customerName"], owner["accountStatus"], owner["accountType"]) == ("Bpk JONO MADE", "BUKA", "DEP")
    for method in "012":
        payment = ogp_payment(paymentMethod=method)
        reference = payment["customerReferenceNumber"]
        paid = ask("doPayment", "doPaymentResponse", payment)
        assert (paid["customerReference"], paid["valueAmount"], paid["debitAccountNo"]) == (
            int(reference), 100500, 113183203,
        )  # fmt: skip
        asked = {"customerReferenceNumber": reference}
        while not (found := ask("getPaymentStatus", "getPaymentStatusResponse", asked))["previousResponse"][
            "transactionStatus"
        ]:
            assert method != "0"
        assert found["previousResponse"]["transactionStatus"] == "Y"
    switch = {"accountNum": "0115476117", "destinationBankCode": "014", "destinationAccountNum": "3333333333"}
    inquired = ask(
        "getInterBankInquiry", "getInterbankInquiryResponse", {**switch, "customerReferenceNumber": next(REFERENCES)}
    )
    second = {
        **switch, "customerReferenceNumber": next(REFERENCES), "amount": "12007",
        "destinationAccountName": inquired["destinationAccountName"],
        "destinationBankName": inquired["destinationBankName"], "retrievalReffNum": inquired["retrievalReffNum"],
    }  # fmt: skip
    assert ask("getInterBankPayment", "getInterbankPaymentResponse", second)["destinationAccountNum"] == 3333333333
    assert len(bni.get("/__mock__/books").text.splitlines()) == 4


def test_one_gate_payment_refuses(bni: Served, bni_sdk: Driver) -> None:
    """Only the capital-R wrapper is readable to the SDK when a call fails; on every other one it trips itself."""

    def ask(method: str, params: dict[str, Any], **wrong: str) -> str:
        return str(bni_sdk.ask(settings=settings(bni, **wrong), family="ogp", method=method, params=params)["error"])

    balance = ("getBalance", {"accountNo": "113183203"})
    assert "0000:Request failed" in ask(*balance, apiSecret="another")
    assert "0000:Request failed" in ask(*balance, appName="Another APP")
    assert "KeyError" in ask(*balance, apiKey="another")
    assert "KeyError: 'access_token'" in ask(*balance, clientSecret="another")
    payment = ogp_payment()
    assert bni_sdk.ask(settings=settings(bni), family="ogp", method="doPayment", params=payment)["value"]
    assert "KeyError" in ask("doPayment", payment)
    assert "KeyError" in ask("doPayment", ogp_payment(debitAccountNo="0114754574"))
    assert "0000:Unknown output" in ask("doPayment", ogp_payment(paymentMethod="1", creditAccountNo="9999950400"))
    assert len(bni.get("/__mock__/books").text.splitlines()) == 1
