"""`gateway demo`: the main job on embedded defaults. `gateway cohort` makes other cohorts for it."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
import webbrowser
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from gateway.cli.common import table
from gateway.demo import closing
from gateway.demo.cluster import Cluster, ClusterError, bare_environment
from gateway.demo.cohort import SMALL, CohortError
from gateway.demo.cohort_make import make_cohort
from gateway.demo.drain import Stuck
from gateway.demo.given import Given
from gateway.demo.run import Report, demonstrate, remove
from gateway.demo.stage import Stage
from gateway.embedded import EmbeddedError
from gateway.embedded.process import demonstrations, own_directory

LIMIT_S, A_PERSON_S = 900.0, 0.15
"""What has not drained after so long, or so long for each person where they are many, stands still."""
_MISMATCHES_SHOWN = 20
_SCREENS = {"DISPLAY", "WAYLAND_DISPLAY"}
"""One of these is set where a browser has a window; elsewhere it might take the terminal."""


def _file(text: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, help=text)


def demo(
    incentives: Annotated[Path | None, _file("What core hands over.")] = None,
    world: Annotated[Path | None, _file("What is true at the partners.")] = None,
    expected: Annotated[Path | None, _file("What must come out.")] = None,
    scenario: Annotated[Path | None, _file("What the partners do wrong, and when (docs/qa.md).")] = None,
    again: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Run what was kept in this folder once more.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Order of play, OTPs, references.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 2,
    port_base: Annotated[
        int | None,
        typer.Option(min=1024, max=65_000, help="First of the ports: page, API, console, partners (unset: free ones)."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    keep: Annotated[bool, typer.Option(help="Leave everything running until Ctrl-C, and keep data and logs.")] = False,
) -> None:
    """Link, verify and pay a whole backlog at the mock partners with no one's help, then audit the books.

    Real processes on loopback: PostgreSQL, Valkey, the mock partners, the API, workers. Without files it takes the
    small cohort shipped with the project; --incentives and --world go together. The first address printed shows all of
    it in a browser. With --scenario outcomes are compared only with a file that --expected names. Exit status 0 only
    if every audit figure is 0.
    """
    console = Console()
    try:
        if again is not None:
            if incentives or world or expected or scenario:
                raise typer.BadParameter("--again takes all files from its folder: leave the others out")
            given = Given.read(again)
        elif (incentives is None) != (world is None):
            raise typer.BadParameter("--incentives and --world go together")
        else:
            shipped = incentives is None
            given = Given(
                incentives=incentives or SMALL / "incentives.csv",
                world=world or SMALL / "world.csv",
                expected=expected or (SMALL / "expected.csv" if shipped and scenario is None else None),
                scenario=scenario,
                seed=seed,
                workers=workers,
            )
        report = _run(given, keep=keep, console=console, json_file=json_file, port_base=port_base)
    except (CohortError, ClusterError, EmbeddedError, Stuck) as error:
        console.print(f"[red]{type(error).__name__}:[/] {error}", markup=True, highlight=False)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if report.findings.audit.clean() else 1)


def cohort(
    out: Annotated[Path, typer.Argument(file_okay=False, help="Folder to write the three files to.")],
    seed: Annotated[int, typer.Option(help="The same seed and size give the same cohort.")] = 1,
    participants: Annotated[int, typer.Option(min=2, max=100_000)] = 400,
) -> None:
    """Make a cohort for `gateway demo`: incentives.csv, world.csv and expected.csv, every NIK synthetic."""
    make_cohort(out, seed=seed, participants=participants)
    files = " ".join(f"--{name} {shlex.quote(f'{out}/{name}.csv')}" for name in ("incentives", "world", "expected"))
    Console().print(f"{participants} participants in {out}\ntry: gateway demo {files}", soft_wrap=True, markup=False)


def _run(given: Given, *, keep: bool, console: Console, json_file: Path | None, port_base: int | None) -> Report:
    cohort = given.cohort()
    folder = own_directory(demonstrations() / f"demo-{time.time_ns():x}", 0o755)
    given.write(folder)

    def started(stage: Stage) -> None:
        console.print(f"[bold]{stage.url}[/]  shows the whole run in a browser", soft_wrap=True, highlight=False)
        if console.is_terminal and (sys.platform == "darwin" or os.environ.keys() & _SCREENS):
            webbrowser.open(stage.url)

    async def finished(cluster: Cluster, stage: Stage, report: Report) -> None:
        _tell(report, json_file, console)
        lasts = keep or console.is_terminal and stage.watched()
        await stage.end(report.funnel, clean=report.findings.audit.clean(), lasts=lasts)
        if not lasts:
            return
        settings = folder / "settings.sh"
        settings.touch(mode=0o600)
        settings.write_text(_settings(cluster))
        lines = [
            f"\n{stage.url}  leads to everything: operators' pages, console, participants' pages",
            f"API {cluster.api_url}  OpenAPI {cluster.api_url}/schema",
            *(f"mock {name} {url}" for name, url in cluster.mocks.items()),
            f"data and logs: {folder}\nin another terminal, before any command or call:",
            f"  . {shlex.quote(str(settings))}\nCtrl-C ends it"
            + ("" if keep else ", and removes data and logs (--keep keeps them)"),
        ]
        for line in lines:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
        await asyncio.Event().wait()

    try:
        return uvloop.run(
            demonstrate(
                cohort,
                folder=folder,
                seed=given.seed,
                workers=given.workers,
                scenario=given.scenario,
                port_base=port_base,
                limit_s=max(LIMIT_S, A_PERSON_S * len(cohort.people)),
                console=console,
                started=lambda _, stage: started(stage),
                finished=finished,
            )
        )
    except (ClusterError, Stuck):
        again = f"gateway demo --again {shlex.quote(str(folder))}"
        console.print(f"data and logs are kept; the same once more: {again}", soft_wrap=True, markup=False)
        keep = True
        raise
    finally:
        if not keep:
            remove(folder)


def _settings(cluster: Cluster) -> str:
    """A file for the shell: what the gateway's commands need to know, and where the API is."""
    said = cluster.environment | {"API": cluster.api_url}
    return "".join(
        f"export {name}={shlex.quote(value)}\n"
        for name, value in sorted(said.items())
        if name not in bare_environment()
    )


