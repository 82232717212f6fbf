"""Marked people in thousands of requests that fail, each broken in another way: nothing of them is answered, logged,
counted or stored in clear. `--long` sends 10,000.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from prometheus_client import generate_latest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.security import places
from gateway.services.intake.incentives import Incentives
from gateway.services.ops.gauges import measured
from gateway.services.ops.partners import Partners
from gateway.settings import Waits
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.payouts.city import TROUBLES, City, open_city
from tests.gateway.payouts.town import Town, open_town, phone_of

PERSON = {
    "nik": "3174014205909977", "full_name": "Zarkonia Taintmark", "phone": "+6281987654321",
    "account": "+6281987654321",
}  # fmt: skip
MARKS = (
    PERSON["nik"], "Zarkonia", "Taintmark", "81987654321", "1946340000007778", "739105", "taint-secret", "taint-code",
)  # fmt: skip
"""Whatever of it shows up anywhere: identity, card, one-time code, secrets."""
FREE = (PERSON["nik"], "Zarkonia Taintmark", "+6281987654321", "081987654321", "1946340000007778", "taint-secret")


class Breaker:
    """Breaks requests, each time in another way."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def mark(self) -> str:
        return self._chance.choice(FREE)

    def name(self) -> str:
        """For where a word of the caller's own choice names nobody, and is refused by name."""
        return self._chance.choice(FREE[:-1])

    def value(self, given: Any) -> Any:
        """Something else, with a marked person in it."""
        mark, text = self.mark(), str(given)
        return self._chance.choice(
            [mark, [mark], {"a": mark}, {self.name(): mark}, f"{text}{mark}", f"{mark}\x00", f" {mark}\u200b",
             mark * 40, None, int(PERSON["nik"]), -1, True, f"<b>{mark}</b>",
             f"'; DROP TABLE x; -- {mark}", f"\ud800{mark}"]
        )  # fmt: skip

    def body(self, given: dict[str, Any]) -> bytes:
        """The object with something wrong."""
        made = dict(given)
        for _ in range(self._chance.randint(1, 3)):
            name = self._chance.choice(list(made))
            match self._chance.randrange(4):
                case 0:
                    del made[name]
                case 1:
                    made[self.name()] = made.pop(name)
                case _:
                    made[name] = self.value(made[name])
            if not made:
                break
        text = json.dumps(made).encode()
        match self._chance.randrange(8):
            case 0:
                return text[: self._chance.randrange(len(text))]
            case 1:
                return text.replace(b'": ', b'": \xff', 1)
            case 2:
                return text + b"," + text
            case _:
                return text

    def requests(self, count: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Method, path and the rest of each."""
        whole = row(1, **PERSON)
        bodies: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/v1/incentives", whole),
            ("PUT", "/v1/participants/P00000001", PERSON),
            ("PUT", "/v1/participants/P00000001/account", {"partner": "ovo", "account": PERSON["account"]}),
            ("POST", "/v1/participants/P00000001/account-proof", {"document": "BA 17"}),
            ("POST", "/v1/links", {"participant_id": "P00000001", "return_url": "https://core.test/back"}),
            ("POST", "/v1/links/L1/inputs", {"inputs": {"card_no": "1946340000007778", "otp": "739105"}}),
            ("POST", "/v1/payouts", {"incentive_id": "1"}),
            ("POST", "/v1/batches/B1/approvals", {"decision": "approve", "content_root": "00"}),
            ("POST", "/v1/webhook-endpoints", {"url": "https://core.test/hook"}),
        ]
        for n in range(count):
            method, path, given = self._chance.choice(bodies)
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"k{n}"}
            match self._chance.randrange(9):
                case 0:
                    name = self._chance.choice(["Idempotency-Key", "X-Request-Id"])
                    headers[name] = self.name()
                    yield method, path, {"content": json.dumps(given).encode(), "headers": headers}
                case 1:
                    headers["Content-Type"] = self._chance.choice(["text/csv", "text/plain", f"x/{len(self.mark())}"])
                    yield method, path, {"content": json.dumps(given).encode(), "headers": headers}
                case 2:
                    headers["Content-Type"] = "text/csv"
                    text = as_csv([whole | {self._chance.choice(list(whole)): self.name()}])
                    yield (
                        "POST",
                        "/v1/batches",
                        {"content": text[: self._chance.choice([9_999, 200])], "headers": headers},
                    )
                case 3:
                    of = self._chance.choice(["participants", "links", "incentives", "payouts", "batches", "nowhere"])
                    yield "GET", f"/v1/{of}/{self.mark()}", {}
                case 4:
                    name = self._chance.choice(["participant_id", "stage", "cursor", self.name()])
                    yield "GET", "/v1/incentives", {"params": {name: self.mark()}}
                case 5:
                    path = self._chance.choice(
                        ["/connect/{}", "/callbacks/ovo/link?st={}&code=taint-code", "/{}", "/ops/{}"]
                    )
                    yield "GET", path.format(self.mark()), {}
                case 6:
                    form = {"grant_type": "client_credentials", "client_id": "maker", "client_secret": self.mark()}
                    yield "POST", "/oauth/token", {"data": form, "headers": {"Authorization": ""}}
                case _:
                    yield method, path, {"content": self.body(given), "headers": headers}


async def stored(api: Api) -> str:
    """Every row of every table as a dump has it."""
    tables = await api.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [await api.fetch(f"SELECT t::text FROM {table['tablename']} t") for table in tables]
    return "\n".join(one[0] for found in rows for one in found)


async def cached(api: Api) -> str:
    """Every key of Valkey with what lies under it."""
    redis = api.core.resources.redis
    assert redis is not None
    found = [key + b" " + (await redis.dump(key) or b"") async for key in redis.scan_iter(count=1_000)]
    return b"\n".join(found).decode("latin-1")


def spellings(mark: str) -> set[str]:
    """As it is, and as programs write it: in hexadecimal (so a dump shows bytes), base64 at each of the three places
    that it may begin at, for addresses, turned round, and with signs between its groups.
    """
    raw = mark.encode()
    told = {mark, raw.hex(), mark[::-1], quote(mark), "".join(f"%{byte:02X}" for byte in raw)}
    for pad in range(3):
        text = base64.b64encode(b"\0" * pad + raw).decode()
        whole = text[4 if pad else 0 : (pad + len(raw)) // 3 * 4]  # what stands before and behind mixes in at the ends
        told |= {whole, whole.replace("+", "-").replace("/", "_")}
    if mark.isdigit():
        told |= {sign.join(mark[n : n + 4] for n in range(0, len(mark), 4)) for sign in " -."}
    return {one for one in told if len(one) >= _SHORTEST}


_SHORTEST = 6
_SPELLED = re.compile("|".join(sorted(re.escape(one) for mark in MARKS for one in spellings(mark))), re.IGNORECASE)


def shown(text: str) -> list[str]:
    return _SPELLED.findall(text)


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_found_however_it_is_written(mark: str) -> None:
    """Else nothing that follows could fail."""
    raw = mark.encode()
    for before in ("", "a", "ab", "abc"):
        for after in ("", "z", "zy"):
            text = f"{before}{mark}{after}".encode()
            if len(mark) > 6:  # of fewer signs too little is left where neighbours mix in
                assert shown(base64.b64encode(text).decode()), (before, after)
                assert shown(base64.urlsafe_b64encode(text).decode()), (before, after)
            assert shown(f"\\x{text.hex().upper()}")
    assert shown(mark[::-1]) and shown(quote(mark, safe="")) and shown(f"x{raw.hex()}y") and not shown("anything else")


@pytest.mark.timeout(1_200)  # its full size on a busy machine
async def test_nothing_of_a_person_comes_out_of_what_fails(
    api: Api, capfd: pytest.CaptureFixture[str], long: bool
) -> None:
    assert (await api.call("POST", "/v1/incentives", json=row(1, **PERSON), key="first")).status_code == 201
    statuses: Counter[int] = Counter()
    for method, path, options in Breaker(20261128).requests(10_000 if long else 150):
        try:
            reply = await api.call(method, path, **options)
        except (httpx.InvalidURL, UnicodeEncodeError):
            continue  # no client can send it
        statuses[reply.status_code] += 1
        said = f"{reply.headers}\n{reply.text}"
        assert shown(said) == [], f"{method} {path.partition(chr(63))[0]}: {reply.status_code}"
    assert statuses[500] == 0, statuses
    assert sum(n for status, n in statuses.items() if status >= 400) > sum(statuses.values()) * 0.7, statuses
    assert shown((await api.http.get("/metrics")).text) == []
    text = await stored(api)
    assert [line for line in text.splitlines() if shown(line)] == []
    kept = await cached(api)
    assert "limit:" in kept and shown(kept) == []
    logged = "".join(capfd.readouterr())
    assert "route=" in logged and shown(logged) == []


def commands(database: str, payout: int, incentive: int) -> str:
    """What the command line prints about them, for people and for programs."""
    asked = (
        ["payouts", "show", str(payout)],
        ["why", str(incentive)],
        ["cases", "list"],
        ["payouts", "list"],
        ["funnel"],
    )
    said = []
    for words in asked:
        for form in ([], ["--json"]):
            done = CliRunner().invoke(app, [*words, *form], env={"DATABASE_URL": database})
            assert done.exit_code == 0, f"{words}: {done.output}"
            said.append(done.output)
    return "\n".join(said)


async def test_nor_out_of_what_a_partner_answers(database: str, capfd: pytest.CaptureFixture[str], long: bool) -> None:
    """A partner that repeats what it was sent in every answer that is none."""
    words = f"account 81987654321 of {PERSON['nik']}, card 1946 3400 0000 7778, call 0819-8765-4321"
    acts: list[Any] = ["lost", "reset", "garbage"]
    acts += [
        {"act": "say", "kind": kind, "reason": "partner_rejected", "detail": words, "partner_code": "4000001"}
        for kind in ("rejected", "unknown")
    ]
    async with open_town(database) as town:
        bank = town.partner()
        for n in range(100 if long else 10):
            bank.script("transfer", acts[n % len(acts)])
            await town.due()
            await town.worker().tick_send("fake")
            town.clock.advance(60.0)
            await town.worker().tick_lookups("fake")
        text = await _dump(town)
        (payout, *_) = await town.fetch("SELECT id, incentive FROM payouts ORDER BY id")
        told = await asyncio.to_thread(commands, database, payout["id"], payout["incentive"])
    assert "partner_rejected" in told and shown(told) == []
    assert "0000 7778" not in told and "8765-4321" not in told
    assert "partner_rejected" in text and shown(text) == []
    assert "0000 7778" not in text and "8765-4321" not in text
    assert shown("".join(capfd.readouterr())) == []


async def _dump(town: Town) -> str:
    tables = await town.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [await town.fetch(f"SELECT t::text AS row FROM {table['tablename']} t") for table in tables]
    return "\n".join(one["row"] for found in rows for one in found)


@pytest.mark.timeout(1_200)  # its full size on a busy machine
async def test_nor_out_of_what_goes_wrong_at_the_real_partners(
    database: str, capfd: pytest.CaptureFixture[str], long: bool
) -> None:
    """Every adapter at its mock, with most answers lost, late, refused or dropped: store, log, commands, measures."""
    chance = random.Random("taint")
    async with open_city(database, waits=Waits(absence_s=60.0, confirm_rejection_s=5.0)) as city:
        worker, statements = city.worker(), city.statements()
        tainted: set[str] = set()
        for slug in sorted(city.desks):
            for _ in range(40 if long else 2):
                person = await city.person(slug)
                await city.incentive(person)
                account = city.vault.open(places.account(f"P{person:05d}"), await _sealed(city, person))
                tainted |= {account.lstrip("+"), phone_of(person)[3:]}
        city.fate = lambda slug, target: chance.choice(TROUBLES) if chance.random() < 0.7 else ""
        wanted = 10_000 if long else 60
        for _ in range(20_000):
            if city.happened.total() - city.happened[""] >= wanted:
                break
            for slug in sorted(city.desks):
                await worker.tick_send(slug)
                await worker.tick_lookups(slug)
                await statements.tick(slug)
            await worker.tick_deadlines()
            await city.pass_time(600.0)
        assert city.happened.total() - city.happened[""] >= wanted, city.happened
        text = await _dump(city)
        (payout, *_) = await city.fetch("SELECT id, incentive FROM payouts ORDER BY id")
        told = await asyncio.to_thread(commands, database, payout["id"], payout["incentive"])
        manifests = {slug: desk.manifest for slug, desk in city.desks.items()}
        views = await Partners(city.database, city.clock, manifests, {}).all()
        moment = Incentives(city.database, city.clock, manifests).moment()
        async with city.database.connection() as connection:
            measures = generate_latest(await measured(connection, moment, views)).decode()
    told_as = {one for mark in tainted for one in spellings(mark)}
    spelled = re.compile("|".join(map(re.escape, told_as)), re.IGNORECASE)
    logged = "".join(capfd.readouterr())
    assert "unknown" in text and "gateway_incentives" in measures
    for where, said in {"store": text, "commands": told, "measures": measures, "log": logged}.items():
        assert spelled.findall(said) == [], where


async def _sealed(city: City, person: int) -> bytes:
    (row,) = await city.fetch("SELECT account_sealed FROM participants WHERE id = $1", person)
    return bytes(row["account_sealed"])
