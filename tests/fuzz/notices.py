"""Damaged notifications, posted to the real application on a real database and then applied.

They start from what the partners' mocks really send in a participant's story, addressed to payouts, links and people
that the gateway has. What is done to them:

- *unsigned*: the body broken or altered, or the signature, the time, another header, the address or the method
  changed, under the signature of the intact message. Refused with a 4xx, and nothing is stored;
- *signed*: the content broken or altered, and signed anew with the partner's own key, as a bug over there would have
  it. It may be stored and answered with a 2xx, and then decides nothing. A signed message in which everything that we
  read is as before (the partner's `notices.read`) is no damaged one and is drawn again;
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
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

import httpx
from litestar import Litestar

from adapters.registry import PARTNERS
from gateway.api.app import create_app
from gateway.core import Core, build_core
from gateway.partners.desk import Desk
from gateway.partners.executor import Executor
from gateway.partners.tokens import Tokens
from gateway.security import places
from tests.contract.stage import Stage, credentials
from tests.contract.test_notifications import UNSIGNED, everything
from tests.fuzz.damage import ALTERED, BROKEN, damage
from tests.fuzz.tally import Tally
from tests.gateway.payouts.town import Quiet, Town, open_town
from tests.partners import each
from tests.partners.kit import Subject

NOTIFYING = tuple(slug for slug, partner in PARTNERS.items() if partner.manifest.callbacks)
TOLD = each("notices")
PAYOUTS, LINKS = 24, 12
"""Of each partner that sends notifications."""
BATCH = 250


class Note(NamedTuple):
    """One message of a partner to post."""

    slug: str
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

    def __init__(self, town: Town, core: Core, app: Litestar, sent: list[Note]) -> None:
        self.town = town
        self.core = core
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test")
        self.sent = sent
        self.subjects: dict[str, list[Subject]] = {slug: [] for slug in NOTIFYING}
        """By partner, the payouts that are on their way, each with a link of somebody else's beside it."""

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncIterator[World]:
        """A world on a fresh database."""
        sent: list[Note] = []
        for slug in NOTIFYING:
            stage = Stage(PARTNERS[slug])
            sent += [
                Note(slug, note.kind, note.method, note.target, dict(note.headers), note.body)
                for note in await everything(stage)
            ]
            kinds = {note.kind for note in sent if note.slug == slug}
            assert kinds == {route.kind for route in PARTNERS[slug].manifest.callbacks}
        async with open_town(dsn, start=stage.now()) as town:
            for slug, partner in PARTNERS.items():
                town.desks[slug] = Desk(
                    partner, credentials=_credentials(slug), hosts=dict.fromkeys(partner.manifest.hosts, "http://127.0.0.1:1"),
                    executor=Executor(slug, dict.fromkeys(partner.manifest.hosts, Refusing()), town.clock, Quiet()),  # type: ignore[arg-type]
                    tokens=Tokens(None, town.vault, town.clock), clock=town.clock, waits=town.settings.waits,
                )  # fmt: skip
            core = build_core(town.resources)
            world = cls(town, core, create_app(core=core), sent)
            for slug in NOTIFYING:
                await world._fill(slug)
            yield world
            await world.http.aclose()

    async def _fill(self, slug: str) -> None:
        town, tokens = self.town, await self._links(slug)
        for n in range(PAYOUTS):
            await town.due(slug, amount=100_000 + 1_000 * n)
        await town.worker().claim(slug, PAYOUTS)
        states = ["pending", "unknown", "submitting"]
        states += ["prepared"] if PARTNERS[slug].manifest.two_step else []
        mine = await town.fetch(
            "SELECT id, reference, amount_rupiah FROM payouts WHERE partner = $1 ORDER BY id", slug
        )  # fmt: skip
        for n, row in enumerate(mine):
            number = hashlib.sha256(f"number {slug} {n}".encode()).hexdigest()[:16]
            await town.execute(
                "UPDATE payouts SET state = $2, attempt = $3, partner_reference = $4, first_sent_at = created_at,"
                " sent_at = created_at, sent_deadline = created_at + interval '1 year', next_at = NULL,"
                " lease_until = NULL WHERE id = $1",
                row["id"], states[n % len(states)], int(n % len(states) < 3), number,
            )  # fmt: skip
            subject = Subject(row["reference"], number, row["amount_rupiah"], tokens[n % LINKS])
            self.subjects[slug].append(subject)

    async def _links(self, slug: str) -> list[str]:
        town, tokens = self.town, []
        for n in range(LINKS):
            person = await town.person(slug)
            token = hashlib.sha256(f"token {slug} {n}".encode()).hexdigest()
            await town.execute(
                "UPDATE links SET grant_index = $2, state = $3 WHERE participant = $1",
                person, town.vault.index(places.grant_index(slug), token), ("active", "revoked", "unlinked")[n % 3],
            )  # fmt: skip
            await town.execute(
                "UPDATE participants SET verified = false, verified_until = NULL, link_active = $2 WHERE id = $1",
                person, n % 3 == 0,
            )  # fmt: skip
            tokens.append(token)
        return tokens

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

    async def blamed(self, ids: list[int], batch: list[tuple[str, Note]]) -> list[tuple[str, Note]]:
        """Those of a batch that name one of these payouts; the whole of it where they are about something else."""
        rows = await self.town.fetch(
            "SELECT reference, partner_reference FROM payouts WHERE id = ANY($1::bigint[])", ids
        )  # fmt: skip
        names = [str(name).encode() for row in rows for name in row.values()]
        return [(label, note) for label, note in batch if any(name in note.body for name in names)] or batch

    async def stored(self) -> int:
        """How many notifications are in the inbox."""
        (row,) = await self.town.fetch("SELECT count(*)::int AS n FROM inbox")
        return int(row["n"])

    # --- messages ------------------------------------------------------------------------------------------------

    def draw(self, rng: Random) -> Note:
        """An intact message about something that the gateway has, signed."""
        note = rng.choice(self.sent)
        return self.about(note, rng.choice(self.subjects[note.slug]))

    def about(self, note: Note, subject: Subject) -> Note:
        """The message about something else, signed."""
        headers, said = TOLD[note.slug].about(note.kind, note.headers, json.loads(note.body), subject)
        return self.signed(note._replace(headers=headers), json.dumps(said, separators=(",", ":")).encode())

    def signed(self, note: Note, body: bytes) -> Note:
        """The message with another body under the partner's own signature."""
        now = self.town.clock.now()
        headers = TOLD[note.slug].signed(note.kind, note.method, note.target, note.headers, body, now)
        return note._replace(headers=dict(headers), body=body)

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
STRANGERS = [*PARTNERS, "nobody", "..", "%2e%2e"]


