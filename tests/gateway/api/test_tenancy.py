"""What one organisation handed over is not there for another; and two clients of one person are one pair of eyes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contracts.errors import InvalidRequest
from gateway.core import Core
from gateway.security import clients, tenancy
from gateway.security.clients import register
from gateway.services.messages.delivery import Deliverer
from gateway.services.messages.post import Delivery
from gateway.storage.access import clients as stored
from gateway.storage.access.owners import OWNERS
from gateway.storage.messages import events
from tests.gateway.api.kit import Api, as_csv, nik, row
from tests.gateway.plans.kit import approved, complete, entitle, outcomes, person, plan, propose, say
from tests.turns import in_turn

MAKING = ("links", "verifications", "incentives", "payouts", "batches", "read")
BACK = "https://core.test/back"


async def admit(api: Api, role: str, scopes: tuple[str, ...], **more: Any) -> None:
    """One more client with a token."""
    made = await register(
        api.core.resources.database,
        api.core.resources.clock.now(),
        name=role,
        scopes=scopes,
        return_urls=[BACK],
        **more,
    )
    reply = await api.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=httpx.BasicAuth(made.client_id, made.secret),
    )
    api.tokens[role], api.ids[role] = reply.json()["access_token"], made.client_id


class First:
    """Everything that the first organisation has."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.words: set[str] = set()
        """What must stand in no answer to anybody else."""


@pytest.fixture
async def first(api: Api) -> First:
    """A batch approved, a link begun, a check, a payout, a case, a settlement, an endpoint; and another organisation's
    maker, reader and approver.
    """
    found = First()
    batch = (await api.submit(as_csv([row(1), row(2), row(3, nik="1")]))).json()
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).status_code == 200
    someone = row(1)["participant_id"]
    link = (await api.call("POST", "/v1/links", json={"participant_id": someone, "return_url": BACK})).json()
    endpoint = (await api.call("POST", "/v1/webhook-endpoints", json={"url": "https://hooks.test/first"})).json()
    (incentive,) = await api.fetch("SELECT id, participant FROM incentives ORDER BY id LIMIT 1")
    await api.fetch(
        "INSERT INTO verifications (id, participant, link_id, nik_index, state, created_at)"
        " VALUES (4711, $1, $2, '', 'decided', now())",
        incentive["participant"],
        link["link_id"],
    )
    await api.fetch(
        "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state, sent_at,"
        " created_at, updated_at) VALUES (88001122334455667, '1088001122334455667', $1, $2, $3, 'ovo', 600000,"
        " 'unknown', now(), now(), now())",
        incentive["id"],
        incentive["participant"],
        link["link_id"],
    )
    await api.fetch(
        "INSERT INTO cases (id, code, partner, payout, incentive, detail, opened_at, due_at)"
        " VALUES (99001122334455667, 'outcome_unknown', 'ovo', 88001122334455667, $1, 'first-evidence', now(), now())",
        incentive["id"],
    )
    proposal = {
        "payout_id": "88001122334455667",
        "verdict": "paid",
        "document": "letter 7",
        "why": "the partner says so",
    }
    settlement = await api.call("POST", "/v1/settlements", role="operator", json=proposal)
    assert settlement.status_code == 201, settlement.text
    plan_id = await approved(api)
    (entitled,) = await entitle(api, plan_id, person(30))
    found.ids = {
        "plan_id": plan_id,
        "entitlement_id": entitled["entitlement_id"],
        "participant_id": someone,
        "batch_id": batch["batch_id"],
        "link_id": link["link_id"],
        "webhook_endpoint_id": endpoint["endpoint"]["webhook_endpoint_id"],
        "incentive_id": str(incentive["id"]),
        "verification_id": "4711",
        "payout_id": "88001122334455667",
        "case_id": "99001122334455667",
        "settlement_id": settlement.json()["settlement_id"],
        "partner": "ovo",
        "reconciliation_id": "1",
        "hold_id": "1",
    }
    found.words = {
        someone, row(2)["participant_id"], row(30)["participant_id"], plan_id,
        entitled["entitlement_id"], batch["batch_id"], batch["content_root"], link["link_id"],
        link["challenge"]["url"], found.ids["webhook_endpoint_id"], "hooks.test", "88001122334455667", "first-evidence",
        "1088001122334455667", "99001122334455667", '"submitted_by":"maker"',
    }  # fmt: skip
    await admit(api, "other maker", MAKING)
    await admit(api, "other reader", ("read",), organisation="other-maker")
    await admit(api, "other approver", ("batches:approve", "read"), organisation="other-maker")
    return found


