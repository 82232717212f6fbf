"""`POST /oauth/token`: client credentials (RFC 6749 section 4.4) on authlib's authorization server.

Answers and errors have the form of RFC 6749, because OAuth libraries read them; errors carry our `code` and `remedy`
besides.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientCredentialsGrant, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6749.util import extract_basic_authorization
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency

from gateway.api.problems import unsupported_media_type
from gateway.core import Core
from gateway.security.clients import TOKEN_LIFE_S, hashed
from gateway.storage.access.clients import ClientRow

_FORM = "application/x-www-form-urlencoded"
_MAX_BYTES = 8_192
_MAX_FIELDS = 20
_TOKEN_BYTES = 32
_ENDPOINT = "https://gateway/oauth/token"
"""What authlib checks for https is the front's business (docs/production.md); here it is only a name."""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The form; a client that authenticates by HTTP Basic leaves `client_id` and `client_secret` out."""

    grant_type: str
    scope: str | None = None
    """Space-separated; all of the client's when left out."""
    client_id: str | None = None
    client_secret: str | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, valid for `expires_in` seconds."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


class _Client(ClientMixin):  # type: ignore[misc] # authlib ships no types
    def __init__(self, row: ClientRow, secret_hash: bytes) -> None:
        self.row = row
        self._secret_hash = secret_hash

    def get_client_id(self) -> str:
        return self.row.id

    def get_allowed_scope(self, scope: str | None) -> str:
        """The scopes asked for that the client has; none asked for: all of them."""
        wanted = (scope or "").split() or list(self.row.scopes)
        return " ".join(name for name in wanted if name in self.row.scopes)

    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(self._secret_hash, hashed(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return endpoint == "token" and method in _Grant.TOKEN_ENDPOINT_AUTH_METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == _Grant.GRANT_TYPE)


class _Grant(ClientCredentialsGrant):  # type: ignore[misc] # authlib ships no types
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")


class _Request(OAuth2Request):  # type: ignore[misc] # authlib ships no types
    def __init__(self, headers: dict[str, str], form: dict[str, str]) -> None:
        super().__init__("POST", _ENDPOINT, headers=headers)
        self.payload = BasicOAuth2Payload(form)

    @property
    def form(self) -> dict[str, str]:
        data: dict[str, str] = self.payload.data
        return data


class _Server(AuthorizationServer):  # type: ignore[misc] # authlib ships no types
    """One request's server: authlib asks for clients synchronously, so the one client in question is loaded before."""

    def __init__(self, client: _Client | None) -> None:
        super().__init__()
        self._client = client
        self.register_grant(_Grant)
        self.register_token_generator("default", self._generate)

    def query_client(self, client_id: str) -> _Client | None:
        return self._client if self._client is not None and self._client.row.id == client_id else None

    def _generate(self, *, client: _Client, scope: str | None, **_: Any) -> dict[str, Any]:
        return {
            "access_token": secrets.token_urlsafe(_TOKEN_BYTES),
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFE_S,
            "scope": client.get_allowed_scope(scope),
        }

    def save_token(self, token: dict[str, Any], request: _Request) -> None:
        """Stored afterwards, by the route."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Any:
        return status, body, dict(headers)


_REMEDIES = {
    "invalid_client": "Send the client's id and secret by HTTP Basic or in the form; an operator can make new ones.",
    "invalid_scope": "Ask for scopes that the client has, or for none to get all of them.",
    "unsupported_grant_type": "Send grant_type=client_credentials.",
}


@post("/token", status_code=200, request_max_body_size=_MAX_BYTES, dto=None)
async def issue_token(core: NamedDependency[Core], request: Request[Any, Any, Any]) -> Response[Token]:
    """An access token for a client's id and secret."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise unsupported_media_type(_FORM)
    form = _form(await request.body())
    headers = {"Authorization": request.headers.get("authorization", "")}
    try:
        basic_id, _ = extract_basic_authorization(headers)
    except UnicodeDecodeError:  # no id of ours, and authlib would stumble over it again
        headers, basic_id = {}, None
    client = None
    client_id = basic_id or form.get("client_id")
    if client_id and (found := await core.clients.find(client_id)):
        client = _Client(*found)
    status, body, extra = _Server(client).create_token_response(_Request(headers, form))
    if status == 200 and not body["scope"]:
        status, body = 400, {"error": "invalid_scope", "error_description": "The client has none of these scopes."}
    if status == 200:
        await core.clients.keep_token(body["access_token"], client_id or "", body["scope"].split())
    else:
        error = str(body.get("error", "invalid_request"))
        if error == "invalid_client":
            status, extra = 401, extra | {"WWW-Authenticate": 'Basic realm="gateway"'}
        body = {"error": error, "error_description": _DESCRIPTIONS.get(error, "The request is not valid.")}
        body |= {"code": error, "remedy": _REMEDIES.get(error, "Correct the request and send it again.")}
    no_store = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    extra.pop("Content-Type", None)
    return Response(body, status_code=status, headers=extra | no_store)


_DESCRIPTIONS = {
    "invalid_client": "The client is unknown, disabled, or its secret is wrong.",
    "invalid_scope": "The client has none of these scopes.",
    "unsupported_grant_type": "Only client_credentials is offered.",
}


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        return {}


router = Router(path="/oauth", route_handlers=[issue_token], tags=["oauth"])
