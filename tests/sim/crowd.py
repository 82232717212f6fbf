"""A crowd of equal answers: what a partner says wrongly of many people for a while, in the mocks' scenario language,
and what happens around it. Drawn from the seed alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contracts.hold import HoldStage
from mock_partners.kit.scenario.model import Rule, Scenario
from mock_partners.kit.scenario.play import Player
from tests.partners import each
from tests.partners.kit import LIMIT_WORDS, LINK, READ, SNAP_WORDS, TOKEN_WORDS, VERIFY, WRITE, Crowds, Words
from tests.sim.baton import Actor
from tests.sim.chance import Profile
from tests.sim.people import Gone, asked, resume
from tests.sim.wire import DROPPED, REFUSED

if TYPE_CHECKING:
    from tests.sim.snapshot import Held
    from tests.sim.town import Town

CROWDED = Profile("crowd", send=0.0, commit=0.002, crash=0.004, stall=0.0, switch=0.2, notice=0.0, events=0)
"""Beside the crowd little else goes wrong, so that what must come within minutes of its end can be demanded."""
SHARES = (0.1, 0.3, 0.6, 1.0)
LENGTHS_S = (60.0, 300.0, 3_600.0, 80_000.0)
"""The longest is under a day (the rules speak of those)."""
STALE_S = 31 * 86_400.0
"""So long after its good word nobody is known good any more, and somebody refused is asked by his own word alone."""
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 20)
AROUND = (None, None, None, "outage before", "outage after", "pause", "kill", "blackout", "cache")
"""What else happens while the crowd is answered wrongly, or at its edges."""
STAGES = {LINK: HoldStage.LINK, VERIFY: HoldStage.VERIFY, READ: HoldStage.PAYOUT, WRITE: HoldStage.PAYOUT}
KNOWN_AFTER = {LINK: "verified", VERIFY: "verified", READ: "paid", WRITE: "paid"}
WORDS: dict[str, Crowds] = {slug: story.CROWD for slug, story in each("story").items()}
_OPERATION = {LINK: "link", VERIFY: "verify", READ: "inquiry", WRITE: "payout"}
_NAME, _WRONG = "a crowd", "wrong"


@dataclass
class Crowd:
    """One seed's. Times by the virtual clock."""

    partner: str
    stage: str
    words: Words
    """One, or two that are mixed."""
    share: float
    by: str
    length_s: float
    onset_s: float
    size: int
    known_first: float
    """Which share of the people is known good when it begins."""
    around: str | None
    processes: int
    clean: bool
    """Nobody is answered wrongly: what must stay quiet."""
    ours: bool
    """What it says is about our own limit or deposit."""
    token: bool
    """It refuses our own token."""
    stale: bool
    """It begins once nobody was known good lately."""
    begun_s: float | None = None
    done: set[str] = field(default_factory=set)
    """What happened around it already."""

    @property
    def about_us(self) -> bool:
        """What it says is about us, whoever is asked about."""
        return self.ours or self.token

    @property
    def kinds(self) -> list[str]:
        """How the report counts it."""
        if self.clean:
            return ["crowd, none"]
        how = "slowly" if self.onset_s else "at once"
        known = "nobody known good" if self.known_first == 0.0 else "some known good"
        known = "known good a month ago" if self.stale else known
        words = "mixed words" if len(self.words) > 1 else "one word"
        words = "our own limit" if self.ours else "our own token" if self.token else words
        told = (self.stage, f"{self.share:.0%}", f"by {self.by}", f"for {self.length_s:.0f} s", how, words, known)
        return [f"crowd, {one}" for one in (*told, f"{self.size} people", f"{self.processes} processes")]

    @property
    def until_s(self) -> float | None:
        """When the partner is right again; None: it has not begun to be wrong."""
        return None if self.begun_s is None else self.begun_s + self.length_s

    def lasts(self, now_s: float) -> bool:
        """Whether it is wrong now."""
        return self.until_s is not None and now_s < self.until_s

    def set_up(self, town: Town) -> None:
        """Let the partner's mock learn from the first call on whose each token and reference is."""
        side = town.sides[self.partner]
        if not self.clean:
            side.player = Player(self._scenario(town.seed), side.world, side.clock, side.scheduler)

    def begin(self, town: Town) -> None:
        """From now on the partner is wrong."""
        side = town.sides[self.partner]
        self.begun_s = town.now_s
        town.trace(f"{self.partner} is wrong from now on: {', '.join(self.kinds)}")
        town.chance.drawn += self.kinds  # no fault that could be left out: the run is about it
        if side.player is not None:
            side.player.state = _WRONG
            for track in side.player.tracks:
                track.begun_s = side.clock.seconds()

    def _scenario(self, seed: int) -> Scenario:
        """The same people, or the same dice, for each of the words; of mixed ones the second takes half."""
        share: dict[str, Any] = {"share": self.share, "by": self.by} | (
            {"onset_s": self.onset_s} if self.onset_s else {}
        )
        when = {
            "operation": (_OPERATION[self.stage],), "state": (_WRONG,), "crowd": share, "until_s": self.length_s
        }  # fmt: skip
        rules = [Rule(_NAME, when, self.words[0], 1)]
        if len(self.words) > 1:
            rules.append(Rule(_NAME, when | {"rate": 0.5}, self.words[1], 2))
        return Scenario("a wrong hour", "", seed, tuple(rules))


