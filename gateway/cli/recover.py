"""`gateway recover`: after a restore or failover, find out what was forgotten before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import Progress as Bars

from contracts.errors import InvalidRequest
from gateway.cli.common import rupiah, settings, table, terminal
from gateway.core import build_core
from gateway.logs import set_up_logging
from gateway.resources import open_resources
from gateway.services.reconciliation.recovery import Held, Progress, Recoveries, nobodys
from gateway.services.reconciliation.statements import Statements
from gateway.services.reconciliation.strays import Settled
from gateway.storage.reconciliation.strays import Stray

_ROUND_S = 1.0


class StrayView(msgspec.Struct, frozen=True, kw_only=True):
    """A credit that no payout has, for an operator; no personal data."""

    partner: str
    reference: str
    partner_reference: str | None
    amount_rupiah: int
    booked_at: datetime
    reversed: bool
    account_known: bool
    """Whether a participant has the account: then that account is held; else everyone is."""
    proposed_by: str | None
    """Who has settled it; a second person must do the same."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` writes."""

    since: datetime | None
    dry_run: bool
    held: list[Held]
    released: list[str]
    still_held: list[str]
    unmatched: list[StrayView]
    settled: dict[str, str | None]
    """Credits settled by `--settle`, with the payout each became."""
    proposed: list[str]
    """Credits that a second person must settle in the same way."""


def recover(
    since: Annotated[
        str | None,
        typer.Option(help="The last moment whose data is known to be there, e.g. 2026-01-05T09:30:00+07:00."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be held; nothing changes.")] = False,
    settle: Annotated[
        list[str] | None,
        typer.Option(help="REFERENCE=INCENTIVE: that credit paid this incentive; REFERENCE=none: nothing of ours."),
    ] = None,
    instance: Annotated[
        list[str] | None,
        typer.Option(help="Since the copy GATEWAY_INSTANCE was this too: its references are ours."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who settles: two people must say the same.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")] = None,
) -> None:
    """Hold every partner until all it did since the copy is known, adopt forgotten payments, then let go.

    Nothing is sent meanwhile, whatever workers run. Takes as long as a partner may take to book what had left: an hour,
    at GoPay a day. May be stopped: without --since it goes on where it was. Exit status 1: something is still held.
    """
    set_up_logging()
    at = None if since is None else _moment(since)
    decisions = [_decision(text) for text in settle or ()]
    if decisions and not by:
        raise InvalidRequest(
            "--settle needs --by: who decides.", field="by", remedy="A second person must do the same."
        )
    summary = asyncio.run(_recover(at, dry_run, instance or (), decisions, f"cli:{by}"))
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    _show(summary)
    if summary.still_held:
        raise typer.Exit(1)


def _moment(text: str) -> datetime:
    try:
        at: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidRequest("--since is a date and time with its offset.", field="since", remedy="See --help.")
    return at.astimezone(UTC)


def _decision(text: str) -> tuple[str, int | None]:
    reference, _, incentive = text.partition("=")
    if incentive == "none":
        return reference, None
    if not incentive.isdecimal():
        raise InvalidRequest("--settle is REFERENCE=INCENTIVE or REFERENCE=none.", field="settle", remedy="See --help.")
    return reference, int(incentive)


async def _recover(
    since: datetime | None,
    dry_run: bool,
    used: Sequence[str],
    decisions: list[tuple[str, int | None]],
    actor: str,
) -> Summary:
    async with open_resources(settings()) as resources:
        service = Recoveries(resources, build_core(resources).payouts, Statements(resources))
        if dry_run:
            held = await service.look(since or resources.clock.now())
            return await _summary(service, since, held, dry_run=True, released=[], settled=[])
        for instance in used:
            await service.used(instance, actor="cli")
        held = [] if since is None else await service.open(since, actor="cli")
        settled = [
            (reference, await service.strays.settle(reference, incentive, actor=actor))
            for reference, incentive in decisions
        ]
        released = await _drive(service)
        return await _summary(service, since, held, dry_run=False, released=released, settled=settled)


async def _drive(service: Recoveries) -> list[str]:
    """Rounds until nothing is held, or only a person can go on; the partners let go."""
    released: list[str] = []
    with Bars(console=terminal(), transient=True) as bars:
        tasks = {one.partner: bars.add_task(one.partner, total=None) for one in await service.under_way()}
        while await service.under_way():
            progress = await service.round()
            for one in progress:
                bars.update(tasks[one.partner], description=_describe(one))
            released += [one.partner for one in progress if one.released]
            left = [one for one in progress if not one.released]
            if not left or (all(one.settled for one in left) and nobodys(await service.strays.unsettled())):
                break
            await asyncio.sleep(_ROUND_S)
    await service.strays.tick()
    return released


def _describe(one: Progress) -> str:
    if one.released:
        return f"{one.partner}: let go"
    read = "read" if one.statements_read else f"to be read again after {one.settled_at:%Y-%m-%d %H:%M:%S %Z}"
    return f"{one.partner}: {one.to_look_up} payouts to look up, statements {read}"


async def _summary(
    service: Recoveries,
    since: datetime | None,
    held: list[Held],
    *,
    dry_run: bool,
    released: list[str],
    settled: list[tuple[str, Settled]],
) -> Summary:
    return Summary(
        since=since,
        dry_run=dry_run,
        held=held,
        released=released,
        still_held=[one.partner for one in await service.under_way()],
        unmatched=[_view(stray) for stray in await service.strays.unsettled()],
        settled={reference: None if one.payout is None else str(one.payout) for reference, one in settled if one.done},
        proposed=[reference for reference, one in settled if not one.done],
    )


def _view(stray: Stray) -> StrayView:
    return StrayView(
        partner=stray.partner,
        reference=stray.reference,
        partner_reference=stray.partner_reference,
        amount_rupiah=stray.amount_rupiah,
        booked_at=stray.booked_at,
        reversed=stray.reversed,
        account_known=stray.known_account,
        proposed_by=stray.proposed_by,
    )


def _show(summary: Summary) -> None:
    if summary.held:
        rows = (
            (
                one.partner,
                ", ".join(f"{count} {state}" for state, count in one.payouts.items()) or "none",
                one.incentives,
                one.days,
                one.settled_at,
            )
            for one in summary.held
        )
        title = "would be held" if summary.dry_run else "held"
        columns = ("partner", "payouts to look up", "incentives", "days of statements", "not before")
        terminal().print(table(title, *columns, rows=rows))
    if summary.unmatched:
        strays = (
            (
                s.partner,
                s.reference,
                rupiah(s.amount_rupiah),
                s.booked_at,
                "this account" if s.account_known else "all",
                s.proposed_by or "",
            )
            for s in summary.unmatched
        )
        titles = ("partner", "our reference", "amount", "booked", "holds", "settled by one")
        terminal().print(table("credits that no payout has: two people `--settle` each", *titles, rows=strays))
    if summary.dry_run:
        terminal().print("nothing was changed; `gateway reconcile` shows what partners have and we don't", style="dim")
        return
    terminal().print(
        f"let go: {', '.join(summary.released) or 'none'}; held: {', '.join(summary.still_held) or 'none'}"
    )
