"""The demonstration in a browser: one page that shows how far it is and leads to everything else that runs.

It leads to the operators' pages with somebody signed in already, to the mock partners' console and, at the end, to a
participant's pages. Loopback only; nothing of it runs anywhere but in a demonstration.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jinja2
import msgspec
import uvicorn
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath

from adapters.registry import PARTNERS
from gateway.clock import SystemClock
from gateway.demo import closing
from gateway.demo.cluster import Cluster
from gateway.demo.cohort import Cohort, Person
from gateway.demo.core import ApiError, Client
from gateway.demo.drain import Watch
from gateway.demo.tally import Tally
from gateway.ops import HEADERS, pictures
from gateway.routes.ops.session import read_asset
from gateway.security.vault import Vault
from gateway.services.ops.operators import DIGITS, STEP_S, Enrolled, Operators
from gateway.storage.base.database import Database

Call = Request[Any, Any, Any]
_WATCHED_S = 10.0
"""Somebody looks on who fetched the page so lately; it fetches itself every two seconds, without scripts every five."""
_LAST_LOOK_S = 4.0
_OPERATOR, _COOKIE = "demo", "ops"
_MAY_BEGIN = ("link_required", "consent_denied", "consent_abandoned", "consent_withdrawn")
"""Whoever's incentives wait for this may be played by whoever looks on."""
_NAMES = {slug: partner.manifest.name for slug, partner in PARTNERS.items()}
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("gateway.demo", ""),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Volunteer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody without a link, whom a visitor may be at the partner's pages."""

    person: Person
    blocker: str

    @property
    def asks_for_card(self) -> bool:
        """Whether the form asks for the card's number."""
        return "card_no" in PARTNERS[self.person.partner].manifest.first_inputs


class Stage:
    """What the page knows."""

    def __init__(self, cluster: Cluster, cohort: Cohort, operators: Operators, person: Enrolled) -> None:
        self.cluster = cluster
        self.cohort = cohort
        self._operators = operators
        self._person = person
        self._session = ""
        self._signing_in = asyncio.Lock()
        self._watch: Watch | None = None
        self._core: Client | None = None
        self._looked_at: float | None = None
        self._saw_the_end = asyncio.Event()
        self.sentence = ""
        self.clean = False
        self.refused: list[str] = []
        self.volunteers: list[Volunteer] = []
        self.lasts = False
        """Everything goes on running after the end."""

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.cluster.page_port}/"

    @property
    def return_url(self) -> str:
        """Where participants' pages lead back to whoever began there."""
        return self.url + "linked"

    def follow(self, watch: Watch, core: Client) -> None:
        """Show what `watch` sees; `core` begins links for visitors."""
        self._watch, self._core = watch, core

    async def end(self, funnel: Mapping[str, Any], *, clean: bool, lasts: bool) -> None:
        """Tell how it ended (`lasts`: all of it goes on running), and let a browser that looks on see it."""
        watched = self.watched()
        self.sentence, self.clean = closing.sentence(funnel, clean=clean), clean
        self.refused, self.lasts = closing.refused(funnel), lasts
        if lasts:
            self.volunteers = await self._volunteers()
        self._saw_the_end.clear()
        if watched:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._saw_the_end.wait(), _LAST_LOOK_S)

    def watched(self) -> bool:
        """Whether a browser shows the page."""
        return self._looked_at is not None and time.monotonic() - self._looked_at < _WATCHED_S

    def page(self) -> str:
        """As it is now."""
        self._looked_at = time.monotonic()
        if self.sentence:
            self._saw_the_end.set()
        tallies = self._watch.tallies if self._watch else {}
        return _ENVIRONMENT.get_template("stage.html").render(
            stage=self, tallies=tallies, moving=self._watch.words if self._watch else "the batch is handed over",
            console=self.cluster.console_url, api=self.cluster.api_url, next=closing.NEXT, bar=_bar,
            names=_NAMES,
        )  # fmt: skip

    async def signed_in(self) -> str:
        """A session at the operators' pages, a new one where the last is over."""
        async with self._signing_in:
            if not self._session or await self._operators.recognise(self._session) is None:
                password, name = self._person.password, _OPERATOR
                code = _code(self._person, SystemClock().now())
                self._session = await self._operators.sign_in(name, password, code)
            return self._session

    async def begin(self, participant_id: str) -> str:
        """A challenge's address for one of the volunteers; raises `ApiError`, `KeyError`."""
        known = {one.person.participant_id for one in self.volunteers}
        if participant_id not in known or self._core is None:
            raise KeyError(participant_id)
        asked = {"participant_id": participant_id, "return_url": self.return_url}
        link = await self._core.call("POST", "/v1/links", json=asked)
        url: str = link["challenge"]["url"]
        return url

    async def _volunteers(self) -> list[Volunteer]:
        """One at each partner that has somebody."""
        assert self._core is not None
        found: dict[str, Volunteer] = {}
        people = {person.participant_id: person for person in self.cohort.people}
        for blocker in _MAY_BEGIN:
            with contextlib.suppress(ApiError, httpx.HTTPError):
                told = await self._core.call("GET", "/v1/incentives", params={"blocker": blocker})
                for row in told["incentives"]:
                    person = people[row["participant_id"]]
                    found.setdefault(person.partner, Volunteer(person=person, blocker=blocker))
        return [found[partner] for partner in sorted(found)]


