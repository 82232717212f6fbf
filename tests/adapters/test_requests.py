"""The bytes that leave, signed, for fixed contexts: what was recorded once is what is asked today.

A partner may depend on the order of keys and headers though its documents do not say so, and a signature of another
text is refused. Where a request is changed on purpose, record anew: `python -m tests.adapters.test_requests`, and read
the difference.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.registry import PARTNERS
from tests.adapters.story import TIMES, story

FOLDER = Path(__file__).parent / "requests"


def recording(slug: str) -> dict[str, list[dict[str, Any]]]:
    """What was recorded of a partner's requests, by operation and time."""
    path = FOLDER / f"{slug}.json"
    assert path.exists(), "record what it asks, and read it: python -m tests.adapters.test_requests"
    told: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    return told


@pytest.mark.parametrize("slug", sorted(PARTNERS))
def test_every_request_is_the_recorded_one(slug: str) -> None:
    recorded = recording(slug)
    asked = story(PARTNERS[slug])
    assert sorted(asked) == sorted(recorded)
    for name, requests in asked.items():
        assert requests == recorded[name], name
        for now, then in zip(requests, recorded[name], strict=True):
            assert list(now["headers"].items()) == list(then["headers"].items()), f"{name}: order of headers"


@pytest.mark.parametrize("slug", sorted(PARTNERS))
def test_the_recording_holds_every_operation(slug: str) -> None:
    """Each one that the partner offers, at each time, and of a payment all up to its WRITE."""
    recorded = recording(slug)
    names = {name.split()[0].split(".")[0] for name in recorded}
    money = {"prepare", "approve", "withdraw"} if PARTNERS[slug].manifest.two_step else {"payout"}
    tokens = {"fetch_token"} if PARTNERS[slug].manifest.tokens else set[str]()
    assert names >= money | tokens | {"verify_nik", "find_payout", "statement", "unlink"}
    assert len(recorded) % len(TIMES) == 0
    assert all(recorded[name][-1]["effect"] == "write" for name in recorded if name.startswith("payout "))


def main() -> None:
    """Record what is asked today."""
    for slug, partner in PARTNERS.items():
        text = json.dumps(story(partner), indent=1, ensure_ascii=False)
        (FOLDER / f"{slug}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
