"""Bodies of webhook calls in the description, one a type: what generators make a receiver's models of."""

from __future__ import annotations

from typing import Any

from contracts.events import DATA, EventType
from contracts.incentive import BlockerCode, Stage
from gateway.api import words

_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
_DAY, _TIME = ({"type": "string", "format": form} for form in ("date", "date-time"))
_FORMS: dict[str, dict[str, Any]] = {
    "amount_rupiah": _WHOLE,
    "answered": _WHOLE,
    "blocker": {"type": "string", "enum": [one.value for one in BlockerCode]},
    "codes": {"type": "object", "additionalProperties": _WHOLE},
    "deadline_on": _DAY,
    "due_on": _DAY,
    "fields": {"type": "array", "items": {"type": "string"}},
    "incentives": _WHOLE,
    "next_canary_at": _TIME,
    "refused": _WHOLE,
    "rows_accepted": _WHOLE,
    "rows_rejected": _WHOLE,
    "rows_repeated": _WHOLE,
    "since": _TIME,
}
"""Names of data that are no plain texts."""
_SAID = {
    "answered": "People of whom the partner has said anything.",
    "because": "Why.",
    "codes": "People by blocker.",
    "fields": "Names of what was corrected.",
    "next_canary_at": "When the next call is let through, to see whether the partner is back.",
    "refused": "People who are refused.",
    "rows_repeated": "Rows handed over before with the same content.",
    "words": "What the partner said.",
}
_HEADERS = {
    "webhook-id": "The same in every try of an event.",
    "webhook-timestamp": "When this try was signed: seconds since 1970.",
    "webhook-signature": "By the Standard Webhooks specification; during a rotation two.",
}


def webhooks() -> tuple[dict[str, Any], dict[str, Any]]:
    """The description's `webhooks`, and the schemas that they name."""
    calls: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for kind in EventType:
        name = "".join(part.capitalize() for part in kind.value.replace(".", "_").split("_")) + "Event"
        schemas[name] = _body(kind)
        calls[kind.value] = {"post": _call(kind, name)}
    return calls, schemas


def _call(kind: EventType, name: str) -> dict[str, Any]:
    return {
        "operationId": f"on_{kind.value.replace('.', '_')}",
        "summary": kind.value,
        "description": "Called by the gateway; answer 2xx once it is kept. See docs/events.md.",
        "tags": ["webhook-endpoints"],
        "security": [],
        "parameters": [
            {"name": one, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for one, text in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}},
        },
        "responses": {"2XX": {"description": "Taken."}, "default": {"description": "Not taken: called again later."}},
    }


def _body(kind: EventType) -> dict[str, Any]:
    data = {field.rstrip("?"): _field(kind, field) for field in DATA[kind]}
    return {
        "type": "object",
        "description": f"The body of a call about `{kind.value}`.",
        "properties": {
            "type": {"type": "string", "const": kind.value, "description": "The type of the event."},
            "timestamp": _TIME | {"description": "The time of the fact."},
            "subject": {"type": "string", "description": "The id of what it is about."},
            "cursor": {"type": "string", "description": "Its place among the events of `/v1/events`."},
            "data": {
                "type": "object",
                "description": "What is said of it; nothing of it is personal.",
                "properties": data,
                "required": list(data),
            },
        },
        "required": ["type", "timestamp", "subject", "cursor", "data"],
    }


def _field(kind: EventType, field: str) -> dict[str, Any]:
    name = field.rstrip("?")
    form = _FORMS.get(name, {"type": "string"})
    if name == "stage" and kind is EventType.INCENTIVE_CHANGED:
        form = form | {"enum": [one.value for one in Stage]}
    if field.endswith("?"):
        form = {"oneOf": [form, {"type": "null"}]}
    return form | {"description": _SAID.get(name) or words.COMMON[name]}
