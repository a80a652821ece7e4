"""`botkit writes`: list the journal of writes, and settle or cancel a write by hand."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from botkit.cli.help import HelpGroup
from botkit.cli.options import (
    GivenSettings,
    json_option,
    limit_option,
    settings_options,
)
from botkit.cli.output import echo, echo_fields, echo_json
from botkit.cli.rows import print_rows
from botkit.cli.store_access import run_on_store
from botkit.errors import ConfigError
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import WriteMove, WriteState
from botkit.runtime.writes.write_outcomes import MESSAGE_OPERATIONS
from botkit.system import SystemClock
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.model.records import StoredWrite
    from botkit.ports import Store

__all__ = ["command"]

_OPEN = frozenset({WriteState.UNCERTAIN, WriteState.UNRESOLVED})
_CANCELLABLE = frozenset({WriteState.QUEUED, *_OPEN})


@click.group(
    cls=HelpGroup, name="writes", help="The journal of writes: list, show, settle, cancel."
)
def command() -> None:
    """Group the write commands."""


@command.command(name="list", help="Writes, newest first.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in WriteState], case_sensitive=False),
    help="Only in that state; may be given more than once.",
)
@limit_option
@settings_options
@json_option
def list_writes(
    *,
    states: Sequence[str],
    limit: int,
    given: GivenSettings,
    as_json: bool,
) -> None:
    """Print writes."""
    settings = given.read()

    async def gather(store: Store) -> list[dict[str, Any]]:
        wanted = [WriteState(state.upper()) for state in states]
        return [_as_dict(w) for w in await store.writes.listing(states=wanted, limit=limit)]

    rows = run_on_store(settings, gather)
    if as_json:
        echo_json(rows)
        return
    if not rows:
        echo("No writes.")
    print_rows(
        ("when", "state", "operation", "made", "write"),
        (
            (
                rfc3339(row["created_at"]),
                row["state"],
                row["operation"],
                row["result_id"],
                row["id"],
            )
            for row in rows
        ),
        key="write",
    )


@command.command(name="show", help="One write in full, with its attempts and its reads.")
@click.argument("write_id")
@settings_options
@json_option
def show_write(*, write_id: str, given: GivenSettings, as_json: bool) -> None:
    """Print one write."""
    settings = given.read()

    async def gather(store: Store) -> dict[str, Any]:
        write = await _one(store, write_id)
        attempts = [
            msgspec.to_builtins(attempt, builtin_types=(datetime,)) for attempt in write.attempts
        ]
        return {**_as_dict(write), "text": write.text, "attempts": attempts}

    shown = run_on_store(settings, gather)
    if as_json:
        echo_json(shown)
        return
    echo_fields(shown, width=14)


@command.command(name="settle", help="Say whether an uncertain write happened; you have looked.")
@click.argument("write_id")
@click.option("--happened", "post_id", metavar="POST_ID", help="It did: the id of what X made.")
@click.option("--not-there", is_flag=True, help="It did not: it may be sent again.")
@settings_options
def settle_write(
    *,
    write_id: str,
    post_id: str | None,
    not_there: bool,
    given: GivenSettings,
) -> None:
    """Confirm an UNCERTAIN or UNRESOLVED write or queue it again, and wake its event."""
    if bool(post_id) == not_there:
        raise click.UsageError("Say either --happened POST_ID or --not-there.")
    if post_id and not (post_id.isascii() and post_id.isdigit()):
        raise click.UsageError(f"{post_id!r} is no id of X: it is all digits.")
    settings = given.read()

    async def act(store: Store) -> None:
        write = await _one(store, write_id, allowed=_OPEN, verb="settled")
        if post_id:
            made = _made(write, post_id)
            result = msgspec.json.encode(made)
            move = WriteMove(to=WriteState.CONFIRMED, result_id=post_id, result=result)
        else:
            move = WriteMove(to=WriteState.QUEUED, reason="a person did not find it")
        await _decide(store, write, move)

    run_on_store(settings, act)
    echo("Settled; the event goes on.")


@command.command(name="cancel", help="Never send this write; its handler sees it as refused.")
@click.argument("write_id")
@settings_options
def cancel_write(*, write_id: str, given: GivenSettings) -> None:
    """Reject a write that is not confirmed, and wake its event."""
    settings = given.read()

    async def act(store: Store) -> None:
        write = await _one(store, write_id, allowed=_CANCELLABLE, verb="cancelled")
        cancel = WriteMove(to=WriteState.REJECTED, reason="cancelled by the operator")
        await _decide(store, write, cancel)

    run_on_store(settings, act)
    echo("Cancelled.")


async def _decide(store: Store, write: StoredWrite, move: WriteMove) -> None:
    await store.writes.move(write.id, move, now=SystemClock().now())
    await store.events.unpark(f"write/{write.id}", account_id=write.account_id)


def _made(write: StoredWrite, made_id: str) -> Post | Message:
    """Return the post or message that the write's step returns to its handler."""
    if write.operation in MESSAGE_OPERATIONS:
        return Message(id=made_id, conversation_id="", text=write.text, sender_id=write.account_id)
    return Post(id=made_id, text=write.text, author_id=write.account_id)


async def _one(
    store: Store,
    write_id: str,
    *,
    allowed: frozenset[WriteState] | None = None,
    verb: str = "",
) -> StoredWrite:
    write = await store.writes.get(write_id)
    if write is None:
        raise ConfigError(
            f"There is no write {write_id!r}.", hint="`botkit writes list` shows the ids."
        )
    if allowed is not None and write.state not in allowed:
        raise ConfigError(f"A write that is {write.state.value} cannot be {verb}.")
    return write


def _as_dict(write: StoredWrite) -> dict[str, Any]:
    return {
        "id": write.id,
        "account_id": write.account_id,
        "state": write.state.value,
        "operation": write.operation,
        "target": write.target,
        "event": write.event_key,
        "result_id": write.result_id,
        "reason": write.reason,
        "cost_usd": str(write.cost_usd),
        "created_at": write.created_at,
        "first_sent_at": write.first_sent_at,
        "next_read_at": write.next_read_at,
        "reads": write.reads,
    }
