"""The wallets with pages of their own. BNI has none: the programme's own form asks for its OTP (decisions B1)."""

from __future__ import annotations

from adapters.registry import PARTNERS
from contracts.partner import Capability
from tests.browser.wallet import Wallet
from tests.partners import each

WALLETS: tuple[Wallet, ...] = tuple(pages.WALLET for pages in each("pages").values())
_WITH_PAGES = {slug for slug, one in PARTNERS.items() if Capability.LINK_REDIRECT in one.manifest.capabilities}
assert {wallet.name for wallet in WALLETS} == _WITH_PAGES, "a browser walks through every partner's pages"
