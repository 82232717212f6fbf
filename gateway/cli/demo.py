"""`gateway demo`: the main job on embedded defaults. `gateway cohort` makes other cohorts for it."""

from __future__ import annotations

import asyncio
import shlex
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.common import table
from gateway.demo import closing
from gateway.demo.cluster import Cluster, ClusterError, bare_environment
from gateway.demo.cohort import SMALL, Cohort, CohortError, read_cohort
from gateway.demo.cohort_make import make_cohort
from gateway.demo.drain import Stuck
from gateway.demo.run import Report, demonstrate, remove
from gateway.embedded import EmbeddedError, data_home

LIMIT_S, A_PERSON_S = 900.0, 0.15
"""What has not drained after so long, or so long for each person where they are many, stands still."""
_MISMATCHES_SHOWN = 20


def _file(text: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, help=text)


def demo(
    incentives: Annotated[Path | None, _file("What core hands over.")] = None,
    world: Annotated[Path | None, _file("What is true at the partners.")] = None,
    expected: Annotated[Path | None, _file("What must come out.")] = None,
    seed: Annotated[int, typer.Option(help="Order of play, OTPs, references.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 2,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    keep: Annotated[bool, typer.Option(help="Leave everything running until Ctrl-C, and keep data and logs.")] = False,
) -> None:
    """Link, verify and pay a whole backlog at the mock partners with no one's help, then audit the books.

    Real processes on loopback: PostgreSQL, Valkey, the mock partners, the API, workers. Without files it takes the
    small cohort shipped with the project; --incentives and --world go together. Exit status 0 only if every audit
    figure is 0.
    """
    console = Console()
    if (incentives is None) != (world is None):
        raise typer.BadParameter("--incentives and --world go together")
    try:
        if incentives is None or world is None:
            cohort = read_cohort(SMALL / "incentives.csv", SMALL / "world.csv", SMALL / "expected.csv")
        else:
            cohort = read_cohort(incentives, world, expected)
        report = _run(cohort, seed=seed, workers=workers, keep=keep, console=console, json_file=json_file)
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
    files = f"--incentives {out}/incentives.csv --world {out}/world.csv --expected {out}/expected.csv"
    Console().print(f"{participants} participants in {out}\ntry: gateway demo {files}", soft_wrap=True)


def _run(cohort: Cohort, *, seed: int, workers: int, keep: bool, console: Console, json_file: Path | None) -> Report:
    home = data_home(Path(tempfile.gettempdir()) / "prakerja-gateway")
    folder = home / f"demo-{time.time_ns():x}"
    folder.mkdir(mode=0o755, parents=True)

    async def finished(cluster: Cluster, report: Report) -> None:
        _tell(report, json_file, console)
        if not keep:
            return
        settings = folder / "settings.sh"
        settings.touch(mode=0o600)
        settings.write_text(_settings(cluster))
        console.print(f"\nAPI {cluster.api_url}  OpenAPI {cluster.api_url}/schema", soft_wrap=True)
        for name, url in cluster.mocks.items():
            console.print(f"mock {name} {url}", soft_wrap=True)
        console.print(f"data and logs: {folder}\nin another terminal, before any command or call:", soft_wrap=True)
        console.print(f"  . {settings}\nCtrl-C ends it", soft_wrap=True, highlight=False)
        await asyncio.Event().wait()

    try:
        return asyncio.run(
            demonstrate(
                cohort,
                folder=folder,
                seed=seed,
                workers=workers,
                limit_s=max(LIMIT_S, A_PERSON_S * len(cohort.people)),
                console=console,
                finished=finished,
            )
        )
    except (ClusterError, Stuck):
        console.print(f"data and logs are kept in {folder}", soft_wrap=True)
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
