"""Atoms on customer tokens, pages and notifications, each seen at a small mock that has all three."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from mock_partners.gopay.look import LOOK
from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.control import control_routes
from mock_partners.kit.http import Call, MockApp, Reply, Route, json_reply
from mock_partners.kit.keys import Key, private_key, private_pem
from mock_partners.kit.look import Step
from mock_partners.kit.notify import Notice, Notifier
from mock_partners.kit.pages import End, Page, Pages
from mock_partners.kit.scenario import parse_scenario
from mock_partners.kit.scenario.vocabulary import DO
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.tokens import Client
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from tests.mock_partners.kit import test_atoms_answer, test_atoms_money, test_atoms_trouble
from tests.mock_partners.kit.staged import NOON, SHOWN, shows, toml
from tests.mock_partners.signing import SnapClient

PHONE = "+6281100000001"


@dataclass
class Small:
    """A mock with a customer's call, a page, and a notification for each visit."""

    scheduler: Scheduler
    clock: Clock
    http: httpx.AsyncClient
    snap: SnapClient
    set_scenario: Callable[[str], None]
    notices: list[Notice] = field(default_factory=list)
    page: str = ""
    customer: str = ""

    async def visit(self, number: int = 1) -> None:
        assert (await self.http.post("/visit", json={"number": number})).status_code == 200

    async def ask(self) -> str:
        headers = {"authorization_customer": f"Bearer {self.customer}"}
        return str((await self.snap.post("/v1.0/customer", {}, headers=headers)).json()["responseCode"])

    async def numbers(self, seconds: float = 0.0) -> list[str]:
        """Moves the clock on; which notifications have come by then."""
        await self.scheduler.travel(self.clock.seconds() + seconds)
        return [notice.body.decode() for notice in self.notices]


@pytest.fixture
async def small() -> Small:
    clock, world, notices = Clock(), World("ovo"), list[Notice]()
    clock.freeze(NOON)
    world.add_missing([Account("ovo", PHONE, PHONE, "BUDI", "3174052209989901", "full", "active", pin="123456")])
    scheduler = Scheduler(clock, auto=False)
    gate = Gate(world, clock, Client("client", "partner", b"secret", private_key(Key.WALLETS).public_key()))

    async def send(_url: str, notice: Notice) -> int:
        notices.append(notice)
        return 200

    notifier = Notifier(scheduler, "http://gateway.test", send)

    async def visit(call: Call) -> Reply:
        rotated = {"X-Signature": "N1"}
        notifier.post(Notice("POST", "/callbacks/ovo/visit", call.body, {"X-Signature": "A1"}, lambda: rotated))
        return json_reply(200, {})

    async def customer(asked: Asked) -> Reply:
        return gate.say(200, "08")

    def finish(page: Page, end: End) -> str:
        return "http://gateway.test/back"

    pages = Pages(world, clock, Waits(), prefix="/page", look=LOOK, finish=finish)
    app = MockApp(
        [
            Route("POST", "/visit", visit),
            Route("POST", "/v1.0/access-token/b2b", gate.b2b_token()),
            Route("POST", "/v1.0/customer", gate.symmetric("08", customer, customer=True)),
            *pages.routes(),
            *control_routes(world, clock, scheduler),
        ]
    )
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://small")
    snap = SnapClient(
        http, client_key="client", partner_id="partner", secret="secret", pem=private_pem(Key.WALLETS),
        token_path="/v1.0/access-token/b2b", now=lambda: NOON,
    )  # fmt: skip
    await snap.authenticate()
    backstage = world.kept()["backstage"]
    return Small(
        scheduler, clock, http, snap, lambda text: backstage.set_scenario(parse_scenario(text)), notices,
        page=pages.open(None, phone=PHONE, pin="123456", steps=(Step.PIN,)),
        customer=gate.customer_tokens.issue(clock.seconds(), 3600.0, "someone").value,
    )  # fmt: skip


@shows("expire_customer_tokens")
async def test_customer_tokens_expire(small: Small) -> None:
    assert await small.ask() == "2000800"
    small.set_scenario(toml("expire_customer_tokens = true", 'operation = "v1.0/customer"'))
    assert await small.ask() == "4010802"
    assert (await small.snap.authenticate()).status_code == 200


@shows("revoke_customer_tokens")
async def test_customer_tokens_become_unknown_and_the_programmes_stay(small: Small) -> None:
    small.set_scenario(toml("revoke_customer_tokens = true", "nth = 1"))
    assert await small.ask() == "4010802"


@shows("expire_pages")
async def test_open_pages_end(small: Small) -> None:
    assert (await small.http.get(small.page)).status_code == 200
    small.set_scenario(toml("expire_pages = true", 'operation = "page"\nnth = 2'))
    assert [(await small.http.get(small.page)).status_code for _ in range(2)] == [200, 410]


NOTICE = 'notification = "ovo/visit"'


@shows("suppress_notification")
async def test_a_notification_is_lost(small: Small) -> None:
    small.set_scenario(toml("suppress_notification = true", f"{NOTICE}\nnth = 1"))
    await small.visit(1)
    await small.visit(2)
    assert await small.numbers() == ['{"number":2}']


@shows("delay_notification_s")
async def test_a_notification_is_late(small: Small) -> None:
    small.set_scenario(toml("delay_notification_s = 60", NOTICE))
    await small.visit()
    assert await small.numbers(59) == []
    assert len(await small.numbers(1)) == 1


@shows("duplicate_notification", "repeat_notification_s")
async def test_a_notification_comes_again(small: Small) -> None:
    small.set_scenario(toml("duplicate_notification = 2\nrepeat_notification_s = 60", NOTICE))
    await small.visit()
    assert len(await small.numbers()) == 3
    assert len(await small.numbers(60)) == 4


@shows("reorder_notification_s")
async def test_notifications_overtake_each_other(small: Small) -> None:
    small.set_scenario(toml("reorder_notification_s = 60", f"{NOTICE}\nnth = [1, 3]"))
    await small.visit(1)
    await small.visit(2)
    assert await small.numbers(1) == ['{"number":2}', '{"number":1}']
    await small.visit(3)
    assert len(await small.numbers(59)) == 2
    assert len(await small.numbers(1)) == 3


@shows("forge_notification")
@pytest.mark.parametrize(
    ("what", "body", "headers"),
    [
        ("signature", b'{"number":7}', {"X-Signature": "B1"}),
        ("no_signature", b'{"number":7}', {}),
        ("body", b'{"number":0}', {"X-Signature": "A1"}),
    ],
)
async def test_a_notification_is_forged(small: Small, what: str, body: bytes, headers: dict[str, str]) -> None:
    small.set_scenario(toml(f'forge_notification = "{what}"', NOTICE))
    await small.visit(7)
    await small.numbers()
    assert (small.notices[0].body, small.notices[0].headers) == (body, headers)


@shows("sign_with_next_key")
async def test_a_notification_is_signed_with_the_next_key(small: Small) -> None:
    small.set_scenario(toml("sign_with_next_key = true", NOTICE))
    await small.visit(7)
    await small.numbers()
    assert (small.notices[0].body, small.notices[0].headers) == (b'{"number":7}', {"X-Signature": "N1"})


def test_every_atom_is_shown_at_work() -> None:
    assert test_atoms_answer
    assert test_atoms_money
    assert test_atoms_trouble
    assert DO.keys() == SHOWN
    assert len(DO) >= 40
