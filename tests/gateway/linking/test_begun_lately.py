"""Linking is begun so often and no more: each time the partner may send an SMS to somebody who asked for none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.services.linking.steps import BEGINS, BEGINS_WITHIN
from tests.gateway.linking.test_linking_inputs import ASK_OTP, BEGIN, CARD
from tests.gateway.linking.world import HOME, World


@pytest.fixture(autouse=True)
def sends(world: World) -> None:
    """A bank that sends a code for every card."""
    world.banks["bank"].always |= {"begin": BEGIN, "answer": ASK_OTP}


async def _begin(world: World, person: str) -> int:
    """A fresh challenge, and its first inputs through a client with screens of its own; the status."""
    started = await world.api.post("/v1/links", json={"participant_id": person, "return_url": HOME})
    if started.status_code != 201:
        return int(started.status_code)
    reply = await world.api.post(f"/v1/links/{started.json()['link_id']}/inputs", json={"inputs": {"card_no": CARD}})
    return int(reply.status_code)


async def test_one_person_is_sent_a_bounded_number_of_messages(world: World) -> None:
    person = await world.person("bank")
    statuses = [await _begin(world, person) for _ in range(15)]
    assert statuses == [200] * BEGINS.burst + [429] * (15 - BEGINS.burst)
    assert world.banks["bank"].calls("answer") == BEGINS.burst
    world.clock.at += BEGINS_WITHIN + timedelta(seconds=1)
    assert await _begin(world, person) == 200


async def test_one_account_is_whoever_names_it(world: World) -> None:
    """Ten participants under one account number: it is one phone that rings."""
    people = [await world.person("bank", account="+628120000777") for _ in range(12)]
    statuses = [await _begin(world, person) for person in people]
    assert statuses.count(200) == BEGINS.burst
    assert await _begin(world, await world.person("bank", account="+628120000778")) == 200, (
        "another account is another's"
    )


async def test_who_is_refused_is_told_until_when(world: World) -> None:
    person = await world.person("bank")
    for _ in range(BEGINS.burst + 1):
        started = await world.api.post("/v1/links", json={"participant_id": person, "return_url": HOME})
        reply = await world.api.post(
            f"/v1/links/{started.json()['link_id']}/inputs", json={"inputs": {"card_no": CARD}}
        )
    assert (reply.status_code, reply.json()["code"]) == (429, "too_many_requests")
    assert 0 < int(reply.headers["retry-after"]) <= BEGINS_WITHIN.total_seconds()
