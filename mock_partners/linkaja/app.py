"""LinkAja's partner gateway on one port: legacy `/v1`, SNAP `/bi/v1.0`, and the pages under `/consent`."""

from __future__ import annotations

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.control import control_routes
from mock_partners.kit.http import MockApp, Route, by_prefix
from mock_partners.kit.notify import Send
from mock_partners.kit.payouts import Payouts
from mock_partners.kit.redirects import RegisteredRedirect
from mock_partners.kit.snap.gate import CUSTOMER_TOKEN_SERVICE, Gate, Profile, SnapHandler
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World
from mock_partners.linkaja.cashin import CashIn
from mock_partners.linkaja.credentials import snap_client, test_accounts
from mock_partners.linkaja.custbind import CustBind
from mock_partners.linkaja.legacy import Legacy, LegacyHandler, as_status, at_top, under_data
from mock_partners.linkaja.linking import Linking

SNAP = "/bi/v1.0"


def create_app(
    world: World, *, clock: Clock, waits: Waits, notify_base: str, scheduler: Scheduler | None = None,
    send: Send | None = None,
) -> MockApp:  # fmt: skip
    """The LinkAja mock on a world. LinkAja notifies nobody: `send` is not used, browsers return to `notify_base`."""
    scheduler = scheduler or world.keep("scheduler", lambda: Scheduler(clock))
    world.add_missing(test_accounts())
    gate = Gate(world, clock, snap_client(), profile=Profile(numeric_external_id=True, null_is_empty=True))
    legacy = Legacy(world, clock)
    registered = RegisteredRedirect(notify_base, "linkaja")
    payouts = world.keep("payouts", lambda: Payouts(world, clock, scheduler, waits))
    linking = Linking(world, clock, gate, waits, registered)
    cashin = CashIn(world, clock, payouts, gate.customer_tokens)
    custbind = CustBind(linking, cashin, registered)

    def snap(name: str, code: str, handler: SnapHandler, *, customer: bool = True) -> Route:
        return Route("POST", f"{SNAP}/{name}", gate.symmetric(code, handler, customer=customer))

    def custbind_route(name: str, handler: LegacyHandler) -> Route:
        return Route("POST", f"/v1/custbind/verify/{name}", legacy.admit(handler, as_status))

    return MockApp(
        [
            Route("GET", "/v1/oauth/create", legacy.admit(legacy.create, as_status, token=False)),
            Route("POST", "/v1/oauth/refresh", legacy.admit(legacy.refresh, as_status, token=False)),
            custbind_route("sessionid", custbind.verify_session),
            custbind_route("kyc", custbind.verify_kyc),
            Route("GET", "/custbind/authorize", custbind.authorize),
            Route("POST", "/v1/cashin/inquiry", legacy.admit(cashin.inquire, at_top)),
            Route("POST", "/v1/cashin/confirm", legacy.admit(cashin.confirm, under_data)),
            Route("POST", "/v1/cashin/check", legacy.admit(cashin.check, under_data)),
            Route("GET", "/v1/cashin/report", legacy.admit(cashin.report, as_status)),
            Route("POST", f"{SNAP}/access-token/b2b", gate.b2b_token()),
            Route("POST", f"{SNAP}/access-token/b2b2c", gate.asymmetric(CUSTOMER_TOKEN_SERVICE, linking.token)),
            snap("registration-account-binding", "07", linking.bind, customer=False),
            snap("registration-account-inquiry", "08", linking.inquire),
            snap("registration-account-unbinding", "09", linking.unbind),
            snap("balance-inquiry", "11", linking.balance),
            *linking.pages.routes(),
            *control_routes(world, clock, scheduler, unsettled=payouts.unsettled),
        ],
        by_prefix({"/v1/": legacy.no_such_path, "": gate.no_such_path}),
    )
