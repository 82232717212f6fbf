# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs of the brake: what is weighed and how long, who is held by it, and what a release brings back."""

from __future__ import annotations

from tests.mutants.planting import FOLLOWING, WORKER, one

_CROWDS, _TABLES = (f"tests/gateway/brake/test_{name}.py" for name in ("crowds", "tables"))
_WEIGHED = "tests/gateway/brake/test_weighed.py"
_HOLDS = "tests/gateway/standing/test_holds.py"
_WATCH = "tests/gateway/standing/test_watch.py"
_BRAKE = "gateway/services/brake/brake.py"
_REFUSALS = "gateway/storage/brake/refusals.py"
_OUTAGE = "gateway/worker/outage.py"
_UPKEEP = "gateway/services/linking/upkeep.py"
_ENDS = "gateway/services/payouts/ends.py"
_REFUSING = "gateway/services/payouts/refusing.py"
_BATCHES, _BAD = "gateway/services/brake/batches.py", "tests/gateway/brake/test_batches.py"
_LINKS = "tests/gateway/brake/test_links.py"
_CANARIES = "tests/gateway/brake/test_canaries.py"
_CHOSEN = "gateway/storage/brake/canaries.py"
_DOUBT, _LOOKS = "tests/gateway/brake/test_doubt.py", "tests/gateway/brake/test_payout_looks.py"

