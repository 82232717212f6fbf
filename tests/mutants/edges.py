# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs at the edges: waits and dead ends, half-done steps, whose words an answer is in, what may veto, what is dropped
of what comes in.
"""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import ABSENCE, FOLLOWING, INBOX, REDIRECT, SENDING, TRANSPORT, TWO_STEP, WORKER, one

BOUNDED, HOLDS, WATCH, WAYS_OUT, SHOWN = (
    f"tests/gateway/standing/test_{name}.py" for name in ("bounded", "holds", "watch", "ways_out", "shown")
)
TOKENS = "tests/gateway/partners/test_tokens.py"
DEPOSIT_SHORT = "tests/gateway/payouts/test_deposit_short.py"
SOCKETS = "tests/gateway/test_sockets.py"
OPENING = "tests/gateway/linking/test_opening.py"
SNAP_CODES, OVO_MAPPING = "tests/adapters/snap/test_codes.py", "tests/adapters/ovo/test_mapping.py"
GOPAY_MAPPING, GOPAY_PLANS, GOPAY_SIGN, GOPAY_WORDS = (
    f"tests/adapters/gopay/test_{name}.py" for name in ("mapping", "plans", "sign", "words")
)
BNI_PLANS, BNI_MAPPING = "tests/adapters/bni/test_plans.py", "tests/adapters/bni/test_mapping.py"
ANSWERED = "tests/adapters/test_answers.py"
_ENDS = "gateway/services/payouts/ends.py"
_REFUSING = "gateway/services/payouts/refusing.py"
_RULES = "gateway/services/payouts/rules.py"
_DRIVER = "gateway/services/payouts/driver.py"
_FOLLOWING = "gateway/services/payouts/following.py"
_ABSENCE = "gateway/services/payouts/absence.py"
_SETTLING = "gateway/services/payouts/settlements.py"
_PAYOUT_ROWS = "gateway/storage/payouts/payouts.py"
_HOLDS = "gateway/storage/ops/holds.py"
_OUTAGE = "gateway/worker/outage.py"
_WATCH = "gateway/partners/watch.py"
_DESK = "gateway/partners/desk.py"
_TOKENS = "gateway/partners/tokens.py"
_TRANSPORT = "gateway/partners/transport.py"
_ANSWERS = "adapters/answers.py"
_CODES = "adapters/snap/codes.py"
_SNAP_PAYOUTS = "adapters/snap/payouts.py"
_VALUES = "adapters/snap/values.py"
_ECHOES = "adapters/accounts.py"
_GOPAY = "adapters/gopay/mapping.py"
_STEPS = "gateway/services/linking/steps.py"
_LINKS = "gateway/services/linking/links.py"
_LINK_ROWS = "gateway/storage/linking/links.py"
_FACTS = "gateway/services/linking/facts.py"
_INBOX = "gateway/services/messages/inbox.py"
_SOCKETS = "gateway/api/sockets.py"
_HALF_DONE = "test_a_link_that_the_partner_made_and_we_never_heard_of_is_told_as_it_is"

_DEAD_ENDS = (
    one("still/a_wait_grows_without_a_bound", "gateway/clock.py", "min(max(steps, 0), math.ceil(enough))", "max(steps, 0)", BOUNDED, first="test_a_growing_wait_never_ends_in_an_error_and_never_shrinks"),
    one("still/what_came_back_is_never_released", _ENDS, "payout.released_at = max(now, payout.ended_at + timedelta(microseconds=1))", "payout.released_at = payout.ended_at", ABSENCE, first="test_what_came_back_is_released_though_it_came_back_this_very_moment"),
    one("still/what_came_back_goes_to_the_same_account", _PAYOUT_ROWS, "\" AND (o.partner, o.account_index) IS DISTINCT FROM (l.partner, l.account_index)\"", "\"\"", WAYS_OUT, first="test_what_came_back_is_not_paid_again_to_the_account_it_came_back_from"),
    Mutant(
        "still/one_person_settles",  # the database refuses it too
        (
            Edit(_SETTLING, "if not await clients.seconded(connection, found.proposed_by, actor):", "if not found.proposed_by:"),
            Edit("gateway/storage/base/schema/0026_settlements.sql", "text CHECK (confirmed_by <> proposed_by)", "text"),
        ),
        (WAYS_OUT,),
        first="test_a_document_settles_only_by_two_persons",
    ),
    one("still/a_client_is_a_person", "gateway/storage/access/clients.py", "SELECT person_of($1) <> person_of($2)", "SELECT $1::text <> $2::text", WAYS_OUT, first="test_a_document_settles_only_by_two_persons"),
    one("still/who_was_ended_still_counts", "gateway/storage/access/clients.py", "WHERE id IN ($1, $2) AND disabled_at IS NOT NULL)", "WHERE id IN ($1, $2) AND disabled_at < '2000-01-01')", WAYS_OUT, first="test_a_document_settles_only_by_two_persons"),
    one("still/a_document_of_the_attempt_before", _SETTLING, "found.attempt not in (None, row.attempt)", "found.attempt == -1", WAYS_OUT, first="test_a_refusal_on_paper_says_nothing_of_what_was_sent_after_it"),
    one("still/a_document_while_it_leaves", _SETTLING, "if verdict is SettledAs.REFUSED and row.state is PayoutState.SUBMITTING:", "if row.id < 0:", WAYS_OUT, first="test_a_refusal_on_paper_says_nothing_of_what_was_sent_after_it"),
    one("still/a_document_about_anything", _SETTLING, "if row.state not in IN_DOUBT and not refused:", "if not row.id:", WAYS_OUT, first="test_what_is_in_no_doubt_takes_no_document"),
    one("still/a_document_never_ends_a_refusal", _REFUSING, "return any(h.partner_code == ABSENT or h.source is Source.DOCUMENT for h in said)", "return any(h.partner_code == ABSENT for h in said)", WAYS_OUT, first="test_what_a_document_refuses_is_paid_once_more_and_no_more"),
    one("still/a_create_whose_key_is_over_has_no_case", _RULES, "payout.next_at = payout.sent_deadline = None  # nothing is due any more, not even the end of an attempt\n        _unknown_case(s, effects, finding.detail)", "payout.next_at = payout.sent_deadline = None", WAYS_OUT, TWO_STEP, first="test_a_create_whose_key_is_over_is_settled_by_a_document"),
    one("still/another_versions_instruction_is_approved", _DRIVER, "if leased.prepared and not self._sending.as_created(leased):", "if leased.prepared and not leased.payout.id:", WAYS_OUT, first="test_an_instruction_of_another_version_is_taken_back_and_made_anew"),
    one("still/past_the_horizon_without_a_case", _RULES, "if payout.state in _FOLLOWED and payout.first_sent_at is not None and payout.first_sent_at <= over_since:", "if False and payout.first_sent_at:", FOLLOWING, first="test_past_the_horizon_it_is_an_operators_and_looked_up_all_the_same"),
    one("still/assumed_absence_without_a_case", _RULES, "        _unknown_case(s, effects, finding.detail)\n    elif what is What.LOOKALIKE", "        pass\n    elif what is What.LOOKALIKE", FOLLOWING, first="test_assumed_absence_is_an_operators_where_the_setting_is_off"),
    one("still/a_reason_is_awaited_for_ever", _FOLLOWING, "if not readings.enough:", "if readings.enough or not readings.enough:", TWO_STEP, first="test_a_reason_that_never_comes_is_an_operators"),
    one("still/the_key_is_thought_to_outlive_its_purge", _ABSENCE, "day + timedelta(days=1) - timedelta(seconds=SKEW_S))", "day + timedelta(days=2))", ABSENCE, first="test_a_key_is_trusted_no_longer_than_its_life_or_until_it_is_purged"),
    one("still/the_key_of_just_after_midnight_is_thought_to_live_a_day_more", _ABSENCE, "day = (until - timedelta(seconds=SKEW_S)).astimezone(UTC)", "day = until.astimezone(UTC)", ABSENCE, first="test_no_key_is_trusted_once_a_partner_whose_clock_differs_has_purged_it"),
    one("still/failed_for_our_deposit_waits_for_a_person", _REFUSING, "            incentive.own_next_at = now  # it was never", "            pass  # it was never", DEPOSIT_SHORT, first="test_failed_for_our_deposit_is_paid_anew_by_itself_once_a_look_a_day_later_confirms_it"),
    one("still/a_look_up_that_names_our_deposit_is_technical", _SNAP_PAYOUTS, "self.refusals.get(before, short)", "self.refusals.get(before)", BNI_MAPPING, first="test_a_failure_for_our_deposit_is_none_of_the_persons"),
    one("still/blocked_without_a_next_time", _RULES, "    s.incentive.own_next_at = until\n", "", SENDING, first="test_too_many_refusals_become_a_blocker_that_lifts_itself"),
    one("still/a_create_is_taken_up_each_second", "gateway/services/payouts/following.py", "if answer is Answer.SKIPPED and leased.payout.state is _S.PREPARING:", "if answer is Answer.SPOKE and leased.payout.state is _S.PREPARING:", "tests/gateway/payouts/test_stops.py", first="test_a_create_in_doubt_is_not_taken_up_each_second_of_a_recovery"),
    one("still/one_word_at_a_time_for_a_token", _TOKENS, "if since > failures and error is not None:", "if since > failures + 1_000 and error is not None:", BOUNDED, first="test_who_waits_for_a_token_shares_the_try_it_waits_for"),
)  # fmt: skip

_HELD = (
    one("hold/an_old_page_releases_a_new_hold", _HOLDS, "AND ($6::bigint IS NULL OR id = $6)", "AND ($6::bigint IS NULL OR id > 0)", "tests/gateway/ops/test_acts.py", first="test_a_page_of_yesterday_releases_no_hold_of_today"),
    one("case/an_old_page_closes_what_it_does_not_show", "gateway/services/ops/cases.py", "if read not in (None, as_read(case.opened_at, case.detail)):", "if read == case.detail:", "tests/gateway/ops/test_acts.py", first="test_a_page_of_yesterday_closes_no_case_that_says_more_by_now"),
    one("pause/an_old_page_resumes_what_it_does_not_show", "gateway/services/ops/partners.py", "if read != shown and (read is not None or not paused.only_of(actor)):", "if read is None and not paused.only_of(actor):", "tests/gateway/ops/test_acts.py", first="test_a_page_of_yesterday_resumes_nothing_that_it_does_not_show"),
    one("pause/a_clock_lifts_anothers", "gateway/services/ops/partners.py", "if read != shown and (read is not None or not paused.only_of(actor)):", "if read not in (None, shown):", "tests/gateway/api/test_reading.py", first="test_a_clock_that_ends_its_own_pause_lifts_nobody_elses"),
    one("pause/what_was_added_is_theirs_too", "gateway/storage/ops/switches.py", 'all(one.startswith(f"{who}: ") for', "all(one for", "tests/gateway/api/test_reading.py", first="test_a_clock_that_ends_its_own_pause_lifts_nobody_elses"),
    one("hold/a_release_frees_other_holds", _HOLDS, "WHERE partner = $2 AND stage = $3 AND kind = ANY($4::text[]) AND released_at IS NULL", "WHERE partner = $2 AND stage = $3 AND cardinality($4::text[]) > 0 AND released_at IS NULL", HOLDS, first="test_each_hold_is_released_for_its_own_reason_only"),
    one("hold/what_waited_goes_on_waiting", _HOLDS, "        await make_due(connection, now, partner, stage)\n", "        pass\n", HOLDS, first="test_a_return_makes_due_what_waited_however_it_waited"),
    one("hold/made_due_though_another_one_holds", _HOLDS, "if not any(one.stage is stage and one.stops for one in held):", "if held is not None:", HOLDS, first="test_each_hold_is_released_for_its_own_reason_only"),
    one("hold/a_canary_brings_everybody", "gateway/services/ops/holds.py", "await stored.make_due(connection, now, hold.partner, hold.stage, limit=1)", "await stored.make_due(connection, now, hold.partner, hold.stage)", HOLDS, first="test_a_canary_brings_forward_one_that_waits_and_no_more"),
    one("hold/told_each_time", _HOLDS, "    if not row[\"fresh\"]:\n        return None\n", "", HOLDS, first="test_a_hold_made_by_one_process_is_read_by_another_and_told_once"),
    one("hold/open_ones_are_forgotten", _HOLDS, "SELECT id FROM holds WHERE released_at < $1 ORDER BY", "SELECT id FROM holds WHERE since < $1 ORDER BY", HOLDS, first="test_released_holds_are_forgotten_after_a_time_and_open_ones_never"),
    one("hold/asked_ever_as_often", _OUTAGE, "return min(growing_s(OURS_CANARY_S, 2.0, hold.canaries + 1, OURS_CANARY_MAX_S), daily_s)", "return min(OURS_CANARY_S, daily_s)", WORKER, first="test_a_partner_that_refuses_us_is_asked_ever_more_seldom"),
    one("hold/retry_after_is_not_obeyed", _OUTAGE, "await self._hold(HoldKind.THROTTLED, throttled, throttled.retry_after_s or 0.0)", "await self._hold(HoldKind.THROTTLED, throttled, 0.0)", WORKER, first="test_throttling_is_no_outage_and_its_retry_after_is_obeyed"),
    one("hold/our_own_limit_blames_the_person", _WATCH, "if isinstance(result, IdentityAnswer | Outcome) and manifest.blames(result.partner_code) is Blame.OURS:", "if isinstance(result, IdentityAnswer) and manifest.blames(result.partner_code) is Blame.OURS:", WATCH, first="test_a_refusal_about_a_person_tells_nothing_and_one_of_ours_does"),
    one("hold/a_persons_token_is_an_outage", _WATCH, "    if error.hint in _OF_THE_PERSON:\n        return Told(good=False)\n", "", WATCH, first="test_a_token_of_a_person_tells_nothing_about_the_partner"),
    one("hold/retry_after_beside_a_listed_code_is_unread", _CODES, "raise envelope.unavailable(hints[case])", "raise PartnerUnavailable(f\"responseCode {code}\", hint=hints[case], partner_code=code)", "tests/contract/test_codes.py", first="test_how_long_to_wait_is_heard_with_every_word_that_is_no_verdict"),
    one("hold/retry_after_as_a_date_is_unread", "gateway/partners/executor.py", "headers=self._dated(reply.headers)", "headers=reply.headers", WATCH, first="test_retry_after_may_be_a_date_by_our_clock"),
    one("hold/retry_after_is_read_on_a_refusal_alone", _WATCH, "seen.status, seen.retry_after_s = response.status, retry_after_s(response)", "seen.status = response.status", WATCH, first="test_retry_after_is_read_on_any_status"),
)  # fmt: skip

_WHOSE_WORDS = (
    one("front/a_401_of_the_front_is_unreadable", _ANSWERS, "hints = {401: our_token,", "hints = {", ANSWERED, first="test_what_stands_in_front_speaks_by_its_status_alone"),
    one("front/a_502_page_is_unreadable", _ANSWERS, "not 300 <= reply.status <= 399 and reply.status < 500:", "not 300 <= reply.status <= 399:", ANSWERED, first="test_what_stands_in_front_speaks_by_its_status_alone"),
    one("front/retry_after_by_our_clock_alone", _ANSWERS, "until, now = parsedate_to_datetime(value), parsedate_to_datetime(reply.headers.get(\"date\", \"\"))", "until, now = parsedate_to_datetime(value), parsedate_to_datetime(value)", ANSWERED, first="test_a_date_to_wait_for_is_reckoned_by_the_clock_that_names_it"),
    one("front/retry_after_is_believed_for_years", _ANSWERS, "return min(wait_s, RETRY_AFTER_MAX_S) if wait_s > 0 else None", "return wait_s if wait_s > 0 else None", SNAP_CODES, first="test_retry_after_is_a_plain_number_within_an_hour"),
    one("front/a_token_refused_under_another_service_is_unreadable", _CODES, "        if reply.status == 401:\n", "        if reply.status == 499:\n", SNAP_CODES, first="test_a_token_refused_before_the_service_was_known_is_a_token_refused"),
    one("front/a_token_of_another_client", _TOKENS, "return f\"token:{slug}:{name}:{mark}\"", "return f\"token:{slug}:{name}\"", TOKENS, first="test_a_token_is_of_the_client_that_got_it"),
    one("front/nobody_sends_it", _TRANSPORT, ", \"User-Agent\": \"prakerja-gateway\"})", "})", TRANSPORT, first="test_a_request_says_who_sends_it_and_what_it_takes"),
    one("front/a_deposit_refuses_the_person", "adapters/gopay/wire.py", "    \"sufficient balance\": Hint.FLOAT_SHORT,\n", "", GOPAY_WORDS, first="test_a_deposit_that_is_too_small_refuses_nobody"),
    one("front/a_key_unknown_to_iris_leaves_doubt", _GOPAY, "if reply.status == 401 and wire.DENIED in reply.content:", "if reply.status == 499:", GOPAY_WORDS, first="test_a_key_that_iris_does_not_know_has_done_nothing"),
    one("front/a_key_that_keeps_its_refusal_is_used_again", _RULES, "            payout.refusals = MOST_REFUSALS\n", "            payout.refusals += 0\n", TWO_STEP, first="test_a_create_refused_for_our_deposit_is_not_asked_again_under_its_key"),
    one("front/a_create_in_doubt_holds_everybody_again", _RULES, "        if hint is Hint.FLOAT_SHORT:\n            payout.next_at", "        if hint is None:\n            payout.next_at", TWO_STEP, first="test_a_create_in_doubt_that_is_refused_for_our_deposit_is_an_operators"),
    one("front/a_partners_own_meaning_is_the_standards", _CODES, "return None if self.hinted else UNUSABLE.get(self.case)", "return UNUSABLE.get(self.case)", SNAP_CODES, first="test_an_account_that_cannot_be_used_is_refused_but_where_a_code_means_a_thing_of_its_own"),
    one("front/a_refused_token_is_kept", _DESK, "        await self._tokens.drop(self.slug, tokens)\n", "", TOKENS, first="test_a_token_refused_on_a_read_is_replaced_at_once"),
    one("front/a_refused_token_is_not_tried_fresh", _DESK, "            if error.hint is not Hint.OUR_TOKEN or not names:\n", "            if names or not names:\n", TOKENS, first="test_a_token_refused_on_a_read_is_replaced_at_once"),
    Mutant(
        "front/a_late_refusal_drops_the_fresh_token",  # in memory and in the cache: the one is read again from the other
        (
            Edit(_TOKENS, "if held is not None and held.value == value:", "if held is not None:"),
            Edit(_TOKENS, "if shared is not None and shared.value == value:", "if shared is not None:"),
        ),
        (TOKENS,),
        first="test_a_late_refusal_does_not_drop_the_token_that_came_after",
    ),
    one("front/a_tokens_life_begins_with_its_answer", _TOKENS, "ends_at=asked_at.timestamp() + token.life_s", "ends_at=self._clock.now().timestamp() + token.life_s", TOKENS, first="test_a_tokens_life_begins_when_it_is_asked_for"),
)  # fmt: skip

_VETOES = (
    Mutant(
        "veto/a_life_of_nothing",  # who reads a life asks once more whether there is one
        (
            Edit(_VALUES, "return (float(text) or None) if _SECONDS.fullmatch(text) else None", "return float(text) if _SECONDS.fullmatch(text) else None"),
            Edit(_VALUES, "left = min(life or life_s, life_s)", "left = min(life_s if life is None else life, life_s)"),
        ),
        (BNI_PLANS,),
        first="test_a_life_that_is_none_leaves_the_documents",
    ),
    Mutant(
        "veto/a_life_as_text_with_a_fraction",
        (Edit(_VALUES, '_SECONDS = re.compile(r"[0-9]{1,9}(?:\\.[0-9]{1,9})?", re.ASCII)', '_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)'),),
        (BNI_PLANS, GOPAY_PLANS),
        first="test_a_life_may_be_written_in_any_way",
    ),
    one("veto/an_expiry_without_an_offset_is_of_london", _VALUES, "return None if parsed is None else parsed.replace(tzinfo=parsed.tzinfo or JAKARTA)", "return None if parsed is None else parsed.replace(tzinfo=parsed.tzinfo or __import__(\"datetime\").UTC)", "tests/adapters/bni/test_linking.py", first="test_an_expiry_without_an_offset_is_of_jakarta"),
    one("veto/a_time_without_an_offset_orders_words", _ANSWERS, "return None if parsed is None or parsed.tzinfo is None else parsed", "return None if parsed is None else parsed.astimezone()", GOPAY_MAPPING, first="test_a_time_that_cannot_order_words_is_none_and_vetoes_nothing"),
    one("veto/a_byte_order_mark", _ANSWERS, "content.removeprefix(codecs.BOM_UTF8).decode(errors", "content.decode(errors", ANSWERED, first="test_what_nobody_needs_vetoes_nothing"),
    one("veto/of_two_values_the_last_one_counts", _ANSWERS, "found[name] = value if same else AMBIGUOUS", "found[name] = value", ANSWERED, first="test_a_key_with_two_values_has_none"),
    one("veto/an_encoding_that_is_none", _TRANSPORT, '_NOT_ENCODED = frozenset({"", "identity", "none", "utf-8", "utf8"})', '_NOT_ENCODED = frozenset({"identity"})', TRANSPORT, first="test_an_encoding_that_is_none_is_read_as_it_stands"),
    one("veto/what_was_pressed_unasked", _TRANSPORT, '_PRESSED = frozenset({"gzip", "x-gzip", "deflate"})', '_PRESSED = frozenset({"deflate"})', TRANSPORT, first="test_a_reply_that_was_pressed_unasked_is_unpacked"),
    one("veto/a_gzip_bomb_is_unpacked", _TRANSPORT, "plain += unpack.decompress(body, limit + 1 - len(plain))", "plain += unpack.decompress(body)[: limit]", TRANSPORT),
    one("veto/what_comes_unasked_is_an_answer", _TRANSPORT, "while kept is not None and kept.protocol.should_close:", "while kept is not None and kept.protocol is None:", TRANSPORT, first="test_what_comes_unasked_on_a_kept_connection_is_no_answer_to_the_next_request"),
    one("veto/an_answers_own_number", "adapters/snap/payouts.py", "return pending(partner_code=code, partner_reference=envelope.optional_number(\"referenceNo\"))", "return pending(partner_code=code, partner_reference=envelope.number(\"referenceNo\"))", OVO_MAPPING, BNI_MAPPING),
    one("echo/another_reference_is_ours", _CODES, "if value is not None and value != \"\" and answers.unbroken(value) != ours:", "if value is not None and value != \"\" and not ours:", OVO_MAPPING, BNI_MAPPING),
    one("echo/a_lost_zero_is_another_account", _ECHOES, "forms = {ours.reveal().removeprefix(\"+\"), ours.reveal().lstrip(\"0\")}", "forms = {ours.reveal().removeprefix(\"+\")}", "tests/adapters/test_accounts.py", first="test_a_masked_account_that_lost_its_zero_is_the_same_one"),
    one("echo/a_masked_account_is_another", _ECHOES, "return ours if any(_agrees(shown, form) for form in forms) else Secret(shown)", "return ours if shown in forms else Secret(shown)", OVO_MAPPING, first="test_an_account_that_comes_back_changed"),
    one("echo/any_masked_account_is_ours", _ECHOES, "return all(not one.isdigit() or one == other for one, other in zip(shown, form, strict=True))", "return True", OVO_MAPPING, first="test_an_account_that_comes_back_changed"),
    one("echo/nothing_but_a_mask_is_a_word", _ECHOES, "    if not any(each.isdigit() for each in shown):\n        return None\n", "", OVO_MAPPING, first="test_an_account_that_is_all_masked_says_nothing"),
    one("gopay/amount_without_decimals", "adapters/gopay/wire.py", "decimal_string(order.amount_rupiah)", "str(order.amount_rupiah)", GOPAY_PLANS, first="test_prepare_bytes"),
    one("echo/a_nik_with_separators_is_unreadable", "adapters/accounts.py", "shown = digits(f\"{theirs}\" if type(theirs) is int else theirs.strip() if isinstance(theirs, str) else \"\")", "shown = theirs if isinstance(theirs, str) else \"\"", GOPAY_PLANS, first="test_a_nik_with_separators_is_its_digits"),
    one("echo/an_account_of_another_shape_is_none", _ECHOES, "return read(theirs) or (Secret(shown) if shown.isascii() and shown.isdigit() else None)", "return read(theirs)", "tests/adapters/test_accounts.py"),
)  # fmt: skip

_HALF = (
    one("half/a_lost_exchange_is_not_noted", _STEPS, "return await self._settle(link, step, unanswered=True)", "return await self._settle(link, step)", REDIRECT, first=_HALF_DONE),
    one("half/a_died_exchange_is_not_noted", "gateway/services/linking/endings.py", "LinkState.FAILED, code, now, unanswered=died)", "LinkState.FAILED, code, now)", REDIRECT, first="test_an_exchange_that_died_with_its_process_is_half_done_too"),
    one("half/anothers_account_for_ever", _FACTS, "    if lost is None:\n        return await links.move(", "    if lost is None or lost:\n        return await links.move(", REDIRECT, first=_HALF_DONE),
    one("half/nobody_writes_to_the_partner", _FACTS, "        await cases.open_cases(connection, now, [_letter(link.partner, lost)])\n", "        pass\n", REDIRECT, first=_HALF_DONE),
    one("half/who_meets_anothers_link_is_told_so_too", _LINK_ROWS, "AND h.state IN ('exchanging', 'active', 'unlinking')) ORDER BY u.created_at", "AND false) ORDER BY u.created_at", REDIRECT, first="test_who_lost_an_exchange_while_another_held_the_account_waits_for_that_one"),
    one("half/who_shares_it_is_told_for_ever", _FACTS, "        await participants.half_done_no_more(connection, link.partner, link.account_index, now)\n", "        pass\n", REDIRECT, first="test_who_shares_a_half_done_account_may_begin_again_once_it_is_linked"),
    one("half/the_letter_stays_open", _FACTS, "        await cases.close_by_text(connection, now, case, by=\"gateway\")\n", "        assert case\n", REDIRECT, first=_HALF_DONE),
    one("return/a_second_question_mark", "gateway/routes/linking/connect.py", "query = _OWN_STATE.sub(rb\"\\1&\", request.scope[\"query_string\"]).decode(\"latin-1\")", "query = request.scope[\"query_string\"].decode(\"latin-1\")", REDIRECT, first="test_ways_in_which_partners_append_to_an_address"),
    one("return/without_our_own_state", _LINKS, "for state in (query.get(\"st\", \"\"), query.get(\"state\", \"\")):", "for state in (query.get(\"st\", \"\"),):", REDIRECT, first="test_ways_in_which_partners_append_to_an_address"),
    one("return/the_partners_state_not_compared", _LINKS, "if returned.state is not None and not hmac.compare_digest(returned.state.encode(), state.encode()):", "if returned.state is not None and not state:", REDIRECT, first="test_whatever_is_not_this_browsers_own_way_back_changes_nothing"),
    one("return/an_unlisted_code_says_nothing", _GOPAY, "refused = REFUSED_RETURNS.get(code, _B.LINK_REQUIRED)", "refused = REFUSED_RETURNS.get(code)", GOPAY_MAPPING, first="test_a_code_that_no_table_lists_ends_the_link_and_is_kept"),
    one("return/the_code_is_not_kept", _GOPAY, "return LinkReturn(refused=refused, state=state, partner_code=answers.plain(code))", "return LinkReturn(refused=refused, state=state)", GOPAY_MAPPING, first="test_a_code_that_no_table_lists_ends_the_link_and_is_kept"),
    one("return/begun_again_without_end", _LINKS, "if link is None or link.state is not LinkState.OPENED or link.challenge_no >= MOST_CHALLENGES:", "if link is None or link.state is not LinkState.OPENED:", OPENING, first="test_beginning_again_has_an_end"),
    one("open/loading_spends_it", "gateway/routes/linking/connect.py", "    link, account = await bounded(request, core.linking.look(token, cookies(core, request)))\n", "    link, account = await bounded(request, core.linking.look(token, cookies(core, request)))\n    await core.linking.open(token, {})\n", OPENING, first="test_previews_prefetches_and_reloads_spend_nothing"),
    one("open/another_sites_button", "gateway/routes/linking/browsers.py", "    if not guards.from_own_page(request):", "    if request is None:", OPENING, first="test_a_button_on_another_site_does_nothing"),
)  # fmt: skip

_COMES_IN = (
    one("notice/a_number_for_a_text_drops_it", "adapters/gopay/wire.py", "    error_code: Any = None\n    error_message: Any = None\n", "    error_code: str | None = None\n    error_message: str | None = None\n", GOPAY_MAPPING, first="test_a_code_counts_by_its_value_and_what_nobody_needs_drops_no_notification"),
    one("notice/codes_by_their_spelling", _GOPAY, "code = answers.digits(error_code, 3)", "code = answers.written(error_code)", GOPAY_MAPPING, first="test_a_code_counts_by_its_value_and_what_nobody_needs_drops_no_notification"),
    one("notice/the_next_key_is_not_taken", "adapters/gopay/sign.py", "for one in wanted for each in given])", "for one in wanted[:1] for each in given])", GOPAY_SIGN, first="test_two_keys_of_midtrans_are_good_while_it_changes_over"),
    one("notice/an_empty_key_signs", "adapters/gopay/sign.py", "if key]\n", "]\n", GOPAY_SIGN, "tests/contract/test_notifications.py"),
    one("notice/dropped_and_not_counted", _INBOX, "            await self._count(partner, note.kind, \"signature\")\n", "", INBOX, first="test_notifications_that_are_dropped_become_one_case"),
    one("notice/dropped_and_no_case", _INBOX, "if times == REFUSALS_ARE_A_CASE:", "if times == -1:", INBOX, first="test_notifications_that_are_dropped_become_one_case"),
    one("notice/a_case_for_each", _INBOX, "if times == REFUSALS_ARE_A_CASE:", "if times >= 1:", INBOX, first="test_notifications_that_are_dropped_become_one_case"),
    one("notice/unreadable_and_no_case", _INBOX, "                await cases.open_cases(connection, self._clock.now(), [dropped])\n", "                assert dropped\n", INBOX, first="test_unreadable_and_foreign_notices_are_recorded_and_left"),
    one("notice/a_strangers_hint_is_stored", "gateway/routes/messages/callbacks.py", "core.inbox.accept if route.signed else core.inbox.take_hint", "core.inbox.accept", INBOX, first="test_of_what_nobody_vouches_for_nothing_is_kept_that_names_no_token_of_ours"),
    one("words/of_a_refusal_not_kept", _GOPAY, "        detail=safe_detail(answers.written(error_message)),\n", "", GOPAY_MAPPING, first="test_a_code_counts_by_its_value_and_what_nobody_needs_drops_no_notification"),
    one("words/of_a_refused_create_not_kept", _GOPAY, "return rejected(_B.PARTNER_REJECTED, partner_code=\"400\", detail=_words(refusal, order))", "return rejected(_B.PARTNER_REJECTED, partner_code=\"400\")", GOPAY_PLANS, first="test_the_words_of_a_refused_create_are_kept_without_the_person"),
    one("words/not_in_the_case", _RULES, "    effects.cases = [_in_words(case, heard) for case in effects.cases]\n", "", "tests/gateway/payouts/test_own_words.py", first="test_a_partners_own_words_are_kept_where_staff_read_them"),
    one("socket/a_head_may_take_for_ever", _SOCKETS, "most_s = HEAD_S if head else", "most_s = 1e9 if head else", SOCKETS, first="test_a_head_that_never_ends_is_ended"),
    one("socket/a_body_may_drip_for_ever", _SOCKETS, "else BODY_S + self._received / LEAST_BYTES_PER_S", "else BODY_S + self._received * LEAST_BYTES_PER_S", SOCKETS, first="test_a_body_that_drips_is_ended"),
    one("socket/only_the_first_request_is_bounded", _SOCKETS, "            self._waits_since, self._received = self.loop.time(), 0\n", "            self._received = 0\n", SOCKETS, first="test_a_later_request_is_bounded_as_the_first_one"),
    one("socket/any_number_of_them", _SOCKETS, "full = len(self.connections) > MOST_CONNECTIONS", "full = False", SOCKETS, first="test_one_connection_too_many_takes_nothing_from_those_that_stand"),
    one("socket/the_most_gives_up_nothing", _SOCKETS, "if len(standing[most]) <= len(standing.get(self._address, ())):", "if most:", SOCKETS, first="test_who_has_the_most_gives_up_what_waits_for_others_and_never_what_is_served"),
    one("socket/a_slow_answer_is_a_slow_request", _SOCKETS, "            self._waits_since = None\n\n    def eof_received", "            pass\n\n    def eof_received", SOCKETS, first="test_an_answer_that_takes_time_is_no_slow_request"),
    one("socket/a_closed_half_is_a_closed_connection", _SOCKETS, "        cycle.keep_alive = False\n        return True\n", "        return False\n", SOCKETS, first="test_who_sends_no_more_still_gets_the_answer"),
    one("socket/half_a_body_is_a_body", _SOCKETS, "(h11.IDLE, h11.SEND_BODY):\n            return False", "(h11.IDLE,):\n            return False", SOCKETS, first="test_a_body_that_is_cut_by_the_end_is_none"),
)  # fmt: skip

EDGES: tuple[Mutant, ...] = (*_DEAD_ENDS, *_HELD, *_WHOSE_WORDS, *_VETOES, *_HALF, *_COMES_IN)
