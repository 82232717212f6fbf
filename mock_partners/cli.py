"""`mock-partners`: runs the mock payment partners, and prints the credentials that their sandboxes know."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from mock_partners.kit.clock import Clock
from mock_partners.kit.console import console
from mock_partners.kit.host import Mock, operations, package, read_scenario
from mock_partners.kit.scenario import Scenario, ScenarioError
from mock_partners.kit.scenario.reach import reach_warnings, table
from mock_partners.kit.scenario.words import explained, rule_lines, vocabulary
from mock_partners.kit.waits import Waits, parse_waits
from mock_partners.kit.world import World, WorldError, load_worlds
from mock_partners.registry import PARTNERS, port_of

main = typer.Typer(
    name="mock-partners",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Mock servers of the payment partners, as strict as the partners' documents; on 127.0.0.1 only.",
)
CONSOLE = "console"
NAMES = ", ".join(PARTNERS)
PortBase = Annotated[
    int, typer.Option(min=1, max=65_000, help=f"They answer on the ports above, in this order: {NAMES}.")
]
ScenarioFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A scenario in TOML: docs/qa.md.")]
Only = Annotated[list[str] | None, typer.Option(help=f"Only this partner (may be repeated): {NAMES}.")]


@main.command()
def serve(
    world: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="world.csv: the accounts that exist at the partners.")
    ],
    port_base: PortBase = 9100,
    notify_base: Annotated[
        str, typer.Option(help="Where notifications go: base URL of the gateway, without a path.")
    ] = "http://127.0.0.1:8000",
    deposit: Annotated[
        list[str] | None, typer.Option(help="PARTNER=RUPIAH: the deposit to pay from (10^12 unless set).")
    ] = None,
    waits: Annotated[
        str,
        typer.Option(
            help='Waits in seconds, e.g. "link_life_s=45,settlement_s=0.5,reversal_s=3" (unset: 900, 5, 60). '
            "The gateway's own names are taken and ignored, so that both sides can get the same text."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Fixes tokens, references and OTPs for the same sequence of calls.")] = 0,
    scenario: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="What the partners do wrong, and when: docs/qa.md.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; another one than this only in a container.")] = (
        "127.0.0.1"
    ),
    with_console: Annotated[
        bool, typer.Option("--console/--no-console", help="The web console on the port base itself.")
    ] = True,
    only: Only = None,
) -> None:
    """Run the mocks until SIGTERM or Ctrl-C.

    Each partner serves all of its hosts on its one port and prints a line when it answers; a web console answers on
    the port base, unless --notify-base has that port. Beside the partner's own paths each has a control API under
    /__mock__/ (mock_partners/README.md): books, requests, links, clock, scenario, verify and more.
    """
    try:
        table = parse_waits(waits)
        worlds = load_worlds(world, deposits=_deposits(deposit or []), seed=seed, at=Clock().now())
    except (WorldError, ValueError) as problem:
        raise typer.BadParameter(str(problem)) from None
    staged = _read(scenario, _chosen(only)) if scenario is not None else None
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with_console = with_console and urlsplit(notify_base).port != port_base
    _serve(worlds, _chosen(only), (host, port_base), table, notify_base, staged, with_console)


@main.command()
def credentials(
    port_base: PortBase = 9100,
    only: Only = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Print base URLs, sandbox credentials, keys and test accounts: the same every run, and they protect nothing."""
    known = {
        name: {"base_url": f"http://127.0.0.1:{port_of(name, port_base)}", **package(name).CREDENTIALS}
        for name in _chosen(only)
    }
    if as_json:
        typer.echo(json.dumps(known, indent=2, ensure_ascii=False))
        return
    for name, values in known.items():
        typer.echo(name)
        _echo(_shown(values, "  "))


def _shown(values: Mapping[str, Any], pad: str) -> Iterator[str]:
    """A value a line: keys of several lines below their name, accounts each on a line of its own."""
    for name, value in values.items():
        match value:
            case dict():
                yield f"{pad}{name}"
                yield from _shown(value, pad + "  ")
            case list():
                yield f"{pad}{name}"
                yield from (f"{pad}  {json.dumps(one, ensure_ascii=False)}" for one in value)
            case _:
                first, *rest = str(value).strip().split("\n")
                yield f"{pad}{name}: {first}" if not rest else f"{pad}{name}"
                yield from (f"{pad}  {line}" for line in (first, *rest) if rest)


