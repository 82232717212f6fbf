"""`gateway clients`: who may call the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import NotFound
from gateway.cli.common import AsJson, table, tell, terminal, with_store
from gateway.clock import SystemClock
from gateway.security import clients as security
from gateway.services.intake.incentives import Incentives
from gateway.storage.access import clients as stored
from gateway.storage.base.database import Database

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Clients of the API: create, rotate a secret, list, disable. Reads DATABASE_URL."
        "\n\n    gateway clients create core --scope links --scope batches --scope read --organisation prakerja"
        '\n\n    gateway clients create "approver one" --scope batches:approve --organisation prakerja'
        "\n\nWhat a client does with it: docs/api.md."
    ),
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who it is, e.g. `core` or `approver one`; the id is made of it.")],
    scope: Annotated[
        list[str], typer.Option(help=f"Once for each scope: {', '.join(security.SCOPES)}.", show_default=False)
    ],
    return_url: Annotated[
        list[str] | None, typer.Option(help="Where browsers may be sent after linking; once for each.")
    ] = None,
    organisation: Annotated[
        str | None,
        typer.Option(
            help="Whose rows it sees and hands over; `*`: everybody's, and it hands over none. Left out: `*` for who"
            " only approves or operates, else an organisation of its own.",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            help="Who holds it: clients and operators of one person are one pair of eyes.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print id and secret as JSON.")] = False,
) -> None:
    """Create a client and print its secret, once: it is not kept, only a hash of it.

    A batch needs a client with `batches` and two others with `batches:approve`, held by two people. No client may do
    both.
    """

    async def work(database: Database, _: Incentives) -> security.Registered:
        return await security.register(
            database,
            SystemClock().now(),
            name=name,
            scopes=scope,
            return_urls=return_url or [],
            organisation=organisation,
            person=person,
        )

    made = with_store(work)
    _show(made, as_json=as_json)
    if organisation is None and made.organisation is not None and not as_json:
        terminal().print(_OF_ITS_OWN.format(made.organisation), style="dim")


_OF_ITS_OWN = (
    "It has an organisation of its own, {0}: it sees no other client's rows, and a participant_id that it hands over is"
    " nobody else's for good. If it is one of several, disable it, and make another with --organisation."
)


def _show(client: security.Registered, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"client_id": client.client_id, "client_secret": client.secret}))
        return
    terminal().print(f"client id      {client.client_id}", highlight=False)
    terminal().print(f"client secret  {client.secret}", highlight=False, soft_wrap=True)
    terminal().print("The secret is not shown again.", style="dim")


@app.command()
def rotate(
    client_id: Annotated[str, typer.Argument(help="As `gateway clients list` shows it.")],
    at_once: Annotated[bool, typer.Option("--at-once", help="The old secret is good no more: it was seen.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print id and secret as JSON.")] = False,
) -> None:
    """Give a client a new secret under its id. For 24 hours the old one is good too, so that it can change over."""
    made = with_store(lambda database, _: security.rotate(database, SystemClock().now(), client_id, at_once=at_once))
    _show(made, as_json=as_json)


@app.command()
def keys(
    client_id: Annotated[str, typer.Argument(help="As `gateway clients list` shows it.")],
    file: Annotated[Path, typer.Argument(help="Its public keys, a JSON Web Key Set.", exists=True, dir_okay=False)],
) -> None:
    """Have a client prove itself by signatures (private_key_jwt) under one of these keys, and by no secret any more.

    For a change of keys give both, and later the new one alone.
    """
    given = file.read_text("utf-8")
    with_store(lambda database, _: security.set_keys(database, SystemClock().now(), client_id, given))
    terminal().print(f"{client_id} proves itself by its keys from now on", highlight=False)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All clients with their scopes; a disabled one stays listed, as the records name it."""

    async def work(database: Database, _: Incentives) -> list[stored.ClientRow]:
        async with database.connection() as connection:
            return await stored.get_all(connection)

    found = with_store(work)
    if as_json:
        tell(found)
        return
    rows = (
        (c.id, c.organisation or security.EVERYWHERE, c.person, " ".join(c.scopes), c.created_at, c.disabled_at)
        for c in found
    )
    terminal().print(table("clients", "id", "organisation", "person", "scopes", "created", "disabled", rows=rows))


@app.command()
def disable(client_id: Annotated[str, typer.Argument(help="As `gateway clients list` shows it.")]) -> None:
    """Refuse a client from now on. Its tokens end within a few seconds."""

    async def work(database: Database, _: Incentives) -> bool:
        return await security.disable(database, SystemClock().now(), client_id)

    if not with_store(work):
        raise NotFound("There is no enabled client of that id.")
    terminal().print(f"{client_id} is disabled")
