"""Every code that a partner could answer with: only those that the sheets list end anything, and nothing of ours does.

SNAP's cases are those of snap-bni.md 1.8 and 4.2 with the partners' own (decisions B3-B9, O3-O9, L2); what is not SNAP
stands in `codes.py` of the partner's tests. They are the sheets' word, kept apart from the adapters' tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.errors import Hint, PartnerUnavailable
from contracts.identity import Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkRefused, Unlinked
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Effect, Response
from tests.contract.recording import Recording, write_of
from tests.contract.replay import Played, damaged, document, fresh, play, replaced, says_by_status, steps
from tests.contract.stage import Take
from tests.partners import each
from tests.partners.kit import Codes

HTTP = ("200", "202", "400", "401", "403", "404", "405", "409", "429", "500", "504")
SNAP = Codes(
    nothing_done=frozenset({"40100", "40101", "40103", "40306", "40314", "42900"}),
    may_refuse=frozenset({"40302", "40303", "40305", "40307", "40309", "40315", "40318", "40411", "40413"}),
    pending=frozenset({"20200"}),
    not_known=frozenset({"40401"}),
    # A link that ended or is blocked, a day without a booking.
    answers=frozenset({("link_health", "40102"), ("statement", "40401")})
    | {("link_health", code) for code in ("40305", "40307", "40309", "40318", "40411")},
    no_account=frozenset({"40411"}),
    blocked=frozenset({"40305", "40307", "40309", "40318"}),
    # The customer's token or card (snap-bni.md 6.2, wallets.md 2.3.8, decisions L12, O10, D10).
    gone=frozenset({"40101", "40102", "40103", "40104", "40411"}),
)
OF_ACCOUNTS = {"40307", "40309", "40318", "40411"}
INACTIVE = "40001"
"""BNI says 400xx01 of an inactive account at its inquiry (snap-bni.md 2.3)."""
OWN = each("codes")
UNLISTED = (
    "taken for a verdict, but not as {} in this module: list it in codes.py of the partner's tests if its sheet does"
)
SNAP_CODE = re.compile(r"([2-5][0-9]{2})([0-9]{2})([0-9]{2})")
SHORT_CODE = re.compile(r"[0-9]{2}")


def codes(recording: Recording) -> Codes:
    """SNAP's, and the partner's own."""
    own = OWN.get(recording.stage.manifest.slug)
    return SNAP if own is None else SNAP | own.CODES


def said_codes(reply: Response, own: Codes) -> Iterator[tuple[str, Response]]:
    """The same answer with every other code in its place, as `(code without service, reply)`; then each whole error of
    the partner, on its HTTP status and as `code@status` on others.
    """
    for code, right, error in own.errors:
        for status in {right, *map(int, HTTP)}:
            told = code if status == right else f"{code}@{status}"
            yield told, fresh(reply, status=status, content=json.dumps(error).encode())
    body = document(reply) if reply.content else None
    if not isinstance(body, dict):
        return
    for holder in (body, body.get("data")):
        if not isinstance(holder, dict):
            continue
        for name in ("responseCode", "status"):
            code = holder.get(name)
            if not isinstance(code, str):
                continue
            if found := SNAP_CODE.fullmatch(code):
                for status in HTTP:
                    for case in range(100):
                        other = f"{status}{found[2]}{case:02d}"
                        yield f"{status}{case:02d}", _with(reply, body, holder, name, other, int(status))
            elif SHORT_CODE.fullmatch(code):
                for number in range(100):
                    yield f"{number:02d}", _with(reply, body, holder, name, f"{number:02d}", reply.status)


GIVES = {"accessToken", "accessTokenInfo", "accountToken", "bankCardToken", "linkageToken", "redirectUrl"} | {
    *("identificationMatch", "identificationNoMatch", "nikMatch", "refreshToken"),
    *(name for module in OWN.values() for name in module.CODES.gives),
}
"""What no refusal has beside it: with it, an answer contradicts itself."""


def bare(value: Any) -> Any:
    """An answer as a refusal has it."""
    return (
        {name: bare(inner) for name, inner in value.items() if name not in GIVES} if isinstance(value, dict) else value
    )


def _with(reply: Response, body: Any, holder: Any, name: str, code: str, status: int) -> Response:
    changed = {**holder, name: code}
    told = changed if holder is body else {**body, "data": changed}
    told = told if code.startswith("200") or code == "00" else bare(told)
    return fresh(reply, status=status, content=json.dumps(told).encode())


def played(take: Take, index: int, own: Codes) -> Iterator[tuple[str, Played]]:
    """What the plan makes of every code in its reply `index`."""
    original = take.replies[index]
    for code, reply in said_codes(original, own):
        if reply.status == original.status:
            if not original.content:
                continue  # this status alone is what it says
            if json.loads(reply.content) == document(original):
                continue
        yield code, play(take, index, replaced(reply))


WAITS = ("00", "01", "02", "04", "11", "14", "18")
"""Cases of which some answer nothing, some something, at one endpoint or another."""


def test_how_long_to_wait_is_heard_with_every_word_that_is_no_verdict(recording: Recording) -> None:
    """Beside any code, of any service, also where it disagrees with the HTTP status."""
    listed, heard = codes(recording), 0
    for take, index in steps(recording.takes):
        for code, told in said_codes(take.replies[index], listed):
            if SNAP_CODE.fullmatch(f"{code[:3]}00{code[3:]}") and code[3:] not in WAITS:
                continue
            for status in {told.status, 500}:
                waits = Response(status=status, headers={"retry-after": "7"}, content=told.content)
                said = play(take, index, replaced(waits))
                unsaid = said.error or said.result
                undecided = getattr(unsaid, "kind", None) in (OutcomeKind.UNKNOWN, OutcomeKind.NOT_ACCEPTED)
                if undecided or isinstance(unsaid, PartnerUnavailable):
                    assert unsaid.retry_after_s == 7.0, (take.operation, code, status)
                    heard += 1
    assert heard > 100


def test_a_write_that_pays_ends_only_by_what_is_listed(recording: Recording) -> None:
    refused, listed = set(), codes(recording)
    for take in recording.of("payout"):
        index = write_of(take)
        if index is None:
            continue
        for code, said in played(take, index, listed):
            if said.error is not None:
                continue
            outcome = said.result
            assert isinstance(outcome, Outcome)
            if outcome.kind is OutcomeKind.NOT_ACCEPTED:
                assert code in listed.nothing_done, f"{code}: {UNLISTED.format('nothing_done')}"
                assert outcome.hint is not Hint.NONE
            elif outcome.kind is OutcomeKind.REJECTED:
                assert code in listed.may_refuse, f"{code}: {UNLISTED.format('may_refuse')}"
                refused.add(code)
            elif outcome.kind is OutcomeKind.PENDING:
                assert code in listed.pending, f"{code}: {UNLISTED.format('pending')}"
            else:
                assert outcome.kind is OutcomeKind.UNKNOWN, code
            kept = outcome.partner_code
            assert kept is None or kept.casefold() == _sent(kept, code).casefold(), "in whichever letters"
    assert refused or recording.stage.manifest.two_step, "no code refuses: each was sent with the HTTP status it names"


def _sent(partner_code: str, code: str) -> str:
    """The code as it was sent, service included."""
    code = code.partition("@")[0]
    return f"{code[:3]}{partner_code[3:5]}{code[3:]}" if len(code) == 5 else code


def test_codes_that_blame_us_or_nobody_are_no_refusal(recording: Recording) -> None:
    """400, 409, 5xx and a refused signature would refuse everyone at once; an earlier attempt may have been booked."""
    for take in recording.of("payout"):
        index = write_of(take)
        for code, said in played(take, index, codes(recording)) if index is not None else ():
            if code[:1] == "5" or code[:3] in ("400", "405", "409") or code in ("40418", "40416", "40408"):
                assert not said.verdict or len(code) == 2, code


def test_an_inquiry_refuses_only_for_the_account(recording: Recording) -> None:
    """And always where the standard refuses the account itself, whatever the partner's own document lists."""
    listed = codes(recording)
    for take in recording.of("payout"):
        for index, (request, reply) in enumerate(take.exchanges):
            if request.effect is Effect.WRITE:
                continue
            refused = set()
            for code, said in played(take, index, listed):
                if isinstance(said.result, Outcome) and said.result.kind is OutcomeKind.REJECTED:
                    assert code in listed.may_refuse | {INACTIVE}, f"{code}: {UNLISTED.format('may_refuse')}"
                    assert said.result.reason is not None
                    refused.add(code)
                elif said.verdict:
                    assert said.result.kind is OutcomeKind.PENDING and code in listed.pending, code
            if reply.status == 200 and len(document(reply).get("responseCode", "")) == 7:
                assert refused >= OF_ACCOUNTS


