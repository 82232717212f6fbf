"""What the pages say, and what is done on them."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from contracts.batch import BatchDoubt
from contracts.payout import PayoutState
from gateway.core import build_core
from gateway.ops import pictures
from gateway.routes.ops.people import next_of
from gateway.services.ops.plan import RATE_OVER, behind_checks, forecast
from gateway.storage.ops.backlog import Sample
from tests.gateway.api.kit import as_csv, nik, row
from tests.gateway.ops.desk import Desk, send
from tests.gateway.plans.kit import propose

AT = datetime(2026, 3, 1, tzinfo=UTC)


async def batch_of(desk: Desk, numbers: range) -> dict[str, Any]:
    reply = await desk.api.submit(as_csv([row(number) for number in numbers]), key=f"k{numbers.start}-{numbers.stop}")
    assert reply.status_code == 201, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def test_two_people_approve_a_batch_on_the_page(desk: Desk) -> None:
    batch = await batch_of(desk, range(1, 4))
    page, root = f"/ops/batches/{batch['batch_id']}", str(batch["content_root"])
    second = await desk.api.core.operators.enrol("approver-two", ("approver",), actor="test")
    desk.people["approver-two"] = second
    async with desk.signed_in("approver") as one:
        shown = (await one.get(page)).text
        assert "Rp 1.800.000" in shown
        assert root in shown
        assert any(odd["text"]["id"] in shown or odd["text"]["en"] in shown for odd in batch["warnings"])
        assert (await send(one, page, decision="approve", content_root="00" * 32)).status_code == 409
        assert (await send(one, page, decision="approve", content_root=root)).status_code == 303
        assert (await send(one, page, decision="approve", content_root=root)).status_code == 303, "again is no second"
    (state,) = await desk.api.fetch("SELECT state FROM batches WHERE id = $1", batch["batch_id"])
    assert state["state"] == "awaiting_approval"
    reply = await desk.api.decide(batch, "one")
    assert (reply.json()["state"], reply.json()["doubt"]) == ("approved", None)
    found = BatchDoubt(partner="bni", paying=False, refused=21, answered=34, codes={"nik_mismatch": 21})
    async with desk.signed_in("operator") as browser:
        assert not re.search("diragukan|in doubt", (await browser.get(page)).text, re.I)
        async with desk.api.core.resources.database.transaction() as connection:
            told = msgspec.json.encode(found).decode()
            await connection.execute("UPDATE batches SET doubted_at = now(), doubt = $1", told)
        for address in (page, "/ops/batches"):
            assert re.search("diragukan|in doubt", (await browser.get(address)).text, re.I), address
        assert "nik_mismatch: 21" in (await browser.get(page)).text


async def test_two_people_approve_a_payment_plan_on_the_page(desk: Desk) -> None:
    made = await propose(desk.api)
    page, root = f"/ops/plans/{made['plan_id']}", str(made["content_root"])
    desk.people["approver-two"] = await desk.api.core.operators.enrol("approver-two-one", ("approver",), actor="test")
    async with desk.signed_in("operator") as browser:
        assert f'href="{page}"' in (await browser.get("/ops/plans")).text
        assert "awaiting approval" in (await browser.get("/ops/batches")).text.replace(
            "menunggu persetujuan", "awaiting approval"
        )
        assert 'name="decision"' not in (await browser.get(page)).text
        assert (await send(browser, page, decision="approve", content_root=root)).status_code == 403
    for role, state in (("approver", "awaiting_approval"), ("approver-two", "approved")):
        async with desk.signed_in(role) as browser:
            shown = (await browser.get(page)).text
            assert "Rp 2.450.000.000" in shown and "Rp 50.000" in shown and "survey-1" in shown, "what is approved"
            assert (await send(browser, page, decision="approve", content_root="00" * 32)).status_code == 409
            assert (await send(browser, page, decision="perhaps", content_root=root)).status_code == 422
            for _ in range(2):
                assert (await send(browser, page, decision="approve", content_root=root)).status_code in (303, 409)
        (stands,) = await desk.api.fetch("SELECT state FROM plans WHERE id = $1", made["plan_id"])
        assert stands["state"] == state, "one person's two clicks are one word"


async def test_a_pause_says_why_and_who(desk: Desk) -> None:
    async with desk.signed_in("operator") as browser:
        assert (await send(browser, "/ops/acts/pause", partner="ovo", reason="deposit runs dry")).status_code == 303
        assert "deposit runs dry" in (await browser.get("/ops")).text
        shown = (await browser.get("/ops/partners/ovo")).text
        assert "op-operator-one" in shown and 'action="/ops/acts/pause"' in shown, "another may have a reason of theirs"
        assert (await send(browser, "/ops/acts/resume", partner="ovo", reason="topped up")).status_code == 303
        assert "deposit runs dry" not in (await browser.get("/ops")).text
        assert (await send(browser, "/ops/acts/pause", partner="nobody", reason="why not")).status_code == 404


async def test_what_others_wrote_is_text_on_every_page(desk: Desk) -> None:
    """A partner's words, a client's address, somebody's reason: none of it is markup, in a letter either."""
    bad, shown = "<script>alert(1)</script>\"'", "&lt;script&gt;alert(1)&lt;/script&gt;"
    await batch_of(desk, range(1, 2))
    api = desk.api
    await api.fetch("UPDATE clients SET name = $1", bad)
    await api.fetch(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " partner_code, created_at, updated_at) SELECT 'L1', id, 'maker', partner, '', '', 'failed', $1, $1, now(),"
        " now() FROM participants",
        bad,
    )
    await api.fetch(
        "INSERT INTO payouts (id, reference, partner_reference, incentive, participant, link_id, partner,"
        " amount_rupiah, state, created_at, updated_at) SELECT 7, '7', $1, id, participant, 'L1', partner,"
        " amount_rupiah, 'unknown', now(), now() FROM incentives",
        bad,
    )
    await api.fetch(
        "INSERT INTO cases (id, code, partner, payout, incentive, detail, opened_at, due_at)"
        " SELECT 8, 'outcome_unknown', partner, 7, id, $1, now(), now() FROM incentives",
        bad,
    )
    async with desk.signed_in("operator") as browser:
        assert (await send(browser, "/ops/acts/pause", partner="ovo", reason=bad)).status_code == 303
        pages = ("", "/live", "/audit", "/cases", "/cases/8", "/payouts/7", "/payouts", "/partners/ovo", "/incentives")
        told = {page: (await browser.get(f"/ops{page}")).text for page in pages}
        person = (await browser.get(f"/ops/participants/{row(1)['participant_id']}")).text
        found = await send(browser, "/ops/search", q=bad)
    assert not [page for page, text in told.items() if "<script>alert" in text]
    assert "<script>alert" not in person + found.text
    for page in ("", "/live", "/audit", "/cases", "/cases/8", "/payouts/7", "/partners/ovo"):
        assert shown in told[page], page


