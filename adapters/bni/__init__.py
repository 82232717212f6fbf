"""Bank Negara Indonesia: payouts over BNI SNAP, account linking over BNI Autopay SNAP.

Documents: BNI's public SDKs and the SNAP standard as collected in docs/partners/snap-bni.md (sections 1, 2.3, 2.4),
read 2026-11; where they are silent, docs/partners/decisions.md B1-B10.

Quirks: two hosts with two clients and two tokens; `v1` without `.0` and two path prefixes on the SNAP host, `/api`
before the token path only on the Autopay host; optional fields are sent as empty strings; case 01 where the standard
says 02, and for an inactive account too; linking has no page (card number, then an SMS OTP); unlinking wants an OTP;
no notifications; no public NIK check (`identity.py` holds what is assumed about one).
"""

from adapters.bni.partner import PARTNER

__all__ = ["PARTNER"]
