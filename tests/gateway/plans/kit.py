"""A plan of four months, its people and notices, as a core platform sends them."""

from __future__ import annotations

from typing import Any

from tests.gateway.api.kit import Api, row

_PERSON = ("participant_id", "nik", "full_name", "phone", "partner", "account")


def plan(**changes: Any) -> dict[str, Any]:
    """Four monthly instalments after the training, and a bonus for one survey."""
    months = [
        {"purpose": "training", "period": n + 1, "amount_rupiah": 600_000, "due_after_months": n, "due_after_days": 7,
         "deadline_after_days": 60}
        for n in range(4)
    ]  # fmt: skip
    bonus = {"purpose": "survey", "period": 1, "amount_rupiah": 50_000, "after": "survey-1", "deadline_after_days": 30}
    return {
        "programme": "prakerja-2026-1", "name": "four-months", "most_participants": 1_000,
        "instalments": [*months, bonus], "holidays": ["2026-12-25"],
    } | changes  # fmt: skip


def person(number: int, **changes: Any) -> dict[str, Any]:
    """A participant to be entitled."""
    return {name: row(number)[name] for name in _PERSON} | changes


async def propose(api: Api, key: str = "plan", **changes: Any) -> dict[str, Any]:
    """A plan that waits for approval."""
    reply = await api.call("POST", "/v1/plans", key=key, json=plan(**changes))
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def say(api: Api, made: dict[str, Any], role: str, decision: str = "approve", **changes: Any) -> Any:
    """An approver's word."""
    body = {"decision": decision, "content_root": made["content_root"]} | changes
    return await api.call("POST", f"/v1/plans/{made['plan_id']}/approvals", role=role, json=body)


async def approved(api: Api, key: str = "plan", **changes: Any) -> str:
    """The id of a plan that two people approved."""
    made = await propose(api, key, **changes)
    for role in ("one", "two"):
        assert (await say(api, made, role)).status_code == 200
    return str(made["plan_id"])


async def entitle(api: Api, plan_id: str, *people: dict[str, Any], role: str = "maker") -> list[dict[str, Any]]:
    """What became of each."""
    body = {"plan_id": plan_id, "entitlements": list(people)}
    reply = await api.call("POST", "/v1/entitlements", role=role, json=body)
    assert reply.status_code == 200, reply.text
    items: list[dict[str, Any]] = reply.json()["items"]
    return items


async def complete(
    api: Api, plan_id: str, *ids: str, finished_on: str, notice: str = "training", role: str = "maker"
) -> list[dict[str, Any]]:
    """What became of each notice."""
    notices = [{"participant_id": pid, "finished_on": finished_on, "notice": notice} for pid in ids]
    body = {"plan_id": plan_id, "completions": notices}
    reply = await api.call("POST", "/v1/completions", role=role, json=body)
    assert reply.status_code == 200, reply.text
    items: list[dict[str, Any]] = reply.json()["items"]
    return items


def outcomes(items: list[dict[str, Any]]) -> list[str]:
    """Outcome of each, and the first fault of a refused one."""
    return [item["faults"][0]["code"] if item["faults"] else item["outcome"] for item in items]