def drawn(seed: int) -> Crowd:
    """The crowd of a seed."""
    rng = random.Random(f"{seed} crowd")
    partner = rng.choice(sorted(WORDS))
    stage = rng.choice(sorted(WORDS[partner].keys() - {LINK}))
    words = list(WORDS[partner][stage])
    rng.shuffle(words)
    by = rng.choice(("person", "person", "dice", "shard"))
    length_s = rng.choice(LENGTHS_S)
    mixed = by != "dice" and rng.random() < 0.3 and not _clash(words[:2])
    later = random.Random(f"{seed} crowds of another kind")  # drawn apart, so that each seed without is as it was
    ours = stage != VERIFY and SNAP_WORDS[0] in words and later.random() < 0.12
    if ours:
        words, mixed = [later.choice(LIMIT_WORDS)], False
    tokens = random.Random(f"{seed} crowds that refuse our token")  # likewise
    token = not ours and SNAP_WORDS[0] in words and tokens.random() < 0.1
    if token:
        words, mixed = [tokens.choice(TOKEN_WORDS)], False
    crowd = Crowd(
        partner=partner,
        stage=stage,
        words=tuple(words[: 2 if mixed else 1]),
        share=rng.choice(SHARES),
        by=by,
        length_s=length_s,
        onset_s=length_s / 2 if rng.random() < 0.25 else 0.0,
        size=rng.choice(SIZES),
        known_first=rng.choice((0.0, 0.0, 0.5, 1.0)),
        around=rng.choice(AROUND),
        processes=rng.choice((1, 2, 4)),
        clean=rng.random() < 0.12,
        ours=ours,
        token=token,
        stale=False,
    )
    crowd.stale = stage == VERIFY and crowd.known_first > 0.0 and not crowd.clean and later.random() < 0.2
    links = random.Random(f"{seed} crowds at linking")  # likewise
    may = LINK in WORDS[partner] and not (crowd.clean or crowd.about_us or crowd.stale)
    if may and links.random() < 0.1:
        crowd.stage, crowd.words = LINK, (links.choice(WORDS[partner][LINK]),)
        crowd.known_first = links.choice((0.0, 0.5))
    return crowd


def _clash(words: Words) -> bool:
    """Whether one says it at once and the other one later, or they do so in other atoms: both would be in force."""
    return len({frozenset(word) for word in words}) > 1


