"""docs/api.md, typed word by word: from nothing to linked, verified, paid and told by webhook."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_UP_S, _TYPED_S = 300.0, 150.0


def typed() -> str:
    """What the section says to type, in its order."""
    section = (ROOT / "docs/api.md").read_text("utf-8").partition("## Ten minutes")[2].partition("\n## ")[0]
    blocks = _BLOCK.findall(section)
    assert len(blocks) >= 5
    return "".join(blocks)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Path]:
    """`make demo ARGS="--keep"`, up to the line that it prints once it has said what the audit found."""
    screen = tmp_path / "screen"
    with screen.open("wb") as written:
        demo = subprocess.Popen(
            [sys.executable, "-m", "gateway", "demo", "--keep"],
            cwd=ROOT, stdout=written, stderr=written, start_new_session=True,
        )  # fmt: skip
    try:
        give_up = time.monotonic() + _UP_S
        while (found := re.search(r"\. (/\S+/settings\.sh)", screen.read_text("utf-8"))) is None:
            assert demo.poll() is None and time.monotonic() < give_up, screen.read_text("utf-8")[-2_000:]
            time.sleep(0.5)
        assert ", nobody twice; " in screen.read_text("utf-8"), screen.read_text("utf-8")[-2_000:]
        yield Path(found[1])
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(60)


def test_word_by_word(settings: Path, tmp_path: Path) -> None:
    script = f". {settings}\nPWD={ROOT}\n{typed()}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-m", "-c", script],
        cwd=tmp_path,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=_TYPED_S,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert "incentive.changed awaiting_link" in said, "told by webhook"
    assert re.search(r"incentive\.changed paid None\n", said), said
    assert re.search(r"^paid$", said, re.MULTILINE), "and by the API"
    assert said.count("0115476151") == 1, "booked once at the partner"
