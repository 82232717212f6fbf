"""An answer is held against its request before it is read, at every partner and in every operation: one of another
request, account, card, phone or day is none, nor one that says two things; and a refusal is an answer too.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest

from adapters import asked
from contracts.linking import Grant, LinkGranted, LinkHealth, LinkInputs, Unlinked
from contracts.plan import Effect, Request, Response
from tests.contract.recording import Recording
from tests.contract.replay import Played, document, fresh, leaves, play, put, says_by_status, told
from tests.contract.stage import Take
from tests.contract.test_codes import SNAP_CODE, bare, codes
from tests.contract.test_of_another import aged
from tests.partners.kit import Codes

CASES = ("40001", "40102", "40302", "40307", "40311", "40318", "40401", "40411")
SHORT = ("15", "25", "26", "40", "51", "62")
OTHERS = {"partnerReferenceNo": "1000000000000000999", "merchantTrxID": "1000000000000000999"} | {
    "originalPartnerReferenceNo": "1000000000000000999",
    "custIdMerchant": "another-link",
    "customerNumber": "6281299999999",
    "phoneNo": "081299999999",
    "msisdn": "+62 812-9999-9999",
    "beneficiaryAccountNo": "7000099999",
    "accountNo": "7000099999",
}
"""Another one, by the field that both sheets and requests have it in."""
ACCOUNTS = ("customerNumber", "phoneNo", "msisdn", "beneficiaryAccountNo", "accountNo")


def others(recording: Recording) -> dict[str, str]:
    """And by the fields that the partner's own sheet names, in `codes.py` of its tests."""
    account = "+6281299999999" if recording.stage.manifest.account_is_phone else "7000099999"
    own = codes(recording)
    return OTHERS | dict.fromkeys(own.reference, "1000000000000000999") | dict.fromkeys(own.account, account)


def named(body: dict[str, Any], names: Container[str]) -> Iterator[tuple[Any, ...]]:
    """Where a request has one of these fields, but for those inside of lists."""
    return (path for path in leaves(body) if path and path[-1] in names and all(isinstance(at, str) for at in path))


def refusals(reply: Response, own: Codes) -> Iterator[Response]:
    """The answer itself, and it as a refusal by each of those codes, or by a whole error of the partner's own."""
    body = document(reply)
    yield reply
    for _, status, error in own.errors:
        yield fresh(reply, status=status, content=json.dumps(error).encode())
    for holder in (body, body["data"] if isinstance(body.get("data"), dict) else {}):
        code = str(holder.get("responseCode") or holder.get("status") or "")
        for case in CASES if SNAP_CODE.fullmatch(code) else SHORT if len(code) == 2 else ():
            name = "responseCode" if "responseCode" in holder else "status"
            other = {**bare(holder), name: case[:3] + code[3:5] + case[3:] if len(code) == 7 else case}
            content = other if holder is body else {**body, "data": other}
            yield fresh(reply, status=int(case[:3]) if len(code) == 7 else None, content=json.dumps(content).encode())


def said(take: Take, index: int, reply: Response) -> Played:
    return play(take, index, lambda given: reply if given is take.replies[index] else given)


def steps(recording: Recording) -> Iterator[tuple[Take, int, Request, dict[str, Any]]]:
    """Whatever was answered with an object, and what was asked."""
    for take, index in told(recording.takes):
        request, reply = take.exchanges[index]
        if isinstance(document(reply), dict) and b'"signature"' not in reply.content:
            yield take, index, request, json.loads(request.content or b"{}")


def shown(reply: Response, path: tuple[Any, ...], value: object) -> Iterator[bytes]:
    """The answer with a value at this path, and below its `data`; what stands there else is kept."""
    body: Any = document(reply)
    for above in ((), ("data",)) if isinstance(body.get("data"), dict) else ((),):
        whole = {**body}
        inner = whole
        for name in (*above, *path[:-1]):
            inner[name] = {**(inner.get(name) if isinstance(inner.get(name), dict) else {})}
            inner = inner[name]
        inner[path[-1]] = value
        yield json.dumps(whole).encode()