BRAKE = (
    one("brake/an_outages_end_lifts_it", _OUTAGE, "_OPENED_HERE = (HoldKind.OUTAGE, HoldKind.OURS)", "_OPENED_HERE = (HoldKind.OUTAGE, HoldKind.OURS, HoldKind.BRAKE)", WORKER, _WEIGHED),
    one("brake/one_refusal_more_than_the_table_says", "contracts/brake.py", "if at_least[c] <= alpha", "if at_least[c - 1] <= alpha", _TABLES),
    one("brake/held_in_one_process", "gateway/services/ops/holds.py", "one.stage in stages and one.stops]", "one.stage in stages and one.stops and one.opened_by == self._by]", _HOLDS),
    one("brake/a_held_stage_is_asked_all_the_same", _REFUSALS, " AND h.stage = r.stage AND h.released_at IS NULL)", " AND h.stage = r.stage AND h.released_at IS NOT NULL)", _CROWDS),
    one("brake/a_refusal_is_a_good_word", "gateway/partners/watch.py", "result.verdict in (Verdict.MATCH, Verdict.PENDING)", "result.verdict in Verdict", _WATCH, WORKER),
    one("brake/old_refusals_hold_again", _BRAKE, "await refusals.forgive(connection, hold.partner, hold.stage)", "pass", _WEIGHED),
    one("brake/its_canaries_as_often_as_an_outages", _OUTAGE, "    if hold.kind is HoldKind.BRAKE:\n        return growing_s(BRAKE_CANARY_S, 2.0, hold.canaries, BRAKE_CANARY_MAX_S)\n", "", _WEIGHED),
    one("brake/released_without_asking_again", _BRAKE, "                await ask_again(connection, now, hold.partner, hold.stage, since=since)\n", "                pass\n", _CROWDS, first="test_whoever_releases_it_the_run_is_asked_again"),
    one("brake/only_what_it_released_itself_is_asked_again", "gateway/storage/ops/holds.py", "WHERE kind = 'brake' AND released_at <= $1\"\n", "WHERE kind = 'brake' AND released_by = 'brake' AND released_at <= $1\"\n", _CROWDS, first="test_whoever_releases_it_the_run_is_asked_again"),
    one("brake/a_released_run_is_asked_twice", "gateway/storage/ops/holds.py", " AND (run_asked_at IS NULL OR run_asked_at <= released_at)\"\n", "\"\n", _WEIGHED),
    one("brake/one_partners_words_hold_another", _REFUSALS, "\"SELECT good_before FROM refusals WHERE partner = $1 AND", "\"SELECT good_before FROM refusals WHERE (partner = $1 OR true) AND", _WEIGHED),
    one("brake/second_looks_are_weighed", _REFUSALS, "            $10 = 0 AND NOT $12 AND", "            NOT $12 AND", _CROWDS),
    one("brake/old_answers_weigh_for_ever", _REFUSALS, " AND said_at > $4::timestamptz - make_interval(secs => $5) ORDER BY id DESC", " AND said_at > $4::timestamptz - 99 * make_interval(secs => $5) ORDER BY id DESC", _WEIGHED),
    one("canary/its_bad_answer_is_believed", "gateway/services/linking/verification.py", "                row.canary\n                and answer", "                row.id < 0\n                and answer", _CANARIES, first="test_a_bad_answer_takes_nothing_from_whom_it_is_about_and_is_asked_again"),
    one("canary/the_pool_is_stale", _CHOSEN, "v.verdict = 'match' AND v.decided_at > $1::timestamptz - make_interval(secs => $3) OFFSET 0)", "v.verdict = 'match' AND v.decided_at > $1::timestamptz - make_interval(secs => 3 * $3) OFFSET 0)", _CANARIES, first="test_nobody_is_chosen_whose_good_word_is_old"),
    one("canary/the_same_one_each_time", _CHOSEN, " AND v.created_at > $1::timestamptz - make_interval(secs => $4) OFFSET 0)", " AND v.created_at > $1::timestamptz - make_interval(secs => $4 / 86400.0) OFFSET 0)", _CANARIES, first="test_a_bad_answer_takes_nothing_from_whom_it_is_about_and_is_asked_again"),
    one("canary/waits_behind_the_crowd", _CHOSEN, " - interval '1 second')", " + interval '9 years')", _CANARIES, first="test_who_was_matched_last_is_asked_first_and_ends_it_at_once"),
    one("canary/spared_for_good", _BRAKE, "                    await canaries.ask_the_spared(connection, now, hold.partner, hold.since)\n", "                    pass\n", _CANARIES, first="test_whose_match_is_no_longer_so_after_the_hold_is_refused"),
    one("canary/the_same_of_the_run_each_time", _BRAKE, "limit=GOOD_ENOUGH, in_turn=True", "limit=GOOD_ENOUGH, in_turn=False", _CANARIES, first="test_who_is_refused_by_right_keeps_nobody_else_of_the_run_from_being_asked"),
    one("canary/lets_go_and_holds_for_ever", _BRAKE, "        if await holds.came_back(connection, hold, BACK):", "        if hold.id < 0:", _CANARIES, first="test_a_hold_that_comes_back_at_once_is_for_those_who_wait"),
    one("doubt/a_dead_token_is_believed_at_once", _UPKEEP, " and now >= link.doubted_at + old", "", _DOUBT),
    one("doubt/a_crowds_links_end_in_the_hold", _UPKEEP, "return level is Level.CALM and not held and link", "return link", _DOUBT),
    one("doubt/a_link_in_doubt_may_pay", "gateway/services/linking/facts.py", "        await participants.link_ended(connection, person.id, link.id, BlockerCode.LINK_REVOKED, now)\n", "", _DOUBT),
    one("looks/a_refusal_that_nothing_confirmed_is_replaced", "gateway/storage/intake/incentive_timers.py", "AND payout IS NULL AND NOT {UNCONFIRMED}", "AND payout IS NULL AND ({UNCONFIRMED} OR true)", _LOOKS),
    one("looks/half_an_hour_after_a_write", _REFUSING, "incentive.looks = max(incentive.looks, HARD_LOOK)", "incentive.looks = max(incentive.looks, 0)", _LOOKS),
    one("looks/refused_for_what_is_said_about_us", _REFUSING, "elif _about_us(terms, counted):", "elif not counted:", FOLLOWING, first="test_a_partner_that_refuses_us_time_and_again_refuses_nobody_else"),
    one("looks/counted_among_the_three", _REFUSING, "if sum(one.technical for one in (payout, *s.others)) < MOST_PAYOUTS:", "if s.incentive.payouts < MOST_PAYOUTS:", _LOOKS),
    one("looks/what_the_partner_has_is_absent", _REFUSING, "known = any(h.kind in _KNOWN or h.partner_code in MISMATCH for h in counted)", "known = False", _LOOKS, first="test_what_nothing_confirms_is_somebodys_and_goes_on_by_a_document"),
    one("looks/the_statements_of_its_day_are_not_awaited", _REFUSING, "(payout.statements_from or _day_after(payout.ended_at)) if lost", "(payout.statements_from or payout.ended_at) if lost", _LOOKS, first="test_a_refusal_that_no_look_up_finds_is_tried_again_once_no_statement_lists_it"),
    one("looks/what_no_look_up_finds_stands_still", "gateway/storage/reconciliation/statements.py", "(statements_from IS NOT NULL OR (released_at IS NULL AND reason_due_at IS NOT NULL))", "released_at IS NULL AND (statements_from IS NOT NULL OR reason_due_at IS NOT NULL)", _LOOKS, first="test_a_refusal_that_no_look_up_finds_is_tried_again_once_no_statement_lists_it"),
    one("brake/somebody_who_retries_is_a_crowd", _REFUSALS, "                AND NOT EXISTS (SELECT FROM refusals WHERE partner = $1 AND stage = $2 AND account_index = $5", "                AND NOT EXISTS (SELECT FROM refusals WHERE partner = $1 AND stage = $2 AND account_index = $5 AND false", _CROWDS, first="test_the_stream_in_the_store_is_the_one_that_was_said"),
    one("brake/given_back_while_provisional", _BRAKE, "return self.level is Level.CALM and now >= self.since + timedelta(seconds=hard_s)", "return self.level is Level.CALM", _TABLES),
    one("brake/a_suspicion_lets_ends_through", _BRAKE, "return self.level is Level.CALM and now >= ", "return now >= ", _TABLES),
    one("brake/nobody_is_invited_again", _REFUSALS, "            BlockerCode.LINK_REQUIRED.value,\n", "            BlockerCode.ACCOUNT_NOT_FOUND.value,\n", _LINKS),
    one("brake/a_hold_of_linking_waits_for_ever", _BRAKE, "return True not in await refusals.ring(connection, now, hold.partner, hold.stage, known=False)", "return False", _LINKS),
    one("looks/a_full_month_waits_for_the_next", _REFUSING, "_LIMITS = frozenset({BlockerCode.BALANCE_LIMIT, BlockerCode.MONTHLY_LIMIT})", "_LIMITS = frozenset({BlockerCode.BALANCE_LIMIT})", _LOOKS, first="test_a_limit_is_tried_again_once_a_look_up_says_it_still"),
    one("brake/one_persons_answer_for_all_is_believed", "contracts/brake.py", "        BlockerCode.ACCOUNT_UNPROVED,\n", "", _CROWDS, first="test_one_answer_for_everybody_is_the_partners_and_is_asked_again"),
    one("brake/our_own_doubt_is_their_refusal", "gateway/services/linking/verification.py", " or told is Verdict.MATCH", "", _CROWDS, first="test_a_match_that_counts_for_nothing_is_no_refusal_of_the_partners"),
    one("looks/another_payout_under_the_same_reference", "gateway/storage/payouts/queue.py", "SELECT id, $8 || lpad(id::text, 17, '0'), incentive", "SELECT id, $8 || lpad(incentive::text, 17, '0'), incentive", _LOOKS),
    one("looks/a_full_account_is_never_tried_again", _REFUSING, "ASKED_AGAIN = OF_A_PERSON | _LIMITS", "ASKED_AGAIN = OF_A_PERSON", "tests/gateway/brake/test_elsewhere.py", first="test_five_wrong_minutes_end_nobody"),
    one("ours/a_stale_token_refuses_us", "gateway/partners/desk.py", "(self._refused is not None and self._refused != tokens)", "self._refused is not None", "tests/gateway/partners/test_tokens.py", first="test_several_in_the_air_under_one_stale_token_say_no_more_than_one"),
    one("ours/a_fresh_token_refused_is_any_outage", "gateway/partners/desk.py", "                outcome = msgspec.structs.replace(outcome, hint=Hint.CREDENTIALS)\n", "                pass\n", "tests/gateway/partners/test_tokens.py", first="test_who_refuses_a_fresh_token_too_refuses_us"),
    one("ours/who_is_refused_keeps_us_out", _OUTAGE, "            self._let_in = True\n", "            pass\n", "tests/gateway/standing/test_ours.py", first="test_who_refuses_a_person_at_a_check_has_let_us_in"),
    one("ours/a_refused_account_shows_that_we_may_pay", _OUTAGE, "elif self._stage is HoldStage.VERIFY and (held", "elif (held", "tests/gateway/standing/test_ours.py", first="test_who_refuses_a_person_at_a_check_has_let_us_in"),
    one("ours/five_people_must_meet_it", _OUTAGE, "if kind_of(told.fault) is HoldKind.OUTAGE else FAILURES", "if kind_of(told.fault) is not HoldKind.THROTTLED else FAILURES", "tests/gateway/standing/test_ours.py"),
    one("batch/others_are_not_asked", _BATCHES, "if await batches.others_good(connection, suspect) >= max(OTHERS, suspect.others):", "if True:", _BAD, first="test_which_batches_are_bad"),
    one("batch/others_at_another_partner", "gateway/storage/brake/batches.py", "verified_until > $2 AND partner = $1\"", "verified_until > $2 AND $1::text IS NOT NULL\"", _BAD, first="test_which_batches_are_bad"),
    one("batch/its_refusals_hold_the_partner", _REFUSALS, "NOT $12 AND $13::timestamptz IS NULL", "NOT $12 AND ($13::timestamptz IS NULL OR true)", _BAD, first="test_a_bad_batch_holds_nobody_else_for_long_and_undoes_nothing"),
    one("batch/undone_in_its_first_day", _BRAKE, "return Weight(max(level, Level.SUSPICION) if young else level, added.since)", "return Weight(level, added.since)", _BAD, first="test_a_bad_batch_holds_nobody_else_for_long_and_undoes_nothing"),
    one("batch/asked_again_is_taken_for_mended", _BATCHES, "if is_on and await holds.braked_since(connection, before.partner, now - ASKED):", "if False:", _BAD, first="test_a_bad_batch_holds_nobody_else_for_long_and_undoes_nothing"),
    one("batch/in_doubt_for_ever", _BATCHES, "still = is_on and bad(found)", "still = True", _BAD, first="test_a_doubt_ends_with_its_cause"),
    one("batch/each_worker_counts_it", "gateway/storage/brake/batches.py", " AND coalesce(counted_at, doubted_at) <= $2 ORDER", " AND $2::timestamptz IS NOT NULL ORDER", _BAD, first="test_which_batches_are_bad"),
    one("batch/the_hold_comes_back_and_stays", _BRAKE, "            if batch is None:\n", "            if True:\n", _BAD, first="test_a_bad_batch_holds_nobody_else_for_long_and_undoes_nothing"),
)  # fmt: skip
