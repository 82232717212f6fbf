"""The `gateway` command: one module per command, listed in the table below and imported when it is called.

A command that is called every few minutes must not wait for the web framework, the mocks' players and every partner's
clients; so nothing here imports a command's module before its name is known, not even `gateway --help`.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

SECTIONS = {
    "See it work": {
        "demo": ("demo:demo", "Pay a whole backlog at mock partners on this machine, then audit the books."),
        "cohort": ("demo:cohort", "Make another backlog for `gateway demo`."),
        "doctor": ("doctor:doctor", "What is missing on this machine, in the settings, in the installation."),
    },
    "Where it stands": {
        "funnel": ("funnel:funnel", "Where everybody stands, who is not paid and why."),
        "plan": ("plan:plan", "When it will be done, by partner and stage."),
        "why": ("why:why", "Why one incentive is not paid, and whose turn it is."),
        "cases": ("cases:app", "What somebody must look at, with the evidence and what lifts it."),
        "incentives": ("incentives:app", "Incentives by stage, blocker, partner."),
        "payouts": ("payouts:app", "Payouts by state; one with every word of its partner."),
        "partners": ("partners_:app", "How each partner is; pause, resume, ask again; what is assumed."),
        "events": ("events:events", "What happened, one JSON object a line."),
    },
    "Act": {
        "batch": ("batch:app", "Hand over a file, approve it, stop it."),
        "plans": ("plans:app", "Payment plans: what finishing a training entitles to."),
        "programmes": ("programmes:app", "Register programmes and their purposes."),
        "settlements": ("settlements:app", "Settle what a partner leaves in doubt, by its document and two people."),
        "reconcile": ("reconcile:reconcile", "Compare a day with the partner's statement, to the rupiah."),
        "participants": ("participants:app", "Erase a person's data, on the word of two."),
        "webhooks": ("webhooks:app", "Who is told of events, and what could not be delivered."),
    },
    "Run it": {
        "migrate": ("migrate:migrate", "Make or upgrade the database's tables."),
        "serve": ("serve:serve", "Serve the API, the participants' pages and /ops."),
        "worker": ("worker:worker", "Verify, pay, look up, read statements: whatever is due."),
        "clients": ("clients:app", "Who may call the API."),
        "operators": ("operators:app", "Who signs in at /ops."),
        "keys": ("keys:app", "The master keys: add, rotate, retire."),
        "audit": ("audit:app", "The record of who decided what: verify it, bundle it, who saw what."),
        "archive": ("archive:app", "Old events and calls, in files in the place of the store."),
        "recover": ("recover:recover", "After a restore: hold every partner until all it did is known."),
    },
    "Build on it": {
        "workbench": ("workbench:app", "One operation at a partner, with every exchange shown."),
        "new-partner": ("new_partner:new_partner", "Write the skeleton of a new partner."),
    },
}
"""By what somebody wants, and by name: the module in `gateway.cli` with what is called in it (a function, or a group of
commands), and what it does, for `gateway --help`.
"""
COMMANDS = {name: where for section in SECTIONS.values() for name, (where, _) in section.items()}


class _OnDemand(TyperGroup):
    """A group whose members are imported by name."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, does) for name, (_, does) in section.items()])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(importlib.import_module(f"gateway.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            found.rich_markup_mode = None  # no boxes, and nothing loaded to draw them
            made: Any = get_group(found)
            for one in made.commands.values():  # whole sentences in the list, not as much as fits on a line
                one.short_help = (one.help or "").partition("\n\n")[0]
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
            alone.command(cmd_name)(found)
            made = get_command(alone)
        made.name = cmd_name
        return made


app = typer.Typer(
    cls=_OnDemand,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Link, verify and pay Kartu Prakerja participants at their payment partners.\n\n"
    "Begin with `gateway demo`: it needs nothing but this machine. An installation runs `migrate` once, then `serve`"
    " and `worker`; `doctor` says what is missing. Settings come from the environment (docs/production.md).\n\n"
    "`gateway COMMAND --help` tells more of each.",
)


@app.callback()
def _gateway() -> None:
    """A group, though nothing is registered before its name is known."""


def main() -> None:
    """Run the command line; what the caller can mend ends with one line and status 2. It prints UTF-8, whatever the
    locale: JSON is nothing else, and a table would break off at its first dash.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except Exception as error:
        message = _mendable(error)
        if message is None:
            raise
        from rich.console import Console
        from rich.text import Text

        from gateway.cli.common import shown

        told = Text.assemble(("error:", "red"), " ", shown(message))
        Console(stderr=True).print(told, highlight=False, soft_wrap=True)
        raise SystemExit(2) from None


def _mendable(error: Exception) -> str | None:
    """What to tell of an error that the caller can mend; None: it is a bug of ours."""
    import asyncpg
    import httpx

    from contracts.errors import GatewayError
    from gateway.settings import SettingsError
    from gateway.storage.base.clocks import ClockOff
    from gateway.storage.base.migrate import MigrationError
    from gateway.storage.base.witness import WrongKey

    if isinstance(error, SettingsError | MigrationError | WrongKey | ClockOff):
        return str(error)
    if isinstance(error, GatewayError):
        return f"{error.detail} {error.remedy}"
    if isinstance(error, ConnectionError):
        return f"{error} Is it running, and is its address right? `gateway doctor` looks."
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return (
            f"{error}: DATABASE_URL names a role that may not do this. `gateway migrate` runs as the tables' owner,"
            " other commands as gateway_operate (docs/production.md)."
        )
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | httpx.TransportError):
        return f"{type(error).__name__}: is it running, and is its address right? `gateway doctor` looks."
    return None
