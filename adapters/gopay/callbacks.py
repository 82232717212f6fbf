"""Midtrans' notifications: link changes (RSA), payouts (SHA-512), finished KYC (unsigned, a hint); decision X2.

Of each only what is acted on must be readable; a field that nobody needs may be of any type.
"""

from __future__ import annotations

import hashlib

from adapters import answers
from adapters.gopay import mapping, sign, wire
from adapters.snap.sign import minify
from contracts.errors import PartnerProtocolError, SignatureInvalid
from contracts.observation import IdentityNotice, LinkNotice, NoNotice, Notice, PayoutNotice
from contracts.partner import Context, Notification
from contracts.secret import Secret

LINK_ACKNOWLEDGED = b'{"responseCode":"2008800","responseMessage":"Success"}'
_ACCOUNT_CHANGED = {"User changed phone number": True}
"""`statusMessage` of a link notification (seen: wallets.md 2.3.9)."""


class GopayCallbacks:
    """Inbound notifications of GoPay."""

    def verify(self, ctx: Context, note: Notification) -> None:
        """Each kind as far as Midtrans signs it; GoPay ID signs nothing, so there a linking token must at least stand
        in `Authorization`.
        """
        if note.kind == "link":
            valid = sign.link_notice_valid(ctx, note)
        elif note.kind == "payout":
            valid = sign.iris_notice_valid(ctx, note)
        else:
            valid = note.kind == "identity" and _linking_token(note) is not None
        if not valid:
            raise SignatureInvalid

    def dedupe_key(self, note: Notification) -> str:
        """The kind and a hash of the minified body, with what tells two equal bodies apart: a link may be enabled
        twice (X-EXTERNAL-ID), and a KYC notice names its account only in `Authorization`.
        """
        apart = {
            "link": note.headers.get("x-external-id") or note.headers.get("x-timestamp", ""),
            "identity": note.headers.get("authorization", ""),
        }.get(note.kind, "")
        digest = hashlib.sha256(apart.encode("utf-8", "replace") + b"\n" + minify(note.body)).hexdigest()
        return f"{note.kind}:{digest}"

    def read(self, note: Notification) -> Notice:
        """What it says; link and KYC notices are hints without a verdict of their own."""
        body = answers.decoded(note.body)
        if note.kind == "link":
            token = answers.at(body, "additionalInfo", "accessToken")
            changed = answers.listed(answers.at(body, "additionalInfo", "statusMessage"), _ACCOUNT_CHANGED)
            return LinkNotice(
                access_token=answers.secret(token, "additionalInfo.accessToken"), account_changed=changed or False
            )
        if note.kind == "payout":
            return _payout(answers.typed(body, wire.IrisNotice, "a payout notification"))
        linking = _linking_token(note)
        if note.kind != "identity" or linking is None or not isinstance(body, dict) or not body:
            raise PartnerProtocolError("a notification of no known kind, empty, or without its token")
        return IdentityNotice(access_token=linking)

    def reply(self, note: Notification) -> tuple[int, bytes]:
        """SNAP's envelope for link notices (wallets.md 2.3.9); the others want only a 2xx."""
        return 200, LINK_ACKNOWLEDGED if note.kind == "link" else b"{}"


def _payout(said: wire.IrisNotice) -> Notice:
    if answers.written(said.status).lower() == "topup":  # our own deposit (wallets.md 2.6)
        return NoNotice()
    number = wire.reference_no(said.reference_no)
    ours = answers.within(said.partner_reference_no)  # beside the number since SNAP (wallets.md 2.7)
    return PayoutNotice(outcome=mapping.payout(said, number), reference=ours, partner_reference=number)


def _linking_token(note: Notification) -> Secret | None:
    try:
        return answers.secret(note.headers.get("authorization"), "Authorization")
    except PartnerProtocolError:
        return None
