"""What the workbench can be asked for: its words, the capability that each needs, and what it has the bench do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from contracts.errors import CallerError, GatewayError, NotSupported
from contracts.partner import Capability, Manifest
from gateway.workbench.bench import Bench


@dataclass(frozen=True)
class Operation:
    """One thing that the workbench can be asked for; `needs`: any of them must be declared by the manifest."""

    needs: frozenset[Capability]
    plans: tuple[str, ...]
    help: str
    run: Callable[[Bench], Awaitable[Any]]


def _operation(plans: str, help_: str, run: Callable[[Bench], Awaitable[Any]], *needs: Capability) -> Operation:
    return Operation(frozenset(needs), tuple(plans.split()), help_, run)


_C = Capability
_LINKING = "begin_link answer_link finish_link"
OPERATIONS = {
    "token": _operation("fetch_token", "fetch each of our own access tokens", Bench.tokens),
    "link-begin": _operation("begin_link", "the first step of linking", Bench.begin, _C.LINK_REDIRECT, _C.LINK_INPUTS),
    "link-finish": _operation(
        _LINKING, "link an account, from the first step to the grant", Bench.grant, _C.LINK_REDIRECT, _C.LINK_INPUTS
    ),
    "link-status": _operation("link_health", "ask whether a link stands", Bench.health, _C.LINK_STATUS),
    "link-refresh": _operation("refresh_grant", "refresh the person's access", Bench.refresh, _C.GRANT_REFRESH),
    "verify": _operation("verify_nik", "ask whether the NIK is the one on the account", Bench.verify, _C.VERIFY_NIK),
    "payout": _operation(
        "payout prepare approve", "pay, in the partner's one or two steps", Bench.pay, _C.PAYOUT_ONE_STEP,
        _C.PAYOUT_TWO_STEP,
    ),
    "find": _operation("find_payout", "look a payout up", Bench.find, _C.FIND_PAYOUT),
    "statement": _operation("statement", "read a day's statement", Bench.statement, _C.STATEMENT),
    "balance": _operation("balance", "read what is left of our deposit", Bench.balance, _C.BALANCE),
    "prepare": _operation("prepare", "create an instruction and leave it there", Bench.prepare, _C.PAYOUT_TWO_STEP),
    "approve": _operation("approve", "create an instruction and approve it", Bench.pay, _C.PAYOUT_TWO_STEP),
    "reject": _operation("withdraw", "create an instruction and take it back", Bench.reject, _C.PAYOUT_TWO_STEP),
    "unlink": _operation("unlink", "give the link back", Bench.unlink, _C.UNLINK),
}  # fmt: skip
ALL = "all"
_IN_OTHERS = frozenset({"prepare", "approve"})
_LINK_ENDS = frozenset({"link-begin", "link-finish", "unlink"})


def declared(capabilities: frozenset[Capability]) -> list[str]:
    """The operations that a partner with these capabilities has."""
    return [name for name, operation in OPERATIONS.items() if not operation.needs or operation.needs & capabilities]


def chosen(operation: str, manifest: Manifest, *, linked: bool = False) -> list[str]:
    """Which operations to run for a word; raises `NotSupported` for one that the manifest does not declare.

    With an access that was there before (`linked`), `all` neither links nor unlinks.
    """
    names = declared(manifest.capabilities)
    if operation == ALL:
        left_out = _IN_OTHERS | (_LINK_ENDS if linked else frozenset())
        return [name for name in names if name not in left_out]
    if operation not in names:
        wanted = " or ".join(sorted(capability.value for capability in OPERATIONS[operation].needs))
        raise NotSupported(
            f"{manifest.name} does not offer {wanted}, so there is no {operation}.",
            remedy=f"It has: {', '.join(names)}.",
        )
    return [operation]


async def perform(bench: Bench, operation: str) -> GatewayError | None:
    """Run what a word stands for, one after the other, also after one whose plan could not tell; the first error, if
    any. Stops at what the caller must mend.
    """
    first: GatewayError | None = None
    for name in chosen(operation, bench.manifest, linked=bench.linked):
        try:
            await OPERATIONS[name].run(bench)
        except GatewayError as error:
            first = first or error
            if isinstance(error, CallerError):
                break
    return first