async def test_a_person_is_found_by_every_number_and_shown_masked(desk: Desk) -> None:
    await batch_of(desk, range(1, 4))
    person, phone = row(2), str(row(2)["phone"])
    (incentive,) = await desk.api.fetch("SELECT id FROM incentives WHERE participant_id = $1", person["participant_id"])
    spellings = [phone, phone.replace("+62", "0"), phone.removeprefix("+")]
    spaced = f"{nik(2)[:4]} {nik(2)[4:]}"
    async with desk.signed_in("auditor") as browser:
        for text in [person["participant_id"], str(incentive["id"]), nik(2), spaced, *spellings]:
            reply = await send(browser, "/ops/search", q=text)
            assert reply.headers.get("location") == f"/ops/participants/{person['participant_id']}", text
            assert nik(2) not in reply.headers["location"]
        shown = (await browser.get(f"/ops/participants/{person['participant_id']}")).text
        assert phone[-3:] in shown
        for secret in (phone, nik(2), str(person["full_name"])):
            assert secret not in shown
        assert (await send(browser, "/ops/search", q=nik(77))).status_code == 200
        assert (await browser.get("/ops/participants/nobody")).status_code == 404
        record = (await browser.get("/ops/audit")).text
        looked_for = await desk.api.fetch("SELECT data FROM audit_log WHERE action = 'participant.search' ORDER BY seq")
    assert [one["data"] for one in looked_for][-1] == {"by": ["niks"], "found": 0}, "that nobody is told of one too"
    assert len(looked_for) == 6, "a NIK or a phone, however it is spelled, and no other number"
    assert nik(77) not in str(looked_for)
    found = await desk.api.fetch("SELECT subject FROM audit_log WHERE action = 'participant.found'")
    assert [one["subject"] for one in found] == [person["participant_id"]] * 5, "whose it is, each time it was told"
    assert "participant.read" in record
    assert "op-auditor-one" in record


