"""Fixtures that every suite shares: real PostgreSQL and Valkey, one of each per test process, and sizes of runs."""

import asyncio
import gc
import importlib
import os
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import asyncpg
import hypothesis
import pytest
import redis

from gateway.embedded import (
    EmbeddedPostgres,
    EmbeddedValkey,
    create_database_from_template,
    drop_database,
)
from gateway.embedded.postgres import copying, dropping, with_database
from tests.memory import servers_folder

TEMPLATE = f"template_gateway_{os.getpid()}"
SHARED_POSTGRES = "TESTS_POSTGRES"
"""URL of a PostgreSQL to use instead of one of this test process's own: many short runs in a row (tests/mutants)."""
MASTER_KEY = bytes(range(32))
"""Whose the test databases are."""
TESTS = Path(__file__).parent
FIRST = ("sim", "e2e", "crash", "fuzz")
"""Suites of few and long tests: begun first, else one process ends alone with one of them."""

hypothesis.settings.register_profile("small", max_examples=50, deadline=None)
hypothesis.settings.register_profile("long", max_examples=2_000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="full sizes: more examples, seeds and rows")
    parser.addoption(
        "--against",
        choices=("mock", "cassette", "live"),
        default="mock",
        help="whose replies the contract suite judges: docs/workbench.md",
    )


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("long" if config.getoption("--long") else "small")
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)  # no test may reach a database that someone uses
    for name in ("no_proxy", "NO_PROXY"):  # a machine's proxy is for what is installed, and leads nowhere here
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays to the end: looking through it for garbage, again and again, finds none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    suites = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: suites.get(item.path.parent.name, len(FIRST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per suite, that is per folder of tests: `contract: 120 cases, 0 bad, 12.3 s`."""
    cases, bad, spent_s = Counter[str](), Counter[str](), Counter[str]()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue
            parts = Path(report.nodeid.split("::")[0]).parts
            suite = parts[1] if len(parts) > 2 else Path(parts[-1]).stem
            spent_s[suite] += report.duration
            if report.when == "call" or outcome in ("error", "skipped"):
                # A test that runs through many cases says how many.
                cases[suite] += int(str(dict(report.user_properties).get("cases", 1)))
            bad[suite] += outcome in ("failed", "error")
    for suite in sorted(cases):
        terminalreporter.write_line(f"{suite}: {cases[suite]} cases, {bad[suite]} bad, {spent_s[suite]:.1f} s")


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether this is the full-size run."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def servers_home() -> Iterator[Path]:
    """A folder for servers' data."""
    with servers_folder() as home:
        yield home


class Lent(EmbeddedPostgres):
    """A server that somebody else runs: only its URL is to be had."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @property
    def dsn(self) -> str:
        """Of the database from which the others are made."""
        return self._dsn


@pytest.fixture(scope="session")
def postgres(servers_home: Path) -> Iterator[EmbeddedPostgres]:
    """This test process's PostgreSQL."""
    if lent := os.environ.get(SHARED_POSTGRES):
        yield Lent(lent)
        return
    server = EmbeddedPostgres(servers_home / "postgres", durable=False)
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database that has been migrated once, under `MASTER_KEY`, to be copied for each test.

    The server has the roles from the start: whatever runs before or after whatever, it is the same server.
    """

    async def migrated() -> None:
        await importlib.import_module("gateway.storage.base.roles").make(postgres.dsn)
        dsn = await create_database_from_template(postgres.dsn, "template0", TEMPLATE)
        await importlib.import_module("gateway.storage.base.migrate").migrate(dsn)
        vault = importlib.import_module("gateway.security.vault").Vault(MASTER_KEY)
        await importlib.import_module("gateway.storage.base.witness").keep(dsn, vault)

    asyncio.run(migrated())
    yield TEMPLATE
    asyncio.run(drop_database(postgres.dsn, TEMPLATE))


class Builder:
    """Makes and drops each test's own database over one connection: a new one for each costs as much as the copy."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def lend(self, template: str) -> Iterator[str]:
        """A copy of `template` for as long as the test takes; its URL."""
        name = f"test_{uuid4().hex}"
        self._loop.run_until_complete(self._do(copying(template, name)))
        yield with_database(self._dsn, name)
        self._loop.run_until_complete(self._do(dropping(name)))

    async def _do(self, statement: str) -> None:
        if self._connection is None or self._connection.is_closed():  # a test may end everybody's
            self._connection = await asyncpg.connect(self._dsn, timeout=10)
        await self._connection.execute(statement)

    def close(self) -> None:
        """At the end of the run."""
        if self._connection is not None:
            self._loop.run_until_complete(self._connection.close())
        self._loop.close()


@pytest.fixture(scope="session")
def builder(postgres: EmbeddedPostgres) -> Iterator[Builder]:
    """Who makes the databases of this test process."""
    with closing(Builder(postgres.dsn)) as made:
        yield made


@pytest.fixture
def database(builder: Builder, template: str) -> Iterator[str]:
    """The URL of a migrated, empty database of this test's own."""
    yield from builder.lend(template)


@pytest.fixture
def empty_database(builder: Builder) -> Iterator[str]:
    """The URL of a database of this test's own without any table."""
    yield from builder.lend("template0")


@pytest.fixture(scope="session")
def valkey(servers_home: Path) -> Iterator[EmbeddedValkey]:
    """This test process's Valkey."""
    server = EmbeddedValkey(servers_home / "valkey")
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
def redis_url(valkey: EmbeddedValkey) -> str:
    """The URL of an empty cache."""
    with closing(redis.Redis.from_url(valkey.url)) as client:
        client.flushall()
    return valkey.url
