"""The next version's schema is put in place while an API node of this one answers: what the node's connections have
prepared no longer fits what a table has. A request that meets it is undone and says that it may be sent again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.older import next_version

GIVEN = {"partner": "ovo", "payout_id": "1", "link_id": "L1"}


async def _operations(api: Api) -> dict[str, Callable[[int], Awaitable[Any]]]:
    """By name: what can be asked twice, the first time as number 0, the second as 1."""
    singles = [await api.call("POST", "/v1/incentives", key=f"t{n}", json=row(90 + n)) for n in range(2)]
    ids = [one.json()["incentive"]["incentive_id"] for one in singles]
    batches = [(await api.submit(as_csv([row(50 + n)]), key=f"a{n}")).json() for n in range(2)]
    named = {**GIVEN, "batch_id": batches[0]["batch_id"], "incentive_id": ids[0], "participant_id": "P00000090"}
    reason = {"reason": "a test"}

    def reading(path: str) -> Callable[[int], Awaitable[Any]]:
        return lambda n: api.call("GET", path, role="operator")

    paths = (await api.http.get("/schema")).json()["paths"]
    found = {
        f"GET {path}": reading(path.format_map({part[1:-1]: named.get(part[1:-1], "1") for part in path.split("/")}))
        for path, operations in paths.items()
        if "get" in operations and path.startswith("/v1/")
    }
    return found | {
        "submit a batch": lambda n: api.submit(as_csv([row(10 + n)]), key=f"b{n}"),
        "submit one": lambda n: api.call("POST", "/v1/incentives", key=f"s{n}", json=row(20 + n)),
        "approve": lambda n: api.decide(batches[n], "one"),
        "approve as the second": lambda n: api.decide(batches[n], "two"),
        "stop a batch": lambda n: api.call("POST", f"/v1/batches/{batches[n]['batch_id']}/stop", role="operator"),
        "cancel": lambda n: api.call("POST", f"/v1/incentives/{ids[n]}/cancel"),
        "stop": lambda n: api.call("POST", f"/v1/participants/P0000009{n}/stop"),
        "pause": lambda n: api.call("POST", "/v1/partners/ovo/pause", role="operator", json=reason),
        "resume": lambda n: api.call("POST", "/v1/partners/ovo/resume", role="operator"),
    }


async def test_no_request_is_lost_to_a_migration_that_came_in_between(api: Api) -> None:
    dsn, met = api.core.resources.settings.database_url.reveal(), []
    for number, (name, ask) in enumerate((await _operations(api)).items()):
        first = await ask(0)
        assert first.status_code < 300 or (name.startswith("GET") and first.status_code == 404), (name, first.text)
        assert await next_version(dsn, f"of_the_next_{number}") > 40
        second = await ask(1)
        if second.status_code == 503:
            assert second.headers["Retry-After"] == "1" and second.json()["code"] == "unavailable"
            met.append(name)
            second = await ask(1)
        assert second.status_code == first.status_code, (name, second.text)
    assert "approve" in met, "nothing was tried"
