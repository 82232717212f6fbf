"""`/ops`: what lifts a blocker, as buttons. Each operation of `contracts.lifting` is an act here, done by somebody with
the role, for a reason that is recorded before anything is done; the services decide whether it may be done at all.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from contracts.errors import Conflict, InvalidRequest, NotFound
from contracts.hold import HoldStage
from contracts.incentive import BlockerCode
from contracts.lifting import CLOSE, CLOSED_BY_HAND, LIFTED_BY
from contracts.secret import Secret
from gateway.clock import JAKARTA
from gateway.core import Core
from gateway.ops import words
from gateway.routes.ops.session import FORM_BYTES, Browser, form, own, page, signed_in, to
from gateway.security import personal
from gateway.services.intake.participants import Participants
from gateway.services.linking.proof import DOCUMENT, AccountProofs
from gateway.services.ops.operators import RoleMissing
from gateway.services.ops.shown import as_read
from gateway.services.payouts.settlements import REFUSED_FOR, SettledAs
from gateway.storage.ops import audit, story

REASON_MIN, REASON_MAX = 3, 300


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What an act is about: ids that its form carries along."""

    incentive: int | None = None
    participant: str | None = None
    partner: str | None = None
    read: str | None = None
    """What was shown of a pause or case (`as_read`)."""
    paused_for: str | None = None
    """Who has the partner paused and why, to be shown; no form carries it."""
    payout: int | None = None
    hold: int | None = None
    batch: str | None = None
    plan: str | None = None
    settlement: int | None = None
    endpoint: str | None = None
    case: int | None = None

    def given(self) -> dict[str, object]:
        """The ids that are there."""
        ids = msgspec.structs.asdict(self).items()
        return {name: value for name, value in ids if value is not None and name != "paused_for"}


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to fill in; `options`: a choice, "" for none of them."""

    name: str
    words: tuple[str, str]
    options: tuple[str, ...] = ()
    optional: bool = False
    kind: str = "text"


Typed = Mapping[str, str]
Deed = Callable[[Core, Target, Typed, str], Awaitable[str | None]]
"""Does it in the name of an actor; what is told afterwards, or None."""


@dataclass(frozen=True, slots=True)
class Act:
    """One button. `needs`: which id of the target it is about."""

    name: str
    needs: str
    words: tuple[str, str]
    do: Deed
    fields: tuple[Field, ...] = ()
    role: str = "operator"
    stops: bool = False
    """It keeps somebody from being paid."""


async def _link(core: Core, target: Target, _: Typed, actor: str) -> str:
    """The client that linked this participant before, or handed them over, is the one they come back to."""
    async with core.resources.database.connection() as connection:
        found = await story.way_back(connection, _name(target.participant))
    if found is None:
        raise Conflict(
            "No client has an address to which this participant could come back.",
            code="no_way_back",
            remedy="The core platform starts the link: POST /v1/links.",
        )
    client_id, url = found
    view = await core.linking.start(client_id, (url,), _name(target.participant), url)
    if view.challenge is None:
        return view.state.value
    return f"{view.challenge.url}"


async def _account(core: Core, target: Target, typed: Typed, actor: str) -> None:
    given = {"partner": typed["new_partner"], "account": typed["account"], "phone": typed["phone"]}
    secrets = {name: Secret(value) for name, value in given.items()}
    await core.corrections.correct(_name(target.participant), secrets, actor)


async def _correct(core: Core, target: Target, typed: Typed, actor: str) -> str | None:
    given = {typed["what"]: Secret(typed["value"])}
    done = await core.corrections.correct(_name(target.participant), given, actor)
    return "second_person_needed" if done.waits_for_second else None


async def _check(core: Core, target: Target, _: Typed, actor: str) -> None:
    await core.verification.request(_name(target.participant))


async def _move(core: Core, target: Target, _: Typed, actor: str) -> str:
    found = await core.payouts.hasten(_number(target.incentive), actor=actor)
    return "→" if found["hastened"] else "–"


async def _cancel(core: Core, target: Target, _: Typed, actor: str) -> None:
    await core.incentives.cancel(_number(target.incentive), actor=actor)


async def _settle(core: Core, target: Target, typed: Typed, actor: str) -> None:
    reason = BlockerCode(typed["refused_for"]) if typed["refused_for"] else None
    await core.settlements.propose(
        _number(target.payout),
        SettledAs(typed["verdict"]),
        reason=reason,
        document=typed["document"],
        why=typed["reason"],
        actor=actor,
    )


async def _confirm(core: Core, target: Target, _: Typed, actor: str) -> None:
    await core.settlements.confirm(_number(target.settlement), actor=actor)


async def _release(core: Core, target: Target, typed: Typed, actor: str) -> None:
    await core.partners.release(_number(target.hold), typed["reason"], actor=actor)


async def _close(core: Core, target: Target, typed: Typed, actor: str) -> None:
    await core.cases.close(_number(target.case), typed["reason"], actor=actor, read=target.read)


async def _pause(core: Core, target: Target, typed: Typed, actor: str) -> None:
    await core.partners.pause(_name(target.partner), typed["reason"], actor=actor)


async def _resume(core: Core, target: Target, _: Typed, actor: str) -> None:
    await core.partners.resume(_name(target.partner), actor=actor, read=target.read)


async def _ask_again(core: Core, target: Target, typed: Typed, actor: str) -> str:
    partner = _name(target.partner)
    core.partners.known(partner)
    asked = await core.brake.ask_again(
        partner, HoldStage(typed["stage"]), since=_at(typed["since"]), until=None, code=typed["code"] or None,
        actor=actor,
    )  # fmt: skip
    return str(asked)


async def _compare(core: Core, target: Target, typed: Typed, actor: str) -> None:
    try:
        day = date.fromisoformat(typed["day"])
    except ValueError:
        raise InvalidRequest("A day is written 2026-11-28.", field="day") from None
    await core.reconciliations.start(_name(target.partner), day, actor=actor)


async def _prove(core: Core, target: Target, typed: Typed, actor: str) -> None:
    await AccountProofs(core.resources).give(_name(target.participant), typed["document"], actor)


async def _approve(core: Core, target: Target, _: Typed, actor: str) -> None:
    """Approving is done on the batch's own page, where its content is shown; this puts up what has lapsed."""
    await core.batches.reapprove(actor, like=_name(target.batch))


