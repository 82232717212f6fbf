"""Every command and operation that a document, a remedy or a help names is there."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from gateway.api.app import create_app
from gateway.cli import app
from tests.test_documents import CODE, DOCUMENTS, ROOT

COMMAND = re.compile(
    r"`(?:\.venv/bin/)?gateway\s+([^`]+)`|^ *(?:\$ )?(?:\.venv/bin/)?gateway ([a-z][^\n`|]*)", re.MULTILINE
)
OPERATION = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/(?:v1|oauth|ops|connect|callbacks|health)/[\w/{}.-]*)")
OF_PARTNERS = (
    "adapters",
    "docs/partners",
    "docs/workbench.md",
    "mock_partners",
    "gateway/ops/templates/participant.html",
)
"""Where operations are a partner's, or only the beginning of one stands."""
SAID = [
    *DOCUMENTS, ROOT / "CHANGELOG.md", *CODE, *sorted((ROOT / "gateway").rglob("*.html")),
    *sorted((ROOT / "monitoring").iterdir()),
]  # fmt: skip


def unknown_commands(text: str) -> Iterator[str]:
    """What stands there as a command of ours, or as an option of one, and is none."""
    for found in COMMAND.finditer(text.replace("<partner>", "bni").replace("PARTNER", "bni")):
        command: Any = typer.main.get_command(app)
        words = [word.strip("`.,;:()\"'[]") for word in (found[1] or found[2]).split()]
        if found[2] and within(command, words[0]) is None:
            continue  # a line of prose that begins so
        while words and (below := within(command, words[0])) is not None:
            command, words = below, words[1:]
        options = {one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)}
        named = [word.partition("=")[0] for word in words if word.startswith("--")]
        if words and hasattr(command, "get_command") and re.fullmatch(r"[a-z][a-z-]+", words[0]):
            named.append(words[0])
        yield from (f"{found[0].strip()}: {one}" for one in named if one not in {*options, "--help"})


def within(group: Any, name: str) -> Any:
    """A command of a group; None where there is none, or it is no group."""
    return group.get_command(typer.Context(group), name) if hasattr(group, "get_command") else None


def unknown_operations(text: str) -> Iterator[str]:
    """What stands there as an operation of ours, and is none."""
    for found in OPERATION.finditer(text):
        path = re.sub(r"\{[^}]*\}|\.\.\.", "1", found[2].rstrip(".,;:)")).rstrip("/")
        if not any(found[1] in methods and re.fullmatch(form, path) for form, methods in served().items()):
            yield found[0]


@functools.cache
def served() -> dict[str, set[str]]:
    """Each address as a pattern, with its methods."""
    routes: Any = create_app(core=SimpleNamespace()).routes  # type: ignore[arg-type]
    return {re.sub(r"\{\w+:\w+\}", "[^/]+", one.path): set(getattr(one, "methods", ())) for one in routes}


def test_commands_and_operations_that_are_named_are_there() -> None:
    """In documents, help, remedies and comments alike: a remedy that leads nowhere is none."""
    wrong = []
    for path in SAID:
        text, name = path.read_text(), str(path.relative_to(ROOT))
        wrong += [f"{name}: {one}" for one in unknown_commands(text)]
        if not name.startswith(OF_PARTNERS):
            wrong += [f"{name}: {one}" for one in unknown_operations(text)]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "`gateway partners holdz`", "`gateway payouts show 7 --all`", "    gateway cases shut 7 why\n",
        "ask `gateway\nclients rotat`", "`POST /v1/batches/{batch_id}/halt`", "DELETE /v1/incentives/7",
    ],
)  # fmt: skip
def test_a_command_or_operation_that_is_not_there_is_seen(text: str) -> None:
    assert [*unknown_commands(text), *unknown_operations(text)]
