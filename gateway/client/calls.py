"""The operations, each as a function that makes a `Call`.

An operation under an `Idempotency-Key` gets one made for it, once for each `Call`: a `Call` that is sent again, by hand
or by the client, is the same request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from gateway.client import models
from gateway.client.call import Call, Pages, do, get, new_key, part

_WHOLE_BATCH_S = 900.0
"""Up to a million rows are merged, or cancelled, before the answer begins."""


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
    return get("read_batch", f"/v1/batches/{part(batch_id)}", models.Batch)


def read_batch_totals(batch_id: str) -> Call[models.BatchTotals]:
    """What a batch's accepted rows come to, by stage and blocker."""
    return get("read_batch_totals", f"/v1/batches/{part(batch_id)}/totals", models.BatchTotals)


def decide_batch(batch_id: str, decision: str, content_root: str) -> Call[models.Batch]:
    """Approve (`approve`) or reject (`reject`) exactly this content; saying the same twice changes nothing."""
    body = {"decision": decision, "content_root": content_root}
    path = f"/v1/batches/{part(batch_id)}/approvals"
    return do("decide_batch", "POST", path, models.Batch, body, repeatable=True, patience_s=_WHOLE_BATCH_S)


def list_batches(*, state: str | None = None, limit: int = 200) -> Pages[models.Batch]:
    """Batches, newest first."""
    first = get("list_batches", "/v1/batches", dict, state=state, limit=limit)
    return Pages(first=first, items="batches", item=models.Batch)


def stop_batch(batch_id: str) -> Call[models.Batch]:
    """Cancel what has not left of an approved batch; stopping twice changes nothing."""
    path = f"/v1/batches/{part(batch_id)}/stop"
    return do("stop_batch", "POST", path, models.Batch, repeatable=True, patience_s=_WHOLE_BATCH_S)


def put_up_lapsed(*, key: str | None = None) -> Call[models.Batch]:
    """Put every incentive whose approval has lapsed up for approval, as a batch."""
    path = "/v1/batches/reapprovals"
    return do("put_up_lapsed", "POST", path, models.Batch, key=key or new_key(), patience_s=_WHOLE_BATCH_S)


def read_results(batch_id: str, *, outcome: str | None = None, limit: int = 500) -> Pages[models.RowResult]:
    """What became of each line of a batch, or of those of one outcome: `accepted`, `repeated`, `rejected`."""
    first = get("read_results", f"/v1/batches/{part(batch_id)}/results", dict, outcome=outcome, limit=limit)
    return Pages(first=first, items="rows", item=models.RowResult)


def submit_incentive(incentive: Mapping[str, object], *, key: str | None = None) -> Call[models.Submitted]:
    """Hand over one incentive."""
    return do("submit_incentive", "POST", "/v1/incentives", models.Submitted, incentive, key=key or new_key())


def read_incentive(incentive_id: str) -> Call[models.Incentive]:
    """One incentive, with its blocker: why not paid?"""
    return get("read_incentive", f"/v1/incentives/{part(incentive_id)}", models.Incentive)


def list_incentives(
    *, programme: str | None = None, batch_id: str | None = None, participant_id: str | None = None,
    stage: str | None = None, blocker: str | None = None, partner: str | None = None, limit: int = 200,
) -> Pages[models.Incentive]:  # fmt: skip
    """Incentives in order of their ids."""
    first = get(
        "list_incentives", "/v1/incentives", dict, programme=programme, batch_id=batch_id,
        participant_id=participant_id, stage=stage, blocker=blocker, partner=partner, limit=limit,
    )  # fmt: skip
    return Pages(first=first, items="incentives", item=models.Incentive)


def cancel_incentive(incentive_id: str) -> Call[models.Incentive]:
    """Stop future payouts of it; cancelling twice changes nothing."""
    path = f"/v1/incentives/{part(incentive_id)}/cancel"
    return do("cancel_incentive", "POST", path, models.Incentive, repeatable=True)


def propose_plan(plan: Mapping[str, object], *, key: str | None = None) -> Call[models.Plan]:
    """Propose a payment plan, for two others to approve."""
    return do("propose_plan", "POST", "/v1/plans", models.Plan, plan, key=key or new_key())


