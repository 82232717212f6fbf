"""One suite for all partners: every test runs for each line of the registry. What differs is read off the manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from adapters.registry import PARTNERS
from contracts.linking import Grant
from contracts.partner import Manifest, Partner
from mock_partners.kit.world import Account
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


@pytest.fixture(scope="session")
def recording(partner: Partner) -> Recording:
    """A participant's whole story at the partner, once per partner: the real replies that other tests damage."""
    return asyncio.run(record(partner))


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
