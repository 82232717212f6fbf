"""`gateway workbench`: run one operation at a partner and see every exchange; keep it; compare two recordings."""

from __future__ import annotations

import asyncio
import enum
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from adapters.registry import PARTNERS
from contracts.errors import CallerError, GatewayError, InvalidRequest
from contracts.partner import Manifest
from gateway.cli.common import MANIFESTS, table, terminal
from gateway.demo.cluster import ClusterError
from gateway.security import sources
from gateway.workbench.bench import Bench, Wishes
from gateway.workbench.cassette import Cassette, CassetteError, Exchange, Kept, encode, read
from gateway.workbench.compare import Difference, differences
from gateway.workbench.operations import ALL, OPERATIONS, chosen, declared, perform
from gateway.workbench.target import ALLOW, Staging, on_environment, on_mock

app = typer.Typer(
    no_args_is_help=True,
    help="Run one operation at a partner and see every exchange, keep it in a file, compare two such files.\n\n"
    "Without settings it goes to a mock that it starts itself. Everything shown or kept is hidden first: NIK, account, "
    "phone, name, card, PIN, OTP, tokens, keys and signatures become placeholders of the same form.\n\n"
    "  gateway workbench bni payout\n\n"
    "  gateway workbench gopay all --record gopay-mock.json\n\n"
    "  gateway workbench bni all --against live --record bni-sandbox.json\n\n"
    "  gateway workbench compare bni-sandbox.json\n\n"
    "docs/workbench.md has the rest.",
)


class Against(enum.Enum):
    """Where requests go."""

    MOCK = "mock"
    LIVE = "live"


def _file(text: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, help=text)


def _command(manifest: Manifest) -> None:
    """One command for a partner, so that its help can say what this partner has."""
    names = declared(manifest.capabilities)
    slug = manifest.slug

    def command(
        operation: Annotated[str, typer.Argument(help="One of those above.", metavar="OPERATION")],
        against: Annotated[Against, typer.Option(help="A mock of its own, or the addresses in the environment.")] = (
            Against.MOCK
        ),
        record: Annotated[Path | None, typer.Option(dir_okay=False, help="Keep all of it in this cassette.")] = None,
        amount: Annotated[int, typer.Option(min=1, help="Of a payout, in rupiah.")] = 600_000,
        account: Annotated[str | None, typer.Option(help="Another test account (`mock-partners credentials`).")] = None,
        behaviour: Annotated[str, typer.Option(help="Make the mock's account misbehave: pay:lost_answer.")] = "",
        scenario: Annotated[Path | None, _file("Make the mock misbehave as a scenario says: docs/qa.md.")] = None,
        reference: Annotated[str | None, typer.Option(help="find: our reference of a payout made before.")] = None,
        partner_reference: Annotated[str | None, typer.Option(help="find: the partner's number of it.")] = None,
        day: Annotated[
            datetime | None, typer.Option(formats=["%Y-%m-%d"], help="statement, find: the Jakarta day.")
        ] = None,
        full: Annotated[bool, typer.Option("--full", help="Show what went before in full, too.")] = False,
    ) -> None:
        wishes = Wishes(
            amount_rupiah=amount, reference=reference, partner_reference=partner_reference,
            day=None if day is None else day.date(),
            pays_first=against is Against.MOCK,
            pause_s=1.0 if against is Against.MOCK else manifest.lookups.first_s,
        )  # fmt: skip
        staging = Staging(account=account, behaviour=behaviour, scenario=scenario)
        _run(slug, operation, against, wishes, staging, record, full=full)

    variables = f"WORKBENCH_{slug.upper()}_ACCOUNT, _PHONE, _NAME, _NIK ..."
    command.__doc__ = "\n\n".join(
        (
            f"Run an operation at {manifest.name}. What has to go before it (a token, a link) is done first.",
            *(f"  {name}: {OPERATIONS[name].help}" for name in names),
            f"  {ALL}: each of them, in the order of a participant's story",
            "Examples:",
            f"  gateway workbench {slug} verify",
            f"  gateway workbench {slug} payout --amount 10000 --behaviour pay:lost_answer",
            f"  gateway workbench {slug} {ALL} --record {slug}.json",
            f"`--against live` takes {slug.upper()}_* from the environment as the gateway does, asks for the person's"
            f" details (or reads {variables}), and refuses every host beyond this machine that {ALLOW} does not name.",
        )
    )
    app.command(slug)(command)


for _manifest in MANIFESTS.values():
    _command(_manifest)


