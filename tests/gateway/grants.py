"""What the statements that a process can reach need of the database: read off the code, without running it.

From where a process starts every function that it may call is followed: by name through imports, and a method as soon
as anything that is reached speaks of a method of that name. So more is found than ever runs, and nothing less, but for
the few statements whose table is put in (`PUT_IN`).
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from gateway.storage.access import keys

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "gateway/storage/base/schema"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SQL = re.compile(
    r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|FROM|JOIN|WITH|EXISTS|VALUES|WHERE|RETURNING|LOCK TABLE)\b"
)
_RIGHTS = (
    ("i", re.compile(r"\bINSERT INTO ([a-z_]+)")),
    ("u", re.compile(r"(?<!FOR )(?<!KEY )(?<!DO )\bUPDATE (?:ONLY )?([a-z_]+)")),
    ("u", re.compile(r"\bINSERT INTO ([a-z_]+)(?:(?!INSERT INTO).)*?DO UPDATE", re.DOTALL)),
    ("u", re.compile(r"\bLOCK TABLE ([a-z_]+)")),
    ("d", re.compile(r"\bDELETE FROM ([a-z_]+)")),
)
_LOCKED = re.compile(
    r"\bFROM ([a-z_]+) (?:[a-z] )?WHERE (?:(?!\bFROM\b|\bSELECT\b).)*?FOR (?:UPDATE|SHARE)(?! OF)", re.DOTALL
)
_OPEN = re.compile(r"\b(FROM|INTO|JOIN|UPDATE) {}")
PUT_IN: Mapping[str, Collection[str]] = {
    "DELETE FROM {} WHERE participant = $1": ("account_owners", "nik_corrections", "refusals"),
    "DELETE FROM {} WHERE line BETWEEN": (),  # its own temporary tables
    "SELECT i.id FROM {} AND": ("incentives",),  # which it locks; the others by name
    "i.deadline_on, t.account_index\n        FROM {} AND": ("incentives",),
    "SELECT min(i.lapsed_at) FROM {}": ("incentives",),
    "FETCH {} FROM {}": (),  # a cursor, whose statement is read where it is declared
    "SELECT substring(value FROM": [table.name for table in keys.TABLES],
    "SELECT {} FROM {} WHERE ({})": [table.name for table in keys.TABLES],
    "WITH n AS (SELECT * FROM unnest({})": [table.name for table in keys.TABLES],
}
"""What stands at the open place of a statement that has one."""
Rights = dict[str, set[str]]
"""Table: of s(elect), i(nsert), u(pdate), d(elete), l(ock)."""


def tables() -> set[str]:
    """Tables and views that the schema's files leave behind."""
    text = "\n".join(file.read_text() for file in sorted(SCHEMA.glob("*.sql")))
    gone = set(re.findall(r"DROP TABLE (?:IF EXISTS )?([a-z_]+)", text))
    return set(re.findall(r"CREATE (?:TABLE|VIEW) ([a-z_]+)", text)) - gone | {"schema_migrations"}


TABLES = tables()


def asked_by(sql: str) -> Iterator[tuple[str, str]]:
    """Table and right, for what a statement does."""
    sql = re.sub(r"--[^\n]*", "", sql)
    for right, pattern in (*_RIGHTS, *((("l", _LOCKED),) if "FOR " in sql else ())):
        yield from ((table, right) for table in pattern.findall(sql) if table in TABLES)
    yield from ((table, "s") for table in TABLES & set(re.findall(r"[a-z_]+", sql)))


class Piece:
    """One piece of code."""

    def __init__(self) -> None:
        self.spoken: set[str] = set()
        """Names of attributes."""
        self.meant: set[tuple[str, str]] = set()
        """Module and name, of what is defined elsewhere or here."""
        self.texts: list[str] = []
        """Statements, and parts of them; what is put into one is `{}`."""


