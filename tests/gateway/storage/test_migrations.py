"""A file of the schema leaves what the version before asks for: its processes go on beside it while an upgrade is
rolled out (docs/production.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pglast import ast, parse_sql
from pglast.enums import AlterTableType, ConstrType, ObjectType
from pglast.stream import RawStream

from gateway.storage.base import migrate

FIRST = "0150"
"""Files before it are older than the rule."""
ALLOWED = {
    "0166_ledger_by_payout.sql: DropConstraint ledger.ledger_pkey": "a movement was always found and kept apart by its"
    " payout: no statement has named its number, in ON CONFLICT or elsewhere",
    "0191_stopped_plans.sql: DropConstraint plans.plans_state_check": "put back at once with one state more",
    "0191_stopped_plans.sql: AddConstraint plans.plans_state_check": "whatever was written before fits into it still",
    "0199_each_lookalike.sql: DropConstraint lookalikes.lookalikes_pkey": "its ON CONFLICT names no columns, and of"
    " several rows of a payout it takes any",
    "0199_each_lookalike.sql: Unique lookalikes.lookalikes_each": "looser than the key that it takes the place of",
}
"""What is taken away or asked for all the same: why no process of the version before notices."""
_TAKEN = frozenset({
    AlterTableType.AT_DropColumn, AlterTableType.AT_AlterColumnType, AlterTableType.AT_SetNotNull,
    AlterTableType.AT_DropConstraint, AlterTableType.AT_AddConstraint,
})  # fmt: skip
"""A column read or written by its name, values that were written, what an ON CONFLICT goes by."""
_FILLED = frozenset({ConstrType.CONSTR_DEFAULT, ConstrType.CONSTR_GENERATED, ConstrType.CONSTR_IDENTITY})


class Before:
    """What the files so far have made."""

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.unique: set[str] = set()
        self.functions: dict[str, set[str]] = {}
        """By name: their arguments' types."""

    def add(self, text: str) -> Iterator[str]:
        """One more file: what in it a process that knows only those before may stumble over."""
        fresh: set[str] = set()
        for statement in (one.stmt for one in parse_sql(text)):
            yield from self._takes(statement, fresh)
            if isinstance(statement, ast.CreateStmt):
                fresh.add(statement.relation.relname)
            elif isinstance(statement, ast.IndexStmt) and statement.unique:
                self.unique.add(statement.idxname)
            elif isinstance(statement, ast.CreateFunctionStmt):
                self.functions.setdefault(statement.funcname[-1].sval, set()).add(_arguments(statement))
        self.tables |= fresh

    def _takes(self, statement: Any, fresh: set[str]) -> Iterator[str]:
        if isinstance(statement, ast.AlterTableStmt) and statement.relation.relname not in fresh:
            for command in statement.cmds:
                name = command.name or getattr(command.def_, "conname", None) or getattr(command.def_, "colname", None)
                if command.subtype in _TAKEN or _must_be_given(command):
                    yield f"{command.subtype.name.removeprefix('AT_')} {statement.relation.relname}.{name}"
        elif isinstance(statement, ast.RenameStmt):
            yield f"Rename {statement.relation.relname}.{statement.subname}"
        elif isinstance(statement, ast.IndexStmt) and statement.unique and statement.relation.relname in self.tables:
            yield f"Unique {statement.relation.relname}.{statement.idxname}"
        elif isinstance(statement, ast.CreateTrigStmt) and statement.relation.relname in self.tables:
            if statement.funcname[-1].sval.startswith("refuse"):
                yield f"Refuse {statement.relation.relname}.{statement.trigname}"
        elif isinstance(statement, ast.CreateFunctionStmt):
            name = statement.funcname[-1].sval
            if _arguments(statement) not in self.functions.get(name, {_arguments(statement)}):
                yield f"Arguments {name}"
        elif isinstance(statement, ast.DropStmt):
            for dropped in statement.objects:
                name = _last(dropped)
                if statement.removeType != ObjectType.OBJECT_TRIGGER and (
                    statement.removeType != ObjectType.OBJECT_INDEX or name in self.unique
                ):
                    yield f"Drop {name}"


def _must_be_given(command: ast.AlterTableCmd) -> bool:
    """Whether it adds a column that who does not know of it may not leave out."""
    if command.subtype != AlterTableType.AT_AddColumn:
        return False
    kinds = {one.contype for one in command.def_.constraints or ()}
    return ConstrType.CONSTR_NOTNULL in kinds and not kinds & _FILLED


def _arguments(function: ast.CreateFunctionStmt) -> str:
    return ", ".join(RawStream()(one.argType) for one in function.parameters or () if one.mode.value in ("d", "i"))


def _last(name: Any) -> str:
    if isinstance(name, ast.ObjectWithArgs):
        name = name.objname
    return str((name if isinstance(name, ast.String) else name[-1]).sval)


def test_what_the_version_before_asks_for_stays() -> None:
    before, found = Before(), set[str]()
    for name, text in migrate._files():
        taken = {f"{name}: {one}" for one in before.add(text)}
        found |= taken if name > FIRST else set()
    assert found == ALLOWED.keys()


@pytest.mark.parametrize(
    ("text", "noticed"),
    [
        ("ALTER TABLE payouts DROP COLUMN looks", ["DropColumn payouts.looks"]),
        ("ALTER TABLE payouts ALTER COLUMN reason SET NOT NULL", ["SetNotNull payouts.reason"]),
        ("ALTER TABLE payouts ALTER COLUMN reason TYPE integer USING 1", ["AlterColumnType payouts.reason"]),
        ("ALTER TABLE payouts ADD COLUMN x text NOT NULL", ["AddColumn payouts.x"]),
        ("ALTER TABLE payouts ADD COLUMN x text NOT NULL DEFAULT ''", []),
        ("ALTER TABLE payouts ADD COLUMN x text", []),
        ("ALTER TABLE payouts ADD CONSTRAINT x CHECK (looks < 9)", ["AddConstraint payouts.x"]),
        ("ALTER TABLE payouts RENAME COLUMN looks TO seen", ["Rename payouts.looks"]),
        ("CREATE TABLE t (a text); ALTER TABLE t ADD COLUMN b text NOT NULL", []),
        ("DROP TABLE payouts", ["Drop payouts"]),
        ("DROP INDEX payouts_one_standing", ["Drop payouts_one_standing"]),
        ("DROP INDEX payouts_open", []),
        ("CREATE UNIQUE INDEX x ON payouts (link_id)", ["Unique payouts.x"]),
        ("CREATE INDEX x ON payouts (link_id)", []),
        ("DROP FUNCTION new_id(timestamptz)", ["Drop new_id"]),
        ("CREATE FUNCTION new_id(at date) RETURNS bigint LANGUAGE sql AS 'SELECT 1'", ["Arguments new_id"]),
        ("CREATE OR REPLACE FUNCTION new_id(at timestamptz) RETURNS bigint LANGUAGE sql AS 'SELECT 1'", []),
        (
            "CREATE TRIGGER x BEFORE UPDATE OF looks ON payouts FOR EACH ROW EXECUTE FUNCTION refuse()",
            ["Refuse payouts.x"],
        ),
    ],
)
def test_what_it_would_miss_is_noticed(text: str, noticed: list[str]) -> None:
    before = Before()
    for _, earlier in migrate._files():
        list(before.add(earlier))
    assert list(before.add(text)) == noticed
