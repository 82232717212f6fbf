"""`gateway partners`: what each partner can do and what is assumed about it; and at a running installation, how it is,
and what an operator does about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

import typer

from contracts.errors import InvalidRequest, NotFound
from contracts.hold import HoldStage
from contracts.partner import Manifest, Mark
from contracts.quotas import all_quotas
from gateway.cli.common import MANIFESTS, As, AsJson, further, local, rupiah, table, tell, terminal, who, with_store
from gateway.cli.plan import told
from gateway.clock import JAKARTA, SystemClock
from gateway.services.brake.brake import Brake
from gateway.services.ops.partners import Partners, PartnerView, trouble
from gateway.services.ops.standstill import Because
from gateway.storage.base.database import Database
from gateway.storage.ops.holds import Hold

T = TypeVar("T")
app = typer.Typer(
    invoke_without_command=True,
    help=(
        "Partners. `show` and `settings` need nothing; the others act on the store at DATABASE_URL."
        "\n\n    gateway partners state"
        '\n\n    gateway partners pause ovo "their deposit runs dry" --as NAME'
        "\n\n    gateway partners resume ovo --as NAME"
        "\n\nWho did it and why is on record."
    ),
)
Name = Annotated[str, typer.Argument(help="A partner, as `gateway partners` lists it.")]
Reason = Annotated[str, typer.Argument(help="Why, 3 to 300 characters; for the record, no personal data.")]


@app.callback()
def overview(context: typer.Context) -> None:
    """Partners: a line for each. `show` and `settings` need nothing; the others act on the store at DATABASE_URL."""
    if context.invoked_subcommand is not None:
        return
    rows = (
        (
            manifest.slug,
            manifest.name,
            manifest.account_proof.value,
            sum(fact.mark is Mark.ASSUMED for fact in manifest.facts),
            sum(fact.mark is Mark.RECALLED for fact in manifest.facts),
            ", ".join(sorted(c.value for c in manifest.capabilities)),
        )
        for manifest in MANIFESTS.values()
    )
    columns = ("partner", "name", "account proved", "assumed", "recalled", "capabilities")
    terminal().print(table("partners", *columns, rows=rows))
    terminal().print(
        "`gateway partners show NAME` shows one in full, `gateway partners state` how all are.", style="dim"
    )


@app.command()
def show(partner: Name, as_json: AsJson = False) -> None:
    """One in full: capabilities, limits and quotas, and everything assumed about it with its source."""
    manifest = _manifest(partner)
    if as_json:
        tell(_said(manifest))
        return
    terminal().print(f"[bold]{manifest.name}[/] ({manifest.slug}), documents read on {manifest.read_on}")
    terminal().print(manifest.documents)
    terminal().print(f"one payout: {rupiah(manifest.min_amount_rupiah)} to {rupiah(manifest.max_amount_rupiah)}")
    terminal().print(f"capabilities: {', '.join(sorted(c.value for c in manifest.capabilities))}")
    terminal().print(f"that a link is of the declared account is proved as: {manifest.account_proof.value}")
    horizon_h, weekends = manifest.lookups.horizon_s / 3600, "" if manifest.lookups.weekends else ", weekends apart"
    terminal().print(f"an unknown outcome becomes an operator's case after {horizon_h:g} h of looking up{weekends}")
    quotas = (
        (f"{q.per_s:g}/s", q.mark.value, ", ".join(q.operations) or "all others", q.source)
        for q in all_quotas(manifest)
    )
    terminal().print(table("\nquotas", "calls", "mark", "operations", "source", rows=quotas))
    facts = sorted(manifest.facts, key=lambda fact: fact.mark.value)
    cells = ((f.mark.value, f"{f.text} ({f.source})") for f in facts)
    terminal().print(table("\nfacts", "mark", "what, and its source", rows=cells))


def _said(manifest: Manifest) -> dict[str, object]:
    """What `show` tells, for programs."""
    return {
        "partner": manifest.slug,
        "name": manifest.name,
        "documents": manifest.documents,
        "read_on": manifest.read_on,
        "min_amount_rupiah": manifest.min_amount_rupiah,
        "max_amount_rupiah": manifest.max_amount_rupiah,
        "capabilities": sorted(c.value for c in manifest.capabilities),
        "account_proof": manifest.account_proof,
        "lookup_horizon_s": manifest.lookups.horizon_s,
        "quotas": all_quotas(manifest),
        "facts": manifest.facts,
    }


@app.command("settings")
def settings_(
    partner: Annotated[str | None, typer.Argument(help="One of them; without it, all.")] = None,
) -> None:
    """The environment variables that each partner needs."""
    for manifest in [_manifest(partner)] if partner else MANIFESTS.values():
        variables = [
            (f"{manifest.slug}_{name}".upper(), "secret" if c.secret else "", c.default, c.help)
            for name, c in manifest.credentials.items()
        ]
        hosts = [
            (f"{manifest.slug}_{name}_url".upper(), "", host.sandbox_url, f"Base address of its host `{name}`")
            for name, host in manifest.hosts.items()
        ]
        told = "Names, with commas, at which its pages may be beside these and its hosts"
        pages = (f"{manifest.slug}_page_hosts".upper(), "", ", ".join(manifest.pages) or None, told)
        rows = [*variables, *hosts, pages]
        terminal().print(table(manifest.name, "variable", "", "default", "what it is", rows=rows))


def wrong(kinds: dict[str, int]) -> str | None:
    """`403 3, 5xx 1`."""
    return ", ".join(f"{kind} {calls}" for kind, calls in kinds.items()) or None


@app.command()
def state(as_json: AsJson = False) -> None:
    """How each partner is: paused, held and since when, what waits there, the last statement read; and how it answered
    in the last five minutes: calls, how fast (median, and 95 of 100 within, in ms), what went wrong.
    """
    views = _with_partners(lambda partners: partners.all())
    if as_json:
        tell(views)
        return
    cells = (
        (
            view.partner,
            _state(view),
            view.load and view.load.in_flight,
            view.load and view.load.backlog,
            view.load and rupiah(view.load.amount_rupiah),
            view.last_statement and view.last_statement.day,
            _words(view),
        )
        for view in views
    )
    columns = ("partner", "state", "in flight", "waiting", "amount", "statement of", "why, and since when")
    terminal().print(table(f"partners at {local(SystemClock().now())}", *columns, rows=cells))
    answers = (
        (view.partner, one.calls, f"{one.p50_ms:.0f}", f"{one.p95_ms:.0f}", wrong(trouble(one)))
        for view in views
        if (one := view.lately) is not None
    )
    title = "\nhow they answered in the last five minutes"
    terminal().print(table(title, "partner", "calls", "p50 ms", "p95 ms", "trouble", rows=answers))


def _state(view: PartnerView) -> str:
    if view.paused is not None:
        return view.paused.state.value
    return "held" if view.holds else "stands still" if view.stands else "running"


def _words(view: PartnerView) -> str | None:
    said = [f"paused by {view.paused.by} {local(view.paused.since)}: {view.paused.reason}"] if view.paused else []
    for hold in view.holds:
        tries = f"next try {local(hold.next_canary_at)}"
        if hold.next_canary_at is None:  # nobody is sent to a page to see whether it works
            by = hold.stage is HoldStage.LINK
            tries = "tried again by the next participant who links" if by else "nothing until released"
        what = f"{hold.stage.value} {hold.kind.value} {hold.fault or ''}".rstrip()
        said.append(f"hold {hold.hold_id}: {what} since {local(hold.since)} ({hold.words}), {tries}")
    said += [told(one) for one in view.stands if one.because not in (Because.HELD, Because.PAUSED)]
    return "; ".join(said) or None


@app.command()
def pause(partner: Name, reason: Reason, person: As = None, as_json: AsJson = False) -> None:
    """Stop payouts at a partner: what has not left is held back, what has left is followed to its end."""
    _told(_acting(person, lambda partners, actor: partners.pause(partner, reason, actor=actor)), as_json)


@app.command()
def resume(
    partner: Name,
    read: Annotated[str | None, typer.Option(help="Of the reason that was read, where others have it paused.")] = None,
    person: As = None,
    as_json: AsJson = False,
) -> None:
    """Let payouts flow again. Where others have it paused too, or the gateway, it says why first, and how to go on."""
    _told(_acting(person, lambda partners, actor: partners.resume(partner, actor=actor, read=read)), as_json)


@app.command()
def holds(
    partner: Annotated[str | None, typer.Argument(help="One of them; without it, all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """Why partners are, or were, not fed as usual: open and released holds, newest first."""
    found: list[Hold] = _with_partners(lambda partners: partners.holds(partner, limit + 1))
    if len(found) > limit:
        found.pop()
        further(f"--limit {min(2 * limit, 500)}, or one partner's" if limit < 500 else "name one partner")
    if as_json:
        tell(found)
        return
    cells = (
        (h.id, h.partner, h.stage.value, h.kind.value, h.fault, h.since, h.next_canary_at, h.released_at, h.words)
        for h in found
    )
    columns = ("hold", "partner", "stage", "kind", "fault", "since", "next try", "released", "words")
    terminal().print(table("holds", *columns, rows=cells))


@app.command()
def release(
    hold_id: Annotated[int, typer.Argument(help="As `gateway partners holds` names it.")],
    reason: Reason,
    person: As = None,
    as_json: AsJson = False,
) -> None:
    """End a hold by hand: what waited is due at once. The next run of failures holds the partner anew."""
    _told(_acting(person, lambda partners, actor: partners.release(hold_id, reason, actor=actor)), as_json)


@app.command("ask-again")
def ask_again(
    partner: Name,
    stage: Annotated[str, typer.Option(help="`link` (invited again), `proof`, `verify` or `payout`.")],
    since: Annotated[str, typer.Option(help="From when on people were refused: 2026-11-28T09:00, Jakarta's time.")],
    until: Annotated[str | None, typer.Option(help="Until when; without it, now.")] = None,
    code: Annotated[str | None, typer.Option(help="Only who was refused with this blocker or partner's code.")] = None,
    person: As = None,
    as_json: AsJson = False,
) -> None:
    """Have a partner asked again about people whom it refused in a time, up to 90 days back.

    What it refused moved no money; nobody is taken to be right, and nobody is asked about twice for one refusal.
    """
    if stage not in {one.value for one in HoldStage}:
        raise InvalidRequest("A stage is `link`, `proof`, `verify` or `payout`.", field="stage")
    _manifest(partner)
    begins, ends = _moment(since), None if until is None else _moment(until)

    async def work(database: Database) -> int:
        actor = await who(database, person, "operator")
        brake = Brake(database, SystemClock())
        return await brake.ask_again(partner, HoldStage(stage), since=begins, until=ends, code=code, actor=actor)

    asked = with_store(lambda database, _: work(database))
    if as_json:
        tell({"asked": asked})
        return
    terminal().print(f"{asked} refusals are asked about again")


def _moment(text: str) -> datetime:
    """A time, Jakarta's where it names no offset; raises `InvalidRequest`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text} is no time: write 2026-11-28T09:00.", field="since") from None
    at = at.replace(tzinfo=JAKARTA) if at.tzinfo is None else at
    if at > SystemClock().now() + timedelta(days=1):
        raise InvalidRequest(f"{text} lies ahead.", field="since")
    return at


def _told(view: PartnerView, as_json: bool) -> None:
    if as_json:
        tell(view)
        return
    terminal().print(f"{view.partner}: {_state(view)}")
    if view.paused is not None and view.paused.under_way:
        by = local(view.paused.last_leaves_by)
        terminal().print(f"{view.paused.under_way} attempts begun before may still leave, the last by {by}")
    words = _words(view)
    if words:
        terminal().print(words, markup=False)


def _with_partners(work: Callable[[Partners], Awaitable[T]]) -> T:
    return with_store(lambda database, _: work(Partners(database, SystemClock(), MANIFESTS, {})))


def _acting(person: str | None, work: Callable[[Partners, str], Awaitable[T]]) -> T:
    """Do `work` in the name of somebody who may."""

    async def run(database: Database) -> T:
        actor = await who(database, person, "operator")
        return await work(Partners(database, SystemClock(), MANIFESTS, {}), actor)

    return with_store(lambda database, _: run(database))


def _manifest(partner: str) -> Manifest:
    if partner not in MANIFESTS:
        raise NotFound("There is no such partner.", remedy=f"They are: {', '.join(MANIFESTS)}.")
    return MANIFESTS[partner]
