"""Records what a partner's plans send and are sent, by standing between the desk and the adapter.

A `Recorder` is the adapter itself to whoever uses it: it hands on every plan unchanged and notes its context, its
arguments, its exchanges and what came of it. What it holds is as secret as the traffic; only `cassette.py` lets any of
it out, hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from contracts.errors import GatewayError
from contracts.partner import Context, Partner
from contracts.plan import Plan, Request, Response

PLANS = (
    "fetch_token", "begin_link", "answer_link", "finish_link", "link_health", "refresh_grant", "unlink", "verify_nik",
    "payout", "prepare", "approve", "withdraw", "find_payout", "statement", "balance",
)  # fmt: skip
"""The operations of `contracts.partner.Partner` that are plans."""
assert all(hasattr(Partner, name) for name in PLANS), "every plan is an operation of a partner"


@dataclass(repr=False)
class Call:
    """One request of a plan; `reply` is None where no whole answer came."""

    request: Request
    reply: Response | None = None


@dataclass(repr=False)
class Take:
    """One plan as it really went."""

    operation: str
    context: Context
    arguments: tuple[Any, ...]
    calls: list[Call] = field(default_factory=list)
    result: Any = None
    error: GatewayError | None = None
    """Why there is no result: could not tell."""


class Recorder:
    """An adapter whose plans leave a trace in `takes`."""

    def __init__(self, partner: Partner) -> None:
        self._partner = partner
        self.takes: list[Take] = []

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._partner, name)
        return self._recording(name, inner) if name in PLANS else inner

    def as_partner(self) -> Partner:
        """Itself, as what it stands for."""
        return cast("Partner", self)

    def _recording(self, name: str, make: Callable[..., Plan[Any]]) -> Callable[..., Plan[Any]]:
        def recorded(ctx: Context, *arguments: Any) -> Plan[Any]:
            plan = make(ctx, *arguments)  # refused here, before there is a take, where the partner does not have it
            take = Take(name, ctx, arguments)
            self.takes.append(take)
            return taped(take, plan)

        return recorded


def taped(take: Take, plan: Plan[Any]) -> Plan[Any]:
    """The same plan, noting on `take` each request, each reply and the end."""
    try:
        request = next(plan)
        while True:
            call = Call(request)
            take.calls.append(call)
            call.reply = yield request
            request = plan.send(call.reply)
    except StopIteration as stop:
        take.result = stop.value
        return stop.value
    except GatewayError as error:
        take.error = error
        raise
    finally:
        plan.close()