def read_plan(plan_id: str) -> Call[models.Plan]:
    """A payment plan as it stands."""
    return get("read_plan", f"/v1/plans/{part(plan_id)}", models.Plan)


def list_plans(*, state: str | None = None, limit: int = 200) -> Pages[models.Plan]:
    """Payment plans, newest first."""
    return Pages(first=get("list_plans", "/v1/plans", dict, state=state, limit=limit), items="plans", item=models.Plan)


def decide_plan(plan_id: str, decision: str, content_root: str) -> Call[models.Plan]:
    """Approve (`approve`) or reject (`reject`) exactly this plan; saying the same twice changes nothing."""
    body = {"decision": decision, "content_root": content_root}
    return do("decide_plan", "POST", f"/v1/plans/{part(plan_id)}/approvals", models.Plan, body, repeatable=True)


def stop_plan(plan_id: str) -> Call[models.Plan]:
    """End an approved plan with whatever of it has not left; stopping twice changes nothing."""
    path = f"/v1/plans/{part(plan_id)}/stop"
    return do("stop_plan", "POST", path, models.Plan, repeatable=True, patience_s=_WHOLE_BATCH_S)


def entitle(
    plan_id: str, entitlements: Sequence[Mapping[str, object]], *, key: str | None = None
) -> Call[models.PlanItems]:
    """Entitle 1 to 1,000 participants under a plan."""
    body = {"plan_id": plan_id, "entitlements": list(entitlements)}
    return do("entitle", "POST", "/v1/entitlements", models.PlanItems, body, key=key or new_key())


def complete(
    plan_id: str, completions: Sequence[Mapping[str, object]], *, key: str | None = None
) -> Call[models.PlanItems]:
    """Tell what 1 to 1,000 participants have finished, and when."""
    body = {"plan_id": plan_id, "completions": list(completions)}
    return do("complete", "POST", "/v1/completions", models.PlanItems, body, key=key or new_key())


def read_entitlement(entitlement_id: str) -> Call[models.Entitlement]:
    """A participant under a plan, with where each instalment stands."""
    return get("read_entitlement", f"/v1/entitlements/{part(entitlement_id)}", models.Entitlement)


def cancel_entitlement(entitlement_id: str) -> Call[models.Entitlement]:
    """End an entitlement and what has not left of it; cancelling twice changes nothing."""
    path = f"/v1/entitlements/{part(entitlement_id)}/cancel"
    return do("cancel_entitlement", "POST", path, models.Entitlement, repeatable=True)


def list_entitlements(
    *, plan_id: str | None = None, participant_id: str | None = None, state: str | None = None,
    at_risk_days: int | None = None, limit: int = 200,
) -> Pages[models.Entitlement]:  # fmt: skip
    """Entitlements; with `at_risk_days` those of whom something lapses within so many days, and why."""
    first = get(
        "list_entitlements", "/v1/entitlements", dict, plan_id=plan_id, participant_id=participant_id, state=state,
        at_risk_days=at_risk_days, limit=limit,
    )  # fmt: skip
    return Pages(first=first, items="entitlements", item=models.Entitlement)


def start_link(participant_id: str, return_url: str, *, key: str | None = None) -> Call[models.Link]:
    """Begin linking: open `challenge.url` in the participant's browser within ten minutes."""
    body = {"participant_id": participant_id, "return_url": return_url}
    return do("start_link", "POST", "/v1/links", models.Link, body, key=key or new_key())


def read_link(link_id: str) -> Call[models.Link]:
    """Where a link stands."""
    return get("read_link", f"/v1/links/{part(link_id)}", models.Link)


def end_link(link_id: str) -> Call[models.Link]:
    """Give the participant's consent back."""
    return do("end_link", "DELETE", f"/v1/links/{part(link_id)}", models.Link)


def offer_withdrawal(link_id: str) -> Call[models.Withdrawal]:
    """An address, good for ten minutes, at which the participant withdraws their consent themself."""
    return do("offer_withdrawal", "POST", f"/v1/links/{part(link_id)}/withdrawal", models.Withdrawal)


def read_participant(participant_id: str) -> Call[models.Participant]:
    """Links, verdict, and what is needed."""
    return get("read_participant", f"/v1/participants/{part(participant_id)}", models.Participant)


