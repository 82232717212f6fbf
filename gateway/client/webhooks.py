"""A receiver's part of webhooks: who called, and what happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError


class InvalidWebhook(Exception):
    """A call that nobody with the secret has made, or that is too old: answer 401 and do nothing."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A verified call. `id` is the same in every try of an event: what was taken once is answered and left alone."""

    id: str
    type: str
    timestamp: datetime
    subject: str
    data: dict[str, Any]
    cursor: str | None = None


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> Message:
    """The message of a call, from its untouched body; raises `InvalidWebhook`."""
    named = {name.lower(): value for name, value in headers.items()}
    try:
        Webhook(secret).verify(body, named, json_parse=False)
        return msgspec.convert({**msgspec.json.decode(body), "id": named["webhook-id"]}, Message)
    except (WebhookVerificationError, ValueError, msgspec.MsgspecError) as error:
        raise InvalidWebhook(str(error)) from None
