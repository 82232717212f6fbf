"""Everything on record about one incentive, as one document that holds nothing of who the person is."""

from __future__ import annotations

from typing import Any

from gateway.storage.base.database import Connection

MOST = 500
"""Rows of one kind."""

_STORY = """
WITH i AS (SELECT * FROM incentives WHERE id = $1),
b AS (SELECT b.* FROM batches b WHERE b.id IN (SELECT batch_id FROM i
      UNION SELECT r.batch_id FROM reapprovals r WHERE r.incentive = $1)),
l AS (SELECT l.* FROM links l WHERE l.participant = (SELECT participant FROM i)),
p AS (SELECT * FROM payouts WHERE incentive = $1)
SELECT json_build_object(
    'incentive', (SELECT json_build_object('id', id::text, 'participant_id', participant_id, 'programme', programme,
        'purpose', purpose, 'period', period, 'partner', partner, 'amount_rupiah', amount_rupiah, 'due_on', due_on,
        'deadline_on', deadline_on, 'stage', stage, 'blocker', blocker, 'organisation', organisation,
        'digest', encode(digest, 'hex'), 'created_at', created_at) FROM i),
    'handed_over', (SELECT json_agg(json_build_object('batch_id', id, 'client_id', client_id,
        'person', person_of(client_id), 'reapproval', reapproval, 'plan_id', plan_id,
        'content_root', encode(content_root, 'hex'), 'received_at', received_at,
        'state', state, 'decided_at', decided_at) ORDER BY received_at) FROM b),
    'approved', (SELECT json_agg(json_build_object('batch_id', batch_id, 'client_id', client_id,
        'person', person_of(client_id), 'decision', decision, 'content_root', encode(content_root, 'hex'), 'at', at)
        ORDER BY at) FROM approvals WHERE batch_id IN (SELECT id FROM b)),
    'plan_approved', (SELECT json_agg(json_build_object('plan_id', plan_id, 'client_id', client_id,
        'person', person_of(client_id), 'decision', decision, 'content_root', encode(content_root, 'hex'), 'at', at)
        ORDER BY seq) FROM (SELECT * FROM plan_approvals WHERE plan_id IN (SELECT plan_id FROM b) ORDER BY seq
        LIMIT $2) AS few),
    'links', (SELECT json_agg(json_build_object('id', id, 'partner', partner, 'state', state,
        'ended_because', ended_because, 'created_at', created_at, 'updated_at', updated_at) ORDER BY created_at)
        FROM (SELECT * FROM l ORDER BY created_at LIMIT $2) AS few),
    'consented', (SELECT json_agg(json_build_object('link_id', link_id, 'text_version', text_version,
        'channel', channel, 'at', at) ORDER BY at)
        FROM (SELECT * FROM consents WHERE link_id = ANY(ARRAY(SELECT id FROM l)) ORDER BY at LIMIT $2) AS few),
    'checked', (SELECT json_agg(json_build_object('id', id::text, 'link_id', link_id, 'state', state,
        'verdict', verdict, 'partner_code', partner_code, 'decided_at', decided_at, 'expires_at', expires_at)
        ORDER BY created_at) FROM (SELECT * FROM verifications WHERE participant = (SELECT participant FROM i)
        ORDER BY created_at LIMIT $2) AS few),
    'payouts', (SELECT json_agg(json_build_object('id', id::text, 'reference', reference, 'link_id', link_id,
        'partner', partner, 'amount_rupiah', amount_rupiah, 'state', state, 'attempt', attempt,
        'partner_reference', partner_reference, 'body_hmac', encode(substring(frozen_hash FROM 2), 'hex'),
        'first_sent_at', first_sent_at, 'reason', reason, 'created_at', created_at, 'ended_at', ended_at)
        ORDER BY id) FROM p),
    'sent', (SELECT json_agg(json_build_object('subject', subject, 'at', at, 'operation', operation,
        'effect', effect, 'status', status, 'error', error, 'left_us', left_us) ORDER BY at)
        FROM (SELECT * FROM exchanges WHERE subject = ANY(ARRAY(SELECT id::text FROM p UNION SELECT id FROM l))
        ORDER BY at LIMIT $2) AS few),
    'came_back', (SELECT json_agg(json_build_object('payout', payout::text, 'source', source, 'attempt', attempt,
        'kind', kind, 'reason', reason, 'partner_code', partner_code, 'at', at) ORDER BY id)
        FROM (SELECT * FROM observations WHERE payout = ANY(ARRAY(SELECT id FROM p)) ORDER BY id LIMIT $2) AS few),
    'booked', (SELECT json_agg(json_build_object('payout', payout::text, 'kind', kind, 'debit', debit,
        'credit', credit, 'amount_rupiah', amount_rupiah, 'at', at) ORDER BY id)
        FROM ledger WHERE payout = ANY(ARRAY(SELECT id FROM p))),
    'cases', (SELECT json_agg(json_build_object('id', id::text, 'code', code, 'opened_at', opened_at,
        'closed_at', closed_at, 'closed_by', closed_by) ORDER BY id)
        FROM (SELECT * FROM cases WHERE incentive = $1 OR payout = ANY(ARRAY(SELECT id FROM p))
        ORDER BY id LIMIT $2) AS few),
    'decided', (SELECT json_agg(json_build_object('seq', seq, 'at', at, 'actor', actor, 'action', action,
        'subject', subject) ORDER BY seq)
        FROM (SELECT * FROM (SELECT * FROM audit_log WHERE subject COLLATE "default" = ANY(ARRAY(SELECT $1::text
            UNION SELECT participant_id FROM i UNION SELECT id FROM b UNION SELECT id FROM l
            UNION SELECT id::text FROM p)) OFFSET 0) AS its ORDER BY seq LIMIT $2) AS few)
)::text WHERE EXISTS (SELECT FROM i)
"""


async def story(connection: Connection, incentive: int) -> str | None:
    """The document as JSON; None: there is no such incentive."""
    found: Any = await connection.fetchval(_STORY, incentive, MOST)
    return None if found is None else str(found)
