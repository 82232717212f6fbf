"""Account linking: the participant's consent and access at one partner."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime

import msgspec

from contracts.incentive import BlockerCode
from contracts.secret import Secret


class LinkState(enum.Enum):
    """Where a link stands; stored, and changed only along `LINK_TRANSITIONS`."""

    CHALLENGED = "challenged"
    """A challenge URL was handed out and not opened yet."""
    OPENED = "opened"
    """The page was opened; the participant is at the partner's page or the gateway's form. The link's life runs."""
    EXCHANGING = "exchanging"
    """The participant came back; the code or OTP is being exchanged. A crash here asks again; no money moves."""
    WAITING = "waiting"
    """The partner says the account is linked to someone else and no match holds it: waits, without a life, for it to
    be freed.
    """
    ACTIVE = "active"
    UNLINKING = "unlinking"
    """Being given back; where the partner wants an OTP for it, the participant must act."""
    FAILED = "failed"
    """Ended without access; `ended_because` names the blocker."""
    REVOKED = "revoked"
    """Was active; the partner or participant withdrew it."""
    UNLINKED = "unlinked"
    """Was active; given back on request."""


_L = LinkState
LINK_TRANSITIONS: dict[LinkState, frozenset[LinkState]] = {
    _L.CHALLENGED: frozenset({_L.OPENED, _L.FAILED}),
    _L.OPENED: frozenset({_L.EXCHANGING, _L.CHALLENGED, _L.FAILED, _L.WAITING}),
    _L.EXCHANGING: frozenset({_L.ACTIVE, _L.OPENED, _L.FAILED, _L.WAITING}),
    _L.WAITING: frozenset({_L.CHALLENGED, _L.FAILED}),
    _L.ACTIVE: frozenset({_L.UNLINKING, _L.REVOKED, _L.UNLINKED}),
    _L.UNLINKING: frozenset({_L.UNLINKED, _L.ACTIVE, _L.REVOKED}),
    _L.FAILED: frozenset(),
    _L.REVOKED: frozenset(),
    _L.UNLINKED: frozenset(),
}
"""Which state may follow which; one live link per participant."""
LIVE_LINKS = frozenset({_L.CHALLENGED, _L.OPENED, _L.EXCHANGING, _L.WAITING, _L.ACTIVE, _L.UNLINKING})
assert set(LINK_TRANSITIONS) == set(LinkState), "every state has its row"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The participant's access at a partner; sealed at rest, refreshed where the manifest says so."""

    access_token: Secret
    """Customer token (wallets) or bankCardToken (BNI)."""
    refresh_token: Secret | None = None
    expires_at: datetime | None = None
    """None where the partner names no life (wallets.md 2.3.6)."""
    extra: Mapping[str, Secret] = msgspec.field(default_factory=dict)
    """What else the partner wants to see again, under the adapter's own names."""


class LinkStart(msgspec.Struct, frozen=True, kw_only=True):
    """What a partner may be told when a link begins."""

    link_id: str
    """Ours; at most 18 characters (decision B5)."""
    reference: str
    """19 digits, fresh for each begin: partnerReferenceNo and the like."""
    account: Secret
    phone: Secret
    """E.164."""
    name: Secret
    state: str
    """32 characters base64url, already part of `redirect_uri` as `st` (decision X1)."""
    redirect_uri: str


class LinkRedirect(msgspec.Struct, frozen=True, kw_only=True):
    """Send the browser to `url`; keep `carry` (sealed) for the way back."""

    url: str
    carry: Mapping[str, Secret] = msgspec.field(default_factory=dict)


class LinkInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the participant for the inputs named (keys of the manifest's `inputs`); keep `carry` (sealed) for the next
    step.
    """

    names: tuple[str, ...]
    carry: Mapping[str, Secret] = msgspec.field(default_factory=dict)
    again: bool = False
    """The last input was wrong and may be typed again."""


class LinkGranted(msgspec.Struct, frozen=True, kw_only=True):
    """Linked."""

    grant: Grant


class LinkHeld(msgspec.Struct, frozen=True, kw_only=True):
    """The partner says that the account is already linked to another customer of ours: not final."""

    partner_code: str | None = None


class LinkRefused(msgspec.Struct, frozen=True, kw_only=True):
    """Final for this link; `code` is the participant's blocker."""

    code: BlockerCode
    partner_code: str | None = None


LinkStep = LinkRedirect | LinkInputs | LinkGranted | LinkHeld | LinkRefused
"""What comes next after any step of linking."""


class LinkReturn(msgspec.Struct, frozen=True, kw_only=True):
    """What the browser brought back, read by the adapter from the query: a code, or why there is none."""

    code: Secret | None = None
    refused: BlockerCode | None = None
    held: bool = False
    state: str | None = None
    """The partner's echo of our state where it echoes it; must then be equal (decision X1)."""
    partner_code: str | None = None


class LinkFinish(msgspec.Struct, frozen=True, kw_only=True):
    """A code to be exchanged, with what was kept when the link began."""

    link_id: str
    reference: str
    code: Secret
    carry: Mapping[str, Secret]
    redirect_uri: str
    phone: Secret
    account: Secret


class LinkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the participant typed, with what was kept from the step before."""

    link_id: str
    reference: str
    account: Secret
    phone: Secret
    name: Secret
    inputs: Mapping[str, Secret]
    carry: Mapping[str, Secret]


class LinkHealth(enum.Enum):
    """What a look at a link under the participant's token says."""

    ACTIVE = "active"
    REVOKED = "revoked"
    BLOCKED = "blocked"


class UnlinkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A link to give back; `inputs` and `carry` are empty at the first step."""

    link_id: str
    reference: str
    account: Secret
    phone: Secret
    grant: Grant
    inputs: Mapping[str, Secret] = msgspec.field(default_factory=dict)
    carry: Mapping[str, Secret] = msgspec.field(default_factory=dict)


class Unlinked(msgspec.Struct, frozen=True, kw_only=True):
    """Given back, or already gone at the partner."""

    partner_code: str | None = None


UnlinkStep = Unlinked | LinkInputs
