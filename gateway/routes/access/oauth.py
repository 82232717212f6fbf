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
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency

from gateway.api.guards import take
from gateway.core import Core
from gateway.security.assertions import ALGORITHMS, issuer_of
from gateway.security.assertions import TYPE as ASSERTION_TYPE
from gateway.security.clients import SCOPES, TOKEN_LIFE_S, hashed
from gateway.security.limits import TOKENS, TOKENS_REFUSED
from gateway.storage.access.clients import ClientRow, Credentials

_FORM = "application/x-www-form-urlencoded"
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_MAX_BYTES = 8_192
_MAX_FIELDS = 20
_TOKEN_BYTES = 32
_ENDPOINT = "https://gateway/oauth/token"
"""What authlib checks for https is the front's business (docs/production.md); here it is only a name."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, valid for `expires_in` seconds."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8414, as far as this server goes."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    service_documentation: str
    grant_types_supported: tuple[str, ...] = ("client_credentials",)
    response_types_supported: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = SCOPES
    token_endpoint_auth_methods_supported: tuple[str, ...] = AUTH_METHODS
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ALGORITHMS
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = AUTH_METHODS
    dpop_signing_alg_values_supported: tuple[str, ...] = ALGORITHMS


class _Client(ClientMixin):  # type: ignore[misc] # authlib ships no types
    def __init__(self, row: ClientRow, credentials: Credentials) -> None:
        self.row = row
        self.keys = credentials.keys
        self.proved = False
        """By a signature, in this request."""
        self._secret_hashes = credentials.secret_hashes

    def get_client_id(self) -> str:
        return self.row.id

    def get_allowed_scope(self, scope: str | None) -> str:
        """The scopes asked for that the client has; none asked for: all of them."""
        wanted = dict.fromkeys((scope or "").split() or self.row.scopes)
        return " ".join(name for name in wanted if name in self.row.scopes)

    def check_client_secret(self, client_secret: str) -> bool:
        given = hashed(client_secret.strip())  # a secret out of a file often ends with a line break
        return any(hmac.compare_digest(kept, given) for kept in self._secret_hashes)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return endpoint == "token" and method in _Grant.TOKEN_ENDPOINT_AUTH_METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == _Grant.GRANT_TYPE)


class _Grant(ClientCredentialsGrant):  # type: ignore[misc] # authlib ships no types
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS


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
        self.register_client_auth_method("private_key_jwt", lambda *_: client if client and client.proved else None)

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
    "invalid_request": f"Send every parameter in the body, as {_FORM}, each once; none in the address, no JSON.",
    "invalid_client": "Send the client's id and secret by HTTP Basic or in the form, or a new assertion; an operator"
    " can make new ones.",
    "invalid_scope": "Ask for scopes that the client has, with spaces between, or for none to get all of them.",
    "invalid_dpop_proof": "Send one DPoP header, made anew for this request, or none for a bearer token (RFC 9449): typ"
    " dpop+jwt, ES256 or PS256, the public key as jwk; htm POST, htu this address, a new jti, and iat now.",
    "unsupported_grant_type": "Send grant_type=client_credentials.",
}


_SIGN = (
    "Sign a new assertion with a key that the gateway has of the client, under its kid, by ES256 or PS256: iss and sub"
    " the client's id, aud the gateway's public address, a new jti, and an exp within five minutes."
)


@post("/oauth/token", status_code=200, request_max_body_size=_MAX_BYTES, dto=None)
async def issue_token(core: NamedDependency[Core], request: Request[Any, Any, Any]) -> Response[Token]:
    """An access token for a client that proves itself, by its secret or by a signature."""
    form = await _form(request)
    headers = {"Authorization": request.headers.get("authorization", "")}
    if form is None or _two_ways(headers, form):
        return _refused("invalid_request")
    client_id, client = await _of(core, headers, form, "token")
    status, body, _ = _Server(client).create_token_response(_Request(headers, form))
    if status == 200 and not body["scope"]:
        status, body = 400, {"error": "invalid_scope"}
    if status != 200:
        error = str(body.get("error", "invalid_request"))
        if error == "invalid_client":
            await take(request, TOKENS_REFUSED)
            await core.clients.note_refused(client_id if client else None)
        return _refused(error, signed="client_assertion" in form)
    await take(request, TOKENS, client_id)
    thumbprint = None
    if proofs := request.headers.getall("dpop", []):
        url = f"{core.resources.settings.public_url}/oauth/token"
        thumbprint = await core.clients.holder(client_id, proofs, "POST", url)
        if thumbprint is None:
            return _refused("invalid_dpop_proof")
        body["token_type"] = "DPoP"  # noqa: S105 - a kind of token
    await core.clients.keep_token(body["access_token"], client_id, body["scope"].split(), thumbprint)
    return Response(body, status_code=200, headers=_NO_STORE)


@post("/oauth/revoke", status_code=200, include_in_schema=False, request_max_body_size=_MAX_BYTES, dto=None)
async def revoke_token(core: NamedDependency[Core], request: Request[Any, Any, Any]) -> Response[Any]:
    """End an access token before its time (RFC 7009); of one that is not the client's nothing is said or changed."""
    form = await _form(request)
    headers = {"Authorization": request.headers.get("authorization", "")}
    if form is None or not form.get("token") or _two_ways(headers, form):
        return _refused("invalid_request")
    client_id, client = await _of(core, headers, form, "revoke")
    try:
        _, basic_secret = extract_basic_authorization(headers)
        secret = basic_secret or form.get("client_secret", "")
    except ValueError:
        secret = ""
    if client is None or not (client.proved or client.check_client_secret(secret)):
        await take(request, TOKENS_REFUSED)
        await core.clients.note_refused(client_id if client else None)
        return _refused("invalid_client", signed="client_assertion" in form)
    await core.clients.revoke(form["token"], client_id)
    return Response(None, status_code=200, headers=_NO_STORE)


