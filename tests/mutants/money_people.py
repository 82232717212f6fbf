# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what comes in from outside: notifications, requests, browsers; in verdicts, accounts, and what is sealed."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import (
    ACCOUNTS,
    BATCHES,
    INBOX,
    INCENTIVES,
    INPUTS,
    PARTICIPANTS,
    PROBLEMS,
    REDIRECT,
    SENDING,
    VERIFYING,
    one,
)

VAULT = "tests/gateway/test_vault.py"
_ERASED_TESTS = "tests/gateway/intake/test_erased.py"
_INBOX = "gateway/services/messages/inbox.py"
_INBOX_ROWS = "gateway/storage/messages/inbox.py"
_ROUTE = "gateway/routes/messages/callbacks.py"
_IDEMPOTENT = "gateway/routes/access/idempotent.py"
_KEYS = "gateway/storage/access/idempotency.py"
_VERIFICATION = "gateway/services/linking/verification.py"
_LINKING = "gateway/services/linking/links.py"
_WITHDRAWAL = "tests/gateway/linking/test_withdrawal.py"
_FACTS = "gateway/services/linking/facts.py"
_PARTICIPANTS = "gateway/storage/intake/participants.py"
_VAULT = "gateway/security/vault.py"

_NOTICES = (
    one("callback/unsigned_is_taken", _INBOX, "desk.partner.callbacks.verify(desk.bare_context(), note)", "pass", INBOX, first="test_only_signed_notifications_of_the_manifest_are_stored"),
    Mutant(
        "callback/acknowledged_before_it_is_stored",
        (
            Edit(_INBOX, "await self._arrivals.add(", "self._later("),
            Edit(_INBOX, "    async def _store(", '    def _later(self, one):\n        self.later = __import__("asyncio").ensure_future(self._arrivals.add(one))\n\n    async def _store('),
        ),
        (INBOX,),
        first="test_what_cannot_be_stored_is_not_acknowledged",
    ),
    one("callback/acknowledged_though_not_stored", "gateway/storage/base/database.py", "future.set_exception(error)", "future.set_result(None)", INBOX, first="test_what_cannot_be_stored_is_not_acknowledged"),
    one("callback/any_size", _ROUTE, "if len(body) > route.max_body_bytes:", "if not route.max_body_bytes:", INBOX, first="test_only_signed_notifications_of_the_manifest_are_stored"),
    one("callback/query_not_signed", _ROUTE, 'b"?" + query if query else b""', 'b""', INBOX, first="test_only_signed_notifications_of_the_manifest_are_stored"),
    one("callback/any_method", _ROUTE, "and route.method == request.method", "", INBOX, first="test_only_signed_notifications_of_the_manifest_are_stored"),
    one("callback/every_delivery_is_an_event", _INBOX, "            return f\"body:{hashlib.sha256(note.body).hexdigest()}\"\n        return key", "            return f\"body:{hashlib.sha256(note.body).hexdigest()}\"\n        return f\"{key}:{id(note)}\"", INBOX, first="test_an_event_is_stored_once_sealed_and_answered_alike"),
    one("inbox/applied_again_and_again", _INBOX_ROWS, "SET applied_at = $2, next_attempt_at = NULL, result", "SET next_attempt_at = $2, result", INBOX, first="test_a_hint_about_nobody_is_given_up_within_bounds"),
    one("inbox/two_take_one", _INBOX_ROWS, "UPDATE inbox i SET next_attempt_at = $2, tries", "UPDATE inbox i SET next_attempt_at = least($1, $2), tries", INBOX, first="test_a_notification_is_applied_by_one_worker_at_a_time"),
    one("inbox/tried_without_end", _INBOX, "and row.tries < _TRIES:", "and row.tries < 99 * _TRIES:", INBOX, first="test_a_hint_about_nobody_is_given_up_within_bounds"),
    one("inbox/a_hint_is_dropped", _INBOX, "if result in _UNKNOWN and", "if result in () and", INBOX, first="test_a_hint_may_overtake_the_token_it_names"),
    one("inbox/a_kyc_hint_is_a_verdict", _INBOX, "and not person.verified:\n                    await self._verification.open_for(connection, person, link.id, now)", "and not person.verified:\n                    await participants.verified(connection, person.id, link.id, now.replace(year=2099), now)", INBOX, first="test_a_finished_kyc_has_the_nik_checked_again"),
    one("inbox/event_without_its_key", _INBOX, 'f"inbox:{row.kind}:{row.event_key}")', 'f"inbox:{row.kind}")', INBOX, first="test_payout_notices_go_to_payouts_once_they_are_known"),
)  # fmt: skip

