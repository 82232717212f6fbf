"""Everything a process does, assembled once: the services by name, for routes, worker and command line."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.resources import Resources
from gateway.security.clients import ClientDirectory
from gateway.services.brake.brake import Brake
from gateway.services.intake.batches import Batches
from gateway.services.intake.corrections import Corrections
from gateway.services.intake.entitlements import Entitlements
from gateway.services.intake.incentives import Incentives
from gateway.services.intake.plans import Plans
from gateway.services.intake.programmes import Programmes
from gateway.services.intake.singles import Singles
from gateway.services.linking.links import Linking
from gateway.services.linking.verification import Verification
from gateway.services.messages.inbox import Inbox
from gateway.services.messages.webhooks import Webhooks
from gateway.services.ops.audit import Sealing
from gateway.services.ops.cases import Cases
from gateway.services.ops.operators import Operators
from gateway.services.ops.partners import Partners
from gateway.services.ops.plan import Planner
from gateway.services.ops.silence import Guard
from gateway.services.payouts.driver import Payouts
from gateway.services.payouts.settlements import Settlements
from gateway.services.reconciliation.reconcile import Reconciliations
from gateway.services.reconciliation.strays import Strays


@dataclass(frozen=True, slots=True)
class Core:
    """The services on one set of resources."""

    resources: Resources
    clients: ClientDirectory
    linking: Linking
    verification: Verification
    payouts: Payouts
    inbox: Inbox
    programmes: Programmes
    batches: Batches
    incentives: Incentives
    plans: Plans
    entitlements: Entitlements
    singles: Singles
    corrections: Corrections
    partners: Partners
    settlements: Settlements
    cases: Cases
    plan: Planner
    guard: Guard
    operators: Operators
    brake: Brake
    strays: Strays
    reconciliations: Reconciliations
    webhooks: Webhooks
    sealing: Sealing


def build_core(resources: Resources) -> Core:
    """Assemble the services."""
    manifests = {slug: desk.manifest for slug, desk in resources.desks.items()}
    database, clock, vault = resources.database, resources.clock, resources.vault
    linking = Linking(resources)
    verification = Verification(resources)
    payouts = Payouts(resources, linking)
    programmes = Programmes(database, clock)
    batches = Batches(database, clock, vault, manifests, programmes)
    incentives = Incentives(database, clock, manifests)
    return Core(
        resources=resources,
        clients=ClientDirectory(database, clock),
        linking=linking,
        verification=verification,
        payouts=payouts,
        inbox=Inbox(resources, verification, payouts),
        programmes=programmes,
        batches=batches,
        incentives=incentives,
        plans=Plans(database, clock, programmes),
        entitlements=Entitlements(database, clock, vault, manifests, programmes, incentives),
        singles=Singles(database, clock, vault, manifests, programmes, incentives, batches),
        corrections=Corrections(resources),
        settlements=Settlements(database, clock, payouts),
        cases=Cases(database, clock),
        partners=Partners(database, clock, manifests, resources.settings.quotas),
        plan=Planner(database, clock, manifests, resources.settings.quotas),
        guard=Guard(database, clock, manifests),
        operators=Operators(database, clock, vault),
        brake=Brake(database, clock),
        strays=Strays(resources),
        reconciliations=Reconciliations(resources),
        sealing=Sealing(database, clock, vault),
        webhooks=Webhooks(database, clock, vault, resources.settings.networks()),
    )
