"""Every function of `gateway.storage` that takes a connection, called with values made from its annotations: what it
asks of the database is known without a list that somebody would have to keep.
"""

from __future__ import annotations

import ast
import builtins
import collections.abc
import contextlib
import enum
import importlib
import inspect
import itertools
import pkgutil
import sys
import typing
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import FrameType, ModuleType, NoneType, UnionType
from typing import Any, NamedTuple, Protocol, TypeVar

import asyncpg
import msgspec

import gateway.storage
from gateway.security.vault import Vault
from gateway.storage.base.database import _prepare
from gateway.storage.intake import staging
from gateway.storage.reconciliation import reconciliation
from tests.conftest import MASTER_KEY

ROOT = Path(gateway.storage.__file__).parent
ASKS = frozenset({"fetch", "fetchrow", "fetchval", "execute", "executemany", "cursor"})
NOW = datetime(2026, 6, 1, 5, tzinfo=UTC)
TEXTS = {
    "participant_id": "P1", "people": "P1", "link_id": "L1", "links": "L1", "batch_id": "b1", "partner": "bni",
    "partners": "bni", "column": "batch_id", "stage": "payout", "plan_id": "p1", "programme": "large",
    "name": "participant",
    "reference": "0000000000000000002", "state": "unknown", "decision": "approve", "organisation": "bench",
    "client_id": "bench", "purpose": "survey", "period": "1", "query": "SELECT 1", "keys": "[]", "verdict": "paid",
    "which": "i.id = $2", "instance": "10",
}  # fmt: skip
"""What a text parameter of that name holds; others hold `x`."""


class Listens(Protocol):
    """Who stands in a connection's place, and notes what it is asked."""

    real: asyncpg.Connection[Any]


Ear = TypeVar("Ear", bound=Listens)


class Place(NamedTuple):
    """Where a statement is asked: file and line of the call, and the function it stands in."""

    file: str
    line: int
    within: str


def place() -> Place:
    """Of the innermost function of `gateway.storage` that is being called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(str(ROOT)):
        frame = frame.f_back
    return Place("", 0, "") if frame is None else Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


@contextlib.asynccontextmanager
async def connected(dsn: str, settings: dict[str, str]) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection as the gateway's are, with the tables for the session that some functions work on."""
    connection = await asyncpg.connect(dsn, server_settings=settings, command_timeout=60)
    try:
        await _prepare(connection)
        await staging.prepare(connection)
        await reconciliation.prepare(connection)
        yield connection
    finally:
        await connection.close()


async def run(ear: Ear, call: Callable[[Ear], Any]) -> Ear:
    """Call it in a transaction that is taken back; what it makes of the answers is not what is tested."""
    transaction = ear.real.transaction()
    await transaction.start()
    try:
        with contextlib.suppress(Exception):
            answer = call(ear)
            if inspect.isasyncgen(answer):
                async with contextlib.aclosing(answer):
                    async for _ in answer:
                        pass
            elif inspect.isawaitable(answer):
                await answer
    finally:
        await transaction.rollback()
    return ear


