"""`gateway archive`: what only grows, kept in files in the place of the store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import As, AsJson, tell, terminal, who, with_store
from gateway.clock import SystemClock
from gateway.services.intake.incentives import Incentives
from gateway.services.ops import archive
from gateway.storage.base.database import Database

app = typer.Typer(
    no_args_is_help=True,
    help="Old events and the journal of calls to partners, in files in the place of the store (docs/production.md).",
)
Folder = Annotated[Path, typer.Argument(help="Where the files are kept: one folder for one store.", file_okay=False)]


@app.command()
def run(
    folder: Folder,
    older_than: Annotated[int, typer.Option(min=archive.LEAST_KEPT.days, help="Days that stay in the store.")] = 90,
    as_: As = None,
    as_json: AsJson = False,
) -> None:
    """File what is older, then take it out of the store: a file is on the disk, and read again, before its rows go.

    Online, and to be stopped at any time: the next run goes on. What a webhook endpoint has not taken yet stays, and
    the calls of a payout that has not ended or has an open case. Reads DATABASE_URL.
    """

    async def work(database: Database, _: Incentives) -> list[archive.Filed]:
        actor = await who(database, as_, "operator")
        done = []
        async for filed in archive.Archive(database, SystemClock(), folder).run(timedelta(days=older_than), actor):
            done.append(filed)
            if not as_json:
                span = f"{filed.first_at:%Y-%m-%d} to {filed.last_at:%Y-%m-%d}"
                terminal().print(f"{filed.file}: {filed.rows} {filed.kind}, {span}", highlight=False)
        return done

    done = with_store(work)
    if as_json:
        tell(done)
    else:
        rows = sum(filed.rows for filed in done)
        terminal().print(f"{rows} rows filed in {len(done)} files and taken out of the store", highlight=False)


@app.command()
def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Read every file again. Exit status 1 where one is missing or changed. Needs no store."""
    wrong = archive.verify(folder)
    if as_json:
        tell(wrong)
    else:
        for one in wrong:
            terminal().print(f"[red]{one.file}[/]: {one.why}", highlight=False)
        if not wrong:
            terminal().print("every file is as it was written")
    if wrong:
        raise typer.Exit(1)
