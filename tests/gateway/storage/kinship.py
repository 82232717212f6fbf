"""What a statement touches, and how the rows of participants in it hang together: by numbers of the same participant,
or by something else. Read from PostgreSQL's own parser (pglast), so nothing of it depends on a plan.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, SetOperation, SubLinkType

KEYS: Mapping[str, Mapping[str, str]] = {
    "participants": {"id": "participant", "participant_id": "person", "link_id": "link"},
    "links": {"id": "link", "participant": "participant"},
    "verifications": {"id": "verification", "participant": "participant", "link_id": "link"},
    "consents": {"link_id": "link"},
    "incentives": {"id": "incentive", "participant": "participant", "participant_id": "person"},
    "payouts": {"id": "payout", "incentive": "incentive", "participant": "participant", "link_id": "link"},
    "ledger": {"payout": "payout"},
    "observations": {"payout": "payout"},
    "statement_lines": {"payout": "payout"},
    "refusals": {"id": "refusal", "participant": "participant"},
    "reapprovals": {"incentive": "incentive"},
    "entitlements": {"id": "entitlement", "participant": "participant", "participant_id": "person"},
    "completions": {"entitlement": "entitlement"},
}
"""Tables whose rows are one participant's each, with the columns that hold the participant's number, or that of a thing
that is one participant's for good: the number of such a thing could carry the participant's.
"""
_MADE = frozenset({"new_id", "nextval"})
"""Functions that make a number which nobody has yet: it says nothing of where its row belongs."""

Value: TypeAlias = frozenset[tuple[int, str]] | None
"""What an expression holds: numbers of these tables' rows, each with its kind; empty: what the caller gave, or what is
everybody's; None: something else of a participant's row.
"""
Columns: TypeAlias = dict[str, Value]
GIVEN: Value = frozenset()


class _Anything(dict[str, Value]):
    """The columns of what is given: whatever is asked for."""

    def __missing__(self, name: str) -> Value:
        return GIVEN


class Found(NamedTuple):
    """A table in a statement whose rows are found by no number of their participant."""

    table: str
    beside: frozenset[str]
    """Participants' tables that it hangs together with by such numbers."""


class Written(NamedTuple):
    """What a statement does to a table; of an UPDATE, to which columns."""

    table: str
    what: str
    columns: frozenset[str]


