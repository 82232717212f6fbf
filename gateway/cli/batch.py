"""`gateway batch`: hand batches over and decide about them, as a client of the API."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.progress import Progress

from contracts.batch import BatchState
from gateway.cli import files
from gateway.cli.common import AsJson, further, rupiah, table, tell, terminal
from gateway.cli.remote import API, ApiRefused, ClientId, Secret, Url, answered
from gateway.client import NoAnswer

app = typer.Typer(
    no_args_is_help=True,
    help="Batches, over HTTP with a client's credentials: PRAKERJA_CLIENT_ID, PRAKERJA_CLIENT_SECRET, and the API's"
    " address in PRAKERJA_API_URL or --url."
    "\n\n    gateway batch submit incentives.csv"
    "\n\n    gateway batch list --state awaiting_approval"
    "\n\n    gateway batch approve BATCH"
    "\n\nThe file's columns: docs/file-format.md. Two approvers other than the maker approve it.",
)

BatchId = Annotated[str, typer.Argument(help="As `gateway batch submit` printed it.")]


def _to_be_read_twice(file: Path) -> Path:
    """Its content is hashed before it is sent, and a pipe gives it once."""
    if not file.is_file():
        raise typer.BadParameter(f"{file} is no file but a pipe: write it to a file first")
    return file


BatchFile = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, callback=_to_be_read_twice, help="A CSV, or NDJSON if named *.ndjson or *.jsonl."
    ),
]
_CHUNK = 65_536
_EARLY_S = 30.0
_TIMEOUT_S = 900.0
_ERRORS_SHOWN = 20


@app.command()
def submit(
    file: BatchFile,
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key; without it, one made of the content.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="How many rows the file should have.")] = None,
    amount: Annotated[int | None, typer.Option(min=0, help="How many rupiah its rows should add up to.")] = None,
    partner_amount: Annotated[
        list[str] | None, typer.Option(help="The same for one partner, as bni:600000; once for each.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the answer to this file.")] = None,
    refused_file: Annotated[
        Path | None, typer.Option("--refused", help="Write the refused rows to this CSV, to correct and send again.")
    ] = None,
) -> None:
    """Hand a batch over (scope `batches`). The same file sent twice is one batch; one that was rejected, stopped or
    expired, or of which no row was accepted, is handed over anew.

    Refused rows are listed with what to do about them; they do not stop the others. Status 1: no row was accepted.
    """
    for written in (json_file, refused_file):
        if written is not None and not written.parent.is_dir():
            raise typer.BadParameter(f"there is no folder {written.parent}")
    ndjson = file.suffix.lower() in (".ndjson", ".jsonl")
    with _client(url, client_id, client_secret) as http:
        kind = "application/x-ndjson" if ndjson else "text/csv"
        declared = {"rows": rows, "amount_rupiah": amount, "partner_rupiah": partner_amount}
        params = {name: value for name, value in declared.items() if value}
        batch, before = _submitted(http, file, kind, params, key)
        if json_file is not None:
            json_file.write_text(json.dumps(batch, indent=2) + "\n")
        _show(batch)
        _errors(http, batch)
        if before:
            terminal().print("This is the batch that the file made when it was handed over before.", style="dim")
            if batch["rows_rejected"]:
                terminal().print(_AS_THEN, style="dim")
        if refused_file is not None:
            count = files.write(refused_file, file, files.results(http, batch["results_url"]), ndjson=ndjson)
            terminal().print(f"{count} refused rows to correct and send again: {refused_file}", style="dim")
    if batch["state"] == "empty":
        raise typer.Exit(1)
    if batch["state"] == "awaiting_approval":
        terminal().print(f"two others approve it: gateway batch approve {batch['batch_id']}", style="dim")


@app.command()
def show(
    batch_id: BatchId,
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    as_json: AsJson = False,
) -> None:
    """Where a batch stands, and its refused rows."""
    with _client(url, client_id, client_secret) as http:
        batch = _read(http.get(f"/v1/batches/{batch_id}"))
        if as_json:
            tell(batch)
            return
        _show(batch)
        _errors(http, batch)


@app.command()
def approve(
    batch_id: BatchId,
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    root: Annotated[str | None, typer.Option(help="The content_root you have checked; else you are asked.")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject it instead: its incentives are cancelled.")] = False,
) -> None:
    """Approve a batch (scope `batches:approve`), bound to exactly this content.

    It takes two clients, neither of them the one that handed it over.
    """
    with _client(url, client_id, client_secret) as http:
        batch = _read(http.get(f"/v1/batches/{batch_id}"))
        if root is None:
            _show(batch)
            typer.confirm("Reject exactly this?" if reject else "Approve exactly this?", abort=True)
        decision = {"decision": "reject" if reject else "approve", "content_root": root or batch["content_root"]}
        _show(_read(http.post(f"/v1/batches/{batch_id}/approvals", json=decision)))


@app.command("list")
def list_(
    client_id: ClientId,
    client_secret: Secret,
    url: Url = API,
    state: Annotated[BatchState | None, typer.Option(help="Only those; `awaiting_approval` say.")] = None,
    after: Annotated[str | None, typer.Option(help="What the page before named at its end.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: AsJson = False,
) -> None:
    """Batches, newest first."""
    with _client(url, client_id, client_secret) as http:
        params = {"limit": limit, "state": state and state.value, "cursor": after}
        page = _read(http.get("/v1/batches", params={name: value for name, value in params.items() if value}))
    found = page["batches"]
    if page["next_cursor"]:
        further(f"--after {page['next_cursor']}")
    if as_json:
        tell(found)
        return
    rows = (
        (b["batch_id"], b["state"], b["rows_accepted"], rupiah(b["amount_rupiah"]), b["approvals_missing"],
         ", ".join(w["code"] for w in b["warnings"]) or None, b["submitted_by"])
        for b in found
    )  # fmt: skip
    terminal().print(table("batches", "id", "state", "accepted", "amount", "missing", "odd", "submitted by", rows=rows))


@app.command()
def withdraw(batch_id: BatchId, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """Take back your approval while another one is missing (scope `batches:approve`)."""
    with _client(url, client_id, client_secret) as http:
        batch = _read(http.get(f"/v1/batches/{batch_id}"))
        decision = {"decision": "withdraw", "content_root": batch["content_root"]}
        _show(_read(http.post(f"/v1/batches/{batch_id}/approvals", json=decision)))


@app.command()
def stop(batch_id: BatchId, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """Cancel whatever of an approved batch has not left; what has left is followed to its end."""
    with _client(url, client_id, client_secret) as http:
        _show(_read(http.post(f"/v1/batches/{batch_id}/stop")))


@app.command()
def root(file: BatchFile, batch_id: BatchId, client_id: ClientId, client_secret: Secret, url: Url = API) -> None:
    """Compute a batch's content_root from your own copy of its file and compare: status 1 if they differ."""
    ndjson = file.suffix.lower() in (".ndjson", ".jsonl")
    with _client(url, client_id, client_secret) as http:
        batch = _read(http.get(f"/v1/batches/{batch_id}"))
        if batch["reapproval"]:
            raise ApiRefused(
                "The batch puts up anew what was handed over in others: it has no file.",
                remedy=f"Its rows are at GET {batch['results_url']}.",
            )
        lines = {row["line"] for row in files.results(http, batch["results_url"], outcome="accepted")}
    if batch["content_key"] is None:
        raise ApiRefused(
            "The root's key is not shown.",
            remedy="It takes a client with `batches` or `batches:approve`; once a person of the batch was erased it is"
            " gone.",
        )
    computed = files.root(file, lines, bytes.fromhex(batch["content_key"]), ndjson=ndjson)
    same = computed == batch["content_root"]
    terminal().print(
        f"computed  {computed}\nbatch     {batch['content_root']}\n{'the same' if same else 'they DIFFER'}"
    )
    if not same:
        raise typer.Exit(1)