_REQUESTS = (
    one("idempotency/body_not_compared", _IDEMPOTENT, '{body_sha256}")', '")', INCENTIVES, BATCHES, first="test_the_key_is_bound_to_the_body"),
    one("idempotency/any_request_is_the_first_one", _IDEMPOTENT, "if claim.fingerprint != fingerprint:", "if not claim.fingerprint:", INCENTIVES, BATCHES, first="test_the_key_is_bound_to_the_body"),
    one("idempotency/refused_keeps_the_key", _KEYS, '"DELETE FROM idempotency WHERE client_id = $1 AND key = $2 AND status IS NULL"', '"SELECT 1 FROM idempotency WHERE client_id = $1 AND key = $2 AND status IS NULL"', REDIRECT, first="test_a_refused_start_frees_its_key"),
    one("idempotency/second_answer_replaces_the_first", _KEYS, '" WHERE i.status IS NULL AND i.fingerprint = excluded.fingerprint RETURNING true"', '" RETURNING true"', INCENTIVES, BATCHES),
    one("idempotency/answer_of_a_batch_not_kept", "gateway/routes/intake/batches.py", "await answer.keep(connection, 201, as_batch(view, core.batches.content_key(view.batch)), now)", "await asyncio.sleep(0)", BATCHES, first="test_the_same_key_and_body_give_the_first_answer_and_another_body_is_refused"),
    one("cancel/while_a_payout_has_left", "gateway/storage/intake/incentives.py", "return not beyond", "return True", INCENTIVES, first="test_cancelled_once_and_only_while_nothing_has_left"),
    one("cancel/not_on_the_record", "gateway/services/intake/incentives.py", 'await audit.record(connection, now, actor, "incentive.cancel", str(incentive_id), {})', "", INCENTIVES, first="test_cancelled_once_and_only_while_nothing_has_left"),
    one("clients/scope_not_asked", "gateway/security/clients.py", "if caller.scopes.isdisjoint(self.scopes):", "if not caller.scopes:", PROBLEMS),
    one("clients/token_without_end", "gateway/security/clients.py", "if found.expires_at <= self._clock.now():", "if found.expires_at is None:", PROBLEMS, first="test_a_token_ends_with_its_life_and_its_client"),
    one("participant/another_account_under_an_open_payout", "gateway/services/intake/corrections.py", "if moves and await participants.payout_open(connection, person.id):", "if moves and not person.participant_id:", PARTICIPANTS, first="test_no_other_account_while_a_payout_is_open"),
    one("participant/one_client_changes_the_nik_of_the_paid", "gateway/services/intake/corrections.py", "and await clients.seconded(connection, pending.asked_by, actor)", "and pending.asked_by", "tests/gateway/intake/test_person.py", first="test_a_nik_of_somebody_who_was_paid_is_the_word_of_two_clients"),
    one("participant/verdict_follows_to_another_account", _PARTICIPANTS, '" link_id = NULL, link_active = false, verified = false, verified_until = NULL, standing = $5', '" link_id = NULL, link_active = false, standing = $5', PARTICIPANTS, first="test_an_account_left_at_an_exclusive_partner_is_given_back"),
    one("participant/unpaid_stays_at_the_old_partner", _PARTICIPANTS, "\"UPDATE incentives SET partner = $2 WHERE participant = $1 AND", "\"UPDATE incentives SET partner = $2 WHERE participant = -$1 AND", PARTICIPANTS, first="test_another_account_ends_link_and_verdict"),
)  # fmt: skip

