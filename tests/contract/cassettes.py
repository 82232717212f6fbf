"""Recordings out of cassettes: the same tests over replies that were kept, or that a sandbox has just given."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from contracts.errors import Forbidden, InvalidRequest
from contracts.identity import IdentityQuery
from contracts.linking import LinkAnswer
from contracts.partner import AccessToken, Partner
from contracts.plan import Response
from gateway.partners.transport import Reply
from gateway.settings import SettingsError
from gateway.workbench.bench import Bench, Wishes
from gateway.workbench.cassette import Cassette, read, replay
from gateway.workbench.operations import ALL, perform
from gateway.workbench.people import MockPerson
from gateway.workbench.recorder import Take as Recorded
from gateway.workbench.target import on_environment
from tests.contract.people import Person
from tests.contract.recording import Recording
from tests.contract.stage import GATEWAY, MOCK, WAITS, InProcess, Stage, Take
from tests.partners import each

T = TypeVar("T")
FOLDER = Path(__file__).parent / "cassettes"
"""One a partner, made by `gateway workbench PARTNER all --record FILE`."""


def cassette_of(slug: str) -> Cassette:
    file = FOLDER / f"{slug}.json"
    assert file.exists(), f"record it: gateway workbench {slug} all --record tests/contract/cassettes/{file.name}"
    return read(file)


def signed_again(partner: Partner) -> Callable[[Response], Response]:
    """How replies that the partner signs are signed under its mock's key, where there are such."""
    found: Callable[[Response], Response] = getattr(
        each("story")[partner.manifest.slug], "signed_again", lambda reply: reply
    )
    return found


def recording_of(cassette: Cassette, partner: Partner) -> Recording:
    """A cassette as a story, in the world of its placeholders; the stage's own mock is not asked anything."""
    stage = Stage(partner)
    pem = {name: stage.credentials[name] for name, wish in partner.manifest.credentials.items() if wish.pem}
    recorded = replay(cassette, partner, pem, signed_again(partner))
    stage.clock.freeze(cassette.takes[0].now)
    stage.credentials = dict(recorded[0].context.credentials)
    for take in recorded:
        if take.operation == "fetch_token":
            stage.tokens[take.arguments[0]] = _of(AccessToken, [take.result])[0]
    arguments = [argument for take in recorded for argument in take.arguments]
    query = _of(IdentityQuery, arguments)[0]
    order = next(take.arguments[0] for take in recorded if take.operation == "find_payout")
    typed = {name: value.reveal() for answer in _of(LinkAnswer, arguments) for name, value in answer.inputs.items()}
    account = stage.account(
        account=order.account.reveal(), phone=order.phone.reveal(), holder_name=order.name.reveal(),
        card_no=typed.get("card_no", "nowhere-typed-card"), pin="nowhere-typed-pin",
    )  # fmt: skip
    return Recording(
        takes=[_take(partner, take) for take in recorded if take.calls],
        stage=stage,
        person=Person(stage, account),
        grant=query.grant,
        order=order,
        query=query,
    )


def _take(partner: Partner, take: Recorded) -> Take:
    again = partial(getattr(partner, take.operation), take.context, *take.arguments)
    exchanges = [(call.request, call.reply) for call in take.calls if call.reply is not None]
    return Take(take.operation, again, exchanges, take.result)


def _of(kind: type[T], values: Iterable[Any]) -> list[T]:
    return [value for value in values if isinstance(value, kind)]


async def live_cassette(partner: Partner) -> Cassette:
    """A participant's story at the partner that the environment names; skips where it names none, or not all."""

    def nobody_asks(question: str, hidden: bool) -> str:
        raise InvalidRequest(f"nobody is there to be asked for {question}")

    try:
        async with on_environment(partner, os.environ, Wishes(), nobody_asks) as bench:
            error = await perform(bench, ALL)
            if error is not None:
                raise error
            cassette = bench.cassette("live")
    except (Forbidden, SettingsError, InvalidRequest) as error:
        pytest.skip(f"against live: {error}")
    assert cassette is not None
    return cassette


class InProcessClock:
    """The stage's clock, as the gateway wants one: to sleep is to let the partner's time pass."""

    def __init__(self, stage: Stage) -> None:
        self.now, self.monotonic, self.sleep = stage.now, stage.monotonic, stage.pass_time
        self.timeout = asyncio.timeout


Change = Callable[[str, Any], Any]
"""What a changed mock answers at a path instead of a JSON body."""


class Changed(InProcess):
    """A mock that answers one field otherwise than the mock that is recorded."""

    def __init__(self, app: Any, change: Change) -> None:
        super().__init__(app)
        self._change = change

    async def send(self, method: str, target: str, *rest: Any) -> Reply:
        reply = await super().send(method, target, *rest)
        if reply.headers.get("content-type", "") != "application/json":
            return reply
        said = json.loads(reply.content)
        body = self._change(target, said)
        return reply if body == said else reply._replace(content=json.dumps(body).encode())


async def cassette_now(partner: Partner, change: Change | None = None) -> Cassette:
    """What the mock answers today, in process and on a stopped clock, as far as the adapter understands it."""
    stage = Stage(partner)
    sender = InProcess(stage.app) if change is None else Changed(stage.app, change)
    account = stage.account()
    listed = {
        "account": account.account, "phone": account.phone, "holder_name": account.holder_name,
        "nik_on_file": account.nik_on_file, "pin": account.pin, "card_no": account.card_no,
    }  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.ASGITransport(stage.app)) as http:
        bench = Bench(
            partner,
            credentials=stage.credentials,
            hosts=dict.fromkeys(partner.manifest.hosts, MOCK),
            senders=dict.fromkeys(partner.manifest.hosts, sender),
            person=MockPerson(listed, MOCK, http),
            clock=InProcessClock(stage),
            wishes=Wishes(redirect_base=GATEWAY, pause_s=WAITS.settlement_s + 1),
        )
        await perform(bench, ALL)
    cassette = bench.cassette("mock")
    assert cassette is not None
    return cassette
