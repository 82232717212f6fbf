# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what may leave, when and how often: the claim, the compare-and-set, the attempt, the worker's pace."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import (
    BATCHES,
    BEGIN,
    FOLLOWING,
    INCENTIVES,
    QUOTA,
    RESTORE,
    SENDING,
    STOPS,
    TRANSPORT,
    TWO_STEP,
    WORKER,
    one,
)

_QUEUE = "gateway/storage/payouts/queue.py"
_BEGIN = "gateway/storage/base/schema/0013_begin.sql"
_SENDING = "gateway/services/payouts/sending.py"
_STOPS = "gateway/services/payouts/stops.py"
_FOLLOWING = "gateway/services/payouts/following.py"
_EXECUTOR = "gateway/partners/executor.py"
SIDE_BY_SIDE = "tests/gateway/payouts/test_side_by_side.py"
_PAID_BEFORE = "tests/gateway/payouts/test_paid_before.py"
_OF_INCENTIVE = (
    "i.approved AND NOT i.cancelled AND NOT i.past_deadline\n          AND i.due_on <= today AND i.deadline_on >= today"
)

_CLAIM = (
    Mutant(
        "claim/unapproved",
        (
            Edit("gateway/storage/base/schema/0137_stage_read_once.sql", "WHEN NOT approved THEN 'approval_missing' END", "END"),
            Edit(_QUEUE, "AND blocker IS NULL AND approved\n", "AND blocker IS NULL\n"),
        ),
        (SENDING,),
        first="test_what_may_not_be_paid_is_not_claimed",
    ),
    one("claim/before_due", _QUEUE, "AND due_on <= $4 AND deadline_on >= $4", "AND deadline_on >= $4", SENDING, first="test_what_may_not_be_paid_is_not_claimed"),
    one("claim/after_deadline", _QUEUE, "AND due_on <= $4 AND deadline_on >= $4", "AND due_on <= $4", SENDING, first="test_what_may_not_be_paid_is_not_claimed"),
    one("claim/expired_verdict", _QUEUE, "t.verified AND t.verified_until > $3\n", "t.verified\n", SENDING, first="test_what_may_not_be_paid_is_not_claimed"),
    one(
        "claim/paused_partner", _QUEUE,
        "paused_at IS NOT NULL)\n              AND NOT EXISTS (SELECT 1 FROM recoveries", "false)\n              AND NOT EXISTS (SELECT 1 FROM recoveries",
        SENDING,
        first="test_a_pause_stops_claims_and_what_was_claimed",
    ),
    one(
        "claim/held_by_a_recovery", _QUEUE,
        "WHERE partner = $1 AND released_at IS NULL)\n            ORDER BY", "WHERE partner = $1 AND false)\n            ORDER BY",
        RESTORE,
        first="test_nothing_is_sent_while_a_partner_is_held_whoever_tries",
    ),
    one("claim/link_at_another_partner", _QUEUE, "AND l.partner = $1 AND t.verified", "AND t.verified", SENDING, first="test_an_incentive_is_not_paid_over_a_link_at_another_partner"),
    one(
        "claim/leased_by_another", _QUEUE,
        "AND (lease_until IS NULL OR lease_until <= $3)\n                AND ($7", "AND ($7",
        SENDING,
        first="test_two_workers_never_claim_the_same",
    ),
    one("claim/paid_under_a_cancelled_one", _QUEUE, "AND NOT {_PAID_BEFORE} AND NOT {UNC", "AND NOT {UNC", _PAID_BEFORE, first="test_what_was_paid_before_gets_no_payout"),
    one("claim/paid_under_a_cancelled_one_stays_reserved", _QUEUE, "i.deadline_on >= $3 AND NOT {_PAID_BEFORE}\n", "i.deadline_on >= $3\n", _PAID_BEFORE, first="test_what_was_paid_before_is_not_sent_and_is_withdrawn"),
    one("claim/paid_under_a_cancelled_one_handed_over_again", "gateway/storage/intake/rules.py", "i.cancelled AND i.payout = 'succeeded'", "i.cancelled AND i.payout = 'open'", INCENTIVES, first="test_an_instalment_paid_though_cancelled_is_not_taken_again"),
    one("claim/nothing_reserved_in_the_ledger", _QUEUE, "'float', amount_rupiah, $3 FROM made)", "'float', amount_rupiah, $3 FROM made WHERE false)", SENDING, first="test_a_due_incentive_is_paid_once"),
)  # fmt: skip