OTHERS = ("other maker", "other reader", "other approver")


async def test_no_operation_says_or_changes_anything_of_another_organisation(api: Api, first: First) -> None:
    """Every operation of the description, with the first organisation's ids wherever an id can stand."""
    document = (await api.http.get("/schema")).json()
    schemas = document["components"]["schemas"]
    tried = 0
    before = await api.state()
    for path, operations in sorted(document["paths"].items()):
        if not path.startswith("/v1/"):
            continue
        names = re.findall(r"{(\w+)}", path)
        assert all(name in OWNERS or name in tenancy.SHARED for name in names), f"{path}: whose is it?"
        for method, operation in operations.items():
            asked = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
            query = {name: first.ids[name] for name in asked & first.ids.keys() if name != "partner"}
            body = _body(operation, schemas, first)
            for role in OTHERS:
                for params in {tuple(query.items()), ()}:
                    reply = await api.call(
                        method.upper(),
                        path.format(**first.ids),
                        role=role,
                        params=dict(params),
                        key=f"walk-{tried}",
                        **({} if body is None else {"json": body}),
                    )
                    tried += 1
                    said = [word for word in first.words if word in reply.text]
                    assert not said, f"{method} {path} as {role}: {said}"
                    owned = [name for name in names if name in OWNERS or name == "webhook_endpoint_id"]
                    assert not (owned and reply.status_code < 400), f"{method} {path} as {role}: {reply.text}"
                    if owned and reply.status_code not in (403, 404):
                        assert reply.status_code == 400 and "body" in reply.text, f"{method} {path}: {reply.text}"
    assert tried > 100
    after = await api.state()
    own = {"idempotency", "access_tokens", "webhook_endpoints", "audit_log", "programmes", "purposes"}
    changed = {table for table in before if before[table] != after[table]} - own
    assert not changed, changed


FILTERS = {
    "number": ["88001122334455667", "1088001122334455667"], "programme": ["prakerja-2026-1", "a"],
    "partner": ["ovo"], "ended_on": ["2026-11-20"], "ended_from": ["2026-11-20"], "ended_until": ["2026-11-20"],
    "at_risk_days": ["400"],
}  # fmt: skip


async def test_no_filter_finds_or_counts_anything_of_another_organisation(api: Api, first: First) -> None:
    """Each filter of each list by itself, with every value that it takes."""
    document = (await api.http.get("/schema")).json()
    await api.fetch("UPDATE payouts SET ended_at = '2026-11-20T12:00:00Z'")
    found = 0
    for path, operations in sorted(document["paths"].items()):
        if "{" in path or not path.startswith("/v1/") or "get" not in operations:
            continue
        for name, value in _filters(operations["get"], document, first):
            theirs, ours = [
                await api.call("GET", path, role=role, params={name: value}) for role in ("other reader", "reader")
            ]
            assert (theirs.status_code, ours.status_code) == (200, 200), (path, name, value, theirs.text)
            assert not [word for word in first.words if word in theirs.text], (path, name, value)
            assert theirs.json().get("incentives") in (None, 0, []), (path, name, value)
            found += any(word in ours.text for word in first.words)
    assert found > 15, "whose they are finds them"


def _filters(operation: dict[str, Any], document: dict[str, Any], first: First) -> Iterator[tuple[str, str]]:
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] != "query" or name in ("cursor", "after", "limit"):
            continue
        named = re.findall(r"#/components/schemas/(\w+)", str(parameter))
        schemas = [parameter["schema"], *(document["components"]["schemas"][one] for one in named)]
        listed = [value for schema in schemas for value in schema.get("enum", ())]
        yield from ((name, value) for value in FILTERS.get(name) or listed or [first.ids[name]])