def test_what_shows_another_request_or_account_is_no_answer(recording: Recording) -> None:
    seen, names_one = set(), False
    another, accounts = others(recording), {*ACCOUNTS, *codes(recording).account}
    for take, index, request, body in steps(recording):
        for path in named(body, another):
            names_one |= request.effect is Effect.WRITE
            for reply in refusals(take.replies[index], codes(recording)):
                plain = said(take, index, reply)
                of_account = path[-1] in accounts
                if not plain.verdict or of_account and reply.status < 400 and not request.operation.startswith("link."):
                    continue
                for content in shown(reply, path, another[path[-1]]):
                    other = said(take, index, fresh(reply, content=content))
                    told_as = f"{request.operation}, HTTP {reply.status}: {other.kind}"
                    assert not other.verdict, f"{path[-1]} is not compared ({told_as}): name it in adapters/asked.py"
                    seen.add(path[-1])
    assert seen or not names_one, "no answer was compared with its request"


def test_what_shows_ours_or_nothing_is_the_same_answer(recording: Recording) -> None:
    accounts = {*ACCOUNTS, *codes(recording).account}
    for take, index, request, body in steps(recording):
        for path in named(body, others(recording)):
            value: Any = body
            for name in path:
                value = value[name]
            plain = said(take, index, take.replies[index])
            fields = ("", None, "null", "-", f" {value}\n") if path[-1] not in accounts else (value,)
            for form in fields:
                for content in shown(take.replies[index], path, form):
                    other = said(take, index, fresh(take.replies[index], content=content))
                    assert (other.kind, other.error) == (plain.kind, None), (request.operation, path, form)


def test_a_masked_account_that_agrees_is_ours_and_a_text_is_nobodys(recording: Recording) -> None:
    ours = "+6281234567890"
    for shown_as, other in (("0812****7890", False), ("6281234567890", False), ("********", False), ("nomor", False)):
        assert asked._another_account(ours, shown_as) is other
    assert asked._another_account(ours, "0812****7891") and asked._another_account("0115476151", "115476152")
    assert not asked._another_account("0115476151", "115476151")


def test_a_cache_answers_nothing_but_what_lasts(recording: Recording) -> None:
    for take, index, request, _ in steps(recording):
        if request.operation.startswith(("payout.status", "statement", "token.")):
            continue
        for reply in refusals(take.replies[index], codes(recording)):
            assert not said(take, index, aged(reply)).verdict, (request.operation, reply.status)


def test_a_token_out_of_a_cache_lives_so_much_less(recording: Recording) -> None:
    for take in recording.of("fetch_token"):
        reply = take.replies[0]
        if SNAP_CODE.fullmatch(str(document(reply).get("responseCode"))):
            old = msgspec.structs.replace(reply, headers={**reply.headers, "age": "100"})
            assert take.result.life_s - said(take, 0, old).result.life_s == 100.0
            assert not said(take, 0, msgspec.structs.replace(reply, headers={"age": "90000"})).verdict


def test_a_refusal_beside_what_it_refuses_is_none(recording: Recording) -> None:
    """A match beside "unknown account", a fresh token beside a dead one, a page beside "cannot be linked"."""
    seen, refused = 0, False
    for take, index, request, _ in steps(recording):
        if take.operation not in (
            "begin_link",
            "answer_link",
            "finish_link",
            "refresh_grant",
            "verify_nik",
            "link_health",
        ):
            continue
        body = document(take.replies[index])
        for reply in list(refusals(take.replies[index], codes(recording)))[1:]:
            plain = said(take, index, reply)
            refused |= plain.verdict
            given = {name: value for name, value in body.items() if name not in document(reply)}
            given |= {
                name: body[name]
                for name in ("additionalInfo", "accessTokenInfo")
                if bare(body.get(name)) != body.get(name)
            }
            if "data" in body:
                given["data"] = {**body["data"], **document(reply)["data"]}
            if request.operation == "link.health":
                given["additionalInfo"] = body["additionalInfo"]
            if not plain.verdict or not given or isinstance(plain.result, LinkInputs):
                continue
            both = fresh(reply, content=json.dumps({**document(reply), **given}).encode())
            assert not said(take, index, both).verdict, (request.operation, reply.status, given.keys())
            seen += 1
    assert seen or not refused, "what it gives beside a verdict is `gives` of codes.py in its tests' folder"


def test_a_link_that_is_not_given_back_by_its_result_stands(recording: Recording) -> None:
    take = recording.of("unlink")[-1]
    index = len(take.exchanges) - 1
    reply = take.replies[index]
    body = document(reply) if reply.content else {}
    for word, over in (
        ("FAILED", False),
        ("pending", False),
        ("active", False),
        ("UNBINDING_PENDING", False),
        ("unlink failed", False),
        ("NOT_ACTIVE", True),
        ("UNBINDING_SUCCESS", True),
        ("Success", True),
        ("OK", True),
        (None, True),
    ):
        result = said(take, index, fresh(reply, content=json.dumps({**body, "unlinkResult": word}).encode()))
        over |= says_by_status(reply, reply.status)
        assert isinstance(result.result, Unlinked) is over or "unlinkResult" not in body and over, word