_CAS = (
    one("cas/state_not_compared", _BEGIN, "AND p.state = a.before AND p.leased_by", "AND p.leased_by", SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/lease_of_another", _BEGIN, "p.leased_by = by_worker AND p.lease_until > this_moment", "p.leased_by || by_worker <> '' AND p.lease_until > this_moment", SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/lease_over", _BEGIN, "p.leased_by = by_worker AND p.lease_until > this_moment", "p.leased_by = by_worker", SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/revoked_link", _BEGIN, "t.verified_until > this_moment AND l.state = 'active'", "t.verified_until > this_moment", SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/another_link", _BEGIN, "t.link_id = p.link_id AND t.link_active AND t.verified AND t.v", "t.link_active AND t.verified AND t.v", SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/expired_verdict", _BEGIN, "t.verified AND t.verified_until > this_moment", "t.verified", SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/unapproved", _BEGIN, _OF_INCENTIVE, _OF_INCENTIVE.replace("i.approved AND ", ""), SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/cancelled", _BEGIN, _OF_INCENTIVE, _OF_INCENTIVE.replace("NOT i.cancelled AND ", ""), SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/before_due", _BEGIN, _OF_INCENTIVE, _OF_INCENTIVE.replace("i.due_on <= today AND ", ""), SENDING, first="test_a_day_that_turns_after_the_claim_is_seen"),
    one("cas/after_deadline", _BEGIN, _OF_INCENTIVE, _OF_INCENTIVE.replace(" AND i.deadline_on >= today", ""), SENDING, first="test_a_day_that_turns_after_the_claim_is_seen"),
    one("cas/paused_partner", _BEGIN, "s.partner = p.partner AND s.paused_at IS NOT NULL", "false", SENDING, first="test_every_condition_is_asked_again_in_the_compare_and_set"),
    one("cas/held_by_a_recovery", _BEGIN, "r.partner = p.partner AND r.released_at IS NULL)\n      AND (a.", "false)\n      AND (a.", RESTORE, first="test_the_hold_alone_stops_what_was_leased_before_it"),
    one("cas/stray_credit_on_the_account", _BEGIN, "AND s.account_index = l.account_index\n", "AND false\n", RESTORE, first="test_a_credit_that_turns_up_after_the_claim_stops_the_attempt"),
    one("word/forgotten_is_called_contradicted", "gateway/services/payouts/rules.py", "payout.attempt == 0 and not s.recovering", "payout.attempt == 0", RESTORE, first="test_a_list_that_is_read_before_anybody_recovers_contradicts_nothing"),
    one("word/paid_before_it_left_is_not_told", "gateway/services/payouts/rules.py", "if folded.contradiction or broken_promise:", "if folded.contradiction:", "tests/gateway/payouts/test_words.py", first="test_what_never_left_and_is_called_paid_is_told_of"),
    one("recover/every_day_until_today_is_wanted", "gateway/services/reconciliation/recovery.py", "again_s=again_s, last_day=last_day)", "again_s=again_s)", RESTORE, first="test_a_recovery_ends_however_old_the_copy_is_and_however_late_somebody_goes_on"),
    one("cas/paid_under_a_cancelled_one", _BEGIN, "c.cancelled AND c.payout = 'succeeded'", "false", _PAID_BEFORE, first="test_what_was_paid_before_is_not_sent_and_is_withdrawn"),
    one("cas/second_payment_pauses_nobody", "gateway/services/payouts/driver.py", "if one.payout is not None:", "if one.payout == 0:", _PAID_BEFORE, first="test_a_second_payment_that_has_left_pauses_the_partner"),
    one("cas/link_not_proved", _BEGIN, "AND (a.proved_after IS NULL OR l.proved_at > a.proved_after)\n", "\n", SENDING, first="test_wallets_prove_the_link_within_a_day"),
    one("cas/past_the_resends_window", _BEGIN, "AND (a.not_after IS NULL OR a.until <= a.not_after)\n", "\n", SENDING, first="test_a_permits_conditions_are_asked_again_in_the_compare_and_set"),
    one("cas/proof_of_absence_is_stale", _BEGIN, "AND o.id > a.last_heard", "AND false AND o.id > a.last_heard", SENDING, first="test_a_permits_conditions_are_asked_again_in_the_compare_and_set"),
    Mutant(
        "cas/another_body_the_second_time",
        (
            Edit(_BEGIN, "AND (p.first_sent_at IS NULL OR p.frozen_hash = a.frozen_hash)\n", "\n"),
            Edit(_FOLLOWING, "and self._sending.is_body(permit.frozen_hash, leased)", ""),
            Edit(_EXECUTOR, "if request.effect is Effect.WRITE and frozen_hash is not None:", "if frozen_hash == b'':"),
        ),
        (FOLLOWING,),
        first="test_a_resend_carries_what_the_first_attempt_carried_or_is_not_made",
    ),
)  # fmt: skip

