"""Damaged replies of all partners, taken as the gateway takes them.

Each partner's mock and adapter play a participant's story once; every reply of it is then damaged, one at a time, and
the recorded plan runs again over the gateway's own executor and `Sending`; `decide` says what becomes of the payout.
Nothing but the socket and the store is left out.

Replies are not signed, so the rules are:

- after a *broken* reply to a WRITE the payout is `unknown` (a create: still `preparing`, and asked again); after one to
  a READ of its plan nothing has left; a broken look-up changes nothing; no other plan brings a result;
- after an *altered* one the same, or what the intact reply would have brought, where the altered value says nothing to
  us; but no verdict where a reference, amount or account that we had sent comes back as another one: that contradicts
  what we asked. One that does not come back at all, or empty, contradicts nothing;
- a reply about another payout (*swapped*: the references that we had sent are other ones) is about no payout of ours;
- an altered value that makes another message which the partner might have sent (a digit of a code, say) is out of any
  reader's reach. Only flipped bytes, pieces lost or repeated and repeated keys are excused so; such cases are counted
  as `another_valid_answer`;
- whatever comes, nothing but the documented exceptions is raised.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple

from adapters.registry import PARTNERS
from contracts.errors import OutcomeUnknown, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityAnswer, Verdict
from contracts.observation import Source
from contracts.payout import Outcome, PayoutState
from contracts.plan import Effect, Request
from gateway.partners.desk import Desk, pace
from gateway.partners.executor import Exchange, Executor
from gateway.partners.transport import Reply
from gateway.services.payouts.ends import Standing, Terms
from gateway.services.payouts.rules import decide
from gateway.services.payouts.sending import Sending, Try
from gateway.services.payouts.stops import Watched
from gateway.services.payouts.words import Finding, What, Word, WordOrFinding, agreed
from gateway.settings import Waits
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import IncentiveFacts, PayoutRow
from gateway.storage.payouts.queue import Attempt, Intent
from tests.contract.recording import Recording, record
from tests.contract.replay import Played, leaves, texts
from tests.contract.stage import Take
from tests.fuzz.damage import ALTERED, BROKEN, Damaged, at, damage, meaning, put
from tests.fuzz.tally import Tally
from tests.gateway.payouts.fake import VirtualClock

S = PayoutState
WRITES = {"payout": S.SUBMITTING, "approve": S.SUBMITTING, "prepare": S.PREPARING}
"""Operations whose WRITE is about a payout, and the state in which it leaves."""
IN_DOUBT = {"payout": S.UNKNOWN, "approve": S.UNKNOWN, "prepare": S.PREPARING}
NOTHING_LEFT = {"payout": S.RESERVED, "approve": S.PREPARED, "prepare": S.RESERVED}
STATUSES = (200, 201, 202, 204, 301, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504)
AMOUNT = 600_000
BESIDE = frozenset({"customerReference", "sourceAccountNo", "notes"})
"""Echoes that identify nothing: a text for the beneficiary, our own account, a remark."""
_TAIL = 8
"""So many last digits of an account are the same however it is written (+62..., 62..., 0...)."""
_REFERENCE = re.compile(r"(?=.*[0-9])[0-9A-Za-z]{12,32}", re.ASCII)
_NUMBER = re.compile(r"\+?[0-9]{5,}(?:\.00)?", re.ASCII)


class Taken(NamedTuple):
    """What a plan came to: the payout's state, or the kind of another plan's result; None: nothing was taken."""

    said: object
    wrote: bool


class Player:
    """The far side: the recorded replies in turn, one of them damaged."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.wrote = False

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        if not self.replies:
            raise PartnerUnavailable("the story has no more replies")
        return self.replies.pop(0)

    def write(self, exchange: Exchange) -> None:
        self.wrote = self.wrote or exchange.effect == Effect.WRITE.value


