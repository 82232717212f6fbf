"""The `gateway` command: one module per command, registered in the table below."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import httpx
import typer
from rich.console import Console

from contracts.errors import GatewayError
from gateway.cli import (
    batch,
    clients,
    demo,
    doctor,
    events,
    incentives,
    migrate,
    operators,
    partners_,
    payouts,
    programmes,
    reconcile,
    recover,
    serve,
    why,
    workbench,
    worker,
)
from gateway.settings import SettingsError
from gateway.storage.base.migrate import MigrationError
from gateway.storage.base.witness import WrongKey

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Link, verify and pay Kartu Prakerja participants at their payment partners.\n\n"
    "Begin with `gateway demo`: it needs nothing but this machine. An installation runs `migrate` once, then `serve`"
    " and `worker`; `doctor` says what is missing. Settings come from the environment (docs/production.md).",
)

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "cohort": demo.cohort,
    "doctor": doctor.doctor,
    "migrate": migrate.migrate,
    "serve": serve.serve,
    "worker": worker.worker,
    "partners": partners_.partners,
    "why": why.why,
    "events": events.events,
    "reconcile": reconcile.reconcile,
    "recover": recover.recover,
}
GROUPS = {
    "clients": clients.app,
    "operators": operators.app,
    "programmes": programmes.app,
    "batch": batch.app,
    "incentives": incentives.app,
    "payouts": payouts.app,
    "workbench": workbench.app,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)


def main() -> None:
    """Run the command line; what the caller can mend ends with one line and status 2."""
    try:
        app()
    except (SettingsError, MigrationError, WrongKey) as error:
        _end(str(error))
    except GatewayError as error:
        _end(f"{error.detail} {error.remedy}")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, httpx.TransportError, ConnectionError) as error:
        _end(f"{type(error).__name__}: is it running, and is its address right? `gateway doctor` looks.")


def _end(message: str) -> None:
    Console(stderr=True).print(f"[red]error:[/] {message}", highlight=False, soft_wrap=True)
    raise SystemExit(2)
