"""The steps of one login through a browser: check, listen, show the address, wait, finish.

The listener is bound before the address is shown. A redirect to the loopback address and an
address pasted by hand go through the same attempt, so the same checks apply.
"""

from __future__ import annotations

import asyncio
import threading
import webbrowser
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from botkit.client.signin.attempt import Keep, Login
from botkit.client.signin.oauth2_attempt import OAuth2Attempt
from botkit.config.app_names import section_of, variables_of
from botkit.errors import AuthError, ConfigError, StateMismatch
from botkit.model.tokens import Secret
from botkit.protocol.oauth.callback_urls import check_redirect_uri, is_callback
from botkit.telemetry.counted import counted
from botkit.wizard.callback_server import CallbackServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.endpoints import AppKeys
    from botkit.client.signin.attempt import LoginWish

__all__ = [
    "Begin",
    "BrowserLogin",
    "Ways",
    "ask_until_done",
    "begin_oauth2",
    "check_app",
    "check_callback",
    "log_in",
    "log_in_by_paste",
    "open_browser",
]

_MAX_TRIES = 5
_CONSOLE = "X's console (console.x.com), the app's Keys and tokens page"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """Hold a login's ways to show a text, to store the login, and to go on after it.

    Attributes:
        show: Shows a text to the person; an address is printed, or opened in a browser.
        finished: Called with the stored login while the callback server is still up; returns the
            facts for the last page, pairs of a label and a text.
        keep: Stores the login and its event; None stores the login alone.
        timeout_s: The seconds to wait for the person.
    """

    show: Callable[[str], Awaitable[None]]
    finished: Callable[[Login], Awaitable[tuple[tuple[str, str], ...]]]
    keep: Keep | None = None
    timeout_s: float = 300.0


class BrowserLogin(Protocol):
    """A login that has begun, by OAuth 2.0 or 1.0a."""

    @property
    def url(self) -> str:
        """The address for the person to open in a browser."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the login is used up: no redirect can finish it."""
        ...

    async def finish(self, query: Secret) -> Login:
        """Finish the login with the redirect's query."""
        ...


Begin = Callable[["LoginContext", "LoginWish", "Keep | None"], Awaitable[BrowserLogin]]
"""Begins a login; OAuth 1.0a asks X for a request token first."""


async def begin_oauth2(
    context: LoginContext, wish: LoginWish, keep: Keep | None = None
) -> BrowserLogin:
    """Begin an OAuth 2.0 login. X is not called before the person consents."""
    return OAuth2Attempt(context, wish, keep=keep)


def check_app(keys: AppKeys, redirect_uri: str, *, name: str, listens: bool) -> list[str]:
    """Check the settings that a login needs, before any network; return warnings.

    `listens` says that the callback server will listen at the address itself.

    Raises:
        ConfigError: The login is impossible; every reason is named.
    """
    section, prefix = section_of(name), variables_of(name)
    problems: list[str] = []
    if not keys.client_id:
        problems.append(
            f"[{section}] client_id is missing; it is on {_CONSOLE}. Set {prefix}__CLIENT_ID."
        )
    if not keys.client_secret:
        problems.append(
            f"[{section}] client_secret is missing; X shows it once, on the same page."
            f" Put it into a file and set {prefix}__CLIENT_SECRET_FILE."
        )
    return check_callback(redirect_uri, listens=listens, problems=problems)


def check_callback(redirect_uri: str, *, listens: bool, problems: Sequence[str] = ()) -> list[str]:
    """Check the callback address by X's rules; return warnings.

    `problems` are reasons already found why the login is impossible.

    Raises:
        ConfigError: The login is impossible; every reason is named.
    """
    wrong = list(problems)
    warnings: list[str] = []
    for problem in check_redirect_uri(redirect_uri):
        text = f"redirect_uri {redirect_uri}: {problem.text} [{problem.rule}] {problem.cure}"
        (wrong if problem.fatal else warnings).append(text)
    if listens and not wrong and urlsplit(redirect_uri).scheme != "http":
        wrong.append(
            f"redirect_uri {redirect_uri}: setup listens on this machine and needs an address"
            " like http://127.0.0.1:8765/callback, or say --headless and paste the redirect."
        )
    if wrong:
        raise ConfigError(" ".join(wrong), problems=wrong)
    return warnings