_ANEW = frozenset({"rejected", "expired", "stopped", "empty"})
_TIMES = 50
_AS_THEN = (
    "Its refused rows were not looked at again. What is right by now is taken from a file of these alone (--refused"
    " FILE), or from this one under a --key of its own: what was taken before is not taken twice."
)


def _submitted(
    http: httpx.Client, file: Path, kind: str, params: dict[str, Any], key: str | None
) -> tuple[dict[str, Any], bool]:
    """The batch as it stands now, and whether it is the one that this file made before; that one has not come to
    nothing.
    """
    digest = _digest(file)
    for turn in range(_TIMES):
        name = key or f"sha256-{digest}" + (f"-{turn}" if turn else "")
        headers = {"Content-Type": kind, "Idempotency-Key": name}
        reply = http.post("/v1/batches", content=_chunks(file), headers=headers, params=params)
        made = _read(reply)
        if "idempotent-replayed" not in reply.headers:
            return dict(made), False
        batch = dict(_read(http.get(f"/v1/batches/{made['batch_id']}")))
        if key is not None or batch["state"] not in _ANEW:
            return batch, True
    raise ApiRefused(f"The file was handed over {_TIMES} times.", remedy="Give a --key of your own.")


@contextmanager
def _client(url: str, client_id: str, client_secret: str) -> Iterator[httpx.Client]:
    auth = _Token(url, client_id, client_secret)
    with answered(url), httpx.Client(base_url=url, timeout=_TIMEOUT_S, auth=auth) as http:
        yield http


