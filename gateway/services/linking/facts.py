"""What follows from a change of a link: the participant's facts, the queue of NIK checks, ownership.

Each function runs in its caller's transaction; the caller holds the participant's lock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.errors import Conflict
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkState
from gateway.security import places
from gateway.security.sealed import seal_grant
from gateway.security.vault import Vault
from gateway.services.payouts.ends import LIFTED_BY_LINK
from gateway.storage.base.database import Connection
from gateway.storage.intake import incentive_timers, participants
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.linking import links, owners, verifications
from gateway.storage.linking.links import LinkRow
from gateway.storage.ops import cases
from gateway.storage.ops.cases import NewCase

REFRESH_EARLY_S = 86_400.0
REFRESH_EVERY_S = 300.0
"""A grant is refreshed a day before its end, a shorter-lived one in the last tenth of its life."""


def must_be_known(person: ParticipantRow) -> None:
    """Raise `Conflict` where everything about the person was erased: nothing can begin for them."""
    if not person.account_sealed:
        raise Conflict(
            "The data of this participant were erased.",
            code="participant_erased",
            remedy="Hand the person over anew under another participant_id.",
        )


async def ended(
    connection: Connection,
    person: ParticipantRow,
    link: LinkRow,
    after: LinkState,
    because: BlockerCode,
    now: datetime,
    **more: object,
) -> LinkRow | None:
    """The link is over, and `because` holds for all of the participant's incentives unless another link has taken its
    place. `more`: other columns of the link. None: the link went another way meanwhile, nothing changed.
    """
    moved = await links.move(
        connection,
        link,
        after,
        now,
        ended_because=because.value,
        grant_sealed=None,
        carry_sealed=None,
        wants=[],
        health_due_at=None,
        refresh_at=None,
        unlink_due_at=None,
        **more,
    )
    if moved is None:
        return None
    await participants.link_ended(connection, person.id, link.id, because, now)
    await verifications.drop(connection, link.id, now)
    await let_go(connection, person.id, link.partner, link.account_index, now)
    return moved


async def let_go(connection: Connection, participant: int, partner: str, account_index: bytes, now: datetime) -> None:
    """The participant's match holds the account no longer: whoever matched it too is asked about again."""
    if not await owners.free(connection, participant, partner, account_index):
        return
    for other in await participants.with_account(connection, partner, account_index):
        if other.standing == BlockerCode.ACCOUNT_SHARED.value and other.link_id is not None:
            await verifications.open_beside(connection, other.id, other.link_id, other.nik_index, now)


async def held(
    connection: Connection, person: ParticipantRow, link: LinkRow, partner_code: str | None, now: datetime
) -> LinkRow | None:
    """The partner says that the account is linked already. By a link of ours that somebody has: this one waits for it.
    By one whose exchange was left without an answer: nobody has it and nothing would ever free it, so that the link is
    over with that truth, and an operator writes to the partner. None: the link went another way meanwhile.
    """
    lost = await links.unanswered(connection, link)
    if lost is None:
        return await links.move(
            connection, link, LinkState.WAITING, now,
            lives_until=None, carry_sealed=None, wants=[], partner_code=partner_code,
        )  # fmt: skip
    because = BlockerCode.LINK_HALF_DONE
    moved = await ended(connection, person, link, LinkState.FAILED, because, now, partner_code=partner_code)
    if moved is not None:
        await cases.open_cases(connection, now, [_letter(link.partner, lost)])
    return moved


def _letter(partner: str, lost: str) -> NewCase:
    detail = (
        f"the answer to the code exchange of link {lost} was lost and the partner has linked: ask it to release"
        f" the link made under {lost}; the participant may also release it in the partner's app"
    )
    return NewCase(code=BlockerCode.LINK_HALF_DONE, partner=partner, detail=detail)


async def doubted(connection: Connection, person: ParticipantRow, link: LinkRow, now: datetime) -> LinkRow | None:
    """The partner refuses the link's token: nothing is paid over it any more, and everything is kept for when the
    partner takes it back. None: the link went another way meanwhile.
    """
    moved = await links.move(connection, link, link.state, now, doubted_at=link.doubted_at or now)
    if moved is not None and link.state is LinkState.ACTIVE:
        await participants.link_ended(connection, person.id, link.id, BlockerCode.LINK_REVOKED, now)
        await verifications.drop(connection, link.id, now)
    return moved


async def stands(connection: Connection, person: ParticipantRow, link: LinkRow, now: datetime) -> None:
    """An active link that was in doubt, or of a blocked account, gives access again, and its NIK is checked again."""
    if person.link_id == link.id:
        await participants.link_granted(connection, person.id, link.id, now)
        await verifications.open_for(connection, person.id, link.id, person.nik_index, now)


async def granted(
    connection: Connection, vault: Vault, person: ParticipantRow, link: LinkRow, grant: Grant, now: datetime
) -> LinkRow | None:
    """The participant gave access: the link is active, its NIK is to be checked. None: it went another way."""
    moved = await links.move(
        connection,
        link,
        LinkState.ACTIVE,
        now,
        grant_sealed=seal_grant(vault, link.id, grant),
        grant_index=vault.index(places.grant_index(link.partner), grant.access_token.reveal()),
        grant_expires_at=grant.expires_at,
        refresh_at=refresh_at(grant, now),
        proved_at=now,
        carry_sealed=None,
        wants=[],
        last_input_wrong=False,
    )
    if moved is None:
        return None
    await participants.link_granted(connection, person.id, link.id, now)
    answered = await links.answered(connection, link)
    if answered:
        await participants.half_done_no_more(connection, link.partner, link.account_index, now)
    for lost in answered:
        case = _letter(link.partner, lost)
        await cases.close_by_text(connection, now, case, by="gateway")
    await incentive_timers.lift(connection, now, person.id, LIFTED_BY_LINK)
    await verifications.open_for(connection, person.id, link.id, person.nik_index, now)
    return moved


async def give_back(
    connection: Connection,
    link: LinkRow,
    because: BlockerCode,
    now: datetime,
    *,
    due_at: datetime,
    **more: object,
) -> LinkRow | None:
    """Have an active link given back to the partner at `due_at`; what that means for the participant follows once it
    is done. `more`: other columns of the link. None: the link went another way meanwhile.
    """
    return await links.move(
        connection,
        link,
        LinkState.UNLINKING,
        now,
        ended_because=because.value,
        unlink_due_at=due_at,
        unlink_tries=0,
        answers=0,
        wants=[],
        carry_sealed=None,
        **more,
    )


def refresh_at(grant: Grant, now: datetime) -> datetime | None:
    """When a grant is to be refreshed; None where it has no end. One that lives for seconds is refreshed when it is
    used: by itself no more often than `REFRESH_EVERY_S`. One that cannot be refreshed is good until its end.
    """
    if grant.expires_at is None:
        return None
    early_s = min(REFRESH_EARLY_S, (grant.expires_at - now).total_seconds() / 10) if grant.refresh_token else 0.0
    planned = grant.expires_at - timedelta(seconds=max(early_s, 0.0))
    return max(planned, now + timedelta(seconds=REFRESH_EVERY_S))
