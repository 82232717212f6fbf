"""`gateway webhooks`: where a client is called about what happens, as a client of the API."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from gateway.cli.common import AsJson, table, tell, terminal
from gateway.cli.remote import API, ClientId, Secret, Url, asked, connected
from gateway.client import calls, models

app = typer.Typer(
    no_args_is_help=True,
    help="A client's webhook endpoints, over HTTP with its credentials (scope `read`): PRAKERJA_CLIENT_ID,"
    " PRAKERJA_CLIENT_SECRET, and the API's address in PRAKERJA_API_URL or --url. What a call looks like:"
    " docs/events.md.",
)

Endpoint = Annotated[str, typer.Argument(help="As `gateway webhooks list` shows it.")]


@app.command()
def add(
    address: Annotated[str, typer.Argument(help="https, and public unless the installation allows its network.")],
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only this event type; once for each. Without it, all.")
    ] = None,
) -> None:
    """Be called at an address about what happens from now on, and print the secret that signs, once."""
    made = asked(url, client_id, client_secret, calls.create_webhook_endpoint(address, types=types or ()))
    _secret(made)


@app.command("list")
def list_(client_id: ClientId, client_secret: Secret, url: Url = API, as_json: AsJson = False) -> None:
    """The client's endpoints: how far each is, what waits, since when it fails."""
    found = asked(url, client_id, client_secret, calls.list_webhook_endpoints())
    if as_json:
        tell(found.webhook_endpoints)
        return
    rows = (
        (one.webhook_endpoint_id, one.url, " ".join(one.types) or "all", one.waiting, one.dead_letters, _state(one))
        for one in found.webhook_endpoints
    )
    terminal().print(table("webhooks", "endpoint", "address", "types", "waiting", "dead", "state", rows=rows))


@app.command("test")
def try_(endpoint: Endpoint, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """Call it now with an event of type `webhook.test`. Status 1: it did not take it."""
    tried = asked(url, client_id, client_secret, calls.test_webhook_endpoint(endpoint))
    what = f"HTTP {tried.status}" if tried.status is not None else "no answer"
    terminal().print(f"{'taken' if tried.delivered else 'not taken'}: {what}, {tried.took_ms} ms", highlight=False)
    if not tried.delivered:
        terminal().print(tried.error or "", markup=False)
        raise typer.Exit(1)


@app.command()
def rotate(endpoint: Endpoint, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """A new secret, printed once; for 24 hours the old one signs beside it."""
    _secret(asked(url, client_id, client_secret, calls.rotate_webhook_secret(endpoint)))


@app.command()
def replay(
    endpoint: Endpoint,
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    after: Annotated[str | None, typer.Option(help="A cursor of `gateway events`: what came after it.")] = None,
    until: Annotated[str | None, typer.Option(help="The last one; without it, the last one delivered.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="What was given up, and no range.")] = False,
) -> None:
    """Deliver events again: a range, or what was given up."""
    wanted = calls.replay_webhook_events(endpoint, after=after, until=until, dead_letters=dead)
    done = asked(url, client_id, client_secret, wanted)
    terminal().print(
        f"{done.webhook_endpoint_id}: {done.waiting} waiting, {done.dead_letters} given up", highlight=False
    )


@app.command("end-replay")
def end_replay(endpoint: Endpoint, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """Deliver no more of a range again; what is new goes on."""
    asked(url, client_id, client_secret, calls.end_webhook_replay(endpoint))
    terminal().print(f"{endpoint} is told what is new", highlight=False)


@app.command()
def dead(endpoint: Endpoint, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """What was given up, one JSON object a line."""
    with connected(url, client_id, client_secret) as gateway:
        for letter in gateway.pages(calls.list_dead_letters(endpoint)):
            typer.echo(msgspec.json.encode(letter).decode())


@app.command()
def change(
    endpoint: Endpoint,
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    address: Annotated[str | None, typer.Option(help="Where it is called from now on.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Only this event type; once for each.")] = None,
    all_types: Annotated[bool, typer.Option("--all-types", help="All event types again.")] = False,
) -> None:
    """Another address or other event types; the secret and the place in the events stay."""
    if types and all_types:
        raise typer.BadParameter("give --type or --all-types")
    wanted = calls.change_webhook_endpoint(endpoint, url=address, types=[] if all_types else types or None)
    done = asked(url, client_id, client_secret, wanted)
    terminal().print(f"{done.webhook_endpoint_id}: {done.url}, {' '.join(done.types) or 'all'}", highlight=False)


@app.command()
def remove(endpoint: Endpoint, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """Be called there no more; what waits for it is forgotten."""
    asked(url, client_id, client_secret, calls.delete_webhook_endpoint(endpoint))
    terminal().print(f"{endpoint} is called no more", highlight=False)


@app.command()
def enable(endpoint: Endpoint, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """Call a disabled endpoint again, from where it was."""
    asked(url, client_id, client_secret, calls.enable_webhook_endpoint(endpoint))
    terminal().print(f"{endpoint} is called again", highlight=False)


def _state(one: models.WebhookEndpoint) -> str:
    if one.disabled_at is not None:
        return f"disabled: {one.disabled_because}"
    if one.failing_since is not None:
        return f"failing: {one.last_error}"
    return "called" if one.replay_cursor is None else "called, a range again"


def _secret(made: models.NewWebhookEndpoint) -> None:
    terminal().print(f"endpoint  {made.endpoint.webhook_endpoint_id}", highlight=False)
    terminal().print(f"secret    {made.secret}", highlight=False, soft_wrap=True)
    terminal().print("The secret is not shown again.", style="dim")
