"""What axe, the accessibility checker, finds on a page that is open."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest

WIDTHS = {"phone": (390, 844), "wide": (1920, 1080)}
SCHEMES = ("light", "dark")

pytest.importorskip(
    "axe_playwright_python",
    reason="the accessibility tests were NOT run: axe-playwright-python is not installed; rebuild .venv with `make`",
)


def faults(page: Any) -> list[str]:
    """Every rule that the page breaks, with the element, and whether it is wider than the screen, at both widths; and
    what cannot be read once the device is set to dark, which changes colours and nothing else.

    The script is evaluated as the developer console would: the pages' own policy allows none of ours.
    """
    found = []
    for name, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text())
        found += _broken(page, name, "axe.run()")
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found.append(f"{name}: wider than the screen")
    page.emulate_media(color_scheme="dark")
    found += _broken(page, "dark", "axe.run({runOnly: ['color-contrast']})")
    page.emulate_media(color_scheme="light")
    return found


def _broken(page: Any, name: str, run: str) -> list[str]:
    broken = page.evaluate(f"async () => (await {run}).violations")
    return [f"{name}: {one['id']}: {node['html'][:160]}" for one in broken for node in one["nodes"]]
