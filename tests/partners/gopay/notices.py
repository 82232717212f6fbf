"""GoPay's notifications, as the suites address them to something else, damage them and sign them anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.snap import sign as snap
from mock_partners.gopay.credentials import VALUES
from mock_partners.kit.keys import Key, private_key
from mock_partners.kit.snap.signatures import sign_asymmetric
from tests.partners.kit import Headers, Subject

SIGNATURE = {"payout": "iris-signature", "link": "x-signature", "identity": "authorization"}
TIME = {"link": "x-timestamp"}
SIGNS_ADDRESS = frozenset({"link"})
MAY_LACK = ("amount",)
"""What is compared where it is there."""
FAILURES = tuple(f"{number:03d}" for number in range(1, 27))
NO_FAILURES = ("027", "030")


def failed(code: str) -> bytes:
    """What tells of a failure."""
    told = {"reference_no": "n1", "amount": "1.00", "status": "failed", "error_code": code}
    return json.dumps(told).encode()


def about(kind: str, headers: Headers, said: dict[str, Any], subject: Subject) -> tuple[Headers, dict[str, Any]]:
    """The same about another payout or link."""
    if kind == "payout":
        return headers, said | {"reference_no": subject.partner_reference, "amount": f"{subject.amount_rupiah}.00"}
    if kind == "link":
        return headers, said | {"additionalInfo": said["additionalInfo"] | {"accessToken": subject.token}}
    return {**headers, "authorization": f"Bearer {subject.token}"}, said


def signed(kind: str, method: str, target: str, headers: Headers, body: bytes, now: datetime) -> Headers:
    """The headers that belong to a body, as Midtrans would have signed it now."""
    if kind == "payout":
        return {**headers, "iris-signature": hashlib.sha512(body + VALUES["iris_merchant_key"].encode()).hexdigest()}
    if kind == "identity":
        return headers
    at = snap.timestamp(now)
    text = snap.asymmetric_string_to_sign(method, target, snap.minify(body), at)
    signature = sign_asymmetric(private_key(Key.MIDTRANS), text.encode())
    return {**headers, "x-timestamp": at, "x-signature": signature}


def read(kind: str, said: Mapping[str, Any]) -> object:
    """All that is read of a notification; None where nothing in it is believed. A failure is about the number that it
    names, whatever the amount, and its code may be left out.
    """
    if kind == "link":
        info = said.get("additionalInfo")
        return info.get("accessToken") if isinstance(info, dict) else None
    if kind == "identity":
        return None
    status = str(said.get("status")).strip().lower()  # a word in other letters is the same word
    names = ("reference_no",) if status in ("failed", "rejected") else ("reference_no", "amount", "error_code")
    return status, *(said.get(name) for name in names)


def succeeded(kind: str, said: Mapping[str, Any]) -> bool:
    """Whether it tells that a payout was paid."""
    return kind == "payout" and said["status"] == "completed"
