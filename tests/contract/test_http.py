"""The same over real sockets: uvicorn behind, the gateway's own transport in front, a connection that is reset."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import uvicorn

from contracts.errors import OutcomeUnknown, PartnerUnavailable
from contracts.partner import Partner
from contracts.payout import OutcomeKind
from gateway.partners.transport import Sender
from mock_partners.kit.server import bind, config
from tests.contract.people import Person
from tests.contract.recording import question, verify
from tests.contract.stage import Stage


@contextlib.asynccontextmanager
async def served(stage: Stage) -> AsyncIterator[Sender]:
    """The stage's mock on a free port of 127.0.0.1, and the transport to it."""
    sock = bind(0)
    server = uvicorn.Server(config(stage.app))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server.serve(sockets=[sock]))
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0)
    sender = Sender(f"http://127.0.0.1:{sock.getsockname()[1]}", connect_timeout_s=2, pool_size=4)
    try:
        yield sender
    finally:
        await sender.aclose()
        server.should_exit = True
        await running
        sock.close()


async def test_a_participant_is_linked_checked_and_paid(partner: Partner) -> None:
    stage = Stage(partner)
    async with served(stage) as sender:
        stage.use(sender)
        account = stage.account()
        grant = await Person(stage, account).grant()
        assert (await verify(stage, question(stage, account, grant))).verdict.value == "match"
        order = await stage.prepare(stage.order(account, grant))
        said = await stage.follow(order, await stage.send(order))
        assert OutcomeKind.SUCCEEDED in {outcome.kind for outcome in said}
        assert [booking.amount_rupiah for booking in stage.books(order)] == [order.amount_rupiah]


async def test_a_reset_connection_is_an_unknown_outcome(partner: Partner) -> None:
    stage = Stage(partner)
    async with served(stage) as sender:
        stage.use(sender)
        account = stage.account(behaviour="pay:lost_answer")
        grant = await Person(stage, account).grant()
        order = await stage.prepare(stage.order(account, grant))
        make = partner.approve if stage.manifest.two_step else partner.payout
        with pytest.raises(OutcomeUnknown):
            await stage.run("approve" if stage.manifest.two_step else "payout", lambda ctx: make(ctx, order))
        assert stage.journal[-1].left_us and stage.journal[-1].status is None
        said = await stage.follow(order, await stage.find(order))
        assert OutcomeKind.SUCCEEDED in {outcome.kind for outcome in said}
        assert len(stage.books(order)) == 1


async def test_a_partner_that_does_not_answer_did_nothing(partner: Partner) -> None:
    """A closed port: no byte left, so nothing is unknown."""
    stage = Stage(partner)
    account = stage.account()
    grant = await Person(stage, account).grant()
    order = await stage.prepare(stage.order(account, grant))
    sock = bind(0)
    sender = Sender(f"http://127.0.0.1:{sock.getsockname()[1]}", connect_timeout_s=2, pool_size=1)
    sock.close()
    stage.use(sender)
    make = partner.approve if stage.manifest.two_step else partner.payout
    with pytest.raises(PartnerUnavailable):
        await stage.run("approve" if stage.manifest.two_step else "payout", lambda ctx: make(ctx, order))
    assert not stage.journal[-1].left_us
    await sender.aclose()
    assert stage.world.books == []
