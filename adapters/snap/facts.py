"""What the standard says to every manifest: whom its codes speak of (snap-bni.md 1.8), and its waits and lifetimes."""

from __future__ import annotations

from adapters.facts import codes
from contracts.partner import AbsenceRule, Blame, Code, Lifetimes, LookupSchedule, Mark

_STANDARD = "snap-bni.md 1.8: the standard's meanings; seen at none of these partners as refusals of ours"

CASES: dict[str, Code] = {
    **codes(Blame.OURS, _STANDARD, "401xx00", "401xx01", "401xx03"),  # signature, B2B token
    **codes(Blame.PERSON, _STANDARD, "401xx02", "401xx04"),  # customer token
    **codes(Blame.OURS, _STANDARD, "403xx01", "403xx04", "403xx10", "403xx14", "403xx19", "403xx20"),
    **codes(Blame.AMBIGUOUS, _STANDARD, "403xx02", "403xx03", "403xx15", "403xx23"),
    **codes(Blame.PERSON, _STANDARD, "403xx05", "403xx07", "403xx08", "403xx09", "403xx11", "403xx12", "403xx18"),
    **codes(Blame.OURS, _STANDARD, "404xx05", "404xx08", "404xx16", "404xx17"),
    **codes(Blame.PERSON, _STANDARD, "404xx11", "404xx15"),
    **codes(Blame.AMBIGUOUS, "snap-bni.md 1.8: of our request, or of one person's data in it", "400xx00", "400xx01"),
    **codes(Blame.AMBIGUOUS, "snap-bni.md 1.8: of our request, or of one person's data in it", "400xx02", "404xx13"),
}
"""By case, whatever the service. A time-out, a conflict, a rate limit or a cut-off speaks of nobody and is not here."""

LOOKUPS = LookupSchedule(
    first_s=15.0, factor=2.0, max_s=900.0, horizon_s=86_400.0, mark=Mark.ASSUMED, source="snap-bni.md 4.2"
)
ABSENCE = AbsenceRule(by_lookup=True, after_s=3_600.0, lookups=4, mark=Mark.ASSUMED, source="snap-bni.md 4.2")


def lifetimes(source: str, external_id: str = "jakarta_day") -> Lifetimes:
    """A reference for ever, X-EXTERNAL-ID for a day, and look-ups for two months: so long Midtrans documents it."""
    return Lifetimes(
        reference_s=None,
        external_id=external_id,
        create_key_s=None,
        lookup_reach_s=60 * 86_400.0,
        mark=Mark.ASSUMED,
        source=source,
    )