def _body(operation: dict[str, Any], schemas: dict[str, Any], first: First) -> dict[str, Any] | None:
    """A body that could do harm: the first organisation's ids, and a new account or return address."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = schemas[content["schema"]["$ref"].rsplit("/", 1)[-1]]
    values: dict[str, Any] = first.ids | {
        "return_url": BACK, "partner": "ovo", "account": "+6281299990000", "phone": "+6281299990000",
        "decision": "reject", "content_root": "0" * 64, "document": "letter 8", "verdict": "paid", "why": "because",
        "inputs": {"otp": "1"}, "url": "https://other.test/hook", "types": [], "programme": "a",
        "purposes": ["training"], "reason": "because", "date": "2026-01-01",
        "entitlements": [person(31)],
        "completions": [{"participant_id": row(30)["participant_id"], "finished_on": "2026-11-01"}],
    }  # fmt: skip
    body = {name: values[name] for name in schema["properties"] if name in values}
    if "incentive_id" in body and schema["properties"]["incentive_id"].get("type") == "integer":
        body["incentive_id"] = int(body["incentive_id"])
    return body


@in_turn("name", sorted(OWNERS))
async def test_another_organisations_row_is_told_as_one_that_is_not_there(api: Api, first: First, name: str) -> None:
    paths = [p for p in (await api.http.get("/schema")).json()["paths"].items() if f"{{{name}}}" in p[0]]
    absent = {"participant_id": "P9", "link_id": "L1", "batch_id": "b1", "plan_id": "pl1"}.get(name, "1234567")
    for path, operations in paths:
        for method in operations:
            if method != "get":
                continue
            theirs, nobodys = [
                await api.call(
                    "GET",
                    path.format(**(first.ids | {name: value})),
                    role="other maker",
                    headers={"X-Request-Id": "the-same"},
                )
                for value in (first.ids[name], absent)
            ]
            assert (theirs.status_code, theirs.content) == (nobodys.status_code, nobodys.content), path
            noted = await api.fetch("SELECT data FROM audit_log WHERE action = 'act.refused' ORDER BY seq DESC LIMIT 2")
            assert [row["data"]["ids"][-1:] for row in noted] == [[absent], [first.ids[name]]], (
                "both leave the same trace"
            )


async def test_who_was_disabled_a_moment_ago_decides_nothing(api: Api) -> None:
    """A process takes the token for some seconds longer."""
    batch = (await api.submit(as_csv([row(1)]))).json()
    assert (await api.decide(batch, "one")).status_code == 200
    assert (await api.call("GET", "/v1/funnel", role="two")).status_code == 200
    database, now = api.core.resources.database, api.core.resources.clock.now()
    await clients.disable(database, now, api.ids["two"])
    before = await api.state()
    reply = await api.decide(batch, "two")
    assert (reply.status_code, reply.json()["code"]) == (403, "client_disabled")
    assert await api.state() == before
    async with database.connection() as connection:
        for pair, decides in ((("one", "three"), True), (("one", "two"), False), (("two", "one"), False)):
            assert await stored.seconded(connection, *pair) is decides
    assert (await api.decide(batch, "three")).json()["state"] == "approved"


async def test_an_id_in_a_body_is_looked_at_as_it_is_acted_on(api: Api) -> None:
    """A check that takes another spelling for no id at all lets everybody through to whose it is."""
    made = (await api.call("POST", "/v1/incentives", key="k", json=row(1))).json()["incentive"]["incentive_id"]
    await admit(api, "other", ("payouts", "read"))
    assert (await api.call("POST", "/v1/payouts", role="other", json={"incentive_id": made})).status_code == 404
    before = await api.state()
    for spelled in (f"{made}\n", f"0{made}", f"00{made}\n"):
        for role in ("other", "maker"):
            reply = await api.call("POST", "/v1/payouts", role=role, json={"incentive_id": spelled})
            assert (reply.status_code, reply.json()["code"]) == (422, "field_invalid"), (role, spelled)
    proposal = {"verdict": "paid", "document": "BA 17", "why": "a letter", "payout_id": "1\n"}
    assert (await api.call("POST", "/v1/settlements", role="operator", json=proposal)).status_code == 422
    decision = {"decision": "approve", "content_root": "0" * 64 + "\n"}
    assert (await api.call("POST", "/v1/batches/b1/approvals", role="one", json=decision)).status_code == 422
    document = {"document": "BA 17\n"}
    path = "/v1/participants/P00000001/account-proof"
    assert (await api.call("POST", path, role="operator", json=document)).status_code == 422
    assert await api.state() == before
    with pytest.raises(tenancy.NotTheirs):
        await tenancy.must_own(api.core.resources.database, "elsewhere", {"incentive_id": f"{made}\n"})


async def test_nobody_else_finishes_a_training_under_a_plan(api: Api, first: First) -> None:
    """The plan is not there for another organisation; and under a plan of its own the person is not entitled."""
    body = {"completions": [{"participant_id": row(30)["participant_id"], "finished_on": "2026-11-01"}]}
    told = [
        await api.call("POST", "/v1/completions", role="other maker", json=body | {"plan_id": plan_id})
        for plan_id in (first.ids["plan_id"], "pl1")
    ]
    assert [reply.status_code for reply in told] == [404, 404]
    assert told[0].json()["detail"] == told[1].json()["detail"]
    theirs = (await api.call("POST", "/v1/plans", role="other maker", key="theirs", json=plan())).json()
    for role in ("one", "two"):
        assert (await say(api, theirs, role)).status_code == 200
    items = await complete(
        api, theirs["plan_id"], row(30)["participant_id"], finished_on="2026-11-01", role="other maker"
    )
    assert outcomes(items) == ["entitlement_unknown"]
    assert outcomes(await entitle(api, theirs["plan_id"], person(30, nik=nik(77)), role="other maker")) == [
        "participant_taken"
    ]
    assert not await api.fetch("SELECT FROM completions")


async def test_a_known_person_is_handed_over_by_nobody_else(api: Api, first: First) -> None:
    before = await api.fetch("SELECT * FROM participants WHERE participant_id = $1", first.ids["participant_id"])
    rows = [row(1), row(1, period="2"), row(1, period="3", nik=row(8)["nik"]), row(50)]
    batch = (await api.submit(as_csv(rows), role="other maker", key="theirs")).json()
    assert (batch["rows_accepted"], batch["rows_rejected"], batch["rows_repeated"]) == (1, 3, 0)
    results = await api.call("GET", f"/v1/batches/{batch['batch_id']}/results", role="other maker")
    assert {r["code"] for r in results.json()["rows"] if r["code"]} == {"participant_taken"}
    single = await api.call("POST", "/v1/incentives", role="other maker", key="one", json=row(1))
    assert (single.status_code, single.json()["code"]) == (409, "participant_taken")
    assert (
        await api.fetch("SELECT * FROM participants WHERE participant_id = $1", first.ids["participant_id"]) == before
    )
    listed = (await api.call("GET", "/v1/incentives", role="other maker")).json()["incentives"]
    assert [i["participant_id"] for i in listed] == [row(50)["participant_id"]]
    funnels = [(await api.call("GET", "/v1/funnel", role=r)).json() for r in ("other reader", "reader", "one")]
    assert [f["incentives"] for f in funnels] == [1, 2, 3], "each sees its own, who approves for all sees all"
    assert [sum(r["rows"] for r in f["rows_refused"]) for f in funnels] == [3, 1, 4]


async def test_the_same_persons_instalment_is_paid_once_whoever_hands_it_over(api: Api, first: First) -> None:
    """Another id for the same NIK: refused, without a word about who has it."""
    reply = await api.submit(as_csv([row(1, participant_id="Q1")]), role="other maker", key="theirs")
    results = await api.call("GET", reply.json()["results_url"], role="other maker")
    (told,) = results.json()["rows"]
    assert told["code"] == "nik_duplicate"
    assert first.ids["participant_id"] not in results.text


async def test_events_and_webhooks_tell_each_organisation_its_own(api: Api, first: First, core: Core) -> None:
    called: list[dict[str, Any]] = []
    await api.call("POST", "/v1/webhook-endpoints", role="other maker", json={"url": "https://hooks.test/o"})
    await api.submit(as_csv([row(n) for n in range(60, 63)]), role="other maker", key="theirs")
    await api.call("POST", "/v1/partners/ovo/pause", role="operator", json={"reason": "cut-off"})
    everything, theirs, ours = [
        (await api.call("GET", "/v1/events", role=role, params={"limit": 1_000})).json()["events"]
        for role in ("one", "other reader", "reader")
    ]
    partners = [e for e in everything if e["type"].startswith("partner.")]
    assert len(partners) >= 1
    assert len(theirs) + len(ours) - len(partners) == len(everything), (
        "each event is somebody's, a partner's everybody's"
    )
    people = {f"P{n:08d}" for n in range(60, 63)}
    assert {e["data"]["participant_id"] for e in theirs if "participant_id" in e["data"]} == people
    kinds = {e["type"] for e in ours}
    assert {"case.opened", "link.changed", "batch.approved", "incentive.changed"} <= kinds
    cursor, walked = None, []
    while True:
        params = {"limit": 2} | ({"after": cursor} if cursor else {})
        page = (await api.call("GET", "/v1/events", role="other reader", params=params)).json()
        if not page["events"]:
            break
        walked += page["events"]
        cursor = page["next_cursor"]
    assert [e["cursor"] for e in walked] == [e["cursor"] for e in theirs], "paging leaves none out"

    await _looked_at_by_key_and_no_more_than_asked_for(api, core)

    class Posts:
        async def send(self, url: str, secrets: Any, message: str, at: Any, body: bytes) -> Delivery:
            called.append({"url": url, "body": body.decode()})
            return Delivery(status=200, error=None, took_ms=1)

        async def close(self) -> None: ...

    resources = core.resources
    deliverer = Deliverer(resources.database, resources.clock, resources.vault, Posts(), name="w")  # type: ignore[arg-type]
    for _ in range(3):
        await deliverer.tick()
        await deliverer.settle()
    bodies = [c["body"] for c in called if c["url"] == "https://hooks.test/o"]
    assert any("P00000060" in body for body in bodies)
    assert not [body for body in bodies if any(word in body for word in first.words)]
    assert any(row(1)["participant_id"] in c["body"] for c in called if c["url"] == "https://hooks.test/first")


async def _looked_at_by_key_and_no_more_than_asked_for(api: Api, core: Core) -> None:
    """The statement says of each event what the schema's own function says, by one probe of a key each."""
    whose = {r["organisation"] for r in await api.fetch("SELECT DISTINCT organisation FROM clients")} - {None}
    sizes: list[int] = []
    read_after = events.read_after

    async def counted(connection: Any, tx: int, seq: int, limit: int, **more: Any) -> list[events.Event]:
        sizes.append(limit)
        return await read_after(connection, tx, seq, limit, **more)

    async with core.resources.database.connection() as connection:
        for organisation in whose:
            page = await read_after(connection, 0, 0, 1_000, organisation=organisation)
            said = await connection.fetch(
                "SELECT event_is_of($1, type, subject, data) AS mine FROM events_after('0', 0, 1000)", organisation
            )
            assert [one.mine for one in page] == [one["mine"] for one in said]
            assert {one.mine for one in page} == {True, False}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(events, "read_after", counted)
                found, _ = await events.read_own(connection, organisation, 0, 0, 1)
            assert len(found) == 1
    assert set(sizes) == {1, events._LOOKED_AT}, "more than was asked for only behind what is all somebody else's"


