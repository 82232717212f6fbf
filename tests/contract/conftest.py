"""One suite for all partners: every test runs for each line of the registry. What differs is read off the manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.registry import PARTNERS
from contracts.linking import Grant
from contracts.partner import Manifest, Partner
from mock_partners.kit.world import Account
from tests.contract.cassettes import cassette_of, live_cassette, recording_of
from tests.contract.people import Person
from tests.contract.recording import Recording, record
from tests.contract.stage import Stage


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "slug" in metafunc.fixturenames:
        metafunc.parametrize("slug", sorted(PARTNERS), scope="session")


@pytest.fixture(scope="session")
def partner(slug: str) -> Partner:
    return PARTNERS[slug]


@pytest.fixture(scope="session")
def manifest(partner: Partner) -> Manifest:
    return partner.manifest


WANTS = {
    "test_the_bytes_hold_no_time_of_this_machine": ({"cassette", "live"}, "what was recorded may be of today"),
    "test_quotas_meet_operations_that_are_asked_for": ({"live"}, "the link may have been there before"),
    "test_every_kind_of_plan_was_recorded": ({"live"}, "the link may have been there before"),
}
"""Tests that judge replies, but want a story that a recording need not be: where they are left out, and why."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Off the mock only what judges recorded replies is run: a cassette or a sandbox cannot be steered."""
    against = config.getoption("--against")
    if against == "mock":
        return
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        modes, reason = WANTS.get(getattr(item, "originalname", ""), (set(), ""))
        if "recording" not in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=f"against {against}: it judges no recorded reply"))
        elif against in modes:
            item.add_marker(pytest.mark.skip(reason=f"against {against}: {reason}"))


@pytest.fixture(scope="session")
def recording(partner: Partner, request: pytest.FixtureRequest) -> Recording:
    """A participant's whole story at the partner, once per partner: the real replies that other tests damage."""
    against = request.config.getoption("--against")
    if against == "mock":
        return asyncio.run(record(partner))
    slug = partner.manifest.slug
    return recording_of(cassette_of(slug) if against == "cassette" else asyncio.run(live_cassette(partner)), partner)


@pytest.fixture
def stage(partner: Partner) -> Stage:
    """A new world of the partner."""
    return Stage(partner)


@pytest.fixture
def linked(stage: Stage) -> Callable[..., object]:
    """Make an account and link it: `account, grant = await linked(behaviour="pay:slow")`."""

    async def link(**changes: object) -> tuple[Account, Grant]:
        account = stage.account(**changes)
        return account, await Person(stage, account).grant()

    return link
