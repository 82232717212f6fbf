"""GoPay, through Midtrans (GoTo group).

Documentation: docs.midtrans.com (GoPay tokenization BI-SNAP, GoPay ID, Payouts), read 2025-11-24; facts and their marks
in docs/partners/wallets.md 2, 6, 8, 12, 14, and decisions G1-G12.

Quirks:
- three ways to authenticate: SNAP (RSA token, HMAC calls), Iris (Basic, one key to create and one to approve), GoPay ID
  (the participant's token without `Bearer`);
- the linking page is opened straight by the browser; its data is signed in the URL-encoded form, and a failure comes
  back without our state;
- the participant's token names no life and is not refreshed; linking the same phone again gives the same token;
- a payout is created, then approved; why one failed is said by the webhook only, and a completed one can fail later.
"""

from __future__ import annotations

from adapters.gopay.partner import PARTNER

__all__ = ["PARTNER"]
