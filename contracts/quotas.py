"""Which of a partner's quotas a request counts to."""

from __future__ import annotations

from contracts.partner import Manifest, Mark, Quota

UNKNOWN_QUOTA = Quota(operations=("",), per_s=100.0, mark=Mark.ASSUMED, source="none is known: our own care")
"""For what a partner publishes no quota for; an installation that agreed on one says so (`GATEWAY_QUOTAS`)."""


def all_quotas(manifest: Manifest) -> tuple[Quota, ...]:
    """Those that are known, and the one of every other operation."""
    known = manifest.quotas
    return known if any("" in quota.operations for quota in known) else (*known, UNKNOWN_QUOTA)


def quota_of(manifest: Manifest, operation: str) -> Quota:
    """The quota that a request counts to: of those that meet its operation the one that names it most exactly."""
    named = [(name, quota) for quota in all_quotas(manifest) for name in quota.operations]
    return max((one for one in named if operation.startswith(one[0])), key=lambda one: len(one[0]))[1]
