"""Damaged notifications, posted to the real application on a real database and then applied.

They start from what the partners' mocks really send in a participant's story, addressed to payouts, links and people
that the gateway has. What is done to them:

- *unsigned*: the body broken or altered, or the signature, the time, another header, the address or the method
  changed, under the signature of the intact message. Refused with a 4xx, and nothing is stored;
- *signed*: the content broken or altered, and signed anew with the partner's own key, as a bug over there would have
  it. It may be stored and answered with a 2xx, and then decides nothing. A signed message in which everything that we
  read (`READ`) is as before is no damaged one and is drawn again. Nor is a failure without its code or amount: the
  partner may leave the one out, and a failure is about the number that it names, whatever the amount;
- *swapped*: a correctly signed success of one payout with the reference of another, which has another amount;
- to a partner that sends no notifications, or to no callback at all: refused.

After every batch: no answer was a 5xx, and no payout has become succeeded, rejected or reversed, no link active, no
participant verified, no verdict been given. In the end the intact messages are sent: they must all count, or the run
has proved nothing.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, NamedTuple

import httpx
from litestar import Litestar

from adapters.registry import PARTNERS
from adapters.snap import sign as snap
from gateway.api.app import create_app
from gateway.core import Core, build_core
from gateway.partners.desk import Desk
from gateway.partners.executor import Executor
from gateway.partners.tokens import Tokens
from gateway.security import places
from mock_partners.kit.keys import Key, private_key
from mock_partners.kit.snap.signatures import sign_asymmetric
from tests.contract.stage import Stage, credentials
from tests.contract.test_notifications import everything
from tests.fuzz.damage import ALTERED, BROKEN, damage
from tests.fuzz.tally import Tally
from tests.gateway.payouts.town import Quiet, Town, open_town

SLUG = "gopay"
"""The one partner that sends notifications (the manifests say so, and `World.open` checks it)."""
PAYOUTS, LINKS = 24, 12
BATCH = 250
READ = {"payout": ("status", "reference_no", "amount", "error_code"), "link": ("additionalInfo", "accessToken")}
SIGNATURES = {"payout": "iris-signature", "link": "x-signature", "identity": "authorization"}


class Note(NamedTuple):
    """One message to post."""

    kind: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Refusing:
    """No partner is asked: a notification alone decides nothing."""

    async def send(self, *_: object) -> None:
        raise httpx.ConnectError("nobody is asked")


class World:
    """The gateway with payouts on their way, links in several states, and people without a verdict."""

    def __init__(self, town: Town, core: Core, app: Litestar, sent: list[Note], key: str) -> None:
        self.town = town
        self.core = core
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test")
        self._sent = sent
        self._merchant_key = key
        self.numbers: list[tuple[str, int]] = []
        """Partner's numbers and amounts of the payouts that are on their way."""
        self.tokens: list[str] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncIterator[World]:
        """A world on a fresh database."""
        notifying = [slug for slug, partner in PARTNERS.items() if partner.manifest.callbacks]
        assert notifying == [SLUG], "another partner's notifications want their damage and their story here too"
        stage = Stage(PARTNERS[SLUG])
        sent = [
            Note(note.kind, note.method, note.target, dict(note.headers), note.body) for note in await everything(stage)
        ]
        assert {note.kind for note in sent} == {route.kind for route in PARTNERS[SLUG].manifest.callbacks}
        async with open_town(dsn, start=stage.now()) as town:
            for slug, partner in PARTNERS.items():
                given = stage.credentials if slug == SLUG else _credentials(slug)
                town.desks[slug] = Desk(
                    partner, credentials=given, hosts=dict.fromkeys(partner.manifest.hosts, "http://127.0.0.1:1"),
                    executor=Executor(slug, dict.fromkeys(partner.manifest.hosts, Refusing()), town.clock, Quiet()),  # type: ignore[arg-type]
                    tokens=Tokens(None, town.vault, town.clock), clock=town.clock, waits=town.settings.waits,
                )  # fmt: skip
            core = build_core(town.resources)
            key = stage.credentials["iris_merchant_key"].reveal()
            world = cls(town, core, create_app(core=core), sent, key)
            await world._fill()
            yield world
            await world.http.aclose()

    async def _fill(self) -> None:
        town = self.town
        for n in range(PAYOUTS):
            await town.due(SLUG, amount=100_000 + 1_000 * n)
        await town.worker().claim(SLUG, PAYOUTS)
        states = ("pending", "unknown", "submitting", "prepared")
        for n, row in enumerate(await town.fetch("SELECT id, amount_rupiah FROM payouts ORDER BY id")):
            number = hashlib.sha256(f"number {n}".encode()).hexdigest()[:16]
            await town.execute(
                "UPDATE payouts SET state = $2, attempt = $3, partner_reference = $4, first_sent_at = created_at,"
                " sent_at = created_at, sent_deadline = created_at + interval '1 year', next_at = NULL,"
                " lease_until = NULL WHERE id = $1",
                row["id"], states[n % len(states)], int(n % len(states) < 3), number,
            )  # fmt: skip
            self.numbers.append((number, row["amount_rupiah"]))
        for n in range(LINKS):
            person = await town.person(SLUG)
            token = hashlib.sha256(f"token {n}".encode()).hexdigest()
            await town.execute(
                "UPDATE links SET grant_index = $2, state = $3 WHERE participant = $1",
                person, town.vault.index(places.grant_index(SLUG), token), ("active", "revoked", "unlinked")[n % 3],
            )  # fmt: skip
            await town.execute(
                "UPDATE participants SET verified = false, verified_until = NULL, link_active = $2 WHERE id = $1",
                person, n % 3 == 0,
            )  # fmt: skip
            self.tokens.append(token)

    async def settled(self) -> list[Any]:
        """What no damaged message may change: states of payouts and links, and what is known of people."""
        found: list[Any] = []
        for query in (
            "SELECT id, CASE WHEN ended_at IS NULL THEN 'on its way' ELSE state END AS state FROM payouts ORDER BY id",
            "SELECT id, state FROM links ORDER BY id",
            "SELECT id, link_active, verified, verified_until, standing FROM participants ORDER BY id",
            "SELECT id, verdict FROM verifications WHERE verdict IS NOT NULL ORDER BY id",
            "SELECT id, stage FROM incentives ORDER BY id",
        ):
            found += await self.town.fetch(query)
        return found

    async def stored(self) -> int:
        """How many notifications are in the inbox."""
        (row,) = await self.town.fetch("SELECT count(*)::int AS n FROM inbox")
        return int(row["n"])

    # --- messages ------------------------------------------------------------------------------------------------

    def draw(self, rng: Random) -> Note:
        """An intact message about something that the gateway has, signed."""
        note = rng.choice(self._sent)
        if note.kind == "payout":
            said = json.loads(note.body)
            number, amount = rng.choice(self.numbers)
            said |= {"reference_no": number, "amount": f"{amount}.00"}
            return self.signed(note, json.dumps(said, separators=(",", ":")).encode())
        token = rng.choice(self.tokens)
        if note.kind == "link":
            note = note._replace(headers=note.headers | {"x-timestamp": snap.timestamp(self.town.clock.now())})
            said = json.loads(note.body)
            said["additionalInfo"]["accessToken"] = token
            return self.signed(note, json.dumps(said, separators=(",", ":")).encode())
        return note._replace(headers=note.headers | {"authorization": f"Bearer {token}"})

    def signed(self, note: Note, body: bytes) -> Note:
        """The message with another body under the partner's own signature."""
        headers = dict(note.headers)
        if note.kind == "payout":
            headers["iris-signature"] = hashlib.sha512(body + self._merchant_key.encode()).hexdigest()
        elif note.kind == "link":
            text = snap.asymmetric_string_to_sign(note.method, note.target, snap.minify(body), headers["x-timestamp"])
            headers["x-signature"] = sign_asymmetric(private_key(Key.MIDTRANS), text.encode())
        return note._replace(headers=headers, body=body)

    async def post(self, note: Note) -> int:
        """The status of the answer."""
        headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in note.headers.items()]
        reply = await self.http.request(note.method, note.target, content=note.body, headers=headers)
        return reply.status_code

    async def apply(self) -> None:
        """Apply everything that is due, and try again what concerns nobody here, until it is given up."""
        for wait_s in (0, 1, 2, 4, 8, 16, 32, 64):
            self.town.clock.advance(wait_s)
            while await self.core.inbox.tick(limit=500):
                pass


