"""Serve HTTP beside the running bot: health, logins by invitation, and calls of other software."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from botkit.bot.accounts.authorized import authorized_event
from botkit.config.app_names import section_of, variables_of
from botkit.errors import ConfigError, StateError
from botkit.model.tokens import LoginState
from botkit.model.triggers import Trigger
from botkit.protocol.oauth.callback_urls import check_redirect_uri
from botkit.protocol.oauth.invitations import callback_url
from botkit.runtime.intake.inbox import row_of
from botkit.sources.push.webhooks import ActivityWebhook
from botkit.web.bot_site import BOT_SITE
from botkit.web.connect.routes import Connect, Connecting
from botkit.web.health import Health, LoginHealth
from botkit.web.hooks.receiver import Hooks
from botkit.web.server import WebRoute, WebServer
from botkit.web.webhook.receiver import Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from botkit.bot.bot_runtime import BotRuntime
    from botkit.bot.plan import Plan
    from botkit.client.signin.attempt import Login
    from botkit.config import HookSettings, Settings
    from botkit.model.invitations import Invitation
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account

__all__ = ["Http", "check_connect", "check_hooks", "check_webhook", "open_http"]

_log = structlog.get_logger(__name__)

_SOURCE = "connect"


@dataclass(kw_only=True, slots=True)
class Http:
    """Serve HTTP for a running bot.

    Attributes:
        webhook_path: The path at which X asks for challenges, also while the bot stops.
    """

    server: WebServer
    health: Health
    webhook_path: str = ""

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return self.server.port

    def serve(self) -> None:
        """Report from now on that the bot runs."""
        self.health.phase = "running"

    async def drain(self, seconds: float) -> None:
        """Take no more requests but X's; wait up to `seconds` for open ones to be answered."""
        self.health.phase = "stopping"
        if self.webhook_path:
            await self.server.keep_only(self.webhook_path, seconds)
        else:
            await self.server.stop(seconds)

    async def stop(self, seconds: float) -> None:
        """Close the server; wait up to `seconds` for open requests to be answered."""
        await self.server.stop(seconds)


def check_connect(settings: Settings) -> None:
    """Check the settings that logins by invitation need, before any network.

    Raises:
        ConfigError: Settings are missing or wrong; all of them are named.
    """
    name, url = settings.connect.app, settings.connect.public_url or ""
    app = settings.app_named(name)
    section, prefix = section_of(name), variables_of(name)
    problems = [
        f"[connect] public_url {url}: {problem.text} [{problem.rule}] {problem.cure}"
        for problem in check_redirect_uri(callback_url(url))
        if problem.fatal
    ]
    if not app.client_id:
        problems.append(f"[{section}] client_id is missing. Set {prefix}__CLIENT_ID.")
    if app.client_secret is None:
        problems.append(f"[{section}] client_secret is missing. Set {prefix}__CLIENT_SECRET_FILE.")
    if problems:
        raise ConfigError(" ".join(problems), problems=problems)


def check_hooks(settings: Settings, accounts: Collection[Account]) -> None:
    """Check that each hook is for one account, whatever accounts join later.

    Raises:
        ConfigError: Hooks do not say which account they are for.
    """
    if settings.bot.account or not (settings.connect.on or len(accounts) > 1):
        return
    unclear = [name for name, hook in settings.hooks.items() if not hook.account]
    if unclear:
        problems = [f"[hooks.{name}] account is missing: which one is told?" for name in unclear]
        raise ConfigError(
            " ".join(problems),
            problems=problems,
            hint="The bot has several accounts, or lets them in by [connect].",
        )


def check_webhook(settings: Settings) -> None:
    """Check the settings that a webhook needs, before any network.

    Raises:
        ConfigError: Settings are missing; all of them are named.
    """
    name = settings.webhook.app
    app = settings.app_named(name)
    section, prefix = section_of(name), variables_of(name)
    problems: list[str] = []
    if settings.webhook.public_url is None:
        problems.append("[webhook] public_url is missing: where does X deliver? https://HOST/PATH")
    if app.api_secret is None:
        problems.append(
            f"[{section}] api_secret is missing: X signs with it. Set {prefix}__API_SECRET_FILE."
        )
    if problems:
        raise ConfigError(" ".join(problems), problems=problems)


