# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what single incentives may do to each other and to merges, and in how a large approval is marked."""

from __future__ import annotations

from tests.mutants.mutant import Mutant
from tests.mutants.planting import one

SINGLES = "tests/gateway/intake/test_singles.py"
AHEAD = "tests/gateway/intake/test_ahead.py"
MARKING = "tests/gateway/intake/test_marking.py"
COPYING = "tests/gateway/intake/test_copying.py"
LISTS = "tests/gateway/api/test_counted_lists.py"
_FREE = "tests/gateway/intake/test_free_participants.py"
_ONE_NIK = "tests/gateway/plans/test_one_nik.py"
_SINGLES = "gateway/services/intake/singles.py"
_ROWS = "gateway/storage/intake/singles.py"
_AHEAD = "gateway/services/intake/ahead.py"
_MERGED = "gateway/services/intake/batches.py"
_STAGING = "gateway/storage/intake/staging.py"
_BATCHES = "gateway/storage/intake/batches.py"
_COPYING = "gateway/storage/intake/copying.py"
_LISTS = "gateway/storage/intake/incentives.py"

TAKEN: tuple[Mutant, ...] = (
    one("intake/another_rule_decides", _ROWS, "ORDER BY line, rule)", "ORDER BY line, rule DESC)", SINGLES, first="test_rows_handed_over_together_end_as_in_batches_one_after_the_other"),
    one("intake/whose_rows_is_not_asked", _ROWS, '_OURS = "r.organisation"', '_OURS = "p.organisation"', SINGLES, first="test_rows_handed_over_together_end_as_in_batches_one_after_the_other"),
    one("intake/one_person_twice_in_a_group", _SINGLES, '("participant", item.row.participant_id), ("nik"', '("participant", at), ("nik"', SINGLES, first="test_rows_handed_over_together_end_as_in_batches_one_after_the_other"),
    one("intake/a_group_waits_for_a_lock", _ROWS, "set_config('lock_timeout', $1, true)", "set_config('lock_timeout', '0', $1 IS NULL)", SINGLES, first="test_who_waits_for_somebody_keeps_nobody_else_waiting"),
    one("intake/one_takes_the_others_with_it", _SINGLES, "return [await self._alone(item) for item in items]", "raise", SINGLES, first="test_one_that_cannot_be_stored_takes_nobody_with_it"),
    one("intake/a_used_key_is_not_seen", _SINGLES, "handed.get(fate.line) if fate.answered or fate.line in handed", "handed.get(fate.line) if fate.line in handed", SINGLES, first="test_one_key_is_one_row_whoever_comes_with_it_at_once"),
    one("intake/a_file_meets_itself", _AHEAD, "if not first and await staging.meets_itself(connection, batch.id):", "if first and await staging.meets_itself(connection, batch.id):", AHEAD, first="test_any_file_ends_the_same"),
    one("intake/whose_nik_is_stored_is_not_asked", _STAGING, "niks=known or await _niks_met(connection)", "niks=known", "tests/gateway/intake/test_incentives.py", first="test_a_nik_that_is_stored_brings_in_nobody_under_another_id"),
    one("intake/a_corrected_nik_may_be_entitled_twice", "gateway/services/intake/corrections.py", "if entitled := await entitlements.entitled_beside(connection, person.id, nik_index):", "if (entitled := await entitlements.entitled_beside(connection, person.id, nik_index)) and person.id < 0:", _ONE_NIK, first="test_a_corrected_nik_makes_nobody_entitled_twice"),
    one("intake/a_nik_is_corrected_beside_whoever_enrols", "gateway/storage/intake/entitlements.py", "\"SELECT pg_advisory_xact_lock(hashtext('entitlements'), hashtext(programme)) FROM (SELECT DISTINCT", "\"SELECT programme FROM (SELECT DISTINCT", _ONE_NIK, first="test_a_nik_is_corrected_after_whoever_is_being_entitled"),
    one("intake/an_approval_forgets_who_is_being_stopped", "gateway/storage/intake/batches.py", "WHERE id IN (SELECT participant FROM stopped_people) ORDER BY id FOR SHARE\"", "WHERE id IN (SELECT participant FROM stopped_people)\"", "tests/gateway/intake/test_control.py", first="test_who_is_stopped_again_while_others_approve_is_still_told_of"),
    one("intake/anothers_approval_answers_a_stop", "gateway/storage/intake/batches.py", "        WHERE i.organisation = t.organisation\n", "        WHERE t.organisation <> ''\n", "tests/gateway/intake/test_control.py", first="test_what_another_organisation_approves_answers_no_stop"),
    one("intake/an_erased_id_is_taken_anew", "gateway/storage/intake/rules.py", "_ERASED = \"p.account_sealed = ''\"", "_ERASED = \"p.account_sealed IS NULL\"", "tests/gateway/intake/test_erased.py", first="test_an_id_that_was_erased_is_nobodys_anew"),
    one("intake/what_is_put_up_is_read_before_it_is_held", "gateway/storage/intake/reapprovals.py", "ORDER BY i.id LIMIT $1 FOR NO KEY UPDATE OF i\",  #", "ORDER BY i.id LIMIT $1\",  #", "tests/gateway/intake/test_control.py", first="test_what_is_put_up_anew_is_the_account_as_it_is_once_it_is_held"),
    one("intake/whom_others_linked_is_free", "gateway/storage/base/schema/0192_free_participants.sql", "FROM links l WHERE l.participant = who)", "FROM links l WHERE l.participant = who AND l.state = 'active')", _FREE),
    one("intake/whom_others_entitled_is_free", "gateway/storage/base/schema/0192_free_participants.sql", "FROM entitlements e WHERE e.participant = who)", "FROM entitlements e WHERE e.participant = who AND e.state <> 'cancelled')", _FREE, first="test_whoever_has_entitled_them_keeps_them_though_it_is_over"),
    one("intake/whom_others_proved_is_free", "gateway/storage/base/schema/0192_free_participants.sql", "FROM account_proofs a WHERE a.participant = who)", "FROM account_proofs a WHERE a.participant = who AND false)", _FREE, first="test_whoever_has_anything_keeps_them"),
    one("intake/whom_others_paid_is_free", "gateway/storage/base/schema/0192_free_participants.sql", "(NOT i.cancelled OR i.payout IS NOT NULL OR i.payouts > 0)", "NOT i.cancelled", _FREE),
    one("intake/corrected_by_what_was_seen_before_the_lock", "gateway/storage/intake/rules.py", "ORDER BY id FOR NO KEY UPDATE)", "ORDER BY id)", _FREE, first="test_what_is_handed_over_meanwhile_binds_them"),
    one("intake/a_rejected_file_keeps_its_people", "gateway/storage/intake/rules.py", "ON p.organisation <> {ours} AND NOT {FREE} WHERE", "ON p.organisation <> {ours} WHERE", _FREE),
    one("intake/what_was_paid_though_cancelled_is_not_asked", "gateway/storage/intake/rules.py", " + {_COUNTED.format(_IS_PAID_THOUGH_CANCELLED)} > 0", " > 0", "tests/gateway/intake/test_incentives.py", first="test_an_instalment_paid_though_cancelled_is_not_taken_again"),
    one("intake/two_rows_of_one_nik_are_not_seen", _STAGING, "GROUPING SETS ((participant_id), (nik_index))", "GROUPING SETS ((participant_id))", AHEAD, first="test_rows_that_share_nothing_but_a_person_or_a_nik_are_told_of_each_other"),
    one("intake/two_rows_of_one_person_are_not_seen", _STAGING, "GROUPING SETS ((participant_id), (nik_index))", "GROUPING SETS ((nik_index))", AHEAD, first="test_rows_that_share_nothing_but_a_person_or_a_nik_are_told_of_each_other"),
    one("intake/a_slow_upload_keeps_its_place", _AHEAD, "return silent_s > _SILENT_S or self._waited_s + silent_s > _SILENT_S + (now - self._began) / 2", "return silent_s + self._waited_s + _SILENT_S < 0 > now", AHEAD, first="test_an_upload_that_was_slow_from_the_start_takes_no_place"),
    one("intake/few_rows_wait_for_a_merge", _MERGED, "beside = not many", "beside = many", AHEAD, first="test_few_rows_wait_for_no_merge_but_one_that_holds_theirs"),
    one("intake/a_lapsed_row_is_marked", _BATCHES, "AND NOT i.approved AND NOT i.cancelled AND i.lapsed_at IS NULL", "AND NOT i.approved AND NOT i.cancelled", MARKING, first="test_the_rest_is_marked_piece_by_piece_but_for_what_has_lapsed_or_ended"),
    one("intake/a_stopped_batch_is_marked", _BATCHES, 'if batch["state"] != BatchState.APPROVED.value:', 'if batch["state"] is None:', MARKING, first="test_a_batch_that_is_stopped_meanwhile_is_marked_no_further"),
    one("intake/marked_from_the_start_again", _BATCHES, 'batch["id"], batch["marked_to"], most, now', 'batch["id"], 0, most, now', MARKING, first="test_the_rest_is_marked_piece_by_piece_but_for_what_has_lapsed_or_ended"),
    one("intake/a_day_is_copied_as_the_next", _COPYING, "_FIRST_DAY = date(2000, 1, 1)", "_FIRST_DAY = date(1999, 12, 31)", COPYING, first="test_rows_are_staged_as_they_were_spooled"),
    one("intake/two_hashes_change_places", _COPYING, "_L32, leaf, _L32, digest,", "_L32, digest, _L32, leaf,", COPYING, first="test_rows_are_staged_as_they_were_spooled"),
    one("intake/an_empty_field_is_copied_as_none", _COPYING, "if text is None:", "if not text:", COPYING, first="test_rows_are_staged_as_they_were_spooled"),
    one("intake/a_list_forgets_what_is_set_aside", _LISTS, " OR f.stage = 'paying' AND {0} <> 'paid'", "", LISTS, first="test_a_filter_shows_what_all_shows_of_it"),
)  # fmt: skip