_LOCKS = (
    one("lock/own_rows_not_held", _BEGIN, "WHERE p.id = ANY (ids) ORDER BY p.id FOR NO KEY UPDATE;", "WHERE p.id = ANY (ids);", BEGIN, first="test_an_approval_waits_for_its_rows_and_then_looks"),
    one("lock/fence_not_shared", _BEGIN, "ORDER BY 1) o;", "ORDER BY 1) o WHERE false;", BEGIN, first="test_an_intent_waits_for_the_fence_and_then_looks"),
    one("lock/fence_not_taken_by_who_stops", _BEGIN, "PERFORM pg_advisory_xact_lock(partner_fence(), hashtext(partner)), pg_notify", "PERFORM pg_notify", BEGIN, first="test_who_stops_waits_for_intents_being_committed"),
    one("lock/older_snapshot_taken", _BEGIN, "<> 'read committed' THEN", "= '' THEN", BEGIN, first="test_it_refuses_a_callers_older_snapshot"),
    one("lock/words_take_none", "gateway/storage/payouts/payouts.py", "WHERE p.id = ANY($1::bigint[]) ORDER BY p.id FOR NO KEY UPDATE", "WHERE p.id = ANY($1::bigint[]) ORDER BY p.id", BEGIN, first="test_words_lock_payouts_their_incentives_and_siblings"),
    one("lock/deadlock_ends_a_group", "gateway/services/payouts/commits.py", "passed = await again(begin)", "passed = await begin()", BEGIN, first="test_a_deadlock_is_tried_again"),
    one("lock/losers_get_a_deadline", "gateway/services/payouts/commits.py", "[passed.get(intent.payout) for intent in intents]", "[passed.get(intent.payout, next(iter(passed.values()), None)) for intent in intents]", BEGIN, first="test_losers_of_a_group_are_not_sent"),
    one("lock/cancelling_leaves_the_lease", "gateway/storage/intake/incentives.py", "UPDATE payouts SET lease_until = NULL, leased_by = NULL, next_at = $2", "UPDATE payouts SET next_at = $2", BEGIN, first="test_cancelling_takes_the_payout_away_from_who_holds_it"),
    one("lock/withdrawal_takes_anything", _QUEUE, "AND state = $5\"", "AND state <> coalesce($5, '') || '!'\"", BEGIN, first="test_a_withdrawal_does_not_take_what_was_approved_meanwhile"),
    one("stop/no_last_look", _EXECUTOR, "last_look if request.effect is Effect.WRITE else None", "last_look if request.effect is Effect.READ else None", STOPS, first="test_nothing_leaves_that_was_stopped_during_its_inquiry"),
    one("stop/nobody_told", _BEGIN, "pg_notify('gateway_stop', those)", "length(those)", STOPS, first="test_a_worker_is_told_and_asks_nobody"),
    one("stop/deaf_and_sure", _STOPS, "return self._listening and polled_at", "return polled_at", STOPS, first="test_one_workers_ear_is_not_anothers"),
    one("stop/unheard_for_ever", _STOPS, "self._polled_at = began", "self._polled_at = None", STOPS, first="test_a_worker_is_told_and_asks_nobody"),
    one("stop/poll_asks_nothing", _STOPS, "await self._ask({watch for watches in self._watches.values() for watch in watches})", "await self._ask([])", STOPS, first="test_a_poll_finds_what_nobody_told"),
    one("stop/not_known_is_free", _STOPS, "            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:\n                raise HeldBack(f\"whether it may still leave is not known: {type(error).__name__}\") from error", "            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):\n                return", STOPS, first="test_nothing_leaves_while_nobody_can_say_whether_it_may"),
    one("stop/counts_as_a_refusal", "gateway/services/payouts/rules.py", "            _held_back(terms, s, now)\n", "            _nothing_done(terms, s, finding.hint, None, now, effects)\n", STOPS, first="test_nothing_leaves_that_was_stopped_during_its_inquiry"),
    one("stop/blames_the_partner", _SENDING, "if item.what in (What.STOPPED, What.APPROVAL_MISMATCH):", "if item.what is What.OVERDUE:", STOPS, first="test_nothing_leaves_that_was_stopped_during_its_inquiry"),
    one("stop/paused_at_once", "gateway/services/ops/partners.py", "SwitchState.PAUSED if under_way is None else SwitchState.PAUSING", "SwitchState.PAUSED", STOPS, first="test_a_pause_says_what_is_under_way_until_nothing_is"),
    one("stop/what_is_found_while_it_is_paused_is_not_said", "gateway/storage/ops/switches.py", "        if by == GATEWAY:\n", "        if by == GATEWAY and not reason:\n", "tests/gateway/payouts/test_paid_though_withdrawn.py", first="test_why_the_gateway_would_pause_is_told_to_whoever_has_paused_for_something_else"),
    one("stop/creates_are_not_under_way", "gateway/storage/ops/switches.py", "WHERE state IN ('submitting', 'preparing') AND next_at IS NULL", "WHERE state IN ('submitting') AND next_at IS NULL", SIDE_BY_SIDE, first="test_a_create_that_is_under_way_is_told_until_it_is_answered"),
    one("stop/paused_at_once_side_by_side", "gateway/services/ops/partners.py", "SwitchState.PAUSED if under_way is None else SwitchState.PAUSING", "SwitchState.PAUSED", SIDE_BY_SIDE, first="test_a_create_that_is_under_way_is_told_until_it_is_answered"),
    one("stop/under_way_for_ever", "gateway/storage/ops/switches.py", "AND next_at IS NULL AND sent_deadline > $1 GROUP", "AND next_at IS NULL AND $1 < 'infinity' GROUP", STOPS, first="test_what_a_dead_worker_had_begun_may_leave_until_its_time_is_over"),
)  # fmt: skip

