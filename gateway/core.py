"""Everything a process does, assembled once: the services by name, for routes, worker and command line."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from gateway.resources import Resources
from gateway.security.clients import ClientDirectory


@dataclass(frozen=True, slots=True)
class Core:
    """The services on one set of resources."""

    resources: Resources
    clients: ClientDirectory
    linking: Any
    verification: Any
    payouts: Any
    inbox: Any
    batches: Any
    incentives: Any


def _service(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"gateway.services.{module}"), name)


def build_core(resources: Resources) -> Core:
    """Assemble the services."""
    linking = _service("linking", "Linking")(resources)
    verification = _service("verification", "Verification")(resources)
    payouts = _service("payouts", "Payouts")(resources, linking)
    return Core(
        resources=resources,
        clients=ClientDirectory(resources.database, resources.clock),
        linking=linking,
        verification=verification,
        payouts=payouts,
        inbox=_service("inbox", "Inbox")(resources, verification, payouts),
        batches=_service("batches", "Batches")(resources),
        incentives=_service("incentives", "Incentives")(resources),
    )
