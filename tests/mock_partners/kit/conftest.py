"""Fixtures of the kit's tests: the plug-in's own, and a staged BNI mock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mock_partners.pytest import PartnerInProcess, mock_partner, mock_server
from tests.mock_partners.kit.staged import WORLD, Stage

__all__ = ["mock_partner", "mock_server"]


@pytest.fixture
def stage(mock_partner: Callable[..., PartnerInProcess]) -> Stage:
    return Stage(mock_partner("bni", WORLD))