_CALL = "outcome = await one.desk.run(\n                    one.operation,"
_ATTEMPT = (
    one("attempt/over_the_limit", _SENDING, "if not desk.manifest.min_amount_rupiah <=", "if False and not desk.manifest.min_amount_rupiah <=", SENDING, first="test_an_amount_over_the_partners_limit_is_never_sent"),
    one("attempt/link_never_proved", _SENDING, "        if proved_after is None:\n", "        if proved_after is not None or proved_after is None:\n", SENDING, first="test_wallets_prove_the_link_within_a_day"),
    one("attempt/blocked_link_still_used", _SENDING, "if health is not LinkHealth.ACTIVE:", "if health is None:", SENDING, first="test_nothing_is_paid_over_a_link_that_does_not_stand"),
    one("attempt/after_its_deadline", _SENDING, "if request.effect is Effect.WRITE and clock.now()", "if False and clock.now()", "tests/gateway/payouts/test_time_left.py"),
    one("attempt/refused_token_kept", _SENDING, "if hint is Hint.CUSTOMER_TOKEN:", "if hint is None:", SENDING, first="test_the_customers_token_is_renewed_or_the_payout_withdrawn"),
    one("attempt/unknown_is_nothing_left", _SENDING, "except (PartnerError, CallerError) as error:\n            hint", "except (PartnerError, CallerError, OutcomeUnknown) as error:\n            hint", FOLLOWING, first="test_a_lost_answer_is_looked_up_and_never_sent_again"),
    one("attempt/unknown_is_a_failure", _SENDING, "return said(unknown(partner_code=error.partner_code, retry_after_s=error.retry_after_s))", "return said(Outcome(kind=_K.REJECTED, technical=True))", FOLLOWING, first="test_a_lost_answer_is_looked_up_and_never_sent_again"),
    one("attempt/number_not_counted", _SENDING, "else payout.attempt + 1", "else max(payout.attempt, 1)", FOLLOWING, SENDING, first="test_a_second_silence_waits_for_statements_then_pays_anew"),
    Mutant(
        "attempt/lock_held_over_the_call",
        (
            Edit(_SENDING, "async with self._clock.timeout((deadline", "async with self._commits._database.transaction() as held, self._clock.timeout((deadline"),
            Edit(_SENDING, _CALL, f'await held.execute("SELECT FROM payouts WHERE id = $1 FOR NO KEY UPDATE", payout)\n                {_CALL}'),
        ),
        (SENDING,),
        first="test_no_transaction_is_open_while_a_partner_is_asked",
    ),
    one("executor/timeout_is_not_sent", _EXECUTOR, "except httpx.TransportError as error:\n                    wrote = request.effect is Effect.WRITE", "except httpx.TransportError as error:\n                    wrote = False", FOLLOWING, first="test_a_lost_answer_is_looked_up_and_never_sent_again"),
    one("executor/reset_is_not_sent", "gateway/partners/transport.py", "httpx.PoolTimeout)", "httpx.PoolTimeout, httpx.ReadError)", FOLLOWING, TRANSPORT, first="test_a_lost_answer_is_looked_up_and_never_sent_again"),
    one("executor/damaged_answer_is_no_answer", _EXECUTOR, "except (PartnerUnavailable, PartnerProtocolError) as error:\n            if wrote:", "except (PartnerUnavailable, PartnerProtocolError) as error:\n            if wrote and not error.args:", FOLLOWING, first="test_unreadable_answers_are_unknown"),
    one("executor/a_write_goes_on", _EXECUTOR, "if wrote:\n                    raise PartnerProtocolError", "if wrote and False:\n                    raise PartnerProtocolError", "tests/gateway/partners/test_executor.py", first="test_nothing_follows_a_write"),
    one("executor/other_body_than_stored", _EXECUTOR, "if request.effect is Effect.WRITE and frozen_hash is not None:", "if False and frozen_hash is not None:", "tests/gateway/partners/test_executor.py", first="test_a_write_with_another_body_than_the_stored_one_never_leaves"),
    one("create/key_past_its_life", _FOLLOWING, "ANSWER_S[\"prepare\"]) > until:", "ANSWER_S[\"prepare\"]) > until + timedelta(days=9):", TWO_STEP, first="test_past_the_keys_life_a_create_in_doubt_is_an_operators"),
    one("approve/400_is_a_refusal", "adapters/gopay/mapping.py", 'detail = _words(refusal, order)\n    return unknown(', 'return rejected(None, technical=True, partner_code=f"{reply.status:03d}")\n    return unknown(', "tests/contract/test_codes.py", "tests/contract/test_payouts.py", only="gopay"),
)  # fmt: skip