_VERDICTS = (
    one("nik/mismatch_is_accepted", _VERIFICATION, "if verdict is Verdict.MATCH:", "if verdict in (Verdict.MATCH, Verdict.MISMATCH):", VERIFYING, first="test_every_verdict_has_its_blocker"),
    one("nik/owner_of_the_account_not_asked", "gateway/storage/linking/owners.py", "return owner == row.nik_index", "return bool(owner)", ACCOUNTS, first="test_of_two_matches_at_once_one_wins"),
    Mutant(
        "nik/verdict_on_whatever_was_asked_about",  # two guards; each of them is enough by itself
        (
            Edit(_VERIFICATION, "if link is None or not _concerns(row, person, link):\n                await", "if link is None:\n                await"),
            Edit("gateway/storage/linking/verifications.py", "lease_until = NULL WHERE id = $1 AND state = 'open'\",\n        row.id,\n        verdict.value", "lease_until = NULL WHERE id = $1\",\n        row.id,\n        verdict.value"),
        ),
        (VERIFYING,),
        first="test_a_verdict_about_another_account_is_dropped",
    ),
    one("nik/verdict_without_end", _PARTICIPANTS, "WHERE verified AND verified_until <= $1", "WHERE verified AND verified_until IS NULL AND $1 IS NOT NULL", VERIFYING, first="test_an_expired_verdict_is_renewed_and_never_a_mismatch"),
    one("nik/failure_takes_a_verdict_away", _VERIFICATION, "row.tries >= pace.verification_tries and not person.verified:", "row.tries >= pace.verification_tries:", VERIFYING, first="test_a_technical_failure_takes_no_verdict_away"),
    one("nik/pending_is_a_verdict", _VERIFICATION, "if answer.verdict is Verdict.PENDING:", "if answer.verdict is None:", VERIFYING, first="test_no_verdict_is_asked_about_again_quickly_then_slowly"),
    one("nik/an_end_keeps_the_account", _FACTS, "    await let_go(connection, person.id, link.partner, link.account_index, now)\n", "", ACCOUNTS),
    one("nik/a_holder_is_not_asked_again", "gateway/services/linking/verification.py", "            await proof.doubt_holders(connection, person, link, now)\n", "", ACCOUNTS, first="test_a_number_that_went_to_somebody_else_is_paid_to_nobody_before_its_holder_was_asked_again"),
    one("nik/mismatch_keeps_an_exclusive_account", _VERIFICATION, "if self._desks[link.partner].manifest.link_exclusive:", "if person.verified:", ACCOUNTS, first="test_a_mismatch_frees_the_account_for_those_who_wait_one_at_a_time"),
)  # fmt: skip

_LINKS = (
    one("link/revoked_and_still_active", _FACTS, "    await participants.link_ended(connection, person.id, link.id, because, now)\n", "", ACCOUNTS, REDIRECT, first="test_a_link_on_a_shared_token_is_given_back_locally"),
    one("link/of_an_old_one_ends_the_new_one", _PARTICIPANTS, '" facts_at = $4 WHERE id = $1 AND link_id = $2",\n        participant,\n        link_id,\n        standing.value,', '" facts_at = $4 WHERE id = $1 AND link_id || $2 <> \'\'",\n        participant,\n        link_id,\n        standing.value,', PARTICIPANTS, first="test_what_is_found_out_about_an_old_link_changes_nothing"),
    one("link/any_browser_comes_back", _LINKING, "        if not is_of(link, cookies):\n            raise OtherBrowser", "        if not link:\n            raise OtherBrowser", REDIRECT, first="test_whatever_is_not_this_browsers_own_way_back_changes_nothing"),
    one("link/state_of_another_partner", _LINKING, "if link is not None and link.partner != partner:", "if link is not None and link.id == \"\":", REDIRECT, first="test_whatever_is_not_this_browsers_own_way_back_changes_nothing"),
    one("link/way_back_without_end", _LINKING, "if link.lives_until is None or link.lives_until <= self._clock.now():", "if link.lives_until is None:", REDIRECT, first="test_whatever_is_not_this_browsers_own_way_back_changes_nothing"),
    one("link/code_exchanged_twice", _LINKING, "        if taken is None:\n            return await self._watch(link)\n        return await self._exchange(taken,", "        return await self._exchange(taken or link,", REDIRECT, first="test_of_two_processes_that_read_the_link_at_once_one_exchanges"),
    one("link/opens_late", "gateway/services/linking/steps.py", "in_time(link, now)", "", "tests/gateway/linking/test_opening.py", first="test_a_button_pressed_after_ten_minutes_begins_nothing"),
    one("link/returns_anywhere", _LINKING, "if return_url not in return_urls:", "if not return_urls:", REDIRECT, first="test_a_bad_request_changes_nothing"),
    one("link/any_form_counts", _LINKING, "if not hmac.compare_digest(self.csrf_token(link).encode(), csrf.encode()):", "if not csrf:", INPUTS, first="test_only_the_form_of_this_browser_counts"),
    one("link/any_form_withdraws", "gateway/services/linking/withdrawal.py", "if not hmac.compare_digest(self.withdrawal_csrf(link, until).encode(), csrf.encode()):", "if not csrf:", _WITHDRAWAL, first="test_only_the_links_own_page_ends_it"),
    one("link/consent_comes_back", "gateway/services/linking/endings.py", "if withdrawn or person.link_id != link.id:", "if person.link_id != link.id:", _WITHDRAWAL, first="test_consent_does_not_come_back_where_nobody_types_the_code"),
    one("link/replaced_while_active", _LINKING, "_refuse_while_used(current)", "", REDIRECT, first="test_an_active_link_is_not_replaced"),
    one("link/state_not_compared", "gateway/storage/linking/links.py", "WHERE id = $1 AND state = $2 AND challenge_no = $3", "WHERE id = $1 AND (state = $2 OR true) AND challenge_no = $3", REDIRECT, first="test_of_two_processes_that_read_the_link_at_once_one_exchanges"),
)  # fmt: skip