def _credentials(slug: str) -> Any:
    package = importlib.import_module(f"mock_partners.{slug}")
    return credentials(PARTNERS[slug], package.CREDENTIALS["credentials"])


# --- damage -----------------------------------------------------------------------------------------------------------


METHODS = ("PUT", "POST", "PATCH", "DELETE", "GET")
TIMES = ("", "now", "2026-01-15T12:00:00", "2020-01-15T12:00:00+07:00")
ADDRESSES = ("/callbacks/gopay", "/callbacks//", "/callbacks/gopay/%00", "/callbacks/gopay/iris/iris")
STRANGERS = [slug for slug in PARTNERS if slug != SLUG] + ["nobody", "..", "%2e%2e"]


def unsigned(rng: Random, world: World) -> tuple[str, Note]:
    """Something changed under the signature of the intact message."""
    note = world.draw(rng)
    name, own = SIGNATURES[note.kind], note.kind != "identity"
    what = rng.choice(("body", "signature", "header", "time", "address", "method", "stranger"))
    if what == "body" and own:
        return what, note._replace(body=damage(rng, note.body, BROKEN | ALTERED).content)
    if what == "time" and note.kind == "link":
        return what, note._replace(headers=note.headers | {"x-timestamp": rng.choice(TIMES)})
    if what == "address":
        other = rng.choice((note.target + "/x", note.target[:-1], *ADDRESSES))
        return what, note._replace(target=note.target + "?a=1" if note.kind == "link" and rng.random() < 0.5 else other)
    if what == "method":
        return what, note._replace(method=rng.choice([one for one in METHODS if one != note.method]))
    if what == "stranger":
        return what, note._replace(target=note.target.replace(SLUG, rng.choice(STRANGERS), 1))
    if what == "header":
        return what, note._replace(headers={key: value for key, value in note.headers.items() if key != name})
    value = note.headers[name]
    wrong = ("", value[:-1], value[1:] + value[:1], value + "=", "0" * len(value), "\xe9" + value)
    other = rng.choice(wrong if own else ("", "Bearer ", "Bearer", "x" * 4_000))
    return "signature", note._replace(headers=note.headers | {name: other})


