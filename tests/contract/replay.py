"""Play a recorded plan again with one reply damaged, and judge what came of it."""

from __future__ import annotations

import csv
import io
import json
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from contracts.errors import PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityAnswer
from contracts.linking import LinkHealth, LinkRefused
from contracts.observation import StatementPage
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Effect, Request, Response
from tests.contract.stage import Take

COULD_NOT_TELL = (PartnerUnavailable, PartnerProtocolError)
MOST_REQUESTS = 5
JUNK: tuple[Any, ...] = (None, True, 0, -1, 1.5, "", "zz", "\u0000", [], [[]], {}, {"value": {}}, "9" * 400)
"""Put in the place of each value of a real reply."""


@dataclass
class Played:
    """How a plan ended: with a result, or with the exception that it raised."""

    result: Any = None
    error: BaseException | None = None
    at: Effect = Effect.READ
    """Of the request that the damaged reply answered."""

    @property
    def verdict(self) -> bool:
        """Whether anything was taken for true: all but "could not tell"."""
        if self.error is not None:
            return False
        if isinstance(self.result, StatementPage) and self.result.unreadable:
            return False  # what could be read counts, but the page proves no absence
        return not (isinstance(self.result, Outcome) and self.result.kind is OutcomeKind.UNKNOWN)

    @property
    def kind(self) -> object:
        """What was said, without its details."""
        result = self.result
        if isinstance(result, Outcome):
            return result.kind, result.reason
        if isinstance(result, LinkRefused):
            return LinkRefused, result.code
        if isinstance(result, IdentityAnswer):
            return result.verdict
        return result if isinstance(result, LinkHealth) else type(result)


def play(take: Take, index: int, damage: Callable[[Response], Response]) -> Played:
    """The recorded plan, whose reply to its request `index` is damaged; later requests get damaged replies too.

    Only "could not tell" may be raised; anything else escapes and fails the test.
    """
    plan = take.make()
    request: Request = next(plan)
    try:
        for n, (recorded, reply) in enumerate(take.exchanges):
            assert n > index or request == recorded, "a plan that is begun again says the same"
            effect = request.effect
            request = plan.send(damage(reply) if n >= index else reply)
        for _ in range(MOST_REQUESTS):
            request = plan.send(damage(take.exchanges[-1][1]))
    except StopIteration as stop:
        return Played(stop.value, None, effect)
    except COULD_NOT_TELL as error:
        return Played(None, error, effect)
    finally:
        plan.close()
    raise AssertionError("the plan asks for ever")


def steps(takes: list[Take]) -> Iterator[tuple[Take, int]]:
    """Every recorded reply of these plans."""
    for take in takes:
        for index in range(len(take.exchanges)):
            yield take, index


def told(takes: list[Take]) -> Iterator[tuple[Take, int]]:
    """Every recorded reply that has a body: one without says all that it says by its status."""
    return ((take, index) for take, index in steps(takes) if take.replies[index].content)


def says_by_status(reply: Response, status: int) -> bool:
    """Whether a reply with this status says what the recorded one said without a body, whatever body it has."""
    return not reply.content and status == reply.status


def document(reply: Response) -> Any:
    """What a reply holds: JSON, or the rows of a table in CSV, each by the names of its columns."""
    if not _is_table(reply):
        return json.loads(reply.content)
    columns, *rows = csv.reader(io.StringIO(reply.content.decode(), newline=""), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def written(reply: Response, value: Any) -> bytes:
    """Another document in the form of this reply. In a table whatever is no row of it becomes one of a single cell."""
    if not _is_table(reply):
        return json.dumps(value).encode()
    if not isinstance(value, list):
        return _cell(value).encode()
    columns = next(csv.reader(io.StringIO(reply.content.decode(), newline="")))
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(columns)
    for row in value:
        cells = [row[name] for name in columns if name in row] if isinstance(row, dict) else [row]
        table.writerow([_cell(each) for each in cells])
    return text.getvalue().encode()


def ends_a_line(reply: Response, content: bytes) -> bool:
    """Whether this much of a table is a table too: none says how many rows it has."""
    return _is_table(reply) and content.endswith(b"\n")


def _is_table(reply: Response) -> bool:
    return reply.headers.get("content-type", "").startswith("text/csv")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def fresh(reply: Response, *, status: int | None = None, content: bytes | None = None) -> Response:
    return Response(
        status=reply.status if status is None else status,
        headers=reply.headers,
        content=reply.content if content is None else content,
    )


def damaged(*, status: int | None = None, content: bytes | None = None) -> Callable[[Response], Response]:
    """Every reply with another status, another body, or both."""
    return partial(fresh, status=status, content=content)


def replaced(other: Response) -> Callable[[Response], Response]:
    """Another reply in the place of every one."""
    return lambda _reply: other


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON document, the document itself first."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the document with another value at the path."""
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


def cut(document: Any, path: tuple[Any, ...]) -> Any:
    """A copy of the document without the value at the path."""
    copy = dict(document) if isinstance(document, dict) else list(document)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = cut(copy[path[0]], path[1:])
    return copy


def texts(value: Any) -> Iterator[str]:
    """Every string in a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def logged(error: BaseException) -> str:
    """All that a log would show of an exception and its causes, without the lines of code."""
    shown = [repr(vars(error)), repr(error.args)]
    chain: BaseException | None = error
    while chain is not None:
        shown += traceback.format_exception_only(chain)
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return "".join(shown)
