"""The KYC Data Pull's states and the callback when a running KYC completes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mock_partners.gopay.conftest import NIK, Gopay

pytestmark = pytest.mark.asyncio


async def pulled(gopay: Gopay, token: str) -> tuple[int, str]:
    """HTTP status, and the submission's state or the error's code."""
    reply = await gopay.kyc(token)
    body = reply.json()
    if not body["success"]:
        return reply.status_code, body["errors"][0]["code"]
    return reply.status_code, f"{body['data']['status']}/{body['data'].get('result')}"


async def test_a_completed_submission_tells_the_identity_card(gopay: Gopay) -> None:
    gopay.account()
    token = await gopay.link()
    data = (await gopay.kyc(token)).json()["data"]
    assert (data["status"], data["result"]) == ("COMPLETED", "VALID")
    ktp = data["submissionData"]["ktp"]
    assert (ktp["documentNumber"], ktp["name"], ktp["dob"], ktp["gender"]) == (
        NIK,
        "BUDI SANTOSO",
        "1990-04-23",
        "male",
    )
    assert {document["documentType"] for document in data["documents"]} == {"SELFIE", "KYC_PROOF"}
    gopay.clock.shift(60)
    again = (await gopay.kyc(token)).json()["data"]
    assert (again["submissionId"], again["createdAt"]) == (data["submissionId"], data["createdAt"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kyc": "basic"}, (404, "1519")),
        ({"kyc": "basic", "nik_on_file": ""}, (404, "1519")),
        ({"nik_on_file": ""}, (200, "COMPLETED/INVALID")),
        ({"nik_on_file": "3174016304909902"}, (200, "COMPLETED/VALID")),
    ],
)
async def test_states(gopay: Gopay, changes: dict[str, Any], expected: tuple[int, str]) -> None:
    gopay.account(**changes)
    reply = await gopay.kyc(await gopay.link())
    assert await pulled(gopay, await gopay.link()) == expected
    assert (NIK in reply.text) is False


async def test_unavailable_twice(gopay: Gopay) -> None:
    gopay.account(behaviour="verify:unavailable_twice")
    token = await gopay.link()
    told = [await pulled(gopay, token) for _ in range(3)]
    assert told == [(500, "1500"), (500, "1500"), (200, "COMPLETED/VALID")]


async def test_in_progress_then_the_callback(gopay: Gopay) -> None:
    gopay.account(behaviour="verify:in_progress")
    token = await gopay.link()
    await gopay.scheduler.run_due()
    gopay.posts.clear()
    for _ in range(2):
        reply = await gopay.kyc(token)
        assert reply.json()["data"]["status"] == "IN_PROGRESS"
        assert reply.json()["data"].keys().isdisjoint({"documents", "submissionData", "result"})
        await gopay.pass_time(4.9)
        assert gopay.posts == []
    await gopay.pass_time(0.2)
    (post,) = gopay.posts
    assert (post.notice.method, post.path) == ("PUT", "/callbacks/gopay/v1/callback/partner")
    assert post.notice.headers["Authorization"] == token
    assert (post.body["status"], post.body["result"], post.body["reasonCode"]) == ("COMPLETED", "VALID", None)
    assert post.body["partnerSessionId"]
    done = await gopay.kyc(token)
    assert done.json()["data"]["submissionId"] == post.body["submissionId"]
    assert done.json()["data"]["result"] == "VALID"


async def test_refusals(gopay: Gopay) -> None:
    gopay.account(behaviour="verify:unavailable_twice")
    token = await gopay.link()
    for changes in ({"authorization": "nobody"}, {"authorization": f"Bearer {token}"}, {"x-merchant-id": "somebody"}):
        reply = await gopay.kyc(token, **changes)
        assert reply.status_code == 401
        assert reply.json() == {
            "success": False,
            "errors": [{"code": "1401", "entity": "FLOW_MANAGER", "cause": "UNAUTHORIZED"}],
        }
    assert (await gopay.kyc(token, **{"correlation-id": "1"})).status_code == 400
    assert [await pulled(gopay, token) for _ in range(2)] == [(500, "1500")] * 2