@pytest.mark.parametrize("word", ["null", "undefined", " None ", "-", "Bearer null"])
def test_a_word_for_nothing_is_no_token(recording: Recording, word: str) -> None:
    for take, index, request, _ in steps(recording):
        body = document(take.replies[index])
        for path in leaves(body):
            if path and path[-1] in ("accessToken", "bankCardToken", "linkageToken", "chargeToken", "refreshToken"):
                result = said(
                    take, index, fresh(take.replies[index], content=json.dumps(put(body, path, word)).encode())
                )
                if request.operation == "link.health":
                    assert result.result is LinkHealth.ACTIVE, "nobody needs it there"
                elif path[-1] != "refreshToken" or request.operation.startswith("token."):
                    assert not result.verdict, (request.operation, path)
                else:
                    grant = result.result.grant if isinstance(result.result, LinkGranted) else result.result
                    assert isinstance(grant, Grant), (request.operation, result.error)
                    assert grant.refresh_token is None or grant.refresh_token.reveal() not in word


def test_a_list_of_another_day_is_none(recording: Recording) -> None:
    """Where a day is asked about, and the answer shows for which it was made."""
    for take in recording.of("statement"):
        request, reply = take.exchanges[0]
        named = json.loads(request.content or b"{}") | dict(parse_qsl(request.target.partition("?")[2]))
        for name in ("fromDateTime", "date"):
            if name not in named or not isinstance(document(reply), dict):
                continue
            for day, good in (
                (named[name], True),
                ("2026-01-14", False),
                ("2026-01-14T00:00:00+07:00", False),
                ("x", True),
            ):
                for content in shown(reply, (name,), day):
                    assert said(take, 0, fresh(reply, content=content)).verdict is good, (name, day)


IRIS = ("notes", "beneficiary_account", "reference_no")
TEXTS = {
    "notes": "pay 1000000000000000999",
    "remark": "1000000000000000999",
    "customerReference": "1000000000000000999",
}


def test_a_create_approval_or_rejection_of_another_payout_is_none(recording: Recording) -> None:
    """An instruction that is not the one asked for is not approved, and a rejection of another one confirms nothing."""
    for take in recording.of("prepare") + recording.of("approve") + recording.of("withdraw"):
        request, reply = take.exchanges[-1]
        created = json.loads(request.content).get("payouts", [{}])[0]
        ours = {"reference_no": json.loads(request.content).get("reference_nos", [None])[0], **created}
        body = document(reply)
        for name in IRIS:
            if ours.get(name) is None:
                continue
            for value, good in ((ours[name], True), ("1000000000000000999", False), (None, True), ("", True)):
                told_in = (
                    {"payouts": [{**body["payouts"][0], name: value}]} if "payouts" in body else {**body, name: value}
                )
                kind = said(take, len(take.exchanges) - 1, fresh(reply, content=json.dumps(told_in).encode())).verdict
                assert kind is good, (take.operation, name, value)


def test_a_remark_that_bears_another_number_of_ours_is_of_another_payment(recording: Recording) -> None:
    for take in recording.of("payout"):
        request, reply = take.exchanges[-1]
        named = json.loads(request.content or b"{}")
        body = document(reply)
        for name in TEXTS.keys() & named.keys():
            for text, good in ((TEXTS[name], False), ("insentif", True), (f"{named[name]} insentif", True), (7, True)):
                played = said(
                    take, len(take.exchanges) - 1, fresh(reply, content=json.dumps({**body, name: text}).encode())
                )
                assert played.verdict is good, (name, text)


def test_an_ok_beside_an_error_is_none(recording: Recording) -> None:
    """Of an approval or a rejection: neither has moved or stopped anything for certain."""
    for take in recording.of("approve") + recording.of("withdraw"):
        index, body = len(take.exchanges) - 1, document(take.replies[-1])
        for more, good in (
            ({"error_message": "An error occurred", "errors": {"0": ["not queued"]}}, False),
            ({"errors": ["x"]}, False),
            ({"error_message": None, "errors": []}, True),
        ):
            told_in = fresh(take.replies[-1], content=json.dumps({**body, **more}).encode())
            assert said(take, index, told_in).verdict is good, (take.operation, more)
