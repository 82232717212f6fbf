"""How a partner's consent pages look: Indonesian HTML for a phone's screen, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from html import escape
from importlib import resources

from mock_partners.kit.http import Reply

HEADERS = {
    "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
}  # fmt: skip
"""No `form-action`: a browser would hold it against the redirect to the programme that follows the last form."""


class Step(StrEnum):
    """What a consent page asks for, one form each."""

    AGREE = "agree"
    PHONE = "phone"
    OTP = "otp"
    PIN = "pin"


@dataclass(frozen=True)
class Words:
    """The texts of one step: `{merchant}` and `{phone}` (masked) are filled in."""

    title: str
    lead: str
    label: str
    go: str


@dataclass(frozen=True)
class Look:
    """One partner's pages. `grants` are what the person allows; `css` is laid over the kit's own."""

    brand: str
    words: Mapping[Step, Words]
    grants: tuple[str, ...]
    refuse: str
    gone: Words
    css: str = ""


@dataclass(frozen=True)
class Scene:
    """What one form is about: which of `steps` it is, for whom, until when, and what was wrong with the last try."""

    merchant: str
    step: Step
    place: int
    steps: int
    phone: str
    until: datetime
    problem: str = ""


def css(package: str) -> str:
    """The style sheet `page.css` of a package."""
    return resources.files(package).joinpath("page.css").read_text("utf-8")


_BASE = css("mock_partners.kit")


def form(look: Look, scene: Scene) -> Reply:
    """A step's page. Its first button goes on, so that the Enter key does too; refusing asks for no input."""
    words = _filled(look.words[scene.step], scene)
    wrong = ' aria-invalid="true" aria-describedby="problem"' if scene.problem else ""
    problem = f'<p class="problem" role="alert" id="problem">{escape(scene.problem)}</p>' if scene.problem else ""
    return _page(
        look, 200, words.title,
        _steps(scene) + _heading(look, words) + problem + '<form method="post" action="">'
        f'<input type="hidden" name="step" value="{scene.step.value}">' + _input(look, scene, words, wrong)
        + '<div class="buttons">'
        f'<button class="go" name="action" value="continue">{escape(words.go)}</button>'
        f'<button class="no" name="action" value="deny" formnovalidate>{escape(look.refuse)}</button></div></form>',
    )  # fmt: skip


def gone(look: Look, merchant: str, status: int = 410) -> Reply:
    """The page that nobody can go on from."""
    words = look.gone
    lead = words.lead.format(merchant=merchant)
    text = (
        f'<div class="end" aria-hidden="true">!</div><h1>{escape(words.title)}</h1><p class="lead">{escape(lead)}</p>'
    )
    return _page(look, status, words.title, text)


def masked_phone(phone: str) -> str:
    """`+6281234567890` as a partner shows it: 0812••••7890."""
    local = "0" + phone.removeprefix("+62")
    return f"{local[:4]}{'•' * max(len(local) - 8, 0)}{local[-4:]}" if len(local) > 8 else "•" * len(local)


def _filled(words: Words, scene: Scene) -> Words:
    names = {"merchant": scene.merchant, "phone": masked_phone(scene.phone)}
    texts = (text.format(**names) for text in (words.title, words.lead, words.label, words.go))
    return Words(*texts)


def _steps(scene: Scene) -> str:
    marks = "".join(
        f'<i class="{"done" if number < scene.place else "now" if number == scene.place else ""}"></i>'
        for number in range(scene.steps)
    )
    label = f"Langkah {scene.place + 1} dari {scene.steps}"
    return f'<div class="steps" role="img" aria-label="{label}">{marks}</div>'


def _heading(look: Look, words: Words) -> str:
    pair = f'<div class="pair" aria-hidden="true"><i>KP</i><b></b><i>{escape(look.brand[:1])}</i></div>'
    return f'{pair}<h1>{escape(words.title)}</h1><p class="lead">{escape(words.lead)}</p>'


def _input(look: Look, scene: Scene, words: Words, wrong: str) -> str:
    label, name = escape(words.label), scene.step.value
    match scene.step:
        case Step.AGREE:
            grants = "".join(f"<li>{escape(grant)}</li>" for grant in look.grants)
            until = f"{scene.until:%H.%M} WIB"
            facts = [("Layanan", scene.merchant), ("Akun", masked_phone(scene.phone)), ("Berlaku sampai", until)]
            rows = "".join(f"<div><dt>{fact}</dt><dd>{escape(told)}</dd></div>" for fact, told in facts)
            return (
                f'<ul class="grants">{grants}</ul><dl>{rows}</dl>'
                f'<label class="tick"><input type="checkbox" name="agree" value="yes" required{wrong}>'
                f"<span>{label}</span></label>"
            )
        case Step.PHONE:
            return (
                f'<label for="{name}">{label}</label><input id="{name}" name="{name}" type="tel" inputmode="tel" '
                f'autocomplete="tel" maxlength="20" placeholder="08…" required autofocus{wrong}>'
            )
        case Step.OTP | Step.PIN:
            kind = 'type="password" autocomplete="off"' if scene.step is Step.PIN else 'autocomplete="one-time-code"'
            return (
                f'<label for="{name}">{label}</label><div class="code"><input id="{name}" name="{name}" {kind} '
                'inputmode="numeric" pattern="[0-9]{6}" maxlength="6" title="6 angka" placeholder="••••••" '
                f"required autofocus{wrong}></div>"
            )


def _page(look: Look, status: int, title: str, content: str) -> Reply:
    brand = escape(look.brand)
    text = (
        '<!doctype html><html lang="id"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} · {brand}</title><style>{_BASE}{look.css}</style></head>"
        f'<body><div class="phone"><header><span>{brand}</span></header><main>{content}</main>'
        f"<footer>Halaman tiruan untuk pengujian, bukan halaman resmi {brand}.</footer></div></body></html>"
    )
    return Reply(status, text.encode(), HEADERS)
