"""`gateway participants`: erasing what is known of a person."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.common import As, AsJson, local, tell, terminal, vault, who, with_store
from gateway.clock import SystemClock
from gateway.services.intake.incentives import Incentives
from gateway.services.messages.erasure import Erased, Erasing
from gateway.storage.base.database import Database

app = typer.Typer(no_args_is_help=True, help="People. Reads DATABASE_URL and GATEWAY_MASTER_KEY.")


@app.callback()
def _participants() -> None:
    """A group, though it has one command."""


@app.command()
def erase(
    participant_id: Annotated[str, typer.Argument(help="The core platform's own id.")],
    as_: As = None,
    as_json: AsJson = False,
) -> None:
    """Erase NIK, name, phone, accounts and grants of a person for whom everything is over; two operators say so.

    What became of the money stays, under the participant's id alone (docs/production.md, Erasing a person).
    """

    async def work(database: Database, _: Incentives) -> Erased:
        actor = await who(database, as_, "operator")
        return await Erasing(database, SystemClock(), vault()).erase(participant_id, actor)

    done = with_store(work)
    if as_json:
        tell(done)
    elif done.erased_at is None:
        terminal().print(f"{participant_id}: a second operator says the same within seven days", highlight=False)
    else:
        terminal().print(f"{participant_id} was erased {local(done.erased_at)}", highlight=False)
