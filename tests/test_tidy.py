"""House rules that a parser can check. An exemption names the rule and the file, and carries a reason."""

import ast
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from adapters.registry import PARTNERS
from gateway.storage.base import roles
from mock_partners.registry import PARTNERS as MOCKED
from tests.gateway import grants
from tests.partners import each

ROOT = Path(__file__).parent.parent
PACKAGES = ("contracts", "adapters", "gateway", "mock_partners")
PARTNER_FILES = frozenset(f"{name}.py" for name in ("__init__", "manifest", "wire", "sign", "mapping", "partner"))
NOT_OURS = frozenset({".git", ".venv", ".env", ".hypothesis", ".demo", "__pycache__", "build", "dist"})
FILE_LIMIT_LINES = 400
FUNCTION_LIMIT_LINES = 70
PURE = ("contracts", "adapters")
IMPURE_MODULES = frozenset(
    {
        *("aiohttp", "asyncio", "asyncpg", "http", "httpx", "litestar", "logging", "os", "random", "redis", "requests"),
        *("secrets", "socket", "structlog", "subprocess", "threading", "time"),
    }
)
CLOCKS_AND_ENTROPY = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid1", "uuid.uuid4")
_REGISTRIES = (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("deb", "debian", "org"), ("crates", "io"))
REGISTRY_HOSTS = tuple(".".join(parts) for parts in _REGISTRIES)
UNFINISHED = re.compile(r"\b(?:" + "TO" + "DO|FIX" + "ME|XX" + r"X)\b")
OWN_PATHS = re.compile(r"(?<![\w.*~-])/(?:work|root|home)/")
OF_PARTNERS = ("adapters/", "mock_partners/", "docs/partners/", "tests/partners/")
SKELETAL = re.compile(
    r"written yet|none read yet|none known yet|seen yet|a guess: see|Replace each question", re.IGNORECASE
)
A_HASH = re.compile(r"sha256:[0-9a-f]{64}")
SIXTEEN_DIGITS = re.compile(r"(?<![\d.])\d{16}(?![\d])")

EXEMPT: dict[tuple[str, str], str] = {
    ("nobody_sleeps_in_the_loop", "gateway/client/http.py"): "the synchronous client has no loop",
}
"""(rule, file) -> why the rule does not hold there. One that is no longer needed fails the test."""


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def nodes(text: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(text)))


Rule = Callable[[str, str], Iterator[str]]
CODE_RULES: dict[str, Rule] = {}
TEXT_RULES: dict[str, Rule] = {}


def code_rule(check: Rule) -> Rule:
    CODE_RULES[check.__name__] = check
    return check


def text_rule(check: Rule) -> Rule:
    TEXT_RULES[check.__name__] = check
    return check


@code_rule
def file_is_short(path: str, text: str) -> Iterator[str]:
    if (lines := text.count("\n")) > FILE_LIMIT_LINES:
        yield f"{lines} lines, {FILE_LIMIT_LINES} allowed"


@code_rule
def functions_are_short(path: str, text: str) -> Iterator[str]:
    for node in nodes(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LIMIT_LINES:
                yield f"{node.lineno}: {node.name} has {lines} lines, {FUNCTION_LIMIT_LINES} allowed"


@code_rule
def no_partner_is_singled_out(path: str, text: str) -> Iterator[str]:
    """What differs between partners is data in a manifest or code in the partner's folder."""
    if path.startswith(("adapters/", "mock_partners/")):
        return
    for node in nodes(text):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        for side in sides:
            elements = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
            for element in elements:
                if isinstance(element, ast.Constant) and str(element.value).lower() in PARTNERS:
                    yield f"{element.lineno}: compares with {element.value!r}"


@code_rule
def contracts_and_adapters_are_pure(path: str, text: str) -> Iterator[str]:
    if not path.startswith(tuple(f"{package}/" for package in PURE)):
        return
    for node in nodes(text):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.split(".")[0] in IMPURE_MODULES:
                yield f"{node.lineno}: imports {name}"
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(CLOCKS_AND_ENTROPY):
            yield f"{node.lineno}: asks {ast.unparse(node)}; it comes in Context"


@code_rule
def no_exception_is_swallowed(path: str, text: str) -> Iterator[str]:
    for node in nodes(text):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            silent = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
            if not caught or (caught in {"Exception", "BaseException"} and silent):
                yield f"{node.lineno}: except {caught} without a word"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}:
            for _ in {ast.unparse(argument) for argument in node.args} & {"Exception", "BaseException"}:
                yield f"{node.lineno}: suppresses every exception"


