"""Damaged messages are never believed; and the fuzz would see it if they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import pytest

from adapters.gopay import sign
from gateway.partners.transport import Reply
from tests.contract.stage import Take
from tests.fuzz.damage import ALTERED, BROKEN, damage, meaning
from tests.fuzz.replies import Partner, Replies, Taken, recorded
from tests.fuzz.run import LONG, SEED, SMALL, notifications, quiet, replies
from tests.fuzz.tally import Tally

Record = Callable[[str, object], None]


def told(tally: Tally, record: Record) -> None:
    record("cases", tally.cases)
    assert not tally.bad, "\n".join(tally.bad[:20])


@pytest.mark.timeout(3_600)
async def test_no_damaged_reply_is_believed(long: bool, record_property: Record) -> None:
    cases = (LONG if long else SMALL) // 2
    tally = await replies(SEED, cases)
    told(tally, record_property)
    assert tally.cases == cases
    assert {f"reply {kind}" for kind in (*BROKEN, *ALTERED, "status", "swapped")} <= set(tally.kinds)


@pytest.mark.timeout(3_600)
async def test_no_damaged_notification_is_believed(database: str, long: bool, record_property: Record) -> None:
    cases = (LONG if long else SMALL) // 2
    tally = await notifications(SEED, cases, database)
    told(tally, record_property)
    assert tally.cases == cases
    assert {f"notice signed {kind}" for kind in BROKEN | ALTERED} <= set(tally.kinds)


async def test_a_seed_repeats() -> None:
    one, two = [await replies(7, 150) for _ in range(2)]
    assert (one.kinds, one.ends) == (two.kinds, two.ends)


async def test_an_adapter_that_believes_anything_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes whatever is broken for the intact reply."""
    with quiet():
        stories = await Replies.of_all()
        play = Partner.play

        async def believing(self: Partner, take: Take, _: list[Reply]) -> Taken:
            return await play(self, take, recorded(take))

        monkeypatch.setattr(Partner, "play", believing)
        tally = await stories.run(Random(1), 200)
    assert len(tally.bad) > 20


async def test_a_gateway_that_believes_any_signature_is_found_out(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign, "iris_notice_valid", lambda *_: True)
    assert (await notifications(1, 100, database)).bad


def test_what_leaves_the_meaning_is_no_damage() -> None:
    intact = b'{"a": "1", "b": [1, {"c": null}]}'
    for same in (b'{"b":[1,{"c":null}],"a":"1"}', b' {"a":"1","a":"1","b":[1,{"c":null}]}\n'):
        assert meaning(same) == meaning(intact)
    for other in (b'{"a": 1, "b": [1, {"c": null}]}', b'{"a": "1", "b": [1.0, {"c": null}]}', b'{"a": "1"}'):
        assert meaning(other) != meaning(intact)
    rng = Random(1)
    for _ in range(300):
        made = damage(rng, intact, BROKEN | ALTERED)
        assert meaning(made.content) != meaning(intact) or meaning(made.content) is None
        assert json.loads(intact) == {"a": "1", "b": [1, {"c": None}]}
