"""One thing at a time: whoever cannot be handed the baton is told of, and waited for by nobody."""

from __future__ import annotations

import asyncio

import pytest

from tests.sim import baton
from tests.sim.baton import Actor, Baton


async def test_two_tasks_of_one_actor_at_once_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baton, "TURN_S", 0.2)
    one = Baton()

    async def both() -> None:
        await asyncio.gather(one.rest(), one.rest())

    actor = Actor("both", both)
    one.add(actor)
    await one.turn(actor)
    with pytest.raises(TimeoutError):
        await one.turn(actor)
    await one.close()
    assert actor.task is not None and actor.task.done()
