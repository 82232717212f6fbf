"""How JSON bodies are read: strictly (no "1" for 1, no unknown field), with errors that name the field and no value.

Litestar's own conversion is lenient about types; a DTO is its place for another one. With `dto=StrictBody` on the
application every handler that takes `data: JSONBody[Struct]` is read this way; one that takes a form sets `dto=None`.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Generator
from typing import Any, ClassVar

import msgspec
import msgspec.inspect
from litestar._openapi.schema_generation import SchemaCreator
from litestar.connection import ASGIConnection, Request
from litestar.dto import AbstractDTO, DTOFieldDefinition
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from contracts.errors import InvalidRequest
from gateway.api.problems import invalid, key_repeated, unsupported_media_type

MAX_BODY_BYTES = 65_536


def refuse_coded(request: Request[Any, Any, Any]) -> None:
    """Raise `InvalidRequest` where the body is packed, or the Content-Type names another charset than UTF-8."""
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise unsupported_media_type(
            "unpacked: no Content-Encoding is undone", remedy="Send it as it is, without a Content-Encoding."
        )
    if request.content_type[1].get("charset", "utf-8").strip('"').lower() not in ("utf-8", "utf8", "us-ascii"):
        raise unsupported_media_type(
            "in UTF-8, whatever charset the Content-Type names", remedy="Encode it as UTF-8, and name no other charset."
        )


def _is_utf8(value: bytes) -> bool:
    """Whether it is, and not UTF-16 of which every other byte is NUL."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return 0 not in value[:4]


class StrictBody(AbstractDTO[Any]):
    """Decodes a JSON body straight into the handler's Struct."""

    _decoders: ClassVar[dict[str, msgspec.json.Decoder[Any]]] = {}
    _kinds: ClassVar[dict[str, msgspec.inspect.Type]] = {}
    _fields: ClassVar[dict[str, dict[str, tuple[str, ...]]]] = {}
    """The fields of each handler's body, with what they take where that is a closed list."""

    def __init__(self, asgi_connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        self.asgi_connection = asgi_connection

    def decode_bytes(self, value: bytes) -> Any:
        """The body as the handler's Struct; raises `InvalidRequest`."""
        kind = self.asgi_connection.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise unsupported_media_type("application/json")
        request: Any = self.asgi_connection
        refuse_coded(request)
        if not _is_utf8(value):
            raise InvalidRequest(
                "The body is text in another charset than UTF-8.", code="charset_unsupported",
                remedy="Send JSON in UTF-8.",
            )  # fmt: skip
        handler: Any = request.route_handler
        return self.read(handler.handler_id, value.removeprefix(codecs.BOM_UTF8))

    def read(self, handler_id: str, value: bytes) -> Any:
        """What a JSON body says. Where a field may be left out, null is as if it were: many clients send every field
        that they know.
        """
        try:
            try:
                body = self._decoders[handler_id].decode(value)
            except msgspec.ValidationError:
                body = self._decoders[handler_id].decode(_without_nulls(self._kinds[handler_id], value))
            json.loads(value, object_pairs_hook=_once_each)
            return body
        except msgspec.DecodeError as error:
            fields = self._fields[handler_id]
            raise invalid(str(error), takes=tuple(fields), values=lambda name: fields.get(name, ())) from None
        except UnicodeDecodeError:  # half of a surrogate pair, as an escape
            raise invalid("JSON is malformed") from None

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Called once for each handler with a body."""
        cls._decoders[handler_id] = msgspec.json.Decoder(field_definition.annotation)
        cls._kinds[handler_id] = msgspec.inspect.type_info(field_definition.annotation)
        cls._fields[handler_id] = _fields_of(cls._kinds[handler_id])

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        """The Struct as it is."""
        return schema_creator.for_field_definition(
            FieldDefinition.from_annotation(
                field_definition.annotation, kwarg_definition=field_definition.kwarg_definition
            )
        )

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:
        """Every body."""
        return True

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        """Nothing is renamed or left out."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Nothing is transferred field by field."""
        return False


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that says two things under one key: readers differ in which they take."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        (name, *_) = (name for name in names if names.count(name) > 1)
        raise key_repeated(name)


def _without_nulls(kind: msgspec.inspect.Type, value: bytes) -> bytes:
    """The body without the fields that are null where they may be left out and null is nothing that they take."""
    if b"null" not in value:
        return value
    try:
        return json.dumps(_pruned(kind, json.loads(value))).encode()
    except (ValueError, RecursionError):
        return value  # whose first error is told


def _pruned(kind: msgspec.inspect.Type, value: Any) -> Any:
    match kind, value:
        case msgspec.inspect.StructType(fields=fields), dict():
            known = {field.encode_name: field for field in fields}
            return {
                name: _pruned(known[name].type, below) if name in known else below
                for name, below in value.items()
                if below is not None or name not in known or known[name].required or _is_nullable(known[name].type)
            }
        case msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item), list():
            return [_pruned(item, below) for below in value]
    return value


def _is_nullable(kind: msgspec.inspect.Type) -> bool:
    types = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return any(isinstance(one, msgspec.inspect.NoneType) for one in types)


def _fields_of(body: msgspec.inspect.Type) -> dict[str, tuple[str, ...]]:
    if not isinstance(body, msgspec.inspect.StructType):
        return {}
    return {field.encode_name: tuple(_listed(field.type)) for field in body.fields}


def _listed(kind: msgspec.inspect.Type) -> list[str]:
    match kind:
        case msgspec.inspect.EnumType(cls=cls):
            return [str(each.value) for each in cls]
        case msgspec.inspect.LiteralType(values=values):
            return [str(each) for each in values]
        case msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item):
            return _listed(item)
        case msgspec.inspect.UnionType(types=types):
            return [value for each in types for value in _listed(each)]
    return []
