# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what a word, a silence, a statement or a restored database is taken for, and in the books."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import ABSENCE, FOLLOWING, RESTORE, SENDING, TWO_STEP, WORDS, one

STATES = "tests/gateway/payouts/test_states.py"
_APPLY, _NUMBERS = "gateway/services/payouts/apply.py", "tests/gateway/payouts/test_numbers.py"
_STATES = "contracts/payout.py"
_RULES = "gateway/services/payouts/rules.py"
_ENDS = "gateway/services/payouts/ends.py"
_REFUSING = "gateway/services/payouts/refusing.py"
_LEDGER = "gateway/storage/payouts/ledger.py"
_OBSERVATION = "contracts/observation.py"
_ABSENCE = "gateway/services/payouts/absence.py"
_PAID_AGAIN = "tests/gateway/payouts/test_paid_again.py"
_WITHDRAWN = "tests/gateway/payouts/test_paid_though_withdrawn.py"
_FOLLOWING = "gateway/services/payouts/following.py"
_STATEMENTS = "gateway/services/reconciliation/statements.py"
_LINES = "gateway/services/reconciliation/lines.py"
_UNLISTED = "gateway/services/reconciliation/unlisted.py"
_RECOVERY = "gateway/services/reconciliation/recovery.py"
STRAYS, INSTANCES = "tests/gateway/reconciliation/test_strays.py", "tests/gateway/reconciliation/test_instances.py"

_TRANSITIONS = (
    one("states/paid_then_refused", _STATES, "_S.SUCCEEDED: frozenset({_S.REVERSED})", "_S.SUCCEEDED: frozenset({_S.REVERSED, _S.REJECTED})", STATES),
    one("states/refused_then_sent", _STATES, "_S.REJECTED: frozenset({_S.REVERSED, _S.SUCCEEDED})", "_S.REJECTED: frozenset({_S.REVERSED, _S.SUCCEEDED, _S.SUBMITTING})", STATES),
    one("states/withdrawn_then_sent", _STATES, "_S.CANCELLED: frozenset({", "_S.CANCELLED: frozenset({_S.SUBMITTING, ", STATES),
    one("states/in_doubt_then_withdrawn", _STATES, "_S.UNKNOWN: frozenset({", "_S.UNKNOWN: frozenset({_S.CANCELLED, ", STATES),
    one("states/pending_then_sent_again", _STATES, "_S.PENDING: frozenset({", "_S.PENDING: frozenset({_S.SUBMITTING, ", STATES),
)  # fmt: skip