async def test_what_waits_at_a_held_partner_is_told_to_whose_it_is(api: Api, first: First) -> None:
    """A sum over everybody less one's own is somebody else's."""
    await api.fetch(
        "UPDATE participants SET link_active = true, verified = true, verified_until = now() + interval '1 day',"
        " facts_at = now()"
    )
    await api.fetch(
        "UPDATE payouts SET state = 'submitting', next_at = NULL, sent_deadline = now() + interval '1 hour'"
    )
    mine = as_csv([row(n, amount_rupiah=10_000 + n) for n in (60, 61)])
    batch = (await api.submit(mine, role="other maker", key="theirs")).json()
    for role in ("one", "other approver"):
        assert (await api.decide(batch, role)).status_code == 200
    await api.fetch(
        "UPDATE participants SET link_active = true, verified = true, verified_until = now() + interval '1 day',"
        " facts_at = now() WHERE NOT link_active"
    )
    await api.call("POST", "/v1/partners/ovo/pause", role="operator", json={"reason": "cut-off"})
    loads = {}
    for role in ("reader", "other reader", "operator"):
        partners = (await api.call("GET", "/v1/partners", role=role)).json()["partners"]
        (loads[role],) = [tuple(one["load"].values()) for one in partners if one["partner"] == "ovo"]
    assert loads["other reader"] == (0, 2, 20_121)
    assert loads["reader"][0] == 1
    assert loads["operator"] == tuple(a + b for a, b in zip(loads["reader"], loads["other reader"], strict=True))


