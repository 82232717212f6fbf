"""The partners, one line each. One partner more is a folder and a line here."""

from __future__ import annotations

from adapters.bni import PARTNER as BNI
from adapters.dana import PARTNER as DANA
from adapters.gopay import PARTNER as GOPAY
from adapters.linkaja import PARTNER as LINKAJA
from adapters.ovo import PARTNER as OVO
from contracts.partner import Partner

PARTNERS: dict[str, Partner] = {
    "bni": BNI,
    "gopay": GOPAY,
    "linkaja": LINKAJA,
    "ovo": OVO,
    "dana": DANA,
}

for _slug, _partner in PARTNERS.items():
    assert _partner.manifest.slug == _slug, f"{_slug}: the manifest names another slug"
