"""Noise and damaged answers are never a verdict, and what is said about them quotes nothing private.

Every reply of a real story is damaged in turn. A plan may then only say that it could not tell (an exception of its
documented kinds, or an unknown outcome), or, where the damage spares what matters, say the same as before.
"""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.identity import Verdict
from contracts.observation import StatementPage
from contracts.payout import OutcomeKind
from contracts.plan import Effect, Response
from tests.contract.recording import Recording, write_of
from tests.contract.replay import (
    JUNK,
    cut,
    damaged,
    document,
    ends_a_line,
    fresh,
    leaves,
    logged,
    play,
    put,
    replaced,
    says_by_status,
    steps,
    texts,
    told,
    written,
)

HTML = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
NOT_ANSWERS = (
    b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[{}]", b'{"":""}', b"\xff\xfe", b'{"a":"\xff"}', HTML,
    b'{"responseCode":', b"{'responseCode':'2000000'}", b'{"responseCode":2000000}', b"NaN", b'{"data":[]}',
    b'{"data":{}}', b"[" * 100_000, b'{"data":' * 50_000, b'{"a":1e999}', b'{"a":' + b"9" * 5_000 + b"}",
)  # fmt: skip
STATUSES = (*range(200, 209), 301, 302, 304, *range(400, 419), 422, 425, 426, 428, 429, 431, 451, *range(500, 512))
PLANS = (
    "fetch_token", "answer_link", "begin_link", "finish_link", "link_health", "refresh_grant", "unlink", "verify_nik",
    "payout", "prepare", "approve", "withdraw", "find_payout", "statement", "balance",
)  # fmt: skip

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NOISE = st.builds(
    Response,
    status=st.integers(100, 599),
    headers=st.dictionaries(st.sampled_from(["retry-after", "content-type"]), st.text(string.printable, max_size=9)),
    content=st.one_of(st.binary(max_size=99), st.sampled_from(NOT_ANSWERS), JSON.map(json.dumps).map(str.encode)),
)


def test_every_kind_of_plan_was_recorded(recording: Recording) -> None:
    """Otherwise the tests below would be about nothing."""
    assert {take.operation for take in recording.takes} <= set(PLANS)
    assert len(recording.takes) >= 10
    assert any(write_of(take) is not None for take in recording.takes)


@pytest.mark.parametrize("operation", PLANS)
@given(noise=NOISE)
def test_noise_is_never_a_verdict(recording: Recording, operation: str, noise: Response) -> None:
    for take, index in steps(recording.of(operation)):
        if _empty_list(take.replies[index], noise.content) or says_by_status(take.replies[index], noise.status):
            continue
        played = play(take, index, replaced(noise))
        assert not played.verdict
        if played.at is Effect.READ and operation != "find_payout":
            unread = isinstance(played.result, StatementPage) and played.result.unreadable and not played.result.lines
            assert played.error is not None or unread, "nothing left, so nothing is unknown"


@pytest.mark.parametrize("operation", PLANS)
def test_what_is_no_answer_is_never_a_verdict(recording: Recording, operation: str) -> None:
    for take, index in steps(recording.of(operation)):
        for status in (take.replies[index].status, 200, 401, 404, 500):
            for content in NOT_ANSWERS:
                if _empty_list(take.replies[index], content) or says_by_status(take.replies[index], status):
                    continue
                assert not play(take, index, damaged(status=status, content=content)).verdict


def _empty_list(reply: Response, content: bytes) -> bool:
    """Whether the partner's whole answer is a list, of which an empty one says "nothing booked"."""
    return reply.content.startswith(b"[") and content.strip() == b"[]"


@pytest.mark.parametrize("operation", PLANS)
def test_a_truncated_answer_is_never_a_verdict(recording: Recording, operation: str) -> None:
    for take, index in steps(recording.of(operation)):
        whole = take.replies[index].content
        for length in range(len(whole)):
            if not ends_a_line(take.replies[index], whole[:length]):
                assert not play(take, index, damaged(content=whole[:length])).verdict