async def _stop_batch(core: Core, target: Target, _: Typed, actor: str) -> None:
    await core.batches.stop(actor, _name(target.batch))


async def _stop_plan(core: Core, target: Target, _: Typed, actor: str) -> None:
    await core.plans.stop(actor, _name(target.plan))


async def _stop_person(core: Core, target: Target, _: Typed, actor: str) -> None:
    await Participants(core.resources).stop(_name(target.participant), actor)


async def _revive(core: Core, target: Target, _: Typed, actor: str) -> None:
    await core.webhooks.replay(None, _name(target.endpoint), None, None, dead=True, actor=actor)


async def _enable(core: Core, target: Target, _: Typed, actor: str) -> None:
    await core.webhooks.enable(None, _name(target.endpoint), actor=actor)


async def _try(core: Core, target: Target, _: Typed, actor: str) -> str:
    tried = await core.webhooks.test(None, _name(target.endpoint))
    return f"{tried.status or ''} {tried.error or 'ok'}, {tried.took_ms} ms".strip()


_DOCUMENT = Field("document", ("Nama atau nomor dokumen mitra", "Name or number of the partner's document"))
_DAY = Field("day", ("Hari (WIB)", "Day (Jakarta)"), kind="date")
_OTHER_ACCOUNT = (
    Field("new_partner", ("Mitra", "Partner")),
    Field("account", ("Akun baru", "New account")),
    Field("phone", ("Telepon", "Phone")),
)
_SETTLING = (
    Field("verdict", ("Menurut dokumen", "The document says"), tuple(one.value for one in SettledAs)),
    Field(
        "refused_for", ("Ditolak karena", "Refused because"), ("", *(one.value for one in REFUSED_FOR)), optional=True
    ),
    _DOCUMENT,
)

