"""A client of the API for Python programs: typed, sync and async, and no more dependencies than httpx and msgspec.

    from gateway.client import Gateway, calls

    with Gateway("https://pay.example", client_id, client_secret) as gateway:
        batch = gateway.send(calls.submit_batch(Path("may.csv").read_bytes()))
        for incentive in gateway.pages(calls.list_incentives(blocker="kyc_incomplete")):
            ...

Each operation is a function of `calls` that makes a `Call`; `Gateway` and `AsyncGateway` send it. docs/api.md says what
is published; the rest may change.
"""

from gateway.client import calls, models
from gateway.client.call import Call, Pages
from gateway.client.http import AsyncGateway, Gateway, NoAnswer, Refused
from gateway.client.webhooks import InvalidWebhook, Message, verify

__all__ = [
    "AsyncGateway",
    "Call",
    "Gateway",
    "InvalidWebhook",
    "Message",
    "NoAnswer",
    "Pages",
    "Refused",
    "calls",
    "models",
    "verify",
]