@code_rule
def nobody_sleeps_in_the_loop(path: str, text: str) -> Iterator[str]:
    for node in nodes(text):
        called = isinstance(node, ast.Attribute) and node.attr == "sleep" and ast.unparse(node) == "time.sleep"
        imported = isinstance(node, ast.ImportFrom) and node.module == "time" and "sleep" in ast.unparse(node)
        if called or imported:
            yield f"{node.lineno}: time.sleep"


@code_rule
def public_names_are_documented(path: str, text: str) -> Iterator[str]:
    tree = parsed(text)
    if ast.get_docstring(tree) is None:
        yield "1: the module has no docstring"
    named = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in named:
        if not node.name.startswith("_") and ast.get_docstring(node) is None:
            yield f"{node.lineno}: {node.name} has no docstring"


@text_rule
def every_nik_is_synthetic(path: str, text: str) -> Iterator[str]:
    """A made-up person's NIK ends in 99xx: no office registers that many births of one day. 0000 is never issued."""
    for found in SIXTEEN_DIGITS.finditer(A_HASH.sub("", text)):
        digits = found[0]
        day, month = int(digits[6:8]), int(digits[8:10])
        looks_like_one = 11 <= int(digits[:2]) <= 96 and (1 <= day <= 31 or 41 <= day <= 71) and 1 <= month <= 12
        if looks_like_one and digits[12:14] != "99" and digits[12:] != "0000":
            line = text.count("\n", 0, found.start()) + 1
            yield f"{line}: a 16-digit number that could be a real NIK"


@text_rule
def nothing_is_left_for_later(path: str, text: str) -> Iterator[str]:
    for found in UNFINISHED.finditer(text):
        yield f"{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"


@text_rule
def no_sentence_of_the_skeleton_is_left(path: str, text: str) -> Iterator[str]:
    """What `gateway new-partner` says of a partner that is not written is untrue of one that is."""
    for found in SKELETAL.finditer(text) if path.startswith(OF_PARTNERS) else ():
        yield f"{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"


@text_rule
def no_package_registry_is_named(path: str, text: str) -> Iterator[str]:
    """Where packages come from is the machine's business: its index may be another."""
    for host in REGISTRY_HOSTS:
        if host in text:
            yield f"names {host}"


@text_rule
def no_path_of_one_machine(path: str, text: str) -> Iterator[str]:
    for found in OWN_PATHS.finditer(text):
        yield f"{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"