def _code(person: Enrolled, at: datetime) -> str:
    """What the operator's authenticator app shows."""
    secret = parse_qs(urlsplit(person.totp_uri).query)["secret"][0]
    # Authenticator apps know SHA-1 and nothing else; HMAC does not need its collision resistance.
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP_S).generate(int(at.timestamp())).decode()  # noqa: S303


def _html(stage: Stage, text: str, status: int = 200) -> Response[str]:
    # Browsers hold the redirect after a form against `form-action` too: a challenge is the API's page.
    name, targets = "Content-Security-Policy", f"form-action 'self' {stage.cluster.api_url}"
    headers = HEADERS | {name: HEADERS[name].replace("form-action 'self'", targets)}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)


def _to(address: str) -> Response[Any]:
    return Response(None, status_code=303, headers={"Location": address, **HEADERS})


def _message(stage: Stage, title: str, text: str, status: int = 200) -> Response[str]:
    return _html(stage, _ENVIRONMENT.get_template("stage_message.html").render(title=title, text=text), status)


@get("/")
async def show(request: Call) -> Response[str]:
    """The page."""
    stage: Stage = request.app.state.stage
    return _html(stage, stage.page())


@get("/ops")
async def to_ops(request: Call) -> Response[Any]:
    """To the operators' pages, signed in: a cookie is the host's, whatever the port."""
    stage: Stage = request.app.state.stage
    answer = _to(stage.cluster.api_url + "/ops")
    session = await stage.signed_in()
    answer.set_cookie(Cookie(key=_COOKIE, value=session, path="/", httponly=True, samesite="strict"))
    return answer


@post("/be/{participant_id:str}")
async def be(request: Call, participant_id: FromPath[str]) -> Response[Any]:
    """To the participant's first page."""
    stage: Stage = request.app.state.stage
    origin = request.headers.get("origin")
    if origin is not None and origin != stage.url.rstrip("/"):
        return _message(stage, "Not from here", "The form comes from another site.", 403)
    try:
        return _to(await stage.begin(participant_id))
    except KeyError:
        return _message(stage, "Nobody of that name", "Go back and choose somebody of the list.", 404)
    except ApiError as error:
        return _message(stage, "No link can begin now", str(error), 409)


@get("/linked")
async def linked(request: Call) -> Response[str]:
    """Where Kartu Prakerja's own page would be."""
    return _message(
        request.app.state.stage,
        "Back at Prakerja",
        "Here the programme's own page would go on. At the operators' pages you see the link, the NIK check and, within"
        " seconds, the payment.",
    )


def _bar(tally: Tally) -> str:
    return pictures.bar(tally.settled, tally.settled - tally.paid, tally.due)


class _Server(uvicorn.Server):
    """Leaves signals to the demonstration."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def staged(cluster: Cluster, cohort: Cohort) -> AsyncIterator[Stage]:
    """The page, from now on until the end."""
    key = base64.b64decode(cluster.environment["GATEWAY_MASTER_KEY"])
    database = await Database.open(cluster.database_url, size=1)
    try:
        operators = Operators(database, SystemClock(), Vault(key))
        person = await operators.enrol(_OPERATOR, ("operator", "approver", "auditor"), actor="demo")
        stage = Stage(cluster, cohort, operators, person)
        app = Litestar(
            [show, to_ops, be, linked, read_asset], openapi_config=None, logging_config=None,
            # It hands out a session: no other name may lead here.
            allowed_hosts=[f"{name}:{cluster.page_port}" for name in ("127.0.0.1", "localhost")],
        )  # fmt: skip
        app.state.stage = stage
        with socket.create_server(("127.0.0.1", cluster.page_port)) as listening:
            config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1, lifespan="off")
            server = _Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listening]), name="stage")
            try:
                yield stage
            finally:
                server.should_exit = True
                await serving
    finally:
        await database.close()
