"""httpx's requests over aiohttp's connections, at a third of the processor time: one process plays thousands of people
beside the processes that it asks, and takes from them what it uses.
"""

from __future__ import annotations

import aiohttp
import httpx
import yarl

_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What aiohttp would add unasked."""


class Carrier(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient`; made and closed inside a running loop. Follows nothing, keeps no cookies.

    Raises httpx's exceptions. That nothing was sent is not told apart as it is towards partners: a browser asks again.
    """

    def __init__(self, most: int) -> None:
        """`most`: connections open at once, to all hosts together."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=most),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTO_HEADERS,
            auto_decompress=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange; the answer is read whole."""
        headers = request.headers.copy()
        # A body of no stated length goes out piece by piece, which aiohttp announces by itself.
        in_pieces = headers.pop("Transfer-Encoding", None) is not None
        try:
            async with self._session.request(
                request.method,
                yarl.URL(str(request.url), encoded=True),
                headers=headers.multi_items(),
                data=request.stream if in_pieces else await request.aread() or None,
                timeout=aiohttp.ClientTimeout(total=request.extensions.get("timeout", {}).get("read")),
                allow_redirects=False,
            ) as reply:
                content = await reply.read()
        except TimeoutError as error:
            raise httpx.ReadTimeout(type(error).__name__, request=request) from error
        except aiohttp.ClientConnectorError as error:
            raise httpx.ConnectError(type(error).__name__, request=request) from error
        except aiohttp.ClientError as error:
            raise httpx.ReadError(type(error).__name__, request=request) from error
        return httpx.Response(reply.status, headers=list(reply.raw_headers), content=content, request=request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()
