"""Reads a scenario and checks every key of it; all problems are told at once, each with its line."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from mock_partners.kit.scenario import kinds
from mock_partners.kit.scenario.kinds import Kind
from mock_partners.kit.scenario.lines import Lines, Path
from mock_partners.kit.scenario.model import START, Rule, Scenario, ScenarioError
from mock_partners.kit.scenario.vocabulary import DO, EXCLUSIVE, NEEDS, WHEN, Part, Word

MAX_BYTES = 1_000_000
MAX_RULES = 1_000
TOP = {"title": kinds.TEXT, "source": kinds.TEXT, "seed": kinds.count(0, 2**63 - 1)}
CLOCK = {"at": kinds.MOMENT, "frozen": kinds.FLAG, "skew_s": kinds.SIGNED_SECONDS}
RULE_KEYS = ("name", "when", "do")


def parse_scenario(text: str, name: str = "scenario") -> Scenario:
    """The scenario in a TOML text, or a `ScenarioError` whose lines begin with `name`."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ScenarioError([f"{name}: more than {MAX_BYTES} bytes"])
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ScenarioError([_syntax(name, text, str(problem))]) from None
    except RecursionError:
        raise ScenarioError([f"{name}: nested too deep"]) from None
    reader = _Reader(name, Lines(text))
    scenario = reader.scenario(document)
    if reader.problems:
        raise ScenarioError(reader.problems)
    return scenario