class Code:
    """The gateway's modules: what each defines, and what each name in it means."""

    def __init__(self) -> None:
        self.trees: dict[str, ast.Module] = {}
        for file in sorted((ROOT / "gateway").rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            self.trees[name] = ast.parse(file.read_text())
        self._pieces: dict[int, Piece] = {}
        self._names: dict[str, dict[str, tuple[str, str | None]]] = {}
        self.defined: dict[str, dict[str, ast.stmt]] = {}
        for name, tree in self.trees.items():
            self._names[name] = dict(self._imported(tree))
            self.defined[name] = dict(_defined(tree))

    def _imported(self, tree: ast.Module) -> Iterator[tuple[str, tuple[str, str | None]]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((one.asname or one.name, (one.name, None)) for one in node.names if one.name in self.trees)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                for one in node.names:
                    whole = f"{node.module}.{one.name}"
                    if whole in self.trees:
                        yield one.asname or one.name, (whole, None)
                    elif node.module in self.trees:
                        yield one.asname or one.name, (node.module, one.name)

    def imports(self, module: str) -> Iterator[str]:
        """Modules that this one imports."""
        yield from (other for other, _ in self._names[module].values())

    def piece(self, module: str, node: ast.AST) -> Piece:
        """What a piece of code speaks of and says; looked at once."""
        if (known := self._pieces.get(id(node))) is not None:
            return known
        names, own, piece = self._names[module], self.defined[module], Piece()
        for one in ast.walk(node):
            if isinstance(one, ast.Attribute):
                piece.spoken.add(one.attr)
                if (
                    isinstance(one.value, ast.Name)
                    and (other := names.get(one.value.id, ("", "")))
                    and other[1] is None
                ):
                    piece.meant.add((other[0], one.attr))
            elif isinstance(one, ast.Name):
                other = names.get(one.id, (module if one.id in own else "", one.id))
                if other[1] is not None:
                    piece.meant.add((other[0], other[1]))
            elif isinstance(one, ast.Constant) and isinstance(one.value, str):
                piece.texts.append(one.value)
            elif isinstance(one, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in one.values)
                piece.texts.append("".join(map(str, parts)))
            elif isinstance(one, ast.Call) and (table := _copied_into(one)):
                piece.texts.append(f"INSERT INTO {table}")
        piece.texts = [text for text in piece.texts if _SQL.search(text)]
        self._pieces[id(node)] = piece
        return piece


def _copied_into(call: ast.Call) -> str | None:
    to = call.func
    if isinstance(to, ast.Attribute) and to.attr == "copy_records_to_table" and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value)
    return None


def _defined(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    for node in tree.body:
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            yield node.name, node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from ((one.id, node) for one in ast.walk(target) if isinstance(one, ast.Name))


class Reach:
    """All code that may run in a process that starts at some modules."""

    def __init__(self, code: Code, *starts: str) -> None:
        self._code = code
        self.texts: list[str] = []
        self._spoken: set[str] = set()
        self._waiting: dict[str, list[tuple[str, ast.AST]]] = defaultdict(list)
        self._todo: list[tuple[str, ast.AST]] = [(name, one) for name in starts for one in code.trees[name].body]
        for module in self._modules(starts):
            if not module.startswith("gateway.storage"):
                plain = (one for one in code.trees[module].body if not isinstance(one, (*_FUNCTIONS, ast.ClassDef)))
                self._todo += ((module, one) for one in plain)
        done: set[int] = set()
        while self._todo:
            module, node = self._todo.pop()
            if id(node) not in done:
                done.add(id(node))
                self._take(module, node)

    def _modules(self, starts: tuple[str, ...]) -> set[str]:
        seen: set[str] = set()
        todo = list(starts)
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo += self._code.imports(module)
        return seen

    def _take(self, module: str, node: ast.AST) -> None:
        if not isinstance(node, ast.ClassDef):
            self._read(module, node)
            return
        for one in (*node.body, *node.bases, *node.decorator_list):
            if not isinstance(one, _FUNCTIONS):
                self._read(module, one)
            elif one.name.startswith("__") or one.decorator_list or one.name in self._spoken:
                self._todo.append((module, one))
            else:
                self._waiting[one.name].append((module, one))

    def _read(self, module: str, node: ast.AST) -> None:
        piece = self._code.piece(module, node)
        self.texts += piece.texts
        for other, name in piece.meant:
            if (found := self._code.defined.get(other, {}).get(name)) is not None:
                self._todo.append((other, found))
        for name in piece.spoken - self._spoken:
            self._todo += self._waiting.pop(name, ())
        self._spoken |= piece.spoken


def _filled(text: str) -> Iterator[str]:
    """A statement with each table that is put in at its open place."""
    if not _OPEN.search(text):
        yield text
        return
    (tables,) = [tables for part, tables in PUT_IN.items() if part in text] or [None]
    assert tables is not None, f"which tables are put in here? {text}"
    for table in tables:
        yield _OPEN.sub(rf"\1 {table}", text)


def needed(reach: Reach, functions: Mapping[str, str], triggers: Mapping[str, list[str]]) -> Rights:
    """Of each table, with what the database's own functions do in the name of who calls or sets them off.

    `functions`: their texts by name. `triggers`: by table, which it sets off.
    """
    rights: Rights = defaultdict(set)
    called: set[str] = set()
    texts = [whole for text in dict.fromkeys(reach.texts) for whole in _filled(text)]
    while texts:
        text = texts.pop()
        for table, right in asked_by(text):
            rights[table].add(right)
        set_off = {name for table, rest in triggers.items() if rights[table] & set("iud") for name in rest}
        fresh = (functions.keys() & (set(re.findall(r"([a-z_]+)\(", text)) | set_off)) - called
        called |= fresh
        texts += (functions[name] for name in fresh)
    return {table: found for table, found in rights.items() if found}
