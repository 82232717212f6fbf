"""What acts where: which atoms of a scenario reach which partner's operations; each partner's own file says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mock_partners.kit.scenario.model import Rule, Scenario
from mock_partners.kit.scenario.roles import REACH, concerns

EVERYWHERE = "*"
GROUPS: dict[str, tuple[str, ...]] = {
    "desk": (
        "pending_lookups", "pending_s", "settle_after_s", "not_found_lookups", "reverse_after_s", "book_twice",
        "book_amount_rupiah", "fee_rupiah",
    ),
    "script": ("behave", "fail"),
    "withdrawal": ("deposit_short",),
    "iris": ("fail_code", "then_completes_s"),
    "rows": (
        "omit_rows", "duplicate_rows", "late_rows_s", "foreign_rows", "fee_rows_rupiah", "wrong_rows_rupiah",
        "shuffle_rows", "unlisted_rows", "cut_references", "repeat_numbers", "post_under_yesterday_s", "oldest_first",
    ),
    "pages-of-rows": ("page_rows", "grow_rows"),
    "references": ("forget_references",),
    "external-ids": ("forget_external_ids",),
    "customer-tokens": ("expire_customer_tokens", "revoke_customer_tokens"),
    "client-key": ("accept_key",),
    "otp": ("expire_otp",),
    "sms": ("lose_sms",),
    "session": ("expire_session",),
    "consent-pages": ("expire_pages",),
    "nik": ("nik_check",),
    "notifications": (
        "suppress_notification", "delay_notification_s", "duplicate_notification", "reorder_notification_s",
        "repeat_notification_s", "forge_notification",
    ),
    "next-key": ("sign_with_next_key",),
}  # fmt: skip
"""What is changed, as a partner's `[reach]` names it, and by which atoms. An atom that is not here acts on any call."""
OF_ATOM = {atom: group for group, atoms in GROUPS.items() for atom in atoms}
SCRIPTED_ALSO = "script"
"""Whatever takes a payout at the desk obeys scripts too."""


def reached(partner: str, atom: str) -> tuple[str, ...]:
    """At which of a partner's operations an atom acts: ends of paths, or `*` for any call."""
    group = OF_ATOM.get(atom)
    if group is None:
        return (EVERYWHERE,)
    told = REACH[partner]
    return (*told.get(group, ()), *(told.get("desk", ()) if group == SCRIPTED_ALSO else ()))


def acts(atom: str, rule: Rule, partner: str, operations: Sequence[str]) -> bool:
    """Whether an atom of a rule can do anything at a partner's operations that the rule is about."""
    ends = reached(partner, atom)
    if EVERYWHERE in ends:
        return True
    if rule.for_notices:
        wanted = [f"POST {path}" for path in rule.when["notification"]]
        return any(concerns(end, one) or concerns(one[5:], f"POST {end}") for end in ends for one in wanted)
    words = rule.when.get("operation", ())
    meant = [one for one in operations if not words or any(concerns(word, one) for word in words)]
    return any(concerns(end, one) for end in ends for one in meant)


def reach_problems(scenario: Scenario, operations: Mapping[str, Iterable[str]], name: str) -> list[str]:
    """A line for each atom that can act at none of its rule's partners and operations."""
    return [
        f"{name} line {rule.line}: do.{atom} cannot act {_where(rule, here)}; it acts at: {told(atom) or 'no partner'}"
        for rule, atom, here, able in _judged(scenario, operations)
        if not able
    ]


def reach_warnings(scenario: Scenario, operations: Mapping[str, Iterable[str]], name: str) -> list[str]:
    """A line for each atom that can act at some but not all of the partners that its rule names."""
    return [
        f"{name} line {rule.line}: do.{atom} does nothing at {', '.join(sorted(set(here) - set(able)))}"
        for rule, atom, here, able in _judged(scenario, operations)
        if able and "partner" in rule.when and set(able) != set(here)
    ]


def told(atom: str) -> str:
    """Where an atom acts, in words."""
    parts = []
    for partner in REACH:
        ends = reached(partner, atom)
        if ends:
            parts.append(partner if EVERYWHERE in ends else f"{partner} ({', '.join(ends)})")
    return "; ".join(parts)


def table() -> Iterator[str]:
    """What acts where, as a table in Markdown: one line for each group of atoms."""
    yield "| atoms | " + " | ".join(REACH) + " |"
    yield "|---|" + "---|" * len(REACH)
    for atoms in GROUPS.values():
        cells = [", ".join(f"`{end}`" for end in reached(partner, atoms[0])) or "no" for partner in REACH]
        cells = ["any call" if cell == "`*`" else cell for cell in cells]
        yield f"| {', '.join(f'`{atom}`' for atom in atoms)} | {' | '.join(cells)} |"


def _judged(
    scenario: Scenario, operations: Mapping[str, Iterable[str]]
) -> Iterator[tuple[Rule, str, list[str], list[str]]]:
    """Each atom of each rule, with the rule's partners that are here and those where it can act."""
    for rule in scenario.rules:
        here = [partner for partner in rule.when.get("partner", tuple(operations)) if partner in operations]
        for atom in rule.do if here else ():
            able = [partner for partner in here if acts(atom, rule, partner, tuple(operations[partner]))]
            yield rule, atom, here, able


def _where(rule: Rule, partners: list[str]) -> str:
    wanted = rule.when.get("operation") or rule.when.get("notification") or ("any call",)
    return f"on {' or '.join(wanted)} at {', '.join(partners)}"
