"""The demonstration's client of the API: whatever is refused is told as one kind of error."""

from __future__ import annotations

import httpx
import pytest
import respx

from gateway.demo.core import ApiError, Client


@pytest.mark.parametrize(
    ("token", "asked"), [(503, 200), (401, 200), (200, 503)], ids=["no token now", "token refused", "request refused"]
)
async def test_a_refusal_is_told_alike_wherever_it_comes(token: int, asked: int, respx_mock: respx.MockRouter) -> None:
    """Who asks again while a database is away must know a token's refusal from an end."""
    problem = {"code": "unavailable", "detail": "the database is away"}
    bearer = {"access_token": "t", "expires_in": 60}
    respx_mock.post("http://api/oauth/token").respond(token, json=bearer if token == 200 else problem)
    respx_mock.get("http://api/v1/partners").respond(asked, json={} if asked == 200 else problem)
    async with httpx.AsyncClient(base_url="http://api") as http:
        with pytest.raises(ApiError) as told:
            await Client(http, "c", "s").call("GET", "/v1/partners")
    assert told.value.status == max(token, asked) and told.value.code == "unavailable"
