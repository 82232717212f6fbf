"""Each address has one spelling: what stands in front lets some through and others not by what it reads there."""

from __future__ import annotations

import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.queries import _SPELLED
from gateway.core import Core
from tests.gateway.app import app_of

PATHS = ("/health/live", "/metrics", "/ops/sign-in", "/docs", "/schema", "/v1/partners", "/callbacks/gopay/link",
         "/.well-known/oauth-authorization-server")  # fmt: skip


def encoded(path: str, at: int, letters: str) -> str:
    """The same with one sign written as a number, in big or small letters."""
    number = f"%{ord(path[at]):02x}"
    return path[:at] + (number.upper() if letters == "big" else number) + path[at + 1 :]


@pytest.mark.parametrize("path", PATHS)
async def test_no_sign_of_an_address_is_written_as_a_number(core: Core, path: str) -> None:
    transport = httpx.ASGITransport(app_of(core), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        plain = (await http.get(path)).status_code
        assert plain != 404
        others = {encoded(path, at, letters) for at in range(1, len(path)) for letters in ("big", "small")}
        others |= {f"{path}%2F", f"{path}/%2f", f"{path}%2F%2F", f"/%2f{path[1:]}"}
        for other in sorted(others):
            url = httpx.URL("http://gateway.test").copy_with(raw_path=other.encode())
            assert (await http.send(http.build_request("GET", url))).status_code in (401, 404), other


@given(st.text("%23456789abcdefABCDEF/~:@!$&'()*+,;=é ", max_size=12))
def test_only_what_libraries_never_write_is_refused(path: str) -> None:
    """RFC 3986 section 2.3: what needs no number gets none; anything else may."""
    raw = path.encode()
    numbers = [bytes.fromhex(two.decode()) for two in re.findall(rb"%([0-9A-Fa-f]{2})", raw)]
    needless = any(re.match(rb"[A-Za-z0-9._/-]", sign) for sign in numbers) or b"//" in raw
    broken = re.search(rb"%[0-9A-Fa-f]?%", raw) is not None
    assert broken or bool(_SPELLED.search(raw)) == needless