ACT_OF: dict[str, Act] = {
    "POST /v1/links": Act("link", "participant", ("Buat tautan sambungan baru", "Make a new linking address"), _link),
    "PUT /v1/participants/{participant_id}/account": Act(
        "account", "participant", ("Ganti akun", "Change the account"), _account, _OTHER_ACCOUNT
    ),
    "PUT /v1/participants/{participant_id}": Act(
        "correct",
        "participant",
        ("Perbaiki data peserta", "Correct the participant's data"),
        _correct,
        (
            Field("what", ("Data", "What"), ("nik", "full_name", "phone")),
            Field("value", ("Yang benar", "The right one")),
        ),
    ),
    "POST /v1/verifications": Act("check", "participant", ("Cocokkan NIK lagi", "Check the NIK again"), _check),
    "POST /v1/payouts": Act("move", "incentive", ("Coba sekarang", "Try now"), _move),
    "POST /v1/incentives/{incentive_id}/cancel": Act(
        "cancel", "incentive", ("Batalkan insentif", "Cancel the incentive"), _cancel, stops=True
    ),
    "POST /v1/settlements": Act(
        "settle", "payout", ("Ajukan dokumen mitra", "Bring the partner's document"), _settle, _SETTLING
    ),
    "POST /v1/partners/holds/{hold_id}/release": Act(
        "release", "hold", ("Lepas penahanan", "Release the hold"), _release
    ),
    "POST /v1/partners/{partner}/resume": Act("resume", "partner", ("Jalankan lagi", "Resume"), _resume),
    "POST /v1/reconciliations": Act("compare", "partner", ("Cocokkan hari", "Reconcile a day"), _compare, (_DAY,)),
    "POST /v1/participants/{participant_id}/account-proof": Act(
        "prove", "participant", ("Bukti akun dari mitra", "The partner's proof of the account"), _prove, (_DOCUMENT,)
    ),
    "POST /v1/batches/reapprovals": Act(
        "approve", "batch", ("Ajukan yang gugur untuk disetujui", "Put up what has lapsed for approval"), _approve
    ),
    CLOSE: Act("close", "case", ("Tutup kasus", "Close the case"), _close),
}
"""By operation that lifts a blocker."""
OTHERS = (
    Act("confirm", "settlement", ("Benarkan dokumen", "Confirm the document"), _confirm),
    Act("pause", "partner", ("Hentikan pembayaran", "Pause payouts"), _pause, stops=True),
    Act(
        "ask-again", "partner", ("Tanyakan lagi yang ditolak", "Ask again about who was refused"), _ask_again,
        (
            Field("stage", ("Tahap", "Stage"), tuple(one.value for one in HoldStage)),
            Field("since", ("Sejak (WIB)", "Since (Jakarta)"), kind="datetime-local"),
            Field("code", ("Kode, bila hanya itu", "Code, if only that"), optional=True),
        ),
    ),
    Act("stop-batch", "batch", ("Hentikan berkas", "Stop the batch"), _stop_batch, stops=True),
    Act("stop-plan", "plan", ("Hentikan rencana", "Stop the plan"), _stop_plan, stops=True),
    Act(
        "stop-person", "participant", ("Hentikan pembayaran orang ini", "Stop this person's payments"), _stop_person,
        stops=True,
    ),
    Act("revive", "endpoint", ("Kirim ulang surat mati", "Deliver dead letters again"), _revive),
    Act("enable", "endpoint", ("Aktifkan", "Enable"), _enable),
    Act("try", "endpoint", ("Coba panggil", "Call it now"), _try),
)  # fmt: skip
ACTS = {act.name: act for act in (*ACT_OF.values(), *OTHERS)}
assert ACTS.keys() == words.ACTS.keys(), "each says what it does"


