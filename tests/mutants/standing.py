# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs by which something would stand still without a word, or be asked without end."""

from __future__ import annotations

from tests.mutants.planting import WORKER, one

_BOUNDED = "tests/gateway/standing/test_bounded.py"
_HALVES = "tests/gateway/standing/test_halves.py"
_STUCK = "tests/gateway/standing/test_thousand_stuck.py"
_KEPT = "tests/gateway/linking/test_answers_kept.py"
_ROUNDS = "gateway/services/reconciliation/rounds.py"
_DUE = "tests/gateway/payouts/test_due.py"
_CASES, _RECOVERING = "tests/gateway/standing/test_cases.py", "tests/gateway/reconciliation/test_recovering.py"
_CLOCKS, _OFF = "tests/gateway/test_clocks.py", "gateway/storage/base/clocks.py"

STILL = (
    one("worker/a_create_ends_an_outage", "gateway/worker/outage.py", "if told.good and operation == HALF:", "if told.good and not operation:", _HALVES, first="test_a_run_of_approvals_that_fail_is_not_broken_by_creates_that_do_not"),
    one("worker/a_page_without_a_call_is_an_answer", "gateway/partners/desk.py", "if seen.operation is not None:  # else nobody", "if operation:  # else nobody", _HALVES, first="test_a_page_that_needs_no_call_says_nothing_of_the_partner"),
    one("worker/an_outage_is_ended_by_a_refusal", "gateway/worker/outage.py", "        elif told.good:\n", "        elif told.good or told.fault is None:\n", WORKER, first="test_outage_opens_after_a_run_of_failures_and_closes_at_a_word"),
    one("worker/two_canaries_at_once", "gateway/storage/ops/holds.py", "released_at IS NULL AND next_canary_at <= $2", "released_at IS NULL AND $2::timestamptz IS NOT NULL", WORKER, first="test_what_one_worker_saw_holds_in_the_other"),
    one("worker/throttling_taken_for_an_outage", "gateway/worker/outage.py", "elif told.fault is CallFault.THROTTLED:", "elif told.fault is CallFault.REFUSED:", WORKER, first="test_throttling_is_no_outage_and_its_retry_after_is_obeyed"),
    one("answers/dropped_while_the_database_is_away", "gateway/services/kept.py", "if done >= tries:", "if done >= 0:", _BOUNDED, first="test_answers_outlive_a_database_that_is_away"),
    one("answers/a_grant_dropped_while_the_database_is_away", "gateway/services/linking/upkeep.py", "KEPT_TRIES = 50", "KEPT_TRIES = 1", _KEPT, first="test_a_grant_outlives_the_moment"),
    one("stuck/only_the_first_thousand", _ROUNDS, "if len(rows) == MOST_WAITING:", "if len(rows) > MOST_WAITING:", _STUCK, first="test_those_behind_them_have_their_turn"),
    one("stuck/judged_each_second", _ROUNDS, "if self._judged.get(row.id) != _stood(row)]", "if row.id >= 0]", _STUCK, first="test_what_changed_since_is_judged_again"),
    one("stuck/judged_once_for_all", _ROUNDS, "if self._judged.get(row.id) != _stood(row)]", "if row.id not in self._judged]", _STUCK, first="test_what_changed_since_is_judged_again"),
    one("stuck/every_look_kept_for_ever", "gateway/services/payouts/apply.py", "if first > terms.pace.over_since(now) or today == jakarta_day(first):", "if now >= first:", _STUCK, first="test_what_is_looked_up_for_two_months_is_heard_once_a_day"),
    one("stuck/only_one_look_kept_from_the_first_on", "gateway/services/payouts/apply.py", "if first > terms.pace.over_since(now) or today == jakarta_day(first):", "if now < first:", _STUCK, first="test_what_is_looked_up_for_two_months_is_heard_once_a_day"),
    one("answers/one_rows_error_takes_the_group", "gateway/storage/base/database.py", "if len(group) > 1 and not isinstance(error, AWAY):", "if len(group) > 1_000 and not isinstance(error, AWAY):", _BOUNDED, first="test_one_rows_error_is_its_own"),
    one("answers/one_rows_error_takes_a_ticks_others", "gateway/services/each.py", "        if len(rows) < 2:\n            raise\n", "        raise\n", _BOUNDED, first="test_one_rows_error_is_its_own_where_a_tick_takes_many"),
    one("answers/what_was_not_applied_is_read", "gateway/services/reconciliation/statements.py", "        if weighed.failed is not None:\n            raise weighed.failed\n", "", _BOUNDED, first="test_one_rows_error_is_its_own_where_a_tick_takes_many"),
    one("answers/in_doubt_though_nothing_left", "gateway/services/payouts/sending.py", "if not left.wrote:", "if left.wrote is None:", _BOUNDED, first="test_a_read_that_takes_all_of_an_attempts_time_leaves_no_doubt"),
    one("answers/called_nothing_left_though_it_was_written", "gateway/services/payouts/sending.py", "left.wrote = request.effect is Effect.WRITE", "left.wrote = request.effect is Effect.READ", _BOUNDED, first="test_a_write_that_takes_all_of_an_attempts_time_does"),
    one("due/doubt_is_not_announced", "gateway/storage/ops/due.py", "'preparing', 'unknown', 'pending', 'rejected'", "'preparing', 'pending', 'rejected'", _DUE, first="test_whatever_can_be_leased_was_announced"),
    one("due/who_works_is_woken", "gateway/worker/due.py", "if one is kind and wake.awaited]", "if one is kind]", _DUE, first="test_who_waits_is_woken_for_what_is_due_and_nobody_else"),
    one("screens/payouts_of_one_moment_are_passed_over", "gateway/storage/ops/story.py", "(p.updated_at, p.id) > ($4, $5::bigint))", "p.updated_at > $4 AND p.id <> $5::bigint)", "tests/gateway/ops/test_paging.py"),
    one("screens/no_worker_before_the_first_batch", "gateway/services/ops/plan.py", "found or self._nothing(at)", "found", "tests/gateway/standing/test_standstill.py", first="test_a_worker_that_had_nothing_to_do_is_there"),
    one("screens/a_refresh_asks_twice", "gateway/routes/ops/overview.py", "core.partners.all(stands)", "core.partners.all()", "tests/gateway/ops/test_said.py", first="test_a_refresh_reads_once_what_stands_still"),
    one("due/all_partners_checks_walked_through", "gateway/storage/linking/verifications.py", '" AND d.partner = $4"', '" AND d.partner || \'\' = $4"', _DUE, first="test_a_partner_s_checks_are_found_without_those_of_all_others"),
    one("clock/a_jump_of_ours_is_seen_once_asked", _OFF, "(self._clock.now() - self._zero).total_seconds() - self._clock.monotonic()", "0.0", _CLOCKS),
    one("clock/one_that_is_behind_is_borne", _OFF, "if abs(off_s) > TOLERANCE_S:", "if off_s > TOLERANCE_S:", _CLOCKS),
    one("clock/an_answer_that_took_long_counts", _OFF, "if took_s < TOLERANCE_S / 2:", "if took_s >= 0.0:", _CLOCKS, first="test_an_answer_that_took_long_tells_nothing"),
    one("clock/loops_do_not_ask", "gateway/worker/loops.py", "            wake.ready()\n", "", _CLOCKS, first="test_nothing_is_taken_up_and_it_is_told"),
    one("clock/lanes_do_not_ask", "gateway/worker/lanes.py", "                    wake.ready()\n", "", _CLOCKS, first="test_nothing_is_taken_up_and_it_is_told"),
    one("clock/dispatch_does_not_ask", "gateway/worker/dispatch.py", "                self._wake.ready()\n", "", _CLOCKS, first="test_nothing_is_taken_up_and_it_is_told"),
    one("clock/a_recovery_does_not_ask", "gateway/services/reconciliation/recovery.py", "        self._on_time()\n", "", _CLOCKS, times=2, first="test_each_loop_but_two_asks_and_so_does_a_recovery"),
    one("profile/a_demo_runs_where_production_does", "gateway/resources.py", "            await profile.agrees(connection, settings)\n", "", "tests/gateway/test_witness.py", first="test_where_production_runs_nothing_else_starts"),
    one("profile/any_servers_production_counts", "gateway/security/profile.py", "ON h.server = p.server", "ON true", "tests/gateway/test_witness.py", first="test_where_production_runs_nothing_else_starts"),
    one("links/since_the_last_try", "gateway/storage/base/schema/0155_unlooked.sql", "coalesce(OLD.unlooked_since, NEW.health_due_at)", "NEW.health_due_at", "tests/gateway/linking/test_inbox.py", first="test_a_look_that_cannot_be_read_is_made_again_by_itself"),
    one("links/a_look_before_a_payment_is_forgotten", "gateway/services/linking/upkeep.py", "await looks.to_be_looked_at(connection, link_id, self._clock.now() + LOOK_AGAIN)", "pass", "tests/gateway/linking/test_inbox.py", first="test_a_look_that_cannot_be_read_is_made_again_by_itself"),
    one("links/unreadable_for_a_week_untold", "gateway/storage/ops/silence.py", "health_due_at IS NOT NULL AND unlooked_since < $1", "health_due_at < $1 AND unlooked_since < $1", "tests/gateway/standing/test_silence.py", first="test_links_that_nothing_readable_is_said_of_for_a_week_are_one_case_a_partner"),
    one("clock/an_attempt_does_not_ask", "gateway/services/payouts/sending.py", "            self._on_time()  # the clock may have been set while this one waited\n", "", "tests/gateway/payouts/test_time_left.py"),
    one("clock/each_day_does_not_ask", "gateway/services/reconciliation/statements.py", "            self._on_time()  # many pages were read since the last time\n        ", "        ", "tests/gateway/payouts/test_time_left.py"),
    one("clock/what_is_unlisted_does_not_ask", "gateway/services/reconciliation/statements.py", "        self._on_time()\n        waiting =", "        waiting =", "tests/gateway/payouts/test_time_left.py"),
    one("clock/a_worker_that_is_off_is_none", "gateway/services/ops/standstill.py", "        failing = await _failing(connection)\n        present", "        failing: Mapping[tuple[str, str], str] = {}\n        present", "tests/gateway/standing/test_standstill.py", first="test_a_clock_that_is_off_is_told_by_the_worker_whose_it_is"),
    one("clock/nobody_is_asked", "gateway/worker/runner.py", "wake.ready = self._on_time", "wake.ready = wake.ready", _CLOCKS, first="test_each_loop_but_two_asks_and_so_does_a_recovery"),
    one("recover/one_row_stops_the_marking", "gateway/services/reconciliation/recovery.py", 'await each("recover", [one for one in await self.under_way() if one.marked_at is None], self._mark)', "[await self._mark(one) for one in await self.under_way() if one.marked_at is None]", _RECOVERING, first="test_a_row_that_cannot_be_marked_keeps_its_own_partner_held_and_no_other"),
    one("recover/marks_of_an_earlier_hold_count", "gateway/storage/reconciliation/recovery.py", "WHERE id = $1 AND opened_at = $2\", recovery.id", "WHERE id = $1 AND opened_at >= $2\", recovery.id", _RECOVERING, first="test_what_is_held_anew_while_it_is_marked_is_marked_anew"),
    one("recover/one_credit_stops_the_others", "gateway/services/reconciliation/strays.py", 'await each("strays", pairs, adopt)', "[await adopt(pair) for pair in pairs]", _RECOVERING, first="test_a_credit_that_cannot_be_adopted_keeps_no_other_from_it"),
    one("recover/the_oldest_day_comes_first", "gateway/services/reconciliation/recovery.py", "for day in reversed((await self._readings(desk, one)).days):", "for day in (await self._readings(desk, one)).days:", _RECOVERING, first="test_days_that_the_partner_gives_no_more_hold_up_none_that_it_gives"),
    one("recover/is_called_silent", "gateway/storage/ops/silence.py", "    UNION ALL SELECT partner, 'payout' FROM recoveries WHERE released_at IS NULL\n", "", "tests/gateway/standing/test_silence.py", first="test_what_says_why_it_waits_is_not_silent"),
    one("case/closed_while_its_payout_is_in_doubt", "gateway/services/ops/cases.py", "PayoutState(left.payout_state) in OPEN_STATES", "PayoutState(left.payout_state) in ()", _CASES, first="test_a_contradiction_is_closed_once_its_payout_has_ended_and_the_paid_are_blocked_no_more"),
    one("case/a_closed_one_frees_what_came_back", "gateway/storage/payouts/payouts.py", "c.code = 'contradiction')\"", "c.code = 'contradiction' AND c.closed_at IS NULL)\"", _CASES, first="test_closing_a_contradiction_frees_no_payment_that_came_back"),
    one("case/stays_once_it_is_answered", "gateway/services/payouts/refusing.py", "    effects.answered.append(_B.OUTCOME_UNKNOWN)\n    if s.incentive.own", "    if s.incentive.own", _CASES, first="test_a_document_answers_whatever_was_asked_of_a_refusal"),
    one("blocked/as_soon_each_time", "gateway/services/payouts/rules.py", "wait_s = growing_s(BLOCKED_S, 2.0, before, BLOCKED_MAX_S)", "wait_s = BLOCKED_S", _BOUNDED, first="test_a_payment_that_cannot_begin_is_tried_ever_more_seldom_and_at_once_when_core_asks"),
    one("clock/a_node_that_is_off_is_ready", "gateway/routes/ops/health.py", "good = database and key and clock", "good = database and key", "tests/gateway/api/test_reading.py", first="test_a_node_whose_clock_is_not_the_databases_is_not_ready"),
)  # fmt: skip