_WORKER = (
    one("worker/quota_not_taken", _EXECUTOR, "if self._quotas is not None:\n                try:", "if self._quotas is not None and last_look is not None:\n                try:", WORKER, first="test_no_more_is_begun_than_leaves_soon_and_its_turn_is_waited_for"),
    one("worker/turn_used_too_late", _EXECUTOR, "if turn is None or turn.good():", "if turn is None or turn:", "tests/gateway/partners/test_executor.py", first="test_a_write_leaves_on_a_turn_that_is_still_good_after_the_last_look"),
    one("worker/checks_begun_without_room", "gateway/partners/quota.py", "self._inside += 1", "self._inside += 0", QUOTA, first="test_room_is_for_what_leaves_soon"),
    one("worker/turns_too_short_to_use", "gateway/partners/quota.py", "min(LATE_S, self._soon_s * SLOWER)", "SOON_S", QUOTA, first="test_a_process_that_is_slow_to_use_its_turns_loses_few"),
    one("worker/late_call_not_counted", "gateway/partners/quota.lua", "redis.call('HINCRBY', KEYS[1], left, late)", "redis.call('HINCRBY', KEYS[1], left, 0)", QUOTA, first="test_a_call_that_leaves_when_its_turn_is_over_is_counted_when_it_leaves"),
    one("worker/late_call_told_when_more_are_wanted", "gateway/partners/quota.py", "while self._late:\n", "while self._late and self._asking is None:\n", QUOTA, first="test_a_call_that_leaves_when_its_turn_is_over_is_counted_when_it_leaves"),
    one("worker/leaving_not_told_to_the_quota", _EXECUTOR, "LEFT.set(None if turn is None else turn.gone)", "LEFT.set(None)", "tests/gateway/partners/test_executor.py", first="test_a_write_leaves_on_a_turn_that_is_still_good_after_the_last_look"),
    one("worker/leaving_told_before_it_is_written", "gateway/partners/transport.py", "asyncio.get_running_loop().call_soon(left)", "left()", "tests/gateway/partners/test_transport.py", first="test_a_request_is_told_of_once_it_has_left_and_not_before"),
    one("worker/quota_not_shared", "gateway/partners/quota.lua", "most - total, spread))", "most, spread))", QUOTA, first="test_the_quota_is_used_up_and_no_second_is_above_it"),
    one("worker/refusal_slows_nobody", "gateway/partners/quota.lua", "rate = refused / 2", "rate = refused", QUOTA, first="test_one_refusal_halves_the_rate_at_once"),
    one("worker/fed_while_down", "gateway/worker/outage.py", "self._failures >= FAILURES and", "self._failures >= 1_000 * FAILURES and", WORKER, first="test_outage_opens_after_a_run_of_failures_and_closes_at_a_word"),
    one("worker/silence_is_a_word", _SENDING, "return Answer.NO_ANSWER", "return Answer.SPOKE", SENDING, first="test_what_a_try_tells_about_the_partner"),
    one("worker/sends_after_it_was_told_to_stop", "gateway/worker/dispatch.py", "return not self._stopping.is_set() and self._outage.admit()", "return self._outage.admit()", WORKER, first="test_nothing_new_leaves_once_told_to_stop"),
    one("worker/gate_not_asked", _SENDING, "if not gate.admit():", "if gate is None:", WORKER, first="test_a_partner_that_is_down_is_left_alone_but_for_a_canary"),
)  # fmt: skip

