"""A person's password is theirs to change: by who knows the present one, and it ends every other session."""

from __future__ import annotations

import pytest

from gateway.services.ops.operators import FREE_TRIES
from tests.gateway.ops.desk import Desk, code, csrf, send

NEW = "kuda lumping di atas awan"
WEAK = ("short", "x" * 129, "abcd" * 5, "operator-one-forever", "my-Prakerja-2026")


async def test_a_new_password_takes_the_old_ones_place_everywhere(desk: Desk) -> None:
    person = desk.people["operator"]
    later = code(person, desk.now_s() + 30)
    typed = {"present": person.password, "code": later, "new": NEW, "again": NEW}
    async with desk.signed_in("operator") as browser, desk.browser() as thief:
        stolen = {"Cookie": f"ops={browser.cookies['ops']}"}
        assert (await thief.get("/ops", headers=stolen)).status_code == 200
        changed = await send(browser, "/ops/password", **typed)
        assert (changed.status_code, changed.headers["location"]) == (303, "/ops")
        assert NEW not in changed.text and (await browser.get("/ops")).status_code == 200
        assert (await thief.get("/ops", headers=stolen)).status_code == 303, "what was open elsewhere is over"
        assert (await desk.sign_in(thief, "operator")).status_code == 403
    desk.people["operator"] = type(person)(client_id=person.client_id, password=NEW, totp_uri=person.totp_uri)
    await desk.api.fetch("UPDATE operators SET totp_step = 0")
    async with desk.signed_in("operator") as browser:
        assert (await browser.get("/ops")).status_code == 200
    kept = str([dict(row) for row in await desk.api.fetch("SELECT * FROM audit_log")])
    assert "operator.password" in kept and NEW not in kept


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"present": "wrong"}, 403), ({"code": "000000"}, 403), ({"again": NEW + "x"}, 422),
        *(({"new": weak, "again": weak}, 422) for weak in WEAK),
    ],
)  # fmt: skip
async def test_nothing_else_changes_it(desk: Desk, changes: dict[str, str], status: int) -> None:
    person = desk.people["operator"]
    typed = {"present": person.password, "code": code(person, desk.now_s() + 30), "new": NEW, "again": NEW} | changes
    before = await desk.api.fetch("SELECT password_hash FROM operators ORDER BY client_id")
    async with desk.signed_in("operator") as browser:
        refused = await send(browser, "/ops/password", **typed)
        assert refused.status_code == status and 'role="alert"' in refused.text
        same = typed | {"new": person.password, "again": person.password}
        assert (await send(browser, "/ops/password", **same)).status_code in (403, 422)
        assert (await browser.post("/ops/password", data=typed)).status_code == 403, "a form of nobody's"
    assert await desk.api.fetch("SELECT password_hash FROM operators ORDER BY client_id") == before


async def test_who_has_a_session_alone_does_not_guess_the_password(desk: Desk) -> None:
    """Codes beside the right password are bounded as for signing in, and so are tries altogether."""
    person = desk.people["operator"]
    async with desk.signed_in("operator") as browser:
        form = {"csrf": await csrf(browser), "present": person.password, "code": "000000", "new": NEW, "again": NEW}
        for _ in range(FREE_TRIES):
            assert (await browser.post("/ops/password", data=form)).status_code == 403
        right = form | {"code": code(person, desk.now_s() + 30)}
        assert (await browser.post("/ops/password", data=right)).status_code == 403, "locked"
        tries = [(await browser.post("/ops/password", data=form)).status_code for _ in range(10)]
        assert tries[-1] == 429