class Statement:
    """One statement, or the body of a function, read."""

    def __init__(self, tree: Any, columns: Mapping[str, Sequence[str]], views: Mapping[str, Any]) -> None:
        self._columns, self._views = columns, views
        self._tables: list[str] = []
        self._parents: list[int] = []
        self._anchored: set[int] = set()
        self._asked: dict[int, Columns] = {}
        self.touched: set[str] = set()
        self.written: set[Written] = set()
        self.functions: set[str] = set()
        if isinstance(tree, (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt)):
            self._query(tree, (), {})
        elif isinstance(tree, ast.ReturnStmt):
            self._value(tree.returnval, (), {})

    def without_key(self) -> list[Found]:
        """The tables that are found by no number of a participant, with the first that was named of each group."""
        groups: dict[int, list[int]] = {}
        for node in range(len(self._tables)):
            groups.setdefault(self._root(node), []).append(node)
        anchored = {self._root(node) for node in self._anchored}
        return [
            Found(self._tables[group[0]], frozenset(self._tables[node] for node in group[1:]))
            for root, group in groups.items()
            if root not in anchored
        ]

    def _root(self, node: int) -> int:
        while self._parents[node] != node:
            node = self._parents[node]
        return node

    def _node(self, table: str) -> int:
        self._tables.append(table)
        self._parents.append(len(self._parents))
        return self._parents[-1]

    def _equal(self, left: Value, right: Value) -> None:
        """Both sides are the same: rows with the same number are one participant's, a row with a given one is found."""
        if left is None or right is None:
            return
        if not (left and right):
            self._anchored.update(node for node, _ in left | right)
        for (one, kind), (other, its) in itertools.product(left, right):
            if kind == its:
                self._parents[self._root(one)] = self._root(other)

    # what is read from

    def _table(self, name: str) -> Columns:
        self.touched.add(name)
        keys = KEYS.get(name)
        if keys is None:
            return dict.fromkeys(self._columns[name], GIVEN)
        node = self._node(name)
        return {column: frozenset({(node, keys[column])}) if column in keys else None for column in self._columns[name]}

    def _source(self, item: Any, scopes: tuple[dict[str, Columns], ...], known: Mapping[str, Columns]) -> None:
        """Put a table, or whatever stands in FROM, into the innermost scope."""
        if isinstance(item, ast.RangeVar):
            if item.relname in known:
                columns = known[item.relname]
            elif item.relname in self._views:
                columns = self._query(self._views[item.relname], (), {})
            elif item.relname in self._columns:
                columns = self._table(item.relname)
            else:  # of a trigger, or for the session
                columns = _Anything()
            scopes[-1][item.alias.aliasname if item.alias else item.relname] = _named(columns, item.alias)
        elif isinstance(item, ast.RangeSubselect):
            scopes[-1][item.alias.aliasname if item.alias else ""] = _named(
                self._query(item.subquery, scopes, known), item.alias
            )
        elif isinstance(item, ast.RangeFunction):
            scopes[-1][item.alias.aliasname if item.alias else ""] = self._rows_of(item, scopes, known)
        elif isinstance(item, ast.JoinExpr):
            self._source(item.larg, scopes, known)
            left = dict(scopes[-1])
            self._source(item.rarg, scopes, known)
            right = [columns for name, columns in scopes[-1].items() if name not in left]
            for name in (one.sval for one in item.usingClause or ()):
                self._equal(_first(name, left.values()), _first(name, right))
            self._hold(item.quals, scopes, known)
        else:
            raise TypeError(type(item))

    def _rows_of(self, item: ast.RangeFunction, scopes: Any, known: Any) -> Columns:
        calls = [call[0] for call in item.functions]
        values = [self._value(one, scopes, known) for call in calls for one in getattr(call, "args", None) or ()]
        for call in calls:
            self._value(call, scopes, known)
        names = [one.colname for one in item.coldeflist or ()]
        names += [one.sval for one in (item.alias.colnames if item.alias else None) or ()]
        if any(value != GIVEN for value in values):
            each = len(values) == len(names)
            return dict(zip(names, values, strict=True)) if each else _Anything(dict.fromkeys(names))
        return _Anything(dict.fromkeys(names, GIVEN))

    # statements

    def _query(self, tree: Any, scopes: tuple[dict[str, Columns], ...], known: Mapping[str, Columns]) -> Columns:
        if id(tree) not in self._asked:
            self._asked[id(tree)] = {}
            known = self._with(tree.withClause, scopes, known)
            self._asked[id(tree)] = self._select(tree, scopes, known) if isinstance(tree, ast.SelectStmt) else (
                self._write(tree, scopes, known)
            )  # fmt: skip
        return self._asked[id(tree)]

    def _with(self, clause: Any, scopes: Any, known: Mapping[str, Columns]) -> Mapping[str, Columns]:
        for one in clause.ctes if clause else ():
            query = one.ctequery
            if clause.recursive and getattr(query, "larg", None) is not None:
                first = self._query(query.larg, scopes, known)
                known = {**known, one.ctename: _listed(first, one.aliascolnames)}
            known = {**known, one.ctename: _listed(self._query(query, scopes, known), one.aliascolnames)}
        return known

    def _select(self, tree: ast.SelectStmt, scopes: Any, known: Any) -> Columns:
        if tree.op != SetOperation.SETOP_NONE:
            left, right = (self._query(one, scopes, known) for one in (tree.larg, tree.rarg))
            both = zip(left.items(), right.values(), strict=False)
            return {name: None if a is None or b is None else a | b for (name, a), b in both}
        if tree.valuesLists:
            rows = [[self._value(one, scopes, known) for one in row] for row in tree.valuesLists]
            return {f"column{n}": _all(values) for n, values in enumerate(zip(*rows, strict=True), 1)}
        scopes = (*scopes, {})
        for item in tree.fromClause or ():
            self._source(item, scopes, known)
        self._hold(tree.whereClause, scopes, known)
        outputs = self._outputs(tree.targetList, scopes, known)
        for more in (
            tree.groupClause,
            tree.havingClause,
            tree.sortClause,
            tree.distinctClause,
            tree.limitCount,
            tree.limitOffset,
        ):
            self._value(more, scopes, known)
        return outputs

    def _write(self, tree: Any, scopes: Any, known: Any) -> Columns:
        name, alias = (
            tree.relation.relname,
            tree.relation.alias.aliasname if tree.relation.alias else tree.relation.relname,
        )
        target = self._table(name) if name in self._columns else _Anything()
        scopes = (*scopes, {alias: target})
        columns = frozenset[str]()
        if isinstance(tree, ast.InsertStmt):
            given = [one.name for one in tree.cols or ()] or list(target)
            values = self._query(tree.selectStmt, scopes[:-1], known) if tree.selectStmt else {}
            for column, value in zip(given, values.values(), strict=False):
                if target[column] is not None:
                    self._equal(target[column], value)
            if tree.onConflictClause is not None:
                scopes[-1]["excluded"] = _Anything()
                self._value((tree.onConflictClause.targetList, tree.onConflictClause.whereClause), scopes, known)
                columns = frozenset(one.name for one in tree.onConflictClause.targetList or ())
                if columns:
                    self.written.add(Written(name, "UPDATE", columns))
        else:
            for item in getattr(tree, "fromClause", None) or getattr(tree, "usingClause", None) or ():
                self._source(item, scopes, known)
            self._hold(tree.whereClause, scopes, known)
            if isinstance(tree, ast.UpdateStmt):
                columns = frozenset(one.name for one in tree.targetList)
                self._value(tree.targetList, scopes, known)
        what = type(tree).__name__.removesuffix("Stmt").upper()
        self.written.add(Written(name, what, columns if what == "UPDATE" else frozenset()))
        return self._outputs(tree.returningClause.exprs if tree.returningClause else (), scopes, known)

    def _outputs(self, targets: Any, scopes: Any, known: Any) -> Columns:
        found: Columns = {}
        for n, target in enumerate(targets or ()):
            fields = target.val.fields if isinstance(target.val, ast.ColumnRef) else ()
            if fields and isinstance(fields[-1], ast.A_Star):
                of = [columns for alias, columns in scopes[-1].items() if len(fields) == 1 or alias == fields[0].sval]
                for columns in of:
                    found.update(columns)
                if any(isinstance(columns, _Anything) for columns in of):
                    found = _Anything(found)
            else:
                name = target.name or (fields[-1].sval if fields else _called(target.val) or f"?{n}")
                found[name] = self._value(target.val, scopes, known)
        return found

    # expressions

    def _hold(self, condition: Any, scopes: Any, known: Any) -> None:
        """What must be true of each row that is found."""
        if isinstance(condition, ast.BoolExpr) and condition.boolop == BoolExprType.AND_EXPR:
            for one in condition.args:
                self._hold(one, scopes, known)
            return
        for left, right in _same(condition):
            self._equal(self._value(left, scopes, known), self._value(right, scopes, known))
        if isinstance(condition, ast.SubLink) and condition.subLinkType == SubLinkType.ANY_SUBLINK:
            tested = condition.testexpr.args if isinstance(condition.testexpr, ast.RowExpr) else (condition.testexpr,)
            answers = self._query(condition.subselect, scopes, known).values()
            for left, value in zip(tested, answers, strict=False):
                self._equal(self._value(left, scopes, known), value)
        self._value(condition, scopes, known)

    def _value(self, tree: Any, scopes: Any, known: Any) -> Value:
        if isinstance(tree, ast.ColumnRef):
            return _resolved(tree, scopes)
        if isinstance(tree, ast.TypeCast):
            return self._value(tree.arg, scopes, known)
        if isinstance(tree, ast.SubLink):
            answers = list(self._query(tree.subselect, scopes, known).values())
            self._value(tree.testexpr, scopes, known)
            its = tree.subLinkType in (SubLinkType.EXPR_SUBLINK, SubLinkType.ARRAY_SUBLINK)
            return answers[0] if its and answers else None
        values = [self._value(one, scopes, known) for one in _parts(tree)]
        if isinstance(tree, ast.FuncCall):
            name = tree.funcname[-1].sval
            self.functions.add(name)
            if name in _MADE:
                return None
            if name == "unnest":
                return _all(values)
        if isinstance(tree, (ast.CoalesceExpr, ast.A_ArrayExpr, ast.CaseExpr)):
            return _all(values)
        return GIVEN if all(value == GIVEN for value in values) else None