async def test_lapsed_approvals_are_put_up_by_whose_they_are(api: Api, first: First) -> None:
    await api.fetch("UPDATE incentives SET approved = false, lapsed_at = now()")
    theirs = await api.call("POST", "/v1/batches/reapprovals", role="other maker", key="r")
    assert (theirs.status_code, theirs.json()["code"]) == (409, "nothing_lapsed")
    ours = await api.call("POST", "/v1/batches/reapprovals", key="r")
    assert ours.json()["rows_accepted"] == 2


async def test_two_clients_of_one_person_are_one_pair_of_eyes(api: Api) -> None:
    await admit(api, "ani at home", ("batches:approve", "read"), person="ani")
    await admit(api, "ani at work", ("batches:approve", "read"), person="ani")
    await admit(api, "ani makes", MAKING, person="ani")
    batch = (await api.submit(as_csv([row(1)]))).json()
    assert (await api.decide(batch, "ani at home")).status_code == 200
    second = await api.decide(batch, "ani at work")
    assert (second.status_code, second.json()["code"]) == (403, "second_person_needed")
    assert (await api.decide(batch, "ani at home", "withdraw")).status_code == 200
    assert (await api.decide(batch, "ani at work")).json()["approvals_missing"] == 1
    assert (await api.decide(batch, "two")).json()["state"] == "approved"
    own = (await api.submit(as_csv([row(2)]), role="ani makes", key="own")).json()
    refused = await api.decide(own, "ani at home")
    assert (refused.status_code, refused.json()["code"]) == (403, "own_batch")
    tries = await api.fetch("SELECT actor, subject, data FROM audit_log WHERE action = 'act.refused' ORDER BY seq")
    assert [(t["actor"], t["subject"], t["data"]["code"], t["data"]["ids"]) for t in tries] == [
        ("ani-at-work", "/v1/batches", "second_person_needed", [batch["batch_id"]]),
        ("ani-at-home", "/v1/batches", "own_batch", [own["batch_id"]]),
    ]


