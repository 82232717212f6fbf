"""How a test of an adapter answers a plan: canned replies, and noise of any kind."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from contracts.plan import Plan, Request, Response


def json_reply(body: object, status: int = 200) -> Response:
    """Any JSON body under any HTTP status."""
    return Response(status=status, headers={}, content=json.dumps(body).encode())


def snap_reply(code: str, **fields: Any) -> Response:
    """A SNAP answer whose HTTP status is the one its code names."""
    return json_reply({"responseCode": code, "responseMessage": "text", **fields}, int(code[:3]))


def drive(plan: Plan[Any], *replies: Response) -> tuple[list[Request], Any]:
    """Send the canned replies to a plan; its requests and its result. All replies must be used."""
    requests = [next(plan)]
    for n, reply in enumerate(replies):
        try:
            requests.append(plan.send(reply))
        except StopIteration as stop:
            assert n == len(replies) - 1, "the plan ended before its last reply"
            return requests, stop.value
    raise AssertionError(f"the plan wants another reply after {requests[-1]!r}")


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)
NOISE = st.one_of(
    st.builds(Response, status=st.integers(100, 599), headers=st.just({}), content=st.binary(max_size=200)),
    st.builds(json_reply, JSONS, st.integers(100, 599)),
)