SAID_AS = {
    Verdict.ACCOUNT_NOT_FOUND: "no_account",
    Verdict.KYC_INCOMPLETE: "no_account",
    Verdict.ACCOUNT_BLOCKED: "blocked",
    Verdict.ACCOUNT_UNPROVED: "another_account",
}
"""What a code may say at a NIK check, and where `Codes` has it."""


def test_a_nik_check_s_codes_are_never_a_match_or_mismatch(recording: Recording) -> None:
    """A technical failure is never reported as a verdict on the person."""
    listed = codes(recording)
    for take, index in [(take, len(take.exchanges) - 1) for take in recording.of("verify_nik")]:
        refused = set()
        for code, said in played(take, index, listed):
            if said.verdict:
                refused.add(code)
                field = SAID_AS[said.result.verdict]
                assert code in getattr(listed, field), f"{code}: {UNLISTED.format(field)}"
        if len(str(document(take.replies[index]).get("responseCode", ""))) == 7:
            assert refused >= OF_ACCOUNTS, (
                "an account that cannot be used is told here too, beside no word (`gives` of codes.py)"
            )


def test_linking_tells_what_is_wrong_with_the_account(recording: Recording) -> None:
    """Where the account itself is handed over, by the standard's cases, listed by the partner or not: told as "try
    again", it would be tried without end.
    """
    listed = codes(recording)
    for take in [take for name in ("begin_link", "answer_link") for take in recording.of(name)][:1]:
        if len(str(document(take.replies[0]).get("responseCode", ""))) == 7:
            said = {code: each.result for code, each in played(take, 0, listed)}
            for code in OF_ACCOUNTS:
                reason = BlockerCode.ACCOUNT_NOT_FOUND if code == "40411" else BlockerCode.ACCOUNT_BLOCKED
                assert isinstance(said[code], LinkRefused) and said[code].code is reason, code


