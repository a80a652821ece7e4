"""The callback server of a login: on the loopback address, for one login, and closed after it.

Only a request with the right state decides; everything else is answered and the login waits on.
Source: RFC 8252 sections 7.3 and 8.3; docs/explanation/requirements.md, L1 to L11.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import msgspec
import structlog
from aiohttp import web

from botkit.errors import (
    AuthorizationDenied,
    BotkitError,
    ConfigError,
    LoginExpired,
    StateMismatch,
    WrongAccount,
)
from botkit.model.tokens import Secret
from botkit.protocol.oauth.callback_urls import loopback_address
from botkit.web.connections import Connections
from botkit.web.pages import Page, render
from botkit.web.request_checks import comes_from, has_body, is_ahead, is_for
from botkit.wizard.pages import PAGES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

__all__ = ["CallbackServer"]

_log = structlog.get_logger("botkit.setup")

_MAX_CONNECTIONS = 64
_MAX_REFUSED = 100
_HTTP_PORT = 80
"""Browsers leave the default port out of the Host header."""


class CallbackServer:
    """Waits for the redirect of one login.

    Args:
        redirect_uri: The callback address as registered; its host must be a loopback literal.
        finish: Given the callback's query, ends the login and gives the facts to show. It raises
            `StateMismatch` for a request that is not of this login (which then waits on).
    """

    def __init__(
        self,
        redirect_uri: str,
        finish: Callable[[Secret], Awaitable[tuple[tuple[str, str], ...]]],
    ) -> None:
        self._host, self._port, self._path = loopback_address(redirect_uri)
        self._finish = finish
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._ended: asyncio.Future[None] | None = None
        self._connections = Connections(_MAX_CONNECTIONS, refused=PAGES["refused"])
        self._refused = 0
        self._finishing = 0
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self._authorities = {f"{shown}:{self._port}"}
        if self._port == _HTTP_PORT:
            self._authorities.add(shown)

    async def __aenter__(self) -> Self:
        """Bind and listen.

        Raises:
            ConfigError: The port is taken, or may not be used.
        """
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        self._web = web.Server(self._answer)
        manager = self._web
        try:
            self._server = await loop.create_server(
                lambda: self._connections.protocol(manager, loop),
                self._host,
                self._port,
                backlog=128,
            )
        except OSError as error:
            raise self._cannot_listen(error) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        if self._web is not None:
            await self._web.shutdown(1.0)
        self._connections.close()
        if self._ended is not None and not self._ended.done():
            self._ended.cancel()

    async def wait(self) -> None:
        """Return when the login has succeeded; raise what ended it otherwise."""
        if self._ended is None:
            raise RuntimeError("the callback server is not open")
        await asyncio.shield(self._ended)

    @property
    def is_finishing(self) -> bool:
        """Whether the login's own redirect has come and is being seen to."""
        return self._finishing > 0

    def _cannot_listen(self, error: OSError) -> ConfigError:
        place = f"{self._host}:{self._port}"
        if error.errno == errno.EADDRINUSE:
            return ConfigError(
                f"Port {self._port} on {self._host} is taken by another program.",
                hint=(
                    "Stop that program, or register another callback address in X's console and"
                    " set redirect_uri to it: X compares the address exactly, port included."
                ),
            )
        return ConfigError(f"Cannot listen on {place}: {error.strerror}.")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        out_of_place = self._out_of_place(request)
        if out_of_place is not None:
            page, failure = out_of_place, None
        else:
            page, failure = await self._callback(Secret(request.query_string))
        body, headers = render(page)
        response = web.Response(status=page.status, body=body, headers=headers)
        response.force_close()
        try:
            # The answer must be out before the port closes, so the login ends only after it.
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            _log.info("the browser did not wait for the answer")
        finally:
            self._maybe_end(page, failure)
        return response

    def _out_of_place(self, request: web.BaseRequest) -> Page | None:
        """The page for a request that cannot be the callback; None when it may be."""
        if not is_for(request, self._authorities):
            return PAGES["misdirected"]
        if not comes_from(request, {f"http://{a}" for a in self._authorities}):
            return PAGES["refused"]
        if request.raw_path.partition("?")[0] != self._path:
            return PAGES["not_found"]
        if request.method != "GET":
            return PAGES["method"]
        if has_body(request):
            return PAGES["refused"]
        return PAGES["prefetch"] if is_ahead(request) else None

    async def _callback(self, query: Secret) -> tuple[Page, Exception | None]:
        """The page for a callback, and what ends the login when it ends in failure."""
        self._finishing += 1
        try:
            facts = await self._finish(query)
        except StateMismatch as mismatch:
            self._finishing -= 1
            self._refused += 1
            _log.warning("callback refused", reason=mismatch.message, refused=self._refused)
            return PAGES["unknown"], self._too_many()
        except AuthorizationDenied as denied:
            return PAGES["declined"], denied
        except WrongAccount as wrong:
            return PAGES["wrong_account"], wrong
        except LoginExpired as late:
            return PAGES["expired"], late
        except BotkitError as error:
            return PAGES["failed"], error
        except Exception as fault:  # noqa: BLE001 - it is raised where the login is awaited
            return PAGES["failed"], fault
        success = PAGES["success"]
        return msgspec.structs.replace(success, facts=facts), None

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