_HEARD = (
    one("word/stale_refusal_counts", _ENDS, "return heard.attempt >= attempt and not", "return not", WORDS, first="test_a_stale_refusal_says_nothing_about_the_attempt_after_it"),
    one("word/refused_resend_speaks_for_the_first", _ENDS, "(heard.source is Source.REPLY and heard.attempt > 1)", "(heard.source is Source.REPLY and heard.attempt > 9)", FOLLOWING, first="test_a_refused_resend_does_not_speak_for_the_first_attempt"),
    one("word/contradiction_unseen", _RULES, "if folded.contradiction or broken_promise:", "if folded.state is None:", WORDS, first="test_every_order_of_words_ends_the_same"),
    one("word/other_amount_is_a_success", "gateway/services/payouts/words.py", "outcome.amount_rupiah != payout.amount_rupiah", "outcome.amount_rupiah < 0", FOLLOWING, first="test_another_amount_under_our_reference_is_no_success"),
    one("word/other_account_is_a_success", "gateway/services/payouts/words.py", "and outcome.account != account", "and outcome.account is None", FOLLOWING, first="test_another_account_under_our_reference_is_no_success"),
    one("word/queued_by_notification_moves", _RULES, "and word.source is not Source.NOTIFICATION:", "and word.source is not None:", TWO_STEP, first="test_queued_in_a_notification_moves_nothing"),
    one("word/reversal_ignored", _OBSERVATION, "    if back or (completed_can_fail and given_back):", "    if (back and not any_paid) or (completed_can_fail and given_back):", WORDS, TWO_STEP, first="test_the_reversal_shows_in_the_statement"),
    one("word/completed_then_failed_stays_paid", _OBSERVATION, "if back or (completed_can_fail and given_back):", "if back:", WORDS, TWO_STEP, first="test_where_completed_can_fail"),
    one("word/paid_though_refused_unseen", _OBSERVATION, "    if not any_paid:\n", "    if failed:\n", WORDS, first="test_paid_after_all_cancels_a_replacement_that_has_not_left"),
    one("word/replay_counts_again", "gateway/services/payouts/driver.py", "Source.NOTIFICATION, notice.outcome, event_key)", "Source.NOTIFICATION, notice.outcome, None)", WORDS, TWO_STEP),
    one("word/of_another_partner", "gateway/storage/payouts/payouts.py", "SELECT * FROM payouts WHERE partner = $1\"\n        \" AND (reference", "SELECT * FROM payouts WHERE partner IS DISTINCT FROM $1 || 'x'\"\n        \" AND (reference", WORDS, first="test_a_word_is_about_the_partner_that_says_it"),
    one("refused/resend_is_forgotten", _RULES, "not terms.manifest.two_step and payout.attempt > 1:", "not terms.manifest.two_step and payout.attempt > 9:", FOLLOWING, first="test_a_resend_that_did_nothing_leaves_the_first_attempt_in_doubt"),
    one("refused/tries_with_a_short_deposit_are_not_counted", "gateway/services/payouts/apply.py", "_hint(item) is Hint.FLOAT_SHORT}", "_hint(item) is None}", TWO_STEP, first="test_a_create_is_refused_for_our_deposit_ever_more_seldom"),
    one("refused/create_in_doubt_is_forgotten", _RULES, "if payout.state is _S.PREPARING and payout.looks > 0:", "if payout.state is _S.PREPARING and payout.looks > 99:", TWO_STEP, times=2, first="test_a_repeated_create_that_did_nothing_leaves_the_first_in_doubt"),
    one("refused/attempt_stays_counted", _RULES, "        payout.attempt -= 1\n", "", SENDING, first="test_nothing_left_goes_back_and_is_tried_again_later"),
    one("overdue/before_the_deadline", "gateway/storage/payouts/queue.py", "AND sent_deadline < $1 AND next_at IS NULL", "AND created_at <= $1 AND next_at IS NULL", SENDING, first="test_a_worker_killed_between_intent_and_send_leaves_no_double"),
    one("doubt/absence_clock_from_the_intent", _RULES, "payout.sent_deadline = min(payout.sent_deadline, now)", "payout.sent_deadline = payout.created_at", FOLLOWING, first="test_the_time_of_absence_runs_from_the_attempt_and_not_from_the_payout"),
)  # fmt: skip

