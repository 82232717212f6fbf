"""Where a participant's browser may be sent to type a PIN: to the partner's own names, as a browser reads them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.registry import PARTNERS
from contracts.linking import LinkRedirect
from contracts.secret import Secret
from gateway.clock import SystemClock
from gateway.partners.desk import Desk
from gateway.partners.tokens import Tokens
from gateway.security.vault import Vault
from gateway.settings import SettingsError, Waits, partner_pages
from tests.gateway.linking.world import World, press

THEIRS = ("https://example.test/consent", "https://pin.partner.example.test:8443?x=1", "HTTPS://PIN.Example.Test./a",
          "http://fake.test:9000/page", "https://fake.test/")  # fmt: skip
ELSEWHERE = (
    "https://evil.test/consent", "https://example.test.evil.test/", "https://notexample.test/", "https://test/",
    "https://evil.test\\@example.test/", "https://evil.test\\.example.test/", "https://example.test@evil.test/",
    "https://u:p@example.test/", "https://evil%2etest/.example.test", "https://evil.test#.example.test",
    "https://evil.test?.example.test", "https:///evil.test/example.test", "https:\\\\example.test/",
    "http://example.test/", "https://fake.test.evil.test/", "https://[::1]/example.test",
    "https://example.test:443:80/", "https://example.test:x/", "https://.example.test.evil/",
)  # fmt: skip


def desk(slug: str, *pages: str, **hosts: str) -> Desk:
    return Desk(
        PARTNERS[slug], credentials={}, hosts=hosts, pages=pages, executor=None,  # type: ignore[arg-type]
        tokens=Tokens(None, Vault(bytes(32)), SystemClock()), clock=SystemClock(), waits=Waits(),
    )  # fmt: skip


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_nobody_is_sent_to_a_page_that_is_not_the_partners(world: World, url: str) -> None:
    link = await world.start(await world.person("shared"))
    world.banks["shared"].will("begin", LinkRedirect(url=url))
    browser = world.browser()
    page = await press(browser, link["challenge"]["url"])
    assert page.status_code == 503 and "location" not in page.headers and "evil" not in page.text
    page = await press(browser, link["challenge"]["url"])
    assert page.headers["location"] == "https://partner.example.test/consent", "nothing is spent by it"


@pytest.mark.parametrize("url", THEIRS)
async def test_the_partners_own_pages_are_gone_to(world: World, url: str) -> None:
    link = await world.start(await world.person("shared"))
    world.banks["shared"].will("begin", LinkRedirect(url=url, carry={"kept": Secret("kept-token")}))
    page = await press(world.browser(), link["challenge"]["url"])
    assert (page.status_code, page.headers["location"]) == (303, url)


@given(st.text("evil.ovo.id/\\@:?#%[]-", max_size=24))
def test_no_spelling_makes_another_host_theirs(middle: str) -> None:
    """A browser takes whatever stands before the first slash, backslash, question mark or hash for the host."""
    if not desk("ovo")._is_theirs(f"https://evil.test{middle}"):
        return
    place = f"evil.test{middle}".replace("\\", "/")
    for end in "/?#":
        place = place.partition(end)[0]
    assert place.partition(":")[0].rstrip(".").endswith(".ovo.id") and "@" not in place


def test_what_the_manifests_assume_is_widened_by_a_setting() -> None:
    for slug, page in (("ovo", "https://link.ovo.id/l?x=1"), ("linkaja", "https://pin.linkaja.com/a")):
        elsewhere = f"https://pages.{slug}.example/{quote(page, safe='')}"
        assert desk(slug)._is_theirs(page) and not desk(slug)._is_theirs(elsewhere)
        pages = partner_pages({f"{slug}_page_hosts".upper(): f" Other.Example, {slug}.Example "}, slug)
        assert desk(slug, *pages)._is_theirs(elsewhere)
        assert desk(slug, snap="http://127.0.0.1:9104")._is_theirs("http://127.0.0.1:9104/pin"), "where its mock is"
        assert any("page" in fact.text and fact.mark.value == "assumed" for fact in PARTNERS[slug].manifest.facts)


@pytest.mark.parametrize("text", ["id", "https://ovo.id", "*.ovo.id", "ovo.id/x", "ovo .id", "öv.id", ".id"])
def test_a_setting_that_names_no_host_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="OVO_PAGE_HOSTS is names"):
        partner_pages({"OVO_PAGE_HOSTS": text}, "ovo")
