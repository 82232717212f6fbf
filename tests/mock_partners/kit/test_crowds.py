"""A crowd answered alike: its share by person, shard or dice, its onset, its window, and delays that climb."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from mock_partners.kit.http import Call
from mock_partners.kit.scenario import ScenarioError, parse_scenario
from mock_partners.kit.scenario.facts import Facts, Handles
from mock_partners.kit.scenario.matching import Track
from mock_partners.kit.world import Account, World
from mock_partners.pytest import PartnerInProcess
from tests.mock_partners.kit.staged import NOON, Stage, toml

PEOPLE = [f"{7_000_000_000 + number}" for number in range(1_000)]
DO = 'code = "404xx11"'


def known() -> World:
    world = World("bni")
    world.add_missing([Account("bni", one, "+628", "X", "", "full", "active") for one in PEOPLE])
    return world


WORLD = known()


def track(when: str, do: str = DO, begun: datetime = NOON) -> Track:
    (rule,) = parse_scenario(toml(do, when)).rules
    return Track(rule, random.Random(1), begun_s=begun.timestamp())


def hit(rule: Track, account: str, after_s: float = 0.0) -> bool:
    body = f'{{"accountNo":"{account}"}}'.encode()
    call = Call("POST", "/x", "", {"content-type": "application/json"}, body)
    return rule.fires(Facts(call, WORLD, Handles()), "POST /x", "start", NOON + timedelta(seconds=after_s))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("by", ["person", "dice"])
def test_the_share_of_a_crowd(share: float, by: str) -> None:
    rule = track(f'crowd = {{ share = {share}, by = "{by}" }}')
    assert abs(sum(hit(rule, one) for one in PEOPLE) / 1_000 - share) < 0.05


def test_everybody_and_nobody() -> None:
    assert all(hit(track("crowd = { share = 1.0 }"), one) for one in PEOPLE)
    assert not any(hit(track("crowd = { share = 0.0 }"), one) for one in PEOPLE)


def test_by_person_the_same_ones_are_ill_and_by_dice_others() -> None:
    person, dice = track("crowd = { share = 0.3 }"), track('crowd = { share = 0.3, by = "dice" }')
    ill = [one for one in PEOPLE if hit(person, one)]
    assert [one for one in PEOPLE if hit(track("crowd = { share = 0.3 }"), one)] == ill
    assert [one for one in PEOPLE if hit(person, one, 600)] == ill
    assert [one for one in PEOPLE if hit(dice, one)] != [one for one in PEOPLE if hit(dice, one)]


def test_another_rule_makes_others_ill() -> None:
    first, text = track("crowd = { share = 0.3 }"), toml(DO, "crowd = { share = 0.3 }").replace('"it"', '"another"')
    other = Track(parse_scenario(text).rules[0], random.Random(1), begun_s=NOON.timestamp())
    assert [hit(first, one) for one in PEOPLE] != [hit(other, one) for one in PEOPLE]


def test_by_shard_whole_shards_are_ill() -> None:
    rule = track('crowd = { share = 0.5, by = "shard", shards = 4 }')
    share = sum(hit(rule, one) for one in PEOPLE) / 1_000
    assert min(abs(share - quarter) for quarter in (0.0, 0.25, 0.5, 0.75, 1.0)) < 0.06


def test_an_onset_climbs_and_whoever_is_ill_stays_so() -> None:
    rule = track("crowd = { share = 0.6, onset_s = 600 }")
    ill = [{one for one in PEOPLE if hit(rule, one, after_s)} for after_s in (0, 150, 300, 600, 3_600)]
    assert [round(len(one) / 1_000, 1) for one in ill] in ([0.0, 0.1, 0.3, 0.6, 0.6], [0.0, 0.2, 0.3, 0.6, 0.6])
    assert all(before <= after for before, after in itertools.pairwise(ill))


def test_a_call_about_nobody_is_in_a_crowd_by_dice_only() -> None:
    assert not hit(track("crowd = { share = 1.0 }"), "nobody")
    assert hit(track('crowd = { share = 1.0, by = "dice" }'), "nobody")


@pytest.mark.parametrize(
    ("when", "hits"),
    [
        ("after_s = 60", [False, True, True]),
        ("until_s = 60", [True, False, False]),
        ("after_s = 30\nuntil_s = 90", [False, True, False]),
    ],
)
def test_time_from_the_start(when: str, hits: list[bool]) -> None:
    rule = track(when)
    assert [hit(rule, PEOPLE[0], after_s) for after_s in (0, 60, 120)] == hits


def test_time_from_the_first_hit() -> None:
    rule = track('since = "first"\nuntil_s = 60')
    assert [hit(rule, PEOPLE[0], after_s) for after_s in (500, 540, 559, 560, 10_000)] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("do", "after_s", "least", "most"),
    [
        ("delay_s = { from = 1, to = 3, over_s = 100 }", 0, 1.0, 1.0),
        ("delay_s = { from = 1, to = 3, over_s = 100 }", 50, 2.0, 2.0),
        ("delay_s = { from = 3, to = 1, over_s = 100 }", 500, 1.0, 1.0),
        ("slow_answer_s = { min = 2, max = 5 }", 0, 2.0, 5.0),
        ("delay_s = 4", 0, 4.0, 4.0),
    ],
)
def test_delays_climb_and_spread(do: str, after_s: float, least: float, most: float) -> None:
    rule = track("", do)
    drawn = [next(iter(rule.does(NOON + timedelta(seconds=after_s)).values())) for _ in range(20)]
    assert all(least <= one <= most for one in drawn)
    assert (len(set(drawn)) > 1) is (least != most)


@pytest.mark.parametrize(
    ("when", "do", "told"),
    [
        ('crowd = { by = "person" }', DO, "when.crowd must be"),
        ("crowd = { share = 2.0 }", DO, "when.crowd must be"),
        ("crowd = { share = 0.5, shards = 4 }", DO, 'when.crowd.shards needs by = "shard"'),
        ("after_s = 5\nuntil_s = 5", DO, "when.until_s is not more than after_s"),
        ('since = "first"', DO, "when.since needs"),
        ("", "delay_s = { min = 2, max = 1 }", "do.delay_s must be"),
        ("", "delay_s = { from = 2, to = 1 }", "do.delay_s must be"),
    ],
)
def test_what_makes_no_sense_is_refused(when: str, do: str, told: str) -> None:
    with pytest.raises(ScenarioError) as found:
        parse_scenario(toml(do, when))
    assert told in str(found.value)


async def test_a_wrong_hour_at_a_partner(mock_partner: Callable[..., PartnerInProcess]) -> None:
    """From the first call on everybody is unknown for five minutes, and afterwards as known as before."""
    people: list[dict[str, Any]] = [{"account": one, "card_no": "1946340000009901"} for one in PEOPLE[:5]]
    stage = Stage(mock_partner("bni", people))
    await stage.begin(DO, 'operation = "payout"\ncrowd = { share = 1.0 }\nsince = "first"\nuntil_s = 300')
    for after_s, expected in ((0, "4041711"), (299, "4041711"), (2, "2001700")):
        await stage.partner.advance(after_s)
        told = [(await stage.transfer_reply(f"{after_s}-{one}", one)).json()["responseCode"] for one in PEOPLE[:5]]
        assert told == [expected] * 5
    assert len(stage.booked()) == 5
