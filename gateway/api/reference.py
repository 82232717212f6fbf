"""The API's description as a page for people, made of the same document; nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def contents(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the page `api.html` shows of an OpenAPI document."""
    schemas = document["components"]["schemas"]
    flows = document["components"]["securitySchemes"]["client"]["flows"]
    return {
        "tags": document["tags"],
        "operations": [
            _operation(path, method, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ],
        "scopes": flows["clientCredentials"]["scopes"],
        "schemas": [_schema(name, schema) for name, schema in sorted(schemas.items())],
        "names": frozenset(schemas),
    }


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {})
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "tags": operation["tags"],
        "description": operation["description"],
        "scopes": [scope for way in operation.get("security", []) for scope in way.get("client", [])],
        "parameters": [
            {
                "name": one["name"],
                "where": one["in"],
                "required": one.get("required", False),
                "form": form(one["schema"]),
                "description": one["description"],
            }
            for one in operation.get("parameters", [])
        ],
        "bodies": [{"kind": kind, "schema": form(said["schema"])} for kind, said in body.items()],
        "answers": [
            {"status": status, "schema": ", ".join({form(said["schema"]): None for said in one["content"].values()})}
            if one.get("content")
            else {"status": status, "schema": "nothing"}
            for status, one in operation["responses"].items()
        ],
    }


def _schema(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    return {
        "name": name,
        "description": schema.get("description", ""),
        "values": schema.get("enum", ()),
        "fields": [
            {"name": field, "required": field in required, "form": form(said), "description": said["description"]}
            for field, said in schema.get("properties", {}).items()
        ],
    }


def form(schema: Mapping[str, Any]) -> str:
    """A schema in a few words: the name of another one, or what kind of value with which bounds."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    for joint in ("allOf", "oneOf", "anyOf"):
        if joint in schema:
            return " or ".join(form(one) for one in schema[joint])
    if "enum" in schema and len(schema["enum"]) <= 8:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {form(schema.get('items', {}))}"
    kind = schema.get("format") or schema.get("type", "anything")
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minimum", "from"), ("maximum", "to"), ("minLength", "at least"), ("maxLength", "at most"),
            ("pattern", "as"),
        )
        if key in schema
    ]  # fmt: skip
    return " ".join([str(kind), *bounds])
