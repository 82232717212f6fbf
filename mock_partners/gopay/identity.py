"""GoPay ID's identity host (wallets.md 2.5): the KYC Data Pull, its callback, and the token of the mobile SDK."""

from __future__ import annotations

import hmac
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from mock_partners.gopay.credentials import VALUES
from mock_partners.gopay.linking import Desk
from mock_partners.gopay.notices import Link
from mock_partners.kit.behaviour import TROUBLED_CHECKS, Behaviour
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Reply, json_reply
from mock_partners.kit.identity import verify_behaviour
from mock_partners.kit.notice import Notice
from mock_partners.kit.notify import Notifier
from mock_partners.kit.snap.magic import UNNAMED, named
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World

PULL_PATH = "/forward/gopay-id/kyc/inbound/v1/users/submissions/current"
TOKEN_PATH = "/forward/gopay-id/identity/v1/gopay-id/token"
CALLBACK_PATH = "/callbacks/gopay/v1/callback/partner"
DOCUMENT_LIFE = timedelta(minutes=15)
SDK_TOKEN_LIFE_S = 300
"""Short, says the sheet; how short is assumed."""
STAYING = {"91": "INITIATED", "92": "ERROR"}
"""Sandbox accounts +62800900091 and +62800900092 stay in these states of a submission (wallets.md 13)."""
NAMESPACE = uuid.UUID("303b4f89-0000-4000-8000-62a8ffaefaf3")


class Identity:
    """One submission per customer and partner: full KYC is COMPLETED/VALID, basic has none (decisions G6)."""

    def __init__(self, world: World, clock: Clock, waits: Waits, desk: Desk, notifier: Notifier) -> None:
        self._world, self._clock, self._waits, self._desk, self._notifier = world, clock, waits, desk, notifier
        self._submitted_at: datetime = world.keep("gopay.submitted_at", clock.now)

    async def pull(self, call: Call) -> Reply:
        """GET submissions/current under the customer's linking token, which comes without `Bearer`."""
        link = self._linked(call)
        if link is None:
            return _error(401, "1401", "UNAUTHORIZED")
        if not re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", call.header("correlation-id")):
            return _error(400, "1400", "INVALID_CORRELATION_ID")
        account = link.account
        status, state = named(account.phone) or ("", "")
        if status == UNNAMED and state in STAYING:
            return self._submission(account, {"status": STAYING[state]})
        match verify_behaviour(account):
            case Behaviour.UNAVAILABLE_TWICE:
                return _error(500, "1500", "INTERNAL_SERVER_ERROR")
            case Behaviour.IN_PROGRESS:
                if account.nik_checks == TROUBLED_CHECKS and account.kyc == "full":
                    self._announce(link)
                return self._submission(account, {"status": "IN_PROGRESS"})
        if account.kyc != "full":
            return _error(404, "1519", "SUBMISSION_NOT_FOUND")
        return self._submission(account, self._verdict(account))

    async def exchange(self, call: Call) -> Reply:
        """GET gopay-id/token: the linking token against a short-lived one, with which the SDK starts Verify.

        Only the statuses are public (200, 400, 500, 503): the body is assumed, and the token opens nothing here.
        """
        link = self._linked(call)
        if link is None:
            return _error(401, "1401", "UNAUTHORIZED")
        if not call.header("request-id"):
            return _error(400, "1400", "INVALID_REQUEST_ID")
        if verify_behaviour(link.account) is Behaviour.UNAVAILABLE_TWICE:
            return _error(503, "1503", "SERVICE_UNAVAILABLE")
        token = f"{self._world.rng.getrandbits(256):064x}"
        return json_reply(200, {"success": True, "data": {"token": token, "expiresIn": SDK_TOKEN_LIFE_S}})

    def _linked(self, call: Call) -> Link | None:
        """The link of the customer token, for the right merchant."""
        merchant = call.header("x-merchant-id").encode("utf-8", "replace")
        if not hmac.compare_digest(merchant, VALUES["identity_merchant_id"].encode()):
            return None
        return self._desk.alive(call.header("authorization"))

    def _verdict(self, account: Account) -> dict[str, Any]:
        if not account.nik_on_file:
            return {"status": "COMPLETED", "result": "INVALID"}
        until = _utc(self._clock.now() + DOCUMENT_LIFE)
        documents = [
            {"documentType": kind, "url": f"https://documents.gopay.example.test/{kind.lower()}", "expiresAt": until}
            for kind in ("SELFIE", "KYC_PROOF")
        ]
        ktp = {"submissionData": {"ktp": _ktp(account)}}
        return {"status": "COMPLETED", "result": "VALID", "documents": documents, **ktp}

    def _submission(self, account: Account, verdict: Mapping[str, Any]) -> Reply:
        at = _utc(self._submitted_at)
        data = {
            **verdict,
            "submissionId": _id("submission", account),
            "partner": VALUES["identity_merchant_id"],
            "onboardingPartner": VALUES["identity_merchant_id"],
            "createdAt": at,
            "updatedAt": at,
        }
        return json_reply(200, {"success": True, "data": data})

    def _announce(self, link: Link) -> None:
        """PUTs the unsigned callback once the running KYC has completed: `settlement_s` after the last pull."""
        result = "VALID" if link.account.nik_on_file else "INVALID"
        body = {
            "submissionId": _id("submission", link.account),
            "partnerSessionId": _id("session", link.account),
            "status": "COMPLETED",
            "result": result,
            "reasonCode": None if result == "VALID" else "NOT_EKTP",
        }
        headers = {"Content-Type": "application/json", "Authorization": link.token}
        notice = Notice("PUT", CALLBACK_PATH, msgspec.json.encode(body), headers)
        self._notifier.post(notice, after_s=self._waits.settlement_s)


def no_such_identity_path(_path: str, status: int) -> Reply:
    """An unknown path of the identity host, in its envelope (assumed)."""
    return _error(status, "1404", "NOT_FOUND")


def _ktp(account: Account) -> dict[str, str]:
    """An identity card around the NIK on file: birth date and gender as the NIK encodes them, the rest invented."""
    nik = account.nik_on_file
    day, month, year = int(nik[6:8]), nik[8:10], nik[10:12]
    return {
        "name": account.holder_name,
        "dob": f"{'20' if year < '10' else '19'}{year}-{month}-{day % 40:02d}",
        "birthPlace": "JAKARTA",
        "gender": "female" if day > 40 else "male",
        "documentNumber": nik,
        "citizenship": "WNI",
        "province": "DKI JAKARTA",
        "city": "JAKARTA SELATAN",
        "otherAddressDetails": "JL. CONTOH NO. 1",
        "subdistrict": "KEBAYORAN BARU",
        "village": "SENAYAN",
        "religion": "ISLAM",
        "maritalStatus": "BELUM KAWIN",
        "rw": "001",
        "rt": "002",
        "occupation": "KARYAWAN SWASTA",
        "issuedAt": "JAKARTA SELATAN",
    }


def _id(kind: str, account: Account) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{account.account}"))


def _error(status: int, code: str, cause: str) -> Reply:
    error = {"code": code, "entity": "FLOW_MANAGER", "cause": cause}
    return json_reply(status, {"success": False, "errors": [error]})


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
