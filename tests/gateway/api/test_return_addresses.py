"""Return addresses as they are registered: one place, whoever reads it, and nothing that ends a header's word."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidRequest
from gateway import pages
from gateway.core import Core
from gateway.security.clients import _RETURN, register

GOOD = ("https://core.test/back", "http://127.0.0.1:8000/x?a=1&b=%20", "https://core_1.svc:8443", "https://[::1]/x")
BAD = (
    "core.test/back", "ftp://core.test/", "javascript://core.test/%0aalert(1)", "https://", "https:///core.test/x",
    "https://user@core.test/", "https://core.test@evil.test/", "https://core.test\\@evil.test/", "https:\\\\core.test/",
    "https://core.test;script-src/*", "https://core.test /x", "https://core.test/\r\nSet-Cookie: a=b",
    "https://core.test/#done", "https://core.test/\u00e9", "https://core%2etest/", "https://core.test:80:90/",
    "https://core.test/a b", "https://core.test/<x>", 'https://core.test/"', "https://core.test\n",
)  # fmt: skip


@pytest.mark.parametrize("url", BAD)
async def test_what_can_be_read_in_two_ways_is_not_registered(core: Core, url: str) -> None:
    database, now = core.resources.database, core.resources.clock.now()
    with pytest.raises(InvalidRequest, match="return address"):
        await register(database, now, name="c", scopes=["links"], return_urls=[GOOD[0], url])
    assert (await register(database, now, name="c", scopes=["links"], return_urls=GOOD)).client_id == "c"


@given(st.text("htps:/core.test@evil\\?#;, \n%é[]1", max_size=30))
def test_whatever_is_registered_is_one_place(end: str) -> None:
    url = f"https://core.test{end}"
    if _RETURN.fullmatch(url) is None:
        return
    parts = urlsplit(url)
    assert parts.netloc == url[8:].replace("?", "/").partition("/")[0] and "@" not in parts.netloc
    policy = pages.headers(url)["Content-Security-Policy"]
    assert policy.count(";") == pages.headers()["Content-Security-Policy"].count(";")