async def test_lists_filter_and_page(desk: Desk) -> None:
    await batch_of(desk, range(1, 131))
    async with desk.signed_in("operator") as browser:
        first = (await browser.get("/ops/incentives?stage=awaiting_link&blocker=&partner=ovo")).text
        assert first.count("/ops/participants/") == 100
        after = first.split("?after=")[1].split("&")[0]
        rest = (await browser.get(f"/ops/incentives?stage=awaiting_link&after={after}")).text
        assert rest.count("/ops/participants/") == 30
        assert "/ops/participants/" not in (await browser.get("/ops/incentives?partner=bni")).text
        assert (await browser.get("/ops/incentives?stage=nowhere")).status_code == 404
        assert (await browser.get("/ops/payouts/1")).status_code == 404
        assert (await browser.get("/ops/payouts?payout_state=nowhere")).status_code == 400


async def test_more_cases_than_a_page_holds_are_all_found_and_chosen_by_the_address(desk: Desk) -> None:
    """The next page begins behind the last one shown, though that was closed meanwhile."""
    await desk.api.fetch(
        "INSERT INTO cases (id, code, partner, detail, opened_at, due_at)"
        " SELECT n, CASE WHEN n % 4 = 0 THEN 'stalled' ELSE 'contradiction' END, CASE WHEN n % 3 = 0 THEN 'ovo' ELSE"
        " 'bni' END, 'd', now(), now() + (n % 7) * interval '1 hour' FROM generate_series(1, 500) AS n"
    )
    async with desk.signed_in("operator") as browser:
        page, seen, pages = "/ops/cases", list[int](), 0
        while True:
            text = (await browser.get(page)).text
            shown = [int(one) for one in re.findall(r'href="/ops/cases/(\d+)"', text)]
            seen, pages = seen + shown, pages + 1
            following = re.search(r'href="(\?after=[^"]+)"', text)
            if following is None:
                break
            page = "/ops/cases" + following[1].replace("&amp;", "&")
            await desk.api.fetch("UPDATE cases SET closed_at = now(), closed_by = 'x' WHERE id = $1", shown[-1])
        assert (sorted(seen), pages) == (list(range(1, 501)), 3)
        few = (await browser.get("/ops/cases?code=stalled&partner=ovo")).text
        closed = {seen[199], seen[399]}
        assert len(re.findall(r'href="/ops/cases/\d+"', few)) == len(set(range(12, 501, 12)) - closed)
        assert '<option value="stalled" selected>' in few and '<option value="ovo" selected>' in few
        assert "Tidak ada kasus" in (await browser.get("/ops/cases?partner=nobody")).text


@pytest.mark.parametrize(
    ("value", "digits", "said"), [(0.64, 1, "0,6"), (1_234.5, 1, "1.234,5"), (20_000, 0, "20.000")]
)
def test_numbers_are_written_as_in_indonesia(value: float, digits: int, said: str) -> None:
    assert pictures.number(value, digits) == said
    assert ">20.000</text>" in pictures.burn_down([(AT, 20_000), (AT + timedelta(minutes=1), 5)], None, "x")