class Unstopped:
    """Nothing stops what is about to leave."""

    async def look(self, watch: Watched) -> None:
        """Let it go."""


class Partner:
    """One partner's story and the gateway in front of it."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.slug = recording.stage.manifest.slug
        self.player = Player()
        self.clock = VirtualClock(datetime(2026, 1, 15, 5, 0, tzinfo=UTC))
        adapter, waits = recording.stage.partner, Waits()
        executor = Executor(
            self.slug, dict.fromkeys(adapter.manifest.hosts, self.player), self.clock, self.player
        )  # fmt: skip
        self.desk = Desk(
            adapter, credentials=recording.stage.credentials, hosts={}, executor=executor,
            tokens=SimpleNamespace(get=_no_token, drop=_no_token, got_with=lambda *_: None),  # type: ignore[arg-type]
            clock=self.clock, waits=waits,
        )  # fmt: skip
        self.terms = Terms(manifest=adapter.manifest, pace=pace(adapter.manifest, waits))
        resources: Any = SimpleNamespace(
            clock=self.clock, vault=None, desks={self.slug: self.desk}, settings=SimpleNamespace(max_in_flight=1),
            on_time=lambda: None,
        )  # fmt: skip
        self.sending = Sending(resources, None, None, Unstopped(), "w")  # type: ignore[arg-type]
        self.account = recording.order.account

    async def play(self, take: Take, replies: list[Reply]) -> Taken:
        """Run a recorded plan over these replies; exceptions that are not documented escape."""
        self.player.replies, self.player.wrote = list(replies), False
        if take.operation in WRITES:
            return await self._sent(take)
        if take.operation == "find_payout":
            return await self._looked_up(take)
        try:
            result = await self.desk.run_bare(lambda _: take.make(), subject="fuzz")
        except (PartnerUnavailable, PartnerProtocolError, OutcomeUnknown):
            return Taken(None, self.player.wrote)
        if isinstance(result, Outcome):  # a withdrawal
            return Taken(None if result.kind.value == "unknown" else result.kind, self.player.wrote)
        played = Played(result)
        # A name that differs proves nothing and pays nobody: it is as good as not knowing.
        unproved = isinstance(result, IdentityAnswer) and result.verdict is Verdict.ACCOUNT_UNPROVED
        return Taken(played.kind if played.verdict and not unproved else None, self.player.wrote)

    async def _sent(self, take: Take) -> Taken:
        payout = _payout(self.slug, WRITES[take.operation], self.clock.now())
        leased: Any = SimpleNamespace(payout=payout)
        order: Any = SimpleNamespace(account=self.account)
        prepares = take.operation == "prepare"
        intent = Intent(
            payout=1, before=payout.state, after=S.PREPARING if prepares else S.SUBMITTING, attempt=1,
            hash=_frozen(take), answer_s=60.0, proved_after=None, not_after=None, last_heard=None,
        )  # fmt: skip
        one = Try(self.desk, leased, order, take.operation, lambda _c, _o: take.make(), _frozen(take), intent)
        watched = Watched(Attempt(1, moves_nothing=prepares, again=False))
        item, _ = await self.sending._run(one, self.clock.now() + timedelta(days=1), watched)
        state = self._decided(payout, item)
        if isinstance(item, Finding) and item.what is What.REFUSED:
            # Refused before the WRITE: the payout never was one, and the person is refused all the same.
            assert state is S.CANCELLED
            state = S.REJECTED
        return Taken(state, self.player.wrote)

    async def _looked_up(self, take: Take) -> Taken:
        payout = _payout(self.slug, S.UNKNOWN, self.clock.now())
        item: WordOrFinding
        try:
            outcome = await self.desk.run_bare(lambda _: take.make(), subject="fuzz")
        except PartnerError:
            item = Finding(payout=1, what=What.LOOKED_IN_VAIN)
        else:
            item = Word(payout=1, source=Source.LOOKUP, outcome=agreed(outcome, payout, self.account), attempt=1)
        state = self._decided(payout, item)
        return Taken(None if state is S.UNKNOWN else state, self.player.wrote)

    def _decided(self, payout: PayoutRow, item: WordOrFinding) -> PayoutState:
        heard = []
        if isinstance(item, Word):
            said = item.outcome
            heard = [Heard(id=1, payout=1, source=item.source, attempt=1, kind=said.kind, reason=said.reason,
                           technical=said.technical, partner_code=said.partner_code, at=self.clock.now())]  # fmt: skip
        incentive = IncentiveFacts(
            id=1,
            participant=1,
            payout="open",
            own=None,
            own_next_at=None,
            payouts=1,
            looks=0,
            deadline_on=date(2027, 1, 1),
        )
        standing = Standing(payout=payout, incentive=incentive, others=[])
        decide(self.terms, standing, heard, item, self.clock.now())
        return payout.state


class Replies:
    """All partners' stories, and the damage done to them."""

    def __init__(self, partners: list[Partner]) -> None:
        self.partners = partners

    @classmethod
    async def of_all(cls) -> Replies:
        """Play the stories: some seconds."""
        return cls([Partner(await record(partner)) for partner in PARTNERS.values()])

    async def run(self, rng: Random, cases: int) -> Tally:
        """So many cases."""
        tally = Tally()
        for partner in self.partners:
            for take in partner.recording.takes:  # or the rules below are about nothing
                intact = await partner.play(take, recorded(take))
                assert take.operation != "payout" or intact.said in (S.SUCCEEDED, S.PENDING, S.REJECTED), intact
        while tally.cases < cases:
            await self._case(rng, tally)
        return tally

    async def _case(self, rng: Random, tally: Tally) -> None:
        partner = rng.choice(self.partners)
        take = rng.choice(partner.recording.takes)
        index = rng.randrange(len(take.exchanges))
        request, reply = take.exchanges[index]
        if meaning(reply.content) is None:
            return  # no JSON: of a table in CSV each row is damaged by the contract suite
        replies = recorded(take)
        broken = rng.random() < 0.4
        status = rng.random() < 0.15
        swapped = _swapped(rng, take, index) if rng.random() < 0.1 else None
        if swapped is not None:
            made, status, broken = swapped, False, True
            replies[index] = replies[index]._replace(content=made.content)
        elif status:
            made = Damaged("status", reply.content)
            replies[index] = replies[index]._replace(
                status=rng.choice([one for one in STATUSES if one != reply.status])
            )
        else:
            made = damage(rng, reply.content, BROKEN if broken else ALTERED)
            replies[index] = replies[index]._replace(content=made.content)
        if reply.content.lstrip().startswith(b"[") and made.content.strip() == b"[]":
            return  # this partner's whole answer is a list: an empty one says that nothing was booked
        where = f"{partner.slug} {take.operation} reply {index + 1}, {made.kind} at {made.path}"
        try:
            taken = await partner.play(take, replies)
        except Exception as error:  # noqa: BLE001 - any other than the documented ones is what is looked for
            tally.wrong(made.kind, f"{where}: raised {type(error).__name__}")
            return
        intact = await partner.play(take, recorded(take))
        wrong = _judge(partner.account.reveal(), take, index, taken, intact, made, strict=broken or status)
        if wrong == "another_valid_answer" or not wrong:
            tally.add(f"reply {made.kind}", wrong or ("in doubt" if _nothing(take, request, taken) else "as intact"))
        else:
            tally.wrong(made.kind, f"{where}: {wrong}: {made.content[:300]!r}")