_ENDINGS = (
    one("end/failure_confirmed_only_once", _REFUSING, "any(h.source is Source.LOOKUP and h.at >= second for h in said)", "bool(said)", FOLLOWING, first="test_a_technical_rejection_is_confirmed_before_it_is_replaced"),
    one("end/failure_confirmed_at_once", _REFUSING, "h.source is Source.LOOKUP and h.at >= second for", "h.source is Source.LOOKUP and h.at is not None for", FOLLOWING, first="test_a_technical_rejection_is_confirmed_before_it_is_replaced"),
    one("end/payouts_without_end", _REFUSING, "if sum(one.technical for one in (payout, *s.others)) < MOST_PAYOUTS:", "if sum(one.technical for one in (payout, *s.others)) < 99 * MOST_PAYOUTS:", FOLLOWING, first="test_three_payouts_at_most_start_by_themselves"),
    one("end/replacement_not_cancelled", _ENDS, "    cancel_reserved(s, now)\n    for other in s.others:", "    for other in s.others:", WORDS, first="test_paid_after_all_cancels_a_replacement_that_has_not_left"),
    one("end/second_one_left_and_no_pause", _ENDS, "effects.pauses |= {s.payout.partner: reason, other.partner: reason}", "effects.pauses |= {}", WORDS, first="test_paid_after_all_pauses_the_partner_where_a_replacement_has_left"),
    one("end/no_wait_for_the_reason", _REFUSING, "elif word.outcome.reason_may_follow and payout.reason_due_at is None and", "elif word.outcome.reason_may_follow and payout.reason_due_at is not None and", TWO_STEP, first="test_failed_without_a_code_waits_for_the_reason"),
    one("end/given_back_is_paid_again", _ENDS, "if any(p.state is _S.REVERSED and (stands(p) or", "if any(p.state is _S.REVERSED and False and (stands(p) or", WORDS, TWO_STEP, first="test_given_back_after_a_replacement_was_made"),
    one("end/paid_after_it_was_withdrawn_unseen", _RULES, "        if end in (_S.SUCCEEDED, _S.REVERSED):\n            _paid_though_cancelled(s, end, now, effects)\n", "", _WITHDRAWN, first="test_it_counts_as_paid"),
    one("end/paid_after_it_was_withdrawn_and_failed_unseen", _RULES, "        if end in (_S.SUCCEEDED, _S.REVERSED):\n", "        if end is _S.SUCCEEDED:\n", _WITHDRAWN, first="test_where_completed_can_fail_it_counts_as_given_back"),
    one("end/replacement_of_a_withdrawn_one_unseen", "gateway/storage/payouts/payouts.py", "one.payouts > 1 or one.id in cancelled or one.id in tried]", "one.payouts > 1 or one.id in tried]", _WITHDRAWN, first="test_a_replacement_that_has_not_left_is_withdrawn"),
    one("end/contradicted_before_and_its_replacement_leaves", _RULES, " or any(other.state in ends.UNSENT for other in s.others)", "", _PAID_AGAIN),
    one("end/paid_once_more_and_its_replacement_leaves", _RULES, "        ends.paid_again(s, now, effects)\n", "        pass\n", _PAID_AGAIN),
    one("end/paid_once_more_and_what_stands_is_approved", _ENDS, 'fact([s.payout, *s.others]) if left else "reversed"', "fact([s.payout, *s.others])", _PAID_AGAIN, first="test_what_was_made_in_its_place_does_not_leave"),
    one("end/paid_once_more_pauses_each_time", _RULES, "end is _S.REVERSED and replaced:", "end is _S.REVERSED:", _PAID_AGAIN, first="test_one_that_has_left_pauses_both_partners"),
    one("end/said_to_be_paid_once_more_and_paid_elsewhere", "gateway/storage/payouts/payouts.py", "c.payout = p.id AND c.code = 'contradiction'", "false AND c.payout = p.id AND c.code = 'contradiction'", "tests/gateway/standing/test_ways_out.py", first="test_what_is_said_to_be_paid_once_more_is_not_paid_elsewhere_before_it_is_listed_as_given_back"),
    one("end/given_back_before_it_was_paid_once_more", "gateway/storage/payouts/payouts.py", "coalesce(max(o.said_at), '-infinity')", "coalesce(min(o.said_at), '-infinity')", "tests/gateway/standing/test_ways_out.py", first="test_what_is_said_to_be_paid_once_more_is_not_paid_elsewhere_before_it_is_listed_as_given_back"),
    one("books/success_not_settled", _LEDGER, '("reserved", "paid"): (Entry.SETTLE,)', '("reserved", "paid"): ()', SENDING, first="test_a_due_incentive_is_paid_once"),
    one("books/refusal_not_released", _LEDGER, '("reserved", "float"): (Entry.RELEASE,)', '("reserved", "float"): ()', SENDING, first="test_a_limit_holds_for_the_row_that_met_it"),
    one("books/reversal_not_returned", _LEDGER, '("paid", "float"): (Entry.RETURN,)', '("paid", "float"): ()', WORDS, first="test_the_reversal_shows_in_the_statement"),
    one("books/moves_without_an_entry", "gateway/services/payouts/apply.py", "for row in moved\n            for entry in", "for row in moved[1:]\n            for entry in", SENDING, first="test_a_due_incentive_is_paid_once"),
    one("deadline/still_paid_after_it", "gateway/storage/intake/incentive_timers.py", "WHERE deadline_on < $2 AND", "WHERE deadline_on < $2 - 30 AND", FOLLOWING, first="test_the_deadline_stops_new_payouts_only"),
)  # fmt: skip

