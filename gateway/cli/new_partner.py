"""`gateway new-partner`: the skeleton of a partner, to be filled from its fact sheet (docs/adding-a-partner.md)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import terminal
from gateway.clock import JAKARTA
from gateway.skeleton import new_partner as write


def new_partner(
    name: Annotated[str, typer.Argument(help="2 to 12 letters a to z: folders, settings, the word in the API.")],
) -> None:
    """Write the skeleton of a partner into the project's tree, its line into both registries, its mock's address into
    the compose files.

    Run it in the project's folder. It writes adapters/NAME (a SNAP wallet that links by a page and pays in one step),
    mock_partners/NAME, a fact sheet in docs/partners with the questions to answer, and tests/partners/NAME.

    `make check` passes at once. What is not written yet fails when it is called, with a message that says what to
    write: the contract suite asks for one thing after the other. A partner that is not SNAP keeps the anatomy and
    writes its own sign.py, wire.py and mapping.py, as docs/adding-a-partner.md says.
    """
    for path in write(Path.cwd(), name, datetime.now(JAKARTA).date()):
        terminal().print(path)
    terminal().print(
        f"\nnext: answer what docs/partners/{name}.md asks; docs/adding-a-partner.md says what then. After each step:\n"
        f'  make check\n  make tests ARGS="tests/contract/test_manifest.py -k {name}"'
    )
