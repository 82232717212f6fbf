"""DANA (PT Espay Debit Indonesia Koe): SNAP account binding by an OAuth page, "disbursement to customer" as top-up.

Documents: dashboard.dana.id api-docs-v2 and DANA's public client libraries (dana.md); read 2026-11-28.
Quirks: SNAP calls are signed with our RSA key and without a token of ours; a browser opens the page by itself; the NIK
is told by a query that is not SNAP, signed over the text of its `request` and answered in kind; a top-up's reference is
idempotent, so that the same again gives the same answer; an unknown reference is 4043901, or a status 07; whoever
signs in on the page may be anybody, only LOGIN_ID says who it was; there are no notifications that we use.
"""

from adapters.dana.partner import PARTNER

__all__ = ["PARTNER"]
