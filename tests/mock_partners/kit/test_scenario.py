"""The scenario language: what it takes, how it complains, when its conditions hold, that it plays the same twice."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_partners.kit.scenario import Scenario, ScenarioError, parse_scenario
from mock_partners.kit.scenario.lines import Lines
from mock_partners.kit.scenario.roles import concerns, roles_of
from mock_partners.kit.scenario.routes import operation_problems
from mock_partners.kit.scenario.vocabulary import DO, EXCLUSIVE, NEEDS, WHEN
from mock_partners.kit.scenario.words import explained, rule_lines, vocabulary
from mock_partners.pytest import PartnerInProcess
from tests.mock_partners.kit.staged import ACCOUNT, NOON, OTHER, WORLD, Stage, toml

RULE = '[[rule]]\nname = "it"\n'


def complaints(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as told:
        parse_scenario(text, "s.toml")
    return told.value.problems


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = 5", "s.toml line 1: title must be a text of at most 100000 characters"),
        ("\nseed = -1", "s.toml line 2: seed must be a whole number from 0 to 9223372036854775807"),
        ("x = [", "s.toml line 1: not TOML: Invalid value"),
        ("a = 1\na = 2", "s.toml line 2: not TOML: Cannot overwrite a value"),
        ("rules = 1", "line 1: rules is not known; did you mean rule? allowed: title, source, seed, clock, rule"),
        ("rule = 1", "s.toml line 1: rule must be written as [[rule]]"),
        ("[clock]\nat = 'noon'", "s.toml line 2: clock.at must be a date and time without quotes"),
        ("[clock]\n\nstart = 1", "s.toml line 3: clock.start is not known; allowed: at, frozen"),
        ("[[rule]]\ndo = { fail = true }", "s.toml line 1: name must be a text of 1 to 200 characters"),
        (RULE, "s.toml line 1: do must be a table, [rule.do]"),
        (RULE + "do = {}", "s.toml line 3: do is empty: the rule would do nothing"),
        (RULE + "do = { fail = false }", "s.toml line 3: do.fail must be true (leave the key out for no)"),
        (RULE + "[rule.do]\n# why\ndelay_s = '3'", "s.toml line 5: do.delay_s must be seconds from 0 to 31622400"),
        (RULE + "[rule.do]\nlate_s = 3", "line 4: do.late_s is not known; did you mean later_s? allowed: delay_s"),
        (RULE + "do = { code = '50417' }", "s.toml line 3: do.code must be a response code such as"),
        (RULE + "do = { behave = 'pay:x' }", "s.toml line 3: do.behave must be one of: pay:lost_answer, "),
        (RULE + "do = { message = 'x' }", "s.toml line 3: do.message needs one of: code"),
        (RULE + "[rule.do]\nhtml = true\nempty_body = true", "s.toml line 5: do.empty_body cannot stand beside html"),
        (RULE + "do = { suppress_notification = true }", "do.suppress_notification needs when.notification"),
        (RULE + "when = { notification = 'x' }\ndo = { fail = true }", "line 4: do.fail works on calls; with"),
        (RULE + "when = { partner = 'nobody' }\ndo = { fail = true }", "when.partner must be one or a list of: bni, "),
        (RULE + "when = { rate = 2 }\ndo = { fail = true }", "when.rate must be a share from 0 to 1"),
        (RULE + "when = { nth = 1, to = 2 }\ndo = { fail = true }", "when.nth cannot stand beside from or to"),
        (RULE + "when = { from = 3, to = 2 }\ndo = { fail = true }", "when.to is less than from"),
        (RULE + "when = { per = 'account' }\ndo = { fail = true }", "when.per needs nth, from or to"),
        (RULE + "when = { between = [23:00:00] }\ndo = { fail = true }", "when.between must be two times"),
        (RULE + "when = { amount = { min = 2, max = 1 } }\ndo = { fail = true }", "amount has a min above its max"),
        (RULE + "when = { state = 'x' }\ndo = { fail = true }", "when.state is never reached; reached: start"),
        (RULE + "do = { fail = true }\n" + RULE + "do = { fail = true }", "line 5: name is used already in line 1"),
    ],
)  # fmt: skip
def test_complaints_name_line_key_and_what_is_allowed(text: str, complaint: str) -> None:
    told = complaints(text)
    assert any(complaint in one for one in told), told
    assert all(one.startswith("s.toml line ") for one in told)


def test_all_problems_are_told_at_once() -> None:
    assert len(complaints(RULE + "[rule.when]\nnth = 0\n[rule.do]\ndelay_s = -1\nstatus = 99\nzzz = 1")) == 4


def test_too_much_is_refused() -> None:
    assert "more than 1000000 bytes" in complaints("#" * 1_000_001)[0]
    assert "nested too deep" in complaints("x = " + "[" * 100_000)[0]
    many = "".join(f'[[rule]]\nname = "{number}"\ndo = {{ fail = true }}\n' for number in range(1_001))
    assert "stands 1001 times, 1000 are allowed" in complaints(many)[0]


def test_the_vocabulary_is_in_itself_consistent() -> None:
    assert all(name in DO for group in EXCLUSIVE for name in group)
    assert all(name in DO for name, others in NEEDS.items() for name in (name, *others))
    listed = "\n".join(vocabulary())
    assert all(f"  {name} " in listed for name in (*WHEN, *DO))


def test_a_scenario_is_listed_and_explained() -> None:
    scenario = parse_scenario(
        'title = "Late"\nsource = "snap-bni.md 4.2"\n[clock]\nat = 2026-01-15T12:00:00\nfrozen = true\n'
        + RULE + 'when = { partner = "bni", operation = ["payout", "status"], nth = 1 }\ndo = { delay_s = 3 }'
    )  # fmt: skip
    assert list(rule_lines(scenario)) == ["   6  it: bni, payout or status"]
    assert list(explained(scenario)) == [
        "Late", "Source: snap-bni.md 4.2", "The partners' clocks start at 2026-01-15T12:00:00+07:00 and stand.", "",
        "1. it (line 6)",
        "   When at bni, and the operation is payout or status, and it is matching call number 1:",
        "   - wait 3 s before the work",
    ]  # fmt: skip


def test_operations_are_compared_with_those_that_a_partner_has() -> None:
    scenario = parse_scenario(toml("fail = true", 'partner = "bni"\noperation = ["payuot", "payout", "cashin/check"]'))
    told = operation_problems(scenario, {"bni": ["POST /snap-service/v1/transfer-intrabank"]}, "s.toml")
    assert [problem.split(";")[0] for problem in told] == [
        "s.toml line 2: when.operation 'payuot' is no operation of bni",
        "s.toml line 2: when.operation 'cashin/check' is no operation of bni",
    ]
    assert "; did you mean payout? allowed: payout, or the end of one of: POST /snap-service" in told[0]


@pytest.mark.parametrize(
    ("wanted", "operation", "holds"),
    [
        ("payout", "POST /snap-service/v1/transfer-intrabank", True),
        ("transfer/status", "POST /snap-service/v1/transfer/status", True),
        ("status", "POST /snap-service/v1/transfer/status", True),
        ("status", "GET /iris/api/v1/payouts/{reference_no:str}", True),
        ("payouts/*", "GET /iris/api/v1/payouts/{reference_no:str}", True),
        ("post payouts", "POST /iris/api/v1/payouts", True),
        ("POST payouts", "GET /iris/api/v1/payouts", False),
        ("payouts", "POST /iris/api/v1/payouts/approve", False),
        ("POST /v1/payouts", "POST /iris/api/v1/payouts", False),
        ("POST /iris/api/v1/payouts", "POST /iris/api/v1/payouts", True),
        ("/iris/api/v1/payouts/*", "GET /iris/api/v1/payouts/{reference_no:str}", True),
        ("intrabank", "POST /snap-service/v1/transfer-intrabank", False),
        ("payout", "POST /H2H/v2/dopayment", True),
        ("payout", "POST /H2H/v2/getpaymentstatus", False),
        ("unlink", "POST /v2/pay/account/{account_id:str}/unbind", True),
        ("link", "POST /v2/pay/account/{account_id:str}/unbind", False),
    ],
)
def test_words_for_operations(wanted: str, operation: str, holds: bool) -> None:
    assert concerns(wanted, operation) is holds
    assert ("payout" in roles_of(operation)) == operation.endswith(("transfer-intrabank", "approve", "dopayment"))


KEYS = st.text("abcdefgh_-", min_size=1, max_size=6)
VALUES = st.recursive(
    st.one_of(
        st.integers(-(10**6), 10**6), st.booleans(), st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20),
        st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9998, 1, 1)), st.dates(), st.times(),  # noqa: DTZ001
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


def written(value: Any, multiline: bool) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f'"{key}" = {written(part, False)}' for key, part in value.items()) + "}"
        case list():
            gap = "\n# ] } \" '\n" if multiline else " "
            return "[" + ",".join(gap + written(part, multiline) for part in value) + gap + "]"
        case str() if multiline and "'''" not in value and not value.endswith("'") and value.isprintable():
            return "'''\n" + value + "\n[x]\ny = 1'''"
        case str():
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        case datetime() | date() | time():
            return value.isoformat()
    return repr(value)


@given(st.lists(st.tuples(KEYS, st.dictionaries(KEYS, VALUES, max_size=4)), max_size=4), st.booleans())
def test_every_key_is_found_on_its_line(tables: list[tuple[str, dict[str, Any]]], multiline: bool) -> None:
    lines: list[str] = []
    wanted: dict[tuple[str | int, ...], int] = {}
    for place, (_, table) in enumerate(tables):
        lines.append("[[rule]] # [[rule]]")
        wanted["rule", place] = len(lines)
        for key, value in table.items():
            wanted["rule", place, key] = len(lines) + 1
            lines += f"'{key}' = {written(value, multiline)} # = 1".split("\n")
    text = "\n".join(lines)
    tomllib.loads(text)  # the premise
    found = Lines(text)
    assert {path: found.of(path) for path in wanted} == wanted


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        assert isinstance(parse_scenario(text), Scenario)
    except ScenarioError as error:
        assert error.problems


ATOM_VALUES = st.one_of(VALUES, st.sampled_from([True, 1, 1.5, "504xx00", "payout", ["payout"], {"a": "b"}]))


@given(
    st.dictionaries(st.sampled_from(sorted(WHEN)), ATOM_VALUES, max_size=4),
    st.dictionaries(st.sampled_from(sorted(DO)), ATOM_VALUES, max_size=4),
)
def test_any_values_are_taken_or_refused_with_their_key(when: dict[str, Any], do: dict[str, Any]) -> None:
    text = RULE + f"when = {written(when, False)}\ndo = {written(do, False)}\n"
    try:
        assert parse_scenario(text).rules[0].do.keys() == do.keys()
    except ScenarioError as error:
        assert all(" line " in problem for problem in error.problems)


async def codes(stage: Stage, count: int, account: str = ACCOUNT) -> str:
    """Pays so often; `x` for each payout that the rule refused."""
    told = [await stage.pay(f"{account[-1]}{number}", account) for number in range(count)]
    return "".join("x" if code == "5041700" else "." for code in told)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("", "xxxxx"), ("nth = 2", ".x..."), ("nth = [1, 3]", "x.x.."), ("from = 2\nto = 3", ".xx.."),
        ('partner = "ovo"', "....."), ('operation = "balance"', "....."), ('reference = "1[13]"', ".x.x."),
        ("amount = 600000", "xxxxx"), ("amount = { min = 600001 }", "....."), ("amount = { max = 600000 }", "xxxxx"),
        (f'account = "{ACCOUNT}"', "xxxxx"), ('account = "081100000001"', "xxxxx"), (f'account = "{OTHER}"', "....."),
        ('field = { remark = "ins*", "amount.currency" = "IDR" }', "xxxxx"), ('field = { remark = "x" }', "....."),
        ('header = { "CHANNEL-ID" = "9522?" }', "xxxxx"), ("after = 2026-01-15T12:00:00+07:00", "xxxxx"),
        ("before = 2026-01-15T12:00:00", "....."), ("between = [11:00:00, 12:00:01]", "xxxxx"),
        ("between = [12:00:01, 11:00:00]", "....."), ("rate = 1", "xxxxx"), ("rate = 0", "....."),
    ],
)  # fmt: skip
async def test_conditions(stage: Stage, when: str, told: str) -> None:
    await stage.begin('code = "504xx00"', f"{when}\n" if "operation" in when else f'{when}\noperation = "payout"')
    stage.partner.freeze(NOON)
    assert await codes(stage, 5) == told


async def test_counting_per_account_and_per_reference(stage: Stage) -> None:
    await stage.begin('code = "504xx00"', 'operation = "payout"\nnth = 1\nper = "account"')
    assert [await codes(stage, 2), await codes(stage, 2, OTHER)] == ["x.", "x."]
    await stage.begin('code = "504xx00"', 'operation = "payout"\nnth = 1\nper = "reference"')
    assert await codes(stage, 3) == "xxx"
    assert await codes(stage, 3) == "..."


async def test_an_account_is_known_by_its_reference_and_token(stage: Stage) -> None:
    await stage.begin('code = "504xx00"', f'operation = ["status", "verify"]\naccount = "{ACCOUNT}"')
    for reference, account in (("R1", ACCOUNT), ("R2", OTHER)):
        assert await stage.pay(reference, account) == "2001700"
    assert [await stage.status("R1"), await stage.status("R2")] == ["5043600", "00"]


async def test_a_share_is_drawn_with_the_seed(mock_partner: Callable[..., PartnerInProcess]) -> None:
    told = []
    for seed in (1, 1, 2):
        stage = Stage(mock_partner("bni", WORLD))
        await stage.begin('code = "504xx00"')
        stage.partner.set_scenario(f"seed = {seed}\n" + toml('code = "504xx00"', 'operation = "payout"\nrate = 0.5'))
        told.append(await codes(stage, 40))
    assert told[0] == told[1] != told[2]
    assert 10 <= told[0].count("x") <= 30


BUSY = """
seed = 5
[[rule]]
name = "a third is lost"
when = { operation = "payout", rate = 0.3 }
do = { drop_after_booking = true }
[[rule]]
name = "some wait"
when = { operation = "payout", rate = 0.5 }
do = { pending_lookups = 1, reverse_after_s = 60 }
[[rule]]
name = "the statement is a mess"
when = { operation = "statement" }
do = { shuffle_rows = true, duplicate_rows = 3, foreign_rows = 2 }
"""


async def test_the_same_seed_scenario_clock_and_bytes_give_the_same_bytes_and_log(
    mock_partner: Callable[..., PartnerInProcess],
) -> None:
    async def once() -> tuple[list[bytes], bytes]:
        stage = Stage(mock_partner("bni", WORLD, seed=3))
        await stage.begin("delay_s = 0")
        stage.partner.set_scenario(BUSY)
        answers = []
        for number in range(20):
            try:
                answers.append((await stage.transfer_reply(f"R{number:03d}", (ACCOUNT, OTHER)[number % 2])).content)
            except httpx.ReadError:
                answers.append(b"reset")
            answers.append((await stage.status_reply(f"R{number:03d}")).content)
        await stage.partner.advance(timedelta(minutes=5).total_seconds())
        answers.append(msgspec.json.encode(await stage.rows()))
        log = await stage.http.get("/__mock__/requests")
        books = await stage.http.get("/__mock__/books")
        return answers, log.content + books.content

    first, second = await once(), await once()
    assert first == second
    assert first[0].count(b"reset") == 2


async def test_a_scenario_that_fires_nothing_leaves_every_byte_as_it_was(
    mock_partner: Callable[..., PartnerInProcess],
) -> None:
    answers = []
    for scenario in (None, toml("fail = true", 'operation = "payout"\nrate = 0')):
        stage = Stage(mock_partner("bni", WORLD))
        await stage.begin("delay_s = 0")
        stage.partner.set_scenario(scenario)
        answers.append([(await stage.transfer_reply()).content, (await stage.bind()).content])
    assert answers[0] == answers[1]
