"""Participants linked at the BNI mock by its own calls (card number, OTP from its SMS box), many at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import msgspec

from adapters.registry import PARTNERS
from contracts.linking import Grant, LinkAnswer, LinkGranted, LinkInputs
from contracts.partner import Context
from contracts.secret import Secret
from gateway.partners.transport import Sender
from gateway.settings import Settings
from tests.bench.floor import run
from tests.bench.people import account, card, phone

LANES = 16


async def link(settings: Settings, mock_url: str, people: int) -> list[Grant]:
    """The grants of the first so many people, in order."""
    senders = {name: Sender(url, connect_timeout_s=5.0, pool_size=LANES) for name, url in settings.hosts["bni"].items()}
    bare = Context(
        now=datetime.now(UTC),
        serial=_serial(),
        credentials=settings.partners["bni"],
        tokens={},
        hosts=settings.hosts["bni"],
    )
    try:
        token = await run(senders, PARTNERS["bni"].fetch_token(bare, "autopay", None))
        context = msgspec.structs.replace(bare, tokens={"autopay": token.value})
        left, grants = iter(range(people)), dict[int, Grant]()
        async with httpx.AsyncClient(base_url=mock_url, trust_env=False) as control, asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(_lane(senders, control, context, left, grants))
    finally:
        for sender in senders.values():
            await sender.aclose()
    return [grants[n] for n in range(people)]


async def _lane(
    senders: dict[str, Sender],
    control: httpx.AsyncClient,
    shared: Context,
    left: Iterator[int],
    grants: dict[int, Grant],
) -> None:
    for n in left:
        asked = LinkAnswer(
            link_id=f"L{n:07d}",
            reference=f"98{n:017d}",
            account=Secret(account(n)),
            phone=Secret(phone(n)),
            name=Secret("ORANG"),
            inputs={"card_no": Secret(card(n))},
            carry={},
        )
        step = await run(senders, PARTNERS["bni"].answer_link(_now(shared), asked))
        assert isinstance(step, LinkInputs), step
        (newest, *_) = (await control.get("/__mock__/sms", params={"phone": phone(n)})).json()
        typed = msgspec.structs.replace(asked, inputs={"otp": Secret(newest["code"])}, carry=step.carry)
        granted = await run(senders, PARTNERS["bni"].answer_link(_now(shared), typed))
        assert isinstance(granted, LinkGranted), granted
        grants[n] = granted.grant


def _now(shared: Context) -> Context:
    return msgspec.structs.replace(shared, now=datetime.now(UTC), serial=_serial())


def _serial() -> str:
    return f"{secrets.randbelow(9 * 10**16) + 10**16}"
