"""What a participant types for a partner: passed on in the request that brought it, and kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from contracts.errors import InvalidRequest
from contracts.secret import Secret
from contracts.text import typed_digits
from gateway.partners.desk import Desk

_LONGEST_INPUT = 64


def checked(desk: Desk, wants: Sequence[str], typed: Mapping[str, Secret]) -> dict[str, Secret]:
    """Exactly what is wanted, each as the manifest says, numbers in plain digits. Raises `InvalidRequest`, which
    never quotes a value.
    """
    known_inputs, found = desk.manifest.inputs, {}
    for name in typed:
        if name not in wants:
            known = name if name in known_inputs else None  # else it may be what was to be typed
            raise InvalidRequest("This input is not asked for now.", field=known)
    for name in wants:
        value = typed[name].reveal() if name in typed else ""
        value = typed_digits(value) if known_inputs[name].numeric else value
        if len(value) > _LONGEST_INPUT or not re.fullmatch(known_inputs[name].pattern, value, re.ASCII):
            raise InvalidRequest("This input is missing or malformed.", field=name)
        found[name] = Secret(value)
    return found
