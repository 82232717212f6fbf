"""BNI's endpoints: two hosts with two clients and two tokens (snap-bni.md 2.3, 2.4), signed alike (1.3, 1.7)."""

from __future__ import annotations

from adapters.snap.calls import PAYOUT_S, READ, WRITE, Call, Side, token_call

SNAP = Side(partner_id="api_key", secret="api_secret")  # noqa: S106 - names of credentials
AUTOPAY = Side(
    host="autopay",
    token="autopay",  # noqa: S106 - a name
    client_id="autopay_client_id",
    private_key="autopay_private_key_pem",
    partner_id="autopay_merchant_id",
    secret="autopay_client_secret",  # noqa: S106 - a name
)
TOKENS = {
    "snap": (SNAP, token_call("token.snap", READ, "/snap/v1/access-token/b2b", "73")),  # 2.3
    "autopay": (AUTOPAY, token_call("token.autopay", READ, "/api/v1.0/access-token/b2b", "73")),  # 2.4
}

# Autopay, snap-bni.md 2.4: each of these sends an SMS, uses an OTP up, or unlinks.
BIND = Call("link.begin", WRITE, "/v1.0/registration-account-binding", "07")
VERIFY_OTP = Call("link.exchange", WRITE, "/v1.0/otp-verification", "04")
SEND_OTP = Call("unlink.otp", WRITE, "/v1.0/otp", "81")
UNBIND = Call("unlink", WRITE, "/v1.0/registration-account-unbinding", "09")

# SNAP, snap-bni.md 2.3
INQUIRY = Call("payout.inquiry", READ, "/snap-service/v1/account-inquiry-internal", "15")
TRANSFER = Call("payout.transfer", WRITE, "/snap-service/v1/transfer-intrabank", "17", timeout_s=PAYOUT_S)
STATUS = Call("payout.status", READ, "/snap-service/v1/transfer/status", "36")
STATEMENT = Call("statement", READ, "/snap-service/v1/bank-statement", "14")  # decisions B10, S5
BALANCE = Call("balance", READ, "/snap-service/v1/balance-inquiry", "11")
