"""Is an answer the answer to what was asked? It is held against its request before any mapping reads it, alike for all
partners and operations: whatever it shows of the request must be right, in a refusal too, and it must not come out of a
cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from adapters import accounts, answers
from contracts.errors import PartnerProtocolError
from contracts.jakarta import JAKARTA
from contracts.plan import Plan, Request, Response
from contracts.secret import Secret

T = TypeVar("T")

NUMBERS = frozenset(
    {"partnerReferenceNo", "originalPartnerReferenceNo", "merchantTrxID", "custIdMerchant", "reference_nos"}
)
"""Fields with a number of ours, or with theirs that we ask about."""
REMARKS = frozenset({"notes", "remark", "customerReference"})
"""Texts that bear our number; what else stands there is nobody's concern."""
SHOWN_AS = {"reference_nos": ("reference_nos", "reference_no")}
ACCOUNTS = frozenset(
    {"customerNumber", "beneficiaryAccountNo", "accountNo", "bankAccountNo", "bankCardNo", "phoneNo", "msisdn"}
    | {"beneficiary_account"}
)
"""Fields with the account, card or phone asked about."""
_ACCOUNT_FIRST = ("link.", "payout.create")
"""Operations whose success must show no other account. Elsewhere the mapping judges that: at a payment or a NIK check
another account says more than "could not tell".
"""
DAYS = frozenset({"fromDateTime", "date"})
LASTING = ("payout.status", "statement", "token.")
"""Operations whose answers may come out of a cache: some of what they say stays true, and their mappings know what."""


def answering(method: Callable[..., Plan[T]]) -> Callable[..., Plan[T]]:
    """A plan's method, whose every answer is held against its request."""

    @wraps(method)
    def begun(*args: Any, **named: Any) -> Plan[T]:
        return _held(method(*args, **named))

    return begun


def _held(plan: Plan[T]) -> Plan[T]:
    try:
        request = next(plan)
        while True:
            reply = yield request
            must_answer(request, reply)
            request = plan.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        plan.close()


def must_answer(request: Request, reply: Response) -> None:
    """Raises `PartnerUnavailable` for an answer out of a cache, and `PartnerProtocolError` for one that shows another
    number, account or day than was asked about. What shows nothing, or nothing readable, is left to its mapping.
    """
    if not request.operation.startswith(LASTING):
        answers.must_be_fresh(reply)
    try:
        asked, told = answers.decoded(request.content or b"{}"), answers.decoded(reply.content or b"{}")
    except PartnerProtocolError:
        return
    query = dict(parse_qsl(request.target.partition("?")[2]))
    names_account = request.operation.startswith(_ACCOUNT_FIRST) or reply.status >= 400
    for path, ours in (*_texts(asked), *(((name,), value) for name, value in query.items())):
        name, above = path[-1], path[:-1]
        if name in NUMBERS:
            other = _another_number
        elif name in REMARKS:
            other = _another_within
        elif name in ACCOUNTS and names_account:
            other = _another_account
        elif name in DAYS:
            other = _another_day
        else:
            continue
        for place in {(), above, ("data",), ("data", *above)} | ({("additionalInfo",)} if name in ACCOUNTS else set()):
            for shown in SHOWN_AS.get(name, (name,)):
                theirs = _at(told, *place, shown)
                if theirs not in (None, "") and other(ours, theirs):
                    raise PartnerProtocolError(f"field {'.'.join((*place, shown))} is not what was asked about")


def _texts(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, inner in value.items():
        inner = _single(inner)
        if isinstance(inner, dict):
            yield from _texts(inner, (*path, name))
        elif isinstance(inner, str) and inner:
            yield (*path, name), inner


def _at(told: Any, *path: str) -> Any:
    for name in path:
        told = answers.at(_single(told), name)
    return _single(told)


def _single(value: Any) -> Any:
    """A list of one is its entry."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _another_number(ours: str, theirs: object) -> bool:
    return not answers.nothing(theirs) and answers.unbroken(theirs) != ours


def _another_within(ours: str, theirs: object) -> bool:
    return answers.within(theirs) not in (None, ours)


def _another_account(ours: str, theirs: object) -> bool:
    try:
        shown = accounts.echoed(answers.written(theirs), _account(ours) or Secret(ours), _account)
    except PartnerProtocolError:
        return False
    return shown not in (None, _account(ours))


def _account(shown: str) -> Secret | None:
    """A phone in our form, or an account or card by its digits."""
    number = accounts.digits(shown).lstrip("0")
    return accounts.mobile(shown) or (Secret(number) if number.isascii() and number.isdigit() else None)


def _another_day(ours: str, theirs: object) -> bool:
    wanted, shown = _day(ours), _day(theirs)
    return None not in (wanted, shown) and wanted != shown


def _day(said: object) -> date | None:
    """The day in Jakarta of a time, which is Jakarta's where it has no offset."""
    time = answers.time(said)
    return None if time is None else time.replace(tzinfo=time.tzinfo or JAKARTA).astimezone(JAKARTA).date()
