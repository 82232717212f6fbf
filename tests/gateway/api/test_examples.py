"""The description's examples, sent to the application as they stand: only ids are put in that it has given itself."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import msgspec
import msgspec.inspect
import pytest

from contracts.errors import InvalidRequest
from gateway.api import examples
from gateway.api.app import create_app
from gateway.api.bodies import StrictBody
from gateway.api.openapi import describe
from gateway.clock import jakarta_day
from tests.gateway.api.kit import Api

STORY = (
    ("maker", "register_programme"), ("maker", "submit_batch"), ("one", "decide_batch"), ("maker", "submit_incentive"),
    ("maker", "correct_participant"), ("maker", "change_account"), ("maker", "propose_plan"), ("one", "decide_plan"),
    ("two", "decide_plan"), ("maker", "entitle"), ("maker", "complete"), ("maker", "start_link"),
    ("maker", "hasten_payout"), ("maker", "create_webhook_endpoint"), ("maker", "change_webhook_endpoint"),
    ("maker", "replay_webhook_events"),
    ("operator", "pause_partner"), ("operator", "resume_partner"), ("operator", "ask_again"),
    ("operator", "start_reconciliation"),
)  # fmt: skip
"""Who sends which, in an order in which each can be done; what is answered last is the description's example."""
NOT_NOW = {
    "answer_link": "maker", "request_verification": "maker", "give_proof": "operator", "release_hold": "operator",
    "propose_settlement": "operator", "close_case": "operator",
}  # fmt: skip
"""What these are about is not there: they are read, and refused for that alone."""
_MADE = re.compile(r"(.*_)?(id|at|on|url|root|key|secret|cursor|until|since|read)")
"""Names of what is another one each time: ids, times, secrets, and days that are reckoned from today."""
_GIVEN = ("batch_id", "plan_id", "link_id", "webhook_endpoint_id", "incentive_id", "content_root", "read")


def _found(answer: Any, known: dict[str, str]) -> None:
    """Ids of an answer, by name."""
    if isinstance(answer, dict):
        known |= {name: value for name, value in answer.items() if name in _GIVEN and isinstance(value, str)}
        for value in answer.values():
            _found(value, known)


def _put_in(body: Any, known: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: known.get(name, _put_in(value, known)) for name, value in body.items()}
    return [_put_in(each, known) for each in body] if isinstance(body, list) else body


def _same(shown: Any, real: Any, name: str) -> None:
    """The example says what the application said, but for what is made anew; of a list it may show the beginning."""
    assert type(shown) is type(real), name
    if isinstance(shown, dict):
        assert shown.keys() == real.keys(), name
        for key in shown:
            _same(shown[key], real[key], f"{name}.{key}")
    elif isinstance(shown, list):
        assert len(shown) <= len(real) and bool(shown) == bool(real), name
        for one, other in zip(shown, real, strict=False):
            _same(one, other, name)
    elif not _MADE.fullmatch(name.rsplit(".", 1)[-1]):
        assert shown == real, name


@pytest.fixture
async def operations(api: Api) -> dict[str, tuple[str, str, Any]]:
    """By id: method, path and the example of the body."""
    paths = (await api.http.get("/schema")).json()["paths"]
    return {
        operation["operationId"]: (method.upper(), path, operation["requestBody"]["content"]["application/json"])
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }


@pytest.mark.usefixtures("ended")
async def test_each_example_is_taken(api: Api, operations: dict[str, tuple[str, str, Any]]) -> None:
    known = {"participant_id": "P-000001", "partner": "ovo"}
    answers: dict[str, Any] = {}
    for at, (role, name) in enumerate(STORY):
        method, path, said = operations[name]
        body = _put_in(said["example"], {one: known[one] for one in _GIVEN if one in known})
        if name == "complete":
            body["completions"][0]["finished_on"] = jakarta_day(api.core.resources.clock.now()).isoformat()
        reply = await api.call(method, path.format(**known), role=role, key=f"example-{at}", json=body)
        assert reply.status_code < 300, f"{name}: {reply.text}"
        _found(reply.json() if reply.content else None, known)
        answers[name] = reply.json()
        assert not reply.json().get("refused"), f"{name}: {reply.text}"
    for name, answer in answers.items():
        _same(examples.ANSWERS[name], answer, name)
    for name, role in NOT_NOW.items():
        method, path, said = operations[name]
        ids = known | {"hold_id": "1", "settlement_id": "1", "case_id": "1"}
        reply = await api.call(method, path.format(**ids), role=role, key=name, json=said["example"])
        assert reply.status_code in (404, 409) or reply.json()["code"] == "not_supported", f"{name}: {reply.text}"
    assert {name for _, name in STORY} | set(NOT_NOW) == set(operations), "each is sent"