def test_a_lookup_s_own_failure_says_nothing_of_the_payout(recording: Recording) -> None:
    """Only its listed "not found" says anything, and that is no end."""
    listed = codes(recording)
    for take in recording.of("find_payout"):
        for code, said in played(take, 0, listed):
            if said.verdict:
                assert said.result.kind in {OutcomeKind.NOT_FOUND, OutcomeKind.PENDING}, code
                assert code in listed.not_known, f"{code}: {UNLISTED.format('not_known')}"


@pytest.mark.parametrize("operation", ["statement", "balance", "fetch_token", "link_health"])
def test_other_codes_are_no_answer(recording: Recording, operation: str) -> None:
    listed = codes(recording)
    for take in recording.of(operation):
        for code, said in played(take, 0, listed):
            if said.verdict:
                assert (operation, code) in listed.answers, (operation, code)


def test_only_what_speaks_of_the_customer_s_access_says_that_a_link_is_gone(recording: Recording) -> None:
    """A signature of ours that is refused, say, would else end every link there is."""
    seen, listed = set(), codes(recording)
    for take in recording.of("unlink"):
        for index in range(len(take.exchanges)):
            for code, said in played(take, index, listed):
                if isinstance(said.result, Unlinked):
                    assert code in listed.gone, f"{code}: {UNLISTED.format('gone')}"
                    seen.add(code)
    by_status = any(not reply.content for take in recording.of("unlink") for reply in take.replies)
    assert seen or by_status, "no code says so: `gone` of codes.py"


def test_a_server_s_failure_is_never_a_verdict_whatever_it_says(recording: Recording) -> None:
    """5xx after a WRITE with any body of the story: unknown; after a READ: could not tell."""
    bodies = [reply.content for take in recording.takes for reply in take.replies]
    for take in recording.takes:
        for index in range(len(take.exchanges)):
            for content in bodies:
                for status in (500, 502, 503, 504):
                    assert not play(take, index, damaged(content=content, status=status)).verdict


def test_an_error_envelope_of_the_partner_is_never_a_success(recording: Recording) -> None:
    """Each plan is answered with every error that another plan might get, at every status."""
    errors = (
        {"error_message": "An error occurred", "errors": ["x"]},
        {"error_message": "idempotency-key is not unique", "errors": "idempotency-key is not unique"},
        {"success": False, "errors": [{"code": "1500", "cause": "INTERNAL_SERVER_ERROR"}]},
        {"status": "401"}, {"status": "96"}, {"message": "API rate limit exceeded"}, {"responseCode": "96"},
    )  # fmt: skip
    for take in recording.takes:
        for index in range(len(take.exchanges)):
            for error in errors:
                for status in (200, 201, 202, 204, 400, 401, 403, 404, 409, 422, 429, 500, 503):
                    if says_by_status(take.replies[index], status):
                        continue
                    content = json.dumps(error).encode()
                    said = play(take, index, damaged(content=content, status=status))
                    if said.verdict:
                        assert isinstance(said.result, Outcome), take.operation
                        assert said.result.kind is OutcomeKind.NOT_ACCEPTED and status == 401, (take.operation, status)
