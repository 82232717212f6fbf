"""Bugs in what SNAP partners share, each run against every one of them: who is not asked lets it live."""

from __future__ import annotations

import importlib

from adapters.registry import PARTNERS
from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import PAY, SNAP_CODES, kind, shared

ECHOES = "tests/contract/test_echoes.py"
SLUGS = [slug for slug in PARTNERS if hasattr(importlib.import_module(f"adapters.{slug}.mapping"), "PAYOUTS")]
"""Whose payouts the house reads."""


def everywhere(name: str, path: str, old: str, new: str) -> tuple[Mutant, ...]:
    """One bug of the house, at each partner."""
    return kind(f"house_{name}", (ECHOES,), shared(Edit(path, old, new), *SLUGS))


HOUSE = (
    *everywhere("inquiry_of_another_account", PAY, "self.same_account(envelope, order.account)", "pass"),
    *everywhere("transfer_of_another_reference", PAY, 'envelope.echo(order.reference, "partnerReferenceNo")', "pass"),
    *everywhere("lookup_of_another", PAY, 'envelope.echo(order.reference, "originalPartnerReferenceNo")', "pass"),
    *everywhere("lookup_of_another_service", PAY, 'envelope.echo(self.transfer.service, "serviceCode")', "pass"),
    *everywhere("amount_not_read", PAY, "amount_rupiah=values.amount(envelope)", "amount_rupiah=None"),
    *everywhere("account_not_read", PAY, "account=self.shown(envelope, order.account)", "account=None"),
    *everywhere("any_service", SNAP_CODES, "if code[3:5] != service:", "if not code[3:5]:"),
)
