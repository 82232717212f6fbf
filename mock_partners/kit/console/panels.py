"""The parts of a partner's page beside the log: clock, scenario, notifications, links, books, customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import islice

from mock_partners.kit import views
from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.console.calls import Filter, calls, filters, good
from mock_partners.kit.console.html import box, card, form, hidden, options, table
from mock_partners.kit.host import Mock
from mock_partners.kit.world import Account
from mock_partners.registry import name_of

SHOWN = 100
LEAPS = (("1 min", 60), ("6 min", 360), ("1 hour", 3_600), ("1 day", 86_400))
EXPECT = '{"expect": [{"operation": "payout", "count": 1}], "in_order": false, "nothing_else": false}'
WORLD_HINT = "the text of a world.csv, or nothing for the world that the mock began with"


@dataclass(frozen=True)
class Filled:
    """What the page's forms hold: the log's filter, and the boxes as they were sent."""

    filter: Filter
    toml: str
    expect: str
    world: str
    cookbook: list[str]


def overview(mocks: Mapping[str, Mock]) -> str:
    """A card for each partner."""
    return "".join(map(_partner, mocks.values()))


def all_of(mock: Mock, filled: Filled) -> str:
    """A partner's whole page; the parts of `changing` are laid over it from time to time."""
    now = changing(mock, filled.filter)
    log = f'<section id="log"><h2>Requests</h2>{filters(mock, filled.filter)}<div id="log-live">{now["log-live"]}</div>'
    return (
        f'<div class="columns" data-live="/{mock.name}/panels"><div>{log}</section></div><aside>'
        + card("clock", "Clock", now["clock-live"], _other_times(mock))
        + card("scenario", "Scenario", now["scenario-live"], _other_scenario(mock, filled))
        + _verify(mock, filled) + _reset(mock, filled) + "</aside></div>"
        + card("books", "Books", now["books-live"]) + card("links", "Links", now["links-live"])
        + card("notifications", "Notifications", now["notifications-live"])
        + f'<section id="customers"><h2>Customers</h2>{_search(filled.filter)}'
        f'<div id="customers-live">{now["customers-live"]}</div></section>'
    )  # fmt: skip


def _other_times(mock: Mock) -> str:
    number = '<input type="number" name="advance_s" min="0" step="any" required>'
    seconds = form(mock, "clock", f"<label>Seconds on{number}</label><button>Go</button>", "row")
    moment = '<input type="datetime-local" step="1" name="set" required>'
    return _folded(
        "Another time", seconds + form(mock, "clock", f"<label>At{moment}</label><button>Set</button>", "row")
    )


def _other_scenario(mock: Mock, filled: Filled) -> str:
    select = f'<label>From the cookbook<select name="cookbook">{options(filled.cookbook)}</select></label>'
    pick = form(mock, "scenario", select + '<button name="do" value="open">Look at it</button>', "row")
    text = box("toml", "In TOML", filled.toml, 12 if filled.toml else 4)
    return _folded("Set another", pick + form(mock, "scenario", text + "<button>Set</button>"), bool(filled.toml))


def _verify(mock: Mock, filled: Filled) -> str:
    text = box("expect", "Expectations in JSON", filled.expect or EXPECT, 5)
    return f'<section id="verify"><h2>Verify</h2>{form(mock, "verify", text + "<button>Verify</button>")}</section>'


def _reset(mock: Mock, filled: Filled) -> str:
    text = box("world", "Another world", filled.world, 4, WORLD_HINT)
    folded = _folded(
        "Reset log, clock, books and links", form(mock, "reset", text + '<button class="hard">Reset</button>'),
        bool(filled.world),
    )  # fmt: skip
    return f'<section id="reset"><h2>Start anew</h2>{folded}</section>'


def _folded(title: str, content: str, open_: bool = False) -> str:
    return f"<details{' open' if open_ else ''}><summary>{title}</summary>{content}</details>"


def changing(mock: Mock, chosen: Filter) -> dict[str, str]:
    """The parts that change by themselves, by the id that they stand under."""
    return {
        "log-live": calls(mock, chosen), "clock-live": _clock(mock), "scenario-live": _scenario(mock),
        "books-live": _books(mock), "links-live": _links(mock), "notifications-live": _notices(mock),
        "customers-live": _customers(mock, chosen.who),
    }  # fmt: skip


def _partner(mock: Mock) -> str:
    log, world = mock.backstage.log, mock.world
    wrong = sum(not good(exchange) for exchange in log.calls)
    facts = [
        ("Clock", f"{mock.clock.now():%d %b %H:%M:%S}{' (stopped)' if mock.clock.stage.frozen else ''}"),
        ("Calls", f"{log.total_calls:,}, {wrong:,} not good"), ("Bookings", f"{len(world.books):,}"),
        ("Customers", f"{len(world.accounts):,}"), ("Deposit", f"Rp {world.deposit_rupiah:,}"),
        ("Scenario", mock.scenario.title if mock.scenario is not None else "none"),
    ]  # fmt: skip
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(told)}</dd></div>" for name, told in facts)
    return f'<a class="partner {mock.name}" href="/{mock.name}"><h2>{name_of(mock.name)}</h2><dl>{rows}</dl></a>'


