"""BNI on one port: BNI SNAP (`/snap`, `/snap-service`), Autopay (`/api/v1.0`, `/v1.0`), One Gate Payment (`/H2H`)."""

from __future__ import annotations

from mock_partners.bni.autopay import Autopay, Desk, token_minter
from mock_partners.bni.clearing import RTGS, SKN, Clearing
from mock_partners.bni.credentials import autopay_client, snap_client, test_accounts
from mock_partners.bni.identity import SERVICE, Identity
from mock_partners.bni.onegate import OneGate
from mock_partners.bni.onegate_payments import Payments
from mock_partners.bni.statements import Statements
from mock_partners.bni.transfers import INTERBANK, INTRABANK, Transfers
from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.control import control_routes
from mock_partners.kit.http import Handler, MockApp, Route, by_prefix
from mock_partners.kit.notify import Notifier, Send
from mock_partners.kit.payouts import Payouts
from mock_partners.kit.snap.gate import Gate, Profile, SnapHandler
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World

PROFILE = Profile(numeric_external_id=True)


def create_app(
    world: World, *, clock: Clock, waits: Waits, notify_base: str, scheduler: Scheduler | None = None,
    send: Send | None = None,
) -> MockApp:  # fmt: skip
    """The BNI mock on a world; the notifications of RTGS and SKN go to `notify_base`."""
    scheduler = scheduler or world.keep("scheduler", lambda: Scheduler(clock))
    world.add_missing(test_accounts())
    snap = Gate(world, clock, snap_client(), profile=PROFILE)
    autopay_gate = Gate(
        world, clock, autopay_client(), name="autopay", profile=PROFILE, mint=token_minter(world, clock)
    )
    payouts = world.keep("payouts", lambda: Payouts(world, clock, scheduler, waits))
    desk = world.keep("links", Desk)
    transfers = Transfers(world, clock, snap, payouts)
    notifier = Notifier(scheduler, notify_base, send)
    clearing = Clearing(world, clock, scheduler, waits, snap, notifier, notify_base, transfers.reference)
    statements = Statements(world, snap, payouts, clearing, transfers.reference)
    one_gate = OneGate(world, clock)
    ogp_payouts = world.keep("ogp.payouts", lambda: Payouts(world, clock, scheduler, waits))
    payments = Payments(world, clock, scheduler, waits, one_gate, ogp_payouts, lambda: f"{world.number() + 953_402}")
    autopay = Autopay(world, clock, autopay_gate, desk, transfers.reference)

    def service(name: str, code: str, handler: SnapHandler) -> Route:
        return _post(f"/snap-service/v1/{name}", snap.symmetric(code, handler))

    def binding(name: str, code: str, handler: SnapHandler) -> Route:
        return _post(f"/v1.0/{name}", autopay_gate.symmetric(code, handler))

    return MockApp(
        [
            _post("/snap/v1/access-token/b2b", snap.b2b_token()),
            service("balance-inquiry", "11", transfers.balance),
            service("bank-statement", "14", statements.statement),
            service("account-inquiry-internal", "15", transfers.inquire),
            service("account-inquiry-external", "16", transfers.inquire_external),
            service("transfer-intrabank", INTRABANK, transfers.transfer),
            service("transfer-interbank", INTERBANK, transfers.transfer_interbank),
            service("transfer-rtgs", RTGS, clearing.transfer),
            service("transfer-skn", SKN, clearing.transfer),
            service("transfer/status", "36", statements.status),
            service("account-kyc-verification", SERVICE, Identity(world, snap, desk).verify),
            _post("/api/oauth/token", one_gate.token),
            *payments.routes(),
            _post("/api/v1.0/access-token/b2b", autopay_gate.b2b_token()),
            binding("registration-account-binding", "07", autopay.bind),
            binding("otp-verification", "04", autopay.verify_otp),
            binding("otp", "81", autopay.send_otp),
            binding("registration-account-unbinding", "09", autopay.unbind),
            *control_routes(world, clock, scheduler, unsettled=lambda: payouts.unsettled() + ogp_payouts.unsettled()),
        ],
        by_prefix({"/H2H": one_gate.no_such_path, "/api/oauth": one_gate.no_such_path, "": snap.no_such_path}),
    )


def _post(path: str, handler: Handler) -> Route:
    return Route("POST", path, handler)
