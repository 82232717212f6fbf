"""The scenario language: one TOML file says when a partner misbehaves and how (docs/qa.md)."""

from mock_partners.kit.scenario.model import Rule, Scenario, ScenarioError
from mock_partners.kit.scenario.parse import parse_scenario

__all__ = ["Rule", "Scenario", "ScenarioError", "parse_scenario"]
