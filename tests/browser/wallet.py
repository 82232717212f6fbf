"""What a browser is told of one wallet's pages, and signed calls over a socket."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.look import Look, Step
from mock_partners.pytest import PartnerServer
from mock_partners.registry import PARTNERS
from tests.mock_partners.signers import Signer
from tests.mock_partners.wire import Sent

PHONE, LOCAL, PIN = "+6281100000001", "081100000001", "135790"
NUMBER = "7000000001"
"""The account where it is no phone."""


def signer(partner: str, secrets: dict[str, str], product: str = "snap") -> Signer:
    """A SNAP client of a mock that runs elsewhere."""
    clock = types.SimpleNamespace(now=lambda: datetime.now(JAKARTA))
    return Signer(types.SimpleNamespace(partner=partner, secrets=secrets, clock=clock), product)


def send(url: str, sent: Sent) -> dict[str, Any]:
    """Sends signed bytes over a socket; the JSON answer."""
    target = f"{url}{sent.path}" + (f"?{sent.query}" if sent.query else "")
    reply = httpx.request(sent.method, target, headers=sent.headers, content=sent.body, timeout=30, trust_env=False)
    told: dict[str, Any] = reply.json()
    return told


@dataclass(frozen=True)
class Wallet:
    """One partner's linking by pages: `denied` and `locked` are parameters that the browser comes back with, `code` is
    the one that the consent's code stands in.
    """

    name: str
    look: Look
    steps: tuple[Step, ...]
    begin: Callable[[PartnerServer, str], str]
    denied: dict[str, str]
    locked: dict[str, str]
    opens_once: bool = False
    code: str = "authCode"

    @property
    def account(self) -> str:
        """Whose consent is asked for: `PHONE`'s."""
        return PHONE if PARTNERS[self.name].fullmatch(PHONE) else NUMBER
