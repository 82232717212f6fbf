"""`gateway reconcile`: a partner's statement of one day against payouts, ledger and instructions."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from contracts.errors import InvalidRequest
from gateway.cli.common import rupiah, settings, table, terminal
from gateway.logs import set_up_logging
from gateway.resources import open_resources
from gateway.services.intake.cells import plain
from gateway.services.reconciliation.reconcile import BreakView, Reconciliations
from gateway.storage.reconciliation.reconciliation import Reconciliation

_SHOWN = 50
_PAGE = 1_000


def reconcile(
    partner: Annotated[str, typer.Option(help="One of `gateway partners`.")],
    day: Annotated[str, typer.Option("--date", help="The Jakarta day, e.g. 2026-01-05.")],
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write every difference to this file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write result and differences to this file.")] = None,
) -> None:
    """Compare three sides of a day to the rupiah: the partner's statement, our payouts with their ledger, and the
    instructions handed over. Each difference comes with its owner and next step.

    Changes nothing but the record of the comparison. Exit status 1: the sides differ, or not all could be read.
    """
    set_up_logging()
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise InvalidRequest("--date is a day as YYYY-MM-DD.", field="date", remedy="See --help.") from None
    if not asyncio.run(_reconcile(partner, wanted, csv_file, json_file)):
        raise typer.Exit(1)


async def _reconcile(partner: str, day: date, csv_file: Path | None, json_file: Path | None) -> bool:
    async with open_resources(settings()) as resources:
        service = Reconciliations(resources)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=terminal(), transient=True) as progress:
            task = progress.add_task("reading the statement", total=None)

            def told(lines: int) -> None:
                progress.update(task, description=f"reading the statement: {lines} lines")

            found = await service.run(partner, day, actor="cli", told=told)
        if csv_file is not None:
            await _write_csv(service, found, csv_file)
        if json_file is not None:
            await _write_json(service, found, json_file)
        await _show(service, found)
    return bool(found.complete and not found.breaks)


async def _pages(service: Reconciliations, found: Reconciliation) -> AsyncIterator[list[BreakView]]:
    after = 0
    while page := await service.breaks(found.id, after, _PAGE):
        yield page
        after = page[-1].n


async def _write_csv(service: Reconciliations, found: Reconciliation, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(BreakView.__struct_fields__)
        async for page in _pages(service, found):
            writer.writerows(map(plain, msgspec.to_builtins(one).values()) for one in page)


async def _write_json(service: Reconciliations, found: Reconciliation, path: Path) -> None:
    """Page by page: there may be a million differences."""
    with path.open("wb") as file:
        file.write(b'{"reconciliation": ' + msgspec.json.encode(found))
        file.write(b', "by_class": ' + msgspec.json.encode(await service.by_class(found.id)) + b', "breaks": [')
        first = True
        async for page in _pages(service, found):
            for one in page:
                file.write((b"\n  " if first else b",\n  ") + msgspec.json.encode(one))
                first = False
        file.write(b"]}\n")


async def _show(service: Reconciliations, found: Reconciliation) -> None:
    terminal().print(f"[bold]reconciliation {found.id}[/]: {found.partner}, {found.day}", highlight=False)
    if found.totals is not None:
        t = found.totals
        rows = [
            ("the partner credited", f"{t.credits} credits, {rupiah(t.credited_rupiah)}"),
            ("the partner gave back", f"{t.reversals} reversals, {rupiah(t.reversed_rupiah)}"),
            ("fees", rupiah(t.fees_rupiah)),
            ("we hold as paid of it", rupiah(t.paid_here_rupiah)),
            ("was instructed of it", rupiah(t.instructed_rupiah)),
        ]
        terminal().print(table(f"{t.lines} lines", "", "", rows=rows))
    if not found.complete:
        terminal().print("[red]the statement could not be read to its end[/]: what it lacks is not known")
    if not found.breaks:
        terminal().print("[green]no difference[/]" if found.complete else "no difference in what could be read")
        return
    counts = await service.by_class(found.id)
    breaks = await service.breaks(found.id, 0, _SHOWN)
    shown = (
        (b.kind, b.line, b.payout_id, b.partner_reference, b.there_rupiah, b.here_rupiah, b.detail) for b in breaks
    )
    columns = ("class", "line", "payout", "the partner's number", "there", "here", "what")
    terminal().print(table("differences", *columns, rows=shown))
    if found.breaks > len(breaks):
        terminal().print(f"and {found.breaks - len(breaks)} more: --csv or --json writes all", style="dim")
    steps = {b.kind: (b.owner.value, b.next_step) for b in breaks}
    rows_ = ((kind, count, *steps.get(kind, (None, None))) for kind, count in counts.items())
    terminal().print(table("next steps", "class", "differences", "who", "what to do", rows=rows_))