class Around:
    """Lets a seed's crowd begin, and what else happens meanwhile."""

    def __init__(self, town: Town, crowd: Crowd) -> None:
        self._town, self._crowd = town, crowd
        self._rng = random.Random(f"{town.seed} around the crowd")

    def turn(self, *, rests: bool) -> Actor | None:
        """What happens now; `rests`: nothing else will."""
        town, crowd = self._town, self._crowd
        if crowd.begun_s is None:
            return self._begin() if town.state.batches and (rests or self._known() >= self._wanted()) else None
        side, what = town.sides[crowd.partner], crowd.around
        if what is None or what in crowd.done:
            return None
        if what == "outage after":
            if not crowd.lasts(town.now_s):
                self._down(what)
            return None
        if open_hold(town, crowd.partner) is None and crowd.lasts(town.now_s) or side.down_until_s > town.now_s:
            return None
        crowd.done.add(what)
        return self._meanwhile(what) if crowd.lasts(town.now_s) else None

    def _begin(self) -> Actor | None:
        town, crowd = self._town, self._crowd
        if crowd.around == "outage before" and crowd.around not in crowd.done:
            self._down(crowd.around)
        if town.sides[crowd.partner].down_until_s > town.now_s:
            return None  # it comes back, and is wrong
        if crowd.stale:
            town.pass_s(STALE_S)
            town.trace("a month goes by")
        crowd.begin(town)
        return Actor("everybody is checked anew", self._check) if crowd.stage == VERIFY else None

    def _known(self) -> int:
        state, crowd = self._town.state, self._crowd
        if KNOWN_AFTER[crowd.stage] == "verified":
            return sum(one.verified for one in state.participants)
        return len({one.participant for one in state.incentives if one.stage == "paid"})

    def _wanted(self) -> int:
        return round(self._crowd.known_first * self._crowd.size * 0.8)

    def _down(self, what: str) -> None:
        town, side = self._town, self._town.sides[self._crowd.partner]
        self._crowd.done.add(what)
        side.down_until_s, side.down_how = town.now_s + 240.0, self._rng.choice((REFUSED, DROPPED, "502 html"))
        town.chance.drawn.append(f"crowd, {what}")
        town.trace(f"{side.slug} is down: {side.down_how}")

    def _meanwhile(self, what: str) -> Actor | None:
        town = self._town
        town.chance.drawn.append(f"crowd, {what}")
        if what == "pause":
            return Actor("pause and resume", self._pause)
        busy = [actor for actor in town.baton.actors if actor.process is not None and actor.gate is not None]
        if what == "cache":
            town.cache.values.clear()
        elif what == "kill":
            town.doomed += busy[:1]
        else:
            town.doomed += busy
            for process in town.free():
                process.restart()
        town.trace(f"{what}, in a hold")
        return None

    async def _check(self) -> None:
        """Core has everybody who is known good checked anew."""
        verified = [one.participant_id for one in self._town.state.participants if one.verified]
        for participant_id in verified:
            try:
                await asked(self._town, lambda s, p=participant_id: s.verification.request(p))
            except Gone as why:
                self._town.trace(f"verification: {why}")

    async def _pause(self) -> None:
        slug = self._crowd.partner
        try:
            try:
                await asked(self._town, lambda s: s.partners.pause(slug, "what do they say?", actor="operator"))
            except Gone as why:
                self._town.trace(f"pause: {why}")  # it may hold all the same
            await self._town.baton.rest(self._town.now_s + self._rng.choice((30.0, 400.0, 5_000.0)))
        finally:
            while any(one.partner == slug for one in self._town.state.paused):
                await resume(self._town, slug)
                await self._town.look()


def open_hold(town: Town, slug: str) -> Held | None:
    """A hold of the brake's at a partner."""
    return next((one for one in town.state.holds if one.open and one.partner == slug and one.kind == "brake"), None)