def sites() -> dict[str, list[tuple[int, int, str]]]:
    """By file, first and last line of each call that asks a connection something, and the function it stands in."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if (
                        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASKS
                        and isinstance(node.func.value, ast.Name) and node.func.value.id == "connection"
                    ):  # fmt: skip
                        entry = (node.lineno, node.end_lineno or node.lineno, function.name)
                        found.setdefault(str(path), []).append(entry)
    return found


def functions() -> Iterator[tuple[ModuleType, Callable[..., Any]]]:
    """All that take a connection first."""
    for info in pkgutil.walk_packages(gateway.storage.__path__, "gateway.storage."):
        module = importlib.import_module(info.name)
        for function in list(vars(module).values()):
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                parameters = list(inspect.signature(function).parameters.values())
                if parameters and parameters[0].name == "connection":
                    yield module, function


def calls(module: ModuleType, function: Callable[..., Any]) -> Iterator[dict[str, object]]:
    """Its arguments, in each way in which it may ask something else: each optional one alone left out or given, each
    filter by itself, each flag both ways.
    """
    parameters = list(inspect.signature(function).parameters.values())[1:]
    choices = [[*_values(one.name, _evaluated(one.annotation, module), module)] for one in parameters
               if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]  # fmt: skip
    names = [one.name for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    for seen, chosen in enumerate(_each_varied(choices)):
        yield dict(zip(names, chosen, strict=True))
        assert seen <= 60, f"{function.__qualname__} can be asked in too many ways"


def _each_varied(choices: list[list[object]]) -> Iterator[tuple[object, ...]]:
    """The first of each, then one after the other varied, then the last of each."""
    firsts = tuple(options[0] for options in choices)
    yield firsts
    for at, options in enumerate(choices):
        for other in options[1:]:
            yield (*firsts[:at], other, *firsts[at + 1 :])
    if sum(len(options) > 1 for options in choices) > 1:
        yield tuple(options[-1] for options in choices)


def _evaluated(annotation: Any, module: ModuleType) -> Any:
    if isinstance(annotation, typing.ForwardRef):  # a field of a NamedTuple
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    names = {**vars(builtins), **vars(collections.abc), **vars(typing), **vars(module)}
    return eval(annotation, names | {"Any": Any})  # noqa: S307 - our own code's annotations


def _values(name: str, kind: Any, module: ModuleType) -> list[object]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in (object, Any):
        return [TEXTS.get(name, 1)]
    if origin in (UnionType, typing.Union):
        some = [value for one in inner if one is not NoneType for value in _values(name, one, module)]
        return [None, *some] if NoneType in inner else some
    if origin is typing.Literal:
        return list(inner)
    if origin is not None and issubclass(origin, collections.abc.Mapping):
        known = getattr(module, "_FILTERS", None)
        if name == "wanted" and known is not None:
            return [{}, *({key: _filter_value(key)} for key in known)]
        pairs = itertools.product(_values(name, inner[0], module)[:1], _values(name, inner[1], module)[:1])
        return [dict(pairs)]
    if origin is tuple:
        return [tuple(_values(name, one, module)[0] for one in inner if one is not Ellipsis)]
    if origin is not None and issubclass(origin, collections.abc.Collection):
        return [[_values(name, inner[0], module)[0]]]
    return _plain(name, kind, module)


def _filter_value(key: str) -> object:
    return {"incentive": 1, "payout": 1, "ended_on": NOW.date()}.get(key, TEXTS.get(key, "x"))


def _plain(name: str, kind: Any, module: ModuleType) -> list[object]:
    simple: Mapping[Any, list[object]] = {
        int: [20 if name in ("limit", "most") else 0 if name in ("after", "after_line") else 1],
        str: [TEXTS.get(name, "x")], bytes: [bytes(32)], bool: [False, True], float: [1.0],
        datetime: [NOW], date: [NOW.date()], timedelta: [timedelta(days=1)], Vault: [Vault(MASTER_KEY)],
    }  # fmt: skip
    if kind in simple:
        return simple[kind]
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return list(kind)[:12] if name in ("state", "stage") else list(kind)[:1]
    if inspect.isclass(kind) and (
        issubclass(kind, msgspec.Struct) or hasattr(kind, "_fields") or hasattr(kind, "__dataclass_fields__")
    ):
        return _structs(kind)
    return _values(name, _evaluated(kind.__value__, module), module) if hasattr(kind, "__value__") else [None]


def _structs(kind: Any) -> list[object]:
    module = sys.modules[kind.__module__]
    # Those of what it is made from come first: a struct may be another one with more fields.
    hints = {
        k: _evaluated(v, sys.modules[one.__module__])
        for one in reversed(kind.__mro__)
        for k, v in inspect.get_annotations(one).items()
    }
    options = [_values(field, hint, module) for field, hint in hints.items()]
    made = []
    for chosen in _each_varied(options):
        made.append(kind(**dict(zip(hints, chosen, strict=True))))
    return made