_SILENCE = (
    one("absence/one_look_is_enough", _OBSERVATION, "if len(seen) < lookups:", "if not seen:", ABSENCE),
    one("absence/believed_early", _OBSERVATION, "return waited[-1] >= after_s and", "return", ABSENCE),
    one("absence/looks_of_before_count", _OBSERVATION, "if gathered.last_attempt_at < at <= now]", "if at <= now]", ABSENCE, first="test_no_permit"),
    one("absence/sent_a_third_time", _ABSENCE, "or payout.attempt != 1:", "or payout.attempt < 1:", ABSENCE),
    one("absence/resend_past_the_day", _ABSENCE, "if not proved or now + timedelta(seconds=answer_s) > until:", "if not proved:", ABSENCE),
    one("absence/resend_up_to_midnight_by_our_clock", _ABSENCE, "    until -= timedelta(seconds=terms.pace.clocks_s)\n", "", ABSENCE),
    one("absence/a_days_first_minute_is_no_other_day", _ABSENCE, "return jakarta_day(first_sent_at - timedelta(seconds=SKEW_S))", "return jakarta_day(first_sent_at)", ABSENCE),
    one("absence/resend_past_the_references_life", _ABSENCE, "if lifetimes.reference_s is not None:", "if lifetimes.reference_s == 0:", ABSENCE),
    one("absence/assumption_acted_on", _ABSENCE, "if rule.mark is Mark.ASSUMED and not act_on_assumed:", "if rule.mark is None:", ABSENCE),
    one("absence/though_the_partner_spoke", _ABSENCE, "if not silent(heard, payout.attempt):", "if payout.attempt < 0:", ABSENCE),
    one("absence/one_reading_is_enough", _ABSENCE, "for _ in range(1 if again_s is None else 2):", "for _ in range(1):", ABSENCE),
    one("absence/readings_of_before_count", _ABSENCE, "at = bisect_left(starts, since)", "at = 0", ABSENCE),
    one("absence/only_the_first_day_read", _ABSENCE, "for n in range((last - first_day).days + 1)]", "for n in ((today - first_day).days and 0, (today - first_day).days)]", ABSENCE),
    one("absence/called_over_a_late_word", _UNLISTED, "if locked[row.id] == row]", "if locked[row.id] == row or True]", ABSENCE, first="test_what_has_moved_on_since_it_was_weighed_is_not_judged"),
    one("statement/of_the_wrong_day", _STATEMENTS, "desk.partner.statement(context, day, cursor)", "desk.partner.statement(context, day - timedelta(days=1), cursor)", FOLLOWING, first="test_a_second_silence_waits_for_statements_then_pays_anew"),
    one("statement/first_page_only", _STATEMENTS, "cursor = page.next_cursor", "cursor = None", WORDS, first="test_a_statement_cut_short_counts_as_not_read"),
    one("statement/reversal_ignored", _LINES, "moves = [one for one in lines if one.line.kind in PAYMENTS]", "moves = [one for one in lines if one.line.kind is StatementKind.CREDIT]", WORDS, first="test_the_reversal_shows_in_the_statement"),
    one("statement/second_credit_unseen", "gateway/storage/reconciliation/statements.py", "WHERE credits - reversals > 1 OR", "WHERE credits - reversals > 9 OR", WORDS, first="test_a_second_credit_under_one_reference_pauses_the_partner"),
    Mutant(
        "statement/cut_short_counts",
        (
            Edit(_STATEMENTS, "return await desk.run(\n            \"statement\"", "with __import__(\"contextlib\").suppress(PartnerError): return await desk.run(\n            \"statement\""),
            Edit(_STATEMENTS, "subject=f\"statement:{day}\"\n        )", "subject=f\"statement:{day}\"\n        )\n        return StatementPage(lines=())"),
        ),
        (WORDS,),
        first="test_a_statement_cut_short_counts_as_not_read",
    ),
)  # fmt: skip

