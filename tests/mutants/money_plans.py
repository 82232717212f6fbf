# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in payment plans: what is made of a notice, when it falls due, and whether two people approved it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant
from tests.mutants.planting import one

PLANS = "tests/gateway/plans/test_plans.py"
BOUNDS = "tests/gateway/plans/test_bounds.py"
STOPPED = "tests/gateway/plans/test_stopped.py"
PAID = "tests/gateway/plans/test_paid_by_a_plan.py"
DAYS = "tests/gateway/plans/test_days.py"
TENANCY = "tests/gateway/api/test_tenancy.py"
_STORED = "gateway/storage/intake/plans.py"
_ITEMS = "gateway/services/intake/plan_items.py"
_SERVICE = "gateway/services/intake/entitlements.py"
_CONTRACT = "contracts/payment_plan.py"

PLANNED: tuple[Mutant, ...] = (
    one("plan/a_repeated_notice_makes_it_again", _SERVICE, "                await stored.complete(connection, taken, batch_id, client_id, now)\n", "                await connection.execute(\"UPDATE entitlements SET state = 'finished', changed_at = $1\", now)\n", PLANS, first="test_a_notice_is_taken_once_whatever_became_of_its_incentives"),
    one("plan/another_day_is_taken_for_the_first", _ITEMS, "return None if before == notice.finished_on else NoticeCode.NOTICE_DIFFERS", "return None", PLANS, first="test_a_notice_is_taken_once_whatever_became_of_its_incentives"),
    one("plan/a_survey_before_the_training", _ITEMS, "if notice.notice != TRAINING and trained is None:", "if notice.notice == TRAINING and trained is not None:", PLANS, first="test_notices_that_cannot_be_taken_say_why_and_stop_nobody_else"),
    one("plan/a_cancelled_one_is_taken", _ITEMS, "if row.state is EntitlementState.CANCELLED:", "if row.participant < 0:", PLANS, first="test_notices_that_cannot_be_taken_say_why_and_stop_nobody_else"),
    one("plan/more_people_than_approved", _SERVICE, "new[max(0, entry.plan.most_participants - taken) :]", "new[1_000:]", PLANS, first="test_whom_a_plan_cannot_take_is_told_why"),
    one("plan/who_was_paid_makes_room_for_another", "gateway/storage/intake/entitlements.py", " + (SELECT count(*) FROM kept) AS taken", " AS taken", BOUNDS, first="test_cancelling_whom_it_has_paid_makes_no_room_for_more_people_than_were_approved"),
    one("plan/who_was_stopped_is_paid", _SERVICE, "        await reapprovals.lapse_stopped(connection, batch.id, now)\n", "        assert reapprovals\n", BOUNDS, first="test_who_was_stopped_and_is_entitled_anew_is_paid_once_two_people_have_looked"),
    one("plan/an_approver_gives_the_account", _SERVICE, "        await reapprovals.lapse_given(connection, batch.id, now)\n", "", "tests/gateway/api/test_tenancy.py", first="test_a_plan_vouches_for_no_account_that_its_approvers_have_given_somebody"),
    one("plan/cancelling_stops_nothing", _SERVICE, 'await stopping.stop_incentives(connection, "id", made, now)', "assert made is not None", PLANS, first="test_cancelling_stops_what_has_not_left_and_frees_the_person"),
    one("plan/stopping_it_stops_nothing", "gateway/services/intake/plans.py", "await stopping.stop_batches(connection, await stored.batches_of(connection, plan_id), now)", "dict.fromkeys(await stored.batches_of(connection, plan_id), 0)", STOPPED, first="test_it_ends_with_all_that_has_not_left_and_the_right_one_pays_the_rest"),
    one("plan/a_notice_slips_by_a_stop", _STORED, "{' FOR UPDATE' if lock else ''}", "{'' if lock else ''}", STOPPED, first="test_no_notice_slips_by_while_it_is_stopped"),
    one("plan/one_approval_is_enough", "gateway/services/intake/plans.py", "others + 1 >= REQUIRED_APPROVALS:", "others + 1 >= 1:", PLANS, first="test_two_others_approve_exactly_this_plan"),
    one("plan/a_changed_amount_is_paid", _STORED, '    return [Vouched(row["id"], row["content_root"]) for row in rows if root_of(row["content"]) == row["content_root"]]', '    return [Vouched(row["id"], row["content_root"]) for row in rows]', PAID, first="test_what_was_changed_after_the_approval_is_not"),
    one("plan/approvals_of_what_it_said_before", _STORED, "a.plan_id = p.id AND a.content_root = p.content_root ORDER BY", "a.plan_id = p.id ORDER BY", PLANS, first="test_whoever_approved_hands_nothing_over_and_a_changed_plan_makes_nothing"),
    one("plan/approved_by_who_sent_the_notice", _STORED, "NOT IN (person_of(p.client_id), person_of({handed_over_by}))", "NOT IN (person_of(p.client_id), left({handed_over_by}, 0))", PAID, first="test_what_was_changed_after_the_approval_is_not"),
    one("plan/two_clients_of_one_person", _STORED, "SELECT count(DISTINCT said.person) FROM", "SELECT count(*) FROM", PAID, first="test_what_was_changed_after_the_approval_is_not"),
    one("plan/any_plan_approves_any_row", "gateway/security/approval.py", 'if under else ""', 'if under and not row else ""', PAID, first="test_what_was_changed_after_the_approval_is_not"),
    one("plan/of_another_organisation_pays", _STORED, " AND b.organisation = p.organisation AND", " AND", PAID, first="test_what_was_changed_after_the_approval_is_not"),
    one("plan/another_organisations_notice", _SERVICE, "if row is None or row.organisation != await clients.organisation_of(connection, client_id):", "if row is None:", TENANCY, first="test_nobody_else_finishes_a_training_under_a_plan"),
    one("plan/a_holiday_pushes_into_the_next_month", _CONTRACT, "*range(day.day - 1, 0, -1)):\n        if _works(plan, moved := day.replace(day=number))", "*range(last + 1, last + 28)):\n        if _works(plan, moved := day + timedelta(days=number - day.day))", DAYS, first="test_examples"),
    one("plan/paid_on_a_holiday", _CONTRACT, "return day not in plan.holidays and (", "return (", DAYS, first="test_examples"),
    one("plan/the_31st_is_the_next_months_first", _CONTRACT, "min(day.day, last))", "min(day.day, 28))", DAYS, first="test_examples"),
)  # fmt: skip
