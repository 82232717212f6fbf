"""The `gateway` command: one module per command, listed in the table below and imported when it is called.

A command that is called every few minutes must not wait for the web framework, the mocks' players and every partner's
clients; so nothing here imports a command's module before its name is known (`gateway --help` needs all of them).
"""

from __future__ import annotations

import importlib
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command, get_group

COMMANDS = {
    "demo": "demo:demo",
    "cohort": "demo:cohort",
    "doctor": "doctor:doctor",
    "migrate": "migrate:migrate",
    "serve": "serve:serve",
    "worker": "worker:worker",
    "funnel": "funnel:funnel",
    "plan": "plan:plan",
    "why": "why:why",
    "cases": "cases:app",
    "incentives": "incentives:app",
    "participants": "participants:app",
    "payouts": "payouts:app",
    "settlements": "settlements:app",
    "batch": "batch:app",
    "partners": "partners_:app",
    "reconcile": "reconcile:reconcile",
    "recover": "recover:recover",
    "events": "events:events",
    "webhooks": "webhooks:app",
    "audit": "audit:app",
    "keys": "keys:app",
    "clients": "clients:app",
    "operators": "operators:app",
    "programmes": "programmes:app",
    "plans": "plans:app",
    "workbench": "workbench:app",
    "new-partner": "new_partner:new_partner",
}
"""By name, the module in `gateway.cli` and what is called in it: a function, or a group of commands."""


class _OnDemand(TyperGroup):
    """A group whose members are imported by name."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(importlib.import_module(f"gateway.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            made: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(cmd_name)(found)
            made = get_command(alone)
        made.name = cmd_name
        return made


app = typer.Typer(
    cls=_OnDemand,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Link, verify and pay Kartu Prakerja participants at their payment partners.\n\n"
    "Begin with `gateway demo`: it needs nothing but this machine. An installation runs `migrate` once, then `serve`"
    " and `worker`; `doctor` says what is missing. Settings come from the environment (docs/production.md).",
)


@app.callback()
def _gateway() -> None:
    """A group, though nothing is registered before its name is known."""


def main() -> None:
    """Run the command line; what the caller can mend ends with one line and status 2."""
    try:
        app()
    except Exception as error:
        message = _mendable(error)
        if message is None:
            raise
        Console(stderr=True).print(f"[red]error:[/] {message}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from None


def _mendable(error: Exception) -> str | None:
    """What to tell of an error that the caller can mend; None: it is a bug of ours."""
    import asyncpg
    import httpx

    from contracts.errors import GatewayError
    from gateway.settings import SettingsError
    from gateway.storage.base.migrate import MigrationError
    from gateway.storage.base.witness import WrongKey

    if isinstance(error, SettingsError | MigrationError | WrongKey):
        return str(error)
    if isinstance(error, GatewayError):
        return f"{error.detail} {error.remedy}"
    if isinstance(error, ConnectionError):
        return f"{error} Is it running, and is its address right? `gateway doctor` looks."
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | httpx.TransportError):
        return f"{type(error).__name__}: is it running, and is its address right? `gateway doctor` looks."
    return None
