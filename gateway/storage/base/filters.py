"""Conditions of a list for the filters that were given."""

from __future__ import annotations

from collections.abc import Mapping

OF_PERSON = "participant = (SELECT id FROM participants WHERE participant_id = {})"


def where(known: Mapping[str, str], wanted: Mapping[str, object], values: list[object]) -> list[str]:
    """The condition of each name in `known` that is wanted (not None); their values are added to `values`, whose length
    numbers the placeholders.
    """
    found = []
    for name, value in wanted.items():
        if value is not None:
            values.append(value)
            found.append(known[name].format(f"${len(values)}"))
    return found
