"""Ports for servers that count theirs from a base."""

from __future__ import annotations

import random
from contextlib import ExitStack

from mock_partners.kit.server import bind

PORTS = 5
"""The base itself and the four partners' above it."""


def free_base() -> int:
    """A base with five free ports, below those that Linux hands out to clients, so that no connection takes one."""
    for _ in range(100):
        base = random.randrange(12_000, 32_000, PORTS)
        with ExitStack() as bound:
            try:
                for port in range(base, base + PORTS):
                    bound.enter_context(bind(port))
            except OSError:
                continue
            return base
    raise AssertionError("no five free ports in a row")