async def log_in(
    context: LoginContext,
    wish: LoginWish,
    ways: Ways,
    *,
    begin: Begin = begin_oauth2,
    on_listening: Callable[[], None] | None = None,
) -> Login:
    """Log in through the callback server on the loopback address.

    `on_listening` is called when the port is bound and the login has begun, right before the
    address is shown.

    Raises:
        ConfigError: The port is taken; nothing was shown yet.
        AuthError: The person declined, nobody came in time, or X refused; nothing was stored.
    """
    begun: list[BrowserLogin] = []
    done: list[Login] = []

    async def finish(query: Secret) -> tuple[tuple[str, str], ...]:
        if not begun:
            raise StateMismatch("The login has not begun yet.")
        login = await begun[0].finish(query)
        done.append(login)
        return await ways.finished(login)

    async with CallbackServer(wish.redirect_uri, finish) as server:
        begun.append(await begin(context, wish, ways.keep))
        if on_listening is not None:
            on_listening()
        try:
            async with context.clock.timeout(ways.timeout_s):
                await ways.show(begun[0].url)
                await server.wait()
        except TimeoutError:
            if not server.is_finishing:
                raise AuthError(
                    f"Nobody finished the login within {_span(ways.timeout_s)};"
                    " the port is closed, nothing was stored.",
                    hint="Run botkit setup again; --headless works without reaching this machine.",
                ) from None
            await server.wait()  # the person came in time; what follows has limits of its own
    return done[0]


def _span(seconds: float) -> str:
    return counted(seconds, "second") if seconds % 60 else counted(seconds / 60, "minute")


async def log_in_by_paste(
    context: LoginContext,
    wish: LoginWish,
    ways: Ways,
    *,
    ask: Callable[[str], Awaitable[str]],
    begin: Begin = begin_oauth2,
) -> Login:
    """Log in without a listener: the person pastes the address that the browser ended at.

    Raises:
        AuthError: The person declined, what was pasted was wrong too often, or X refused.
    """
    attempt = await begin(context, wish, ways.keep)

    async def try_address() -> Login | str:
        address = _parts_of(await ask("The whole address that the browser shows at the end: "))
        if address is None:
            return "That is not a whole address: it starts with http and holds a `?`."
        place, query = address
        if not is_callback(place, wish.redirect_uri):
            return f"It does not start with {wish.redirect_uri}, where this login ends."
        try:
            return await attempt.finish(query)
        except StateMismatch as mismatch:
            if attempt.is_over:
                raise
            return f"{mismatch} Paste the address of this login."

    login = await ask_until_done(ways, attempt, try_address)
    if login is None:
        raise AuthError(
            "What was pasted was never the end of this login; nothing was stored.",
            hint="Run botkit setup again and paste the address as the browser shows it.",
        )
    return login


async def ask_until_done(
    ways: Ways, attempt: BrowserLogin, try_once: Callable[[], Awaitable[Login | str]]
) -> Login | None:
    """Show the address, and ask the person up to five times for the end of the login.

    `try_once` asks; it returns the stored login, or a text that says what is wrong. The result is
    None after too many tries.
    """
    await ways.show(attempt.url)
    for _ in range(_MAX_TRIES):
        outcome = await try_once()
        if isinstance(outcome, Login):
            await ways.finished(outcome)
            return outcome
        await ways.show(outcome)
    return None


def _parts_of(pasted: str) -> tuple[str, Secret] | None:
    """Split an address into place and query; return None if it is no whole address."""
    place, _, query = pasted.strip().partition("#")[0].partition("?")
    return (place, Secret(query)) if ":" in place and query else None


async def open_browser(url: str, *, patience_s: float = 3.0) -> bool:
    """Open the address in a browser; return False if there is none.

    A command in BROWSER may keep running until its window is closed. The login does not wait for
    that: after `patience_s` the browser counts as open, and its thread ends with the process.
    """
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[bool] = loop.create_future()

    def answer(is_open: bool) -> None:  # noqa: FBT001 - called by the loop
        if not opened.done():
            opened.set_result(is_open)

    def open_it() -> None:
        is_open = webbrowser.open(url)
        with suppress(RuntimeError):  # the loop has ended before the browser
            loop.call_soon_threadsafe(answer, is_open)

    threading.Thread(target=open_it, name="browser", daemon=True).start()
    with suppress(TimeoutError):
        return await asyncio.wait_for(opened, patience_s)
    return True
