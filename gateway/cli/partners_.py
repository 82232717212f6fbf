"""`gateway partners`: what each partner can do, and what is not known for certain about it."""

from __future__ import annotations

from typing import Annotated

import typer

from contracts.errors import NotFound
from contracts.partner import Manifest, Mark
from gateway.cli.common import MANIFESTS, console, rupiah, table


def partners(
    partner: Annotated[str | None, typer.Argument(help="One of them, in full; without it, a line for each.")] = None,
    settings: Annotated[bool, typer.Option("--settings", help="The environment variables each one needs.")] = False,
) -> None:
    """Capabilities, limits and quotas of each partner, and everything assumed about it with its source.

    Needs neither settings nor a database. What `GET /v1/partners` adds is whether payouts are paused, and the last
    statement read.
    """
    if partner is not None and partner not in MANIFESTS:
        raise NotFound("There is no such partner.", remedy=f"They are: {', '.join(MANIFESTS)}.")
    chosen = [MANIFESTS[partner]] if partner else list(MANIFESTS.values())
    if settings:
        for manifest in chosen:
            _settings(manifest)
        return
    if partner is None:
        _overview(chosen)
        console.print("`gateway partners NAME` shows one in full.", style="dim")
        return
    _one(chosen[0])


def _overview(manifests: list[Manifest]) -> None:
    rows = (
        (
            manifest.slug,
            manifest.name,
            ", ".join(sorted(c.value for c in manifest.capabilities)),
            manifest.account_proof.value,
            sum(fact.mark is Mark.ASSUMED for fact in manifest.facts),
            sum(fact.mark is Mark.RECALLED for fact in manifest.facts),
        )
        for manifest in manifests
    )
    columns = ("partner", "name", "capabilities", "account proved", "assumed", "recalled")
    console.print(table("partners", *columns, rows=rows))


def _one(manifest: Manifest) -> None:
    console.print(f"[bold]{manifest.name}[/] ({manifest.slug}), documents read on {manifest.read_on}")
    console.print(manifest.documents, highlight=False)
    console.print(f"one payout: {rupiah(manifest.min_amount_rupiah)} to {rupiah(manifest.max_amount_rupiah)}")
    console.print(f"capabilities: {', '.join(sorted(c.value for c in manifest.capabilities))}")
    console.print(f"that a link is of the declared account is proved as: {manifest.account_proof.value}")
    horizon_h = manifest.lookups.horizon_s / 3600
    console.print(f"an unknown outcome becomes an operator's case after {horizon_h:g} h of looking up")
    quotas = ((", ".join(q.operations), f"{q.per_s:g}/s", q.mark.value, q.source) for q in manifest.quotas)
    console.print(table("quotas", "operations", "calls", "mark", "source", rows=quotas))
    facts = sorted(manifest.facts, key=lambda fact: fact.mark.value)
    console.print(table("facts", "mark", "what", "source", rows=((f.mark.value, f.text, f.source) for f in facts)))


def _settings(manifest: Manifest) -> None:
    variables = [
        (f"{manifest.slug}_{name}".upper(), "secret" if c.secret else "", c.default, c.help)
        for name, c in manifest.credentials.items()
    ]
    hosts = [
        (f"{manifest.slug}_{name}_url".upper(), "", host.sandbox_url, f"Base address of its host `{name}`")
        for name, host in manifest.hosts.items()
    ]
    console.print(table(manifest.name, "variable", "", "default", "what it is", rows=[*variables, *hosts]))
