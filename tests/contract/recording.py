"""A participant's story at one partner, with every plan and every reply as they really were."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.linking import Grant, LinkHealth
from contracts.nik import Nik
from contracts.partner import Capability, Context, Partner
from contracts.payout import OutcomeKind, PayoutOrder
from contracts.plan import Effect, Plan, Request
from contracts.secret import Secret
from gateway.clock import jakarta_day
from mock_partners.kit.world import Account
from tests.contract.people import Person
from tests.contract.stage import NIK, OTHER_NIK, Stage, Take


@dataclass
class Recording:
    """What a story left behind."""

    takes: list[Take]
    stage: Stage
    person: Person
    grant: Grant
    order: PayoutOrder
    """The payout that succeeded, with the partner's number where it has one."""
    query: IdentityQuery

    def of(self, operation: str) -> list[Take]:
        return [take for take in self.takes if take.operation == operation]

    @property
    def requests(self) -> list[Request]:
        return [request for take in self.takes for request, _ in take.exchanges]

    def secrets(self) -> set[str]:
        """Everything in this story that nobody may read in a log."""
        account, grant = self.person.account, self.grant
        told = {NIK, OTHER_NIK, account.account, account.phone, account.phone[1:], account.phone[3:]}
        told |= {account.holder_name, account.pin, account.card_no, grant.access_token.reveal()}
        told |= {sms["code"] for sms in self.stage.world.sms.newest_first(account.phone)}
        told |= {value.reveal() for value in grant.extra.values()}
        told |= {grant.refresh_token.reveal()} if grant.refresh_token else set()
        told |= {token.value.reveal() for token in self.stage.tokens.values()}
        wanted = self.stage.manifest.credentials.items()
        told |= {self.stage.credentials[name].reveal() for name, wish in wanted if wish.secret}
        return {text for text in told if text}


async def record(partner: Partner, *, changed: str | None = None) -> Recording:
    """Link, check, pay, look up, read the statement, unlink: each operation that the partner declares.

    `changed` names one credential that is another than the partner knows.
    """
    stage = Stage(partner)
    if changed is not None:
        stage.spoil(changed)
    account = stage.account()
    person = Person(stage, account)
    for name, token in partner.manifest.tokens.items():
        held = await stage.token(name)
        if token.refreshable:
            await _fetch_again(stage, name, held)
    grant = await person.grant()
    if stage.can(Capability.LINK_STATUS):
        await stage.run("link_health", partial(_health, partner, grant))
    if stage.can(Capability.GRANT_REFRESH):
        fresh = await stage.run("refresh_grant", partial(_refreshed, partner, grant))
        assert fresh is not None
        grant = fresh
    query = question(stage, account, grant)
    assert (await verify(stage, query)).verdict is Verdict.MATCH
    await verify(stage, question(stage, account, grant, nik=OTHER_NIK))
    order = await stage.prepare(stage.order(account, grant))
    said = await stage.follow(order, await stage.send(order))
    assert OutcomeKind.SUCCEEDED in {outcome.kind for outcome in said}
    await stage.find(order)
    if stage.manifest.two_step:
        other = await stage.prepare(stage.order(account, grant))
        await stage.run("withdraw", lambda ctx: partner.withdraw(ctx, other))
    account.status = "blocked"
    await stage.pay(stage.order(account, grant))
    account.status = "active"
    await stage.run("statement", lambda ctx: partner.statement(ctx, jakarta_day(stage.now()), None))
    if stage.can(Capability.BALANCE):
        await stage.run("balance", partner.balance)
    takes = list(stage.tape)
    await person.unlink(grant)
    takes += stage.tape[len(takes) :]
    await stage.settle()
    for note in stage.notifications():
        partner.callbacks.verify(stage.bare_context(), note)
    return Recording([take for take in takes if take.exchanges], stage, person, grant, order, query)


def _health(partner: Partner, grant: Grant, ctx: Context) -> Plan[LinkHealth]:
    """Of this grant also when the plan is begun again after a refresh."""
    return partner.link_health(ctx, grant)


def _refreshed(partner: Partner, grant: Grant, ctx: Context) -> Plan[Grant | None]:
    return partner.refresh_grant(ctx, grant)


def question(stage: Stage, account: Account, grant: Grant, *, nik: str = NIK) -> IdentityQuery:
    return IdentityQuery(
        reference=stage.reference(),
        nik=Nik(nik),
        account=Secret(account.account),
        phone=Secret(account.phone),
        grant=grant,
    )


async def verify(stage: Stage, query: IdentityQuery) -> IdentityAnswer:
    return await stage.run("verify_nik", lambda ctx: stage.partner.verify_nik(ctx, query))


async def _fetch_again(stage: Stage, name: str, held: object) -> None:
    stage.tokens[name] = await stage.run(
        "fetch_token",
        lambda ctx: stage.partner.fetch_token(ctx, name, held),  # type: ignore[arg-type]
        context=stage.bare_context(),
    )


def write_of(take: Take) -> int | None:
    """The index of the take's WRITE."""
    for index, (request, _) in enumerate(take.exchanges):
        if request.effect is Effect.WRITE:
            return index
    return None
