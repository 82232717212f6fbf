"""A statement that does not end within its time is answered 503 with what to do; it is named, logged and counted."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from gateway.storage.base.database import Database
from gateway.storage.base.out_of_time import OutOfTime
from gateway.storage.linking import listing
from gateway.storage.ops import audit
from tests.gateway.api.conftest import api, core, http  # noqa: F401 - fixtures
from tests.gateway.api.kit import Api
from tests.gateway.storage.asked import NOW


async def _record_and_list(store: Database) -> None:
    async with store.transaction() as connection:
        await audit.record(connection, NOW, "x", "x", "x", {})
        await listing.find(connection, {}, None, 1)


async def test_who_asked_is_named_logged_and_counted(database: str) -> None:
    """Of two statements in one transaction the one that waits: for a table that somebody holds."""
    store = await Database.open(database, limit_s=0.2)
    other = await asyncpg.connect(database)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE links IN ACCESS EXCLUSIVE MODE")
            for times in (1, 2):
                with capture_logs() as logged, pytest.raises(OutOfTime, match=r"linking/listing\.py find"):
                    await _record_and_list(store)
                lines = [(line["event"], line["statement"]) for line in logged]
                assert lines == [("statement_out_of_time", "linking/listing.py find")]
                rows = await other.fetch("SELECT statement, times FROM statements_out_of_time")
                assert [tuple(row) for row in rows] == [("linking/listing.py find", times)]
        assert await other.fetchval("SELECT count(*) FROM audit_log") == 0, "what the transaction wrote is taken back"
    finally:
        await other.close()
        await store.close()


async def test_another_time_that_is_over_is_no_statement_s(database: str) -> None:
    store = await Database.open(database)
    try:
        for context in (store.transaction, store.connection):
            with pytest.raises(TimeoutError) as raised:
                async with context():
                    raise TimeoutError
            assert not isinstance(raised.value, OutOfTime)
            async with store.connection() as connection:
                assert await connection.fetchval("SELECT count(*) FROM statements_out_of_time") == 0
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [(OutOfTime("linking/listing.py find"), "out_of_time"), (TimeoutError(), "unavailable"),
     (asyncpg.QueryCanceledError(), "unavailable"), (asyncpg.ConnectionDoesNotExistError(), "unavailable")],
)  # fmt: skip
async def test_the_client_is_told_to_come_back(
    api: Api,  # noqa: F811
    error: Exception,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def find(*_: Any) -> None:
        raise error

    monkeypatch.setattr(listing, "find", find)
    reply = await api.call("GET", "/v1/links", role="reader")
    assert (reply.status_code, reply.json()["code"]) == (503, code)
    assert int(reply.headers["Retry-After"]) > 0 and reply.json()["remedy"]
    metrics = await api.http.get("/metrics")
    assert metrics.status_code == 200
