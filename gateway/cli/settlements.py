"""`gateway settlements`: a partner's document about a payout in doubt, brought by one person, confirmed by another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from contracts.errors import InvalidRequest
from contracts.incentive import BlockerCode
from gateway.cli.common import As, AsJson, settings, table, tell, terminal, who, with_store
from gateway.core import Core, build_core
from gateway.resources import open_resources
from gateway.services.intake.incentives import Incentives
from gateway.services.payouts.settlements import REFUSED_FOR, SettledAs
from gateway.storage.base.database import Database
from gateway.storage.payouts import settlements as stored
from gateway.storage.payouts.settlements import Settlement

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Settle by a partner's document what its systems leave in doubt. Reads DATABASE_URL and GATEWAY_MASTER_KEY."
        "\n\n    gateway settlements propose PAYOUT paid --document BA-17 --why letter"
        "\n\n    gateway settlements list"
        "\n\n    gateway settlements confirm SETTLEMENT"
        "\n\nEach by another person (--as NAME). Which payouts: gateway cases list --code outcome_unknown."
    ),
)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Documents that wait for a second person."""

    async def work(database: Database, _: Incentives) -> list[Settlement]:
        async with database.connection() as connection:
            return await stored.open_ones(connection)

    found = with_store(work)
    if as_json:
        tell(found)
        return
    cells = (
        (s.id, s.payout, s.verdict, s.reason, s.proposed_by, s.proposed_at, f"{s.document}: {s.why}") for s in found
    )
    columns = ("settlement", "payout", "verdict", "reason", "brought by", "at", "document")
    terminal().print(table("documents to confirm", *columns, rows=cells))


@app.command()
def propose(
    payout: Annotated[int, typer.Argument(help="17 digits, as `gateway payouts list` names it.")],
    verdict: Annotated[SettledAs, typer.Argument(help="What the document says became of the money.")],
    document: Annotated[str, typer.Option(help="The partner's number or name of the document.")],
    why: Annotated[str, typer.Option(help="What makes you believe it; no personal data.")],
    reason: Annotated[
        BlockerCode | None,
        typer.Option(
            help=f"Of a refusal that blames the account or person: {', '.join(one.value for one in REFUSED_FOR)}."
        ),
    ] = None,
    person: As = None,
    as_json: AsJson = False,
) -> None:
    """Bring a document. Nothing changes until another person confirms it."""
    for name, text in (("document", document), ("why", why)):
        if not 3 <= len(text) <= 300:
            raise InvalidRequest(f"--{name} has 3 to 300 characters.", field=name)
    made = _acting(
        person,
        lambda core, actor: core.settlements.propose(
            payout, verdict, reason=reason, document=document, why=why, actor=actor
        ),
    )
    if as_json:
        tell(made)
        return
    terminal().print(f"settlement {made.id}: another person confirms it with `gateway settlements confirm {made.id}`")


@app.command()
def confirm(
    settlement: Annotated[int, typer.Argument(help="As `gateway settlements list` names it.")],
    person: As = None,
    as_json: AsJson = False,
) -> None:
    """Take the document for the partner's word; by another person than the one who brought it."""
    row = _acting(person, lambda core, actor: core.settlements.confirm(settlement, actor=actor))
    if as_json:
        tell({"payout_id": str(row.id), "state": row.state})
        return
    terminal().print(f"payout {row.id} is {row.state.value}")


def _acting(person: str | None, work: Callable[[Core, str], Awaitable[T]]) -> T:
    """Do `work` in the name of a person: two of them are needed, so nobody acts as the machine."""
    if person is None:
        raise InvalidRequest(
            "A document is brought, and confirmed, in a person's name.",
            remedy="Say who you are: --as NAME; `gateway operators add` enrols people.",
        )

    async def run() -> T:
        async with open_resources(settings(), pool_size=2) as resources:
            actor = await who(resources.database, person, "operator")
            return await work(build_core(resources), actor)

    return asyncio.run(run())
