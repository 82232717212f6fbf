"""`gateway events`: what happened, as it happens, as a client of the API."""

from __future__ import annotations

import asyncio
from typing import Annotated

import httpx
import msgspec
import typer

from contracts.errors import GatewayError
from gateway.cli.remote import API, ClientId, Secret, Url, answered
from gateway.client import AsyncGateway, NoAnswer, calls

_POLL_S = 1.0
_FORWARD_TIMEOUT_S = 10.0
_MOST_POLLS = 10_000_000


class NotForwarded(GatewayError):
    """The receiver did not take an event, or the API gave no answer."""

    title = "Not forwarded"
    remedy = "Mend it, then go on with --after and that cursor."


def events(
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    after: Annotated[str | None, typer.Option(help="A cursor: only what came after; without it, everything.")] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what happens from now on, until interrupted.")] = False,
    forward: Annotated[
        str | None, typer.Option(help="POST each event to this address too, in order and unsigned: for trying out.")
    ] = None,
) -> None:
    """Print events, one JSON object a line, oldest first (scope `read`)."""
    with answered(url):
        asyncio.run(_events(client_id, client_secret, url, after, follow=follow, forward=forward))


async def _events(
    client_id: str, client_secret: str, url: str, after: str | None, *, follow: bool, forward: str | None
) -> None:
    async with AsyncGateway(url, client_id, client_secret) as gateway, httpx.AsyncClient() as receiver:
        for _ in range(_MOST_POLLS):
            asked = after
            try:
                page = await gateway.send(calls.list_events(after=after).first)
            except NoAnswer as error:
                raise NotForwarded(f"{url} gave no answer ({error}) after the cursor {after}.") from None
            for event in page["events"]:
                line = msgspec.json.encode(event)
                if forward is not None:
                    await _forward(receiver, forward, line, after)
                typer.echo(line.decode())
                after = event["cursor"]
            # Not the last event's: others' events may follow it by the million, and are not walked through again.
            after = page["next_cursor"]
            if page["events"] or after != asked:
                continue
            if not follow:
                return
            await asyncio.sleep(_POLL_S)


async def _forward(receiver: httpx.AsyncClient, address: str, line: bytes, after: str | None) -> None:
    headers = {"Content-Type": "application/json"}
    try:
        reply = await receiver.post(address, content=line, headers=headers, timeout=_FORWARD_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise NotForwarded(f"{address} gave no answer ({type(error).__name__}) after the cursor {after}.") from None
    if not reply.is_success:
        raise NotForwarded(f"{address} answered {reply.status_code} after the cursor {after}.")