_APPROVALS = (
    one("approval/anew_by_who_handed_over", "gateway/services/intake/batches.py", "if own or (batch.reapproval and await lapsed.has_rows_of(connection, batch_id, person)):", "if own:", "tests/gateway/intake/test_approvals.py", first="test_nobody_approves_anew_what_they_have_handed_over_themselves"),
    one("approval/anew_by_who_changed_the_account", "gateway/storage/intake/reapprovals.py", "person_of(a.actor) = $2 AND", "false AND", "tests/gateway/api/test_tenancy.py", first="test_nobody_approves_the_account_or_nik_that_they_have_given_somebody"),
    one("approval/by_who_submitted_it", "gateway/services/intake/batches.py", "own = person == await clients.person_of(connection, batch.client_id)", "own = batch.client_id is None", BATCHES, first="test_a_maker_with_the_approvers_scope_still_may_not"),
    one("approval/one_is_enough", "gateway/services/intake/batches.py", "and before + 1 >= REQUIRED_APPROVALS:", "and before + 1 >= 1:", BATCHES, first="test_two_others_approve_exactly_this_content"),
    one("approval/of_other_content", "gateway/services/intake/batches.py", "if batch.content_root != content_root:", "if not content_root:", BATCHES, first="test_two_others_approve_exactly_this_content"),
    one("approval/after_the_decision", "gateway/services/intake/batches.py", "if batch.state is not BatchState.AWAITING_APPROVAL:", "if batch.state is None:", BATCHES, first="test_two_others_approve_exactly_this_content"),
    one("approval/two_at_once", "gateway/services/intake/batches.py", "stored.get(connection, batch_id, lock=True)", "stored.get(connection, batch_id)", "tests/gateway/intake/test_approvals.py", first="test_an_approval_waits_for_another_one_and_counts_it"),
    one("approval/what_the_ledger_has_paid", "gateway/services/payouts/sending.py", "if one.leased.paid_by_ledger:", "if one.leased.paid_by_ledger is None:", "tests/gateway/payouts/test_put_back.py", first="test_what_the_ledger_has_paid_is_not_paid_again"),
    one("stop/what_was_stopped_is_made_again", "gateway/services/payouts/apply.py", "        await payouts.cancel_stopped(connection, now, free)\n", "        assert free\n", "tests/gateway/payouts/test_stopped_meanwhile.py", first="test_what_comes_to_nothing_is_not_made_again"),
    one("stop/what_is_under_way_stays_approved", "gateway/storage/intake/stopping.py", "AND i.payout = 'open' AND i.approved AND NOT i.cancelled", "AND i.payout = 'no such' AND i.approved AND NOT i.cancelled", "tests/gateway/payouts/test_stopped_meanwhile.py", STOPS, first="test_what_is_about_to_leave_does_not"),
    one("stop/one_more_leaves", "gateway/services/payouts/stops.py", "(watch.attempt.again or not self._fresh())", "not self._fresh()", "tests/gateway/payouts/test_stopped_meanwhile.py", STOPS, first="test_one_more_attempt_does_not_leave_that_is_stopped_right_before_it"),
    one("approval/rejected_and_still_payable", "gateway/storage/intake/batches.py", "UPDATE incentives SET cancelled = true, facts_at", "UPDATE incentives SET cancelled = false, facts_at", BATCHES, first="test_a_rejected_batch_is_cancelled_and_may_come_again"),
)  # fmt: skip

SENT: tuple[Mutant, ...] = (*_CLAIM, *_CAS, *_LOCKS, *_ATTEMPT, *_WORKER, *_APPROVALS)
