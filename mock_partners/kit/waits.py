"""The table of waits: how long a page lives, a payout takes to settle, a reversal takes to come."""

from __future__ import annotations

from dataclasses import dataclass, fields

GATEWAY_WAITS = frozenset(
    {
        "lookup_first_s",
        "absence_s",
        "clocks_s",
        "confirm_rejection_s",
        "verification_retry_s",
        "statement_sweep_s",
        "second_look_s",
        "hard_look_s",
    }
)
"""Names that belong to the gateway; the same text is given to both sides, so a mock takes and ignores them."""


@dataclass(frozen=True)
class Waits:
    """Waits in seconds. The defaults are as in real life; a demo shortens them."""

    link_life_s: float = 900.0
    settlement_s: float = 5.0
    reversal_s: float = 60.0


MOCK_WAITS = tuple(field.name for field in fields(Waits))


def parse_waits(text: str) -> Waits:
    """Reads "link_life_s=45,settlement_s=0.5"; an unknown name or a bad number is refused by name."""
    chosen: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or (name not in MOCK_WAITS and name not in GATEWAY_WAITS):
            allowed = ", ".join((*MOCK_WAITS, *sorted(GATEWAY_WAITS)))
            raise ValueError(f"unknown wait {name!r}; write name=seconds with a name out of: {allowed}")
        try:
            seconds = float(value)
        except ValueError:
            raise ValueError(f"wait {name}: {value.strip()!r} is not a number of seconds") from None
        if not 0 <= seconds <= 86_400:
            raise ValueError(f"wait {name}: {value.strip()} is outside 0..86400 seconds")
        if name in MOCK_WAITS:
            chosen[name] = seconds
    return Waits(**chosen)