def project_files() -> list[str]:
    """Every file that belongs to the project, found without git: a machine that runs the tests need not have it."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith((".egg-info", "_cache"))]
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files if name not in NOT_OURS]
    return sorted(found)


def read(path: str) -> str:
    content = (ROOT / path).read_bytes()
    # A picture says nothing: by chance its bytes spell any short word.
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


def code_files() -> list[str]:
    return [path for path in project_files() if path.endswith(".py") and path.split("/")[0] in PACKAGES]


@pytest.fixture(scope="module", autouse=True)
def nothing_is_kept() -> Iterator[None]:
    """The trees of all modules are a hundred megabytes."""
    yield
    parsed.cache_clear()
    nodes.cache_clear()


@pytest.mark.parametrize("rule", [*CODE_RULES, *TEXT_RULES])
def test_rule_holds(rule: str) -> None:
    check, paths = (CODE_RULES[rule], code_files()) if rule in CODE_RULES else (TEXT_RULES[rule], project_files())
    broken = {path: found for path in paths if (found := list(check(path, read(path))))}
    unexplained = [f"{path}:{line}" for path, found in broken.items() if (rule, path) not in EXEMPT for line in found]
    needless = [path for name, path in EXEMPT if name == rule and path not in broken]
    assert unexplained == []
    assert needless == [], "these exemptions are no longer needed"


def test_partner_folders_have_the_same_anatomy() -> None:
    folders = {path.parent.name: path.parent for path in (ROOT / "adapters").glob("*/manifest.py")}
    assert folders.keys() == PARTNERS.keys(), "each folder has its line in adapters/registry.py, and no line is without"
    assert folders.keys() == MOCKED.keys(), "each partner has its line in mock_partners/registry.py too"
    for name, folder in folders.items():
        # A NIK check that is not SNAP's stands in a module of its own; notifications where the partner sends some.
        assert {path.name for path in folder.glob("*.py")} - {"identity.py", "callbacks.py"} == PARTNER_FILES, name


ADAPTER_LINES = 500
"""How many lines a SNAP wallet's adapter may have, blank lines and docstrings of its `*.py` included: what SNAP says of
it stands in the house, what every manifest says in `adapters/facts.py`.
"""
LARGER = {"snap": 950} | {slug: own.LARGER[0] for slug, own in each("").items() if hasattr(own, "LARGER")}
"""Folders of `adapters/` that may be larger: the house, where the standard and what answers belong to
another request stand once, and partners of which
`tests/partners/<partner>/__init__.py` says how much larger, and why. Take away what is said twice before a figure there
is raised (ADR 20); docs/adding-a-partner.md says what belongs where.
"""
ROOMS = 9
FLOORS = ("gateway/services", "gateway/storage")


def too_large(lines: dict[str, int]) -> list[str]:
    """Those folders of `adapters/`, by their lines, that grew beyond what is said of them."""
    return [
        f"adapters/{name}: {found} lines, {most} allowed"
        for name, found in sorted(lines.items())
        if found > (most := LARGER.get(name, ADAPTER_LINES))
    ]


def top(folder: Path) -> set[str]:
    """What somebody sees who opens a floor: its rooms, and modules beside them."""
    rooms = {path.name for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    return rooms | {path.stem for path in folder.glob("*.py") if path.name != "__init__.py"}


def test_adapters_do_not_grow_back() -> None:
    lines: dict[str, int] = {}
    for path in code_files():
        package, *folder, _ = path.split("/")
        if package == "adapters" and folder:
            lines[folder[0]] = lines.get(folder[0], 0) + read(path).count("\n")
    assert lines.keys() == PARTNERS.keys() | {"snap"}
    assert LARGER.keys() <= lines.keys(), "of folders that are there"
    why = "take away what is said twice, or say why it needs more: `LARGER` in tests/partners/<partner>/__init__.py"
    assert too_large(lines) == [], why


def test_a_line_too_many_is_seen() -> None:
    at_most = {"snap": LARGER["snap"], "newpay": ADAPTER_LINES}
    assert too_large(at_most) == []
    for name, lines in at_most.items():
        assert len(too_large(at_most | {name: lines + 1})) == 1


DOMAIN = ("contracts", *(f"gateway/{room}" for room in ("services", "storage", "partners", "security", "worker")))


def public_types(text: str) -> set[str]:
    """The classes that a module defines for others, and its names for unions of them."""
    named: set[str] = set()
    for node in parsed(text).body:
        if isinstance(node, ast.ClassDef):
            named.add(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
            named |= {target.id for target in node.targets if isinstance(target, ast.Name) and not target.id.isupper()}
    return {name for name in named if not name.startswith("_")}


def repeated(texts: dict[str, str]) -> dict[str, list[str]]:
    """Names that stand in more than one module, with these."""
    found: dict[str, list[str]] = {}
    for path, text in texts.items():
        for name in public_types(text):
            found.setdefault(name, []).append(path)
    return {name: sorted(paths) for name, paths in found.items() if len(paths) > 1}


def test_a_word_means_one_thing() -> None:
    texts = {path: read(path) for path in code_files() if path.startswith(tuple(f"{folder}/" for folder in DOMAIN))}
    assert repeated(texts) == {}, "give one of the two another name (docs/glossary.md)"


def test_a_word_with_two_meanings_is_seen() -> None:
    texts = {"contracts/a.py": "class Verdict: ...\nNotice = Verdict | int", "gateway/services/b.py": "class Plan: ..."}
    assert repeated(texts) == {}
    for text in ("class Verdict: ...", "class Notice: ...", "Notice = int | str", "class Plan: ..."):
        assert len(repeated(texts | {"gateway/services/c.py": text})) == 1
    assert repeated(texts | {"gateway/services/c.py": "class _Plan: ..."}) == {}, "what a module keeps to itself may"


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_has_few_rooms(floor: str) -> None:
    assert 1 < len(top(ROOT / floor)) <= ROOMS, f"{floor}: find the room it belongs to, or make two rooms one"


def test_rooms_and_modules_count_and_nothing_else(tmp_path: Path) -> None:
    for name in ("__init__.py", "each.py", "ops/__init__.py", "__pycache__/each.pyc", "schema/0001_a.sql", "note.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert top(tmp_path) == {"each", "ops"}


NIK_OF_NO_ONE = "3171010101909" + "901"
NIK_OF_SOMEONE = "317101010190" + "0001"


@pytest.mark.parametrize(
    ("rule", "path", "bad", "good"),
    [
        ("file_is_short", "gateway/a.py", "x = 1\n" * 401, "x = 1\n" * 400),
        ("functions_are_short", "gateway/a.py", "def f():\n" + "    x = 1\n" * 70, "def f():\n" + "    x = 1\n" * 69),
        ("no_partner_is_singled_out", "gateway/a.py", "if slug == 'ovo': ...", "if slug == name: ..."),
        ("no_partner_is_singled_out", "gateway/a.py", "if slug in ('x', 'bni'): ...", "PARTNERS['bni']"),
        ("no_partner_is_singled_out", "gateway/a.py", "match p:\n case 'gopay': ...", "match p:\n case Gopay(): ..."),
        ("contracts_and_adapters_are_pure", "contracts/a.py", "import os.path", "import msgspec"),
        ("contracts_and_adapters_are_pure", "adapters/a.py", "from time import time", "from timezone import time"),
        ("contracts_and_adapters_are_pure", "adapters/a.py", "datetime.now(UTC)", "ctx.now"),
        ("no_exception_is_swallowed", "gateway/a.py", "try: f()\nexcept: g()", "try: f()\nexcept OSError: g()"),
        ("no_exception_is_swallowed", "gateway/a.py", "try: f()\nexcept Exception: pass", "try: f()\nfinally: g()"),
        ("no_exception_is_swallowed", "gateway/a.py", "with suppress(Exception): f()", "with suppress(OSError): f()"),
        ("nobody_sleeps_in_the_loop", "gateway/a.py", "time.sleep(1)", "asyncio.sleep(1)"),
        ("nobody_sleeps_in_the_loop", "gateway/a.py", "from time import sleep", "from time import monotonic"),
        ("public_names_are_documented", "gateway/a.py", "x = 1", '"""X."""'),
        ("public_names_are_documented", "gateway/a.py", '"""X."""\ndef f(): ...', '"""X."""\ndef _f(): ...'),
        ("every_nik_is_synthetic", "a.csv", f"1,{NIK_OF_SOMEONE},x", f"1,{NIK_OF_NO_ONE},x"),
        ("nothing_is_left_for_later", "a.py", "# TO" + "DO: x", "# to do"),
        ("no_sentence_of_the_skeleton_is_left", "mock_partners/x/README.md", "Nothing is written yet", "Written by us"),
        ("no_package_registry_is_named", "a.toml", "https://pypi." + "org/simple", "index"),
        ("no_path_of_one_machine", "a.md", "see /" + "work/x", "see docs/work/x"),
    ],
)
def test_each_rule_catches_its_bug(rule: str, path: str, bad: str, good: str) -> None:
    check = (CODE_RULES | TEXT_RULES)[rule]
    assert list(check(path, bad))
    assert not list(check(path, good))


def test_every_table_says_who_may_do_what_with_it() -> None:
    """Without a line in `roles.RIGHTS` no process may read it; which letters, `tests/gateway/test_roles.py` tells."""
    assert roles.RIGHTS.keys() == grants.TABLES