async def test_both_languages(desk: Desk) -> None:
    batch = await batch_of(desk, range(1, 2))
    for role in ("one", "two"):
        await desk.api.decide(batch, role)
    said = {
        "id": ("Giliran siapa?", "<td>peserta</td>", "semua lainnya"),
        "en": ("Whose turn is it?", "<td>participant</td>", "all others"),
    }
    async with desk.signed_in("operator") as browser:
        for language, (turn, who, others) in said.items():
            await browser.get(f"/ops/language/{language}")
            overview = (await browser.get("/ops")).text
            assert turn in overview and who in overview
            assert who in (await browser.get("/ops/incentives")).text
            assert others in (await browser.get("/ops/partners/gopay")).text


async def test_what_nothing_holds_up_says_when_its_turn_comes(desk: Desk) -> None:
    rows = [row(1, due_on="2099-01-05"), row(2)]
    batch = (await desk.api.submit(as_csv(rows))).json()
    for role in ("one", "two"):
        await desk.api.decide(batch, role)
    await desk.api.fetch("UPDATE incentives SET link_active = true, verified = true, standing = NULL")
    found = await desk.api.fetch("SELECT id FROM incentives ORDER BY participant_id")
    async with desk.signed_in("auditor") as browser:
        later, now = [(await browser.get(f"/ops/incentives/{one['id']}")).text for one in found]
        await desk.api.fetch("UPDATE incentives SET payout = 'open'")  # then it is stopped: its approval has ended
        under_way = []
        for approved in ("true", "false"):
            await desk.api.fetch(f"UPDATE incentives SET approved = {approved}")
            under_way.append((await browser.get(f"/ops/incentives/{found[1]['id']}")).text)
    assert "jatuh tempo 2099-01-05, mulai pukul 00:00 WIB" in later and "segera tiba" not in later
    assert "segera tiba" in now and "jatuh tempo 2026" not in now
    for shown in under_way:
        assert "diikuti sampai selesai" in shown and "belum disetujui" not in shown and "segera tiba" not in shown


@pytest.mark.parametrize("state", PayoutState)
def test_the_next_step_of_a_payout_is_no_moment_that_is_over(state: PayoutState) -> None:
    """A payout that has its answer keeps until when that was awaited."""
    kept: Any = {"state": state.value, "sent_deadline": AT, "next_at": None}
    awaited = state in (PayoutState.PREPARING, PayoutState.SUBMITTING)
    assert next_of(kept) == (AT if awaited else None)
    assert next_of(kept | {"next_at": AT + timedelta(1)}) == AT + (timedelta(0) if awaited else timedelta(1))


def sample(after_s: float, due: int, ended: int) -> Sample:
    return Sample(at=AT + timedelta(seconds=after_s), partner="ovo", stage="payout", due=due, blocked=0, ended=ended)


def test_the_forecast_is_right_once_a_tenth_is_done() -> None:
    """20 a second after a minute of nothing: 10,000 take 500 s."""
    still = [sample(t, 10_000, 5) for t in range(0, 60, 10)]
    for t in range(60, 560, 10):
        done = 20 * (t - 60)
        present = sample(t, 10_000 - done, 5 + done)
        found = forecast(still, present, quota_per_s=None)
        if done >= 1_000:
            assert found.basis == "observed"
            assert found.done_at is not None
            assert abs((found.done_at - AT).total_seconds() - 560) <= 0.05 * 500 + 10
        still.append(present)


