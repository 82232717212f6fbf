"""OVO's partner host on one port: `/OVOSNAP`, `/user`, `/cashin/snap`, `/pos`, and the pages under `/linkage`."""

from __future__ import annotations

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.control import control_routes
from mock_partners.kit.http import MockApp, Route
from mock_partners.kit.notify import Send
from mock_partners.kit.payouts import Payouts
from mock_partners.kit.redirects import RegisteredRedirect
from mock_partners.kit.snap.gate import CUSTOMER_TOKEN_SERVICE, HEADERS, Gate, Profile
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World
from mock_partners.ovo.credentials import snap_client, test_accounts
from mock_partners.ovo.linking import Linking
from mock_partners.ovo.push import Push
from mock_partners.ovo.topups import Topups

SNAP = "/OVOSNAP/v2.0"
ACCOUNT = "/cashin/snap/v2.0/merchant/account"


def create_app(
    world: World, *, clock: Clock, waits: Waits, notify_base: str, scheduler: Scheduler | None = None,
    send: Send | None = None,
) -> MockApp:  # fmt: skip
    """The OVO mock on a world. OVO notifies nobody, so `send` is not used; `notify_base` is where browsers return."""
    scheduler = scheduler or world.keep("scheduler", lambda: Scheduler(clock))
    world.add_missing(test_accounts())
    gate = Gate(world, clock, snap_client(), profile=Profile(headers=(*HEADERS, "x-device-id"), null_is_empty=True))
    payouts = world.keep("payouts", lambda: Payouts(world, clock, scheduler, waits))
    linking = Linking(world, clock, gate, waits, RegisteredRedirect(notify_base, "ovo"))
    topups = Topups(world, clock, gate, payouts)
    bind = gate.symmetric("07", linking.bind, tokenless=True)
    return MockApp(
        [
            Route("POST", "/OVOSNAP/v1.0/access-token/b2b", gate.b2b_token()),
            Route("GET", "/user/v2/account/lookup", gate.symmetric("00", linking.look_up)),
            Route("POST", f"{SNAP}/oauth/account/registration-account-binding", bind),
            Route("POST", f"{SNAP}/access-token/b2b2c", gate.asymmetric(CUSTOMER_TOKEN_SERVICE, linking.token)),
            Route("POST", f"{SNAP}/oauth/account/registration-account-unbinding", linking.unbinding()),
            Route("POST", f"{SNAP}/emoney/account-inquiry", gate.symmetric("37", topups.inquire)),
            Route("POST", f"{SNAP}/emoney/topup", gate.symmetric("38", topups.top_up)),
            Route("POST", f"{SNAP}/emoney/topup-status", gate.symmetric("39", topups.status)),
            Route("GET", f"{ACCOUNT}/balance", gate.symmetric("11", topups.balance)),
            Route("GET", f"{ACCOUNT}/history", gate.symmetric("12", topups.history)),
            Route("POST", "/pos", Push(world, clock).handle),
            *linking.pages.routes(),
            *control_routes(world, clock, scheduler, unsettled=payouts.unsettled),
        ],
        gate.no_such_path,
    )
