"""The operations, each as a function that makes a `Call`: what is sent, what comes back, whether it may be repeated.

An operation under an `Idempotency-Key` gets one made for it, once for each `Call`: a `Call` that is sent again, by hand
or by the client, is the same request.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from gateway.client import models

T = TypeVar("T")
_WHOLE_BATCH_S = 900.0
"""Up to a million rows are merged, or cancelled, before the answer begins."""


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One request."""

    operation: str
    """The operation's id in the schema."""
    method: str
    path: str
    answer: type[T]
    query: Mapping[str, str | Sequence[str]] = {}
    body: bytes | None = None
    content_type: str | None = None
    key: str | None = None
    """Its `Idempotency-Key`."""
    repeatable: bool = False
    """Whether sending it again can do nothing twice."""
    patience_s: float = 60.0
    """For how long nothing may come of an answer."""

    def __repr__(self) -> str:
        return f"Call({self.operation})"


class Pages(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A list that is read page by page."""

    first: Call[Any]
    items: str
    """The field of the answer that holds them."""
    item: type[T]


def _get(operation: str, path: str, answer: type[T], **query: object) -> Call[T]:
    asked = {name: str(value) for name, value in query.items() if value is not None}
    return Call(operation=operation, method="GET", path=path, answer=answer, query=asked, repeatable=True)


def _do(
    operation: str, method: str, path: str, answer: type[T], body: Mapping[str, object] | None = None, *,
    key: str | None = None, repeatable: bool = False, patience_s: float = 60.0,
) -> Call[T]:  # fmt: skip
    return Call(
        operation=operation, method=method, path=path, answer=answer, key=key, repeatable=repeatable or key is not None,
        patience_s=patience_s,
        body=None if body is None else msgspec.json.encode(body),
        content_type=None if body is None else "application/json",
    )  # fmt: skip


def _new_key() -> str:
    return uuid.uuid4().hex


def _part(value: object) -> str:
    return quote(str(value), safe="")


def submit_batch(
    rows: bytes, *, content_type: str = "text/csv", key: str | None = None, **declared: str | Sequence[str]
) -> Call[models.Batch]:
    """Hand over a batch (CSV, or `application/x-ndjson`). Without a key one is made of the content: the same file is
    one batch, for seven days also once that was rejected or stopped; then give another key. `declared`: what it should
    hold, as further query parameters; `partner_rupiah` is a list.
    """
    key = key or f"file-{hashlib.sha256(rows).hexdigest()}"
    return Call(
        operation="submit_batch", method="POST", path="/v1/batches", answer=models.Batch, query=dict(declared),
        body=rows, content_type=content_type, key=key, repeatable=True, patience_s=_WHOLE_BATCH_S,
    )  # fmt: skip


def read_batch(batch_id: str) -> Call[models.Batch]:
    """How a batch stands."""
    return _get("read_batch", f"/v1/batches/{_part(batch_id)}", models.Batch)


def read_batch_totals(batch_id: str) -> Call[models.BatchTotals]:
    """What a batch's accepted rows come to, by stage and blocker."""
    return _get("read_batch_totals", f"/v1/batches/{_part(batch_id)}/totals", models.BatchTotals)


def decide_batch(batch_id: str, decision: str, content_root: str) -> Call[models.Batch]:
    """Approve (`approve`) or reject (`reject`) exactly this content; saying the same twice changes nothing."""
    body = {"decision": decision, "content_root": content_root}
    path = f"/v1/batches/{_part(batch_id)}/approvals"
    return _do("decide_batch", "POST", path, models.Batch, body, repeatable=True, patience_s=_WHOLE_BATCH_S)


def read_results(batch_id: str, *, limit: int = 500) -> Pages[models.RowResult]:
    """What became of each line of a batch."""
    first = _get("read_results", f"/v1/batches/{_part(batch_id)}/results", dict, limit=limit)
    return Pages(first=first, items="rows", item=models.RowResult)


def submit_incentive(incentive: Mapping[str, object], *, key: str | None = None) -> Call[models.Submitted]:
    """Hand over one incentive."""
    return _do("submit_incentive", "POST", "/v1/incentives", models.Submitted, incentive, key=key or _new_key())


def read_incentive(incentive_id: str) -> Call[models.Incentive]:
    """One incentive, with its blocker: why not paid?"""
    return _get("read_incentive", f"/v1/incentives/{_part(incentive_id)}", models.Incentive)


def list_incentives(
    *, programme: str | None = None, participant_id: str | None = None, stage: str | None = None,
    blocker: str | None = None, partner: str | None = None, limit: int = 200,
) -> Pages[models.Incentive]:  # fmt: skip
    """Incentives in order of their ids."""
    first = _get(
        "list_incentives", "/v1/incentives", dict, programme=programme, participant_id=participant_id, stage=stage,
        blocker=blocker, partner=partner, limit=limit,
    )  # fmt: skip
    return Pages(first=first, items="incentives", item=models.Incentive)


def cancel_incentive(incentive_id: str) -> Call[models.Incentive]:
    """Stop future payouts of it; cancelling twice changes nothing."""
    path = f"/v1/incentives/{_part(incentive_id)}/cancel"
    return _do("cancel_incentive", "POST", path, models.Incentive, repeatable=True)


def propose_plan(plan: Mapping[str, object], *, key: str | None = None) -> Call[models.Plan]:
    """Propose a payment plan, for two others to approve."""
    return _do("propose_plan", "POST", "/v1/plans", models.Plan, plan, key=key or _new_key())


def read_plan(plan_id: str) -> Call[models.Plan]:
    """A payment plan as it stands."""
    return _get("read_plan", f"/v1/plans/{_part(plan_id)}", models.Plan)


def list_plans(*, state: str | None = None, limit: int = 200) -> Pages[models.Plan]:
    """Payment plans, newest first."""
    return Pages(first=_get("list_plans", "/v1/plans", dict, state=state, limit=limit), items="plans", item=models.Plan)


def decide_plan(plan_id: str, decision: str, content_root: str) -> Call[models.Plan]:
    """Approve (`approve`) or reject (`reject`) exactly this plan; saying the same twice changes nothing."""
    body = {"decision": decision, "content_root": content_root}
    return _do("decide_plan", "POST", f"/v1/plans/{_part(plan_id)}/approvals", models.Plan, body, repeatable=True)


def entitle(
    plan_id: str, entitlements: Sequence[Mapping[str, object]], *, key: str | None = None
) -> Call[models.PlanItems]:
    """Entitle 1 to 1,000 participants under a plan."""
    body = {"plan_id": plan_id, "entitlements": list(entitlements)}
    return _do("entitle", "POST", "/v1/entitlements", models.PlanItems, body, key=key or _new_key())


def complete(
    plan_id: str, completions: Sequence[Mapping[str, object]], *, key: str | None = None
) -> Call[models.PlanItems]:
    """Tell what 1 to 1,000 participants have finished, and when."""
    body = {"plan_id": plan_id, "completions": list(completions)}
    return _do("complete", "POST", "/v1/completions", models.PlanItems, body, key=key or _new_key())


def read_entitlement(entitlement_id: str) -> Call[models.Entitlement]:
    """A participant under a plan, with where each instalment stands."""
    return _get("read_entitlement", f"/v1/entitlements/{_part(entitlement_id)}", models.Entitlement)


def cancel_entitlement(entitlement_id: str) -> Call[models.Entitlement]:
    """End an entitlement and what has not left of it; cancelling twice changes nothing."""
    path = f"/v1/entitlements/{_part(entitlement_id)}/cancel"
    return _do("cancel_entitlement", "POST", path, models.Entitlement, repeatable=True)


def list_entitlements(
    *, plan_id: str | None = None, participant_id: str | None = None, state: str | None = None,
    at_risk_days: int | None = None, limit: int = 200,
) -> Pages[models.Entitlement]:  # fmt: skip
    """Entitlements; with `at_risk_days` those of whom something lapses within so many days, and why."""
    first = _get(
        "list_entitlements", "/v1/entitlements", dict, plan_id=plan_id, participant_id=participant_id, state=state,
        at_risk_days=at_risk_days, limit=limit,
    )  # fmt: skip
    return Pages(first=first, items="entitlements", item=models.Entitlement)


def start_link(participant_id: str, return_url: str, *, key: str | None = None) -> Call[models.Link]:
    """Begin linking: open `challenge.url` in the participant's browser within ten minutes."""
    body = {"participant_id": participant_id, "return_url": return_url}
    return _do("start_link", "POST", "/v1/links", models.Link, body, key=key or _new_key())


def read_link(link_id: str) -> Call[models.Link]:
    """Where a link stands."""
    return _get("read_link", f"/v1/links/{_part(link_id)}", models.Link)


def end_link(link_id: str) -> Call[models.Link]:
    """Give the participant's consent back."""
    return _do("end_link", "DELETE", f"/v1/links/{_part(link_id)}", models.Link)


def offer_withdrawal(link_id: str) -> Call[models.Withdrawal]:
    """An address, good for ten minutes, at which the participant withdraws their consent themself."""
    return _do("offer_withdrawal", "POST", f"/v1/links/{_part(link_id)}/withdrawal", models.Withdrawal)


def read_participant(participant_id: str) -> Call[models.Participant]:
    """Links, verdict, and what is needed."""
    return _get("read_participant", f"/v1/participants/{_part(participant_id)}", models.Participant)


def change_account(participant_id: str, *, partner: str, account: str, phone: str) -> Call[models.Participant]:
    """Another account, perhaps at another partner."""
    body = {"partner": partner, "account": account, "phone": phone}
    path = f"/v1/participants/{_part(participant_id)}/account"
    return _do("change_account", "PUT", path, models.Participant, body, repeatable=True)


def correct_participant(participant_id: str, **fields: str) -> Call[models.Participant]:
    """Put right what was handed over about a person: `nik`, `full_name`, `phone`, `partner`, `account`. The answer has
    a `correction` where a second person has to say the same.
    """
    return _do(
        "correct_participant", "PUT", f"/v1/participants/{_part(participant_id)}", models.Participant, fields,
        repeatable=True,
    )  # fmt: skip


def request_verification(participant_id: str, *, key: str | None = None) -> Call[models.Verification]:
    """Check the NIK now."""
    body = {"participant_id": participant_id}
    return _do("request_verification", "POST", "/v1/verifications", models.Verification, body, key=key or _new_key())


def read_verification(verification_id: str) -> Call[models.Verification]:
    """Where a check stands."""
    return _get("read_verification", f"/v1/verifications/{_part(verification_id)}", models.Verification)


def hasten_payout(incentive_id: str, *, key: str | None = None) -> Call[models.Hastened]:
    """Make an incentive's next step due now."""
    body = {"incentive_id": incentive_id}
    return _do("hasten_payout", "POST", "/v1/payouts", models.Hastened, body, key=key or _new_key())


def read_payout(payout_id: str) -> Call[models.Payout]:
    """One payout."""
    return _get("read_payout", f"/v1/payouts/{_part(payout_id)}", models.Payout)


def list_payouts(
    *, number: str | None = None, incentive_id: str | None = None, participant_id: str | None = None,
    partner: str | None = None, state: str | None = None, ended_on: str | None = None, ended_from: str | None = None,
    ended_until: str | None = None, limit: int = 200,
) -> Pages[models.Payout]:  # fmt: skip
    """Payouts, oldest first; `number` is any of one payout's: its own, our reference, the partner's; `ended_on`,
    `ended_from` and `ended_until` are days in Asia/Jakarta, as YYYY-MM-DD, both ends included.
    """
    first = _get(
        "list_payouts", "/v1/payouts", dict, number=number, incentive_id=incentive_id, participant_id=participant_id,
        partner=partner, state=state, ended_on=ended_on, ended_from=ended_from, ended_until=ended_until, limit=limit,
    )  # fmt: skip
    return Pages(first=first, items="payouts", item=models.Payout)


def list_links(
    *, participant_id: str | None = None, partner: str | None = None, state: str | None = None, limit: int = 200
) -> Pages[models.LinkLine]:
    """Links, newest first."""
    first = _get(
        "list_links", "/v1/links", dict, participant_id=participant_id, partner=partner, state=state, limit=limit
    )
    return Pages(first=first, items="links", item=models.LinkLine)


def list_cases(
    *, state: str | None = None, code: str | None = None, partner: str | None = None, payout_id: str | None = None,
    incentive_id: str | None = None, limit: int = 200,
) -> Pages[models.Case]:  # fmt: skip
    """Cases, oldest first."""
    first = _get(
        "list_cases", "/v1/cases", dict, state=state, code=code, partner=partner, payout_id=payout_id,
        incentive_id=incentive_id, limit=limit,
    )  # fmt: skip
    return Pages(first=first, items="cases", item=models.Case)


def list_events(*, after: str | None = None, limit: int = 500) -> Pages[models.Event]:
    """Events after a cursor, up to the last one that there is now; keep the last event's cursor and go on from it."""
    first = _get("list_events", "/v1/events", dict, cursor=after, limit=limit)
    return Pages(first=first, items="events", item=models.Event)


_ENDPOINTS = "/v1/webhook-endpoints"


def create_webhook_endpoint(url: str, *, types: Sequence[str] = ()) -> Call[models.NewWebhookEndpoint]:
    """Be called about what happens from now on; keep the secret of the answer."""
    body = {"url": url, "types": list(types)}
    return _do("create_webhook_endpoint", "POST", _ENDPOINTS, models.NewWebhookEndpoint, body)


def list_webhook_endpoints() -> Call[models.WebhookEndpoints]:
    """The client's endpoints."""
    return _get("list_webhook_endpoints", _ENDPOINTS, models.WebhookEndpoints)


def get_webhook_endpoint(webhook_endpoint_id: str) -> Call[models.WebhookEndpoint]:
    """How one endpoint stands."""
    return _get("get_webhook_endpoint", f"{_ENDPOINTS}/{_part(webhook_endpoint_id)}", models.WebhookEndpoint)


def change_webhook_endpoint(
    webhook_endpoint_id: str, *, url: str | None = None, types: Sequence[str] | None = None
) -> Call[models.WebhookEndpoint]:
    """Another address or other event types; the secret and the place in the events stay."""
    path = f"{_ENDPOINTS}/{_part(webhook_endpoint_id)}"
    body = {name: value for name, value in (("url", url), ("types", types)) if value is not None}
    return _do("change_webhook_endpoint", "PATCH", path, models.WebhookEndpoint, body, repeatable=True)


def delete_webhook_endpoint(webhook_endpoint_id: str) -> Call[None]:
    """Be called no more."""
    path = f"{_ENDPOINTS}/{_part(webhook_endpoint_id)}"
    return _do("delete_webhook_endpoint", "DELETE", path, type(None))


def rotate_webhook_secret(webhook_endpoint_id: str) -> Call[models.NewWebhookEndpoint]:
    """A new secret; for 24 hours both sign."""
    path = f"{_ENDPOINTS}/{_part(webhook_endpoint_id)}/rotate-secret"
    return _do("rotate_webhook_secret", "POST", path, models.NewWebhookEndpoint)


def enable_webhook_endpoint(webhook_endpoint_id: str) -> Call[models.WebhookEndpoint]:
    """Call a disabled endpoint again, from where it was."""
    path = f"{_ENDPOINTS}/{_part(webhook_endpoint_id)}/enable"
    return _do("enable_webhook_endpoint", "POST", path, models.WebhookEndpoint, repeatable=True)


def test_webhook_endpoint(webhook_endpoint_id: str) -> Call[models.Tried]:
    """One call with an event of type `webhook.test`."""
    return _do("test_webhook_endpoint", "POST", f"{_ENDPOINTS}/{_part(webhook_endpoint_id)}/test", models.Tried)


def replay_webhook_events(
    webhook_endpoint_id: str, *, after: str | None = None, until: str | None = None, dead_letters: bool = False
) -> Call[models.WebhookEndpoint]:
    """Deliver a range of events again, or the dead letters."""
    body = {"after": after, "until": until, "dead_letters": dead_letters}
    path = f"{_ENDPOINTS}/{_part(webhook_endpoint_id)}/replay"
    return _do("replay_webhook_events", "POST", path, models.WebhookEndpoint, body)


def list_dead_letters(webhook_endpoint_id: str, *, limit: int = 500) -> Pages[models.DeadLetter]:
    """Deliveries that were given up."""
    first = _get("list_dead_letters", f"{_ENDPOINTS}/{_part(webhook_endpoint_id)}/dead-letters", dict, limit=limit)
    return Pages(first=first, items="dead_letters", item=models.DeadLetter)


def read_funnel(*, programme: str | None = None) -> Call[models.Funnel]:
    """All incentives by stage and blocker."""
    return _get("read_funnel", "/v1/funnel", models.Funnel, programme=programme)
