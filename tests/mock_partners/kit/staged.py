"""A BNI mock under a scenario, with a client for each product, and a note of which atoms the tests have shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import httpx

from mock_partners.bni import CREDENTIALS
from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.world import World
from mock_partners.pytest import PartnerInProcess
from tests.mock_partners.bni.conftest import Bni
from tests.mock_partners.signing import SnapClient

SECRETS = CREDENTIALS["credentials"]
NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=JAKARTA)
ACCOUNT, OTHER = "7000000001", "7000000002"
WORLD = [
    {"account": ACCOUNT, "phone": "+6281100000001", "card_no": "1946340000009901"},
    {"account": OTHER, "phone": "+6281100000002", "card_no": "1946340000009902", "holder_name": "SITI AMINAH"},
]
TRANSFER, STATUS = "/snap-service/v1/transfer-intrabank", "/snap-service/v1/transfer/status"
STATEMENT, BALANCE = "/snap-service/v1/bank-statement", "/snap-service/v1/balance-inquiry"
KYC = "/snap-service/v1/account-kyc-verification"
SHOWN: set[str] = set()
T = TypeVar("T")


def shows(*atoms: str) -> Callable[[T], T]:
    """Marks a test that shows these atoms at work."""
    SHOWN.update(atoms)
    return lambda test: test


def toml(do: str, when: str = "") -> str:
    """A scenario of one rule."""
    return f'title = "one rule"\n[[rule]]\nname = "it"\n[rule.when]\n{when}\n[rule.do]\n{do}\n'


class Stage(Bni):
    """The BNI mock of the plug-in with this suite's client; `machine` stands, so that time stamps are the same."""

    def __init__(self, partner: PartnerInProcess, at: datetime = NOON) -> None:
        self.partner = partner
        self.world: World = partner.world
        self.mock = partner.mock
        self.clock, self.scheduler, self.http = partner.mock.clock, partner.mock.scheduler, partner.http
        self.clock.freeze(at)

        def client(key: str, partner_id: str, secret: str, pem: str, path: str) -> SnapClient:
            return SnapClient(
                self.http, client_key=SECRETS[key], partner_id=SECRETS[partner_id], secret=SECRETS[secret],
                pem=SECRETS[pem], token_path=path, now=lambda: at,
            )  # fmt: skip

        self.snap = client("client_id", "api_key", "api_secret", "private_key_pem", "/snap/v1/access-token/b2b")
        self.autopay = client(
            "autopay_client_id", "autopay_merchant_id", "autopay_client_secret", "autopay_private_key_pem",
            "/api/v1.0/access-token/b2b",
        )  # fmt: skip

    async def begin(self, do: str, when: str = "") -> Stage:
        """Gets the tokens, then begins a scenario of one rule."""
        for each in (self.snap, self.autopay):
            assert (await each.authenticate()).status_code == 200
        self.partner.set_scenario(toml(do, when))
        return self

    async def transfer_reply(self, reference: str = "R1", account: str = ACCOUNT, **changes: Any) -> httpx.Response:
        return await self.snap.post(TRANSFER, self.transfer(reference, account, **changes))

    async def status_reply(self, reference: str = "R1") -> httpx.Response:
        return await self.snap.post(STATUS, {"originalPartnerReferenceNo": reference, "serviceCode": "17"})

    async def rows(self, day: str = "2026-01-15", page: str = "1") -> list[dict[str, Any]]:
        body = {
            "accountNo": SECRETS["source_account"], "fromDateTime": f"{day}T00:00:00+07:00",
            "toDateTime": f"{day}T23:59:59+07:00", "additionalInfo": {"page": page},
        }  # fmt: skip
        found: list[dict[str, Any]] = (await self.snap.post(STATEMENT, body)).json()["detailData"]
        return found

    async def page(self, page: str) -> list[str]:
        return [row["additionalInfo"]["partnerReferenceNo"] for row in await self.rows(page=page)]

    async def references(self) -> list[str]:
        return [row["additionalInfo"]["partnerReferenceNo"] for row in await self.rows()]

    async def check_nik(self, token: str, nik: str = "3174052209989901") -> str:
        body = {
            "partnerReferenceNo": "K1", "accountNo": ACCOUNT, "bankCardToken": token, "identificationNo": nik,
            "identificationType": "02",
        }  # fmt: skip
        told = (await self.snap.post(KYC, body)).json()
        return str(told.get("additionalInfo", {}).get("identificationNoMatch") or told["responseCode"])

    async def balance(self) -> httpx.Response:
        return await self.snap.post(BALANCE, {"accountNo": SECRETS["source_account"]})

    def booked(self) -> list[tuple[str, int, str]]:
        return [(one.reference, one.amount_rupiah, one.kind.value) for one in self.world.books]


def bank_rules(partner: PartnerInProcess) -> dict[str, int]:
    """How often each rule of the scenario in play has fired."""
    player = partner.mock.backstage.player
    assert player is not None
    return {track.rule.name: track.fired for track in player.tracks}
