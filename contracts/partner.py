"""A payment partner: the protocol that every adapter implements, and the manifest that says how partners differ."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import date, datetime
from typing import Protocol

import msgspec

from contracts.identity import IdentityAnswer, IdentityQuery, ProofBy
from contracts.linking import (
    Grant,
    LinkAnswer,
    LinkFinish,
    LinkHealth,
    LinkReturn,
    LinkStart,
    LinkStep,
    UnlinkOrder,
    UnlinkStep,
)
from contracts.observation import Balance, Notice, StatementPage
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan
from contracts.secret import Secret


class Capability(enum.Enum):
    """What a partner can do. What is not declared is refused loudly, never silently skipped."""

    LINK_REDIRECT = "link_redirect"
    LINK_INPUTS = "link_inputs"
    LINK_STATUS = "link_status"
    GRANT_REFRESH = "grant_refresh"
    UNLINK = "unlink"
    VERIFY_NIK = "verify_nik"
    PAYOUT_ONE_STEP = "payout_one_step"
    PAYOUT_TWO_STEP = "payout_two_step"
    FIND_PAYOUT = "find_payout"
    STATEMENT = "statement"
    BALANCE = "balance"
    NOTIFY_LINK = "notify_link"
    NOTIFY_KYC = "notify_kyc"
    NOTIFY_PAYOUT = "notify_payout"
    """Of each payout's end: success and failure."""


EVERY_PARTNER = frozenset({Capability.VERIFY_NIK, Capability.FIND_PAYOUT, Capability.STATEMENT})
"""What none is without; beside it each has one of the two ways to link, and one of the two to pay."""


class Mark(enum.Enum):
    """How well a fact about a partner is known."""

    SEEN = "seen"
    RECALLED = "recalled"
    ASSUMED = "assumed"


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing taken for true about a partner, how well it is known, and where; shown by `gateway partners`."""

    mark: Mark
    text: str
    source: str


class Blame(enum.Enum):
    """Whom a partner's code speaks of."""

    PERSON = "person"
    """The participant or the account: weighed one by one."""
    OURS = "ours"
    """Our own limit, account, deposit, credentials or request: it holds everybody at once and blames nobody."""
    AMBIGUOUS = "ambiguous"
    """Either: the words alone do not tell."""


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """One code that a partner may answer with, as far as it refuses somebody or something."""

    blames: Blame
    mark: Mark
    source: str


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One of a partner's hosts; the address itself is configuration, `sandbox_url` its public default."""

    sandbox_url: str
    source: str


class InputField(msgspec.Struct, frozen=True, kw_only=True):
    """Something the participant types on the gateway's own consent form; passed on in the request that received it,
    never stored.
    """

    pattern: str
    """Full-match regular expression, ASCII."""
    label_indonesian: str
    label_english: str
    numeric: bool = True
    autocomplete: str = "off"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One of our own access tokens at the partner."""

    life_s: float
    """Used where the partner's answer names none."""
    source: str
    refreshable: bool = False


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls a second the partner allows for the operations that begin with one of `operations`."""

    operations: tuple[str, ...]
    """Beginnings of `Request.operation`; each must meet one that is asked for ("" meets all)."""
    per_s: float
    mark: Mark
    source: str


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One setting the adapter needs: environment variable `{SLUG}_{NAME}` in upper case.

    The name of a PEM key, and of nothing else, ends in `_pem`. What is called secret, private or key (and not public)
    is `secret`; a secret has no default. The partner's mock hands over the same names.
    """

    help: str
    secret: bool = True
    pem: bool = False
    default: str | None = None


class LookupSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """An unknown or pending payout is looked up after `first_s`, then `factor` times longer each time up to `max_s`."""

    first_s: float
    factor: float
    max_s: float
    horizon_s: float
    """After this an unknown outcome is an operator's case (and is looked up all the same)."""
    weekends: bool = True  # whether they count toward it
    mark: Mark
    source: str


class AbsenceRule(msgspec.Struct, frozen=True, kw_only=True):
    """What proves that an attempt never arrived."""

    by_lookup: bool
    """Whether "not found" can ever prove it (Iris: no, decision G11)."""
    after_s: float
    lookups: int
    """Two or more."""
    mark: Mark
    source: str


class Lifetimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long the partner remembers; a resend outside of these is never made."""

    reference_s: float | None
    """partnerReferenceNo and the like; None: for ever (decision X7)."""
    external_id: str  # `jakarta_day` (SNAP) or `none`
    create_key_s: float | None
    """Idempotency key of a create (Iris: 24 h); None where there is no create (one-step partners)."""
    create_keys_purged_daily: bool = False  # at the first 00:00 UTC after that life, not before
    lookup_reach_s: float
    """How far back a look-up answers."""
    mark: Mark
    source: str


class CallbackRoute(msgspec.Struct, frozen=True, kw_only=True):
    """An inbound notification (decision X2); one route a kind."""

    kind: str
    """What it is of: `link`, `identity` or `payout`, as the `NOTIFY_` capabilities say."""
    method: str
    path: str
    """Below `/callbacks/{slug}`, beginning with `/`."""
    max_body_bytes: int = 65_536
    signed: bool = True  # what nobody vouches for is a hint about a token, looked up and never stored


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that varies between partners and is data. What a partner has none of (notifications, inputs, a quota that it
    publishes) is left out.
    """

    slug: str
    """Lower-case letters: name of the folder, the settings' prefix, the word in the API."""
    name: str
    documents: str
    """Which of the partner's documents were read, on `read_on`."""
    read_on: date
    capabilities: frozenset[Capability]
    hosts: Mapping[str, Host]
    pages: tuple[str, ...] = ()
    """Names beside its `hosts` at which the page may be to which its answer sends a participant, each with all below
    it: `ovo.id`. A setting adds to them.
    """
    credentials: Mapping[str, Credential]
    tokens: Mapping[str, Token] = {}
    needs: Mapping[str, tuple[str, ...]] = {}
    """Which of our tokens each operation of `Partner` (by method name) wants in `Context.tokens`."""
    quotas: tuple[Quota, ...] = ()
    account_pattern: str
    account_example: str
    """Full-match pattern of an account in our form, `+62...` where it is a phone, and one that is nobody's."""
    account_is_phone: bool
    account_proof: ProofBy
    """A NIK check whose account is not proved in this way is no `MATCH`, and nothing is paid on it."""
    link_exclusive: bool
    """The partner links one account to one of our customers only; a mismatch therefore gives it back."""
    inputs: Mapping[str, InputField] = {}
    first_inputs: tuple[str, ...] = ()
    """What the gateway's form asks first (LINK_INPUTS)."""
    min_amount_rupiah: int = 1
    max_amount_rupiah: int
    payout_proves_link: bool
    """A payout's own first READ uses the participant's token."""
    payout_needs_live_link: bool
    """A payout needs the link proved alive within 24 h by a READ under the participant's token."""
    completed_can_fail: bool = False
    lookups: LookupSchedule
    absence: AbsenceRule
    lifetimes: Lifetimes
    confirm_rejection_s: float = 30.0
    reason_wait_s: float = 0.0
    """How long a rejection without a reason waits for the notification that carries it (0: no such notification)."""
    verification_retry_s: float = 300.0
    verification_tries: int = 8
    callbacks: tuple[CallbackRoute, ...] = ()
    facts: tuple[Fact, ...]
    codes: Mapping[str, Code] = {}
    """By the `partner_code` of outcomes, verdicts and errors; `403xx01` stands for all services not listed (SNAP)."""

    def blames(self, partner_code: str | None) -> Blame | None:
        """Whom a code speaks of; None where it speaks of nobody (no code, or one that refuses nothing)."""
        said = partner_code or ""
        found = self.codes.get(said) or self.codes.get(f"{said[:3]}xx{said[5:]}" if len(said) == 7 else "")
        return None if found is None else found.blames

    @property
    def two_step(self) -> bool:
        """Whether an instruction is created first and moves money only when approved."""
        return Capability.PAYOUT_TWO_STEP in self.capabilities


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a plan may know of the outside: the same context gives the same bytes."""

    now: datetime
    """Aware; the machine's clock, read once per attempt."""
    serial: str
    """17 digits, unique per attempt; `external_id` makes a request's own number of it."""
    credentials: Mapping[str, Secret]
    tokens: Mapping[str, Secret]
    hosts: Mapping[str, str]
    """Base address of each host, for addresses that a browser is sent to."""

    def external_id(self, n: int) -> str:
        """A 19-digit number for the n-th request of this attempt (SNAP X-EXTERNAL-ID, correlation ids)."""
        if not 0 <= n <= 99:
            raise ValueError("a plan has at most 100 requests")
        return f"{self.serial}{n:02d}"

    def credential(self, name: str) -> str:
        """A credential's value; KeyError names the missing one."""
        return self.credentials[name].reveal()

    def token(self, name: str) -> str:
        """One of our access tokens."""
        return self.tokens[name].reveal()


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """One of our tokens as issued."""

    value: Secret
    life_s: float
    refresh: Secret | None = None


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """An inbound notification exactly as received."""

    kind: str
    method: str
    target: str
    """Full request path with query, as received."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Callbacks(Protocol):
    """Inbound notifications of one partner. `verify` has no permissive default and runs before anything is stored."""

    def verify(self, ctx: Context, note: Notification) -> None:
        """Raise `SignatureInvalid` unless the notification is the partner's own, over the raw bytes. A kind that the
        partner does not sign is verified as far as its documents allow, and is then only a hint. A `note.kind` that the
        partner does not send is refused too.
        """

    def dedupe_key(self, note: Notification) -> str:
        """What makes two deliveries one event: stable over redelivery, at most 128 characters, no personal data."""

    def read(self, note: Notification) -> Notice:
        """What it says. Raises `PartnerProtocolError` for a body that cannot be read."""

    def reply(self, note: Notification) -> tuple[int, bytes]:
        """Status and JSON body that acknowledge it."""


class Partner(Protocol):
    """One partner's operations as plans. An operation that the manifest does not declare raises `NotSupported` when
    called.

    READ plans raise `PartnerUnavailable` (with a hint) for transport-like answers, unlisted codes and refused tokens:
    could not tell.
    """

    @property
    def manifest(self) -> Manifest:
        """What varies and is data."""

    @property
    def callbacks(self) -> Callbacks:
        """Inbound notifications."""

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """One of our own tokens; `held` is the last one, for partners that refresh (one that the partner no longer
        knows is fetched anew). `NotSupported` or KeyError for a name that is not in `Manifest.tokens`.
        """

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """First step of linking, when the participant opens the page."""

    def answer_link(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        """What the participant typed on the gateway's form (LINK_INPUTS)."""

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """What the browser brought back (decoded query parameters, ours removed); pure."""

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """Exchange the code."""

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        """Ask under the participant's token whether the link stands (LINK_STATUS). What it wants besides, the account
        say, was put into `Grant.extra` when the link was made. `REVOKED` only where that token itself is refused.
        """

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """A fresh grant, `extra` kept, or None where the partner says that the link is gone (GRANT_REFRESH)."""

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """Give a link back; idempotent: already gone is `Unlinked`. A grant that has run out (`Grant.expires_at`) is
        not gone: raise `PartnerUnavailable` with `Hint.CUSTOMER_TOKEN` before the WRITE, and the gateway refreshes it.
        """

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """Whether the NIK is the one on the account."""

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The bytes of the first WRITE (payout or prepare) that stay the same over all attempts; hashed and stored
        before the first byte leaves.
        """

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """One-step payout: READs, then the WRITE."""

    def prepare(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Two-step: create the instruction under our key; `QUEUED` with the partner's number. Sent again with the same
        key it gives the same answer.
        """

    def approve(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Two-step: the WRITE that moves money."""

    def withdraw(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Two-step: reject a queued instruction at the partner; `REJECTED` once it says so."""

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Look one payout up."""

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """One page of the partner's own statement of a Jakarta day; `cursor` is the adapter's own `next_cursor`."""

    def balance(self, ctx: Context) -> Plan[Balance]:
        """What is left of our deposit."""