async def test_nobody_approves_the_account_or_nik_that_they_have_given_somebody(api: Api) -> None:
    """By another client of theirs, or at /ops; who changed a phone, or somebody else's account, is as any other."""
    people = {"links": ("links", "incentives", "read"), "decides": ("batches:approve", "read")}
    for who in ("ani", "budi", "cici", "dina"):
        for duty, scopes in people.items():
            more = {"organisation": "prakerja"} if duty == "links" else {}
            await admit(api, f"{who} {duty}", scopes, person=who, **more)
    batch = (await api.submit(as_csv([row(1), row(2), row(3), row(4)]))).json()
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).status_code == 200
    changes = {
        "ani": (1, {"account": "+6281299990001"}),
        "budi": (2, {"nik": nik(90)}),
        "cici": (3, {"phone": "+6281299990003"}),
    }
    for who, (n, change) in changes.items():
        reply = await api.call("PUT", f"/v1/participants/P{n:08d}", role=f"{who} links", json=change)
        assert reply.status_code == 200, reply.text
    again = (await api.call("POST", "/v1/batches/reapprovals", key="r")).json()
    assert again["rows_accepted"] == 2
    reply = await api.call("PUT", "/v1/participants/P00000004", role="dina links", json={"nik": nik(91)})
    assert reply.status_code == 200, "not among them"
    told = {who: (await api.decide(again, f"{who} decides")) for who in ("ani", "budi", "cici", "dina")}
    assert [told[who].json().get("code") for who in ("ani", "budi")] == ["own_batch"] * 2
    assert [told[who].status_code for who in ("cici", "dina")] == [200, 200]
    assert told["dina"].json()["state"] == "approved"


