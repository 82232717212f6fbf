"""A path or method that a partner does not have is refused in the words of the host it was sent to."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mock_partners.pytest import PartnerInProcess
from mock_partners.registry import PARTNERS
from tests.partners import each


@pytest.mark.parametrize(
    ("partner", "path", "expected"),
    [
        (partner, path, said)
        for partner, client in each("client").items()
        for path, said in client.STRANGE_PATHS.items()
    ],
)
async def test_an_unknown_path(
    mock_partner: Callable[..., PartnerInProcess], partner: str, path: str, expected: dict[str, object]
) -> None:
    mock = mock_partner(partner)
    reply = await mock.http.post(path, json={})
    assert (reply.status_code, reply.json()) == (404, expected)
    assert mock.requests()[-1]["outcome"] == "no such path"


async def test_unknown_paths_of_core_and_of_one_gate_payment(mock_partner: Callable[..., PartnerInProcess]) -> None:
    core = (await mock_partner("gopay").http.get("/v2/nothing")).json()
    assert (core["status_code"], core["status_message"]) == ("404", "The requested resource is not found")
    told = (await mock_partner("bni").http.post("/H2H/v2/nothing", json={})).json()["Response"]["parameters"]
    assert (told["responseCode"], told["errorMessage"]) == ("0000", "No such operation")


async def test_an_unknown_method_of_a_known_path(mock_partner: Callable[..., PartnerInProcess]) -> None:
    reply = await mock_partner("ovo").http.get("/OVOSNAP/v2.0/emoney/topup")
    assert (reply.status_code, reply.json()["responseCode"]) == (405, "4050000")


@pytest.mark.parametrize("partner", PARTNERS)
async def test_the_control_api_speaks_for_itself(mock_partner: Callable[..., PartnerInProcess], partner: str) -> None:
    reply = await mock_partner(partner).http.get("/__mock__/nothing")
    assert (reply.status_code, list(reply.json())) == (404, ["error"])


@pytest.mark.parametrize("partner", PARTNERS)
async def test_a_body_without_a_bottom_is_refused_wherever_one_is_read(
    mock_partner: Callable[..., PartnerInProcess], partner: str
) -> None:
    """Also where no signature stands before it: JSON of thousands of levels, which no reader follows to its end."""
    mock = mock_partner(partner)
    routes = [route for route in mock.mock.app.routes if route.method in ("POST", "PUT", "PATCH")]
    assert len(routes) > 5
    for route in routes:
        path = re.sub(r"\{(\w+):\w+\}", "1", route.path)
        for body in (b'{"a":' + b"[" * 50_000, b"[" * 50_000, b'{"partner":' * 20_000):
            reply = await mock.http.request(route.method, path, content=body)
            assert reply.status_code < 500, (route.operation, reply.text)
