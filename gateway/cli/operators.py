"""`gateway operators`: people who sign in at `/ops`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

import typer

from gateway.cli.common import AsJson, table, tell, terminal, vault, with_store
from gateway.clock import SystemClock
from gateway.security.clients import PERSONS
from gateway.services.intake.incentives import Incentives
from gateway.services.ops.operators import ROLES, Operators
from gateway.storage.base.database import Database
from gateway.storage.ops import operators as stored

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True,
    help=(
        "People who sign in at /ops. Reads DATABASE_URL and GATEWAY_MASTER_KEY."
        "\n\n    gateway operators add ann --role operator"
        "\n\n    gateway operators disable ann"
        "\n\nAn operator acts, an approver approves batches, an auditor reads; one person may be several."
    ),
)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and dashes; never used again.")],
    role: Annotated[list[str], typer.Option(help=f"Repeatable: {', '.join(ROLES)}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Id, password and address as JSON.")] = False,
) -> None:
    """Enrol somebody: prints a password and the address for an authenticator app, once.

    An operator pauses and resumes partners, an approver decides about batches, an auditor reads; each sees every page.
    """
    made = _with_operators(lambda operators: operators.enrol(name, tuple(role), actor="cli"))
    if as_json:
        typer.echo(json.dumps({"id": made.client_id, "password": made.password, "totp_uri": made.totp_uri}))
        return
    terminal().print(f"name      {name}", highlight=False)
    terminal().print(f"password  {made.password}", highlight=False, soft_wrap=True)
    terminal().print(f"code      {made.totp_uri}", highlight=False, soft_wrap=True)
    terminal().print("Neither is shown again. Another password: /ops/password.", style="dim")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Everybody, with their roles."""

    async def work(database: Database, _: Incentives) -> list[tuple[str, tuple[str, ...], datetime, datetime | None]]:
        async with database.connection() as connection:
            found = await stored.get_all(connection)
        return [(o.client_id.removeprefix(PERSONS), o.roles, o.created_at, gone) for o, gone in found]

    found = with_store(work)
    if as_json:
        tell([dict(zip(("name", "roles", "enrolled_at", "disabled_at"), row, strict=True)) for row in found])
        return
    rows = ((name, " ".join(roles), *times) for name, roles, *times in found)
    terminal().print(table("operators", "name", "roles", "enrolled", "disabled", rows=rows))


@app.command()
def disable(name: Annotated[str, typer.Argument(help="As `gateway operators list` shows it.")]) -> None:
    """Let somebody in no more; a page that is open ends with its next click."""
    _with_operators(lambda operators: operators.disable(name, actor="cli"))
    terminal().print(f"{name} is disabled")


def _with_operators(work: Callable[[Operators], Awaitable[T]]) -> T:
    return with_store(lambda database, _: work(Operators(database, SystemClock(), vault())))
