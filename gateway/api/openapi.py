"""The API's description at /schema: plain JSON, nothing fetched from elsewhere, and true.

Litestar describes Structs without saying that unknown fields are refused, and knows neither scopes nor problems nor
streamed bodies; `describe` adds that.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OAuthFlow, OAuthFlows, SecurityScheme

from contracts.batch import COLUMNS, RowCode
from contracts.events import EventType
from contracts.identity import Verdict
from contracts.incentive import BlockerCode
from contracts.payment_plan import NoticeCode
from gateway.api import examples, words
from gateway.api.problems import MEDIA_TYPE
from gateway.api.told import webhooks
from gateway.routes.access.idempotent import HEADER
from gateway.security.clients import Scopes
from gateway.services.intake.batches import Decision
from gateway.services.intake.json_rows import MOST_ROWS
from gateway.storage.reconciliation.reconciliation_rules import BreakClass

_PROBLEM = "Problem"
_KEYED = {("/v1/batches", "post"): True, ("/v1/incentives", "post"): True, ("/v1/links", "post"): False,
          ("/v1/verifications", "post"): False, ("/v1/payouts", "post"): False, ("/v1/plans", "post"): True,
          ("/v1/entitlements", "post"): False, ("/v1/completions", "post"): False,
          ("/v1/batches/reapprovals", "post"): True, ("/v1/webhook-endpoints", "post"): False,
          ("/v1/webhook-endpoints/{webhook_endpoint_id}/rotate-secret", "post"): False}  # fmt: skip
"""Operations that read an Idempotency-Key, and whether they insist."""
_REPLAYED = {
    "Idempotent-Replayed": {
        "schema": {"type": "string", "enum": ["true"]},
        "description": "There where the key was used before: this is the answer that was given then.",
    }
}
_LOCATED = {"Location": {"schema": {"type": "string"}, "description": "Where what was made is read."}}
_HAVE_PLACES = frozenset({"/v1/batches", "/v1/incentives"})
_VERDICTS = [*(one.value for one in Verdict if one is not Verdict.PENDING), None]
_CHECKS: list[str | None] = ["open", "decided", "dropped"]
_ENDS = [*(one.value for one in BlockerCode), None]
_CLOSED: dict[tuple[str, str], list[str | None]] = {
    ("Approval", "decision"): [Decision.APPROVE.value, Decision.REJECT.value],
    ("ItemFault", "code"): [*(one.value for one in NoticeCode), *(one.value for one in RowCode)],
    ("BreakView", "kind"): [one.value for one in BreakClass],
    ("LinkLine", "ended_because"): _ENDS,
    ("LinkView", "ended_because"): _ENDS,
    ("NewestCheck", "state"): _CHECKS,
    ("NewestCheck", "verdict"): _VERDICTS,
    ("ParticipantLink", "ended_because"): _ENDS,
    ("Reconciliation", "state"): ["running", "done", "failed"],
    ("ReconciliationPage", "state"): ["running", "done", "failed"],
    ("Forecast", "stage"): ["verification", "payout"],
    ("Sample", "stage"): ["verification", "payout"],
    ("Standstill", "stage"): ["verification", "payout"],
    ("VerificationView", "state"): _CHECKS,
    ("VerificationView", "verdict"): _VERDICTS,
}
"""Texts that are one of a few, where the store keeps them as texts."""
_DEPRECATED = frozenset({("list_events", "after")})
_MAY_WAIT = frozenset({"end_link", "correct_participant"})
"""Operations that answer 202 where somebody else has to do something first."""


class _Plain(JsonRenderPlugin):
    """The document as JSON, at /schema and at /schema/openapi.json."""

    def __init__(self) -> None:
        super().__init__(path=("/", "/openapi.json"))
        self._bytes: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Made once; the routes do not change."""
        if self._bytes is None:
            self._bytes = msgspec.json.format(msgspec.json.encode(describe(request.app)), indent=2)
        return self._bytes