_RESTORED = (
    one("recover/released_at_once", _RECOVERY, "settled = not to_look_up and read", "settled = True", RESTORE, first="test_what_had_not_left_is_sent_once_nobody_knows_of_it"),
    one("recover/nothing_marked", _RECOVERY, "if one.marked_at is None]", "if one.marked_at is not None]", RESTORE, first="test_an_attempt_in_doubt_may_have_been_the_second_one"),
    Mutant(
        "recover/credit_to_nobody_ignored",  # asked once more where it is let go
        (
            Edit(_RECOVERY, "blocked = bool(nobodys(", "blocked = bool(() and nobodys("),
            Edit(_RECOVERY, "if nobodys(await strays.unsettled(connection, MOST)) or await", "if await"),
        ),
        (RESTORE,),
        first="test_a_credit_to_nobody_we_know_holds_everyone",
    ),
    one("recover/look_ups_at_the_opening_count", _RECOVERY, "since = one.settled_at if settled else one.opened_at", "since = one.opened_at", RESTORE, first="test_what_had_not_left_is_sent_once_nobody_knows_of_it"),
    one("recover/hold_lifted_early", _RECOVERY, "return opened_at + timedelta(seconds=max(ANSWER_S.values()) + desk.pace.absence_s)", "return opened_at", RESTORE),
    one("recover/untouched_is_sent_under_its_attempt", _RULES, "payout.attempt, payout.next_at = 0, now", "payout.next_at = now", RESTORE, first="test_what_had_not_left_is_sent_once_nobody_knows_of_it"),
    one("recover/second_attempt_forgotten", _RULES, "payout.attempt = max(payout.attempt, 2)", "payout.attempt = max(payout.attempt, 1)", RESTORE, first="test_an_attempt_in_doubt_may_have_been_the_second_one"),
    one("stray/one_payment_too_many_is_nobodys", "gateway/services/reconciliation/strays.py", "if to is not None and not stray.reversed:", "if not stray:", STRAYS, first="test_a_credit_of_an_incentive_that_has_ended_is_settled_as_what_it_is"),
    one("stray/whoever_leaves_is_paid_again", "gateway/services/intake/corrections.py", "    if person.partner not in held:\n", "    if person.partner:\n", "tests/gateway/reconciliation/test_recovering.py", first="test_nobody_leaves_a_partner_that_may_have_paid_them_for_one_that_is_let_go_sooner"),
    one("stray/nobody_makes_a_forgotten_change_again", "gateway/services/intake/corrections.py", "if wanted.account_index is None or not await strays.waits_for(connection, wanted.partner, wanted.account_index):", "if person.partner:", "tests/gateway/reconciliation/test_recovering.py", first="test_a_change_of_account_that_was_forgotten_is_made_again_where_a_credit_tells_of_it"),
    one("stray/any_credit_is_reason_enough_to_leave", "gateway/storage/reconciliation/strays.py", "WHERE partner = $1 AND account_index = $2 AND settled_at IS NULL)", "WHERE partner = $1 AND $2::bytea IS NOT NULL AND settled_at IS NULL)", "tests/gateway/reconciliation/test_recovering.py", first="test_a_change_of_account_that_was_forgotten_is_made_again_where_a_credit_tells_of_it"),
    one("stray/who_has_moved_is_nobody", "gateway/services/reconciliation/strays.py", "if elsewhere and not excess and await", "if to.partner != stray.partner or elsewhere and not excess and await", STRAYS, first="test_a_credit_to_another_account_is_adopted_over_the_link_that_it_went_over_and_no_other"),
    one("stray/anybody_is_named", "gateway/services/reconciliation/strays.py", "and await strays.link_of(connection, stray, to) is None:", "and stray.reversed:", STRAYS, first="test_a_credit_at_another_partner_waits_for_the_change_of_account_that_was_forgotten"),
    one("stray/of_what_has_ended_stands_for_ever", "gateway/services/reconciliation/strays.py", "if to is None or to.amount_rupiah", "if to is None or to.ended or to.amount_rupiah", STRAYS, first="test_a_credit_of_an_incentive_that_has_ended_is_settled_as_what_it_is"),
    one("instance/of_before_is_anothers", "gateway/services/reconciliation/strays.py", "frozenset({self._instance, *(one.instance for one in await instances.used(connection))})", "frozenset({self._instance} if await instances.used(connection) else ())", INSTANCES),
    one("instance/not_kept", "gateway/storage/payouts/queue.py", "INSERT INTO instances (instance, since, until) SELECT $8, $3, $3 FROM made", "INSERT INTO instances (instance, since, until) SELECT '99', $3, $3 FROM made", INSTANCES),
    one("instance/anothers_is_ours", "gateway/services/reconciliation/strays.py", "reference[:2] in self._instances and", "self._instances and", INSTANCES),
    one("instance/compared_by_todays_alone", "gateway/services/reconciliation/reconcile.py", "by = self._comparison(desk, day, sorted(used))", "by = self._comparison(desk, day, sorted(used & {self._instance}))", INSTANCES, first="test_each_instance_that_was_ever_used_is_known_in_the_store"),
    one("instance/used_for_ever_since", "gateway/storage/payouts/queue.py", "DO UPDATE SET until = excluded.until", "DO NOTHING", INSTANCES, first="test_each_instance_that_was_ever_used_is_known_in_the_store"),
    one("stray/a_refusal_is_in_the_way", "gateway/storage/reconciliation/strays.py", "return self.standing is not None and not self.refused", "return self.standing is not None", STRAYS, first="test_a_credit_waits_for_no_refusal_that_it_took_the_place_of"),
    one("stray/adopted_beside_what_was_paid", "gateway/services/reconciliation/strays.py", "return None if after.payout.released_at else _on", "return None if after else _on", STRAYS, first="test_a_refused_payout_that_was_paid_meanwhile_is_no_place_for_a_credit"),
    Mutant(
        "stray/of_another_partners_payout_stops_all",
        (
            Edit("gateway/services/reconciliation/strays.py", "if stray.reference not in known]", "if stray]"),
            Edit("gateway/services/reconciliation/strays.py", 'await each("strays", pairs, adopt)', "for pair in pairs:\n            await adopt(pair)"),
        ),
        (STRAYS,),
        first="test_a_credit_under_the_reference_of_a_payout_at_another_partner_holds_up_no_other",
    ),
    one("stray/a_choice_is_made", "gateway/services/reconciliation/strays.py", "if len(able) != len(group) or", "if len(able) < len(group) or", RESTORE, first="test_a_choice_between_incentives_is_a_persons"),
)  # fmt: skip

