"""Who is asked about while a NIK check is held: people known good, once a day, before everybody who waits, and their
answer shows whether the partner is right without ever counting against them.
"""

from __future__ import annotations

from contracts.brake import GOOD_FOR_S, ONCE_S
from contracts.identity import IdentityAnswer, Verdict
from gateway.services.brake.brake import ASK_EVERY, BACK, GOOD_ENOUGH, Brake
from gateway.storage.brake import canaries
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import World

MATCH, MISMATCH = IdentityAnswer(verdict=Verdict.MATCH), IdentityAnswer(verdict=Verdict.MISMATCH, partner_code="N")
KNOWN, NEW = 4, 12


async def people(world: World, first: int, n: int) -> list[str]:
    """So many more who are linked, each a minute after the one before, with their checks open."""
    made = []
    for number in range(first, first + n):
        pid = await world.person("bank", account=f"00112233{number:02d}", nik=f"110101010190{9900 + number}")
        await world.linked(pid, granted(f"token-{number}"))
        made.append(pid)
    return made


async def known_good(world: World) -> list[str]:
    """So many whom the partner matched, each a minute after the one before."""
    world.banks["bank"].always["verify"] = MATCH
    made = []
    for number in range(KNOWN):
        made += await people(world, number, 1)
        world.clock.forward(60)
        assert await world.verification.tick() == 1
    return made


async def crowd(world: World, first: int = KNOWN, n: int = NEW) -> list[str]:
    """New people of whom all are refused until the stage is held, and some who wait then."""
    world.banks["bank"].always["verify"] = MISMATCH
    made = await people(world, first, n)
    while not await open_holds(world):
        assert await world.verification.tick(1) == 1
    return made


async def open_holds(world: World) -> int:
    return len(await world.all("SELECT FROM holds WHERE released_at IS NULL"))


async def chosen(world: World) -> list[str]:
    """Who was asked about for a hold's sake, the first first."""
    rows = await world.all(
        "SELECT participant_id FROM verifications v JOIN participants p ON p.id = v.participant WHERE v.canary"
        " ORDER BY v.id"
    )
    return [row["participant_id"] for row in rows]


async def verified(world: World, pids: list[str]) -> list[bool]:
    return [(await world.facts(pid))[1] for pid in pids]


async def test_who_was_matched_last_is_asked_first_and_ends_it_at_once(world: World) -> None:
    good = await known_good(world)
    new = await crowd(world)
    assert await chosen(world) == good[::-1][:GOOD_ENOUGH]
    world.banks["bank"].always["verify"] = MATCH
    assert await world.verification.tick(GOOD_ENOUGH) == GOOD_ENOUGH
    await Brake(world.database, world.clock).tick()
    assert await open_holds(world) == 0, "though others have waited longer"
    while await world.verification.tick():
        pass
    assert all(await verified(world, good + new))


async def test_a_bad_answer_takes_nothing_from_whom_it_is_about_and_is_asked_again(world: World) -> None:
    good = await known_good(world)
    await crowd(world)
    told = len(await world.all("SELECT FROM events WHERE type = 'verification.completed'"))
    await world.verification.tick(GOOD_ENOUGH)
    assert all(await verified(world, good))
    assert len(await world.all("SELECT FROM events WHERE type = 'verification.completed'")) == told
    assert await open_holds(world) == 1
    asked_s, watch = 0.0, Brake(world.database, world.clock)
    while asked_s < ONCE_S - 60.0:
        world.clock.forward(ASK_EVERY.total_seconds() + 1)
        asked_s += ASK_EVERY.total_seconds() + 1
        await watch.tick()
        await world.verification.tick(GOOD_ENOUGH)
        if asked_s > 600.0:
            break
    assert sorted(await chosen(world)) == sorted(good), "each once"
    world.banks["bank"].always["verify"] = MATCH
    for _ in range(8):
        world.clock.forward(ASK_EVERY.total_seconds() + 1)
        await watch.tick()
        await world.verification.tick()
    assert await open_holds(world) == 0
    assert all(await verified(world, good))
    checks = await world.all("SELECT participant, count(*) AS n FROM verifications WHERE verdict = 'match' GROUP BY 1")
    assert sorted(row["n"] for row in checks) == [1] * NEW + [2] * KNOWN, "once more after it"


async def test_whose_match_is_no_longer_so_after_the_hold_is_refused(world: World) -> None:
    """What they are spared is a held partner's word, not the truth."""
    good = await known_good(world)
    await crowd(world)
    await world.verification.tick(GOOD_ENOUGH)
    async with world.database.transaction() as connection:
        await connection.execute("UPDATE holds SET released_at = $1, released_by = 'an operator'", world.clock.now())
    await Brake(world.database, world.clock).tick()
    await world.verification.tick()
    assert await verified(world, good) == [True, True, False, False]


async def test_nobody_is_chosen_whose_good_word_is_old(world: World) -> None:
    await known_good(world)
    world.clock.forward(GOOD_FOR_S - 90.0)  # the first two were matched more than thirty days ago
    async with world.database.transaction() as connection:
        assert await canaries.check_known_good(connection, world.clock.now(), "bank", 10) == 2
        assert await canaries.check_known_good(connection, world.clock.now(), "sole", 10) == 0


async def test_a_hold_that_comes_back_at_once_is_for_those_who_wait(world: World) -> None:
    """The partner is wrong about new people only: those known good cannot show it, and say so once."""
    good = await known_good(world)
    await crowd(world)
    known = set(good)
    bank, watch = world.banks["bank"], Brake(world.database, world.clock)

    async def verify() -> IdentityAnswer:
        return MATCH if bank.sent[-1][1]["token"] in {f"token-{n}" for n in range(KNOWN)} else MISMATCH

    bank.always["verify"] = verify
    await world.verification.tick(GOOD_ENOUGH)
    await watch.tick()
    assert await open_holds(world) == 0
    await people(world, KNOWN + NEW, 8)
    while not await open_holds(world) and await world.verification.tick(1):
        pass
    assert await open_holds(world) == 1
    for _ in range(5):
        world.clock.forward(ASK_EVERY.total_seconds() + 1)
        await watch.tick()
        await world.verification.tick(4)
    assert await open_holds(world) == 1, "not let go and made anew for ever"
    assert len(await chosen(world)) == GOOD_ENOUGH
    assert set(await chosen(world)) <= known
    assert BACK > ASK_EVERY


async def test_who_is_refused_by_right_keeps_nobody_else_of_the_run_from_being_asked(world: World) -> None:
    """Nobody is known good and nobody waits: those refused are all there is, and the last two are refused by right."""
    new = await crowd(world, first=0, n=7)
    last = await world.all(
        "SELECT participant_id FROM refusals r JOIN participants p ON p.id = r.participant ORDER BY r.id DESC LIMIT 2"
    )
    theirs = {new.index(row["participant_id"]) for row in last}
    bank, watch = world.banks["bank"], Brake(world.database, world.clock)

    async def verify() -> IdentityAnswer:
        return MISMATCH if bank.sent[-1][1]["token"] in {f"token-{n}" for n in theirs} else MATCH

    bank.always["verify"] = verify
    for _ in range(2):
        world.clock.forward(ASK_EVERY.total_seconds() + 1)
        await watch.tick()
        assert await world.verification.tick() == GOOD_ENOUGH
    await watch.tick()
    assert await open_holds(world) == 0
    while await world.verification.tick():
        pass
    assert await verified(world, new) == [n not in theirs for n in range(7)]
