"""DANA's profile query, an Open API call (dana.md, decisions D7-D9): NIK, login number, the KYC's state."""

from __future__ import annotations

from typing import Any

import msgspec

from mock_partners.dana.credentials import VALUES, snap_client
from mock_partners.dana.linking import Linking
from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Reply, json_reply, same
from mock_partners.kit.identity import verify_behaviour
from mock_partners.kit.keys import partner_key
from mock_partners.kit.snap.gate import Gate
from mock_partners.kit.snap.signatures import sign_asymmetric, timestamp
from mock_partners.kit.turn import checking
from mock_partners.kit.world import Account, World

FUNCTION = "dana.member.query.queryUserProfile"
SCOPE_OF = {"KTP_NUMBER": "MINI_DANA", "USER_KYC": "MINI_DANA", "LOGIN_ID": "DEFAULT_BASIC_PROFILE"}
"""What the mock can tell, and the scope that opens it (assumed but for USER_KYC)."""
VERIFIED, UNVERIFIED, IN_REVIEW = "KYC_VERIFIED", "KYC_NOT_VERIFIED", "KYC_IN_REVIEW"
CODES = {
    "SUCCESS": "00000000", "RESOURCE_NOT_DEFINED": "00000015", "INVALID_SIGNATURE": "00000007",
    "AUTHENTICATION_FAIL": "00000008", "ACCESS_TOKEN_INVALID": "00000016", "USER_STATUS_ABNORMAL": "00000019",
    "PARAM_ILLEGAL": "00000004", "SYSTEM_ERROR": "00000900",
}  # fmt: skip
"""resultCodeId of each resultCode; the numbers are invented."""


class Head(msgspec.Struct, rename="camel"):
    """A call's head; what the mock looks at."""

    function: str
    client_id: str
    client_secret: str
    req_msg_id: str
    access_token: str = ""


class Body(msgspec.Struct, rename="camel"):
    """What is asked for; the SDK's own name for the token is taken too."""

    user_resources: list[str]
    access_token: str = ""


class Request(msgspec.Struct):
    """The signed part."""

    head: Head
    body: Body


class Envelope(msgspec.Struct):
    """The whole body; `request` as it stood, since that text is what is signed."""

    request: msgspec.Raw
    signature: str = ""


class Profiles:
    """The handler; always HTTP 200, the verdict stands in resultInfo."""

    def __init__(self, world: World, clock: Clock, gate: Gate, linking: Linking) -> None:
        self._world, self._clock, self._gate, self._linking = world, clock, gate, linking

    async def query(self, call: Call) -> Reply:
        """POST queryUserProfile.htm."""
        try:
            envelope = msgspec.json.decode(call.body, type=Envelope)
            asked = msgspec.json.decode(envelope.request, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._told("PARAM_ILLEGAL", "")
        message_id = asked.head.req_msg_id
        checking("client")
        known = same(asked.head.client_id, VALUES["client_id"])
        if not known or not same(asked.head.client_secret, VALUES["client_secret"]) or asked.head.function != FUNCTION:
            return self._told("AUTHENTICATION_FAIL", message_id)
        checking("signature")
        if not snap_client().signed(bytes(envelope.request), envelope.signature):
            return self._told("INVALID_SIGNATURE", message_id)
        checking("customer token")
        token = self._gate.customer_tokens.find(asked.head.access_token or asked.body.access_token)
        if token is None or token.expires_s <= self._clock.seconds():
            return self._told("ACCESS_TOKEN_INVALID", message_id)
        checking("business")
        link = token.subject
        scopes = self._linking.scopes.get(link.customer, frozenset())
        wanted = asked.body.user_resources
        if not wanted or any(SCOPE_OF.get(one) not in scopes for one in wanted):
            return self._told("RESOURCE_NOT_DEFINED", message_id)
        if not link.account.active:
            return self._told("USER_STATUS_ABNORMAL", message_id)
        return self._profile(link.account, wanted, message_id)

    def _profile(self, account: Account, wanted: list[str], message_id: str) -> Reply:
        behaviour = verify_behaviour(account) if "KTP_NUMBER" in wanted else Behaviour.NONE
        if behaviour is Behaviour.UNAVAILABLE_TWICE:
            return self._told("SYSTEM_ERROR", message_id)
        on_file = account.nik_on_file if account.kyc == "full" and behaviour is Behaviour.NONE else ""
        state = IN_REVIEW if behaviour is Behaviour.IN_PROGRESS else VERIFIED if on_file else UNVERIFIED
        known = {"LOGIN_ID": f"62-{account.phone.removeprefix('+62')}", "USER_KYC": state, "KTP_NUMBER": on_file}
        rows = [{"resourceType": one, "value": known[one]} for one in wanted if known[one]]
        return self._told("SUCCESS", message_id, rows)

    def _told(self, code: str, message_id: str, rows: list[dict[str, str]] | None = None) -> Reply:
        """The signed answer: S for done, U where DANA does not know, F for refused."""
        status = {"SUCCESS": "S", "SYSTEM_ERROR": "U"}.get(code, "F")
        result = {"resultStatus": status, "resultCodeId": CODES[code], "resultCode": code, "resultMsg": code.lower()}
        body: dict[str, Any] = {"resultInfo": result}
        if rows is not None:
            body["userResourceInfos"] = rows
        head = {
            "version": "2.0", "function": FUNCTION, "clientId": VALUES["client_id"],
            "respTime": timestamp(self._clock.now()), "reqMsgId": message_id,
        }  # fmt: skip
        response = msgspec.json.encode({"head": head, "body": body})
        signature = sign_asymmetric(partner_key("dana"), response)
        return json_reply(200, {"response": msgspec.Raw(response), "signature": signature})