scenarios = typer.Typer(no_args_is_help=True, help="Check, list and explain scenarios.")
main.add_typer(scenarios, name="scenario")


@scenarios.command()
def check(file: ScenarioFile) -> None:
    """Say whether a scenario can be used; each problem with its line, its key and what is allowed.

    An atom that can act at none of its rule's partners is a problem, at some of those named a warning.
    """
    scenario = _read(file)
    typer.echo(f"{file.name}: {len(scenario.rules)} rules, good")
    known = {partner: operations(partner) for partner in PARTNERS}
    _echo(f"warning: {line}" for line in reach_warnings(scenario, known, file.name))


@scenarios.command()
def reach() -> None:
    """Tell which atoms act at which partner and operation, as a table in Markdown; the others act on any call."""
    _echo(table())


@scenarios.command(name="list")
def list_(file: Annotated[Path | None, typer.Argument(exists=True, dir_okay=False)] = None) -> None:
    """List a scenario's rules; without a file, every word of the language."""
    _echo(vocabulary() if file is None else rule_lines(_read(file)))


@scenarios.command()
def explain(file: ScenarioFile) -> None:
    """Tell in sentences what a scenario does."""
    _echo(explained(_read(file)))


def _read(file: Path, names: Sequence[str] = tuple(PARTNERS)) -> Scenario:
    """The scenario in a file, for the mocks that are here; or its problems on standard error, and the end."""
    try:
        return read_scenario(file.read_text("utf-8"), file.name, partners=names)
    except UnicodeDecodeError:
        problems = [f"{file.name}: not UTF-8"]
    except ScenarioError as error:
        problems = error.problems
    _echo(problems, err=True)
    raise typer.Exit(1)


def _echo(lines: Iterable[str], *, err: bool = False) -> None:
    for line in lines:
        typer.echo(line, err=err)


def _serve(
    worlds: dict[str, World], names: Sequence[str], at: tuple[str, int], waits: Waits, notify_base: str,
    scenario: Scenario | None, with_console: bool,
) -> None:  # fmt: skip
    import uvloop

    from mock_partners.kit.server import Listener, bind
    from mock_partners.kit.server import serve as serve_all

    host, port_base = at
    ports = {name: port_of(name, port_base) for name in names} | ({CONSOLE: port_base} if with_console else {})
    sockets = {}
    for name, port in ports.items():
        try:
            sockets[name] = bind(port, host)
        except OSError as problem:
            advice = "choose another --port-base" + (" or --no-console" if name == CONSOLE else "")
            typer.echo(f"port {port} for {name} cannot be used ({problem.strerror}): {advice}", err=True)
            raise typer.Exit(1) from None

    async def run() -> None:
        mocks = {name: Mock(worlds[name], waits=waits, notify_base=notify_base, scenario=scenario) for name in names}
        listeners = [Listener(name, mock, sockets[name]) for name, mock in mocks.items()]
        if with_console:
            listeners.append(Listener(CONSOLE, console(mocks), sockets[CONSOLE]))
        await serve_all(listeners, lambda ready: typer.echo(f"{ready.name} ready on {ready.url}"))
        for mock in mocks.values():
            await mock.scheduler.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _chosen(only: Sequence[str] | None) -> list[str]:
    """The partners asked for; without a choice all of them."""
    unknown = [name for name in only or () if name not in PARTNERS]
    if unknown:
        raise typer.BadParameter(f"unknown partner {unknown[0]!r}; choose out of: {', '.join(PARTNERS)}")
    return [name for name in PARTNERS if not only or name in only]


def _deposits(texts: Sequence[str]) -> dict[str, int]:
    deposits = {}
    for text in texts:
        name, _, amount = text.partition("=")
        if name not in PARTNERS or not amount.isascii() or not amount.isdecimal() or len(amount) > 15:
            raise ValueError(f"--deposit {text!r}: write PARTNER=RUPIAH with a partner out of: {', '.join(PARTNERS)}")
        deposits[name] = int(amount)
    return deposits


if __name__ == "__main__":
    main()
