"""`botkit events send`: tell the bot something, as `POST /hooks/NAME` does, without HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    account_option,
    run_async,
    say_as,
    settings_options,
)
from botkit.cli.output import echo
from botkit.cli.store_access import open_the_store, the_account
from botkit.errors import ConfigError
from botkit.model.triggers import Trigger
from botkit.system import SystemClock, SystemEntropy

if TYPE_CHECKING:
    from botkit.config import Settings

__all__ = ["send"]

_MOST_BYTES = 1024 * 1024
_LONGEST_KEY = 200


@click.command(
    cls=HelpCommand,
    name="send",
    help="Tell the bot something: a trigger of that name, with the JSON of a file (- for stdin).",
)
@click.argument("name")
@click.option(
    "--json", "file", type=click.File("rb"), help="The file with its data. Default: null."
)
@click.option("--id", "delivery", default="", help="Its key: the same again is no new event.")
@account_option
@settings_options
def send(
    *, name: str, file: Any, delivery: str, account: str | None, given: GivenSettings
) -> None:
    """Put a trigger into the inbox and print its key; a running bot takes it up at once."""
    settings = given.read()
    if not name.isprintable() or "/" in name:
        raise ConfigError(f"{name!r} is no name of a trigger: write a short one without slashes.")
    if len(delivery) > _LONGEST_KEY or not delivery.isprintable():
        raise ConfigError(f"--id takes {_LONGEST_KEY} characters that can be seen, and no more.")
    trigger = Trigger(
        account_id="",
        at=SystemClock().now(),
        source="command",
        name=name,
        data=None if file is None else _data_of(file),
        delivery=delivery or SystemEntropy().token_bytes(8).hex(),
    )
    hook = settings.hooks.get(name)
    run_async(_send(settings, trigger, account or (hook.account if hook else None)))


def _data_of(file: Any) -> Any:
    import msgspec

    body = file.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise ConfigError(f"{file.name} is larger than 1 MiB: send where it is, not what it says.")
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file.name} is no JSON: {error}.") from None


async def _send(settings: Settings, trigger: Trigger, account: str | None) -> None:
    from msgspec.structs import replace

    from botkit.protocol.events.codec import decode_event
    from botkit.runtime.intake.inbox import row_of

    async with open_the_store(settings, check=False) as store:
        owner = await the_account(store, account, settings)
        told = replace(trigger, account_id=owner.id)
        (seq,) = await store.events.append([row_of(told, owner.id, told.source)])
        known = await store.events.get(told.key, account_id=owner.id) if seq is None else []
        runner = await store.leases.holder("runner")
    for stored in known:
        event = decode_event(stored.kind, stored.body, {})
        if not isinstance(event, Trigger) or event.data != told.data:
            raise ConfigError(
                f"{told.key} is on record with other data.",
                hint="Give each event an --id of its own, or none.",
            )
    echo(told.key)
    if known:
        say_as("send")("it was on record already")
    elif not runner:
        say_as("send")("no bot runs on this store: the next one takes it up")