def _judge(account: str, take: Take, index: int, taken: Taken, intact: Taken, made: Damaged, *, strict: bool) -> str:
    """What rule it broke; an empty text: none."""
    if _nothing(take, take.exchanges[index][0], taken):
        return ""
    if strict:
        return f"{taken.said} was taken from it"
    if _contradicts(account, take, index, made):
        return f"{taken.said} though what we had sent came back as something else"
    if taken.said == intact.said:
        return ""
    if made.kind in ("flipped", "doubled", "spliced"):
        return "another_valid_answer"
    return f"{taken.said} instead of {intact.said}"


def _nothing(take: Take, request: Request, taken: Taken) -> bool:
    """Whether nothing was taken from the reply to this request of the plan."""
    if take.operation not in WRITES:
        return taken.said is None
    if request.effect is Effect.WRITE:
        return taken.said is IN_DOUBT[take.operation]
    return taken.said is NOTHING_LEFT[take.operation] and not taken.wrote


def _contradicts(account: str, take: Take, index: int, made: Damaged) -> bool:
    """Whether a reference, amount or account that we had sent came back as another one: a value that is gone, null or
    empty says nothing, and contradicts nothing; a list of it alone is it. An inquiry before the WRITE is about the
    account alone.
    """
    if not made.path or take.operation not in (*WRITES, "find_payout") or made.kind in ("doubled", "missing"):
        return False
    if made.path[-1] in BESIDE:
        return False
    sent = {text for request, _ in take.exchanges[: index + 1] for text in _numbers(request.content)}
    if take.operation in WRITES and take.exchanges[index][0].effect is Effect.READ:
        sent = {text for text in sent if text.endswith(account[-_TAIL:])}
    intact, altered = (at(json.loads(content), made.path) for content in (take.replies[index].content, made.content))
    return isinstance(intact, str) and intact in sent and altered not in (intact, [intact], None, "")


