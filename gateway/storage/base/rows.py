"""Rows as structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import asyncpg
import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def into(kind: type[T], row: asyncpg.Record | Mapping[str, Any]) -> T:
    """A row as a struct, by the names of its fields. Other columns are left: while an upgrade is rolled out, processes
    of this version read tables to which the next one has added some.
    """
    return kind(**{name: row[name] for name in kind.__struct_fields__ if name in row})