def lifting(code: BlockerCode, *targets: Target) -> list[tuple[Act, Target]]:
    """What lifts a blocker, the first that helps first, each with the target that it is about; none where the id that
    it needs is not known (nothing is held, say).
    """
    found = []
    for operation in LIFTED_BY[code]:
        act = ACT_OF[operation]
        found += [(act, target) for target in targets if act.needs in target.given()]
    return found


def closing(*rows: story.Row) -> list[tuple[Act, Target]]:
    """Of some cases those that are open, and that a person closes."""
    found = [row for row in rows if row["closed_at"] is None and BlockerCode(row["code"]) in CLOSED_BY_HAND]
    return [(ACT_OF[CLOSE], Target(case=row["id"], read=as_read(row["opened_at"], row["detail"]))) for row in found]


@post("/acts/{name:str}", guards=[signed_in()], request_max_body_size=FORM_BYTES)
async def act(core: NamedDependency[Core], request: Browser, name: FromPath[str]) -> Response[Any]:
    """Do one of them. Who and why are recorded first; then the service does it, or says why not."""
    chosen = ACTS.get(name)
    if chosen is None:
        raise NotFound("There is no such action.")
    if chosen.role not in request.auth.roles:
        raise RoleMissing(chosen.role)
    typed = await form(request)
    back = typed.pop("back", "")
    reason = typed.get("reason", "")
    if not REASON_MIN <= len(reason) <= REASON_MAX:
        raise InvalidRequest(f"A reason has {REASON_MIN} to {REASON_MAX} characters.", field="reason")
    filled = _filled(chosen, typed)
    personal.refuse(reason, "reason")
    target = _target(typed)
    if chosen.needs not in target.given():
        raise InvalidRequest("Load the page again: the form does not say what it is about.")
    actor, now = request.auth.client_id, core.resources.clock.now()
    async with core.resources.database.transaction() as connection:
        subject = str(target.given()[chosen.needs])
        await audit.record(connection, now, actor, f"ops.{name}", subject, {"reason": reason} | _ids(target))
    told = await chosen.do(core, target, filled | {"reason": reason}, actor)
    where = own(back)
    if told is None:
        return to(where)
    return page(request, "done.html", act=chosen, told=told, back=where)


def _filled(chosen: Act, typed: Typed) -> dict[str, str]:
    """The act's own fields; raises `InvalidRequest` for one that is missing or none of its options."""
    filled = {}
    for one in chosen.fields:
        value = typed.get(one.name, "")
        if not value and not one.optional:
            raise InvalidRequest("Fill in every field.", field=one.name)
        if one.options and value not in one.options:
            raise InvalidRequest("Choose one of what is offered.", field=one.name)
        if len(value) > REASON_MAX or (one is _DOCUMENT and not re.fullmatch(DOCUMENT, value)):
            raise InvalidRequest(f"{one.words[1]}: a file's name or number, nothing of the person.", field=one.name)
        filled[one.name] = value
    return filled


def _target(typed: Typed) -> Target:
    names = [field.name for field in msgspec.structs.fields(Target)]
    try:
        return msgspec.convert({name: typed[name] for name in names if typed.get(name)}, Target, strict=False)
    except msgspec.ValidationError:
        raise InvalidRequest("Load the page again: an id of the form cannot be read.") from None


def _ids(target: Target) -> dict[str, object]:
    return {name: str(value) for name, value in target.given().items()}


def _name(value: str | None) -> str:
    assert value is not None, "what the act needs is there"
    return value


def _number(value: int | None) -> int:
    assert value is not None, "what the act needs is there"
    if not 0 < value < 2**63:
        raise NotFound("There is no such number.")
    return value


def _at(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=JAKARTA)
    except ValueError:
        raise InvalidRequest("A time is written 2026-11-28T09:00.", field="since") from None
