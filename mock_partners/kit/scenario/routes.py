"""Whether the operations that a scenario names exist at the partners that it names."""

from __future__ import annotations

import difflib
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
            where = ", ".join(partners)
            found.append(
                f"{name} line {rule.line}: when.operation {word!r} is no operation of {where}; {allowed(known, word)}"
            )
    return found


def allowed(operations: Iterable[str], word: str) -> str:
    """Which words mean one of some operations, for whoever wrote another."""
    known = sorted(set(operations))
    roles = [role for role in ROLES if any(concerns(role, operation) for operation in known)]
    near = difflib.get_close_matches(word, [*roles, *(one.rpartition("/")[2] for one in known)], 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}allowed: {', '.join(roles)}, or the end of one of: {', '.join(known)}"
