"""HTTP Basic as a partner checks it (RFC 7617): the scheme's name in any case, user and password as registered."""

from __future__ import annotations

import base64
import hmac

from mock_partners.kit.http import Call


def basic_ok(call: Call, user: str, password: str = "") -> bool:
    """Whether the call comes from this user; Midtrans' keys are a user without a password."""
    scheme, _, given = call.header("authorization").partition(" ")
    right = base64.b64encode(f"{user}:{password}".encode())
    return scheme.lower() == "basic" and hmac.compare_digest(given.strip().encode("utf-8", "replace"), right)
