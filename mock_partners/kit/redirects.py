"""Where a wallet's pages may send the browser back to, and how the wallet's parameters get there (decisions X1)."""

from __future__ import annotations

from urllib.parse import SplitResult, quote, urlencode, urlsplit

from mock_partners.kit.http import Call


class RegisteredRedirect:
    """The one return address that the programme registered at a partner: `{base}/callbacks/{partner}/link`."""

    def __init__(self, base: str, partner: str) -> None:
        self._registered = urlsplit(f"{base.rstrip('/')}/callbacks/{partner}/link")

    def matches(self, url: str) -> bool:
        """Whether scheme, host and path are the registered ones; the query is the programme's own."""
        try:
            given = urlsplit(url)
        except ValueError:
            return False
        return not given.fragment and _address(given) == _address(self._registered)


def with_parameters(url: str, **parameters: str) -> str:
    """The URL with more query parameters after those that it has."""
    joint = "&" if urlsplit(url).query else "?"
    return f"{url}{joint}{urlencode(parameters, quote_via=quote, safe='')}"


def own_url(call: Call, path: str) -> str:
    """A path of this mock as an absolute URL, at the address that the client reached it under, by https where what
    stands in front of the mock says so.
    """
    scheme = "https" if call.header("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{call.header('host')}{path}"


def _address(url: SplitResult) -> tuple[str, str, str]:
    return url.scheme.lower(), url.netloc.lower(), url.path
