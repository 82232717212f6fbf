"""The skeleton of a partner: the files below this folder, laid out as in the tree; the partner is called *contoh*.

Making one is copying them under another name, adding its line to each registry and its mock to the compose files.
Nothing is interpreted: a file that lies there reads as it will read, with `.txt` behind its name, so that nobody takes
it for code of the gateway.
"""

from __future__ import annotations

import keyword
import re
from datetime import date
from pathlib import Path

from contracts.errors import InvalidRequest

SKELETON = Path(__file__).parent
EXAMPLE, EXAMPLE_DAY = "contoh", "date(2001, 1, 1)"
NAME = re.compile(r"[a-z]{2,12}", re.ASCII)
REGISTRIES = ("adapters/registry.py", "mock_partners/registry.py")
COMPOSE = ("docker-compose.yml", "docker-compose.ha.yml")
_ADDRESS = re.compile(r"^( +)[A-Z]+_BASE_URL: (http://\S+:)(\d+)\n", re.MULTILINE)
_TREE = "Stand in the project's folder: `adapters/registry.py` and `mock_partners/registry.py` must be below it."


def new_partner(root: Path, name: str, today: date) -> list[str]:
    """Write the skeleton of partner `name` into the tree at `root` and enter it in both registries; the paths written.

    Raises `InvalidRequest`, and has changed nothing then: a name that cannot be one or is taken, no tree.
    """
    if NAME.fullmatch(name) is None or keyword.iskeyword(name):
        raise InvalidRequest(
            "A partner's name is 2 to 12 letters a to z and no word of Python.",
            field="name",
            remedy="It names folders, settings and the word in the API: `gateway new-partner dana`.",
        )
    if not all((root / registry).is_file() for registry in REGISTRIES):
        raise InvalidRequest("This is not the project's tree.", remedy=_TREE)
    files = {
        root / _named(path.relative_to(SKELETON).as_posix().removesuffix(".txt"), name): path
        for path in sorted(SKELETON.rglob("*.txt"))
    }
    folders = {root / package / name for package in ("adapters", "mock_partners", "tests/partners")}
    modules = {folder.with_suffix(".py") for folder in folders}
    taken = sorted(str(path.relative_to(root)) for path in {*files, *folders, *modules} if path.exists())
    if taken:
        raise InvalidRequest(
            f"{taken[0]} is there already.",
            field="name",
            remedy="Take another name, or remove what is left of an earlier try: its files, and its registry lines.",
        )
    registries = {root / path: _entered((root / path).read_text("utf-8"), name) for path in REGISTRIES}
    registries |= {
        root / path: _composed(path, (root / path).read_text("utf-8"), name)
        for path in COMPOSE
        if (root / path).is_file()
    }
    for target, source in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_made(source.read_text("utf-8"), name, today), "utf-8")
    for target, text in registries.items():
        target.write_text(text, "utf-8")
    return [str(path.relative_to(root)) for path in (*files, *registries)]


def _named(text: str, name: str) -> str:
    for example, ours in ((EXAMPLE, name), (EXAMPLE.capitalize(), name.capitalize()), (EXAMPLE.upper(), name.upper())):
        text = text.replace(example, ours)
    return text


def _made(text: str, name: str, today: date) -> str:
    """A file of the skeleton under its name, its imports in the order that this name gives them."""
    made = _named(text, name).replace(EXAMPLE_DAY, f"date({today.year}, {today.month}, {today.day})")
    return _sorted_imports(made.splitlines(keepends=True))


def _sorted_imports(lines: list[str]) -> str:
    """Runs of one-line imports sorted by module, as the linter wants them."""
    done: list[str] = []
    run: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("from ") and not line.endswith("(\n"):
            run.append(line)
            continue
        done += [*sorted(run, key=lambda each: each.split()[1]), line]
        run = []
    return "".join(done)


def _entered(registry: str, name: str) -> str:
    """A registry with the partner's line last, as its order gives the mocks' ports."""
    head, opened, rest = registry.partition("PARTNERS: dict[")
    body, closed, tail = rest.partition("\n}\n")
    if not opened or not closed or "\n" not in head:
        raise InvalidRequest("A registry has no `PARTNERS: dict[...] = {` to add a line to.", remedy=_TREE)
    value = "PHONE"
    if "from adapters." in head:
        value = name.upper()
        ours = f"from adapters.{name} import PARTNER as {value}\n"
        head = _sorted_imports(head.replace("from adapters.", f"{ours}from adapters.", 1).splitlines(keepends=True))
    return f'{head}{opened}{body}\n    "{name}": {value},{closed}{tail}'


def _composed(path: str, text: str, name: str) -> str:
    """The services with the partner's mock behind the last one: its address, its port and its health."""
    if not (found := [*_ADDRESS.finditer(text)]):
        raise InvalidRequest(f"{path} has no `..._BASE_URL: http://mocks:...` to add a line behind.", remedy=_TREE)
    indent, host, port = (last := found[-1]).groups()
    following = f"{int(port) + 1}"
    text = f"{text[: last.end()]}{indent}{name.upper()}_BASE_URL: {host}{following}\n{text[last.end() :]}"
    text = re.sub(rf"(\d+)-{port}:\1-{port}", rf"\1-{following}:\1-{following}", text)
    return text.replace(f"{port})", f"{port}, {following})")
