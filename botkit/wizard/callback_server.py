"""The callback server of one login, on the loopback address.

Only a request with the right state ends the login; the server answers every other request and
waits on.
Source: RFC 8252 sections 7.3 and 8.3; docs/explanation/requirements.md, L1 to L11.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from botkit.errors import StateMismatch, WrongAccount
from botkit.model.tokens import Secret
from botkit.protocol.oauth.callback_urls import loopback_address
from botkit.web.connections import Limits
from botkit.web.page_texts import CALLBACK_PAGES, outcome_of
from botkit.web.requests import HostGuard, WebRequest
from botkit.web.responses import WebResponse, page_response
from botkit.web.server import Site, WebRoute, WebServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from botkit.web.pages import Page

__all__ = ["CallbackServer"]

_log = structlog.get_logger(__name__)

_MAX_REFUSED = 100
_HTTP_PORT = 80
"""Browsers leave the default port out of the Host header."""
_STOP_S = 1.0
"""How long answers that are under way may take when the server closes."""

_SITE = Site(
    refused=CALLBACK_PAGES["refused"],
    not_found=CALLBACK_PAGES["not_found"],
    wrong_method=CALLBACK_PAGES["wrong_method"],
    trouble=CALLBACK_PAGES["failed"],
    limits=Limits(connections=64, backlog=32),
    taken_hint=(
        "Stop that program, or register another callback address in X's console and"
        " set redirect_uri to it: X compares the address exactly, port included."
    ),
)


class CallbackServer:
    """Waits for the redirect of one login.

    Args:
        redirect_uri: The callback address as registered; its host must be a loopback literal.
        finish: Given the callback's query, ends the login and returns the facts to show. It raises
            `StateMismatch` for a request that is not of this login (which then waits on).
    """

    def __init__(
        self,
        redirect_uri: str,
        finish: Callable[[Secret], Awaitable[tuple[tuple[str, str], ...]]],
    ) -> None:
        host, port, path = loopback_address(redirect_uri)
        self._finish = finish
        self._ended: asyncio.Future[None] | None = None
        self._refused = 0
        self._finishing = 0
        route = WebRoute(
            methods=("GET",), answer=self._callback, not_opened=CALLBACK_PAGES["prefetch"]
        )
        site = replace(_SITE, guard=_guard(host, port))
        self._server = WebServer(host, port, {path: route}, site=site)

    async def __aenter__(self) -> Self:
        """Bind and listen.

        Raises:
            ConfigError: The port is taken, or may not be used.
        """
        self._ended = asyncio.get_running_loop().create_future()
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port and every connection."""
        await self._server.stop(_STOP_S)
        if self._ended is not None and not self._ended.done():
            self._ended.cancel()

    async def wait(self) -> None:
        """Return when the login has succeeded; raise the error that ended it otherwise."""
        if self._ended is None:
            raise RuntimeError("the callback server is not open")
        await asyncio.shield(self._ended)

    @property
    def is_finishing(self) -> bool:
        """Whether the login's own redirect has come and is being handled."""
        return self._finishing > 0

    async def _callback(self, request: WebRequest) -> WebResponse:
        page, failure = await self._finish_login(Secret(request.query))

        def sent(lost: ConnectionError | None) -> None:
            # The answer must be out before the port closes, so the login ends only now.
            if lost is not None:
                _log.info("browser.left_early")
            self._maybe_end(page, failure)

        return page_response(page, sent=sent)

    async def _finish_login(self, query: Secret) -> tuple[Page, Exception | None]:
        """Return the page for a callback, and the error that ends the login in failure."""
        self._finishing += 1
        try:
            facts = await self._finish(query)
        except StateMismatch as mismatch:
            self._finishing -= 1
            self._refused += 1
            _log.warning("callback.refused", reason=mismatch.message, refused=self._refused)
            return CALLBACK_PAGES["unknown"], self._too_many()
        except Exception as error:  # noqa: BLE001 - it is raised where the login is awaited
            page = CALLBACK_PAGES[outcome_of(error)]
            if isinstance(error, WrongAccount) and error.kept:
                page = replace(page, facts=(("Kept for", f"@{error.kept}"),))
            return page, error
        return replace(CALLBACK_PAGES["success"], facts=facts), None

    def _too_many(self) -> StateMismatch | None:
        if self._refused < _MAX_REFUSED:
            return None
        return StateMismatch(
            f"{self._refused} callbacks did not belong to this login; gave up.",
            hint="Something on this machine sends forged callbacks. Run botkit setup again.",
        )

    def _maybe_end(self, page: Page, failure: Exception | None) -> None:
        if self._ended is None or self._ended.done():
            return
        if failure is not None:
            self._ended.set_exception(failure)
        elif page.good:
            self._ended.set_result(None)


def _guard(host: str, port: int) -> HostGuard:
    """Return the guard that takes the redirect address's own Host and Origin."""
    shown = f"[{host}]" if ":" in host else host
    authorities = {f"{shown}:{port}", *([shown] if port == _HTTP_PORT else [])}
    return HostGuard(
        authorities=authorities,
        origins={f"http://{authority}" for authority in authorities},
        misdirected=CALLBACK_PAGES["misdirected"],
        foreign=CALLBACK_PAGES["refused"],
    )
