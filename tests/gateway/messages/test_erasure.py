"""Erasing a person: two people, nothing open, and nothing of the person anywhere afterwards but that they were paid."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from contracts.errors import Conflict, InvalidRequest, NotFound
from contracts.payout import PayoutState
from gateway.security import places
from gateway.security.vault import SealBroken
from gateway.services.linking import facts
from gateway.services.messages.erasure import Erasing
from gateway.storage.access.keys import TABLES
from gateway.storage.intake import participants
from gateway.storage.payouts import ledger
from tests.gateway.payouts.town import Town, open_town, phone_of

NIK, ACCOUNT, ALIEN = "3173010101909901", "5557771119", "+6281999999999"
DAYS = 86_400.0


class Past:
    """One person who was paid and whose link has ended, and an eraser."""

    def __init__(self, town: Town, person: int, incentive: int) -> None:
        self.town, self.person, self.incentive = town, person, incentive
        self.pid = f"P{person:05d}"
        self.body = b""
        """What is kept of what was sent: whoever has our key could try accounts."""
        self.erasing = Erasing(town.database, town.clock, town.vault)

    async def note(self, phone: str, *, applied: bool = True) -> None:
        """A notification that names somebody, as it is kept."""
        await self.raw(
            len(await self.town.fetch("SELECT FROM inbox")) + 1, phone, f'{{"phone":"0{phone[3:]}"}}'.encode(), applied
        )

    async def raw(self, number: int, key: str, body: bytes, applied: bool = True) -> None:
        """A notification, as it is kept."""
        kept = {"method": "POST", "target": "/x", "headers": {}, "body": base64.b64encode(body).decode()}
        await self.town.execute(
            "INSERT INTO inbox (id, partner, kind, event_key, raw_sealed, received_at, applied_at)"
            " VALUES ($1, 'fake', 'k', $2, $3, $4, $5)",
            number,
            key,
            self.town.vault.seal(places.inbox_raw("fake", "k", key), msgspec.json.encode(kept).decode()),
            self.town.clock.now(),
            self.town.clock.now() if applied else None,
        )

    async def texts(self) -> str:
        """Every row of every table, as a dump has it, and whatever opens under our key."""
        found: list[str] = []
        async with self.town.database.connection() as connection:
            for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
                found += [one[0] for one in await connection.fetch(f"SELECT t::text FROM {row['tablename']} t")]
            for table in TABLES:
                for row in await connection.fetch(f"SELECT * FROM {table.name}"):
                    for column, place in table.columns.items():
                        if row[column]:
                            found.append(self._opened(place(row), row[column]))
        return "\n".join(found)

    def _opened(self, place: str, sealed: bytes) -> str:
        try:
            text = self.town.vault.open(place, sealed)
        except SealBroken:
            return ""
        if not place.startswith("inbox"):
            return text
        return base64.b64decode(msgspec.json.decode(text)["body"]).decode()

    def values(self) -> list[str]:
        """What must be nowhere: the values, their tails, and their indexes as a dump spells them."""
        vault, phone = self.town.vault, phone_of(self.person)
        indexes = [
            vault.index(places.NIK_INDEX, NIK),
            vault.index(places.account_index("fake"), ACCOUNT),
            vault.index(places.PHONE_INDEX, phone),
            vault.index(places.grant_index("fake"), f"token-{self.person}"),
            self.body,
        ]
        return [NIK, ACCOUNT, phone[3:], f"Name {self.person}", f"token-{self.person}", *(one.hex() for one in indexes)]

    def guesses(self) -> list[str]:
        """What whoever guesses a value could compute of it, and look for: hashes that need no key."""
        phone = phone_of(self.person)
        told = (NIK, ACCOUNT, f"Name {self.person}", phone, phone[1:], f"0{phone[3:]}", phone[3:])
        kinds = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")
        return [hashlib.new(kind, one.encode()).hexdigest() for one in told for kind in kinds]


@pytest.fixture
async def past(database: str) -> AsyncIterator[Past]:
    async with open_town(database) as town:
        town.partner()
        person = await town.person()
        incentive = await town.incentive(person)
        worker = town.worker()
        for leased in await worker.claim("fake", 1):
            await worker.send(leased)
        assert (await town.payout(incentive)).state is PayoutState.SUCCEEDED
        here = Past(town, person, incentive)
        (here.body,) = [row["frozen_hash"] for row in await town.fetch("SELECT frozen_hash FROM payouts")]
        vault, name = town.vault, here.pid
        nik_index = vault.index(places.NIK_INDEX, NIK)
        await town.execute(
            "UPDATE participants SET nik_sealed = $2, nik_index = $3, phone_index = $4 WHERE id = $1",
            person,
            vault.seal(places.nik(name), NIK),
            nik_index,
            vault.index(places.PHONE_INDEX, phone_of(person)),
        )
        account_index = vault.index(places.account_index("fake"), ACCOUNT)
        sealed = vault.seal(places.account(name), ACCOUNT)
        await town.execute("UPDATE participants SET account_sealed = $1, account_index = $2", sealed, account_index)
        sealed = vault.seal(places.link_account(f"L{person:05d}"), ACCOUNT)
        await town.execute("UPDATE links SET account_sealed = $1, account_index = $2", sealed, account_index)
        await town.execute("UPDATE incentives SET nik_index = $2 WHERE participant = $1", person, nik_index)
        await town.execute(
            "INSERT INTO account_proofs (participant, partner, account_index, nik_index, document, given_by, given_at)"
            " SELECT id, partner, account_index, nik_index, 'letter 1', 'c', facts_at FROM participants"
        )
        await town.execute(
            "INSERT INTO account_owners SELECT partner, account_index, nik_index, id, facts_at FROM participants"
        )
        await town.execute(
            "UPDATE links SET grant_index = $1", vault.index(places.grant_index("fake"), f"token-{person}")
        )
        for client, who in (("eva", "eva"), ("fay", "fay"), ("eva-2", "eva")):
            await town.execute(
                "INSERT INTO clients (id, name, secret_hash, scopes, created_at, person)"
                " VALUES ($1, $1, '', '{}', $2, $3)",
                client,
                town.clock.now(),
                who,
            )
        yield here


async def end(past: Past) -> None:
    """The link ends, and some days pass."""
    await past.town.execute("UPDATE participants SET link_active = false, verified = false, verified_until = NULL")
    await past.town.execute("UPDATE links SET state = 'unlinked'")
    await past.town.pass_time(4 * DAYS)


async def test_after_it_nothing_of_the_person_is_anywhere_and_the_books_are_right(past: Past) -> None:
    await past.note(phone_of(past.person))
    await past.note(ALIEN)
    await end(past)
    before = await past.texts()
    assert [value for value in past.values() if value not in before] == [], "the search finds them"
    assert [guess for guess in past.guesses() if guess in before] == [], "nor could anybody without our key"
    assert (await past.erasing.erase(past.pid, "eva")).erased_at is None
    assert (await past.erasing.erase(past.pid, "eva-2")).erased_at is None, "the same person by another client"
    assert past.values()[0] in await past.texts(), "nothing is erased on one person's word"
    done = await past.erasing.erase(past.pid, "fay")
    assert (done.erased_at, done.notifications) == (past.town.clock.now(), 1)
    after = await past.texts()
    assert [value for value in past.values() if value in after] == []
    assert ALIEN[4:] in after, "what is of others stays"
    async with past.town.database.connection() as connection:
        assert await ledger.imbalance(connection) == 0
        person = await participants.get(connection, past.person)
        paid = await connection.fetchrow("SELECT stage, amount_rupiah FROM incentives WHERE id = $1", past.incentive)
        said = await connection.fetch("SELECT actor, action FROM audit_log ORDER BY seq")
    assert tuple(paid) == ("paid", 600_000)
    assert [tuple(row) for row in said[-2:]] == [("eva-2", "participant.erase.ask"), ("fay", "participant.erase")]
    with pytest.raises(Conflict, match="erased"):
        facts.must_be_known(person)
    with pytest.raises(NotFound):
        await past.erasing.erase(past.pid, "eva")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE links SET state = 'active'", "an account link"),
        ("UPDATE payouts SET next_at = updated_at", "a payout that is followed"),
        ("UPDATE payouts SET updated_at = updated_at + interval '3 days'", "a payout of these days"),
        (
            "INSERT INTO cases (id, code, partner, payout, detail, opened_at, due_at)"
            " SELECT 1, 'c', 'fake', id, '', updated_at, updated_at FROM payouts",
            "an open case",
        ),
        (
            "INSERT INTO strays (partner, reference, amount_rupiah, account_index, booked_at, seen_at)"
            " SELECT partner, 'r', 1, account_index, facts_at, facts_at FROM participants",
            "a credit that no payout has",
        ),
        ("UPDATE incentives SET payout = 'reversed', deadline_on = deadline_on + 99", "an incentive that may still"),
        (
            "WITH p AS (INSERT INTO programmes VALUES ('plan-test', 't', now())),"
            " s AS (SELECT min(id) AS id FROM clients),"
            " n AS (INSERT INTO plans (id, organisation, client_id, programme, name, state, content, content_root,"
            " received_at) SELECT 'pl1', 'main', id, 'plan-test', 'n', 'approved', '', '', now() FROM s)"
            " INSERT INTO entitlements SELECT 1, 'pl1', 'main', 'plan-test', t.id, t.participant_id, 'finished', s.id,"
            " now(), now() FROM participants t, s",
            "an entitlement under a payment plan",
        ),
    ],
)
async def test_nothing_that_is_open_goes(past: Past, change: str, said: str) -> None:
    await end(past)
    await past.town.execute(change)
    with pytest.raises(Conflict, match=said):
        await past.erasing.erase(past.pid, "eva")


async def test_a_notification_that_waits_is_waited_for(past: Past) -> None:
    await past.note(phone_of(past.person), applied=False)
    await end(past)
    await past.erasing.erase(past.pid, "eva")
    with pytest.raises(Conflict, match="still to be applied"):
        await past.erasing.erase(past.pid, "fay")
    assert past.values()[0] in await past.texts(), "all or nothing"


async def test_a_first_word_does_not_count_for_ever_nor_does_nobodys(past: Past) -> None:
    await end(past)
    with pytest.raises(InvalidRequest, match="Two people"):
        await past.erasing.erase(past.pid, "cli")
    await past.erasing.erase(past.pid, "eva")
    await past.town.pass_time(8 * DAYS)
    assert (await past.erasing.erase(past.pid, "fay")).erased_at is None
    await past.town.execute("UPDATE clients SET disabled_at = now() WHERE id = 'fay'")
    assert (await past.erasing.erase(past.pid, "eva")).erased_at is None, "of a client that was ended"
    with pytest.raises(NotFound):
        await past.erasing.erase("nobody", "eva")