@pytest.mark.parametrize("seed", [1, 2, 3, 24, 30])
def test_the_forecast_of_an_uneven_run_is_within_a_twentieth(seed: int) -> None:
    """It begins anywhere between two samples and goes on in uneven steps; asked at every sample's time."""
    rng = random.Random(seed)
    begins, rate, lasts_s = rng.uniform(60, 70), rng.uniform(1, 50), rng.uniform(900, 3_600)
    whole, done, at = int(rate * lasts_s), 0, begins
    ended = [(0.0, 0)]
    while done < whole:
        at += rng.uniform(0.8, 1.2)
        done = min(whole, done + round(rng.gauss(rate, rate / 10)) if done else 1)
        ended.append((at, done))
    took_s = at - begins
    past: list[Sample] = []
    worst = 0.0
    for t in range(0, int(at), 10):
        count = max(n for when, n in ended if when <= t)
        present = sample(t, whole - count, count)
        found = forecast(past, present, quota_per_s=None)
        if count >= whole / 10:
            assert found.done_at is not None
            worst = max(worst, abs((found.done_at - AT).total_seconds() - at) / took_s)
        past.append(present)
    assert worst <= 0.05, f"{worst:.3f} of {took_s:.0f} s"


def test_the_pace_of_other_work_before_is_none_of_this_one() -> None:
    """A batch at 20 a second, a pause, and one at 5 a second: after a tenth it is known that it takes 200 s."""
    past = [sample(t, max(1_000 - 20 * t, 0), min(20 * t, 1_000)) for t in range(0, 190, 10)]
    for t in range(190, 370, 10):
        done = 5 * (t - 185)
        present = sample(t, 1_000 - done, 1_000 + done)
        found = forecast(past, present, quota_per_s=None)
        if done >= 100:
            assert found.done_at is not None
            assert abs((found.done_at - AT).total_seconds() - 385) <= 0.05 * 200, (t, found)
        past.append(present)


@pytest.mark.parametrize(("quota", "off"), [(2.5, 0.05), (10.0, 1.0), (None, 1.0)])
def test_a_count_of_a_few_seconds_that_fits_the_quota_goes_by_the_quota(quota: float | None, off: float) -> None:
    """Three of 250 have ended since the only sample, at 2.5 a second; a quota of 10 is not what bounds it."""
    found = forecast([sample(0, 250, 2)], sample(2, 245, 5), quota_per_s=quota)
    assert found.basis == "observed" and found.per_s == 1.5 and found.done_at is not None
    left_s = (found.done_at - AT).total_seconds() - 2
    assert (abs(left_s - 98) <= off) if quota == 2.5 else abs(left_s - 245 / 1.5) <= off


@pytest.mark.parametrize(("after_s", "basis"), [(0.01, "quota"), (12, "none")])
def test_what_does_not_end_at_the_quotas_pace_is_not_said_to_end_in_a_moment(after_s: float, basis: str) -> None:
    found = forecast([sample(0, 0, 7), sample(10, 4, 7)], sample(10 + after_s, 4, 7), quota_per_s=50.0)
    assert (found.basis, found.done_at is None) == (basis, basis == "none")