def change_account(participant_id: str, *, partner: str, account: str, phone: str) -> Call[models.Participant]:
    """Another account, perhaps at another partner."""
    body = {"partner": partner, "account": account, "phone": phone}
    path = f"/v1/participants/{part(participant_id)}/account"
    return do("change_account", "PUT", path, models.Participant, body, repeatable=True)


def correct_participant(participant_id: str, **fields: str) -> Call[models.Participant]:
    """Put right what was handed over about a person: `nik`, `full_name`, `phone`, `partner`, `account`. The answer has
    a `correction` where a second person has to say the same.
    """
    return do(
        "correct_participant", "PUT", f"/v1/participants/{part(participant_id)}", models.Participant, fields,
        repeatable=True,
    )  # fmt: skip


def stop_participant(participant_id: str) -> Call[models.Participant]:
    """Stop a person's payments: what has not left is cancelled, what they are entitled to ends."""
    path = f"/v1/participants/{part(participant_id)}/stop"
    return do("stop_participant", "POST", path, models.Participant, repeatable=True)


def request_verification(participant_id: str, *, key: str | None = None) -> Call[models.Verification]:
    """Check the NIK now."""
    body = {"participant_id": participant_id}
    return do("request_verification", "POST", "/v1/verifications", models.Verification, body, key=key or new_key())


def read_verification(verification_id: str) -> Call[models.Verification]:
    """Where a check stands."""
    return get("read_verification", f"/v1/verifications/{part(verification_id)}", models.Verification)


def hasten_payout(incentive_id: str, *, key: str | None = None) -> Call[models.Hastened]:
    """Make an incentive's next step due now."""
    body = {"incentive_id": incentive_id}
    return do("hasten_payout", "POST", "/v1/payouts", models.Hastened, body, key=key or new_key())


def read_payout(payout_id: str) -> Call[models.Payout]:
    """One payout."""
    return get("read_payout", f"/v1/payouts/{part(payout_id)}", models.Payout)


def list_payouts(
    *, number: str | None = None, incentive_id: str | None = None, participant_id: str | None = None,
    partner: str | None = None, state: str | None = None, ended_on: str | None = None, ended_from: str | None = None,
    ended_until: str | None = None, limit: int = 200,
) -> Pages[models.Payout]:  # fmt: skip
    """Payouts, oldest first; `number` is any of one payout's: its own, our reference, the partner's; `ended_on`,
    `ended_from` and `ended_until` are days in Asia/Jakarta, as YYYY-MM-DD, both ends included.
    """
    first = get(
        "list_payouts", "/v1/payouts", dict, number=number, incentive_id=incentive_id, participant_id=participant_id,
        partner=partner, state=state, ended_on=ended_on, ended_from=ended_from, ended_until=ended_until, limit=limit,
    )  # fmt: skip
    return Pages(first=first, items="payouts", item=models.Payout)


def list_links(
    *, participant_id: str | None = None, partner: str | None = None, state: str | None = None, limit: int = 200
) -> Pages[models.LinkLine]:
    """Links, newest first."""
    first = get(
        "list_links", "/v1/links", dict, participant_id=participant_id, partner=partner, state=state, limit=limit
    )
    return Pages(first=first, items="links", item=models.LinkLine)


def list_cases(
    *, state: str | None = None, code: str | None = None, partner: str | None = None, payout_id: str | None = None,
    incentive_id: str | None = None, limit: int = 200,
) -> Pages[models.Case]:  # fmt: skip
    """Cases, oldest first."""
    first = get(
        "list_cases", "/v1/cases", dict, state=state, code=code, partner=partner, payout_id=payout_id,
        incentive_id=incentive_id, limit=limit,
    )  # fmt: skip
    return Pages(first=first, items="cases", item=models.Case)


def list_events(*, after: str | None = None, limit: int = 500) -> Pages[models.Event]:
    """Events after a cursor, up to the last one that there is now. Sent as a `Call`, its `first` page is a dict whose
    `next_cursor` is the place to go on from later: of `now` the present, and else the last event's, or one behind it
    that leads past what is others'.
    """
    first = get("list_events", "/v1/events", dict, cursor=after, limit=limit)
    return Pages(first=first, items="events", item=models.Event)


