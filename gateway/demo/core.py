"""The core platform and its approvers, as clients of the public API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

_CHUNK_BYTES = 65_536


class ApiError(Exception):
    """The API answered with a problem that the demonstration did not expect."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"HTTP {status} {code}: {detail}")
        self.status = status
        self.code = code


class Client:
    """One client of the API: fetches its token, renews it in time."""

    def __init__(self, http: httpx.AsyncClient, client_id: str, client_secret: str) -> None:
        self._http = http
        self._auth = httpx.BasicAuth(client_id, client_secret)
        self._token = ""
        self._until = 0.0

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """A JSON answer; raises `ApiError` for a problem document, also where the token is refused."""
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {await self._bearer()}"}
        return _answer(await self._http.request(method, path, headers=headers, **options))

    async def submit_batch(self, content: bytes, key: str) -> Any:
        """Submit a CSV as a batch, in chunks; the same key and content give the same batch again."""

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(content), _CHUNK_BYTES):
                yield content[start : start + _CHUNK_BYTES]

        headers = {"Content-Type": "text/csv", "Idempotency-Key": key}
        return await self.call("POST", "/v1/batches", content=chunks(), headers=headers, timeout=120.0)

    async def _bearer(self) -> str:
        if time.monotonic() > self._until:
            data = {"grant_type": "client_credentials"}
            answer = _answer(await self._http.post("/oauth/token", data=data, auth=self._auth))
            self._token = answer["access_token"]
            self._until = time.monotonic() + float(answer["expires_in"]) * 0.8
        return self._token


def _answer(reply: httpx.Response) -> Any:
    if reply.status_code >= 400:
        problem = reply.json() if "json" in reply.headers.get("content-type", "") else {}
        code = problem.get("code", problem.get("error", "?"))  # the second where a token is refused
        raise ApiError(reply.status_code, code, problem.get("detail", problem.get("error_description", "")))
    return reply.json() if reply.content else None