@pytest.fixture
async def ended(api: Api) -> AsyncIterator[None]:
    """The comparison that an example begins ends before its database goes."""
    yield
    await api.core.reconciliations.close()


async def test_the_example_of_a_file_is_taken(api: Api) -> None:
    paths = (await api.http.get("/schema")).json()["paths"]
    example = paths["/v1/batches"]["post"]["requestBody"]["content"]["text/csv"]["example"]
    batch = (await api.submit(example.encode())).json()
    assert (batch["rows_accepted"], batch["rows_rejected"]) == (1, 0)


async def test_examples_say_what_the_schema_says(api: Api, operations: dict[str, tuple[str, str, Any]]) -> None:
    schemas = (await api.http.get("/schema")).json()["components"]["schemas"]
    for name, (_, _, said) in operations.items():
        schema = schemas[said["schema"]["$ref"].rsplit("/", 1)[-1]]
        assert set(schema.get("required", ())) <= set(said["example"]) <= set(schema["properties"]), name
        assert json.dumps(said["example"]).isascii()


def _nulled(kind: msgspec.inspect.Type, body: Any) -> Iterator[tuple[Any, Any]]:
    """The body once for each field that may be left out, however deep: with null there, and without it."""
    if isinstance(kind, msgspec.inspect.StructType):
        for field in kind.fields:
            name = field.encode_name
            rest = {key: value for key, value in body.items() if key != name}
            if not field.required:
                yield rest | {name: None}, rest
            elif name in body:
                yield from ((body | {name: one}, body | {name: two}) for one, two in _nulled(field.type, body[name]))
    elif isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        for n, each in enumerate(body):
            for one, two in _nulled(kind.item_type, each):
                yield [*body[:n], one, *body[n + 1 :]], [*body[:n], two, *body[n + 1 :]]


def test_null_is_as_if_left_out_wherever_a_field_may_be() -> None:
    """Many clients send every field that they know."""
    create_app(core=SimpleNamespace())  # type: ignore[arg-type]
    reader, tried = StrictBody(SimpleNamespace()), set()  # type: ignore[arg-type]
    by_kind = {kind.cls: (name, kind) for name, kind in StrictBody._kinds.items() if hasattr(kind, "cls")}
    for name, kind in by_kind.values():
        for body in examples.BODIES.values():
            try:
                reader.read(name, json.dumps(body).encode())
            except InvalidRequest:
                continue  # another operation's example
            for nulled, left_out in _nulled(kind, body):
                said = [json.dumps(one).encode() for one in (nulled, left_out)]
                assert reader.read(name, said[0]) == reader.read(name, said[1]), said
                tried.add(said[0])
    assert len(tried) > 15


def test_each_answer_has_an_example_that_its_schema_describes_to_the_last_field() -> None:
    document = json.loads(json.dumps(describe(create_app(core=SimpleNamespace()))))  # type: ignore[arg-type]
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        if "properties" in schema:
            schema |= {"additionalProperties": False, "required": list(schema["properties"])}
    told = set()
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                said = answer.get("content", {}).get("application/json")
                if status == "default" or said is None:
                    continue
                told.add(operation["operationId"])
                whole = said["schema"] | {"components": {"schemas": schemas}}
                checked = jsonschema_rs.validator_for(whole, validate_formats=True)
                wrong = [f"{one.instance_path} {one.message}" for one in checked.iter_errors(said["example"])]
                assert not wrong, f"{operation['operationId']}: {wrong}"
    assert told == set(examples.ANSWERS)
