"""The schema as the database has it, so far as it does something of itself: what a statement sets going beside what it
says, by functions and triggers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import asyncpg
from pglast import parse_plpgsql

from tests.gateway.storage.kinship import Found, Statement, Written, parsed

_EVENTS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16}
"""By what is done to a table: the bit of `pg_trigger.tgtype`."""


class Trigger(NamedTuple):
    """One of a table, and the columns whose change sets it going; none: any."""

    events: int
    columns: frozenset[str]
    function: str


class Gone(NamedTuple):
    """All that a statement does, with what it sets going: which tables it reads or writes, and which of them it finds
    by no number of a participant. Not looked at are foreign keys, which look a row up by its key.
    """

    touched: frozenset[str]
    without_key: frozenset[tuple[str, Found]]
    """With who asks: the function of the gateway's, or that of the schema with `()` behind it."""


class Catalog:
    """Tables with their columns, views, functions and triggers."""

    def __init__(
        self,
        columns: dict[str, list[str]],
        views: dict[str, Any],
        functions: dict[str, list[Any]],
        triggers: dict[str, list[Trigger]],
    ) -> None:
        self.columns, self._views, self._functions, self._triggers = columns, views, functions, triggers

    @classmethod
    async def read(cls, connection: asyncpg.Connection[Any]) -> Catalog:
        """As it stands there."""
        columns: dict[str, list[str]] = {}
        for row in await connection.fetch(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0"
            " AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
        ):
            columns.setdefault(row[0], []).append(row[1])
        views = await connection.fetch("SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'")
        functions = await connection.fetch(
            "SELECT p.proname, l.lanname, p.prosrc, pg_get_functiondef(p.oid) AS text FROM pg_proc p"
            " JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'"
        )
        triggers: dict[str, list[Trigger]] = {}
        for row in await connection.fetch(
            "SELECT c.relname, t.tgtype, p.proname, ARRAY(SELECT a.attname::text FROM pg_attribute a"
            "  WHERE a.attrelid = c.oid AND a.attnum = ANY(t.tgattr)) AS columns"
            " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE NOT t.tgisinternal"
        ):
            triggers.setdefault(row[0], []).append(Trigger(row[1], frozenset(row[3]), row[2]))
        bodies: dict[str, list[Any]] = {}
        for row in functions:  # those of one name with other arguments together
            bodies.setdefault(row["proname"], []).extend(_body(row["lanname"], row["prosrc"], row["text"]))
        return cls(columns, {row[0]: parsed(row[1])[0] for row in views}, bodies, triggers)

    def follow(self, who: str, texts: Iterable[str]) -> Gone:
        """All that these statements of one function do."""
        touched: set[str] = set()
        found: set[tuple[str, Found]] = set()
        done: set[str] = set()
        waiting = [(who, tree) for text in texts for tree in parsed(text)]
        while waiting:
            asking, tree = waiting.pop()
            statement = Statement(tree, self.columns, self._views)
            touched |= statement.touched
            found |= {(asking, one) for one in statement.without_key()}
            called = statement.functions & self._functions.keys()
            called |= {name for one in statement.written for name in self._set_going(one)}
            waiting += [(f"{name}()", body) for name in called - done for body in self._functions[name]]
            done |= called
        return Gone(frozenset(touched), frozenset(found))

    def _set_going(self, written: Written) -> Iterator[str]:
        for trigger in self._triggers.get(written.table, ()):
            some = not trigger.columns or written.what != "UPDATE" or trigger.columns & written.columns
            if trigger.events & _EVENTS[written.what] and some:
                yield trigger.function


def _body(language: str, source: str, text: str) -> list[Any]:
    """The statements that a function consists of."""
    if language == "sql":
        return parsed(source) if source else [parsed(text)[0].sql_body]
    return [tree for one in _expressions(parse_plpgsql(text)) for tree in parsed(one)]


def _expressions(part: Any) -> Iterator[str]:
    """Each statement and expression of a function in PL/pgSQL, as a statement."""
    if isinstance(part, list):
        for one in part:
            yield from _expressions(one)
    elif isinstance(part, dict):
        for name, inner in part.items():
            if name != "PLpgSQL_expr":
                yield from _expressions(inner)
            elif inner["parseMode"] == 0:
                yield inner["query"]
            else:  # a bare expression, or what a variable is set to
                query = inner["query"]
                yield f"SELECT {query if inner['parseMode'] == 2 else query.partition(':=')[2]}"
