"""X as a client: the requests that it makes to the addresses of webhooks.

Source: X API docs, "Webhooks": an answer has ten seconds, and redirects are not followed.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from aiohttp import ClientSession

__all__ = ["Outgoing", "Reply"]

_TIMEOUT_S = 10.0
_MOST_BYTES = 64 * 1024
_AT_ONCE = 100


class Reply(NamedTuple):
    """What an address answered; the status is 0 if nothing came."""

    status: int
    body: bytes = b""
    is_tls_broken: bool = False


class Outgoing:
    """Sends requests over real sockets. Its connections last as long as any request is open.

    Args:
        holding: Makes a context in which each request is sent; virtual time stands still in it.
    """

    def __init__(self, holding: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._holding = holding
        self._session: ClientSession | None = None
        self._open = 0

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Reply:
        """Send a request; a fault of the network is a reply without a status."""
        from aiohttp import ClientError, ClientSSLError

        with self._holding():
            session = self._session = self._session or _new_session()
            self._open += 1
            try:
                async with session.request(
                    method, url, headers=headers, data=body or None, allow_redirects=False
                ) as answer:
                    return Reply(answer.status, await answer.content.read(_MOST_BYTES))
            except ClientSSLError:
                return Reply(0, is_tls_broken=True)
            except (ClientError, TimeoutError, OSError, ValueError):
                return Reply(0)
            finally:
                self._open -= 1
                if not self._open:
                    self._session = None
                    with suppress(ClientError):
                        await session.close()


def _new_session() -> ClientSession:
    from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

    return ClientSession(
        connector=TCPConnector(limit=_AT_ONCE),
        timeout=ClientTimeout(total=_TIMEOUT_S),
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": "botkit-sandbox"},
    )
