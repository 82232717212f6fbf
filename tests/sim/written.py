"""Which tables a statement may write to, by triggers, functions and cascades too: read off their texts, and rather one
too many. A look at the store reads those again and no others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import asyncpg

_NAMED = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE)\s+(?:ONLY\s+)?(\w+)", re.I)
_WORD = re.compile(r"\w+")
_COMMENT = re.compile(r"--[^\n]*")
_FUNCTIONS = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
_TRIGGERS = (
    "SELECT tgrelid::regclass::text, p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
    " WHERE NOT tgisinternal"
)
_CASCADES = (
    "SELECT confrelid::regclass::text, conrelid::regclass::text FROM pg_constraint"
    " WHERE contype = 'f' AND (confdeltype NOT IN ('a', 'r') OR confupdtype NOT IN ('a', 'r'))"
)


class Written:
    """What statements write to in one database."""

    def __init__(self, functions: dict[str, str], follows: dict[str, set[str]], tables: frozenset[str]) -> None:
        self._functions, self._follows, self._tables = functions, follows, tables
        self._known: dict[str, frozenset[str]] = {}

    @classmethod
    async def of(cls, connection: asyncpg.Connection[asyncpg.Record]) -> Written:
        """Read off a database's catalogue; `follows`: by table, the functions and tables that a write to it reaches."""
        functions: dict[str, str] = defaultdict(str)
        for name, source in await connection.fetch(_FUNCTIONS):
            functions[name] += source
        follows: dict[str, set[str]] = defaultdict(set)
        for table, reached in [*await connection.fetch(_TRIGGERS), *await connection.fetch(_CASCADES)]:
            follows[table].add(reached)
        rows: list[Any] = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return cls(dict(functions), dict(follows), frozenset(row[0] for row in rows))

    def by(self, statement: str) -> frozenset[str]:
        """The tables that a statement may write to."""
        found = self._known.get(statement)
        if found is None:
            found = self._known[statement] = frozenset(self._reached(statement))
        return found

    def _reached(self, statement: str) -> set[str]:
        reached: set[str] = set()
        ahead = self._in(statement)
        while ahead:
            one = ahead.pop()
            if one not in reached:
                reached.add(one)
                ahead |= self._follows.get(one, set()) | self._in(self._functions.get(one, ""))
        return reached & self._tables

    def _in(self, text: str) -> set[str]:
        """The tables that a text names as written to, and the functions that it calls."""
        text = _COMMENT.sub("", text)
        return set(_NAMED.findall(text)) | (self._functions.keys() & set(_WORD.findall(text)))