def unsigned(rng: Random, world: World) -> tuple[str, Note]:
    """Something changed under the signature of the intact message."""
    note = world.draw(rng)
    told, home = TOLD[note.slug], f"/callbacks/{note.slug}"
    name, own = told.SIGNATURE[note.kind], note.kind not in UNSIGNED
    what = rng.choice(("body", "signature", "header", "time", "address", "method", "stranger"))
    if what == "body" and own:
        return what, note._replace(body=damage(rng, note.body, BROKEN | ALTERED).content)
    if what == "time" and note.kind in told.TIME:
        return what, note._replace(headers=note.headers | {told.TIME[note.kind]: rng.choice(TIMES)})
    if what == "address":
        strange = (home, "/callbacks//", f"{home}/%00", note.target + note.target.removeprefix(home))
        other = rng.choice((note.target + "/x", note.target[:-1], *strange))
        asked = note.kind in told.SIGNS_ADDRESS and rng.random() < 0.5
        return what, note._replace(target=note.target + "?a=1" if asked else other)
    if what == "method":
        return what, note._replace(method=rng.choice([one for one in METHODS if one != note.method]))
    if what == "stranger":
        others = [each for each in STRANGERS if each != note.slug]
        return what, note._replace(target=note.target.replace(note.slug, rng.choice(others), 1))
    if what == "header":
        return what, note._replace(headers={key: value for key, value in note.headers.items() if key != name})
    value = note.headers[name]
    wrong = ("", value[:-1], value[1:] + value[:1], value + "=", "0" * len(value), "\xe9" + value)
    other = rng.choice(wrong if own else ("", "Bearer ", "Bearer", "x" * 9_000))
    return "signature", note._replace(headers=note.headers | {name: other})


def signed(rng: Random, world: World) -> tuple[str, Note]:
    """Damaged content under a right signature."""
    while True:
        note = world.draw(rng)
        if note.kind == "payout" and rng.random() < 0.15:
            one, other = rng.sample(world.subjects[note.slug], 2)
            if TOLD[note.slug].succeeded(note.kind, json.loads(note.body)):
                return "swapped", world.about(note, replace(one, amount_rupiah=other.amount_rupiah))
            continue
        made = damage(rng, note.body, BROKEN | ALTERED)
        if not _still_says(note, made.content):
            return made.kind, world.signed(note, made.content)


def _still_says(note: Note, body: bytes) -> bool:
    """Whether all that is read of it is as before, or as the partner may well have written it."""
    try:
        before, after = json.loads(note.body), json.loads(body.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return False
    if not isinstance(after, dict):
        return False
    read, may_lack = TOLD[note.slug].read, TOLD[note.slug].MAY_LACK
    after |= {name: before.get(name) for name in may_lack if after.get(name) in (None, "")}
    return read(note.kind, before) is not None and bool(read(note.kind, before) == read(note.kind, after))


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
            why = [(label, note.body[:300]) for label, note in await world.blamed([a["id"] for a, _ in changed], batch)]
            tally.bad.append(f"a batch changed {changed}: one of {why}")
            before = after
    tally.bad += await control(rng, world)
    return tally


async def control(rng: Random, world: World) -> list[str]:
    """The intact successes of all payouts on their way: every one of them must count."""
    for slug, subjects in world.subjects.items():
        paid = (note for note in world.sent if note.slug == slug)
        template = next(note for note in paid if TOLD[slug].succeeded(note.kind, json.loads(note.body)))
        for subject in subjects:
            if (status := await world.post(world.about(template, subject))) != 200:
                return [f"an intact message of {slug} was answered {status}"]
    await world.apply()
    rows = await world.town.fetch("SELECT state FROM payouts WHERE state <> 'succeeded'")
    return [f"{len(rows)} payouts did not become succeeded by intact messages"] if rows else []