CONFIG = OpenAPIConfig(
    title="Prakerja partner gateway",
    version="1",
    description="Account linking, NIK verification and payout at several partners through one contract. Values may be"
    " added to every enum of an answer or a webhook, and fields to every object: take a value that you do not know for"
    " something else, and leave such a field out.",
    path="/schema",
    render_plugins=[_Plain()],
    use_handler_docstrings=True,
    operation_id_creator=lambda handler, _method, _path: handler.handler_name,
    components=Components(
        security_schemes={
            "client": SecurityScheme(
                type="oauth2",
                flows=OAuthFlows(
                    client_credentials=OAuthFlow(token_url="/oauth/token", scopes=words.SCOPES)  # noqa: S106
                ),
            )
        }
    ),
)


def describe(app: Litestar) -> dict[str, Any]:
    """The OpenAPI document as it is served."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    schemas = document["components"]["schemas"]
    schemas[_PROBLEM] = _problem_schema()
    requests = _request_schemas(document, schemas)
    for name, schema in schemas.items():
        if schema.get("type") == "object" and "properties" in schema and name in requests:
            schema["additionalProperties"] = False
    document["webhooks"], bodies = webhooks()
    schemas |= bodies
    schemas["Event"]["properties"]["type"]["enum"] = [kind.value for kind in EventType]
    guarded = _scopes(app)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"].pop("400", None)
            if operation["operationId"] in _MAY_WAIT:
                operation["responses"]["202"] = operation["responses"]["200"] | {"description": "Not over yet."}
            operation["responses"]["default"] = {
                "description": "Refused: nothing was changed.",
                "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}}},
            }
            if scopes := guarded.get((path, method)):
                operation["security"] = [{"client": [scope]} for scope in scopes]
            else:
                operation["security"] = []
            for parameter in operation.get("parameters", []):
                if parameter["name"].endswith("_id") and parameter["schema"].get("type") == "integer":
                    parameter["schema"] = {"type": "string", "pattern": "^[0-9]{1,18}$"}
            if (path, method) in _KEYED:
                operation.setdefault("parameters", []).append(_key_parameter(required=_KEYED[(path, method)]))
                for status, answer in operation["responses"].items():
                    if status != "default":
                        answer["headers"] = _REPLAYED | (_LOCATED if path in _HAVE_PLACES else {})
    _bodies(document["paths"], schemas)
    _examples(document["paths"])
    _describe_names(document)
    _size_integers(document)
    return document


def _size_integers(node: Any) -> None:
    """Every whole number is one of 64 bits: generators of Java and C# take 32 where nothing is said, and a sum of
    rupiah has more.
    """
    if isinstance(node, dict):
        if node.get("type") == "integer":
            node.setdefault("format", "int64")
        for below in node.values():
            _size_integers(below)
    elif isinstance(node, list):
        for below in node:
            _size_integers(below)


def _describe_names(document: dict[str, Any]) -> None:
    """Words for every tag, operation, parameter and property."""
    kinds = words.structs()
    seen: dict[str, None] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
            seen |= dict.fromkeys(operation["tags"], None)
            for parameter in operation.get("parameters", []):
                parameter.setdefault("description", words.COMMON.get(parameter["name"], ""))
                parameter["deprecated"] = (operation["operationId"], parameter["name"]) in _DEPRECATED
    document["tags"] = [{"name": tag, "description": words.TAGS.get(tag, "")} for tag in seen]
    for name, schema in document["components"]["schemas"].items():
        kind = kinds.get(name)
        said = words.of_fields(kind) if kind is not None and "properties" in schema else {}
        if kind is not None and kind.__doc__:
            schema.setdefault("description", " ".join(kind.__doc__.split()))
        for field, about in schema.get("properties", {}).items():
            if (closed := _CLOSED.get((name, field))) is not None:
                about.pop("oneOf", None)
                about |= {"enum": closed} | ({} if None in closed else {"type": "string"})
            text = said.get(field) or words.COMMON.get(field, "")
            about.setdefault("description", text)


def _examples(paths: dict[str, Any]) -> None:
    """Of each body that is sent as JSON, and of a file; of each answer that is JSON, where all goes well."""
    for operations in paths.values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status != "default" and "application/json" in answer.get("content", {}):
                    content = answer["content"]["application/json"]
                    content["example"] = examples.ANSWERS[operation["operationId"]]
            for kind, said in operation.get("requestBody", {}).get("content", {}).items():
                if kind == "application/json":
                    said["example"] = examples.BODIES[operation["operationId"]]
                elif kind == "text/csv":
                    said["example"] = examples.CSV


def _problem_schema() -> dict[str, Any]:
    codes = sorted({*words.ERRORS, *(code.value for code in RowCode)})
    meanings = "; ".join(f"`{code}`: {text}" for code, text in sorted(words.ERRORS.items()))
    names = ("type", "title", "detail", "remedy", "field", "request_id")
    properties: dict[str, Any] = {name: {"type": "string"} for name in names}
    properties["code"] = {"type": "string", "enum": codes, "description": f"Stable; new ones may be added. {meanings}"}
    properties["faults"] = {"type": "array", "items": {"$ref": "#/components/schemas/RowFault"}}
    properties["faults"]["description"] = "Everything that is wrong with a row."
    properties["status"] = {"type": "integer"}
    return {
        "type": "object",
        "description": "RFC 9457; `code` is stable, `remedy` says what to do, `field` names what is wrong.",
        "properties": properties,
        "required": ["type", "title", "status", "detail", "code", "remedy", "request_id"],
    }


def _request_schemas(document: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """Names of the schemas that occur in request bodies."""
    found: set[str] = set()
    waiting = [
        operation["requestBody"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            name = str(node.get("$ref", "")).rsplit("/", 1)[-1]
            if name and name not in found:
                found.add(name)
                waiting.append(schemas[name])
    return found


def _scopes(app: Litestar) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for guard in handler.resolve_guards():
                if isinstance(guard, Scopes):
                    for method in handler.http_methods:
                        found[(route.path_format, method.lower())] = guard.scopes
    return found


def _key_parameter(*, required: bool) -> dict[str, Any]:
    return {
        "name": HEADER,
        "in": "header",
        "required": required,
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
        "description": "Yours; the same request under the same key gets the same answer, another one 409.",
    }


def _bodies(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Bodies that may be left out, and those that handlers read by themselves."""
    for body in (one.get("requestBody", {}) for operations in paths.values() for one in operations.values()):
        for said in body.get("content", {}).values():
            if {"type": "null"} in (ways := said["schema"].get("oneOf", [])):
                (said["schema"],) = [way for way in ways if way != {"type": "null"}]
                body["required"] = False
    row = {"type": "string", "description": f"One row a line: {', '.join(COLUMNS)}."}
    sheet = "A CSV may come as application/vnd.ms-excel too, as some browsers name it."
    one = {"$ref": "#/components/schemas/NewIncentive"}
    schemas["BatchRows"] = {
        "type": "object",
        "description": "A batch as one JSON object; the first row is line 1.",
        "properties": {"rows": {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_ROWS}},
        "required": ["rows"],
        "additionalProperties": False,
    }
    paths["/v1/batches"]["post"]["requestBody"] = {
        "required": True,
        "content": {
            "text/csv": {"schema": row | {"description": f"{row['description']} {sheet}"}},
            "application/x-ndjson": {"schema": row},
            "application/json": {"schema": {"$ref": "#/components/schemas/BatchRows"}},
        },
    }
    form: dict[str, Any] = {
        "type": "object",
        "properties": {
            "grant_type": {"type": "string", "enum": ["client_credentials"]},
            "scope": {"type": "string"},
            "client_id": {"type": "string"},
            "client_secret": {"type": "string"},
        },
        "required": ["grant_type"],
    }
    paths["/oauth/token"]["post"]["requestBody"] = {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": form}},
    }
    refused = {name: {"type": "string"} for name in ("error", "error_description", "code", "remedy")}
    error = {"type": "object", "description": "RFC 6749 section 5.2.", "properties": refused, "required": list(refused)}
    paths["/oauth/token"]["post"]["responses"]["default"]["content"]["application/json"] = {"schema": error}
    results = paths["/v1/batches/{batch_id}/results"]["get"]["responses"]["200"]["content"]
    for kind in ("text/csv", "application/x-ndjson"):
        results[kind] = {"schema": {"type": "string"}}
