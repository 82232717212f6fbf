"""`gateway serve`: the API."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
import uvicorn
from litestar import Litestar

from gateway import tracing
from gateway.api.app import create_app
from gateway.api.sockets import HEAD_BYTES, BoundedProtocol
from gateway.cli.starting import right_store, safe_settings
from gateway.logs import set_up_logging

_DRAIN_S = 20
_IDLE_S = 620
"""A connection may stand idle for longer than any balancer keeps one (60 s at AWS's, 600 s at Google's): who ends it
must be the side that sends, or a request meets a connection that is just being closed.
"""


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; keep TLS in front of any other than this.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve the API: /v1 for the core platform, /connect for participants, /callbacks for partners.

    Settings come from the environment (docs/production.md); run `gateway migrate` first. Start as many as you like on
    the same PostgreSQL and Redis. Ends in order on SIGTERM.
    """
    set_up_logging()
    given = safe_settings()
    asyncio.run(right_store(given))
    tracing.begin("gateway-api")
    server = uvicorn.Server(server_config(create_app(given), host=host, port=port))
    server.run()
    tracing.end()
    if not server.started:
        raise typer.Exit(1)


def server_config(app: Litestar, *, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    """How the API is served."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        # On h11: to each POST over plain HTTP Java's client adds `Upgrade: h2c`; with httptools uvicorn loses the body.
        http=BoundedProtocol,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