def _clock(mock: Mock) -> str:
    now, stopped = mock.clock.now(), mock.clock.stage.frozen
    pending = mock.scheduler.pending()
    due = ", ".join(f"{count} {name}" for name, count in pending.items() if count)
    leaps = "".join(form(mock, "clock", hidden("advance_s", s) + f"<button>+ {label}</button>") for label, s in LEAPS)
    other = (
        '<button name="thaw" class="on">Let it run</button>' if stopped else '<button name="freeze">Stop it</button>'
    )
    return (
        f'<p class="time{" stopped" if stopped else ""}"><b>{now:%H:%M:%S}</b><span>{now:%a %d %b %Y}, Jakarta</span>'
        f'{"<em>stopped</em>" if stopped else ""}</p><div class="row">{leaps}{form(mock, "clock", other)}</div>'
        f'<p class="none">Due later: {due or "nothing"}</p>'
    )  # fmt: skip


def _scenario(mock: Mock) -> str:
    player = mock.backstage.player
    if player is None:
        return '<p class="none">None is set: the partner does as its documents say.</p>'
    rows = [
        [
            f'<span class="rule">{escape(track.rule.name)}</span>', f"line {track.rule.line}",
            str(track.matched.total()), f'<b class="{"fired" if track.fired else ""}">{track.fired}</b>',
        ]
        for track in player.tracks
    ]  # fmt: skip
    source = f'<p class="none">{escape(player.scenario.source)}</p>' if player.scenario.source else ""
    return (
        f"<p><b>{escape(player.scenario.title)}</b></p>{source}<p>State <code>{escape(player.state)}</code></p>"
        + table(["Rule", "", "Matched", "Fired"], rows, "")
        + form(mock, "scenario", hidden("toml", "") + "<button>End it</button>")
    )


def _notices(mock: Mock) -> str:
    rows = [
        [
            str(entry.number), escape(entry.as_json()["at"][11:19]),
            f"<code>{escape(entry.notice.method)} {escape(entry.notice.path)}</code>",
            "".join(f'<span class="rule">{escape(rule)}</span>' for rule in entry.rules),
            escape(", ".join("no answer" if status is None else str(status) for status in entry.tries) or "not yet"),
            form(mock, "again", hidden("number", entry.number) + "<button>Send again</button>"),
        ]
        for entry in list(mock.backstage.log.notices)[-SHOWN:][::-1]
    ]  # fmt: skip
    return table(["", "At", "To", "Rules", "Answers", ""], rows, "None was sent.")


def _links(mock: Mock) -> str:
    rows = [
        [
            escape(row["account"]), escape(row["kind"]),
            f"<code>{escape(', '.join(f'{name} {told}' for name, told in row['state'].items()))}</code>",
        ]
        for row in views.links(mock.world)[-SHOWN:][::-1]
    ]  # fmt: skip
    return table(["Account", "Kept as", "State"], rows, "No account is linked.")


def _books(mock: Mock) -> str:
    rows = [
        [
            escape(booking.booked_at.isoformat(sep=" ", timespec="seconds")[:19]), booking.kind.value,
            escape(booking.account), f'<span class="money">{booking.amount_rupiah:,}</span>',
            f"<code>{escape(booking.reference)}</code>",
        ]
        for booking in mock.world.books[-SHOWN:][::-1]
    ]  # fmt: skip
    deposit = f'<p class="count">{len(mock.world.books):,} bookings, deposit Rp {mock.world.deposit_rupiah:,}</p>'
    return deposit + table(["At", "Kind", "Account", "Rupiah", "Reference"], rows, "Nothing is booked.")


def _search(chosen: Filter) -> str:
    """Belongs to the form above the log, so that one address holds all that was asked for."""
    value = escape(chosen.who)
    return f'<label>Account, phone or name<input form="filters" name="who" type="search" value="{value}"></label>'


def _customers(mock: Mock, who: str) -> str:
    accounts, who = mock.world.accounts, who.lower()
    found = (one for one in accounts.values() if who in f"{one.account} {one.phone} {one.holder_name}".lower())
    rows = [_customer(mock, account) for account in islice(found, SHOWN)]
    head = ["Account", "Phone", "Holder", "NIK", "Balance", "Last OTP", "KYC, status, behaviour"]
    more = f", {len(rows)} shown" if len(rows) < len(accounts) else ""
    return f'<p class="count">{len(accounts):,} customers{more}</p>' + table(head, rows, "No such customer.")


def _customer(mock: Mock, account: Account) -> list[str]:
    sent = mock.world.sms.newest_first(account.phone)[:1]
    otp = f"<b>{sent[0]['code']}</b> <small>{escape(sent[0]['sent_at'][11:19])}</small>" if sent else ""
    choices = (
        ("kyc", ("full", "basic"), account.kyc), ("status", ("active", "blocked"), account.status),
        ("behaviour", tuple(one.value for one in Behaviour), account.behaviour.value),
    )  # fmt: skip
    selects = "".join(
        f'<select name="{name}" aria-label="{name}">{options(values, chosen)}</select>'
        for name, values, chosen in choices
    )
    return [
        escape(account.account), escape(account.phone), escape(account.holder_name),
        "on file" if account.nik_on_file else "none", f'<span class="money">{account.balance_rupiah:,}</span>', otp,
        form(mock, "customer", hidden("account", account.account) + selects + "<button>Save</button>", "row"),
    ]  # fmt: skip
