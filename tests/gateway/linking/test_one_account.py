"""The account consented to, checked and paid is one: a token under two accounts, and what proves an account."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from contracts.identity import IdentityAnswer, Verdict
from contracts.secret import Secret
from gateway.security.clients import hashed
from gateway.services.intake.corrections import Corrections
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import HOME, World

UNPROVED = ("awaiting_verification", "account_unproved")
X, Y = "+6281200000011", "+6281200000022"


async def operators(world: World, *names: str) -> list[httpx.AsyncClient]:
    """People who may hand in a document."""
    clients = []
    for name in names:
        async with world.database.connection() as connection:
            await connection.execute(
                "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ($1, $1, '', '{ops}', now())",
                name,
            )
            await connection.execute(
                "INSERT INTO access_tokens (token_hash, client_id, scopes, expires_at)"
                " VALUES ($1, $2, '{ops}', '2099-01-01')",
                hashed(f"token of {name}"),
                name,
            )
        client = world.browser()
        client.headers.update({"Authorization": f"Bearer token of {name}", "Accept": "application/json"})
        clients.append(client)
    return clients


async def give(client: httpx.AsyncClient, pid: str, document: str = "GP-2026-0117") -> tuple[int, Any]:
    reply = await client.post(f"/v1/participants/{pid}/account-proof", json={"document": document})
    return reply.status_code, reply.json()


@pytest.mark.parametrize("partner", ["shared", "sole"])
@pytest.mark.parametrize("checked", [True, False], ids=["after the match", "before the check"])
async def test_a_token_that_turns_up_under_a_second_account_proves_neither(
    world: World, partner: str, checked: bool
) -> None:
    first, second = await world.person(partner, X), await world.person(partner, Y)
    one = await world.linked(first, granted("one-token"))
    if checked:
        await world.verification.tick()
        assert await world.incentive(first) == ("scheduled", None)
    other = await world.linked(second, granted("one-token"))
    assert (await world.link(other))["grant_sealed"] is None
    assert await world.incentive(second) == ("awaiting_link", "account_unproved")
    assert await world.incentive(first) == UNPROVED
    owners = await world.all("SELECT * FROM account_owners")
    assert owners == [], "the account is free for whoever proves it"
    # Asked again, the partner says what it said before: it is no proof this time either.
    reply = await world.api.post("/v1/verifications", json={"participant_id": first})
    assert reply.status_code == 201
    await world.verification.tick()
    assert (await world.check(one))["verdict"] == "account_unproved"
    assert await world.incentive(first) == UNPROVED


async def test_of_two_grants_of_one_token_at_once_none_is_believed(world: World) -> None:
    for n in range(8):
        people = [await world.person("shared", f"{account}{n}") for account in (X, Y)]
        ways = [await world.opened(pid) for pid in people]
        world.banks["shared"].will("finish", granted(f"token-{n}"), granted(f"token-{n}"))
        await asyncio.gather(
            *(way[1].get("/callbacks/shared/link", params={"st": way[2], "code": "c"}) for way in ways)
        )
        await world.verification.tick()
        stands = [await world.incentive(pid) for pid in people]
        assert sorted(stands) == [("awaiting_link", "account_unproved"), UNPROVED]


async def test_who_mistyped_an_account_is_not_barred_from_the_right_one(world: World) -> None:
    pid = await world.person("shared", X)
    await world.linked(pid, granted("mine"))
    world.banks["shared"].will("verify", IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED))
    await world.verification.tick()
    assert await world.incentive(pid) == UNPROVED
    await Corrections(world.resources).correct(
        pid, {"partner": Secret("shared"), "account": Secret(Y), "phone": Secret(Y)}, "core"
    )
    assert await world.incentive(pid) == ("awaiting_link", "link_required")
    await world.linked(pid, granted("mine"))
    await world.verification.tick()
    # Two people approved another account: they have to approve this one.
    assert await world.incentive(pid) == ("scheduled", "approval_missing")


@pytest.mark.parametrize("verdict", [Verdict.ACCOUNT_UNPROVED, Verdict.MISMATCH])
async def test_whoever_was_signed_in_as_somebody_else_links_again_at_once(world: World, verdict: Verdict) -> None:
    """A phone that a family shares: the partner's page knows the one who was there before."""
    pid = await world.person("shared", X)
    first = await world.linked(pid, granted("of somebody else"))
    world.banks["shared"].will("verify", IdentityAnswer(verdict=verdict))
    await world.verification.tick()
    await world.linked(pid, granted("mine"))
    assert (await world.link(first))["state"] == "revoked"
    await world.verification.tick()
    assert await world.incentive(pid) == ("scheduled", None)


async def test_where_links_are_exclusive_somebody_elses_is_given_back_first(world: World) -> None:
    pid = await world.person("sole", X)
    await world.linked(pid, granted("of somebody else"))
    world.banks["sole"].will("verify", IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED))
    await world.verification.tick()
    busy = await world.api.post("/v1/links", json={"participant_id": pid, "return_url": HOME})
    assert (busy.status_code, busy.json()["code"]) == (409, "link_active")


async def test_one_account_linked_again_gives_the_same_token_and_stays_good(world: World) -> None:
    pid = await world.person("shared", X)
    link = await world.linked(pid, granted("mine"))
    await world.verification.tick()
    await world.linking.unlink(link, "core")
    await world.linked(pid, granted("mine"))
    await world.verification.tick()
    assert await world.incentive(pid) == ("scheduled", None)