async def test_a_plan_vouches_for_no_account_that_its_approvers_have_given_somebody(api: Api) -> None:
    """Between the entitlement and the notice: what the notice makes for them waits for two others."""
    for who in ("ani", "budi"):
        await admit(api, f"{who} links", ("links", "incentives", "read"), person=who, organisation="prakerja")
        await admit(api, f"{who} decides", ("batches:approve", "read"), person=who)
    made = await propose(api)
    for role in ("ani decides", "two"):
        assert (await say(api, made, role)).status_code == 200
    people = [row(n)["participant_id"] for n in (30, 31, 32)]
    await entitle(api, made["plan_id"], *(person(n) for n in (30, 31, 32)))
    for who, one in (("ani", people[0]), ("budi", people[1])):
        change = {"account": "+6281299990001" if who == "ani" else "+6281299990002"}
        assert (await api.call("PUT", f"/v1/participants/{one}", role=f"{who} links", json=change)).status_code == 200
    assert outcomes(await complete(api, made["plan_id"], *people, finished_on="2026-11-01")) == ["made"] * 3
    stand = await api.fetch(
        "SELECT participant_id, bool_or(approved) AS approved FROM incentives GROUP BY 1 ORDER BY 1"
    )
    assert [row["approved"] for row in stand] == [False, True, True]
    again = (await api.call("POST", "/v1/batches/reapprovals", key="r")).json()
    refused = await api.decide(again, "ani decides")
    assert (refused.status_code, refused.json()["code"]) == (403, "own_batch")
    for role in ("one", "budi decides"):
        assert (await api.decide(again, role)).status_code == 200
    assert all(row["approved"] for row in await api.fetch("SELECT approved FROM incentives"))


async def test_a_settlement_is_confirmed_by_another_person_not_only_another_client(api: Api, first: First) -> None:
    await admit(api, "budi one", ("ops",), person="budi")
    await admit(api, "budi two", ("ops",), person="budi")
    proposal = {"payout_id": first.ids["payout_id"], "verdict": "paid", "document": "letter 9", "why": "as it says"}
    made = await api.call("POST", "/v1/settlements", role="budi one", json=proposal)
    refused = await api.call("POST", f"/v1/settlements/{made.json()['settlement_id']}/confirm", role="budi two")
    assert (refused.status_code, refused.json()["code"]) == (409, "second_person_needed")


@in_turn("makes", sorted(clients.MAKING))
@in_turn("decides", ["batches:approve", "ops"])
async def test_no_client_hands_over_and_decides(core: Core, makes: str, decides: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await register(
            core.resources.database, core.resources.clock.now(), name="both", scopes=[makes, decides, "read"]
        )
    assert refused.value.code == "duties_not_separate"


@in_turn(
    ("scopes", "more"),
    [
        (["batches"], {"organisation": "*"}),
        (["ops"], {"organisation": "prakerja"}),
        (["read"], {"organisation": "Prakerja Office"}),
        (["read"], {"person": "Ani!"}),
        (["read"], {"organisation": "x" * 41}),
    ],
)
async def test_what_does_not_go_together_is_refused(core: Core, scopes: list[str], more: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        await register(core.resources.database, core.resources.clock.now(), name="one", scopes=scopes, **more)  # type: ignore[arg-type]
    async with core.resources.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM clients") == 0