def _same(condition: Any) -> Iterator[tuple[Any, Any]]:
    """Expressions that are equal where a condition holds."""
    if not isinstance(condition, ast.A_Expr) or condition.name[-1].sval != "=":
        return
    left, right = condition.lexpr, condition.rexpr
    if condition.kind == A_Expr_Kind.AEXPR_IN:
        yield left, ast.A_ArrayExpr(elements=right)
    elif condition.kind in (A_Expr_Kind.AEXPR_OP, A_Expr_Kind.AEXPR_OP_ANY):
        if isinstance(left, ast.RowExpr) and isinstance(right, ast.RowExpr):
            yield from zip(left.args, right.args, strict=True)
        else:
            yield left, right


def _parts(tree: Any) -> Iterator[Any]:
    """The nodes right below this one."""
    if isinstance(tree, tuple):
        yield from tree
    elif isinstance(tree, ast.Node):
        for name in tree:
            part = getattr(tree, name)
            if isinstance(part, (ast.Node, tuple)) and not isinstance(part, ast.TypeName):
                yield part


def _resolved(reference: ast.ColumnRef, scopes: Sequence[Mapping[str, Columns]]) -> Value:
    """What a column holds; one that no table in sight has is a variable of a function, or a trigger's row."""
    *before, last = reference.fields
    if isinstance(last, ast.A_Star):
        return None
    for scope in reversed(scopes):
        if before:
            if before[-1].sval in scope:
                return _first(last.sval, [scope[before[-1].sval]])
        elif last.sval in scope:
            return None  # a whole row
        elif any(last.sval in columns for columns in scope.values()):
            return _first(last.sval, scope.values())
    return GIVEN


