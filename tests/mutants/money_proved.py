# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what a payment rests on: whose account it is, what was approved, under which key, in which order words were
said, what a moving list shows, and what a crowd of refusals is taken for.
"""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import ABSENCE, BATCHES, TWO_STEP, WORDS, one

ONE_ACCOUNT = "tests/gateway/linking/test_one_account.py"
APPROVED = "tests/gateway/payouts/test_approved.py"
CONTROL = "tests/gateway/intake/test_control.py"
WITNESS = "tests/gateway/test_witness.py"
TIMELINE = "tests/gateway/test_timeline.py"
LISTED = "tests/gateway/payouts/test_listed.py"
DAILY, DAYS = "tests/gateway/reconciliation/test_daily.py", "tests/gateway/reconciliation/test_days.py"
INSTRUCTED = "tests/gateway/reconciliation/test_restored_instruction.py"
CROWDS = "tests/gateway/brake/test_crowds.py"
_PROOF = "gateway/services/linking/proof.py"
_PROOFS = "gateway/storage/linking/proofs.py"
_STEPS = "gateway/services/linking/steps.py"
_VERIFICATION = "gateway/services/linking/verification.py"
_BEGIN = "gateway/storage/base/schema/0013_begin.sql"
_SENDING = "gateway/services/payouts/sending.py"
_RULES = "gateway/services/payouts/rules.py"
_ENDS = "gateway/services/payouts/ends.py"
_REFUSING = "gateway/services/payouts/refusing.py"
_OBSERVATION = "contracts/observation.py"
_ROUNDS = "gateway/services/reconciliation/rounds.py"
_OTHERS = "tests/gateway/payouts/test_lists_of_others.py"
_OF_ANOTHER = "tests/contract/test_of_another.py"
_ABSENCE = "gateway/services/payouts/absence.py"
_STATEMENTS = "gateway/services/reconciliation/statements.py"
_LINES = "gateway/services/reconciliation/lines.py"
_UNLISTED = "gateway/services/reconciliation/unlisted.py"
_STATEMENT_ROWS = "gateway/storage/reconciliation/statements.py"
_WEIGHED, _FINDINGS = "gateway/services/reconciliation/weighed.py", "gateway/storage/reconciliation/findings.py"
_LISTING = "gateway/services/reconciliation/listing.py"
_DAILY, _TURNS = "gateway/services/reconciliation/daily.py", "gateway/services/reconciliation/days.py"
_RECOVERY = "gateway/services/reconciliation/recovery.py"
_BRAKE = "gateway/services/brake/brake.py"
_REFUSALS = "gateway/storage/brake/refusals.py"
_HOLDS = "gateway/storage/ops/holds.py"
REFUSED_LATELY = "tests/gateway/payouts/test_refused_lately.py"
_LOOKS = "tests/gateway/brake/test_payout_looks.py"
_CASES = "tests/gateway/standing/test_cases.py"
_UNCONFIRMED, _TIMERS = "gateway/storage/base/unconfirmed.py", "gateway/storage/intake/incentive_timers.py"
_TWO_ACCOUNTS = "test_a_token_that_turns_up_under_a_second_account_proves_neither"

_REFUSED = (
    one("refused/who_links_again_is_paid_at_once", _TIMERS, "SET own = CASE WHEN {REFUSED_LATELY} THEN own END,", "SET own = NULL,", REFUSED_LATELY, first="test_nothing_takes_its_place_before_a_second_look"),
    one("refused/handed_over_again_is_paid_at_once", _UNCONFIRMED, " OR {REFUSED_BEFORE})\"", ")\"", REFUSED_LATELY, first="test_an_instalment_handed_over_again_waits_and_says_for_what"),
    one("refused/handed_over_again_waits_without_a_word", _TIMERS, "i.payout IS NULL AND i.own IS NULL RETURNING i.id", "i.id < 0 RETURNING i.id", REFUSED_LATELY, first="test_an_instalment_handed_over_again_waits_and_says_for_what"),
    one("refused/room_in_one_account_is_room_in_another", _UNCONFIRMED, "IS DISTINCT FROM (t.partner, t.account_index)", "IS DISTINCT FROM (l.partner, l.account_index)", REFUSED_LATELY, first="test_room_in_an_account_says_nothing_of_another_one"),
    one("refused/a_month_that_begins_heals_what_nothing_confirmed", _REFUSING, "    if incentive.payout is None:  # whatever it was refused for", "    if incentive.payout is None and payout.reason in OF_A_PERSON:  #", _LOOKS, first="test_what_nothing_confirms_is_somebodys_and_goes_on_by_a_document"),
    one("refused/no_document_speaks_of_a_limit", "gateway/services/payouts/settlements.py", "unconfirmed = row.reason is not None and", "unconfirmed = row.reason is BlockerCode.ACCOUNT_NOT_FOUND and", _LOOKS, first="test_what_nothing_confirms_is_somebodys_and_goes_on_by_a_document"),
    one("refused/a_full_month_is_not_followed", _REFUSING, "        _confirm_reason(terms, s, said, word, now, effects, known=known)\n    elif", "        if reason in OF_A_PERSON:\n            _confirm_reason(terms, s, said, word, now, effects, known=known)\n    elif", REFUSED_LATELY, first="test_nothing_takes_its_place_before_a_second_look"),
)  # fmt: skip

_ACCOUNTS = (
    one("account/a_token_of_another_account_is_taken", _STEPS, "if others and not await proofs.proved(connection, person):", "if others and person.id < 0:", ONE_ACCOUNT, first=_TWO_ACCOUNTS),
    one("account/who_had_the_token_before_stays_believed", _STEPS, "await proof.doubt(connection, link, others, now)", "await proof.doubt(connection, link, [], now)", ONE_ACCOUNT, first=_TWO_ACCOUNTS),
    one("account/two_grants_at_once_are_both_believed", _PROOF, "    await proofs.lock_token(connection, link.partner, grant_index)\n", "", ONE_ACCOUNT, first="test_of_two_grants_of_one_token_at_once_none_is_believed"),
    one("account/a_check_looks_at_no_other_account", _VERIFICATION, "unproved = bool(others)", "unproved = False", ONE_ACCOUNT),
    one("account/a_token_ended_once_bars_for_ever", _PROOFS, "AND (l.state IN ('active', 'unlinking') OR", "AND (l.state <> '' OR", ONE_ACCOUNT, first="test_who_mistyped_an_account_is_not_barred_from_the_right_one"),
    one("account/one_persons_document_is_enough", _PROOFS, "WHERE {_OF} AND seconds IS NOT NULL)", "WHERE {_OF})", ONE_ACCOUNT, first="test_a_document_counts_once_two_people_have_handed_it_in"),
    one("account/who_was_disabled_still_says_whose_it_is", _PROOFS, "_STANDS = \"NOT EXISTS", "_STANDS = \"true OR EXISTS", ONE_ACCOUNT, first="test_of_two_words_on_a_document_the_first_ones_client_is_enabled_still"),
    one("account/a_document_holds_for_every_account", _PROOFS, "(participant, partner, account_index, nik_index) = ($1, $2, $3, $4)", "(participant, partner, nik_index) = ($1, $2, $4) AND $3::bytea <> ''", ONE_ACCOUNT, first="test_a_document_speaks_of_the_account_it_was_handed_in_for"),
    one("account/gopay_asks_for_no_name", "adapters/gopay/identity.py", "return answer if name is not None and names.agree(name, found.account_name.reveal()) else unproved", "return answer", "tests/adapters/gopay/test_plans.py", first="test_a_match_is_one_only_if_the_declared_account_bears_the_name"),
    one("account/gopay_takes_any_nameless_account", "adapters/gopay/identity.py", "\"errors\", \"account\"):\n        return unproved", "\"errors\", \"account\"):\n        return answer", "tests/adapters/gopay/test_plans.py", first="test_a_match_is_one_only_if_the_declared_account_bears_the_name"),
    one("account/ovo_believes_anothers_check", "adapters/ovo/mapping.py", "return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=envelope.code)", "pass", "tests/adapters/ovo/test_mapping.py", first="test_identity"),
    one("account/linkaja_believes_anothers_check", "adapters/linkaja/mapping.py", "return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=said.code)", "pass", "tests/adapters/linkaja/test_mapping.py", first="test_a_check_of_another_account_proves_nothing_of_this_one"),
    one("account/bni_believes_anothers_check", "adapters/bni/identity.py", "return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=envelope.code)", "pass", "tests/adapters/bni/test_linking.py", first="test_a_check_of_another_account_proves_nothing_of_this_one"),
    one("account/one_word_in_common_is_one_name", "contracts/names.py", "    return _fit(_rest(first, full), _rest(second, full))", "    return True", "tests/adapters/test_names.py"),
)  # fmt: skip

_APPROVED = (
    Mutant(
        "digest/without_the_amount",
        (
            Edit(_BEGIN, "i.participant_id, encode(i.nik_index, 'hex'), i.partner,\n                            i.amount_rupiah,", "i.participant_id, encode(i.nik_index, 'hex'), i.partner,"),
            Edit("gateway/security/approval.py", "\\x1f{amount_rupiah}\\x1f{due_on!s}", "\\x1f{due_on!s}"),
        ),
        (APPROVED,),
        first="test_a_row_that_was_changed_in_the_database_is_not_paid",
    ),
    one("digest/not_compared", _SENDING, "and hmac.compare_digest(approval.digest(self._vault, begun.approved_row, account, under), begun.digest)\n", "and len(begun.digest) == 32\n", APPROVED, first="test_a_row_that_was_changed_in_the_database_is_not_paid"),
    one("digest/made_without_the_key", "gateway/security/approval.py", 'return vault.index(places.APPROVED_ROW, f"{row}\\x1f{account_index.hex()}{plan}")', 'return __import__("hashlib").sha256(f"{row}\\x1f{account_index.hex()}{plan}".encode()).digest()', APPROVED, first="test_an_approval_under_another_key_is_none"),
    one("digest/of_the_account_in_the_row", "gateway/security/approval.py", 'f"{row}\\x1f{account_index.hex()}{plan}"', 'f"{row}{plan}"', APPROVED, first="test_the_account_that_counts_is_the_one_that_is_paid"),
    one("digest/payout_not_compared_with_its_row", _BEGIN, "(p.participant, p.partner, p.amount_rupiah) = (i.participant, i.partner, i.amount_rupiah)", "(p.participant, p.partner) = (i.participant, i.partner)", APPROVED, first="test_an_amount_put_back_after_the_claim_does_not_hide_what_is_paid"),
    one("digest/person_not_compared_with_the_row", _BEGIN, "(t.participant_id, t.nik_index, t.partner, t.account_index)\n                  = (i.participant_id, i.nik_index, p.partner, l.account_index)", "t.account_index = l.account_index", APPROVED),
    one("digest/a_difference_is_tried_again", _RULES, "    effects.lapsed = True\n", "", APPROVED),
    one("approved/nobody_asked_by_whom", _SENDING, "            (under := one.leased.approved_under) is not None\n            and begun.approved_row", "            (under := one.leased.approved_under or b\"\") is not None\n            and begun.approved_row", APPROVED, first="test_a_row_that_is_marked_approved_and_was_not_is_not_paid"),
    one("approved/two_clients_of_one_person", "gateway/storage/intake/batches.py", "SELECT count(DISTINCT said.person) FROM", "SELECT count(*) FROM", APPROVED, first="test_a_row_that_is_marked_approved_and_was_not_is_not_paid"),
    one("approved/of_another_content", "gateway/storage/intake/batches.py", " AND a.content_root = b.content_root ORDER BY", " ORDER BY", APPROVED, first="test_a_row_that_is_marked_approved_and_was_not_is_not_paid"),
    one("approved/a_reapproval_counts_as_the_first_batch", "gateway/storage/payouts/queue.py", "WHERE r.incentive = i.id AND r.digest = i.digest\n", "WHERE r.incentive = i.id AND r.digest = i.digest AND false\n", APPROVED, first="test_the_digest_of_a_reapproval_that_one_person_gave_pays_nothing"),
    one("digest/differences_pause_nobody", "gateway/services/payouts/apply.py", "if found >= MISMATCHES_PAUSE:", "if found >= 1_000 * MISMATCHES_PAUSE:", APPROVED, first="test_the_third_row_that_differs_pauses_its_partner_alone"),
    one("digest/each_difference_pauses", "gateway/services/payouts/apply.py", "if found >= MISMATCHES_PAUSE:", "if found >= 1:", APPROVED, first="test_the_third_row_that_differs_pauses_its_partner_alone"),
    one("lapse/another_account_keeps_its_approval", "gateway/services/intake/corrections.py", '        await reapprovals.lapse_person(connection, person.id, "account_changed", now)\n', "", APPROVED, first="test_another_account_is_paid_once_two_people_have_approved_it"),
    one("lapse/an_approval_of_an_earlier_lapse_counts", "gateway/storage/intake/reapprovals.py", "WHERE r.incentive = i.id AND r.lapsed_at = i.lapsed_at AND o.state", "WHERE r.incentive = i.id AND o.state", APPROVED, first="test_what_waits_for_approval_as_it_was_keeps_nothing_from_being_put_up_as_it_is"),
    one("approval/of_a_disabled_client_counts", "gateway/services/intake/batches.py", "others = {row.person for who, row in before.items() if row.enabled and who != client_id}", "others = {row.person for who, row in before.items() if who != client_id}", CONTROL, APPROVED, first="test_the_word_of_a_client_that_was_disabled_no_longer_counts"),
    one("approval/a_withdrawn_one_counts", "gateway/services/intake/batches.py", "others = {row.person for who, row in before.items() if row.enabled and who != client_id}", "others = {row.client_id + row.decision for row in before.values()}", CONTROL, BATCHES, first="test_who_has_approved_may_withdraw_or_reject_while_one_is_missing"),
    one("witness/any_key_will_do", "gateway/storage/base/witness.py", "    except KeyMissing:\n        raise WrongKey(_OTHER) from None", "    except KeyMissing:\n        return", WITNESS, first="test_no_command_runs_under_another_key"),
    one("witness/an_older_database_is_anyones", "gateway/storage/base/witness.py", "            await _open_some(connection, vault)\n", "            pass\n", WITNESS, first="test_an_older_database_is_taken_over_only_under_the_key_that_opens_it"),
    one("witness/the_second_of_two_goes_on", "gateway/storage/base/witness.py", "            first.check_value,\n        )\n        await check(connection, vault)", "            first.check_value,\n        )", WITNESS, first="test_of_two_first_migrations_one_key_stands"),
    one("payouts/of_another_participant", "gateway/storage/base/schema/0100_payouts_belong.sql", "i.participant IS DISTINCT FROM r.participant OR l.id IS NULL", "l.id IS NULL", "tests/gateway/payouts/test_ledger.py", first="test_a_payout_belongs_to_an_incentive_of_its_participant_and_to_a_link"),
    one("payouts/over_no_link", "gateway/storage/base/schema/0100_payouts_belong.sql", "r.participant OR l.id IS NULL", "r.participant", "tests/gateway/payouts/test_ledger.py", first="test_a_payout_belongs_to_an_incentive_of_its_participant_and_to_a_link"),
    one("timeline/an_older_copy_is_believed", "gateway/storage/base/schema/0091_store_timeline.sql", "<> (h.server, h.timeline) OR known.beat < seen THEN", "<> (h.server, h.timeline) THEN", TIMELINE, first="test_an_older_copy_is_known_by_who_saw_a_later_one"),
    one("timeline/any_promotion_loses_nothing", "gateway/storage/base/schema/0091_store_timeline.sql", "WHEN known.timeline <> h.timeline AND", "WHEN false AND", TIMELINE, first="test_a_promotion_holds_everyone_unless_the_standby_had_each_commit"),
    one("timeline/a_copy_is_the_original", "gateway/storage/base/schema/0091_store_timeline.sql", "WHEN known.server <> h.server THEN", "WHEN false THEN", TIMELINE, first="test_a_copy_in_another_place_holds_everyone"),
    one("timeline/one_of_several_has_all", "gateway/storage/base/schema/0091_store_timeline.sql", "wanted >= cardinality(listed)", "wanted >= 1", TIMELINE, first="test_who_surely_has_each_commit"),
    one("timeline/a_connection_is_not_compared", "gateway/storage/base/database.py", "if timeline is not None:\n                await timeline.compare(connection)", "if False:\n                pass", TIMELINE, first="test_a_copy_in_another_place_holds_everyone"),
    one("timeline/nobody_outside_is_asked", "gateway/storage/base/timeline.py", "            elif told > self.seen:", "            elif told > self.seen + 10**9:", TIMELINE, first="test_an_older_copy_is_known_by_who_saw_a_later_one"),
)  # fmt: skip

_ORDERED = (
    one("order/the_partners_time_is_not_read", _OBSERVATION, "at = None if word.said_at is None else word.said_at.replace(microsecond=0)", "at = None", WORDS, TWO_STEP, first="test_where_completed_can_fail"),
    one("order/either_order_gives_back", _OBSERVATION, "given_back = _earlier(paid, failed)", "given_back = bool(paid and failed)", WORDS, first="test_where_completed_can_fail"),
    one("order/a_booking_fails_too", _OBSERVATION, "given_back = _earlier(paid, failed)", "given_back = _earlier(any_paid, failed)", WORDS, first="test_where_completed_can_fail"),
    one("order/unordered_words_contradict_nothing", _OBSERVATION, "unordered = bool(failed) and (None in any_paid | failed or not any_paid.isdisjoint(failed))", "unordered = False", WORDS, first="test_every_order_of_words_ends_the_same"),
    one("order/posted_under_yesterday_is_paid_again", _OBSERVATION, "first < then and not (first < min(dated) and _posted_under_yesterday(first, then))", "first < then", WORDS, first="test_paid_once_more_after_it_came_back_is_told"),
    one("order/a_second_payment_is_posted_under_yesterday", _OBSERVATION, "(first < min(dated) and _posted_under_yesterday(first, then))", "_posted_under_yesterday(first, then)", WORDS, first="test_paid_once_more_after_it_came_back_is_told"),
    one("order/a_night_hides_what_is_paid_again", _OBSERVATION, "days[0] != days[1] and then - first <= POSTED_WITHIN", "days[0] != days[1]", WORDS, first="test_paid_once_more_after_it_came_back_is_told"),
    one("order/paid_after_it_came_back_unseen", _OBSERVATION, "return Folded(state=PayoutState.REVERSED, contradiction=paid_again)", "return Folded(state=PayoutState.REVERSED)", WORDS, first="test_paid_once_more_after_it_came_back_is_told"),
    one("order/what_was_taken_back_gives_back", _ENDS, "return None if heard.refusal is Refusal.WITHDRAWN else heard.said_at", "return heard.said_at", WORDS, TWO_STEP, "tests/gateway/payouts/test_any_order.py"),
    one("order/a_time_out_at_the_bank_is_an_end", _REFUSING, "doubtful = not absent and any(h.refusal is Refusal.STATEMENT_DECIDES for h in said)", "doubtful = False", WORDS, first="test_a_time_out_at_the_bank_waits_for_the_statements_of_its_day_and_the_next"),
    one("order/the_statement_of_the_next_day_not_awaited", _REFUSING, "start_of_jakarta_day(jakarta_day(at) + timedelta(days=2)) + timedelta(seconds=SKEW_S)", "at", WORDS, first="test_a_time_out_at_the_bank_waits_for_the_statements_of_its_day_and_the_next"),
    one("order/a_repeat_that_may_have_paid_is_replaced", _REFUSING, "if not by_document and any(h.refusal is Refusal.PERHAPS_PAID for h in said):", "if by_document and not said:", WORDS, first="test_perhaps_paid_takes_back_what_has_not_left_in_its_place"),
    one("order/perhaps_paid_leaves_the_replacement", _REFUSING, "    payout.reason_due_at = payout.statements_from = payout.next_at = None\n    cancel_reserved(s, now)\n", "    payout.reason_due_at = payout.statements_from = payout.next_at = None\n", WORDS, first="test_perhaps_paid_takes_back_what_has_not_left_in_its_place"),
    one("end/no_pause_while_the_replacement_is_submitting", _ENDS, "if stands(other) and other.state not in UNSENT:", "if stands(other) and other.state not in UNSENT | {_S.SUBMITTING}:", WORDS, first="test_paid_after_all_pauses_while_the_replacement_is_being_sent"),
    one("end/december_has_no_next_month", _ENDS, "local.year + local.month // 12", "local.year", WORDS, first="test_a_monthly_limit_begins_anew_with_the_month_in_jakarta"),
    one("end/a_month_begins_in_london", _ENDS, "local = now.astimezone(JAKARTA)", "local = now", WORDS, first="test_a_monthly_limit_begins_anew_with_the_month_in_jakarta"),
)  # fmt: skip

_LISTS = (
    one("list/reading_dated_at_its_end", _STATEMENTS, "started_at=weighed.started_at,", "started_at=self._clock.now(),", WORDS, first="test_a_reading_is_as_old_as_its_beginning"),
    one("list/a_partner_behind_at_midnight_is_not_asked_about_yesterday", _ABSENCE, "return jakarta_day((row.first_sent_at or row.created_at) - timedelta(seconds=UTC_BEHIND_S + SKEW_S))", "return jakarta_day(row.first_sent_at or row.created_at)", LISTED, first="test_a_partner_behind_us_at_midnight_books_yesterday"),
    one("list/a_partner_ahead_at_midnight_is_not_asked_about_tomorrow", _ABSENCE, "return max(sent_deadline + timedelta(seconds=pace.absence_s), ahead)", "return sent_deadline + timedelta(seconds=pace.absence_s)", ABSENCE, first="test_however_short_the_wait_a_partner_ahead_at_midnight_is_asked_about_its_day"),
    one("list/a_row_shown_again_is_a_second_credit", _LISTING, "            if listed.identity not in self.identities:\n", "            listed = Listed(listed.identity + bytes([self.pages]), listed.line)\n            if listed.identity not in self.identities:\n", LISTED, first="test_any_list_that_only_grows_is_listed_once"),
    one("list/equal_rows_of_a_page_are_one", _LISTING, "times[said] += 1", "times[said] = 1", LISTED, WORDS),
    one("list/rows_have_no_time", _LISTING, "line.amount_rupiah, line.booked_at.timestamp())", "line.amount_rupiah)", LISTED),
    one("list/two_credits_on_two_pages_are_one", _STATEMENTS, "await self._lines.apply(desk.slug, day, repeated, weighed)", "pass", LISTED, first="test_two_equal_credits_on_either_side_of_a_page_are_two_and_a_line_moved_there_is_one"),
    one("list/a_moved_line_is_two", _LISTING, "        if [one.identity for one in self._in_order] != [one.identity for one in before._in_order]:\n            return []\n", "", LISTED, first="test_two_equal_credits_on_either_side_of_a_page_are_two_and_a_line_moved_there_is_one"),
    one("list/moving_pages_are_believed_at_once", _STATEMENTS, "settled = listing.pages == 1 or (before is not None and before.holds(listing))", "settled = True", LISTED, first="test_a_line_that_one_reading_omits_is_found_by_the_next"),
    one("list/a_later_reading_may_lack_what_the_first_had", _LISTING, "        if not self.identities <= after.identities:\n            return False\n", "", LISTED, first="test_a_list_that_never_holds_still_proves_nothing"),
    one("list/what_slipped_in_between_is_no_matter", _LISTING, "return newest is None or all(at >= newest for at in more)", "return True", LISTED, first="test_a_line_that_one_reading_omits_is_found_by_the_next"),
    one("list/an_odd_line_proves_absence", _STATEMENTS, '            raise PartnerProtocolError(f"{listing.unreadable} lines of the statement of {day} cannot be read")', "            pass", LISTED, first="test_a_list_of_one_page_with_an_odd_line_is_not_read_to_its_end"),
    one("list/an_odd_line_is_not_told", _WEIGHED, "UNREADABLE: min(1, self.unreadable)", "UNREADABLE: min(0, self.unreadable)", LISTED, first="test_lines_without_an_owner_spoil_no_page_and_are_told_once"),
    one("list/nobodys_credit_spoils_nothing", _STATEMENTS, "listing.unreadable += len(nobodys)", "listing.unreadable += 0", LISTED, first="test_lines_without_an_owner_spoil_no_page_and_are_told_once"),
    one("list/told_again_at_every_reading", _FINDINGS, "if certain > row[\"told\"]:", "if certain:", LISTED, first="test_what_was_told_once_pauses_once_but_a_third_credit_is_news"),
    one("list/one_open_case_hides_what_more_is_found", "gateway/storage/ops/cases.py", "AND ($2 <> $8 OR strpos(detail, $9) > 0))\"", "AND coalesce($8 || $9, '') <> '')\"", _CASES, first="test_a_credit_in_excess_is_told_beside_what_the_partner_contradicted_before"),
    one("list/other_words_are_told_as_another_thing", "gateway/storage/ops/cases.py", "case.detail.partition(SAID)[0],", "case.detail,", _CASES, first="test_a_credit_in_excess_is_told_beside_what_the_partner_contradicted_before"),
    one("list/a_third_credit_is_no_news", _WEIGHED, 'f"twice:{payout}:{times}"', 'f"twice:{payout}"', LISTED, first="test_what_was_told_once_pauses_once_but_a_third_credit_is_news"),
    one("upgrade/a_new_column_stops_who_reads_the_old_ones", "gateway/storage/base/rows.py", "return kind(**{name: row[name] for name in kind.__struct_fields__ if name in row})", "return kind(**dict(row))", "tests/gateway/reconciliation/test_upgrade_at_mocks.py", first="test_a_transaction_that_a_migration_overtakes_is_done_again"),
    one("upgrade/a_migration_ends_a_transaction_for_good", "gateway/storage/base/database.py", "    asyncpg.InvalidCachedStatementError,", "    ", "tests/gateway/reconciliation/test_upgrade_at_mocks.py", first="test_a_transaction_that_a_migration_overtakes_is_done_again"),
    one("list/credited_again_after_a_reversal_unseen", _STATEMENT_ROWS, "credits > reversals AND reversals > 0", "credits > reversals AND reversals > 9", "tests/gateway/standing/test_ways_out.py", first="test_what_came_back_and_was_credited_again_is_told_and_not_paid_elsewhere"),
    one("list/credited_again_and_paid_elsewhere", "gateway/storage/payouts/payouts.py", "HAVING bool_or(s.kind = 'reversal')", "HAVING false", "tests/gateway/standing/test_ways_out.py", first="test_what_came_back_and_was_credited_again_is_told_and_not_paid_elsewhere"),
    one("list/in_circles", _LISTING, "if self._barren >= MOST_BARREN and", "if self._barren >= 99 and", LISTED, first="test_a_list_that_has_lost_its_place_goes_in_no_circle"),
    one("list/told_at_the_first_reading", _FINDINGS, "certain = count if at_once else min(count, row[\"seen\"])", "certain = count", LISTED, first="test_what_the_next_reading_does_not_bear_out_is_not_told_and_what_it_does_is"),
    one("list/a_reading_that_denies_it_is_no_matter", _WEIGHED, "if count or self.whole}", "if count}", LISTED, first="test_what_the_next_reading_does_not_bear_out_is_not_told_and_what_it_does_is"),
    one("list/side_by_side_is_twice", _FINDINGS, "if row[\"found_at\"] > since and not at_once:", "if False:", LISTED, first="test_readings_side_by_side_bear_out_nothing"),
    one("list/the_last_reading_is_the_last_look", _STATEMENTS, "if day in again or day not in last", "if day not in last", LISTED, first="test_what_the_last_reading_of_a_day_finds_is_looked_for_once_more"),
    one("list/absent_beside_what_is_not_listed", _UNLISTED, "sure = [row for row in absent if row.id not in unsure]", "sure = absent", _OTHERS, first="test_beside_payments_that_are_known_and_not_listed_nothing_is_absent"),
    one("list/what_waited_for_a_whole_list_waits_for_ever", _ROUNDS, "self._judged.pop(payout, None)", "pass", _OTHERS, first="test_what_is_on_no_whole_list_is_absent_and_paid"),
    one("list/never_read_again_after_two_days", _ROUNDS, ", 30 * 3_600.0, 8 * 86_400.0)", ", 30 * 3_600.0)", _OTHERS, first="test_a_day_that_is_corrected_a_week_later_is_read_once_more"),
    one("list/any_days_list_will_do", _STATEMENTS, "listing.proves and listing.of(day)", "listing.proves", _OTHERS, first="test_a_lone_payment_is_not_absent_from_another_days_list"),
    one("list/a_cache_proves_absence", "adapters/paging.py", "proves_absence=whole and not answers.stale(reply),", "proves_absence=whole,", _OF_ANOTHER, first="test_a_list_out_of_a_cache_proves_nothing_absent"),
    one("refund/a_part_is_the_whole", "adapters/snap/payouts.py", "amount_rupiah=values.amount(envelope) or None,", "amount_rupiah=None,", _OF_ANOTHER, first="test_a_part_given_back_or_from_elsewhere_is_no_payment_given_back"),
    one("refresh/of_somebody_else_is_kept", "gateway/services/linking/upkeep.py", "link.id, data)\n                return False\n", "link.id, data)\n", "tests/gateway/linking/test_one_account.py", first="test_a_refresh_that_brings_somebody_elses_token_is_none"),
    one("list/yesterday_is_read_once", _ROUNDS, "POSTED_AFTER_S = (0.0, 6 * 3_600.0, 30 * 3_600.0, 8 * 86_400.0)", "POSTED_AFTER_S = (0.0,)", LISTED, first="test_a_refund_posted_into_yesterday_is_heard"),
    one("list/one_bad_day_holds_up_the_others", _STATEMENTS, "continue  # one day that cannot be read keeps no other from being read", "break", WORDS, first="test_a_day_that_cannot_be_read_keeps_no_other_from_being_read"),
    one("list/another_account_unseen_once_paid", _LINES, "if line.account is not None and (new or not paid):", "if line.account is not None and not paid:", LISTED, first="test_a_credit_to_another_account_is_found_though_the_payout_is_paid"),
    one("list/a_part_given_back_is_the_whole", "gateway/services/payouts/words.py", "if outcome.kind not in (OutcomeKind.SUCCEEDED, OutcomeKind.REVERSED):", "if outcome.kind is not OutcomeKind.SUCCEEDED:", LISTED, first="test_what_comes_back_in_part_or_from_elsewhere_is_no_payment_given_back"),
    one("list/another_amount_unheard_while_in_doubt", _LINES, "(ended and row.state.value == outcome.kind.value)", "row.state.value == outcome.kind.value", LISTED, first="test_another_amount_or_account_listed_for_a_payout_in_doubt_is_told_and_it_is_never_sent_again"),
    one("list/credits_of_another_day_not_counted", _STATEMENT_ROWS, "WHERE payout = ANY($1::bigint[]) AND gone_at IS NULL GROUP BY payout) AS listed", "WHERE payout = ANY($1::bigint[]) AND gone_at IS NULL GROUP BY payout, day) AS listed", LISTED, first="test_a_second_credit_on_another_day_is_found"),
)  # fmt: skip

_DAYS = (
    one("list/the_newest_day_first", _TURNS, "key=lambda day: (self._times(day), day)", "key=lambda day: (self._times(day), today - day)", DAYS, first="test_the_oldest_comes_first_then_today_then_the_others"),
    one("list/an_old_day_holds_up_the_others", _TURNS, "key=lambda day: (self._times(day), day)", "key=lambda day: day", DAYS, first="test_days_that_are_given_no_more_hold_up_neither_the_others_nor_today"),
    one("list/today_waits_for_the_backlog", _TURNS, "sorted(others, key=lambda day: day != today)", "others", DAYS, first="test_the_oldest_comes_first_then_today_then_the_others"),
    one("daily/days_passed_over_stay_so", _DAILY, "            first = max(since, reach)\n", "            first = max(since, last - 6 * _DAY)\n", DAILY, first="test_days_that_nobody_got_to_are_compared_later_and_what_is_out_of_reach_is_told_once"),
    one("daily/days_passed_over_are_nobodys", _DAILY, "if until is not None and until < reach - _DAY:", "if not DAYS_BACK and until is not None:", DAILY, first="test_days_that_nobody_got_to_are_compared_later_and_what_is_out_of_reach_is_told_once"),
    one("daily/before_late_lines_are_posted", _DAILY, "AFTER_S = 8 * 3_600.0", "AFTER_S = 0.0", DAILY, first="test_a_finished_day_that_differs_twice_is_a_case_once"),
    one("list/made_anew_is_a_second_credit", _WEIGHED, "    if weighed.settled:\n", "    if not weighed.whole:\n", "tests/gateway/payouts/test_relisted.py", first="test_a_booking_that_a_list_made_anew_shows_elsewhere_is_the_same_one"),
    one("list/none_at_all_proves_absence", _ABSENCE, "            if read.proves:\n", "            if read.day:\n", "tests/gateway/payouts/test_absence.py", first="test_a_reading_of_a_day_without_a_list_is_none"),
    one("list/money_back_that_names_nobody_is_nothing", _STATEMENTS, "foreign = [one for one in without if not", "foreign = [one for one in without if one.line.kind is StatementKind.CREDIT and not", "tests/gateway/payouts/test_relisted.py", first="test_money_back_that_names_nothing_of_ours_is_told_and_touches_nothing"),
    one("list/not_booked_yet_is_nothing", _LINES, "if row is not None and row.state is PayoutState.UNKNOWN:", "if row is None:", "tests/gateway/payouts/test_relisted.py", first="test_a_row_that_is_not_booked_yet_keeps_its_own_payment_from_being_absent_and_no_other"),
    one("daily/compared_is_told", "gateway/storage/reconciliation/reconciliation.py", "bool_or(state = 'done' AND t.reconciliation IS NOT NULL)", "bool_or(state = 'done')", DAILY, first="test_what_a_process_found_that_died_before_it_told_is_found_again"),
    one("compare/what_left_after_a_stop_is_in_order", "gateway/storage/reconciliation/reconciliation.py", "(NOT i.approved OR p.sent_at <= b.decided_at + t.tolerance)", "true", "tests/gateway/reconciliation/test_breaks.py", first="test_what_had_left_when_it_was_stopped_was_instructed"),
    one("daily/again_and_again", _DAILY, "wanted = (day in again or not one.done) if", "wanted = True if", DAILY, first="test_a_finished_day_that_differs_twice_is_a_case_once"),
    one("daily/a_difference_is_no_case", _DAILY, "classes.get(one.value, 0) for one", "0 for one", DAILY, first="test_a_finished_day_that_differs_twice_is_a_case_once"),
    one("daily/a_hole_in_one_list_is_a_case", _DAILY, "at_once=await self._last(partner, day)", "at_once=True", DAILY, first="test_a_finished_day_that_differs_twice_is_a_case_once"),
    one("daily/tried_without_end", _DAILY, "if one.times < MOST_TRIES else not one.told", "if one.times < 99 * MOST_TRIES else not one.told", DAILY, first="test_a_day_that_cannot_be_compared_is_tried_a_few_times_and_then_a_persons"),
    one("daily/given_up_without_a_word", _DAILY, "return one is not None and one.times >= MOST_TRIES", "return one is not None and one.times > 9 * MOST_TRIES", DAILY, first="test_a_day_that_cannot_be_compared_is_tried_a_few_times_and_then_a_persons"),
    one("recover/a_second_instruction_is_made", _RULES, "if payout.state is _S.RESERVED and terms.manifest.two_step:", "if payout.state is _S.RESERVED and not payout.id:", INSTRUCTED, first="test_once_its_key_may_be_over_nothing_is_created_and_a_person_is_told"),
    one("recover/asked_under_a_key_that_is_over", _RECOVERY, "if until is None or late > until:", "if until is None:", INSTRUCTED, first="test_once_its_key_may_be_over_nothing_is_created_and_a_person_is_told"),
    one("recover/keys_that_are_over_come_first", "gateway/storage/reconciliation/recovery.py", "ORDER BY p.id DESC LIMIT $3", "ORDER BY p.id LIMIT $3", INSTRUCTED, first="test_one_whose_key_is_over_keeps_no_other_from_being_asked_under_its_own"),
    one("recover/what_may_stand_is_taken_back", _RULES, "payout.looks = max(payout.looks, 1)", "payout.looks = max(payout.looks, 0)", INSTRUCTED, first="test_what_its_key_is_refused_takes_nothing_back_that_may_stand"),
    one("recover/links_are_trusted_as_copied", _RECOVERY, "        await recovery.distrust_links(connection, one.partner)\n", "", INSTRUCTED, first="test_a_link_that_may_have_been_revoked_since_the_copy_is_proved_anew"),
)  # fmt: skip

_CROWD = (
    one("brake/holds_nothing", _BRAKE, "    if level is Level.HOLD:\n", "    if level is None:\n", CROWDS, first="test_five_minutes_in_which_the_partner_knows_nobody"),
    one("brake/the_run_stays_refused", _BRAKE, "await ask_again(connection, now, hold.partner, hold.stage, since=since)", "pass", CROWDS, first="test_whoever_releases_it_the_run_is_asked_again"),
    one("brake/what_came_before_the_hold_stays_refused", _BRAKE, "since = hold.since - timedelta(seconds=RING_LIFE_S)\n                await ask_again(", "since = hold.since\n                await ask_again(", CROWDS, first="test_five_minutes_in_which_the_partner_knows_nobody"),
    one("brake/one_good_answer_ends_it", _BRAKE, "answers >= hold.good_before + GOOD_ENOUGH\n", "answers >= hold.good_before\n", CROWDS, first="test_five_minutes_in_which_the_partner_knows_nobody"),
    one("brake/limits_count_as_refusals", "contracts/brake.py", "        BlockerCode.PARTNER_REJECTED,\n", "        BlockerCode.PARTNER_REJECTED,\n        BlockerCode.BALANCE_LIMIT,\n        BlockerCode.MONTHLY_LIMIT,\n", CROWDS, first="test_our_own_limit_and_limits_of_a_person_are_no_crowd"),
    one("brake/a_crowds_accounts_are_given_back", _VERIFICATION, "if verdict is Verdict.MISMATCH and hard:", "if verdict is Verdict.MISMATCH:", CROWDS, first="test_a_crowd_of_mismatches_gives_back_no_account_and_is_asked_again"),
    one("brake/one_account_counts_each_time", _REFUSALS, "NOT EXISTS (SELECT FROM refusals WHERE partner = $1 AND stage = $2 AND account_index = $5", "NOT EXISTS (SELECT FROM refusals WHERE partner = $1 AND stage = $2 AND account_index = $5 AND false", CROWDS, first="test_one_person_who_is_refused_stays_refused_and_holds_nobody"),
    one("brake/known_and_new_are_one_stream", _REFUSALS, "WHERE partner = $1 AND stage = $2 AND known = $3 AND weighed", "WHERE partner = $1 AND stage = $2 AND (known = $3 OR true) AND weighed", CROWDS, first="test_those_known_good_and_those_who_are_new_are_weighed_apart"),
    one("brake/nobody_is_asked_while_it_holds", _HOLDS, " AND coalesce(run_asked_at, since) <= $3 RETURNING true", " AND coalesce(run_asked_at, since) <= $3 - interval '9 years' RETURNING true", CROWDS, first="test_who_was_refused_comes_back_when_there_is_nobody_else_to_ask"),
    one("brake/asked_again_whatever_the_code", _REFUSALS, "AND ($6::text IS NULL OR $6 IN (code, partner_code))", "AND ($6::text IS NULL OR $6 <> '')", CROWDS, first="test_an_operator_asks_again_by_time_and_code_long_afterwards"),
    one("brake/asked_again_twice", _REFUSALS, "UPDATE refusals r SET asked_again_at = $1,", "UPDATE refusals r SET asked_again_at = NULLIF($1, $1),", CROWDS, first="test_an_operator_asks_again_by_time_and_code_long_afterwards"),
    one("brake/fewer_answers_weigh_less", "contracts/brake.py", "if hold is not None and count >= hold:", "if hold is not None and n > 9 and count >= hold:", "tests/gateway/brake/test_tables.py", first="test_an_alarm_after_few_and_none_where_none_is_due"),
)  # fmt: skip

PROVED: tuple[Mutant, ...] = (*_REFUSED, *_ACCOUNTS, *_APPROVED, *_ORDERED, *_LISTS, *_DAYS, *_CROWD)
