"""A scenario in plain sentences, and the whole vocabulary as a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, time
from typing import Any

from mock_partners.kit.scenario.model import Rule, Scenario
from mock_partners.kit.scenario.roles import ROLES
from mock_partners.kit.scenario.vocabulary import DO, WHEN, Part, Word


def rule_lines(scenario: Scenario) -> Iterator[str]:
    """One line a rule: its line in the file, its name, whom it concerns."""
    for rule in scenario.rules:
        where = rule.when.get("operation") or rule.when.get("notification") or ("every call",)
        yield f"{rule.line:>4}  {rule.name}: {_value(rule.when.get('partner', ('every partner',)))}, {_value(where)}"


def explained(scenario: Scenario) -> Iterator[str]:
    """What the scenario means, rule by rule."""
    yield scenario.title
    if scenario.source:
        yield f"Source: {scenario.source}"
    if scenario.clock_at is not None:
        yield f"The partners' clocks start at {_value(scenario.clock_at)}" + (" and stand." if scenario.frozen else ".")
    elif scenario.frozen:
        yield "The partners' clocks stand."
    if scenario.skew_s:
        yield f"The partners' clocks are {scenario.skew_s:+g} s off."
    for number, rule in enumerate(scenario.rules, 1):
        yield ""
        yield f"{number}. {rule.name} (line {rule.line})"
        yield f"   When {_sentence(WHEN, rule.when) or _anything(rule)}:"
        for name, value in rule.do.items():
            yield f"   - {_say(DO[name], value)}"


def vocabulary() -> Iterator[str]:
    """Every word of the language with what it takes and means."""
    yield "[rule.when]: all of it must hold; without it every call is meant"
    yield from _words(WHEN)
    for part in Part:
        yield ""
        yield f"[rule.do], {part.value}"
        yield from _words({name: word for name, word in DO.items() if word.part is part})
    yield ""
    yield "Words for operations, beside the end of any path (`transfer/status`, `GET payouts/*`):"
    for role, ends in ROLES.items():
        yield f"  {role:<24} {', '.join(ends)}"


def _words(words: Mapping[str, Word]) -> Iterator[str]:
    for name, word in words.items():
        yield f"  {name:<24} {word.says.replace('{}', '…')}"
        yield f"  {'':<24} {word.kind.allowed}"


def _sentence(words: Mapping[str, Word], values: Mapping[str, Any]) -> str:
    return ", and ".join(_say(words[name], value) for name, value in values.items())


def _anything(rule: Rule) -> str:
    return "a notification is sent" if rule.for_notices else "any call comes"


def _say(word: Word, value: Any) -> str:
    return word.says.replace("{}", _value(value))


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return " or ".join(_value(one) for one in value)
    if isinstance(value, datetime | time):
        return value.isoformat()
    if isinstance(value, dict):
        return ", ".join(f"{name} = {part}" for name, part in value.items())
    if isinstance(value, str) and len(value) > 80:
        return f"{value[:80]!r}..."
    return str(value)
