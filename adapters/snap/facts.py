"""Whom the standard's codes speak of (snap-bni.md 1.8), as data for the manifests of SNAP partners."""

from __future__ import annotations

from contracts.partner import Blame, Code, Mark


def codes(blames: Blame, source: str, *names: str, mark: Mark = Mark.ASSUMED) -> dict[str, Code]:
    """The same said of several codes."""
    return dict.fromkeys(names, Code(blames=blames, mark=mark, source=source))


_STANDARD = "snap-bni.md 1.8: the standard's meanings; seen at none of these partners as refusals of ours"

CASES: dict[str, Code] = {
    **codes(Blame.OURS, _STANDARD, "401xx00", "401xx01", "401xx03"),  # signature, B2B token
    **codes(Blame.PERSON, _STANDARD, "401xx02", "401xx04"),  # customer token
    **codes(Blame.OURS, _STANDARD, "403xx01", "403xx04", "403xx10", "403xx14", "403xx19", "403xx20"),
    **codes(Blame.AMBIGUOUS, _STANDARD, "403xx02", "403xx03", "403xx05", "403xx15", "403xx23"),
    **codes(Blame.PERSON, _STANDARD, "403xx07", "403xx08", "403xx09", "403xx11", "403xx12", "403xx18"),
    **codes(Blame.OURS, _STANDARD, "404xx05", "404xx08", "404xx16", "404xx17"),
    **codes(Blame.PERSON, _STANDARD, "404xx11", "404xx15"),
    **codes(Blame.AMBIGUOUS, "snap-bni.md 1.8: of our request, or of one person's data in it", "400xx00", "400xx01"),
    **codes(Blame.AMBIGUOUS, "snap-bni.md 1.8: of our request, or of one person's data in it", "400xx02", "404xx13"),
}
"""By case, whatever the service. A time-out, a conflict, a rate limit or a cut-off speaks of nobody and is not here."""
