"""What documents name is there: files, links, functions on the walks, sections of the facts about partners."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from adapters.registry import PARTNERS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "mock_partners").rglob("*.md")),
]
CODE = [path for folder in ("contracts", "adapters", "gateway") for path in sorted((ROOT / folder).rglob("*.py"))]
QUOTED = re.compile(r"`([^`\n]+)`|\]\(([^)#\s:]+)\)")
PATH = re.compile(r"(?<![\w/.{<*$])(?:[\w<>-]+/)+[\w<>-]+\.(?:py|md|sql|toml|csv)\b")
NAME = re.compile(r"[a-z_]+|[A-Z][a-z]+(?:\.[a-z_]+)?|[A-Z][a-z]+[A-Z][A-Za-z]+")
DECISION = re.compile(r"\bdecisions? ((?:[XBGOLDS][0-9]+(?:, | and |-)?)+)")


NOT_YET = {"docs/partners/<partner>.md"}
"""Written by who adds a partner."""


def is_there(named: str, document: Path) -> bool:
    """Relative to the project, the gateway's package, the mocks', or the document itself."""
    path = named.replace("<partner>", "bni")
    return any((folder / path).exists() for folder in (ROOT, ROOT / "gateway", ROOT / "mock_partners", document.parent))


def missing(document: Path) -> Iterator[str]:
    for found in QUOTED.finditer(document.read_text()):
        text = found[1] or found[2]
        for path in [text] if found[2] else PATH.findall(text):
            if not is_there(path, document):
                yield path


def test_files_and_links_are_there() -> None:
    lost = {f"{document.relative_to(ROOT)}: {path}" for document in DOCUMENTS for path in missing(document)}
    assert {one for one in lost if one.partition(": ")[2] not in NOT_YET} == set()


def test_every_document_is_found_from_the_first() -> None:
    """A decision record from its folder, a partner's facts from theirs."""
    linked = {ROOT / (found[1] or found[2]) for found in QUOTED.finditer((ROOT / "README.md").read_text())}
    held = sorted((ROOT / "docs").rglob("*.md"))
    assert [document for document in held if linked.isdisjoint((document, document.parent))] == []


def test_the_walks_name_what_the_files_hold() -> None:
    for item in re.split(r"\n(?=\d+\. |## )", (ROOT / "docs/walk.md").read_text()):
        bold = re.match(r"\d+\. \*\*`([^`]+)`\*\*", item)
        if bold is None:
            continue
        named = [bold[1], *PATH.findall(item), *re.findall(r"`(\w+\.py)`", item)]
        folders = [ROOT, ROOT / "gateway", *(ROOT / "gateway/routes").iterdir(), *(ROOT / "gateway/services").iterdir()]
        files = {folder / name.replace("<partner>", "bni") for name in named for folder in folders}
        files |= {file.parent.parent / "gopay" / file.name for file in files if "<partner>" in bold[1]}
        held = (
            "\n".join(file.read_text() for file in files if file.is_file()) + (ROOT / "contracts/payout.py").read_text()
        )
        for name in re.findall(r"`([^`]+)`", item):
            last = name.rpartition(".")[2]
            assert not NAME.fullmatch(name) or re.search(rf"\b{last}\b", held), f"{bold[1]} holds no {name}"


def test_code_names_documents_and_decisions_that_exist() -> None:
    decided = set(
        re.findall(r"^- \*\*([XBGOLDS][0-9]+)\*\*", (ROOT / "docs/partners/decisions.md").read_text(), re.MULTILINE)
    )
    for path in CODE:
        text = path.read_text()
        for named in re.findall(r"\bdocs/[\w/-]+\.md\b", text):
            assert (ROOT / named).exists(), f"{path}: {named}"
        for found in DECISION.finditer(text):
            named = set(re.findall(r"[XBGOLDS][0-9]+", found[1]))
            assert named <= decided, f"{path}: decisions {named - decided}"
        assert not re.search(r"\bdesign (?:section )?[0-9]", text), f"{path}: the project has no such document"


def test_every_point_of_security_names_a_test_a_reason_or_what_is_open() -> None:
    """That the files are there is looked at above; here, that each of them tests something."""
    text = (ROOT / "docs/security.md").read_text()
    rows = re.findall(r"^\| (V[0-9]+[^|]*)\|([^|]*)\| ([^|]*)\|$", text, re.MULTILINE)
    assert len(rows) > 30
    for chapter, point, state in rows:
        tests: list[str] = re.findall(r"`(tests/[\w/.]+)`", state)
        shown = "met" in state and (tests or "contracts" in state)
        assert shown or "**open**" in state or state.startswith("n/a"), f"{chapter}{point}: not shown, open or n/a"
        for path in tests:
            file = ROOT / path
            held = file.is_dir() or re.search(r"^(async )?def test_", file.read_text(), re.MULTILINE)
            assert held, f"{path} tests nothing"


MODULES = {name: f"adapters.{name}" for name in ("accounts", "answers", "paging", "rsa")} | {
    name: f"adapters.snap.{name}" for name in ("calls", "links", "values")
}
"""What docs/adding-a-partner.md writes before a point; `kit` is the mocks'."""
OF_MODULE = re.compile(r"(?<![\w/.])(kit(?:\.[a-z_]+)*|[a-z]+)\.(?!py\b)([A-Za-z_]+)")


def is_held(module: str, name: str) -> bool:
    held = importlib.import_module(MODULES.get(module, f"mock_partners.{module}"))
    below = {path.stem for folder in getattr(held, "__path__", ()) for path in Path(folder).iterdir()}
    return hasattr(held, name) or name in below


def test_what_fills_the_blanks_of_a_partner_is_there() -> None:
    quoted = re.findall(r"`([^`\n]+)`", (ROOT / "docs/adding-a-partner.md").read_text())
    named = {(found[1], found[2]) for text in quoted for found in OF_MODULE.finditer(text)}
    ours = {(module, name) for module, name in named if module in MODULES or module.startswith("kit")}
    assert len(ours) > 20
    assert [f"{module}.{name}" for module, name in sorted(ours) if not is_held(module, name)] == []


def test_who_begins_to_read_is_told_of_every_partner() -> None:
    text = (ROOT / "README.md").read_text()
    unnamed = [one.manifest.name for one in PARTNERS.values() if one.manifest.name not in text]
    assert unnamed == [], "name it in README.md, beside the others"
