"""Holds: why a partner is not fed as usual at one stage, as a fact in the store that all processes share."""

from __future__ import annotations

import enum

from contracts.incentive import BlockerCode


class HoldStage(enum.Enum):
    """What a hold is about: a group of a partner's operations that fail and come back together."""

    LINK = "link"
    PROOF = "proof"
    """Whatever proves or renews a link under the participant's token."""
    VERIFY = "verify"
    PAYOUT = "payout"


STAGE_OF: dict[str, HoldStage] = {
    "begin_link": HoldStage.LINK,
    "answer_link": HoldStage.LINK,
    "finish_link": HoldStage.LINK,
    "unlink": HoldStage.LINK,
    "link_health": HoldStage.PROOF,
    "refresh_grant": HoldStage.PROOF,
    "verify_nik": HoldStage.VERIFY,
    "payout": HoldStage.PAYOUT,
    "prepare": HoldStage.PAYOUT,
    "approve": HoldStage.PAYOUT,
}
"""By operation of `Partner`. Look-ups and statements hold nothing: they go on whatever stands still."""
HALF = "prepare"
"""The operation whose success moves nothing: an instruction stands, and what carries it out may fail all the same."""


class HoldKind(enum.Enum):
    """Why it is held. Several may be open at once; each is released for its own reason only."""

    OUTAGE = "outage"
    """The partner cannot be asked: nothing is fed but canaries."""
    THROTTLED = "throttled"
    """The partner wants fewer calls: fed all the same, more slowly."""
    BRAKE = "brake"
    """A crowd of equal answers: suspicion confirmed by canaries."""
    OURS = "ours"
    """The partner refuses us, not anybody we pay: our deposit, limit, account or credentials."""
    OPERATOR = "operator"


STOPS = frozenset(HoldKind) - {HoldKind.THROTTLED}
"""Kinds under which nothing is fed but canaries."""


class CallFault(enum.Enum):
    """What went wrong with a call, as far as it is about the partner and not about a person."""

    REFUSED = "refused"
    """No connection could be made: no byte left."""
    TIMED_OUT = "timed_out"
    BROKEN = "broken"
    """The connection ended before the answer."""
    SERVER_ERROR = "5xx"
    UNAUTHORIZED = "401"
    """Our own token or signature was refused."""
    THROTTLED = "429"
    LATER = "later"
    """It says that it is closed: cut-off or maintenance."""
    FLOAT_SHORT = "float_short"
    CREDENTIALS = "credentials"
    UNREADABLE = "unreadable"


OURS = frozenset({CallFault.FLOAT_SHORT, CallFault.CREDENTIALS})
"""Faults of ours: the partner works, and refuses us."""


def kind_of(fault: CallFault) -> HoldKind:
    """Which hold a run of one fault makes."""
    if fault is CallFault.THROTTLED:
        return HoldKind.THROTTLED
    return HoldKind.OURS if fault in OURS else HoldKind.OUTAGE


def blocker_of(fault: str | None) -> BlockerCode:
    """What is told of everything that waits for a hold."""
    return BlockerCode.PARTNER_FLOAT_SHORT if fault == CallFault.FLOAT_SHORT.value else BlockerCode.PARTNER_UNAVAILABLE
