"""All hosts on one port: SNAP `/v1.0`, GoPay's pages `/app`, Iris `/iris`, identity `/forward`, Core `/v2`."""

from __future__ import annotations

from mock_partners.gopay.authcode import AuthCode
from mock_partners.gopay.core import Core, PayAccounts
from mock_partners.gopay.credentials import SANDBOX_OTP, SANDBOX_PHONES, snap_client, test_accounts
from mock_partners.gopay.identity import PULL_PATH, TOKEN_PATH, Identity, no_such_identity_path
from mock_partners.gopay.iris import Beneficiaries, Iris, Keys, no_such_payout_path
from mock_partners.gopay.linking import Desk, Linking
from mock_partners.gopay.notices import Change, LinkNotices
from mock_partners.gopay.payouts import Ledger, Payouts
from mock_partners.gopay.topups import Topups
from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.control import control_routes
from mock_partners.kit.http import Call, Handler, MockApp, Reply, Route, by_prefix, json_reply
from mock_partners.kit.notify import Notifier, Send
from mock_partners.kit.snap.gate import Gate, Profile
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World

PROFILE = Profile(unknown_token_case="01", grant_names=("grantType", "grant_type"), null_is_empty=True)


def create_app(
    world: World, *, clock: Clock, waits: Waits, notify_base: str, scheduler: Scheduler | None = None,
    send: Send | None = None,
) -> MockApp:  # fmt: skip
    """The GoPay mock on a world; notifications go to `notify_base`, under which the redirect is registered too."""
    scheduler = scheduler or world.keep("scheduler", lambda: Scheduler(clock))
    world.add_missing(test_accounts())
    world.sms.fixed.update(dict.fromkeys(SANDBOX_PHONES, SANDBOX_OTP))
    notifier = Notifier(scheduler, notify_base, send)
    gate = Gate(world, clock, snap_client(), profile=PROFILE)
    desk = world.keep("gopay.links", Desk)
    linking = Linking(world, clock, gate, desk, LinkNotices(world, clock, notifier, notify_base))
    ledger = world.keep("gopay.payouts", Ledger)
    payouts = Payouts(world, clock, scheduler, waits, notifier, ledger)
    topups = Topups(world, clock, scheduler, waits, gate, notifier)
    identity = Identity(world, clock, waits, desk, notifier)
    core = Core(world, clock, waits, linking, world.keep("gopay.core", PayAccounts))
    keys, book = world.keep("gopay.keys", Keys), world.keep("gopay.beneficiaries", Beneficiaries)
    return MockApp(
        [
            Route("POST", "/v1.0/access-token/b2b", gate.b2b_token()),
            Route("POST", "/v1.0/registration-account-binding", gate.symmetric("07", linking.bind)),
            Route("POST", "/v1.0/registration-account-inquiry", gate.symmetric("08", linking.inquire)),
            Route("POST", "/v1.0/registration-account-unbinding", gate.symmetric("09", linking.unbind)),
            Route("POST", "/v1.0/emoney/account-inquiry", gate.symmetric("37", topups.inquire, replays=True)),
            Route("POST", "/v1.0/emoney/topup", gate.symmetric("38", topups.top_up, replays=True)),
            Route("POST", "/v1.0/transfer/status", gate.symmetric("36", topups.status)),
            *AuthCode(world, clock, waits, linking, notify_base).routes(),
            Route("GET", PULL_PATH, identity.pull),
            Route("GET", TOKEN_PATH, identity.exchange),
            *Iris(world, clock, scheduler, payouts, keys, book).routes(),
            *core.routes(),
            Route("POST", "/__mock__/unlink", _unlinking(world, linking, desk)),
            *control_routes(world, clock, scheduler, unsettled=lambda: payouts.unsettled() + topups.unsettled()),
        ],
        by_prefix(
            {
                "/iris": no_such_payout_path,
                "/forward": no_such_identity_path,
                "/v2/": core.no_such_path,
                "": gate.no_such_path,
            }
        ),
    )


def _unlinking(world: World, linking: Linking, desk: Desk) -> Handler:
    """`POST /__mock__/unlink?phone=&why=`: what a customer does in the GoPay app, unlinks or changes the number."""
    changes = {"unlinked": Change.UNLINKED, "phone_changed": Change.PHONE_CHANGED}

    async def unlink(call: Call) -> Reply:
        asked = call.query_values()
        found = world.by_phone(asked.get("phone", "")) if asked.get("phone") else []
        link = desk.enabled.get(found[0].account) if found else None
        change = changes.get(asked.get("why", "unlinked"))
        if link is None or change is None:
            return json_reply(404, {"error": "ask for ?phone=+62..&why=unlinked|phone_changed of a linked account"})
        linking.disable(link, change)
        return json_reply(200, {"status": "ok"})

    return unlink
