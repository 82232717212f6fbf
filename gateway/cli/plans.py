"""`gateway plans`: payment plans, as a client of the API."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from contracts.errors import InvalidRequest
from contracts.payment_plan import Instalment, PaymentPlan, PlanState, content_of, root_of
from gateway.cli.common import AsJson, rupiah, table, tell, terminal
from gateway.cli.remote import API, ApiRefused, ClientId, Secret, Url, connected
from gateway.client import calls, models

app = typer.Typer(
    no_args_is_help=True,
    help="Payment plans (docs/plans.md), over HTTP with a client's credentials: PRAKERJA_CLIENT_ID,"
    " PRAKERJA_CLIENT_SECRET, and the API's address in PRAKERJA_API_URL or --url.",
)
_ANEW = frozenset({PlanState.REJECTED.value, PlanState.EXPIRED.value, PlanState.STOPPED.value})
_TIMES = 50
PlanId = Annotated[str, typer.Argument(help="As `gateway plans submit` printed it.")]
PlanFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A plan as JSON: docs/plans.md.")]


@app.command()
def submit(file: PlanFile, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """Propose a plan (scope `batches`). The same file sent twice is one plan; one that was rejected, was stopped or has
    expired is proposed anew.
    """
    plan = _read(file)
    key = f"plan-{root_of(content_of(plan)).hex()}"
    with connected(url, client_id, client_secret) as gateway:
        for turn in range(_TIMES):
            again = f"-{turn}" if turn else ""
            made = gateway.send(calls.propose_plan(msgspec.to_builtins(plan), key=key + again))
            shown = gateway.send(calls.read_plan(made.plan_id))  # a key gives its first answer for a week
            if shown.state not in _ANEW:
                break
        else:
            raise ApiRefused(f"The plan was proposed {_TIMES} times.", remedy="Give it another name.")
    _show(shown)
    if shown.state == PlanState.AWAITING_APPROVAL.value:
        terminal().print(f"two others approve it: gateway plans approve {shown.plan_id}", style="dim")


@app.command()
def approve(
    plan_id: PlanId,
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    root: Annotated[str | None, typer.Option(help="The content_root you have checked; else you are asked.")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject it instead.")] = False,
) -> None:
    """Approve a plan (scope `batches:approve`), bound to exactly what it says. It takes two people, neither of them the
    one who made it.
    """
    with connected(url, client_id, client_secret) as gateway:
        if root is None:
            shown = gateway.send(calls.read_plan(plan_id))
            _show(shown)
            typer.confirm("Reject exactly this?" if reject else "Approve exactly this?", abort=True)
            root = shown.content_root
        _show(gateway.send(calls.decide_plan(plan_id, "reject" if reject else "approve", root)))


@app.command()
def stop(plan_id: PlanId, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """End an approved plan, with whatever of it has not left; what has left is followed to its end (scope `batches`,
    `batches:approve` or `ops`).
    """
    with connected(url, client_id, client_secret) as gateway:
        _show(gateway.send(calls.stop_plan(plan_id)))


@app.command()
def show(plan_id: PlanId, client_id: ClientId, client_secret: Secret, url: Url = API, as_json: AsJson = False) -> None:
    """What a plan says, and where it stands."""
    with connected(url, client_id, client_secret) as gateway:
        found = gateway.send(calls.read_plan(plan_id))
    if as_json:
        tell(found)
    else:
        _show(found)


@app.command("list")
def list_(
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    state: Annotated[PlanState | None, typer.Option(help="Only those; `awaiting_approval` say.")] = None,
    as_json: AsJson = False,
) -> None:
    """Plans, newest first."""
    with connected(url, client_id, client_secret) as gateway:
        found = list(gateway.pages(calls.list_plans(state=None if state is None else state.value)))
    if as_json:
        tell(found)
        return
    rows = [
        (one.plan_id, one.state, one.programme, one.name, one.most_participants, rupiah(one.most_rupiah),
         one.approvals_missing, one.submitted_by)
        for one in found
    ]  # fmt: skip
    heads = ("id", "state", "programme", "name", "participants", "at most", "missing", "submitted by")
    terminal().print(table("plans", *heads, rows=rows))


@app.command()
def root(file: PlanFile) -> None:
    """Compute the content_root of your own copy of a plan; needs nothing else."""
    terminal().print(root_of(content_of(_read(file))).hex())


def _read(file: Path) -> PaymentPlan:
    try:
        plan = msgspec.json.decode(file.read_bytes().removeprefix(codecs.BOM_UTF8), type=PaymentPlan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{file.name} is no plan: {error}.", remedy="docs/plans.md has one.") from None
    return msgspec.structs.replace(plan, holidays=tuple(sorted(plan.holidays)))


def _show(plan: models.Plan) -> None:
    said = msgspec.json.decode(plan.content, type=PaymentPlan)
    rows = [
        ("state", plan.state),
        ("programme", plan.programme),
        ("name", plan.name),
        ("participants at most", plan.most_participants),
        ("in all at most", rupiah(plan.most_rupiah)),
        ("approvals missing", plan.approvals_missing),
        ("holidays", ", ".join(str(day) for day in said.holidays) or None),
        ("weekends", "due on them too" if said.weekends else "nothing falls due"),
        ("content_root", plan.content_root),
    ]
    terminal().print(table(f"plan {plan.plan_id}", "", "", rows=rows))
    instalments = (
        (one.purpose, one.period, rupiah(one.amount_rupiah), one.after, *_days(one)) for one in said.instalments
    )
    terminal().print(table("instalments", "purpose", "period", "amount", "after", "due", "deadline", rows=instalments))


def _days(one: Instalment) -> tuple[str, str]:
    if one.due_on is not None:
        return str(one.due_on), str(one.deadline_on)
    return f"{one.due_after_months} months and {one.due_after_days} days later", f"{one.deadline_after_days} days after"
