"""Set up a sandbox with a bot's account, authorized by the real flow, for `demo` and `dev`.

This module never reads the operator's settings or credentials, not even from the environment.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from typing import TYPE_CHECKING

import aiohttp

from botkit.config import load_settings
from botkit.errors import BotkitError
from botkit.wizard.setup import SetupOptions, set_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from botkit.bot.definition import Bot
    from botkit.config import Settings
    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.sandbox.x.listener import OpenServer

__all__ = ["authorize", "environment_of"]


def environment_of(opened: OpenServer, store: Path) -> dict[str, str]:
    """Register an app in the sandbox; return environment variables that set up a bot for it."""
    redirect_uri = f"http://127.0.0.1:{_free_port()}/callback"
    app = opened.world.grants.add_app("stage", redirect_uris=[redirect_uri])
    secret = app.client_secret or ""
    return {
        "BOTKIT_X__API_URL": opened.url,
        "BOTKIT_X__CONSENT_URL": f"{opened.url}/i/oauth2/authorize",
        "BOTKIT_APP__CLIENT_ID": app.client_id,
        "BOTKIT_APP__CLIENT_SECRET": secret,
        "BOTKIT_APP__BEARER_TOKEN": app.bearer,
        "BOTKIT_APP__REDIRECT_URI": redirect_uri,
        "BOTKIT_STORE__URL": f"sqlite:///{store}",
        # A derived key is enough: the store ends with this command and holds no real login.
        "BOTKIT_STORE__KEY": hashlib.sha256(secret.encode()).hexdigest(),
    }


async def authorize(
    environment: dict[str, str],
    folder: Path,
    store: Store,
    bot: Bot,
    *,
    username: str,
    tell: Callable[[str], None],
) -> tuple[Settings, Account]:
    """Authorize the account by the real flow with the real callback server; consent by itself."""
    settings = await asyncio.to_thread(load_settings, folder=folder, environ=environment)

    async def consent(url: str) -> None:
        fields = {"as": username, "decision": "authorize"}
        async with aiohttp.ClientSession() as browser, browser.post(url, data=fields) as page:
            await page.read()

    async with asyncio.TaskGroup() as group:

        async def show(url: str) -> None:
            # As a person would, `consent` answers the page while the callback server waits.
            clicks.append(group.create_task(consent(url)))

        clicks: list[asyncio.Task[None]] = []
        done = await set_up(settings, store, bot, SetupOptions(), show=show, tell=tell)
    for proof in done.proofs:
        if not proof.fine:
            raise BotkitError(f"{proof.what}: {proof.detail}", hint=proof.cure)
    return settings, done.login.account


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