def _run(
    slug: str, operation: str, against: Against, wishes: Wishes, staging: Staging, record: Path | None, *, full: bool
) -> None:
    if operation not in (*OPERATIONS, ALL):
        raise InvalidRequest("There is no such operation.", remedy=f"`gateway workbench {slug} --help` lists them.")
    chosen(operation, MANIFESTS[slug])
    try:
        cassette, hosts, error = asyncio.run(_recorded(slug, operation, against, wishes, staging))
    except ClusterError as problem:
        raise InvalidRequest(
            f"The mock did not start: {problem}", remedy="Look at --scenario and --behaviour."
        ) from None
    if cassette is not None:
        asked = {plan for name in OPERATIONS if operation in (name, ALL) for plan in OPERATIONS[name].plans}
        for take in cassette.takes:
            _show(take, hosts, full=full or take.operation in asked)
        if record is not None:
            record.write_bytes(encode(cassette))
            terminal().print(
                f"kept {cassette.replies()} exchanges in {record}: read it before you share it", soft_wrap=True
            )
    if isinstance(error, CallerError):
        raise error
    if error is not None:
        terminal().print(f"[red]no verdict:[/] {type(error).__name__} {error.detail}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)


def _place(slug: str, against: Against, wishes: Wishes, staging: Staging) -> AbstractAsyncContextManager[Bench]:
    if against is Against.MOCK:
        return on_mock(PARTNERS[slug], wishes, staging)
    return on_environment(
        PARTNERS[slug], sources.resolved(os.environ, sources.all_names({slug: PARTNERS[slug].manifest})), wishes, _ask
    )


async def _recorded(
    slug: str, operation: str, against: Against, wishes: Wishes, staging: Staging
) -> tuple[Cassette | None, Mapping[str, str], GatewayError | None]:
    """What was recorded, the address of each host, and the error that it ended with."""
    async with _place(slug, against, wishes, staging) as bench:
        error = await perform(bench, operation)
        return bench.cassette(against.value), bench.hosts, error


def _ask(question: str, hidden: bool) -> str:
    if not sys.stdin.isatty():
        raise InvalidRequest(f"There is no terminal to ask at for: {question}", remedy="Set the variable it names.")
    return str(typer.prompt(question, hide_input=hidden, err=True))


def _show(take: Kept, hosts: Mapping[str, str], *, full: bool) -> None:
    for exchange in take.exchanges:
        request, reply = exchange.request, exchange.reply
        status = "no whole reply" if reply is None else str(reply.status)
        line = f"{request.method} {hosts[request.host]}{request.target}  {request.operation} {request.effect}  {status}"
        terminal().print(Text(line, "bold" if full else "dim"), soft_wrap=True)
        if full:
            _show_exchange(exchange)
    terminal().print(Text(f"{take.operation}: {_words(take.outcome)}", "green" if full else "dim"), soft_wrap=True)


def _show_exchange(exchange: Exchange) -> None:
    request, reply = exchange.request, exchange.reply
    for name, value in request.headers.items():
        _indented(f"{name}: {value}", "dim")
    if request.body is not None:
        _indented(_json(request.body))
    if request.signed is not None:
        _indented(f"signed: {request.signed}", "cyan", mark="= ")
    if reply is not None:
        for name, value in reply.headers.items():
            _indented(f"{name}: {value}", "dim", mark="< ")
        _indented(_json(reply.body), mark="< ")


def _indented(text: str, style: str = "", mark: str = "> ") -> None:
    for line in text.splitlines():
        terminal().print(Text(f"  {mark}{line}", style), soft_wrap=True)


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _words(outcome: Any) -> str:
    """An outcome on one line, without what it leaves empty."""
    if not isinstance(outcome, dict):
        return _json(outcome)
    said = {name: value for name, value in outcome.items() if value not in (None, False, {}, [], "none")}
    kind = said.pop("is", "")
    return " ".join([str(kind), *(f"{name}={msgspec.json.encode(value).decode()}" for name, value in said.items())])


@app.command()
def compare(
    recording: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A cassette, of a sandbox say.")],
    mock: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="Another one; without it, the mock as it is now.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report to this file.")] = None,
) -> None:
    """Where do a recording and the mock disagree? Field by field: added, missing, type, value class, value.

    Values that differ by nature (ids, moments, amounts, signatures, everything hidden) are compared by class. Exit
    status 1 if there is a difference.

      gateway workbench compare tests/contract/cassettes/bni.json

      gateway workbench compare bni-sandbox.json --json report.json
    """
    try:
        recorded = read(recording)
        if recorded.partner not in PARTNERS:
            raise CassetteError(f"{recording.name} is of a partner that is not here")
        other = read(mock) if mock is not None else asyncio.run(_now(recorded))
    except (CassetteError, ClusterError) as error:
        raise InvalidRequest(str(error), remedy="`--record` writes one.") from None
    found = differences(recorded, other)
    if json_file is not None:
        report = {"partner": recorded.partner, "recorded": recorded.replies(), "differences": found}
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    _report(recorded, found)
    raise typer.Exit(1 if found else 0)


async def _now(recorded: Cassette) -> Cassette:
    """The mock's answers to the plans of a recording, as far as the adapter understands them."""
    plans = {take.operation for take in recorded.takes}
    names = [name for name in chosen(ALL, MANIFESTS[recorded.partner]) if plans & set(OPERATIONS[name].plans)]
    async with on_mock(PARTNERS[recorded.partner], Wishes(), Staging()) as bench:
        for name in names:
            await perform(bench, name)
        cassette = bench.cassette("mock")
    assert cassette is not None, "a recording has plans"
    return cassette


def _report(recorded: Cassette, found: list[Difference]) -> None:
    title = f"{recorded.partner}: {len(found)} differences in {recorded.replies()} exchanges"
    if not found:
        terminal().print(title)
        return
    rows = ((d.operation, d.request, d.field, d.kind, d.recorded, d.mock) for d in found)
    terminal().print(table(title, "plan", "request", "field", "differs in", "recorded", "mock", rows=rows))
