"""LinkAja (PT Fintek Karya Nusantara): linking by SNAP, NIK check and cash-in by its older partner API.

Documents: none are public; everything comes from integrators' code (wallets.md 4, 12.5); read 2026-11-24.
Quirks: two ways to sign on one gateway (SNAP below /bi, `Authorization: hmac` elsewhere) with a token of its own each;
the customer's SNAP token is the `token` of every cash-in (L1); a payout is inquiry and confirm within a session;
business errors are two digits in HTTP 200, at the top level or below `data`; amounts go out as twelve digits with two
implied decimals and come back as plain rupiah; there are no notifications.
"""

from adapters.linkaja.partner import PARTNER

__all__ = ["PARTNER"]
