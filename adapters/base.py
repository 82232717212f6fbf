"""What every adapter begins as: it refuses everything. An adapter writes what its manifest declares, and nothing else;
a difference between the two is no import.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import ClassVar, NoReturn

from adapters.asked import answering
from contracts.errors import NotSupported, SignatureInvalid
from contracts.identity import IdentityAnswer, IdentityQuery
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
from contracts.observation import Balance, StatementPage
from contracts.partner import AccessToken, Callbacks, Capability, Context, Manifest, Notification
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan

_C = Capability
WRITTEN: dict[Capability, tuple[str, ...]] = {
    _C.LINK_REDIRECT: ("begin_link", "read_return", "finish_link"),
    _C.LINK_INPUTS: ("begin_link", "answer_link"),
    _C.LINK_STATUS: ("link_health",),
    _C.GRANT_REFRESH: ("refresh_grant",),
    _C.UNLINK: ("unlink",),
    _C.VERIFY_NIK: ("verify_nik",),
    _C.PAYOUT_ONE_STEP: ("payout", "frozen_body"),
    _C.PAYOUT_TWO_STEP: ("prepare", "approve", "withdraw", "frozen_body"),
    _C.FIND_PAYOUT: ("find_payout",),
    _C.STATEMENT: ("statement",),
    _C.BALANCE: ("balance",),
}
"""Which operations a capability is made of; the `NOTIFY_` ones are made of `callbacks`."""


_NO_PLANS = frozenset({"read_return", "frozen_body"})


class NoCallbacks:
    """Of a partner that sends no notifications: nothing that claims to be one is taken, as there is no key under which
    it could have been signed.
    """

    def verify(self, ctx: Context, note: Notification) -> NoReturn:
        """Raises `SignatureInvalid`, always."""
        raise SignatureInvalid("this partner sends no notifications")

    def dedupe_key(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported("this partner sends no notifications")

    def read(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported("this partner sends no notifications")

    def reply(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported("this partner sends no notifications")


class Adapter:
    """A partner of which nothing is known yet; see `contracts.partner.Partner` for what each operation is."""

    manifest: ClassVar[Manifest]
    callbacks: ClassVar[Callbacks] = NoCallbacks()

    def __init_subclass__(cls) -> None:
        declared = {name for each in cls.manifest.capabilities for name in WRITTEN.get(each, ())}
        written = {name for names in WRITTEN.values() for name in names if name in vars(cls)}
        assert written == declared, f"declared, or written, but not both: {sorted(written ^ declared)}"
        assert bool(cls.manifest.callbacks) == ("callbacks" in vars(cls)), "notifications are declared and read"
        assert bool(cls.manifest.tokens) == ("fetch_token" in vars(cls)), "our tokens, where there are any, are fetched"
        for name in written - _NO_PLANS | {"fetch_token"} & vars(cls).keys():
            setattr(cls, name, answering(vars(cls)[name]))

    def _refuse(self, what: str) -> NotSupported:
        return NotSupported(f"{self.manifest.name} does not offer: {what}")

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """Refused."""
        raise self._refuse(f"token {name}")

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """Refused."""
        raise self._refuse("linking")

    def answer_link(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        """Refused: everything is asked on the partner's own page."""
        raise self._refuse("linking by typed inputs")

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """Refused: nobody comes back from a page that does not exist."""
        raise self._refuse("linking by redirect")

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """Refused."""
        raise self._refuse("linking by redirect")

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        """Refused: a link shows whether it stands when it is used."""
        raise self._refuse("a look at a link")

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """Refused."""
        raise self._refuse("fresh customer tokens")

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """Refused."""
        raise self._refuse("giving a link back")

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """Refused."""
        raise self._refuse("a NIK check")

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """Refused."""
        raise self._refuse("payouts")

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Refused."""
        raise self._refuse("payouts in one step")

    def prepare(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Refused."""
        raise self._refuse("payouts in two steps")

    def approve(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Refused."""
        raise self._refuse("payouts in two steps")

    def withdraw(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Refused."""
        raise self._refuse("payouts in two steps")

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Refused."""
        raise self._refuse("looking a payout up")

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """Refused."""
        raise self._refuse("a statement")

    def balance(self, ctx: Context) -> Plan[Balance]:
        """Refused."""
        raise self._refuse("the balance of our deposit")
