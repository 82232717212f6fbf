"""The gateway's processes: their services, and what they hold in memory until they die."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.resources import Resources
from gateway.services.brake.brake import Brake
from gateway.services.intake.batches import Batches
from gateway.services.intake.corrections import Corrections
from gateway.services.intake.incentives import Incentives
from gateway.services.intake.programmes import Programmes
from gateway.services.linking.links import Linking
from gateway.services.linking.verification import Verification
from gateway.services.messages.inbox import Inbox
from gateway.services.ops.partners import Partners
from gateway.services.payouts.settlements import Settlements
from gateway.services.reconciliation.recovery import Recoveries
from gateway.services.reconciliation.statements import Statements
from gateway.storage.base.timeline import Timeline
from tests.gateway.payouts.ticks import Ticking
from tests.sim.feeding import Feeding

if TYPE_CHECKING:
    from tests.sim.town import Town


class Services:
    """One gateway process: all services, with what they hold in memory."""

    def __init__(self, resources: Resources, worker: str) -> None:
        self.resources = resources
        self.feeding = Feeding(resources, worker)
        self.brake = Brake(resources.database, resources.clock)
        self.linking = Linking(resources)
        self.verification = Verification(resources)
        self.payouts = Ticking(resources, self.linking, worker=worker, grouped=False)
        self.statements = Statements(resources)
        self.inbox = Inbox(resources, self.verification, self.payouts, grouped=False)
        manifests = {slug: desk.manifest for slug, desk in resources.desks.items()}
        self.batches = Batches(
            resources.database,
            resources.clock,
            resources.vault,
            manifests,
            Programmes(resources.database, resources.clock),
        )
        self.incentives = Incentives(resources.database, resources.clock, manifests)
        self.settlements = Settlements(resources.database, resources.clock, self.payouts)
        self.corrections = Corrections(resources)
        self.recoveries = Recoveries(resources, self.payouts, self.statements)
        self.partners = Partners(resources.database, resources.clock, manifests, resources.settings.quotas)


class Process:
    """A place for services; when it dies they are built anew over the store."""

    def __init__(self, town: Town, name: str) -> None:
        self._town, self.name = town, name
        self.busy = False
        self.dies_after_commit = False
        self.lives = 0
        self.timeline = Timeline(())
        self.restart()

    def restart(self) -> None:
        """Forget everything and begin again."""
        self.lives += 1
        self.dies_after_commit = False
        self.services = Services(self._town.resources(self), f"{self.name}-{self.lives}")