class _Token(httpx.Auth):
    """Fetched with the first request, and again once it is about to end: a file may take longer than it lives, as may
    whoever looks at a batch before they approve it.
    """

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._url = f"{url.rstrip('/')}/oauth/token"
        self._basic = httpx.BasicAuth(client_id, client_secret)
        self._token, self._ends_s = "", float("-inf")

    def __repr__(self) -> str:
        return "_Token(***)"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with a token that is good for it."""
        if time.monotonic() > self._ends_s:
            asked = httpx.Request("POST", self._url, data={"grant_type": "client_credentials"})
            reply = yield next(self._basic.auth_flow(asked))
            reply.read()
            found = _read(reply)
            self._token, self._ends_s = found["access_token"], time.monotonic() + found["expires_in"] - _EARLY_S
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _read(reply: httpx.Response) -> Any:
    if reply.is_success:
        return reply.json()
    problem = reply.json() if "json" in reply.headers.get("content-type", "") else {}
    if reply.status_code >= 500 and "code" not in problem:
        raise NoAnswer(f"HTTP {reply.status_code} of what stands in front of it")
    detail = problem.get("detail") or problem.get("error_description") or f"HTTP {reply.status_code}."
    raise ApiRefused(str(detail), code=problem.get("code"), remedy=problem.get("remedy"))


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _chunks(file: Path) -> Iterator[bytes]:
    with Progress(console=terminal(), transient=True) as progress, file.open("rb") as source:
        task = progress.add_task("sending", total=file.stat().st_size)
        while chunk := source.read(_CHUNK):
            yield chunk
            progress.advance(task, len(chunk))


def _show(batch: dict[str, Any]) -> None:
    rows = [
        ("state", batch["state"]),
        ("accepted", f"{batch['rows_accepted']} incentives, {rupiah(batch['amount_rupiah'])}"),
        ("refused", batch["rows_rejected"]),
        ("handed over before", batch["rows_repeated"]),
        *(
            (f"of it at {one['partner']}", f"{one['rows']}, {rupiah(one['amount_rupiah'])}")
            for one in batch["partners"]
        ),
        *(("odd", f"{one['rows']} rows: {one['text']['id']}\n{one['text']['en']}") for one in batch["warnings"]),
        *(("in doubt", _doubt(batch["doubt"])) for _ in range(batch["doubt"] is not None)),
        ("approvals missing", batch["approvals_missing"]),
        ("content_root", batch["content_root"]),
    ]
    terminal().print(table(f"batch {batch['batch_id']}", "", "", rows=rows))


def _doubt(doubt: dict[str, Any]) -> str:
    codes = ", ".join(f"{code} {people}" for code, people in doubt["codes"].items())
    return f"{doubt['refused']} of {doubt['answered']} people refused at {doubt['partner']} ({codes}), others are not"


def _errors(http: httpx.Client, batch: dict[str, Any]) -> None:
    if not batch["rows_rejected"]:
        return
    shown: list[tuple[object, ...]] = []
    rows = 0
    for row in files.results(http, batch["results_url"]):
        rows += 1
        shown += [
            (row["line"], fault["field"], fault["code"], f"{fault['remedy']['id']}\n{fault['remedy']['en']}")
            for fault in row["faults"]
        ]
        if len(shown) >= _ERRORS_SHOWN:
            break
    terminal().print(table("refused rows", "line", "field", "code", "what to do", rows=shown))
    if batch["rows_rejected"] > rows:
        more = batch["rows_rejected"] - rows
        terminal().print(
            f"and {more} more: --refused FILE, or GET {batch['results_url']}?outcome=rejected", style="dim"
        )
