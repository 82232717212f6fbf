"""What acts where: a rule that can do nothing at its partner is refused, one that does something somewhere is told."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mock_partners.cli import main
from mock_partners.kit.host import read_scenario
from mock_partners.kit.scenario import ScenarioError
from mock_partners.kit.scenario.reach import EVERYWHERE, GROUPS, OF_ATOM, reached, table
from mock_partners.kit.scenario.roles import REACH, concerns
from mock_partners.kit.scenario.vocabulary import DO, NEEDS, Part
from mock_partners.kit.turn import Turn
from mock_partners.registry import PARTNERS
from tests.mock_partners.kit.staged import toml
from tests.mock_partners.signers import ENDPOINTS
from tests.mock_partners.test_signers import Stage
from tests.partners.kit import Endpoint

QA = Path(__file__).parents[3] / "docs" / "qa.md"
VALUES = {
    "nik_check": '"in_progress"', "accept_key": '"next"', "behave": '"pay:slow"', "forge_notification": '"body"',
    "fail_code": '"006"',
}  # fmt: skip


def value(atom: str) -> str:
    known = VALUES.get(atom)
    return known or ("true" if DO[atom].kind.allowed.startswith("true") else "1")


def rule(atom: str, partner: str, end: str = "") -> str:
    do = f"{atom} = {value(atom)}"
    if atom in NEEDS:
        do += "".join(f"\n{other} = {value(other)}" for other in NEEDS[atom][:1])
    where = "notification" if DO[atom].part is Part.NOTICE else "operation"
    named = f'{where} = "{end}"' if end and end != EVERYWHERE else f'{where} = "notify"' * (where == "notification")
    return toml(do, f'partner = "{partner}"\n{named}')


FIRST = [atoms[0] for atoms in GROUPS.values()]
LINES = [(atom, partner, end) for atom in FIRST for partner in REACH for end in reached(partner, atom)]
GAPS = [(atom, partner) for atom in FIRST for partner in REACH if not reached(partner, atom)]


@pytest.mark.parametrize(("atom", "partner", "end"), LINES)
def test_each_line_of_the_table_is_taken(atom: str, partner: str, end: str) -> None:
    assert read_scenario(rule(atom, partner, end)).rules


@pytest.mark.parametrize(("atom", "partner"), GAPS)
def test_each_gap_of_the_table_is_refused(atom: str, partner: str) -> None:
    with pytest.raises(ScenarioError) as told:
        read_scenario(rule(atom, partner))
    assert f"do.{atom} cannot act" in told.value.problems[0]


WHILE_IT_WORKS = ("desk", "withdrawal", "rows", "pages-of-rows")
"""What a call that succeeds must have asked of a scenario wherever the table says that it acts."""


class Asked(dict[str, Any]):
    """The atoms in force for a call: none, and which were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __bool__(self) -> bool:
        return True

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


@cache
def clients_of(partner: str) -> Stage:
    return Stage(partner)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.id)
def test_what_a_mock_asks_a_scenario_during_a_call_is_what_the_table_says(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, asked = clients_of(endpoint.partner), Asked()

    def begin(turn: Turn) -> None:
        turn.checks, turn.rules, turn.effects = [], [], asked

    monkeypatch.setattr(Turn, "__init__", begin)
    got = asyncio.run(stage.mock.send(stage.sign(endpoint)))
    operation = f"{endpoint.method} {endpoint.path}"

    def acts(atom: str) -> bool:
        return any(end == EVERYWHERE or concerns(end, operation) for end in reached(endpoint.partner, atom))

    known = asked.names & OF_ATOM.keys()
    assert [atom for atom in sorted(known) if not acts(atom)] == [], "it acts where the table has nothing"
    if got.status == 200:
        told = [group for group in WHILE_IT_WORKS if acts(GROUPS[group][0])]
        assert [group for group in told if not known & set(GROUPS[group])] == [], "the table has what does not act"


def test_groups_are_those_that_partners_name_and_atoms_those_of_the_language() -> None:
    assert {group for told in REACH.values() for group in told} == GROUPS.keys()
    assert {atom for atoms in GROUPS.values() for atom in atoms} <= DO.keys()
    assert REACH.keys() == PARTNERS.keys()


@pytest.mark.parametrize(
    ("do", "when"),
    [
        ("reverse_after_s = 5", 'partner = "gopay"\noperation = "payouts/approve"'),
        ("book_twice = true", 'operation = "status"'),
        ('nik_check = "match"', 'operation = "payout"'),
        ("expire_customer_tokens = true", 'partner = "gopay"'),
        ("lose_sms = true", 'operation = "status"'),
        ("expire_session = true", 'partner = ["bni", "ovo"]'),
        ("delay_notification_s = 1", 'partner = "linkaja"\nnotification = "notify"'),
    ],
)
def test_a_rule_that_can_do_nothing_is_refused_with_where_it_could(do: str, when: str) -> None:
    with pytest.raises(ScenarioError) as told:
        read_scenario(toml(do, when))
    (problem,) = told.value.problems
    assert problem.startswith("scenario line 2: do.")
    assert "; it acts at: " in problem


def test_a_partner_at_which_an_atom_does_nothing_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(toml("expire_customer_tokens = true", 'partner = ["ovo", "gopay", "bni"]'))
    told = CliRunner().invoke(main, ["scenario", "check", str(path)])
    assert (told.exit_code, told.output.splitlines()) == (
        0,
        ["some.toml: 1 rules, good", "warning: some.toml line 2: do.expire_customer_tokens does nothing at bni, gopay"],
    )
    path.write_text(toml("book_twice = true", 'operation = ["status", "payout"]'))
    assert CliRunner().invoke(main, ["scenario", "check", str(path)]).output == "some.toml: 1 rules, good\n"


def test_the_page_for_qa_has_the_table() -> None:
    text = "\n".join(table())
    assert text in QA.read_text(), "put the output of `mock-partners scenario reach` there"
    assert CliRunner().invoke(main, ["scenario", "reach"]).output.strip() == text
