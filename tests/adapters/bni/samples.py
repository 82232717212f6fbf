"""One participant, one payout, one context, and BNI's answers as the partner sheet and the decisions have them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from contracts.identity import IdentityQuery
from contracts.linking import Grant, LinkAnswer, LinkStart, UnlinkOrder
from contracts.nik import Nik
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.plan import Plan, Request, Response
from contracts.secret import Secret

T = TypeVar("T")
VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "bni" / "signatures.json").read_text(encoding="utf-8")
)
ACCOUNT, CARD, OTP, REFERENCE = "0115476151", "2223307924402685", "482913", "0126011510000000001"
NIK = "3374141308759921"  # synthetic: serial 99xx
CREDENTIALS = {
    "client_id": "snap-client",
    "api_key": "snap-partner",
    "api_secret": "snap-secret",
    "private_key_pem": VECTORS["private_key_pem"],
    "source_account": "0115476117",
    "channel_id": "95221",
    "autopay_merchant_id": "autopay-merchant",
    "autopay_client_id": "autopay-client",
    "autopay_client_secret": "autopay-secret",
    "autopay_private_key_pem": VECTORS["private_key_pem"],
}
CARRY = {
    "partnerReferenceNo": REFERENCE,
    "referenceNo": "BNI-INNER-1",
    "chargeToken": "charge-1",
    "bankCardToken": "card-token-1",
}
GRANT = Grant(access_token=Secret("card-token-1"))


def secrets(values: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in values.items()}


def context(**changes: Any) -> Context:
    values: dict[str, Any] = {
        "now": datetime(2026, 1, 15, 3, 0, 0, 250_000, tzinfo=UTC),
        "serial": "26011510000000042",
        "credentials": secrets(CREDENTIALS),
        "tokens": secrets({"snap": "snap-token", "autopay": "autopay-token"}),
        "hosts": {"snap": "https://snap.example.test", "autopay": "https://autopay.example.test"},
    }
    return Context(**{**values, **changes})


def order(**changes: Any) -> PayoutOrder:
    values: dict[str, Any] = {
        "reference": REFERENCE,
        "amount_rupiah": 600_000,
        "account": Secret(ACCOUNT),
        "phone": Secret("+6281234567890"),
        "name": Secret("SITI AMINAH"),
        "created_at": datetime(2026, 1, 15, 1, 2, 3, 4, tzinfo=UTC),
        "grant": None,
    }
    return PayoutOrder(**{**values, **changes})


def link_start() -> LinkStart:
    return LinkStart(
        link_id="L00000000000000001",
        reference=REFERENCE,
        account=Secret(ACCOUNT),
        phone=Secret("+6281234567890"),
        name=Secret("SITI AMINAH"),
        state="s" * 32,
        redirect_uri="https://gateway.example/callbacks/bni/link?st=" + "s" * 32,
    )


def link_answer(inputs: Mapping[str, str], carry: Mapping[str, str] | None = None) -> LinkAnswer:
    return LinkAnswer(
        link_id="L00000000000000001",
        reference=REFERENCE,
        account=Secret(ACCOUNT),
        phone=Secret("+6281234567890"),
        name=Secret("SITI AMINAH"),
        inputs=secrets(inputs),
        carry=secrets(carry or {}),
    )


def unlink_order(inputs: Mapping[str, str] | None = None, carry: Mapping[str, str] | None = None) -> UnlinkOrder:
    return UnlinkOrder(
        link_id="L00000000000000001",
        reference=REFERENCE,
        account=Secret(ACCOUNT),
        phone=Secret("+6281234567890"),
        grant=GRANT,
        inputs=secrets(inputs or {}),
        carry=secrets(carry or {}),
    )


def query() -> IdentityQuery:
    return IdentityQuery(
        reference=REFERENCE, nik=Nik(NIK), account=Secret(ACCOUNT), phone=Secret("+6281234567890"), grant=GRANT
    )


def reply(
    code: str,
    body: Mapping[str, Any] | None = None,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer with `code`; its HTTP status agrees unless another is given."""
    content = json.dumps({"responseCode": code, "responseMessage": "x", **(body or {})}).encode()
    return Response(status=int(code[:3]) if status is None else status, headers=headers or {}, content=content)


def amount(rupiah: int = 600_000) -> dict[str, str]:
    return {"value": f"{rupiah}.00", "currency": "IDR"}


BOUND = {
    "referenceNo": "BNI-OUTER-1",
    "partnerReferenceNo": REFERENCE,
    "bankCardToken": "card-token-1",
    "chargeToken": "charge-1",
    "additionalInfo": {"referenceNo": "BNI-INNER-1"},
}
INQUIRED = {
    "referenceNo": "I-1",
    "beneficiaryAccountName": "SITI AMINAH",
    "beneficiaryAccountNo": ACCOUNT,
    "beneficiaryAccountStatus": "Rekening aktif",
}
TRANSFERRED = {
    "referenceNo": "BNI-777",
    "partnerReferenceNo": REFERENCE,
    "amount": amount(),
    "beneficiaryAccountNo": ACCOUNT,
    "currency": "IDR",
    "customerReference": REFERENCE,
    "sourceAccountNo": "0115476117",
    "transactionDate": "2026-01-15T08:02:03+07:00",
    "additionalInfo": {},
}


def status_of(latest: str, **changes: Any) -> Response:
    body = {
        "originalPartnerReferenceNo": REFERENCE,
        "originalReferenceNo": "BNI-777",
        "originalExternalId": "",
        "serviceCode": "17",
        "transactionDate": "2026-01-15T08:02:03+07:00",
        "amount": amount(),
        "beneficiaryAccountNo": ACCOUNT,
        "referenceNumber": "BNI-777",
        "sourceAccountNo": "0115476117",
        "latestTransactionStatus": latest,
        "transactionStatusDesc": "x",
    }
    return reply("2003600", {**body, **changes})


def booking(kind: str = "TRANSFER", side: str = "DEBIT", **info: Any) -> dict[str, Any]:
    return {
        "amount": amount(),
        "transactionDate": "2026-01-15T10:00:01+07:00",
        "remark": REFERENCE,
        "transactionId": "BNI-777",
        "type": side,
        "additionalInfo": {
            "partnerReferenceNo": REFERENCE,
            "beneficiaryAccountNo": ACCOUNT,
            "kind": kind,
            **info,
        },
    }


def statement(*rows: Mapping[str, Any], page: str = "1", more: str = "N") -> Response:
    body = {
        "referenceNo": "S-1",
        "partnerReferenceNo": "2601151000000004200",
        "detailData": list(rows),
        "additionalInfo": {"page": page, "hasMore": more},
    }
    return reply("2001400", body)


def drive(plan: Plan[T], *replies: Response) -> tuple[list[Request], T]:
    """Run a plan by hand over canned answers; all of them must be taken, and no more asked for."""
    sent = []
    waiting = list(replies)
    try:
        request = next(plan)
        while True:
            sent.append(request)
            request = plan.send(waiting.pop(0))
    except StopIteration as stop:
        assert not waiting, "the plan ended before all answers were used"
        result: T = stop.value
        return sent, result
