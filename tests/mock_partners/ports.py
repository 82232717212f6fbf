"""Ports for servers that count theirs from a base."""

from __future__ import annotations

import random
from contextlib import ExitStack

from mock_partners.kit.server import bind
from mock_partners.registry import PARTNERS

PORTS = 1 + len(PARTNERS)
"""The base itself and the partners' above it."""


def free_base() -> int:
    """A base with so many free ports, below those that Linux hands out to clients, so that no connection takes one."""
    for _ in range(100):
        base = random.randrange(12_000, 32_000, PORTS)
        with ExitStack() as bound:
            try:
                for port in range(base, base + PORTS):
                    bound.enter_context(bind(port))
            except OSError:
                continue
            return base
    raise AssertionError(f"no {PORTS} free ports in a row")
