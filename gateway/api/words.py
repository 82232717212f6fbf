"""What the API's description says in words: of each Struct's field what stands below it in the code, of names that
occur in many places what they always mean.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from enum import Enum

import msgspec

SCOPES: dict[str, str] = {
    "links": "Link participants' accounts, end links, change accounts.",
    "verifications": "Have a participant's NIK checked now.",
    "incentives": "Hand over single incentives, cancel them, correct participants.",
    "payouts": "Bring an incentive's next step forward, read payouts.",
    "batches": "Hand over batches, put lapsed approvals up again, correct participants.",
    "batches:approve": "Approve, reject and stop batches; be the second to correct the NIK of somebody who was paid.",
    "read": "Read everything but one-time addresses, and be called by webhooks.",
    "ops": "Pause and resume partners, settle what is in doubt, compare statements, stop payments.",
}
TAGS: dict[str, str] = {
    "oauth": "Tokens: OAuth 2.0 client credentials. Every call under /v1 carries one.",
    "batches": "Many incentives at once, approved by two people, and what became of each row.",
    "incentives": "One instalment: where it stands, and why it does not move.",
    "participants": "The person: links, verdict, what is needed; putting right what was handed over.",
    "programmes": "The registered spellings of programmes and purposes.",
    "links": "A participant's consent and access at one partner.",
    "verifications": "Is the NIK the one on the account?",
    "payouts": "Movements of money; the gateway starts them by itself.",
    "events": "What happened, told once, in order.",
    "webhooks": "Being called instead of asking.",
    "partners": "What each partner can do, what is assumed about it, its holds and its switch.",
    "cases": "What an operator must look at.",
    "funnel": "Where everybody stands, and how long it will take.",
    "reconciliations": "A partner's statement of one day against our books.",
    "health": "Is it up, and what does it count?",
}
COMMON: dict[str, str] = {
    "access_token": "Send it as `Authorization: Bearer ...`.",
    "account": "The account number at a bank, the phone at a wallet.",
    "account_pattern": "A regular expression that every account at this partner fits.",
    "actor": "The client that did it.",
    "after": "A cursor: what comes after it.",
    "amount_rupiah": "Whole rupiah.",
    "approvals": "What each approver said last.",
    "approvals_missing": "How many approvals are still wanted.",
    "approved": "Whether two people have approved it as it stands.",
    "as_of": "When it was read.",
    "asked": "How many were asked again.",
    "asked_at": "When.",
    "asked_by": "The client that asked first; it cannot be the second.",
    "at": "When.",
    "attempt": "How many attempts were made.",
    "backlog": "Incentives that are due and wait.",
    "batch": "The batch that it is approved by.",
    "batch_id": "The batch's id.",
    "batches": "The batches of this page.",
    "blocker": "Why it does not move; null while it does.",
    "booked_at": "When the partner booked it.",
    "breaks": "The differences.",
    "breaks_found": "How many differences; null while it runs.",
    "by": "Who did it: a client, or the gateway.",
    "by_class": "How many differences of each kind.",
    "callbacks_unapplied": "Notifications that are stored and not applied yet.",
    "canaries": "How many calls were let through so far.",
    "capabilities": "What the partner can do.",
    "case_id": "The case's id.",
    "cases": "The cases of this page.",
    "challenge": "What the participant must do next; null where nothing, or for clients that may not link.",
    "changed_at": "When anything about it changed last.",
    "client_id": "A client of this API.",
    "closed_at": "When it was closed; null while it is open.",
    "closed_by": "By whom; null while it is open.",
    "code": "A stable code; see the enumeration.",
    "complete": "Whether the statement was read to its end.",
    "confirmed_at": "When another client confirmed it; null while none has.",
    "content_root": "The batch's content root, 64 hex digits.",
    "created_at": "When it was made.",
    "credited_rupiah": "Sum of the statement's credits.",
    "credits": "How many credits the statement has.",
    "cursor": "`next_cursor` of the last page; none for the first page.",
    "data": "What happened, by the event's type: docs/events.md.",
    "database": "up or down.",
    "date": "A day in Asia/Jakarta.",
    "day": "A day in Asia/Jakarta.",
    "dead_at": "When it was given up.",
    "dead_letters": "The deliveries of this page.",
    "deadline_on": "Not paid by the end of this day (Asia/Jakarta) the money returns to the treasury.",
    "decided_at": "When it was decided; null while it is not.",
    "decision": "What is said about it.",
    "delivered": "Whether the receiver took it.",
    "detail": "What is the matter, in one sentence; never what was sent.",
    "document": "How the document is found again; nothing personal.",
    "documents": "The partner's documents that this follows.",
    "due_on": "Not paid before this day (Asia/Jakarta).",
    "en": "In English.",
    "ended_at": "When it ended; null while it has not.",
    "ended_because": "Why it ended, a blocker's code; null while it has not.",
    "endpoint": "The endpoint.",
    "error": "What went wrong; null where nothing did.",
    "events": "The events of this page.",
    "expires_at": "Good until then.",
    "expires_in": "Seconds.",
    "failing_since": "Since when nothing was delivered; null where it works.",
    "failure": "Why it failed; null where it did not.",
    "fault": "What goes wrong.",
    "faults": "Everything that is wrong.",
    "fees_rupiah": "Sum of the statement's fees.",
    "field": "The field that is wrong, where it is one.",
    "finished_at": "When it ended; null while it runs.",
    "first_sent_at": "When the first attempt left; null before.",
    "forecasts": "By partner: how long what waits will take.",
    "full_name": "The name as on the KTP.",
    "given_by": "The clients that handed the document in.",
    "hastened": "Whether the next step was brought forward.",
    "here_rupiah": "What our books say; null where they have nothing.",
    "hold_id": "The hold's id.",
    "holds": "Why stages are not fed as usual; none: all is well.",
    "id": "In Indonesian.",
    "in_flight": "Attempts without an answer so far.",
    "incentive": "The incentive.",
    "incentive_id": "The incentive's id.",
    "incentives": "How many incentives, or the incentives of this page.",
    "inputs": "What the participant types, by name.",
    "instructed_rupiah": "Sum of what was instructed that day.",
    "kind": "Of which kind.",
    "label": "What the input is called, in Indonesian and English.",
    "last_error": "What went wrong last; null where nothing did.",
    "last_statement": "The last statement that was read to its end; null before the first.",
    "limit": "How many at most.",
    "line": "The line of the file, counted from 1, the header included.",
    "lines": "How many lines.",
    "link_active": "Whether the participant's present link gives access.",
    "link_id": "The link's id.",
    "links": "The links, newest first.",
    "mark": "How well it is known: seen, recalled, assumed.",
    "max_amount_rupiah": "The most that one payout may be.",
    "min_amount_rupiah": "The least that one payout may be.",
    "moving": "What moves by itself now.",
    "n": "Its number within the comparison.",
    "name": "Its name.",
    "needs": "What keeps all of the participant's incentives; null where nothing does.",
    "next_attempt_at": "When the gateway tries again by itself; null: not before somebody has acted.",
    "next_cursor": "Ask with this `cursor` for what comes after; null on the last page.",
    "next_step": "What to do next.",
    "nik": "The 16-digit national id; sealed, never told again.",
    "opened_at": "When it was opened.",
    "operations": "Which operations share it.",
    "outcome": "Only accepted or only rejected rows.",
    "owner": "Who must act.",
    "paid_here_rupiah": "Sum of what our books say was paid that day.",
    "participant_id": "The core platform's own id of the person.",
    "partner": "The partner's slug, as `GET /v1/partners` lists it.",
    "partner_code": "The partner's own code, as far as it gave one.",
    "partner_reference": "The partner's number of it; null while it gave none.",
    "partner_rupiah": "Declared sum of one partner, as `bni:600000`; once for each.",
    "partners": "By partner.",
    "pattern": "A regular expression that it fits.",
    "paused": "Null unless somebody paused the partner.",
    "payout_id": "The payout's id: 17 digits.",
    "payouts": "How many payouts there were, or the payouts of this page.",
    "payouts_awaiting_confirmation": "Refusals that are looked at a second time.",
    "payouts_pending": "Accepted by the partner and not ended.",
    "payouts_preparing": "Instructions being placed.",
    "payouts_submitting": "Attempts under way.",
    "payouts_unknown": "Left, and no readable verdict came back.",
    "per_s": "Calls a second.",
    "period": "Which instalment: a whole number without leading zeros.",
    "phone": "+62 and 8 to 13 digits.",
    "programme": "The registered slug of the programme.",
    "programmes": "What is registered.",
    "proposed_at": "When it was brought.",
    "proposed_by": "By which client; another one confirms.",
    "purpose": "The registered slug of the purpose.",
    "purposes": "The registered slugs of the purposes.",
    "quotas": "How many calls the partner takes.",
    "read_at": "When it was read.",
    "read_on": "When the partner's documents were read.",
    "reason": "Why.",
    "received_at": "When it was received.",
    "reconciliation_id": "The comparison's id.",
    "redis": "up or down.",
    "reference": "Our reference at the partner, the same over all attempts.",
    "released_at": "When it ended; null while it stands.",
    "released_by": "Who or what ended it.",
    "remedy": "What to do about it.",
    "request_id": "The request's name, as in `X-Request-Id` and in the gateway's log.",
    "results_url": "Where the rows' results are.",
    "return_url": "Where the browser goes afterwards; one of the client's registered addresses.",
    "reversals": "How many reversals the statement has.",
    "reversed_rupiah": "Sum of the statement's reversals.",
    "rows": "How many rows, or the rows of this page.",
    "rows_accepted": "Rows that became incentives.",
    "rows_refused": "Rows that were refused at intake, by reason.",
    "rows_rejected": "Rows that were refused.",
    "samples": "Points of the curve so far.",
    "scope": "The scopes, with spaces between.",
    "secret": "What signs the calls; shown once.",
    "settlement_id": "The proposal's id.",
    "since": "Since when.",
    "source": "Where it is known from.",
    "stage": "How far it got.",
    "stages": "By programme, stage and blocker.",
    "started_at": "When it began.",
    "state": "Where it stands.",
    "status": "The HTTP status, or the state in one word.",
    "subject": "The id of what it is about.",
    "submitted_by": "The client that handed it over; it cannot approve.",
    "text": "What to tell people, in Indonesian and English.",
    "there_rupiah": "What the statement says; null where it has nothing.",
    "title": "The kind of refusal.",
    "token_type": "Bearer.",
    "took_ms": "Milliseconds.",
    "totals": "Sums; null while it runs.",
    "tries": "How often it was tried.",
    "type": "Its type; see the enumeration.",
    "types": "Only these event types; empty: all.",
    "updated_at": "When it changed last.",
    "url": "The address.",
    "verdict": "What it says; null while it says nothing.",
    "verification": "The newest check of the NIK; null before the first.",
    "verification_id": "The check's id.",
    "verifications_due": "NIK checks that are due.",
    "verified": "Whether the NIK matched and the verdict has not expired.",
    "verified_until": "Until when the verdict holds; null without one.",
    "warnings": "What is odd about it.",
    "webhook_endpoint_id": "The endpoint's id.",
    "webhook_endpoints": "The client's endpoints, oldest first.",
    "why": "Why the document counts, for the record.",
}
"""Of properties and parameters, where the code says nothing more exact."""

ERRORS: dict[str, str] = {
    "bad_request": "The request cannot be read as HTTP.",
    "batch_decided": "The batch is approved, rejected, expired, stopped or empty.",
    "batch_empty": "The file has no row.",
    "batch_not_approved": "Only an approved batch is stopped.",
    "batch_of_reapprovals": "A batch of reapprovals is not stopped; its incentives' own batches are.",
    "body_missing": "The request has no body.",
    "charset_unsupported": "The text is not UTF-8.",
    "client_exists": "There is a client of that name.",
    "conflict": "The state of what is addressed does not allow it.",
    "content_root_differs": "The content root is not the batch's.",
    "cursor_too_old": "Events behind the cursor were forgotten.",
    "duties_not_separate": "No client both hands over and decides.",
    "field_invalid": "A field has a value that it cannot have.",
    "field_missing": "A field is missing.",
    "field_unknown": "The body has a field that the operation does not take.",
    "file_cut": "The file's last line may have been cut short.",
    "file_foreign": "The file is a workbook, a ZIP or another kind of file.",
    "file_unreadable": "The file as a whole cannot be read.",
    "forbidden": "The client may not do this.",
    "foreign_form": "The form was not sent from the page that shows it.",
    "head_ambiguous": "The head of the request can be read in two ways: a header stands twice, or two lengths do.",
    "head_too_large": "Too many headers, or cookies that are too large.",
    "header_invalid": "The first line does not name the columns.",
    "idempotency_conflict": "The key was used for another request.",
    "idempotency_key_missing": "The operation needs an `Idempotency-Key`.",
    "incentive_ended": "The incentive is paid, returned or cancelled.",
    "intake_busy": "Too many batches are being received.",
    "internal_error": "Our fault; nothing was changed.",
    "invalid_request": "The request is not valid.",
    "invalid_token": "The access token is unknown or has expired.",
    "json_malformed": "The body is not well-formed JSON, or not of the form.",
    "line_ends_unsupported": "Lines end with a carriage return alone.",
    "link_active": "The participant is linked already.",
    "link_in_progress": "The participant is being linked at this moment.",
    "link_required": "The participant has no active link.",
    "link_return_unreadable": "The partner's way back cannot be read.",
    "link_state_invalid": "The address of a challenge or way back is used up or unknown.",
    "link_unlinking": "The link is being given back.",
    "link_wants_nothing": "The link waits for no input.",
    "method_not_allowed": "The address has no such method.",
    "no_way_back": "No client has an address to which the participant could come back.",
    "not_found": "There is nothing of that id or at that address.",
    "not_in_doubt": "The payout is not in doubt.",
    "not_supported": "The partner cannot do this.",
    "nothing_lapsed": "No approval has lapsed that is not up for approval.",
    "nothing_to_prove": "The account is not unproved.",
    "operator_exists": "There is an operator of that name.",
    "outcome_unknown": "It left for the partner and no readable answer came back.",
    "own_batch": "A batch is decided by other clients than the one that submitted it.",
    "parameter_repeated": "A query parameter that may stand once stands twice.",
    "parameter_unknown": "The operation has no such query parameter.",
    "partner_error": "The partner cannot do it now.",
    "partner_protocol_error": "The partner's answer cannot be read.",
    "partner_unavailable": "The partner cannot be reached.",
    "payout_open": "A payout is on its way.",
    "personal_data": "A text that is kept and shown holds what looks like a NIK or a phone.",
    "quotes_invalid": "The double quotes are not those of a CSV.",
    "reconciliations_running": "Too many comparisons are under way.",
    "replay_open": "A replay is under way.",
    "request_in_progress": "The first request under this key is still running.",
    "return_url_not_allowed": "The address is not on the client's list.",
    "role_missing": "The operator lacks the role.",
    "rotation_open": "Two secrets are valid already.",
    "row_unending": "A row has no end.",
    "scope_missing": "The token lacks the scope.",
    "second_person_needed": "Another client has to say the same.",
    "separator_unsupported": "The columns are not separated by commas.",
    "settlement_over": "The proposal was decided or dropped.",
    "signature_invalid": "The notification's signature is not the partner's.",
    "slug_invalid": "A programme or purpose is no slug.",
    "too_large": "The body is larger than the operation takes.",
    "too_many_endpoints": "A client has ten webhook endpoints at most.",
    "too_many_requests": "The allowance is used up: `Retry-After` says how long.",
    "totals_differ": "The file does not hold what was declared.",
    "unauthenticated": "The request carries no access token.",
    "unavailable": "The store cannot be reached.",
    "unsupported_media_type": "The body has another type than the operation takes.",
    "upload_stalled": "The upload stopped.",
}
"""What a refusal's `code` means; those of a row (`contracts.batch.RowCode`) say what to do themselves."""


_SHOWN = ("gateway.routes", "gateway.api", "gateway.services", "contracts", "gateway.storage")
"""Where the description's schemas come from; of two of one name the one nearer to the routes is shown."""


def structs() -> dict[str, type]:
    """Structs and enumerations that the description may show, by name."""
    found: dict[str, type] = {}
    waiting: list[type] = [msgspec.Struct, Enum]
    while waiting:
        kind: type
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if _rank(kind) < _rank(found.get(kind.__name__)):
                found[kind.__name__] = kind
    return found


def _rank(kind: type | None) -> int:
    """How near to the routes; `len(_SHOWN)` for what is never shown."""
    places = [at for at, place in enumerate(_SHOWN) if kind is not None and kind.__module__.startswith(place)]
    return min(places, default=len(_SHOWN))


@functools.cache
def of_fields(kind: type) -> dict[str, str]:
    """What the code says below each field of a Struct, inherited ones included."""
    said: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] in ("gateway", "contracts"):
            said |= _of_class(base)
    return said


def _of_class(kind: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    said = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            said[field.target.id] = " ".join(text.value.value.split())
    return said