@pytest.mark.parametrize("way", ["hold", "pause"])
async def test_nothing_is_forecast_of_a_partner_that_is_not_fed(desk: Desk, way: str) -> None:
    batch = (await desk.api.submit(as_csv([row(1), row(2, partner="gopay")]))).json()
    for role in ("one", "two"):
        await desk.api.decide(batch, role)
    await desk.api.fetch("UPDATE incentives SET link_active = true, verified = true, standing = NULL")
    if way == "hold":
        await desk.api.fetch(
            "INSERT INTO holds (partner, stage, kind, fault, words, since, opened_by)"
            " VALUES ('ovo', 'payout', 'outage', '5xx', '502', now(), 'w1'),"
            " ('gopay', 'payout', 'throttled', '429', '429', now(), 'w1'),"
            " ('bni', 'link', 'outage', '5xx', '502', now(), 'a1')"
        )
    else:
        await desk.api.call("POST", "/v1/partners/ovo/pause", role="operator", json={"reason": "deposit runs dry"})
    await desk.api.core.plan.tick()
    seen = (await desk.api.call("GET", "/v1/burn-down", role="reader")).json()["forecasts"]
    found = {one["partner"]: one for one in seen if one["stage"] == "payout"}
    assert (found["ovo"]["basis"], found["ovo"]["done_at"], found["ovo"]["due"]) == ("held", None, 1)
    assert found["gopay"]["basis"] == "quota", "slower is not stopped"
    async with desk.signed_in("auditor") as browser:
        overview = (await browser.get("/ops")).text
        why = "mitra ditahan (outage 5xx 502)" if way == "hold" else "mitra dihentikan oleh petugas (deposit runs dry)"
        assert f": {why}" in overview and "tidak bergerak sejak" in overview
        first = overview.partition('class="funnel"')[0]
        assert ("/ops/partners/ovo" in first, "/ops/partners/gopay" in first) == (True, way == "hold"), "seen at once"
        assert ("/ops/partners/bni" in first) == (way == "hold") and "/ops/partners/dana" not in first
        if way == "hold":
            said = [(await browser.get(f"/ops/partners/{partner}")).text for partner in ("ovo", "bni")]
            assert "sampai dilepas" in said[0] and "peserta berikutnya" not in said[0] and "(penahanan " in said[0]
            assert "peserta berikutnya" in said[1] and "sampai dilepas" not in said[1]
        assert "Pembayaran berjalan" not in (await browser.get("/ops/partners/ovo")).text


def test_payouts_are_not_done_before_the_checks_at_their_partner() -> None:
    payouts = forecast([sample(0, 10, 0)], sample(100, 10, 100), quota_per_s=None)
    checks = [
        msgspec.structs.replace(one, stage="verification") for one in (sample(0, 2_000, 0), sample(100, 1_000, 1_000))
    ]
    slower = forecast(checks[:1], checks[1], quota_per_s=None)
    assert behind_checks([slower, payouts])[1].done_at == slower.done_at > payouts.done_at  # type: ignore[operator]
    elsewhere = msgspec.structs.replace(slower, partner="bni")
    assert behind_checks([elsewhere, payouts])[1] == payouts
    unknown = msgspec.structs.replace(slower, done_at=None)
    assert behind_checks([payouts, unknown])[0].done_at is None


def test_before_anything_ended_the_quota_is_the_forecast_and_old_samples_are_none() -> None:
    found = forecast([], sample(0, 500, 0), quota_per_s=25.0)
    assert (found.basis, found.done_at) == ("quota", AT + timedelta(seconds=20))
    assert forecast([], sample(0, 500, 0), quota_per_s=None).done_at is None
    old = sample(-RATE_OVER.total_seconds() - 60, 0, 0)
    assert forecast([old], sample(0, 500, 400), quota_per_s=None).basis == "none"


async def test_the_backlog_is_sampled_once_by_all_workers_and_thinned_out(desk: Desk) -> None:
    await batch_of(desk, range(1, 4))
    workers = [build_core(desk.api.core.resources).plan for _ in range(4)]
    for worker in workers[:3]:
        for _ in range(2):
            await worker.tick()
    rows = await desk.api.fetch("SELECT partner, stage, count(*) AS n FROM backlog_samples GROUP BY 1, 2")
    assert {(r["partner"], r["stage"]) for r in rows} == {("ovo", "verification"), ("ovo", "payout")}
    assert all(r["n"] <= 2 for r in rows), "two moments at most: ten seconds may have passed"
    await desk.api.fetch("UPDATE backlog_samples SET at = at - interval '8 days'")
    await workers[3].tick()
    (left,) = await desk.api.fetch("SELECT count(*) AS n FROM backlog_samples WHERE at < now() - interval '7 days'")
    assert left["n"] == 0
    seen = (await desk.api.call("GET", "/v1/burn-down", role="reader")).json()
    assert {one["stage"] for one in seen["forecasts"]} == {"verification", "payout"}
