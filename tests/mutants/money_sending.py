# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what may leave, when and how often: the claim, the compare-and-set, the attempt, the worker's pace."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import BATCHES, FOLLOWING, RESTORE, SENDING, TRANSPORT, TWO_STEP, WORKER, one

_QUEUE = "gateway/storage/queue.py"
_SENDING = "gateway/services/payout_sending.py"
_FOLLOWING = "gateway/services/payout_following.py"
_EXECUTOR = "gateway/executor.py"
_OF_INCENTIVE = (
    "i.approved AND NOT i.cancelled AND NOT i.past_deadline\n              AND i.due_on <= $2 AND i.deadline_on >= $2"
)

_CLAIM = (
    Mutant(
        "claim/unapproved",
        (
            Edit("gateway/storage/schema/0002_money.sql", "WHEN NOT approved THEN 'approval_missing' END", "END"),
            Edit(_QUEUE, "AND blocker IS NULL AND approved\n", "AND blocker IS NULL\n"),
        ),
        (SENDING,),
    ),
    one("claim/before_due", _QUEUE, "AND due_on <= $4 AND deadline_on >= $4", "AND deadline_on >= $4", SENDING),
    one("claim/after_deadline", _QUEUE, "AND due_on <= $4 AND deadline_on >= $4", "AND due_on <= $4", SENDING),
    one("claim/expired_verdict", _QUEUE, "t.verified AND t.verified_until > $3\n", "t.verified\n", SENDING),
    one(
        "claim/paused_partner", _QUEUE,
        "paused_at IS NOT NULL)\n              AND NOT EXISTS (SELECT 1 FROM recoveries", "false)\n              AND NOT EXISTS (SELECT 1 FROM recoveries",
        SENDING,
    ),
    one(
        "claim/held_by_a_recovery", _QUEUE,
        "WHERE partner = $1 AND released_at IS NULL)\n            ORDER BY", "WHERE partner = $1 AND false)\n            ORDER BY",
        RESTORE,
    ),
    one("claim/link_at_another_partner", _QUEUE, "AND l.partner = $1 AND t.verified", "AND t.verified", SENDING),
    one(
        "claim/leased_by_another", _QUEUE,
        "AND (lease_until IS NULL OR lease_until <= $3)\n                AND ($7", "AND ($7",
        SENDING,
    ),
    one("claim/nothing_reserved_in_the_ledger", _QUEUE, "'float', amount_rupiah, $3 FROM made)", "'float', amount_rupiah, $3 FROM made WHERE false)", SENDING),
)  # fmt: skip

_CAS = (
    one("cas/state_not_compared", _QUEUE, "AND p.state = a.before AND p.leased_by", "AND p.leased_by", SENDING),
    one("cas/lease_of_another", _QUEUE, "p.leased_by = $3 AND p.lease_until > $1", "p.leased_by || $3 <> '' AND p.lease_until > $1", SENDING),
    one("cas/lease_over", _QUEUE, "p.leased_by = $3 AND p.lease_until > $1", "p.leased_by = $3", SENDING),
    one("cas/revoked_link", _QUEUE, "t.verified_until > $1 AND l.state = 'active'", "t.verified_until > $1", SENDING),
    one("cas/another_link", _QUEUE, "t.link_id = p.link_id AND t.link_active AND t.verified AND t.v", "t.link_active AND t.verified AND t.v", SENDING),
    one("cas/expired_verdict", _QUEUE, "t.verified AND t.verified_until > $1", "t.verified", SENDING),
    one("cas/unapproved", _QUEUE, _OF_INCENTIVE, _OF_INCENTIVE.replace("i.approved AND ", ""), SENDING),
    one("cas/cancelled", _QUEUE, _OF_INCENTIVE, _OF_INCENTIVE.replace("NOT i.cancelled AND ", ""), SENDING),
    one("cas/before_due", _QUEUE, _OF_INCENTIVE, _OF_INCENTIVE.replace("i.due_on <= $2 AND ", ""), SENDING),
    one("cas/after_deadline", _QUEUE, _OF_INCENTIVE, _OF_INCENTIVE.replace(" AND i.deadline_on >= $2", ""), SENDING),
    one("cas/paused_partner", _QUEUE, "s.partner = p.partner AND s.paused_at IS NOT NULL", "false", SENDING),
    one("cas/held_by_a_recovery", _QUEUE, "r.partner = p.partner AND r.released_at IS NULL)\n          AND (a.", "false)\n          AND (a.", RESTORE),
    one("cas/stray_credit_on_the_account", _QUEUE, "AND s.account_index = l.account_index\n", "AND false\n", RESTORE),
    one("cas/link_not_proved", _QUEUE, "AND (a.proved_after IS NULL OR l.proved_at > a.proved_after)\n", "\n", SENDING),
    one("cas/past_the_resends_window", _QUEUE, "AND (a.not_after IS NULL OR a.sent_deadline <= a.not_after)\n", "\n", FOLLOWING),
    one("cas/proof_of_absence_is_stale", _QUEUE, "AND o.id > a.last_heard", "AND false AND o.id > a.last_heard", FOLLOWING),
    Mutant(
        "cas/another_body_the_second_time",
        (
            Edit(_QUEUE, "AND (p.first_sent_at IS NULL OR p.frozen_hash = a.frozen_hash)\n", "\n"),
            Edit(_FOLLOWING, "and frozen_hash(desk, self._sending.order(leased)) == permit.frozen_hash", ""),
        ),
        (FOLLOWING,),
    ),
)  # fmt: skip

