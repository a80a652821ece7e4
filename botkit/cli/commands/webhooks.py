"""`botkit webhooks`: what webhooks an app has at X; add, check, replay and remove one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import click

from botkit.cli.help import HelpGroup
from botkit.cli.options import (
    GivenSettings,
    TimeWithZone,
    json_option,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.rows import print_rows
from botkit.cli.store_access import open_x_of, run_on_store
from botkit.errors import ConfigError
from botkit.sources.push.webhooks import Webhooks
from botkit.system import SystemClock
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from botkit.config import Settings
    from botkit.ports import Store
    from botkit.protocol.api.objects import RegisteredWebhook

__all__ = ["command"]

T = TypeVar("T")

_app_option = click.option("--app", help="The app of the settings. Default: that of [webhook].")
_INVALID = 1
_OLDEST = timedelta(hours=24)
_NEWEST_START = timedelta(minutes=31)
_NEWEST_END = timedelta(minutes=10)


@click.group(
    cls=HelpGroup,
    name="webhooks",
    help="The webhooks of an app at X: list, add, check, replay, remove.",
)
def command() -> None:
    """Group the webhook commands."""


@command.command(name="list", help="The app's webhooks; X delivers nothing to an invalid one.")
@_app_option
@settings_options
@json_option
def list_webhooks(*, app: str | None, given: GivenSettings, as_json: bool) -> None:
    """Print the app's webhooks."""
    rows = _at_x(given.read(log_level="warning"), app, lambda webhooks: webhooks.listing())
    if as_json:
        echo_json([{"id": row.id, "url": row.url, "valid": row.valid} for row in rows])
        return
    if not rows:
        echo("No webhooks.")
    print_rows(
        ("id", "valid", "url"),
        ((row.id, "valid" if row.valid else "invalid", row.url) for row in rows),
        key="id",
    )


@command.command(name="add", help="Register URL, by default [webhook] public_url; X checks it.")
@click.argument("url", required=False)
@_app_option
@settings_options
def add(*, url: str | None, app: str | None, given: GivenSettings) -> None:
    """Register an address, or have it validated if X has it and takes it for invalid."""
    settings = given.read(log_level="warning")
    wanted = url or _own_url(settings)
    webhook_id = _at_x(settings, app, lambda webhooks: webhooks.ensure(wanted))
    echo(f"webhook {webhook_id} is {wanted}")


@command.command(name="check", help="Have X send its challenge to the webhook ID now.")
@click.argument("webhook_id", metavar="[ID]", required=False)
@_app_option
@settings_options
def check(*, webhook_id: str | None, app: str | None, given: GivenSettings) -> int:
    """Validate a webhook; return 1 if X takes it for invalid after that."""
    settings = given.read(log_level="warning")

    async def work(webhooks: Webhooks) -> RegisteredWebhook:
        chosen = await _chosen(webhooks, webhook_id, settings)
        await webhooks.validate(chosen)
        return await _chosen(webhooks, chosen.id, settings)

    found = _at_x(settings, app, work)
    echo(f"webhook {found.id} ({found.url}) is {'valid' if found.valid else 'invalid'}")
    return 0 if found.valid else _INVALID


@command.command(
    name="replay",
    help="Have X deliver again what happened from SINCE, within the last 24 hours.",
)
@click.argument("webhook_id", metavar="[ID]", required=False)
@click.option("--since", type=TimeWithZone(), required=True, help="31 minutes ago or earlier.")
@click.option(
    "--until", type=TimeWithZone(), help="10 minutes ago or earlier, which is the default."
)
@_app_option
@settings_options
def replay(
    *,
    webhook_id: str | None,
    since: datetime,
    until: datetime | None,
    app: str | None,
    given: GivenSettings,
) -> None:
    """Start a replay job: its deliveries are told from those before by their keys."""
    settings = given.read(log_level="warning")
    now = SystemClock().now()
    end = until or now - _NEWEST_END
    _check_span(since, end, now)

    async def work(webhooks: Webhooks) -> str:
        chosen = await _chosen(webhooks, webhook_id, settings)
        return await webhooks.replay(chosen.id, since=since, until=end)

    job = _at_x(settings, app, work)
    echo(f"replay job {job}: the running bot logs webhook.replay_ended when it is over")


@command.command(name="remove", help="Remove the webhook ID: X delivers nothing there any more.")
@click.argument("webhook_id", metavar="ID")
@_app_option
@settings_options
def remove(*, webhook_id: str, app: str | None, given: GivenSettings) -> None:
    """Remove a webhook from the app."""
    _at_x(given.read(log_level="warning"), app, lambda webhooks: webhooks.remove(webhook_id))
    echo(f"webhook {webhook_id} is removed")


def _check_span(since: datetime, until: datetime, now: datetime) -> None:
    """Check a span as X does.

    Source: X API docs, "Account Activity", replay; since March 2026 it is the same service.

    Raises:
        ConfigError: X would refuse it.
    """
    if not now - _OLDEST <= since <= now - _NEWEST_START:
        raise ConfigError(
            f"X replays from 24 hours ago to 31 minutes ago, and --since is {rfc3339(since)}.",
            hint="What is older is read back by the polls: botkit events gaps",
        )
    if not since <= until <= now - _NEWEST_END:
        raise ConfigError(
            f"--until is {rfc3339(until)}: X replays up to 10 minutes ago, and not backwards."
        )


def _at_x(settings: Settings, app: str | None, work: Callable[[Webhooks], Awaitable[T]]) -> T:
    """Do something with the webhooks of an app; any account of the app stands for it."""
    name = app or settings.webhook.app
    settings.app_named(name)

    async def run(store: Store) -> T:
        mine = [each for each in await store.accounts.listing() if each.app == name]
        if not mine:
            raise ConfigError(
                f"No account of the app {name!r} is authorized here.", hint="Run `botkit setup`."
            )
        async with open_x_of(settings, store) as x:
            return await work(Webhooks(x.sender, account_id=mine[0].id))

    return run_on_store(settings, run)


def _own_url(settings: Settings) -> str:
    """Return the bot's own address.

    Raises:
        ConfigError: The settings name none.
    """
    if settings.webhook.public_url is None:
        raise ConfigError(
            "Which webhook? The settings have no [webhook] public_url.",
            hint="Name one; `botkit webhooks list` shows those that X has.",
        )
    return settings.webhook.public_url


async def _chosen(
    webhooks: Webhooks, webhook_id: str | None, settings: Settings
) -> RegisteredWebhook:
    """Return the webhook of this id, by default the bot's own.

    Raises:
        ConfigError: X has no such webhook.
    """
    url = None if webhook_id else _own_url(settings)
    for each in await webhooks.listing():
        if webhook_id == each.id or url == each.url:
            return each
    raise ConfigError(
        f"X has no webhook {webhook_id or url} for this app.",
        hint="`botkit webhooks list` shows what it has; `botkit webhooks add` registers yours.",
    )