def _first(name: str, of: Iterable[Columns]) -> Value:
    """Of the first that has it; a system's column of none."""
    return next((columns[name] for columns in of if name in columns), GIVEN)


def _all(values: Iterable[Value]) -> Value:
    found: frozenset[tuple[int, str]] = frozenset()
    for value in values:
        if value is None:
            return None
        found |= value
    return found


def _named(columns: Columns, alias: Any) -> Columns:
    return _listed(columns, alias.colnames if alias else None)


def _listed(columns: Columns, names: Any) -> Columns:
    if not names:
        return columns
    given = [one.sval for one in names]
    if isinstance(columns, _Anything):
        return _Anything(dict.fromkeys(given, GIVEN))
    rest = list(columns.items())[len(given) :]
    return {**dict(zip(given, columns.values(), strict=False)), **dict(rest)}


def _called(tree: Any) -> str | None:
    while isinstance(tree, ast.TypeCast):
        tree = tree.arg
    if isinstance(tree, ast.ColumnRef) and not isinstance(tree.fields[-1], ast.A_Star):
        return str(tree.fields[-1].sval)
    return tree.funcname[-1].sval if isinstance(tree, ast.FuncCall) else None


def parsed(text: str) -> list[Any]:
    """The statements of a text."""
    return [one.stmt for one in parse_sql(text)]
