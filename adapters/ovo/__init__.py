"""OVO (PT Visionet Internasional): SNAP account linking and "Customer Top Up" from a prefunded deposit.

Documents: ovo.id/partner-integration, public first screens only, and one third-party note (wallets.md 3, 12.4); read
2026-11-24.
Quirks: timestamps carry milliseconds; binding is signed but has no bearer, so the token part is empty (O1); an authCode
belongs to one linkageToken (O6); giving a link back takes two calls (O10); a refusal on the page comes back as JSON in
`errorResponse`; phones are written 08..; there are no notifications.
"""

from adapters.ovo.partner import PARTNER

__all__ = ["PARTNER"]
