"""`botkit sandbox`: serve the simulated X alone, for any client in any language."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import json_option, run_async
from botkit.cli.output import echo, echo_json
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from botkit.sandbox.x.listener import OpenServer

__all__ = ["command"]

_WHO = "ada"
"""The username of a second user, whom the operator can play."""
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_USERNAME = re.compile(r"[A-Za-z0-9_]{1,15}")


@click.command(
    cls=HelpCommand, name="sandbox", help="Serve the simulated X alone, for any client."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free one",
    help="The port to listen on.",
)
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    default=["http://127.0.0.1:8765/callback"],
    show_default=True,
    help="A callback address registered for the app; may be given more than once.",
)
@click.option("--account", default="greeter", show_default=True, help="The bot's username.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="A name that clients may call it by, as host.docker.internal; may be given repeatedly.",
)
@click.option("--no-rate-limits", is_flag=True, help="For load: no rate windows, none said.")
@json_option
def command(
    *,
    host: str,
    port: int,
    redirect_uris: tuple[str, ...],
    account: str,
    allowed_hosts: tuple[str, ...],
    no_rate_limits: bool,
    as_json: bool,
) -> None:
    """Print the environment variables that point botkit here, and serve until interrupted."""
    if host not in _LOOPBACK:
        raise ConfigError(
            f"The sandbox speaks plain http, so it listens on loopback only, not on {host}.",
            hint="Use --host 127.0.0.1, and a tunnel if it must be reached from elsewhere.",
        )
    if not _USERNAME.fullmatch(account):
        raise ConfigError(
            f"{account!r} cannot be a username.",
            hint="Use 1 to 15 letters, digits or underscores.",
        )
    from botkit.sandbox import open_server

    opening = open_server(host=host, port=port, allowed_hosts=allowed_hosts)
    try:
        run_async(
            _serve(opening, redirect_uris, account, limited=not no_rate_limits, as_json=as_json)
        )
    except OSError as error:
        raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error


async def _serve(
    opening: AbstractAsyncContextManager[OpenServer],
    redirect_uris: tuple[str, ...],
    account: str,
    *,
    limited: bool,
    as_json: bool,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers
            loop.add_signal_handler(number, stop.set)
    folder = tempfile.TemporaryDirectory(prefix="botkit-sandbox-", ignore_cleanup_errors=True)
    with folder as place:
        async with opening as opened:
            opened.server.limits.enforced = limited
            environment = _prepare(opened, redirect_uris, account, Path(place))
            if as_json:
                echo_json({"url": opened.url, "environment": environment})
            else:
                _explain(opened, environment, account)
            await stop.wait()


def _prepare(
    opened: OpenServer, redirect_uris: tuple[str, ...], account: str, folder: Path
) -> dict[str, str]:
    """Make an app, the bot's account and a second user; return the settings that use the app.

    They name a separate store in the folder, so that no real bot's store is used.
    """
    world = opened.world
    user = world.add_user(account)
    world.add_user(_WHO)
    app = world.grants.add_app("sandbox app", redirect_uris=redirect_uris)
    app.owner_id = user.id
    return {
        "BOTKIT_X__API_URL": opened.url,
        "BOTKIT_X__CONSENT_URL": f"{opened.url}/i/oauth2/authorize",
        "BOTKIT_APP__CLIENT_ID": app.client_id,
        "BOTKIT_APP__CLIENT_SECRET": app.client_secret or "",
        "BOTKIT_APP__API_KEY": app.api_key,
        "BOTKIT_APP__API_SECRET": app.api_secret,
        "BOTKIT_APP__BEARER_TOKEN": app.bearer,
        "BOTKIT_STORE__URL": f"sqlite:///{folder / 'botkit.db'}",
        # A derived key is enough: the store ends with this command and holds no real login.
        "BOTKIT_STORE__KEY": hashlib.sha256(app.bearer.encode()).hexdigest(),
    }


def _explain(opened: OpenServer, environment: dict[str, str], account: str) -> None:
    echo(f"# The simulated X is at {opened.url}; Ctrl-C ends it. Its credentials are toys.")
    for name, value in environment.items():
        echo(f"export {name}={value}")
    echo("# Play a user:")
    body = f'{{"as": "{_WHO}", "text": "@{account} hello"}}'
    echo(f"# curl -H content-type:application/json -d '{body}' {opened.url}/sandbox/posts")
