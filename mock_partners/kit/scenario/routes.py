"""Whether the operations that a scenario names exist at the partners that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mock_partners.kit.scenario.model import Scenario
from mock_partners.kit.scenario.roles import ROLES, concerns, unmatched


def operation_problems(scenario: Scenario, operations: Mapping[str, Iterable[str]], name: str) -> list[str]:
    """A line for each word that means nothing at any of its rule's partners; `operations` of each partner at hand."""
    found = []
    for rule in scenario.rules:
        wanted = rule.when.get("operation", ())
        partners = [partner for partner in rule.when.get("partner", tuple(operations)) if partner in operations]
        known = [operation for partner in partners for operation in operations[partner]]
        for word in unmatched(wanted, known) if partners else ():
            where, ends = ", ".join(partners), ", ".join(sorted(known))
            roles = ", ".join(role for role in ROLES if any(concerns(role, operation) for operation in known))
            found.append(
                f"{name} line {rule.line}: when.operation {word!r} is no operation of {where}; "
                f"allowed: {roles}, or the end of one of: {ends}"
            )
    return found