LOOKALIKES = "tests/gateway/payouts/test_lookalikes.py"
NUMBERS = "tests/gateway/payouts/test_numbers.py"
_ALIKE = "gateway/storage/reconciliation/lookalikes.py"

_OTHER_NAMES = (
    one("alike/nobody_looks", _UNLISTED, "        if alike is not None:\n            return looks_alike(row.id, alike)\n", "", LOOKALIKES),
    one("alike/not_kept", _STATEMENTS, "if alike := [line", "if not lines and [line", LOOKALIKES),
    one("alike/the_first_alone_is_kept", "gateway/storage/base/schema/0199_each_lookalike.sql", "ON lookalikes (payout, day, booked_at, coalesce(reference, ''))", "ON lookalikes (payout)", LOOKALIKES, first="test_whose_one_such_credit_is_says_nothing_of_the_other"),
    one("alike/of_our_form_is_nobodys", _STATEMENTS, "if one in foreign or one.line.account is None]", "if one in foreign]", LOOKALIKES),
    one("alike/another_account_counts", _ALIKE, "c.account = l.account_index", "true", LOOKALIKES, first="test_a_strangers_credit_holds_nobody_up"),
    one("alike/another_amount_counts", _ALIKE, "c.amount = p.amount_rupiah AND", "c.amount > 0 AND", LOOKALIKES, first="test_a_strangers_credit_holds_nobody_up"),
    one("alike/only_where_the_account_is_told", _ALIKE, "(c.account IS NULL OR l.account_index IS NULL)", "false", LOOKALIKES),
    one("alike/any_name_is_ours", _ALIKE, "(c.reference IS NULL OR left(", "(true OR left(", LOOKALIKES, first="test_a_strangers_credit_holds_nobody_up"),
    one("alike/only_doubts_not_refusals", _ALIKE, "OR (p.state = 'rejected' AND p.statements_from IS NOT NULL)", "", LOOKALIKES, first="test_nor_is_a_refusal_that_only_statements_decide_about_believed"),
    one("alike/a_restored_payout_is_let_go", _RECOVERY, "looks_alike(payout, alike[payout]) if payout in alike else ", "", RESTORE, first="test_what_was_sent_after_the_copy_and_is_listed_under_another_name_is_a_persons"),
    one("number/a_notice_goes_to_the_last", "gateway/services/payouts/driver.py", "        named = [row for row in found if row.reference == notice.reference] or found\n        if len(named) != 1:", "        named = found[-1:]\n        if not named:", NUMBERS),
    one("number/a_line_goes_to_the_last", "gateway/services/reconciliation/strays.py", "if listed_from(row) <= day)", "if row)", NUMBERS),
    one("number/another_ones_line_counts_for_the_missing", "gateway/storage/reconciliation/reconciliation.py", "                  AND (l.reference ~ '^[0-9]{19}$') IS NOT TRUE)", ")", "tests/gateway/reconciliation/test_breaks.py", first="test_a_number_that_the_partner_gives_again_stands_for_no_other_payout"),
    one("number/anothers_answer_counts", _APPLY, "    items = await _own_numbers(connection, items, by_id)\n", "", _NUMBERS, first="test_a_reply_with_another_payouts_number_is_looked_up"),
    one("number/never_again_on_another_day", _APPLY, "None if queued else jakarta_day(sent_at)", "None", _NUMBERS, first="test_a_reply_with_another_payouts_number_is_looked_up"),
    one("number/approved_by_anothers", _APPLY, "None if queued else jakarta_day(sent_at)", "jakarta_day(sent_at)", _NUMBERS, first="test_an_instruction_under_anothers_number_is_never_approved"),
    one("number/a_line_of_another_day_is_the_old_ones", "gateway/services/reconciliation/lines.py", "one.line.reference and _number_came_again(row, one.line, known):", "one.line.reference and False:", NUMBERS, first="test_a_line_without_our_reference_is_not_an_old_payouts_because_the_number_came_again"),
    one("number/the_first_of_two_is_believed", _APPLY, "if times[partner, number] > 1", "if times[partner, number] > 99", _NUMBERS, first="test_of_two_answers_at_once_with_one_number_neither_counts"),
)  # fmt: skip

HEARD: tuple[Mutant, ...] = (*_TRANSITIONS, *_HEARD, *_ENDINGS, *_SILENCE, *_RESTORED, *_OTHER_NAMES)