async def _of(core: Core, headers: dict[str, str], form: dict[str, str], endpoint: str) -> tuple[str, _Client | None]:
    """Which client the request names, `proved` where a signature says so; takes a header that can be none out, as
    authlib would stumble over it.
    """
    try:
        basic_id, _ = extract_basic_authorization(headers)
    except ValueError:
        headers.clear()
        basic_id = None
    assertion = form.get("client_assertion", "")
    client_id = basic_id or form.get("client_id") or (issuer_of(assertion) if assertion else "")
    found = await core.clients.find(client_id) if client_id and "\0" not in client_id else None
    client = None if found is None else _Client(*found)
    if client is not None and client.keys is not None and form.get("client_assertion_type") == ASSERTION_TYPE:
        public = core.resources.settings.public_url
        audiences = (public, f"{public}/", f"{public}/oauth/{endpoint}")
        client.proved = await core.clients.proves(client_id, client.keys, assertion, audiences)
    return client_id, client


def _two_ways(headers: dict[str, str], form: dict[str, str]) -> bool:
    """Whether the request proves who it is in two ways at once (RFC 6749 section 2.3 allows one)."""
    if "client_assertion" in form and ("client_secret" in form or headers["Authorization"]):
        return True
    try:
        basic_id, _ = extract_basic_authorization(headers)
    except ValueError:
        return False
    return bool(basic_id) and ("client_secret" in form or form.get("client_id", basic_id) != basic_id)


@get("/.well-known/oauth-authorization-server", include_in_schema=False)
async def show_metadata(core: NamedDependency[Core]) -> Metadata:
    """Where tokens are asked for, and how (RFC 8414): OAuth libraries find the rest by this address alone."""
    public = core.resources.settings.public_url
    return Metadata(
        issuer=public,
        token_endpoint=f"{public}/oauth/token",
        revocation_endpoint=f"{public}/oauth/revoke",
        service_documentation=f"{public}/docs",
    )


def _refused(error: str, *, signed: bool = False) -> Response[Any]:
    remedy = _SIGN if signed and error == "invalid_client" else _REMEDIES.get(error)
    body = {
        "error": error,
        "error_description": _DESCRIPTIONS.get(error, "The request is not valid."),
        "code": error,
        "remedy": remedy or "Correct the request and send it again.",
    }
    if error == "invalid_client":
        return Response(body, status_code=401, headers=_NO_STORE | {"WWW-Authenticate": 'Basic realm="gateway"'})
    return Response(body, status_code=400, headers=_NO_STORE)


_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


_DESCRIPTIONS = {
    "invalid_request": "The body is no form that can be read, names a field twice, or proves the client in two ways.",
    "invalid_client": "The client is unknown, disabled, or does not prove itself.",
    "invalid_scope": "The client has none of these scopes.",
    "invalid_dpop_proof": "The proof is not of this request and of now, was used before, or does not hold.",
    "unsupported_grant_type": "Only client_credentials is offered.",
}


async def _form(request: Request[Any, Any, Any]) -> dict[str, str] | None:
    """The form's fields; None where there is none that can be read, part of it stands in the address, or a field is
    named twice (RFC 6749 section 3.2).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM or request.scope["query_string"]:
        return None
    try:
        body = (await request.body()).decode("ascii").rstrip("\r\n")
        fields = parse_qsl(body, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return None
    return dict(fields) if len(dict(fields)) == len(fields) else None


router = Router(path="/", route_handlers=[issue_token, revoke_token, show_metadata], tags=["oauth"])