def signed(rng: Random, world: World) -> tuple[str, Note]:
    """Damaged content under a right signature."""
    while True:
        note = world.draw(rng)
        if note.kind == "payout" and rng.random() < 0.15:
            said = json.loads(note.body)
            number, amount = rng.choice(world.numbers)
            if said["status"] == "completed" and f"{amount}.00" != said["amount"]:
                swapped = said | {"reference_no": number}
                return "swapped", world.signed(note, json.dumps(swapped).encode())
            continue
        made = damage(rng, note.body, BROKEN | ALTERED)
        if not _still_says(note, made.content):
            return made.kind, world.signed(note, made.content)


def _still_says(note: Note, body: bytes) -> bool:
    """Whether all that is read of it is as before, or as the partner may well have written it."""
    if note.kind == "identity":
        return False  # nothing in it is believed: whatever it says, it is a hint
    try:
        before, after = json.loads(note.body), json.loads(body.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return False
    if not isinstance(after, dict):
        return False
    if note.kind == "link":
        info = after.get("additionalInfo")
        return isinstance(info, dict) and info.get("accessToken") == before["additionalInfo"]["accessToken"]
    failed = before["status"] in ("failed", "rejected")
    read = [name for name in READ["payout"] if not (failed and name in ("error_code", "amount"))]
    return all(before.get(name) == after.get(name) for name in read)


# --- the run ----------------------------------------------------------------------------------------------------------


async def run(rng: Random, world: World, cases: int) -> Tally:
    """So many damaged messages in batches, each applied and looked at; then the intact ones."""
    tally = Tally()
    before = await world.settled()
    while tally.cases < cases and len(tally.bad) < 50:
        batch: list[tuple[str, Note]] = []
        for _ in range(min(BATCH, cases - tally.cases)):
            right = rng.random() < 0.5
            kind, note = (signed if right else unsigned)(rng, world)
            stored = await world.stored() if not right and rng.random() < 0.05 else None
            status = await world.post(note)
            label = f"notice {'signed' if right else 'unsigned'} {kind}"
            if status >= 500:
                tally.wrong(label, f"answered {status}: {note}")
            elif not right and not 400 <= status < 500:
                tally.wrong(label, f"taken with {status}: {note}")
            elif stored is not None and await world.stored() != stored:
                tally.wrong(label, f"stored: {note}")
            else:
                tally.add(label, f"answered {status}")
            batch.append((label, note))
        await world.apply()
        if (after := await world.settled()) != before:
            changed = [(a, b) for a, b in zip(before, after, strict=False) if a != b][:3]
            tally.bad.append(f"a batch changed {changed}: one of {[(label, note.body[:300]) for label, note in batch]}")
            before = after
    tally.bad += await control(rng, world)
    return tally


async def control(rng: Random, world: World) -> list[str]:
    """The intact successes of all payouts on their way: every one of them must count."""
    template = next(note for note in world._sent if note.kind == "payout" and b'"completed"' in note.body)
    for number, amount in world.numbers:
        said = json.loads(template.body) | {"reference_no": number, "amount": f"{amount}.00"}
        status = await world.post(world.signed(template, json.dumps(said).encode()))
        if status != 200:
            return [f"an intact message was answered {status}"]
    await world.apply()
    rows = await world.town.fetch("SELECT state FROM payouts WHERE state <> 'succeeded'")
    return [f"{len(rows)} payouts did not become succeeded by intact messages"] if rows else []
