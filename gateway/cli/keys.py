"""`gateway keys`: the master keys, and putting one in another's place while everything goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from gateway.cli.common import As, AsJson, table, tell, terminal, vault, who, with_store
from gateway.clock import SystemClock
from gateway.services.ops.keys import Keys
from gateway.storage.base.database import Database

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True,
    help="The master keys of GATEWAY_MASTER_KEY, one of which seals: docs/production.md, The master key. Reads"
    " DATABASE_URL and GATEWAY_MASTER_KEY.",
)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Every key: its state, whether it is in this environment, and how many values lie under it."""
    found = _keys(lambda keys, _: keys.status())
    if as_json:
        tell(found)
        return
    rows = [
        (one.key_id, one.state, "yes" if one.here else "no", one.values, one.activated_at, one.retired_at)
        for one in found
    ]
    terminal().print(table("keys", "key", "state", "here", "values", "sealed from", "retired", rows=rows))


@app.command()
def add(as_: As = None) -> None:
    """Make the store know each new key of GATEWAY_MASTER_KEY (keys with commas between, the new one last).

    Before this, give both keys to every process and start it anew: from now on none starts, and none is ready, without.
    """
    added = _keys(lambda keys, database: _as(database, as_, keys.add))
    for key_id in added:
        terminal().print(f"{key_id} is added; have it seal with `gateway keys rotate {key_id}`", highlight=False)
    if not added:
        terminal().print("the store knows each of these keys")


@app.command()
def rotate(
    key_id: Annotated[
        str | None, typer.Argument(help="The key that is to seal from now on; left out: go on sealing anew.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="End after about so many rows.")] = None,
    per_second: Annotated[float, typer.Option(min=1, help="Seal no more rows anew in a second.")] = 2_000,
    as_: As = None,
    as_json: AsJson = False,
) -> None:
    """Have a key seal, and seal anew what lies under others: online, a few rows at a time.

    Stopped, it goes on where it is run again. Exit status 1 while something is left.
    """
    done = _keys(
        lambda keys, database: _as(
            database, as_, lambda actor: keys.rotate(key_id, actor, most_rows=rows, rows_per_s=per_second)
        )
    )
    if as_json:
        tell(done)
    else:
        terminal().print(f"{done.key_id} seals; {done.rows} rows sealed anew, {done.left} values left", highlight=False)
        if done.broken:
            terminal().print(f"{done.broken} rows open under no key that is here: see the log, `seal_broken`")
    if done.left:
        raise typer.Exit(1)


@app.command()
def retire(key_id: Annotated[str, typer.Argument(help="One that is old.")], as_: As = None) -> None:
    """Let a key open nothing any more, once nothing lies under it; then take it out of GATEWAY_MASTER_KEY."""
    _keys(lambda keys, database: _as(database, as_, lambda actor: keys.retire(key_id, actor)))
    terminal().print(f"{key_id} is retired; take it out of GATEWAY_MASTER_KEY everywhere", highlight=False)


async def _as(database: Database, name: str | None, act: Callable[[str], Awaitable[T]]) -> T:
    return await act(await who(database, name, "operator"))


def _keys(work: Callable[[Keys, Database], Awaitable[T]]) -> T:
    return with_store(lambda database, _: work(Keys(database, SystemClock(), vault()), database))