_CALL = "outcome = await desk.run(\n                    operation,"
_ATTEMPT = (
    one("attempt/over_the_limit", _SENDING, "if not desk.manifest.min_amount_rupiah <=", "if False and not desk.manifest.min_amount_rupiah <=", SENDING),
    one("attempt/link_never_proved", _SENDING, "        if proved_after is None:\n", "        if proved_after is not None or proved_after is None:\n", SENDING),
    one("attempt/paused_link_still_used", _SENDING, "if health is not LinkHealth.ACTIVE:", "if health is None:", SENDING),
    one("attempt/after_its_deadline", _SENDING, "if request.effect is Effect.WRITE and clock.now()", "if False and clock.now()", SENDING),
    one("attempt/refused_token_kept", _SENDING, "if hint is Hint.CUSTOMER_TOKEN:", "if hint is None:", SENDING),
    one("attempt/unknown_is_nothing_left", _SENDING, "except (PartnerError, CallerError) as error:\n            hint", "except (PartnerError, CallerError, OutcomeUnknown) as error:\n            hint", FOLLOWING),
    one("attempt/unknown_is_a_failure", _SENDING, "return said(unknown(partner_code=error.partner_code))", "return said(Outcome(kind=_K.REJECTED, technical=True))", FOLLOWING),
    one("attempt/number_not_counted", _SENDING, "else payout.attempt + 1", "else max(payout.attempt, 1)", FOLLOWING, SENDING),
    Mutant(
        "attempt/lock_held_over_the_call",
        (
            Edit(_SENDING, "async with self._clock.timeout((deadline", "async with self._commits._database.transaction() as held, self._clock.timeout((deadline"),
            Edit(_SENDING, _CALL, f'await held.execute("SELECT FROM payouts WHERE id = $1 FOR NO KEY UPDATE", payout)\n                {_CALL}'),
        ),
        (SENDING,),
    ),
    one("executor/timeout_is_not_sent", _EXECUTOR, "except httpx.TransportError as error:\n                    wrote = request.effect is Effect.WRITE", "except httpx.TransportError as error:\n                    wrote = False", FOLLOWING),
    one("executor/reset_is_not_sent", "gateway/transport.py", "httpx.PoolTimeout)", "httpx.PoolTimeout, httpx.ReadError)", FOLLOWING, TRANSPORT),
    one("executor/damaged_answer_is_no_answer", _EXECUTOR, "except (PartnerUnavailable, PartnerProtocolError) as error:\n            if wrote:", "except (PartnerUnavailable, PartnerProtocolError) as error:\n            if wrote and not error.args:", FOLLOWING),
    one("executor/a_write_goes_on", _EXECUTOR, "if wrote:\n                    raise PartnerProtocolError", "if wrote and False:\n                    raise PartnerProtocolError", SENDING, TRANSPORT),
    one("executor/other_body_than_stored", _EXECUTOR, "if request.effect is Effect.WRITE and frozen_hash is not None:", "if False and frozen_hash is not None:", SENDING, TRANSPORT),
    one("create/key_past_its_life", _FOLLOWING, "> first + timedelta(seconds=life_s)", "> first + timedelta(days=9, seconds=life_s)", TWO_STEP),
    one("create/approved_without_a_number", _SENDING, "            if not leased.prepared:\n                return answer\n", "", TWO_STEP),
    one("approve/400_is_a_refusal", "adapters/gopay/mapping.py", 'return unknown(partner_code=f"{reply.status:03d}")', 'return rejected(None, technical=True, partner_code=f"{reply.status:03d}")', "tests/contract/test_codes.py", "tests/contract/test_payouts.py", only="gopay"),
)  # fmt: skip

_WORKER = (
    one("worker/quota_not_taken", "gateway/worker/dispatch.py", "await self._quota.take(CALLS_A_PAYOUT)", "await asyncio.sleep(0)", WORKER),
    one("worker/quota_not_shared", "gateway/worker/quota.py", "tokens = tokens - granted\n", "\n", WORKER),
    one("worker/fed_while_down", "gateway/worker/outage.py", "self._failures >= FAILURES and", "self._failures >= 1_000 * FAILURES and", WORKER),
    one("worker/silence_is_a_word", _SENDING, "return Answer.NO_ANSWER", "return Answer.SPOKE", WORKER),
    one("worker/sends_after_it_was_told_to_stop", "gateway/worker/dispatch.py", "return not self._stopping.is_set() and self._outage.admit()", "return self._outage.admit()", WORKER),
    one("worker/gate_not_asked", _SENDING, "if not gate.admit():", "if gate is None:", WORKER),
)  # fmt: skip

_APPROVALS = (
    one("approval/by_who_submitted_it", "gateway/services/batches.py", "if batch.client_id == client_id:", "if batch.client_id is None:", BATCHES),
    one("approval/one_is_enough", "gateway/services/batches.py", "elif before + 1 >= REQUIRED_APPROVALS:", "elif before + 1 >= 1:", BATCHES),
    one("approval/of_other_content", "gateway/services/batches.py", "if batch.content_root != content_root:", "if not content_root:", BATCHES),
    one("approval/after_the_decision", "gateway/services/batches.py", "if batch.state is not BatchState.AWAITING_APPROVAL:", "if batch.state is None:", BATCHES),
    one("approval/two_at_once", "gateway/services/batches.py", "stored.get(connection, batch_id, lock=True)", "stored.get(connection, batch_id)", BATCHES),
    one("approval/rejected_and_still_payable", "gateway/storage/batches.py", "UPDATE incentives SET cancelled = true, facts_at", "UPDATE incentives SET cancelled = false, facts_at", BATCHES),
)  # fmt: skip

SENT: tuple[Mutant, ...] = (*_CLAIM, *_CAS, *_ATTEMPT, *_WORKER, *_APPROVALS)