def _syntax(name: str, text: str, problem: str) -> str:
    """The reader's own message with its line in front."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", problem, re.DOTALL)
    if found is None:
        return f"{name}: not TOML: {problem}"
    line = found[2] or str(text.count("\n") + 1)
    return f"{name} line {line}: not TOML: {found[1]}"


class _Reader:
    def __init__(self, name: str, lines: Lines) -> None:
        self._name, self._lines = name, lines
        self.problems: list[str] = []

    def scenario(self, document: Mapping[str, Any]) -> Scenario:
        self._known((), document, (*TOP, "clock", "rule"))
        top = {key: self._value((key,), kind, document[key]) for key, kind in TOP.items() if key in document}
        clock = self._clock(document.get("clock", {}))
        rules = document.get("rule", [])
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            self._say(("rule",), "rule", "must be written as [[rule]]")
            rules = []
        if len(rules) > MAX_RULES:
            self._say(("rule",), "rule", f"stands {len(rules)} times, {MAX_RULES} are allowed")
            rules = []
        read = tuple(self._rule(("rule", place), rule) for place, rule in enumerate(rules))
        self._check_names(read)
        self._check_states(read)
        return Scenario(
            title=top.get("title", self._name), source=top.get("source", ""), seed=top.get("seed", 0), rules=read,
            clock_at=clock.get("at"), frozen=clock.get("frozen", False), skew_s=clock.get("skew_s", 0.0),
        )  # fmt: skip

    def _clock(self, clock: Any) -> dict[str, Any]:
        if not isinstance(clock, dict):
            self._say(("clock",), "clock", "must be a table of at, frozen and skew_s")
            return {}
        self._known(("clock",), clock, CLOCK)
        if {"at", "skew_s"} <= clock.keys():
            self._say(("clock", "skew_s"), "clock.skew_s", "cannot stand beside at: it is measured from the machine's")
        return {key: self._value(("clock", key), CLOCK[key], value) for key, value in clock.items() if key in CLOCK}

    def _rule(self, path: Path, rule: Mapping[str, Any]) -> Rule:
        self._known(path, rule, RULE_KEYS)
        name = rule.get("name", "")
        if not isinstance(name, str) or not 0 < len(name) <= 200:
            self._say((*path, "name"), "name", "must be a text of 1 to 200 characters")
            name = ""
        when, do = self._words(path, "when", WHEN, rule), self._words(path, "do", DO, rule)
        if "do" in rule and not rule["do"]:
            self._say((*path, "do"), "do", "is empty: the rule would do nothing")
        self._check_when(path, when, do)
        self._check_do(path, when, do)
        return Rule(name, when, do, self._lines.of(path))

    def _words(self, path: Path, part: str, known: Mapping[str, Word], rule: Mapping[str, Any]) -> dict[str, Any]:
        """One table of a rule, checked; only what is good is returned."""
        words = rule.get(part)
        if words is None and part == "when":
            return {}
        if not isinstance(words, dict):
            self._say((*path, part), part, f"must be a table, [rule.{part}]")
            return {}
        self._known((*path, part), words, known)
        read = {
            key: self._value((*path, part, key), known[key].kind, value) for key, value in words.items() if key in known
        }
        return {key: value for key, value in read.items() if value is not None}

    def _check_when(self, path: Path, when: Mapping[str, Any], do: Mapping[str, Any]) -> None:
        at = (*path, "when")
        if "nth" in when and ("from" in when or "to" in when):
            self._say((*at, "nth"), "when.nth", "cannot stand beside from or to")
        if _lower(when, "from") > _upper(when, "to"):
            self._say((*at, "to"), "when.to", "is less than from")
        if "per" in when and not {"nth", "from", "to"} & when.keys():
            self._say((*at, "per"), "when.per", "needs nth, from or to")
        amount = when.get("amount")
        if isinstance(amount, dict) and amount.get("min", 0) > amount.get("max", kinds.MOST_RUPIAH):
            self._say((*at, "amount"), "when.amount", "has a min above its max")
        if "after" in when and "before" in when and when["after"] >= when["before"]:
            self._say((*at, "before"), "when.before", "is not later than after")
        if when.get("after_s", 0) >= when.get("until_s", kinds.LONGEST_S):
            self._say((*at, "until_s"), "when.until_s", "is not more than after_s")
        ramped = any(isinstance(value, dict) and "over_s" in value for value in do.values())
        if "since" in when and not ({"after_s", "until_s", "crowd"} & when.keys() or ramped):
            self._say((*at, "since"), "when.since", "needs after_s, until_s, a crowd, or a delay that climbs")
        if "shards" in when.get("crowd", {}) and when["crowd"].get("by") != "shard":
            self._say((*at, "crowd"), "when.crowd.shards", 'needs by = "shard"')
        if "notification" in when and "operation" in when:
            self._say((*at, "operation"), "when.operation", "cannot stand beside notification: a rule is about one")

    def _check_do(self, path: Path, when: Mapping[str, Any], do: Mapping[str, Any]) -> None:
        at = (*path, "do")
        for group in EXCLUSIVE:
            both = [key for key in do if key in group]
            if len(both) > 1:
                self._say((*at, both[1]), f"do.{both[1]}", f"cannot stand beside {both[0]}")
        for key, others in NEEDS.items():
            if key in do and not do.keys() & set(others):
                self._say((*at, key), f"do.{key}", f"needs one of: {', '.join(others)}")
        notices = "notification" in when
        for key in do:
            about_notices = DO[key].part is Part.NOTICE
            if about_notices and not notices:
                self._say((*at, key), f"do.{key}", "needs when.notification")
            if notices and not about_notices and key != "goto":
                allowed = ", ".join(name for name, word in DO.items() if word.part is Part.NOTICE)
                self._say((*at, key), f"do.{key}", f"works on calls; with when.notification allowed: {allowed}, goto")

    def _check_names(self, rules: Iterable[Rule]) -> None:
        seen: dict[str, int] = {}
        for place, rule in enumerate(rules):
            if rule.name and rule.name in seen:
                self._say(("rule", place, "name"), "name", f"is used already in line {seen[rule.name]}")
            seen.setdefault(rule.name, rule.line)

    def _check_states(self, rules: tuple[Rule, ...]) -> None:
        reached = {START, *(rule.do["goto"] for rule in rules if "goto" in rule.do)}
        for place, rule in enumerate(rules):
            for state in rule.when.get("state", ()):
                if state not in reached:
                    told = ", ".join(sorted(reached))
                    self._say(("rule", place, "when", "state"), "when.state", f"is never reached; reached: {told}")

    def _value(self, path: Path, kind: Kind, value: Any) -> Any:
        if not kind.check(value):
            label = ".".join(str(part) for part in path if isinstance(part, str) and part != "rule")
            self._say(path, label, f"must be {kind.allowed}")
            return None
        return kind.read(value)

    def _known(self, path: Path, table: Mapping[str, Any], allowed: Iterable[str]) -> None:
        names = tuple(allowed)
        for key in table:
            if key not in names:
                near = difflib.get_close_matches(key, names, 1)
                hint = f"did you mean {near[0]}? " if near else ""
                label = ".".join(str(part) for part in (*path, key) if isinstance(part, str) and part != "rule")
                self._say((*path, key), label, f"is not known; {hint}allowed: {', '.join(names)}")

    def _say(self, path: Path, label: str, problem: str) -> None:
        self.problems.append(f"{self._name} line {self._lines.of(path)}: {label} {problem}")


def _lower(when: Mapping[str, Any], key: str) -> int:
    return when.get(key) or 1


def _upper(when: Mapping[str, Any], key: str) -> int:
    return when.get(key) or kinds.MOST