def _tell(report: Report, json_file: Path | None, console: Console) -> None:
    if json_file is not None:
        json_file.write_bytes(report.as_json())
    _show(report, console)


def _funnel(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Where everything stands, no figure cut however large."""
    columns = ("partner", "stage", "blocker", "who acts", "incentives", "Rp m")
    cells = (
        (row["partner"], row["stage"], row["blocker"], row["owner"], f"{row['incentives']:,}",
         f"{row['amount_rupiah'] / 1_000_000:,.2f}")
        for row in rows
    )  # fmt: skip
    return table("funnel", *columns, rows=cells)


def _show(report: Report, console: Console) -> None:
    found = report.findings
    console.print(_funnel(report.funnel.get("rows", ())), soft_wrap=True, highlight=False)
    calls = ", ".join(f"{partner} {count}" for partner, count in found.partner_calls.items())
    states = ", ".join(f"{state} {count}" for state, count in sorted(found.payouts.items()))
    console.print(f"payouts: {states}\ncalls to partners: {calls}\ntime: {report.wall_s} s", soft_wrap=True)
    memory = ", ".join(f"{name} {peak}" for name, peak in report.peak_mb.items() if peak)
    if memory:
        console.print(f"most memory, MB: {memory}", soft_wrap=True)
    console.print(f"straight-through: {found.straight_through_ratio:.2%} of due incentives that could be paid")
    for name, count in report.restarts.items():
        console.print(f"{name} ended and was started again {count} times")
    for problem in report.problems[:_MISMATCHES_SHOWN]:
        console.print(f"[yellow]page:[/] {problem}", soft_wrap=True, highlight=False)
    for mismatch in found.mismatches[:_MISMATCHES_SHOWN]:
        console.print(f"[red]differs:[/] {mismatch}", soft_wrap=True, highlight=False)
    audit = Table(title="audit (all must be 0)", title_justify="left", show_header=False)
    for name, figure in msgspec.structs.asdict(found.audit).items():
        audit.add_row(name, f"[{'red' if figure else 'green'}]{figure}[/]")
    console.print(audit)
    for line in closing.refused(report.funnel):
        console.print(f"refused at intake: {line}", soft_wrap=True, highlight=False)
    clean = found.audit.clean()
    said = closing.sentence(report.funnel, clean=clean)
    console.print(f"\n[bold {'green' if clean else 'red'}]{said}[/]", soft_wrap=True, highlight=False)
    console.print("to try next:", style="dim")
    for line in closing.NEXT:
        console.print(f"  {line}", soft_wrap=True, highlight=False, style="dim")
