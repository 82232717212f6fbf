"""`mock-partners`: runs the mock payment partners, and prints the credentials that their sandboxes know."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.waits import Waits, parse_waits
from mock_partners.kit.world import World, WorldError, load_worlds

PARTNERS = {
    "bni": (1, "mock_partners.bni"),
    "gopay": (2, "mock_partners.gopay"),
    "linkaja": (3, "mock_partners.linkaja"),
    "ovo": (4, "mock_partners.ovo"),
}
"""Each partner's port above --port-base, and its package with `create_app` and `CREDENTIALS`."""

main = typer.Typer(
    name="mock-partners",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Mock servers of BNI, GoPay, LinkAja and OVO, as strict as the partners' documents; on 127.0.0.1 only.",
)
PortBase = Annotated[
    int, typer.Option(min=1, max=65_000, help="BNI answers on the next port, then GoPay, LinkAja and OVO.")
]
Only = Annotated[list[str] | None, typer.Option(help="Only this partner (may be repeated): bni, gopay, linkaja, ovo.")]


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
    only: Only = None,
) -> None:
    """Run the mocks until SIGTERM or Ctrl-C.

    Each partner serves all of its hosts on its one port and prints a line when it answers. Beside the partner's own
    paths each has /__mock__/books, /__mock__/pending, /__mock__/sms?phone=+62.. and /__mock__/health.
    """
    clock = Clock()
    try:
        table = parse_waits(waits)
        worlds = load_worlds(world, deposits=_deposits(deposit or []), seed=seed, at=clock.now())
    except (WorldError, ValueError) as problem:
        raise typer.BadParameter(str(problem)) from None
    logging.getLogger("httpx").setLevel(logging.WARNING)
    _serve(worlds, _chosen(only), port_base, clock, table, notify_base)


@main.command()
def credentials(
    port_base: PortBase = 9100,
    only: Only = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Print base URLs, sandbox credentials, keys and test accounts: the same every run, and they protect nothing."""
    known = {
        name: {"base_url": f"http://127.0.0.1:{port_base + PARTNERS[name][0]}", **_package(name).CREDENTIALS}
        for name in _chosen(only)
    }
    if as_json:
        typer.echo(json.dumps(known, indent=2, ensure_ascii=False))
        return
    for name, values in known.items():
        typer.echo(name)
        for key, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            typer.echo(f"  {key}: " + text.strip().replace("\n", "\n    "))


def _serve(
    worlds: dict[str, World], names: Sequence[str], port_base: int, clock: Clock, waits: Waits, notify_base: str
) -> None:
    import uvloop

    from mock_partners.kit.server import Listener, bind
    from mock_partners.kit.server import serve as serve_all

    sockets = {}
    for name in names:
        port = port_base + PARTNERS[name][0]
        try:
            sockets[name] = bind(port)
        except OSError as problem:
            typer.echo(
                f"port {port} for {name} cannot be used ({problem.strerror}): choose another --port-base", err=True
            )
            raise typer.Exit(1) from None

    async def run() -> None:
        schedulers = {name: Scheduler(clock) for name in names}
        listeners = []
        for name in names:
            app = _package(name).create_app(
                worlds[name], clock=clock, scheduler=schedulers[name], waits=waits, notify_base=notify_base
            )
            listeners.append(Listener(name, app, sockets[name]))
        await serve_all(listeners, lambda ready: typer.echo(f"{ready.name} ready on {ready.url}"))
        for scheduler in schedulers.values():
            await scheduler.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _chosen(only: Sequence[str] | None) -> list[str]:
    """The partners asked for; without a choice all whose package is here."""
    unknown = [name for name in only or () if name not in PARTNERS]
    if unknown:
        raise typer.BadParameter(f"unknown partner {unknown[0]!r}; choose out of: {', '.join(PARTNERS)}")
    if only:
        return [name for name in PARTNERS if name in only]
    return [name for name in PARTNERS if find_spec(PARTNERS[name][1]) is not None]


def _deposits(texts: Sequence[str]) -> dict[str, int]:
    deposits = {}
    for text in texts:
        name, _, amount = text.partition("=")
        if name not in PARTNERS or not amount.isascii() or not amount.isdecimal() or len(amount) > 15:
            raise ValueError(f"--deposit {text!r}: write PARTNER=RUPIAH with a partner out of: {', '.join(PARTNERS)}")
        deposits[name] = int(amount)
    return deposits


def _package(name: str) -> Any:
    """A partner's package, imported only when it is needed."""
    return importlib.import_module(PARTNERS[name][1])


if __name__ == "__main__":
    main()