_ENDPOINTS = "/v1/webhook-endpoints"


def create_webhook_endpoint(
    url: str, *, types: Sequence[str] = (), key: str | None = None
) -> Call[models.NewWebhookEndpoint]:
    """Be called about what happens from now on; keep the secret of the answer."""
    body = {"url": url, "types": list(types)}
    made = models.NewWebhookEndpoint
    return do("create_webhook_endpoint", "POST", _ENDPOINTS, made, body, key=key or new_key())


def list_webhook_endpoints() -> Call[models.WebhookEndpoints]:
    """The client's endpoints."""
    return get("list_webhook_endpoints", _ENDPOINTS, models.WebhookEndpoints)


def get_webhook_endpoint(webhook_endpoint_id: str) -> Call[models.WebhookEndpoint]:
    """How one endpoint stands."""
    return get("get_webhook_endpoint", f"{_ENDPOINTS}/{part(webhook_endpoint_id)}", models.WebhookEndpoint)


def change_webhook_endpoint(
    webhook_endpoint_id: str, *, url: str | None = None, types: Sequence[str] | None = None
) -> Call[models.WebhookEndpoint]:
    """Another address or other event types; the secret and the place in the events stay."""
    path = f"{_ENDPOINTS}/{part(webhook_endpoint_id)}"
    body = {name: value for name, value in (("url", url), ("types", types)) if value is not None}
    return do("change_webhook_endpoint", "PATCH", path, models.WebhookEndpoint, body, repeatable=True)


def delete_webhook_endpoint(webhook_endpoint_id: str) -> Call[None]:
    """Be called no more."""
    path = f"{_ENDPOINTS}/{part(webhook_endpoint_id)}"
    return do("delete_webhook_endpoint", "DELETE", path, type(None))


def rotate_webhook_secret(webhook_endpoint_id: str, *, key: str | None = None) -> Call[models.NewWebhookEndpoint]:
    """A new secret; for 24 hours both sign."""
    path = f"{_ENDPOINTS}/{part(webhook_endpoint_id)}/rotate-secret"
    return do("rotate_webhook_secret", "POST", path, models.NewWebhookEndpoint, key=key or new_key())


def enable_webhook_endpoint(webhook_endpoint_id: str) -> Call[models.WebhookEndpoint]:
    """Call a disabled endpoint again, from where it was."""
    path = f"{_ENDPOINTS}/{part(webhook_endpoint_id)}/enable"
    return do("enable_webhook_endpoint", "POST", path, models.WebhookEndpoint, repeatable=True)


def test_webhook_endpoint(webhook_endpoint_id: str) -> Call[models.Tried]:
    """One call with an event of type `webhook.test`."""
    return do("test_webhook_endpoint", "POST", f"{_ENDPOINTS}/{part(webhook_endpoint_id)}/test", models.Tried)


def replay_webhook_events(
    webhook_endpoint_id: str, *, after: str | None = None, until: str | None = None, dead_letters: bool = False
) -> Call[models.WebhookEndpoint]:
    """Deliver a range of events again, or the dead letters."""
    body = {"after": after, "until": until, "dead_letters": dead_letters}
    path = f"{_ENDPOINTS}/{part(webhook_endpoint_id)}/replay"
    return do("replay_webhook_events", "POST", path, models.WebhookEndpoint, body)


def end_webhook_replay(webhook_endpoint_id: str) -> Call[models.WebhookEndpoint]:
    """Deliver no more of a range again."""
    path = f"{_ENDPOINTS}/{part(webhook_endpoint_id)}/replay"
    return do("end_webhook_replay", "DELETE", path, models.WebhookEndpoint, repeatable=True)


def list_dead_letters(webhook_endpoint_id: str, *, limit: int = 500) -> Pages[models.DeadLetter]:
    """Deliveries that were given up."""
    first = get("list_dead_letters", f"{_ENDPOINTS}/{part(webhook_endpoint_id)}/dead-letters", dict, limit=limit)
    return Pages(first=first, items="dead_letters", item=models.DeadLetter)


def read_funnel(*, programme: str | None = None) -> Call[models.Funnel]:
    """All incentives by stage and blocker."""
    return get("read_funnel", "/v1/funnel", models.Funnel, programme=programme)
