"""While one node seals under the new key and another still under the old one, a person is one person to both."""

from __future__ import annotations

from dataclasses import replace

import httpx

from gateway.api.app import create_app
from gateway.core import Core, build_core
from gateway.security.vault import Vault
from tests.conftest import MASTER_KEY
from tests.gateway.api.kit import Api, nik, row
from tests.gateway.test_keyring import KEY_ID, NEW, NEW_ID, ring_of


def node(api: Api, core: Core, active: bytes) -> Api:
    """Another process: it has both keys, and has heard that this one seals."""
    vault = Vault(MASTER_KEY, NEW)
    vault.follow(ring_of(MASTER_KEY, NEW, active=active))
    other = build_core(replace(core.resources, vault=vault))
    transport = httpx.ASGITransport(create_app(core=other), raise_app_exceptions=False)  # type: ignore[arg-type]
    return replace(api, core=other, http=httpx.AsyncClient(transport=transport, base_url="http://gateway.test"))


async def test_whoever_was_handed_over_under_one_key_is_known_under_the_other(api: Api, core: Core) -> None:
    old, new = node(api, core, MASTER_KEY), node(api, core, NEW)
    async with old.http, new.http:
        for number, (first, second) in enumerate(((old, new), (new, old)), 1):
            made = await first.call("POST", "/v1/incentives", json=row(number), key=f"first-{number}")
            assert made.status_code == 201, made.text
            again = row(100 + number, nik=nik(number))
            twice = await second.call("POST", "/v1/incentives", json=again, key=f"again-{number}")
            assert (twice.status_code, twice.json()["code"]) == (409, "nik_duplicate"), twice.text
            shared = row(200 + number, account=row(number)["account"])
            await second.call("POST", "/v1/incentives", json=shared, key=f"shared-{number}")
            accounts = await api.fetch("SELECT account_index FROM participants ORDER BY id DESC LIMIT 2")
            assert accounts[0] == accounts[1], "and so is an account"
            replayed = await second.call("POST", "/v1/incentives", json=row(number), key=f"first-{number}")
            assert replayed.headers["Idempotent-Replayed"] == "true", "what one sealed the other opens"
            assert replayed.json() == made.json()
        sealed = await api.fetch("SELECT substring(nik_sealed FROM 1 FOR 2) AS key FROM participants ORDER BY id")
        assert {one["key"] for one in sealed} == {KEY_ID, NEW_ID}