async def test_a_document_counts_once_two_people_have_handed_it_in(world: World) -> None:
    one, two = await operators(world, "one", "two")
    pid, other = await world.person("shared", X), await world.person("shared", Y)
    assert (await give(one, pid))[0] == 409, "nothing is unproved"
    link = await world.linked(pid, granted("mine"))
    world.banks["shared"].always["verify"] = IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED)
    await world.verification.tick()
    assert await world.incentive(pid) == UNPROVED
    assert (await give(one, "P99"))[0] == 404
    for text in ("1101010101019901", "x", "GP 08123456789012", "<b>", "a" * 65):
        assert (await give(one, pid, text))[0] == 422
    status, said = await give(one, pid)
    assert (status, said["proved"], said["given_by"]) == (200, False, ["one"])
    status, said = await give(one, pid, "another letter")
    assert (status, said["code"]) == (409, "second_person_needed")
    assert await world.verification.tick() == 0
    assert await world.incentive(pid) == UNPROVED
    assert (await give(two, pid))[1]["proved"] is True
    await world.verification.tick()
    assert (await world.check(link))["verdict"] == "match"
    assert await world.incentive(pid) == ("scheduled", None)
    # It speaks of this person and account alone.
    await world.linked(other, granted("others"))
    await world.verification.tick()
    assert await world.incentive(other) == UNPROVED
    world.banks["shared"].always["verify"] = IdentityAnswer(verdict=Verdict.MISMATCH)
    await world.api.post("/v1/verifications", json={"participant_id": pid})
    await world.verification.tick()
    assert await world.incentive(pid) == ("awaiting_verification", "nik_mismatch"), "another NIK stays another NIK"


async def test_of_two_words_on_a_document_the_first_ones_client_is_enabled_still(world: World) -> None:
    one, two, three = await operators(world, "one", "two", "three")
    pid = await world.person("shared", X)
    link = await world.linked(pid, granted("mine"))
    world.banks["shared"].always["verify"] = IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED)
    await world.verification.tick()
    assert (await give(one, pid))[0] == 200
    await world.all("UPDATE clients SET disabled_at = now() WHERE id = 'one' RETURNING id")
    status, said = await give(two, pid)
    assert (status, said["proved"], said["given_by"]) == (200, False, ["two"])
    status, said = await give(three, pid)
    assert (status, said["proved"], said["given_by"]) == (200, True, ["two", "three"])
    await world.all("UPDATE clients SET disabled_at = now() WHERE id IN ('two', 'three') RETURNING id")
    await world.verification.tick()
    assert (await world.check(link))["verdict"] == "match", "who leaves later takes no proof away"


async def test_a_document_lets_the_refused_one_link_again_and_leaves_the_other_in_doubt(world: World) -> None:
    clients = await operators(world, "one", "two")
    first, second = await world.person("shared", X), await world.person("shared", Y)
    await world.linked(first, granted("one-token"))
    await world.verification.tick()
    await world.linked(second, granted("one-token"))
    for client in clients:
        assert (await give(client, second))[0] == 200
    assert await world.incentive(second) == ("awaiting_link", "link_required")
    await world.linked(second, granted("one-token"))
    await world.verification.tick()
    assert await world.incentive(second) == ("scheduled", None)
    assert await world.incentive(first) == UNPROVED


async def test_a_document_speaks_of_the_account_it_was_handed_in_for(world: World) -> None:
    """Two people's document about one account says nothing of the next one that the same person names."""
    clients = await operators(world, "one", "two")
    pid = await world.person("shared", X)
    await world.linked(pid, granted("mine"))
    world.banks["shared"].always["verify"] = IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED)
    await world.verification.tick()
    for client in clients:
        assert (await give(client, pid))[0] == 200
    await world.verification.tick()
    assert await world.incentive(pid) == ("scheduled", None)
    await Corrections(world.resources).correct(
        pid, {"partner": Secret("shared"), "account": Secret(Y), "phone": Secret(Y)}, "core"
    )
    await world.linked(pid, granted("others"))
    await world.verification.tick()
    assert await world.incentive(pid) == UNPROVED


async def test_a_refresh_that_brings_somebody_elses_token_is_none(world: World) -> None:
    """Answers that were swapped on their way: the person's own token stays, and a fresh one is asked for again."""
    ends = world.clock.now() + timedelta(days=15)
    one = await world.linked(await world.person("sole", X), granted("one-token"))
    refreshable = granted("other-token", expires_at=ends, refresh_token=Secret("refresh-token"))
    other = await world.linked(await world.person("sole", Y), refreshable)
    held = [(await world.link(each))["grant_index"] for each in (one, other)]
    world.clock.forward(14 * 86_400 + 1)
    world.banks["sole"].will("refresh", granted("one-token").grant, granted("fresh-token").grant)
    assert await world.linking.tick_refresh() == 1
    assert [(await world.link(each))["grant_index"] for each in (one, other)] == held
    acts = await world.all("SELECT subject FROM audit_log WHERE action = 'link.token_of_another_account'")
    assert [act["subject"] for act in acts] == [other], "and that is on record"
    world.clock.forward(61)
    assert await world.linking.tick_refresh() == 1
    assert (await world.link(other))["grant_index"] not in held
