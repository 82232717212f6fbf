"""Odd rows among good ones of a statement: each is counted, and none spoils another, at whichever partner."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.observation import StatementLine, StatementPage
from tests.contract.recording import Recording
from tests.contract.replay import cut, damaged, document, leaves, play, put, written
from tests.contract.stage import Take

NO_AMOUNT = st.sampled_from([None, True, -1, 0.1, "", "0x10", "1,5", "NaN", "9" * 400, [], {}, {"value": []}])
NO_ROW: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NO_KIND = st.text(max_size=12).map(lambda text: f"~{text}") | st.sampled_from([None, 7, [], {}])
KINDS = ("kind", "type")


@given(data=st.data())
def test_odd_rows_are_counted_and_spoil_no_other(recording: Recording, data: st.DataObject) -> None:
    take, body, path, good = _listed(recording)
    marked = data.draw(st.lists(st.booleans(), min_size=1, max_size=12))
    rows = [data.draw(_odd(good)) if odd else good for odd in marked]
    page = _page(take, put(body, path, rows))
    assert page.unreadable == sum(marked)
    assert page.lines == (_line(take, body, path, good),) * (len(rows) - sum(marked))


@given(data=st.data())
def test_whatever_is_in_a_row_stays_in_that_row(recording: Recording, data: st.DataObject) -> None:
    """Any one value replaced by anything, or left out: the row may still be read, the ones around it are."""
    take, body, path, good = _listed(recording)
    where = data.draw(st.sampled_from([place for place in leaves(good) if place]))
    odd = cut(good, where) if data.draw(st.booleans()) else put(good, where, data.draw(NO_ROW))
    page = _page(take, put(body, path, [good, odd, good]))
    line = _line(take, body, path, good)
    assert len(page.lines) + page.unreadable == 3
    assert (page.lines[0], page.lines[-1]) == (line, line)


def _listed(recording: Recording) -> tuple[Take, Any, tuple[Any, ...], dict[str, Any]]:
    """A recorded statement, where in it the rows stand, and one of them, as long as it is readable."""
    for take in recording.of("statement"):
        body = document(take.replies[-1])
        for path in leaves(body):
            rows = body
            for name in path:
                rows = rows[name]
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                return take, body, path, rows[0]
    raise AssertionError("no statement with a row was recorded")


def _odd(good: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Something that is no row, or a row whose amount or kind cannot be understood."""
    kinds = [place for place in leaves(good) if place and place[-1] in KINDS]
    return st.one_of(
        NO_ROW,
        NO_AMOUNT.map(lambda amount: put(good, ("amount",), amount)),
        st.just(cut(good, ("amount",))),
        st.builds(lambda place, kind: put(good, place, kind), st.sampled_from(kinds), NO_KIND),
    )


def _page(take: Take, body: Any) -> StatementPage:
    played = play(take, len(take.exchanges) - 1, damaged(content=written(take.replies[-1], body)))
    assert isinstance(played.result, StatementPage), played.error
    return played.result


def _line(take: Take, body: Any, path: tuple[Any, ...], good: dict[str, Any]) -> StatementLine:
    (line,) = _page(take, put(body, path, [good])).lines
    return line
