"""How a manifest writes down what is known of a partner: each fact and each code with its mark and its source."""

from __future__ import annotations

from contracts.partner import Blame, Code, Fact, Mark


def seen(source: str, text: str) -> Fact:
    """A fact that stands in a document, or was met."""
    return Fact(mark=Mark.SEEN, source=source, text=text)


def recalled(source: str, text: str) -> Fact:
    """A fact from memory, not to be relied on before it was checked."""
    return Fact(mark=Mark.RECALLED, source=source, text=text)


def assumed(source: str, text: str) -> Fact:
    """Ours, where the partner's documents are silent."""
    return Fact(mark=Mark.ASSUMED, source=source, text=text)


def codes(blames: Blame, source: str, *names: str, mark: Mark = Mark.ASSUMED) -> dict[str, Code]:
    """The same said of several codes."""
    return dict.fromkeys(names, Code(blames=blames, mark=mark, source=source))
