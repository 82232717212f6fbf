"""A participant at the partner's pages and at the gateway's form, and the whole of linking as the gateway drives it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from contracts.linking import (
    Grant,
    LinkAnswer,
    LinkFinish,
    LinkGranted,
    LinkHeld,
    LinkInputs,
    LinkRedirect,
    LinkRefused,
    LinkReturn,
    LinkStart,
    LinkStep,
    Unlinked,
    UnlinkOrder,
)
from contracts.secret import Secret
from gateway.demo.browser import Browser
from mock_partners.kit.world import Account
from tests.contract.stage import GATEWAY, Stage

MOST_STEPS = 12


class Person:
    """Somebody with an account, who may refuse or type things wrong."""

    def __init__(self, stage: Stage, account: Account, *, refuses: bool = False, **typed: str) -> None:
        self.stage = stage
        self.account = account
        self.refuses = refuses
        self.typed = typed
        """What this person types instead of what is right, by field."""
        self.link_id = f"L{stage.number():017d}"
        self.returned: dict[str, str] = {}
        """What the browser came back with."""

    def types(self, name: str) -> str:
        """What goes into a field of that name."""
        sms = self.stage.world.sms.newest_first(self.account.phone)
        right = {
            "agree": "yes",
            "phone": self.account.phone,
            "pin": self.account.pin,
            "card_no": self.account.card_no,
            "otp": sms[0]["code"] if sms else "",
        }
        return self.typed.get(name, right[name])

    async def visit(self, url: str) -> dict[str, str]:
        """Go through the partner's pages; the query with which the browser comes back, without our own `st`."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.stage.app)) as http:
            browser = Browser(http, f"{GATEWAY}/callbacks/{self.stage.manifest.slug}/link")
            page = await browser.get(url)
            for _ in range(MOST_STEPS):
                if page.form is None:
                    break
                values = {name: self.types(name) for name in page.form.fields}
                page = await browser.submit(page, values, "deny" if self.refuses else "continue")
        assert page.url.startswith(GATEWAY), (
            f"the page ended with HTTP {page.status} instead of coming back: an account that cannot be linked is"
            " told by the answer that opens the page, or by a word on the way back"
        )
        query = dict(parse_qsl(urlsplit(page.url).query, keep_blank_values=True))
        assert query.pop("st") == self.state
        self.returned = query
        return query

    @property
    def state(self) -> str:
        return f"{self.link_id:_>32}"

    @property
    def redirect_uri(self) -> str:
        return f"{GATEWAY}/callbacks/{self.stage.manifest.slug}/link?st={self.state}"

    def start(self) -> LinkStart:
        return LinkStart(
            link_id=self.link_id,
            reference=self.stage.reference(),
            account=Secret(self.account.account),
            phone=Secret(self.account.phone),
            name=Secret(self.account.holder_name),
            state=self.state,
            redirect_uri=self.redirect_uri,
        )

    async def begin(self) -> LinkStep:
        start = self.start()
        return await self.stage.run("begin_link", lambda ctx: self.stage.partner.begin_link(ctx, start))

    async def link(self) -> LinkStep:
        """Link the account: the step with which it ends. A wrong input is typed again as often as it is asked for."""
        step = await self.begin()
        for _ in range(MOST_STEPS):
            if isinstance(step, LinkInputs):
                step = await self.answer(step)
            elif isinstance(step, LinkRedirect):
                step = await self.come_back(step, await self.visit(step.url))
            else:
                return step
        raise AssertionError("linking does not end")

    async def answer(self, step: LinkInputs) -> LinkStep:
        """Fill the gateway's form."""
        assert set(step.names) <= set(self.stage.manifest.inputs), "an input that the manifest does not declare"
        answer = LinkAnswer(
            link_id=self.link_id,
            reference=self.stage.reference(),
            account=Secret(self.account.account),
            phone=Secret(self.account.phone),
            name=Secret(self.account.holder_name),
            inputs={name: Secret(self.types(name)) for name in step.names},
            carry=step.carry,
        )
        return await self.stage.run("answer_link", lambda ctx: self.stage.partner.answer_link(ctx, answer))

    async def to_the_last_input(self, step: LinkInputs) -> LinkInputs:
        """Fill the gateway's form until it asks what the account's owner alone can tell: the OTP."""
        for _ in range(MOST_STEPS):
            if "otp" in step.names:
                return step
            after = await self.answer(step)
            assert isinstance(after, LinkInputs), "linked before anything was asked that only the owner knows"
            step = after
        raise AssertionError("the form does not end")

    async def come_back(self, step: LinkRedirect, query: dict[str, str]) -> LinkStep:
        """What the browser brought back, and the exchange of its code."""
        back = self.stage.partner.read_return(query)
        assert back.state in (None, self.state)
        return await self.exchange(step, back)

    async def exchange(self, step: LinkRedirect, back: LinkReturn) -> LinkStep:
        if back.held:
            return LinkHeld(partner_code=back.partner_code)
        if back.refused is not None:
            return LinkRefused(code=back.refused, partner_code=back.partner_code)
        assert back.code is not None
        finish = LinkFinish(
            link_id=self.link_id,
            reference=self.stage.reference(),
            code=back.code,
            carry=step.carry,
            redirect_uri=self.redirect_uri,
            phone=Secret(self.account.phone),
            account=Secret(self.account.account),
        )
        return await self.stage.run("finish_link", lambda ctx: self.stage.partner.finish_link(ctx, finish))

    async def grant(self) -> Grant:
        """A link that must work."""
        step = await self.link()
        assert isinstance(step, LinkGranted), step
        return step.grant

    async def unlink(self, grant: Grant) -> Any:
        """Give the link back, with the inputs that the partner wants for it."""
        order = UnlinkOrder(
            link_id=self.link_id,
            reference=self.stage.reference(),
            account=Secret(self.account.account),
            phone=Secret(self.account.phone),
            grant=grant,
        )
        partner = self.stage.partner
        step = await self.stage.run("unlink", lambda ctx: partner.unlink(ctx, order))
        if isinstance(step, Unlinked):
            return step
        second = UnlinkOrder(
            link_id=order.link_id,
            reference=self.stage.reference(),
            account=order.account,
            phone=order.phone,
            grant=grant,
            inputs={name: Secret(self.types(name)) for name in step.names},
            carry=step.carry,
        )
        return await self.stage.run("unlink", lambda ctx: partner.unlink(ctx, second))