@asynccontextmanager
async def open_http(plan: Plan, settings: Settings, running: BotRuntime) -> AsyncGenerator[Http]:
    """Open the server that the settings ask for; it closes with the block.

    Raises:
        ConfigError: The port is taken, or the address is not this machine's.
    """
    health = Health(
        logins=lambda: _logins(running),
        parts=lambda: {name: said.state for name, said in running.reports.current.items()},
        sources=lambda: running.sources,
    )
    routes = health.routes
    if settings.connect.on:
        routes |= await _connect_routes(plan, settings, running)
    if settings.hooks:
        routes |= _hook_routes(plan, settings, running)
    webhook_routes = _webhook_routes(settings, running)
    routes |= webhook_routes
    host = settings.http.host
    async with WebServer(host, settings.http.port, routes, site=BOT_SITE) as server:
        _log.info("http_server.started", host=host, port=server.port, paths=sorted(routes))
        if not _is_loopback(host):
            _log.warning("http_server.exposed", host=host)
        yield Http(server=server, health=health, webhook_path="".join(webhook_routes))


def _logins(running: BotRuntime) -> list[LoginHealth]:
    """Return the health of all logins, OAuth 1.0a included."""
    signing = [
        LoginHealth(LoginState(said.state), said.state == LoginState.OK.value)
        for name, said in running.reports.current.items()
        if name.startswith("login/") and name.endswith("/oauth1")
    ]
    statuses = running.x.keeper.statuses()
    return [LoginHealth(login.status, login.works) for login in statuses] + signing


def _hook_routes(plan: Plan, settings: Settings, running: BotRuntime) -> dict[str, WebRoute]:
    if not plan.handles(Trigger):
        _log.warning("hook.without_handler", hooks=sorted(settings.hooks))

    async def account_of(hook: HookSettings) -> str:
        wanted, here = hook.account or settings.bot.account, running.accounts
        if wanted:
            found = await running.x.store.accounts.get(wanted)
            here = tuple(each for each in here if found is not None and each.id == found.id)
        return here[0].id if len(here) == 1 else ""

    hooks = Hooks(
        settings.hooks,
        intake=running.intake,
        store=running.x.store,
        clock=running.x.clock,
        account_of=account_of,
    )
    return hooks.routes


def _webhook_routes(settings: Settings, running: BotRuntime) -> dict[str, WebRoute]:
    """Return the route at which X delivers, none if the settings want no webhook."""
    wanted = settings.webhook
    if settings.bot.source != "webhook" or wanted.public_url is None:
        return {}

    def listener() -> ActivityWebhook | None:
        found = running.streams.get(wanted.app)
        return found if isinstance(found, ActivityWebhook) else None

    secrets = (settings.app_named(wanted.app).api_secret, wanted.previous_api_secret)
    webhook = Webhook(
        urlsplit(wanted.public_url).path,
        [each.get_secret_value().encode() for each in secrets if each is not None],
        listener=listener,
        clock=running.x.clock,
        spawn=running.tasks.spawn,
    )
    return webhook.routes


async def _connect_routes(
    plan: Plan, settings: Settings, running: BotRuntime
) -> dict[str, WebRoute]:
    context = running.x.keeper.context
    await context.store.invitations.free_all()

    async def redeem(
        invitation: Invitation, holder: str, account: Account, row: CredentialRow
    ) -> CredentialRow:
        running.account_joins.values.know(account)
        event = authorized_event(account, row, source=_SOURCE)
        return await context.store.invitations.redeem(
            invitation.id,
            holder,
            account,
            row,
            [row_of(event, account.id, _SOURCE)],
            now=context.clock.now(),
            fence=running.lease.fence(),
        )

    async def connected(login: Login) -> str:
        try:
            await running.x.keeper.reload()
            await running.account_joins.look()
        except StateError as error:
            _log.error("account.not_joined", account=login.account.username, why=str(error))
            return "could not take the account up just now: tell its operator to restart it"
        running.dispatcher.inbox_reader.rescan()
        refusal = running.account_joins.refusal(login.account.id)
        return f"does not act for it: {refusal}" if refusal else "acts for it from now on"

    connect = Connect(
        context,
        Connecting(
            name=plan.name,
            public_url=settings.connect.public_url or "",
            scopes=plan.scopes,
            redeem=redeem,
            connected=connected,
            account=settings.bot.account or "",
        ),
    )
    return connect.routes


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