_SEALED = (
    one("sealed/nothing_encrypted", _VAULT, "encrypt(nonce, value.encode(), place.encode())", "value.encode()", VAULT, INPUTS),
    Mutant(
        "sealed/opens_in_any_place",
        (
            Edit(_VAULT, "value.encode(), place.encode())", 'value.encode(), b"")'),
            Edit(_VAULT, "_NONCE_BYTES :], place.encode())", '_NONCE_BYTES :], b"")'),
        ),
        (VAULT,),
    ),
    one("sealed/index_without_its_kind", _VAULT, 'f"{kind}\\0".encode()', 'b""', VAULT),
    one("sealed/nik_is_logged", _VERIFICATION, '_log.info("nik_not_checked", verification=row.id,', '_log.info("nik_not_checked", nik=self._vault.open(places.nik(person.participant_id), person.nik_sealed), verification=row.id,', VERIFYING, first="test_nothing_private_is_logged_of_a_check_that_fails"),
    one("sealed/body_is_hashed_in_clear", "gateway/security/approval.py", "_KEYED + vault.index(places.FROZEN_BODY, frozen.hex())", "_KEYED + frozen", "tests/gateway/payouts/test_following.py", first="test_what_is_kept_of_a_body_is_keyed_and_what_was_not_goes_on_and_is_keyed_once_over"),
    one("sealed/under_a_key_nobody_asked_about", "gateway/security/vault.py", "and time.monotonic() > self._seals_until:", "and self._seals_until < 0:", "tests/gateway/test_keyring.py", first="test_who_cannot_ask_which_key_seals_stops_sealing_and_opens_all_the_same"),
    one("sealed/retired_under_a_transaction_of_before", "gateway/services/ops/keys.py", "            if waits:", "            if waits and left:", "tests/gateway/test_keyring.py", first="test_no_key_is_retired_while_a_transaction_of_before_goes_on"),
    one("tenancy/an_id_that_is_none_is_everybodys", "gateway/security/tenancy.py", "            raise NotTheirs(owners.OWNERS[name][1])\n        async", "            continue\n        async", "tests/gateway/api/test_tenancy.py", first="test_an_id_in_a_body_is_looked_at_as_it_is_acted_on"),
    one("sealed/account_is_logged", "gateway/services/payouts/sending.py", "frozen = frozen_hash(desk, order)\n", 'frozen = frozen_hash(desk, order)\n        _log.info("attempt", account=order.account.reveal())\n', SENDING, first="test_nothing_personal_is_logged_or_stored_in_clear"),
    one("sealed/secret_prints_itself", "contracts/secret.py", 'return "Secret(***)"', "return self._value", INPUTS, VAULT),
)  # fmt: skip

_ERASED = (
    one("erased/paid_again_under_another_id", "gateway/storage/intake/rules.py", "ON e.mark = instalment_mark(r.nik_index, r.programme, r.purpose, r.period)", "ON e.mark = r.nik_index", _ERASED_TESTS),
    one("erased/the_mark_is_looked_for_before_the_nik", "gateway/storage/intake/staging.py", "        for rule in _AGAINST\n", "        for rule in (*_AGAINST[-1:], *_AGAINST[:-1])\n", _ERASED_TESTS, first="test_while_a_file_is_decided_about"),
    one("erased/paid_again_by_a_correction", "gateway/services/intake/corrections.py", "if await participants.paid_and_erased(connection, person.id, nik_index):", "if False:", _ERASED_TESTS),
    one("erased/what_was_not_paid_is_held_against_them", "gateway/storage/intake/erasures.py", "CASE WHEN payout IS DISTINCT FROM 'succeeded' THEN id END", "NULL::bigint", "tests/gateway/payouts/test_relisted.py", first="test_of_a_refused_instalment_of_somebody_erased_a_mark_counts_once_it_turns_out_paid"),
    one("erased/a_refused_one_leaves_no_mark", "gateway/storage/intake/erasures.py", "OR EXISTS (SELECT FROM payouts p WHERE p.incentive = i.id AND p.first_sent_at IS NOT NULL))", "OR false)", "tests/gateway/payouts/test_relisted.py", first="test_of_a_refused_instalment_of_somebody_erased_a_mark_counts_once_it_turns_out_paid"),
)  # fmt: skip

PEOPLE_AND_SEALS: tuple[Mutant, ...] = (*_NOTICES, *_REQUESTS, *_VERDICTS, *_LINKS, *_SEALED, *_ERASED)
