"""The steps that only an OAuth 1.0a login has: check of key and secret, and the PIN.

Source: docs/explanation/requirements.md, C14; X API docs, "Log in with X" and "PIN-based
authorization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.client.signin.oauth1_attempt import OAuth1Attempt
from botkit.config.app_names import section_of, variables_of
from botkit.errors import AuthError, ConfigError, StateMismatch
from botkit.model.tokens import Secret
from botkit.wizard.steps import ask_until_done, check_callback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.endpoints import AppKeys
    from botkit.client.signin.attempt import Keep, Login, LoginWish
    from botkit.wizard.steps import BrowserLogin, Ways

__all__ = ["begin_oauth1", "check_signing_app", "log_in_by_pin"]

_CONSOLE = "X's console (console.x.com), the app's Keys and tokens page"


async def begin_oauth1(
    context: LoginContext, wish: LoginWish, keep: Keep | None = None
) -> BrowserLogin:
    """Ask X for a request token and begin an OAuth 1.0a login; raise as `OAuth1Attempt.begin`."""
    return await OAuth1Attempt.begin(context, wish, keep=keep)


def check_signing_app(
    keys: AppKeys, callback: str | None, *, name: str, listens: bool
) -> list[str]:
    """Check the settings that an OAuth 1.0a login needs, before any network; return warnings.

    `callback` is None for a login that ends with a PIN.

    Raises:
        ConfigError: The login is impossible; every reason is named.
    """
    section, prefix = section_of(name), variables_of(name)
    problems: list[str] = []
    if not keys.api_key:
        problems.append(
            f"[{section}] api_key is missing; it is the API Key on {_CONSOLE}."
            f" Set {prefix}__API_KEY."
        )
    if not keys.api_secret:
        problems.append(
            f"[{section}] api_secret is missing; X shows the API Key Secret once, on the same"
            f" page. Put it into a file and set {prefix}__API_SECRET_FILE."
        )
    if callback is not None:
        return check_callback(callback, listens=listens, problems=problems)
    if problems:
        raise ConfigError(" ".join(problems), problems=problems)
    return []


async def log_in_by_pin(
    context: LoginContext,
    wish: LoginWish,
    ways: Ways,
    *,
    ask: Callable[[str], Awaitable[str]],
) -> Login:
    """Log in with the PIN that X's page shows; `wish.redirect_uri` is `oob`.

    A PIN is sent to X once. A text that is no PIN is not sent; the person is asked again.

    Raises:
        AuthError: X does not take the PIN, or no PIN was typed at all; nothing was stored.
    """
    attempt = await OAuth1Attempt.begin(context, wish, keep=ways.keep)

    async def try_pin() -> Login | str:
        typed = Secret(await ask("The PIN that X shows after you authorized the app: "))
        try:
            return await attempt.finish_pin(typed)
        except StateMismatch as mismatch:
            if attempt.is_over:
                raise
            return mismatch.message

    login = await ask_until_done(ways, attempt, try_pin)
    if login is None:
        raise AuthError(
            "No PIN was typed; nothing was sent and nothing was stored.",
            hint="Run botkit setup --pin again and type the digits that X shows.",
        )
    return login