def _swapped(rng: Random, take: Take, index: int) -> Damaged | None:
    """The reply as it would be about another payout: every reference in it that we had sent is another one. None: the
    reply names none, or decides nothing about a payout.
    """
    request, reply = take.exchanges[index]
    if take.operation != "find_payout" and not (take.operation in WRITES and request.effect is Effect.WRITE):
        return None
    document, sent, found = json.loads(reply.content), request.target.encode() + request.content, 0
    for path in leaves(document):
        value = at(document, path)
        if isinstance(value, str) and _REFERENCE.fullmatch(value) and value.encode() in sent:
            other = value[:-4] + f"{rng.randrange(10_000):04d}"
            document, found = put(document, path, other), found + (path[-1] not in BESIDE and other != value)
    return Damaged("swapped", json.dumps(document).encode()) if found else None


def _numbers(content: bytes) -> list[str]:
    """Values of a request that are numbers of some length: references, amounts, accounts, phones."""
    try:
        return [text for text in texts(json.loads(content)) if _NUMBER.fullmatch(text)]
    except ValueError:
        return []  # a GET


def recorded(take: Take) -> list[Reply]:
    """The replies as they really were."""
    return [Reply(reply.status, dict(reply.headers), reply.content) for reply in take.replies]


def _frozen(take: Take) -> bytes:
    for request, _ in take.exchanges:
        if request.effect is Effect.WRITE:
            return hashlib.sha256(request.content if request.frozen is None else request.frozen).digest()
    return b""


async def _no_token(*_: object) -> None:
    """Recorded plans carry their own tokens."""


def _payout(partner: str, state: PayoutState, now: datetime) -> PayoutRow:
    return PayoutRow(
        id=1, reference=f"10{1:017d}", incentive=1, participant=1, link_id="L1", partner=partner, amount_rupiah=AMOUNT,
        state=state, attempt=1, refusals=0, frozen_hash=b"", partner_reference=None, first_sent_at=now, sent_at=now,
        sent_deadline=now + timedelta(seconds=50), next_at=None, looks=0, reason=None, technical=False,
        reason_due_at=None, confirmed_at=None, withdrawing=False, released_at=None, lease_until=None, leased_by="w",
        created_at=now, updated_at=now, ended_at=None, statements_from=None,
    )  # fmt: skip
