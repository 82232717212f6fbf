"""What the suites must know of one partner and can ask of no registry: a folder each, found by the partner's name.

- `__init__.py`, where its adapter is larger than a SNAP wallet's: `LARGER`, the lines that it may have, and why;
- `client.py`, a client written from its sheet: `PRODUCTS` and `ENDPOINTS`, `EXTRA` calls that are not SNAP's, the case
  of `UNKNOWN_TOKEN`, the codes `PRINTED` by the sheet, what `STRANGE_PATHS` are answered;
- `story.py`: answers after which a plan `GOES_ON`, the `WRITES` that may move money, what is `CHANGED` in a look-up's
  answer (call, field that gets another type, code and what it is then) and `NOT_ASKED_THEN`, what a `CROWD` of people
  may be told wrongly by stage, and its customers:
  `customer_token`, `grant`, `revoke`; `KEEPS_REFERENCES`, where a reference is never free again; `signed_again`,
  where the partner signs answers of which a recording keeps less; `TOKEN_LATER`, plans of which only a later request
  shows a token of ours; `IN_PATHS`, what of `Grant.extra` the partner's own paths carry;
- `codes.py`, where its codes, or the fields of its answers, are not SNAP's: `CODES`, its sheet's word on them, and
  what its answers `gives`: fields that no refusal has beside it;
- `notices.py`, where it sends notifications: by kind the header with the `SIGNATURE` (of a kind that is not signed the
  one that must be there) and the `TIME` that is signed, the kinds whose signature `SIGNS_ADDRESS`; the codes of
  `FAILURES` that its sheet lists, some `NO_FAILURES` that it does not, and what tells of one that `failed`; the same
  `about` something else, `signed` by the partner's key; what is `read` of one, and whether it `succeeded`;
- `pages.py`, where a browser goes there: `WALLET`;
- `bugs.py`, where it has bugs that no other adapter has: `BUGS`, each made by `tests.mutants.planting.alone`.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from mock_partners.registry import PARTNERS

NEEDED = ("client", "story")


def each(part: str) -> dict[str, Any]:
    """The module `part` of every partner, by name; of one that is not `NEEDED`, where there is one. Without a part, the
    package itself.
    """
    names = {slug: f"{__name__}.{slug}.{part}".rstrip(".") for slug in PARTNERS}
    found = {slug: name for slug, name in names.items() if part in NEEDED or importlib.util.find_spec(name)}
    return {slug: importlib.import_module(name) for slug, name in found.items()}
