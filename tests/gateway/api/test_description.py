"""The description says everything about the API in words, and shows it to people without the internet."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.batch import RowCode
from contracts.events import EventType
from contracts.incentive import BlockerCode, Stage
from contracts.linking import LinkState
from contracts.payout import PayoutState
from gateway.api import words
from gateway.api.app import create_app
from gateway.api.openapi import describe
from gateway.security.clients import SCOPES
from tests.gateway.api.kit import Api

ROOT = Path(__file__).parents[3]
_STATUS = re.compile(r"[1-5][0-9]{2}|default")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The description as it is served."""
    described: dict[str, Any] = json.loads(json.dumps(describe(create_app(core=SimpleNamespace()))))  # type: ignore[arg-type]
    return described


def _operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def test_every_operation_reads_well(document: dict[str, Any]) -> None:
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(tags.values()) and set(words.TAGS) == set(tags)
    names = [operation["operationId"] for _, operation in _operations(document)]
    assert len(names) == len(set(names)) >= 50
    for where, operation in _operations(document):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"]), where
        assert operation["summary"] and len(operation["description"]) > 10, where
        assert set(operation["tags"]) <= set(tags) and len(operation["tags"]) == 1, where
        assert all(_STATUS.fullmatch(status) for status in operation["responses"]), where
        assert all(answer["description"] for answer in operation["responses"].values()), where
        assert "default" in operation["responses"] or where.startswith("GET /"), where
        if " /v1/" in where:
            assert operation["security"], where
        in_path = set(re.findall(r"\{(\w+)\}", where))
        told = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert in_path == told, where
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (where, parameter["name"])
        assert "requestBody" not in operation or not where.startswith(("GET", "DELETE")), where


def test_every_property_is_described_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        assert schema["description"], name
        for field, said in schema.get("properties", {}).items():
            assert said.get("description"), (name, field)
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert used <= set(schemas), "no reference leads nowhere"
    assert set(schemas) <= used, "and nothing is described that nobody uses"


def test_a_whole_number_says_that_it_has_64_bits(document: dict[str, Any]) -> None:
    """Wherever it stands; a sum of rupiah does not fit into the 32 that Java's and C#'s generators take otherwise."""
    seen, below = 0, [document]
    while below:
        node = below.pop()
        found = list(node.values()) if isinstance(node, dict) else list(node)
        if isinstance(node, dict) and node.get("type") == "integer":
            assert node["format"] == "int64", node
            seen += 1
        below += [one for one in found if isinstance(one, dict | list)]
    assert seen > 40


def test_states_codes_and_types_are_enumerations(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for kind in (BlockerCode, EventType, LinkState, PayoutState, RowCode, Stage):
        assert set(schemas[kind.__name__]["enum"]) == {one.value for one in kind}
    assert set(schemas["Event"]["properties"]["type"]["enum"]) == {one.value for one in EventType}
    for name, schema in schemas.items():
        for field, said in schema.get("properties", {}).items():
            if field in ("state", "code", "verdict", "stage", "ended_because", "decision") and name != "AskAgain":
                assert "enum" in said or "$ref" in json.dumps(said), (name, field)


def test_every_scope_and_every_error_code_has_its_words(document: dict[str, Any]) -> None:
    flows = document["components"]["securitySchemes"]["client"]["flows"]["clientCredentials"]
    assert set(flows["scopes"]) == set(SCOPES) and all(flows["scopes"].values())
    written = set()
    for part in ("contracts/errors.py", "gateway/routes", "gateway/services", "gateway/security", "gateway/api"):
        files = [ROOT / part] if part.endswith(".py") else sorted((ROOT / part).rglob("*.py"))
        for file in files:
            text = file.read_text("utf-8")
            written |= set(re.findall(r'\bcode(?:: str)? ?= ?"([a-z_]+)"', text))
            if file.name == "problems.py":
                written |= set(re.findall(r'^    \d{3}: \("([a-z_]+)"', text, re.MULTILINE))
    rows = {code.value for code in RowCode}
    assert written - rows - set(words.ERRORS) == set(), "codes without words"
    assert set(words.ERRORS) - written == set(), "words of codes that nothing answers"
    assert set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(words.ERRORS) | rows


async def test_people_find_everything_from_the_root_without_the_internet(api: Api) -> None:
    front = await api.http.get("/")
    assert front.status_code == 200 and front.headers["content-type"].startswith("text/html")
    assert {"/docs", "/schema", "/ops"} <= set(re.findall(r'href="([^"]+)"', front.text))
    page = await api.http.get("/docs")
    described = (await api.http.get("/schema")).json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert f'id="{operation["operationId"]}"' in page.text
            assert f"{method.upper()} {path}" in page.text
    for reply in (front, page):
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', reply.text), "nothing is fetched from elsewhere"
        assert "<script" not in reply.text
        assert "default-src 'none'" in reply.headers["content-security-policy"]
    anchors = set(re.findall(r'href="#([^"]+)"', page.text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page.text)), "no link of the page leads nowhere"


def test_the_key_is_described_wherever_one_is_read_and_nowhere_else(document: dict[str, Any]) -> None:
    """A client that was made of the description can send nothing else: what insists on one is out of its reach."""
    read: dict[str, bool] = {}
    for route in create_app(core=SimpleNamespace()).routes:  # type: ignore[arg-type]
        for handler in getattr(route, "route_handlers", ()):
            source = inspect.getsource(handler.fn)
            if re.search(r"\bonce\(\s*request|InWork\(request", source):
                read[handler.handler_name] = "required=False" not in source
    described = {
        operation["operationId"]: one.get("required", False)
        for _, operation in _operations(document)
        for one in operation.get("parameters", [])
        if one["name"] == "Idempotency-Key"
    }
    assert described == read and len(read) > 8
    told = {
        operation["operationId"]
        for _, operation in _operations(document)
        if all("Idempotent-Replayed" in a.get("headers", {}) for s, a in operation["responses"].items() if s < "3")
    }
    assert told == set(read), "that an answer is the one of before is told in no other way"