@pytest.mark.parametrize("operation", PLANS)
def test_a_status_that_disagrees_with_its_body_is_never_a_verdict(recording: Recording, operation: str) -> None:
    for take, index in steps(recording.of(operation)):
        for status in STATUSES:
            if status != take.replies[index].status:
                assert not play(take, index, damaged(status=status)).verdict, status


@pytest.mark.parametrize("operation", PLANS)
def test_a_changed_field_never_turns_one_verdict_into_another(recording: Recording, operation: str) -> None:
    """Each value of each reply is replaced by junk of each type, and left out."""
    for take, index in told(recording.of(operation)):
        reply = take.replies[index]
        body = document(reply)
        intact = play(take, len(take.exchanges), lambda reply: reply)
        for path in leaves(body):
            changed = [put(body, path, junk) for junk in JUNK] + ([cut(body, path)] if path else [])
            for other in changed:
                said = play(take, index, damaged(content=written(reply, other)))
                unproved = said.kind is Verdict.ACCOUNT_UNPROVED  # blames nobody, and pays nobody
                assert not said.verdict or said.kind == intact.kind or unproved, (take.operation, path)


@given(data=st.data())
def test_a_flipped_byte_never_turns_one_verdict_into_another(recording: Recording, data: st.DataObject) -> None:
    """Money and identity: only what the partner wrote counts. A flipped digit may make another code, which must then
    be one of those that say less.
    """
    take, index = data.draw(st.sampled_from(list(told(recording.takes))))
    intact = play(take, len(take.exchanges), lambda reply: reply)
    content = bytearray(take.replies[index].content)
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    said = play(take, index, damaged(content=bytes(content)))
    if said.verdict and said.kind != intact.kind:
        assert not _says_more(said.kind, intact.kind), (take.operation, bytes(content[max(0, at - 20) : at + 20]))


def _says_more(kind: object, intact: object) -> bool:
    """A success out of anything else, or a match out of a mismatch; a final no where money was paid."""
    if isinstance(kind, tuple) and isinstance(kind[0], OutcomeKind):
        return kind[0] is OutcomeKind.SUCCEEDED
    return getattr(kind, "name", "") in ("MATCH",) and kind != intact


def test_exceptions_quote_nothing_of_an_answer(recording: Recording) -> None:
    """What a log would show of them names fields and codes, never another value, however the reply was damaged."""
    private = recording.secrets()
    for take, index in told(recording.takes):
        reply = take.replies[index]
        values = {text for text in texts(document(reply)) if len(text) > 8} | private
        for other in _damages(reply):
            error = play(take, index, replaced(other)).error
            if error is not None:
                spoken = {getattr(error, "partner_code", None)}
                shown = logged(error)
                assert not [value for value in values - spoken if value in shown], (
                    take.operation,
                    type(error).__name__,
                )


def _damages(reply: Response) -> list[Response]:
    body: Any = document(reply)
    others = [fresh(reply, status=status) for status in (200, 400, 401, 500)]
    others += [fresh(reply, content=reply.content[:-1]), fresh(reply, content=reply.content[:-2] + b"\xff}")]
    for path in leaves(body):
        value = body
        for name in path:
            value = value[name]
        for junk in ([value], {"was": value}, f"{value}\n", 7):
            others.append(fresh(reply, content=written(reply, put(body, path, junk))))
    return others


def test_partner_codes_are_short_and_plain(recording: Recording) -> None:
    """At most 32 of `[A-Za-z0-9_.-]`, also out of replies that try to say more."""
    allowed = set(string.ascii_letters + string.digits + "_.-")
    for take, index in told(recording.takes):
        reply = take.replies[index]
        body = document(reply)
        for path in leaves(body):
            for value in ("x" * 33, "SITI AMINAH 3174052209989901", "a\nb", "é"):
                content = written(reply, put(body, path, value))
                for status in (reply.status, 400, 404):
                    said = play(take, index, damaged(content=content, status=status))
                    for holder in (said.error, said.result):
                        code = getattr(holder, "partner_code", None)
                        assert code is None or (0 < len(code) <= 32 and set(code) <= allowed)
