"""DANA on one port: SNAP `/v1.0` and `/rest`, Open API `/dana`, and the pages under `/app`."""

from __future__ import annotations

from mock_partners.dana.credentials import snap_client, test_accounts
from mock_partners.dana.linking import Linking
from mock_partners.dana.profile import Profiles
from mock_partners.dana.topups import Topups
from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.control import control_routes
from mock_partners.kit.http import Handler, MockApp, Route
from mock_partners.kit.notify import Send
from mock_partners.kit.payouts import Payouts
from mock_partners.kit.redirects import RegisteredRedirect
from mock_partners.kit.snap.gate import CUSTOMER_TOKEN_SERVICE, HEADER_LIMITS, Gate, Profile
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World

LIMITS = {**HEADER_LIMITS, "channel-id": 64}
"""DANA's Node client names its channel by the partner, `..-SERVER`; the standard has five characters (dana.md 3)."""


def create_app(
    world: World, *, clock: Clock, waits: Waits, notify_base: str, scheduler: Scheduler | None = None,
    send: Send | None = None,
) -> MockApp:  # fmt: skip
    """The DANA mock on a world. It notifies nobody (decisions D9): `send` is not used, browsers go to `notify_base`."""
    scheduler = scheduler or world.keep("scheduler", lambda: Scheduler(clock))
    world.add_missing(test_accounts())
    gate = Gate(world, clock, snap_client(), profile=Profile(rsa_calls=True, header_limits=LIMITS))
    payouts = world.keep("payouts", lambda: Payouts(world, clock, scheduler, waits))
    linking = Linking(world, clock, gate, waits, RegisteredRedirect(notify_base, "dana"))
    topups = Topups(world, clock, gate, payouts)
    unbind = gate.symmetric("09", linking.unbind, customer=True)
    return MockApp(
        [
            *linking.routes(),
            Route("POST", "/v1.0/access-token/b2b2c.htm", gate.asymmetric(CUSTOMER_TOKEN_SERVICE, linking.token)),
            Route("POST", "/v1.0/registration-account-unbinding.htm", unbind),
            Route("POST", "/dana/member/query/queryUserProfile.htm", Profiles(world, clock, gate, linking).query),
            *_emoney("account-inquiry", gate.symmetric("37", topups.inquire)),
            *_emoney("topup", gate.symmetric("38", topups.top_up)),
            *_emoney("topup-status", gate.symmetric("39", topups.status)),
            Route("POST", "/v1.0/transaction-history-list.htm", gate.symmetric("12", topups.history)),
            *control_routes(world, clock, scheduler, unsettled=payouts.unsettled),
        ],
        gate.no_such_path,
    )


def _emoney(name: str, handler: Handler) -> list[Route]:
    """At the newer SDKs' path, and at the one that DANA's pages and older SDKs have (dana.md 1)."""
    return [Route("POST", path, handler) for path in (f"/rest/v1.0/emoney/{name}", f"/v1.0/emoney/{name}.htm")]
