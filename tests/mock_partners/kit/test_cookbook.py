"""Every scenario of the cookbook is good, says where it comes from, and fires all of its rules."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from mock_partners.cli import main
from mock_partners.kit.notify import Notice, Notifier
from mock_partners.kit.scenario import parse_scenario
from mock_partners.pytest import PartnerInProcess
from tests.mock_partners.kit.staged import ACCOUNT, OTHER, WORLD, Stage, bank_rules

COOKBOOK = sorted(Path(str(resources.files("mock_partners"))).glob("cookbook/*.toml"))
NAMES = [path.stem for path in COOKBOOK]


def test_there_are_twenty() -> None:
    assert len(COOKBOOK) >= 20


@pytest.mark.parametrize("path", COOKBOOK, ids=NAMES)
def test_each_is_good_and_says_where_it_comes_from(path: Path) -> None:
    scenario = parse_scenario(path.read_text(), path.name)
    assert scenario.title
    assert any(word in scenario.source for word in (".md", "decisions", "incident"))
    told = CliRunner().invoke(main, ["scenario", "check", str(path)])
    assert (told.exit_code, told.output.splitlines()[0]) == (0, f"{path.name}: {len(scenario.rules)} rules, good")
    assert scenario.title in CliRunner().invoke(main, ["scenario", "explain", str(path)]).output


async def busy_day(stage: Stage) -> None:
    """What a programme does in a day: link, verify, pay, look up, read the statement; faults are taken as they come."""

    async def attempt(step: Callable[[], object]) -> None:
        with contextlib.suppress(httpx.TransportError, AssertionError, KeyError, ValueError, IndexError):
            await step()  # type: ignore[misc]

    token = ""
    for each in (stage.snap, stage.autopay):
        await attempt(each.authenticate)
    for number in (1, 2):
        with contextlib.suppress(httpx.TransportError, AssertionError, KeyError, ValueError, IndexError):
            token = await stage.link(f"B{number}")
    for _ in range(3):
        await attempt(lambda: stage.check_nik(token))
    for number in range(10):
        reference, account = f"R{number:02d}", (ACCOUNT, OTHER)[number % 2]
        for _ in range(2):
            await attempt(lambda r=reference, a=account: stage.transfer_reply(r, a))  # type: ignore[misc]
            await attempt(lambda r=reference: stage.status_reply(r))  # type: ignore[misc]
            await attempt(stage.snap.authenticate)
    await attempt(stage.rows)
    await attempt(stage.balance)
    await stage.partner.advance(600)
    for _ in range(3):
        await attempt(stage.snap.authenticate)
        await attempt(stage.transfer_reply)


async def nothing(_seconds: float) -> None:
    """Waits of a scenario pass at once here."""


@pytest.mark.parametrize("path", COOKBOOK, ids=NAMES)
async def test_each_fires_its_rules(
    path: Path, mock_partner: Callable[..., PartnerInProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = parse_scenario(path.read_text(), path.name)
    stage = Stage(mock_partner("bni", WORLD))
    monkeypatch.setattr(stage.scheduler, "sleep", nothing)
    stage.partner.set_scenario(path)
    await busy_day(stage)
    assert [name for name, fired in bank_rules(stage.partner).items() if not fired] == []
    gopay = mock_partner("gopay", scenario=path)

    async def taken(_url: str, _notice: Notice) -> int:
        return 200

    notifier = Notifier(gopay.mock.scheduler, "http://gateway.test", taken)
    for number in range(5 if any(rule.for_notices for rule in scenario.rules) else 0):
        headers = {"Iris-Signature": "00"}
        notifier.post(Notice("POST", "/callbacks/gopay/iris", b'{"n":"%d"}' % number, headers))
    noticed = {rule.name for rule in scenario.of("gopay") if rule.for_notices}
    assert [name for name, fired in bank_rules(gopay).items() if name in noticed and not fired] == []
