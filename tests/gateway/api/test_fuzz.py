"""Whatever is sent, the API answers with what it describes, and never with an internal error."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from gateway.api.app import create_app
from gateway.clock import SystemClock
from gateway.security.clients import MAKING, Registered, register
from gateway.storage.base.database import Database
from tests.gateway.api.conftest import settings_on
from tests.gateway.api.kit import PROGRAMMES, PURPOSES, as_csv, row

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]


@dataclass
class Served:
    """A running server and a token of each duty: who hands over, and who decides and operates."""

    url: str
    tokens: dict[str, str]

    def token(self, operation: Any) -> str:
        """One that may call the operation."""
        scopes = {scope for one in operation.definition.raw.get("security", ()) for scope in one.get("client", ())}
        return self.tokens["makes" if scopes & {*MAKING, "read"} else "decides"]


@pytest.fixture
def served(database: str, redis_url: str) -> Iterator[Served]:
    """The application on uvicorn in a thread, with a few incentives in it."""

    async def prepare() -> dict[str, Registered]:
        store = await Database.open(database, size=1)
        duties = {"makes": [*MAKING, "read"], "decides": ["batches:approve", "ops", "read"]}
        try:
            return {
                duty: await register(store, SystemClock().now(), name=duty, scopes=scopes)
                for duty, scopes in duties.items()
            }
        finally:
            await store.close()

    clients = asyncio.run(prepare())
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings_on(database, redis_url)), log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        tokens = {
            duty: httpx.post(
                f"{url}/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=httpx.BasicAuth(client.client_id, client.secret),
            ).json()["access_token"]
            for duty, client in clients.items()
        }
        headers = {"Authorization": f"Bearer {tokens['makes']}", "Idempotency-Key": "first", "Content-Type": "text/csv"}
        programme = {"programme": PROGRAMMES[0], "purposes": PURPOSES}
        registered = httpx.post(
            f"{url}/v1/programmes", headers={"Authorization": headers["Authorization"]}, json=programme
        )
        assert registered.status_code == 200
        body = as_csv([row(n) for n in range(1, 20)])
        assert httpx.post(f"{url}/v1/batches", headers=headers, content=body).status_code == 201
        yield Served(url, tokens)
    finally:
        server.should_exit = True
        thread.join(30)


def can_be_wrong(operation: Any) -> bool:
    """Whether a request may miss the description: it takes more than any text in its path."""
    takes = operation.definition.raw
    return "requestBody" in takes or any(
        one["in"] != "path" or one["schema"] != {"type": "string"} for one in takes.get("parameters", ())
    )


def test_no_request_that_fits_or_misses_the_description_breaks_the_api(served: Served, long: bool) -> None:
    schema = schemathesis.openapi.from_dict(httpx.get(f"{served.url}/schema").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 25
    assert sum(map(can_be_wrong, operations)) >= 15
    for operation in operations:
        # Where nothing can be wrong, that is found out at the cost of all the others' requests.
        for mode in (GenerationMode.POSITIVE, *[GenerationMode.NEGATIVE] * can_be_wrong(operation)):

            @settings(
                max_examples=50 if long else 4,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: schemathesis.Case) -> None:
                reply = case.call(
                    base_url=served.url, headers={"Authorization": f"Bearer {served.token(case.operation)}"}, timeout=30
                )
                case.validate_response(reply, checks=CHECKS)

            send()
