"""`botkit post`: one write through the guard, sent by the running bot, or here if none runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    MAX_INPUT_BYTES,
    GivenSettings,
    TimeWithZone,
    account_option,
    json_option,
    run_async,
    say_as,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.store_access import open_the_store, the_account
from botkit.errors import ConfigError
from botkit.model.triggers import PostRequest
from botkit.system import SystemClock, SystemEntropy

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.bot.posting import Outcome
    from botkit.config import Settings
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = ["command"]

_LOOK_S = 0.2
_TRY_ALONE_S = 1.0
_LONGEST_WAIT_S = 3600.0
_WORDS = {
    "login": "a login that works: botkit status",
    "account": "the account, which X has stopped: botkit status",
    "budget": "the budget of the next hour or day",
    "credits": "credits of the app at X",
    "network": "X, which cannot be reached",
    "timeline": "X, which did not show what the account posted",
    "rate": "X's rate window",
}


@click.command(
    cls=HelpCommand,
    name="post",
    help="Post a text, or `-` for stdin: by the running bot, or from here if none runs.",
)
@click.argument("text")
@click.option("--reply-to", metavar="ID", default="", help="Answer this post.")
@click.option(
    "--at", type=TimeWithZone(), help="Not before then, for instance 2026-12-24T18:00:00+01:00."
)
@click.option("--id", "request_id", default="", help="Its name: the same again posts nothing.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, _LONGEST_WAIT_S),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the outcome; with 0 it is only queued.",
)
@account_option
@settings_options
@json_option
def command(
    *,
    text: str,
    reply_to: str,
    at: datetime | None,
    request_id: str,
    wait_s: float,
    account: str | None,
    given: GivenSettings,
    as_json: bool,
) -> int:
    """Ask for the post, wait for what becomes of it, and return the exit code."""
    settings = given.read(log_level="critical")
    if reply_to and not (reply_to.isascii() and reply_to.isdigit()):
        raise ConfigError(f"--reply-to takes the digits of a post's id, not {reply_to!r}.")
    if "/" in request_id or not request_id.isprintable():
        raise ConfigError("--id takes a short name without slashes.")
    wanted = PostRequest(
        account_id="",
        at=SystemClock().now(),
        source="post",
        id=request_id or SystemEntropy().token_bytes(8).hex(),
        text=_text_of(text),
        reply_to=reply_to,
    )
    return run_async(_post(settings, wanted, account, at=at, wait_s=wait_s, as_json=as_json))


def _text_of(text: str) -> str:
    """Return the text, read from stdin for `-`, without the line end that an editor adds."""
    if text != "-":
        return text
    given = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    try:
        return given.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError("What stands on stdin is not UTF-8 text.") from None


async def _post(
    settings: Settings,
    wanted: PostRequest,
    name: str | None,
    *,
    at: datetime | None,
    wait_s: float,
    as_json: bool,
) -> int:
    from msgspec.structs import replace

    from botkit.bot.posting import check_request, outcome_of, record_request

    async with open_the_store(settings) as store:
        account = await the_account(store, name, settings)
        request = replace(wanted, account_id=account.id)
        check_request(request, settings)
        await record_request(store, request, at=at)
        is_later = at is not None and at > SystemClock().now()
        if wait_s and not is_later:
            await _wait(settings, store, request, account, wait_s=wait_s)
        outcome = await outcome_of(store, request)
        runner = await store.leases.holder("runner")
    if outcome.state == "queued" and (is_later or not wait_s):
        outcome = replace(outcome, code=0)
        if not runner:
            say_as("post")("no bot runs on this store: it is posted once one does")
    _say(request, account, outcome, as_json=as_json)
    return outcome.code


async def _wait(
    settings: Settings, store: Store, request: PostRequest, account: Account, *, wait_s: float
) -> None:
    """Wait for the outcome; send from here as soon as no bot runs."""
    from botkit.bot.posting import outcome_of, send_alone

    clock = SystemClock()
    until_s = clock.monotonic() + wait_s
    alone_at_s = clock.monotonic()
    while clock.monotonic() < until_s:
        if clock.monotonic() >= alone_at_s:
            await send_alone(settings, store, request, account, until_s=until_s)
            alone_at_s = clock.monotonic() + _TRY_ALONE_S
        if (await outcome_of(store, request)).is_final:
            return
        await clock.sleep(_LOOK_S)


def _say(request: PostRequest, account: Account, outcome: Outcome, *, as_json: bool) -> None:
    url = f"https://x.com/{account.username}/status/{outcome.post_id}" if outcome.post_id else ""
    if as_json:
        echo_json(
            {
                "event": request.key,
                "state": outcome.state,
                "id": outcome.post_id,
                "url": url,
                "why": outcome.why,
            }
        )
        return
    echo(url or request.key)
    if outcome.state == "waits":
        cause = "its own outcome, which is being settled"
        if not outcome.why.startswith("write/"):
            cause = _WORDS.get(outcome.why, outcome.why)
        say_as("post")(f"not posted yet: it waits for {cause}")
    elif not url:
        why = f": {outcome.why}" if outcome.why else ""
        say_as("post")(f"{outcome.state}{why}")
