"""`botkit events`: list and repair recorded events and dead letters, and decode payloads."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from botkit.cli.commands.gaps import gaps
from botkit.cli.commands.send import send
from botkit.cli.help import HelpGroup
from botkit.cli.options import (
    GivenSettings,
    account_option,
    json_option,
    limit_option,
    run_async,
    settings_options,
)
from botkit.cli.output import echo, echo_fields, echo_json
from botkit.cli.rows import print_rows
from botkit.cli.store_access import open_the_store, run_on_store
from botkit.errors import ConfigError
from botkit.model.records import EventState
from botkit.system import SystemClock
from botkit.telemetry.escaping import escape_json
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from botkit.config import Settings
    from botkit.model.records import DeadLetter, StoredEvent
    from botkit.ports import Store

__all__ = ["command"]

_TEXT_WIDTH = 60
_AT_ONCE = 1000
_GONE = "handler/"
_MOST_HELD = 20
_MOST_WRITES = 1_000_000


@click.group(
    cls=HelpGroup,
    name="events",
    help="Events and dead letters: list, show, retry, drop, gaps, send, decode.",
)
def command() -> None:
    """Group the event commands."""


@command.command(name="list", help="Recorded events, newest first; --dead for the dead letters.")
@click.option("--dead", is_flag=True, help="Only dead letters, with the reason.")
@click.option(
    "--state", type=click.Choice([state.value for state in EventState]), help="Only in that state."
)
@limit_option
@settings_options
@json_option
def list_events(
    *,
    dead: bool,
    state: str | None,
    limit: int,
    given: GivenSettings,
    as_json: bool,
) -> None:
    """Print events."""
    settings = given.read()

    async def gather(store: Store) -> list[dict[str, Any]]:
        if dead:
            return [_letter(letter) for letter in await store.events.dead(limit=limit)]
        wanted = EventState(state) if state else None
        return [_event(event) for event in await store.events.listing(state=wanted, limit=limit)]

    rows = run_on_store(settings, gather)
    if as_json:
        echo_json(rows)
        return
    if not rows:
        echo("No dead letters." if dead else "No events.")
    print_rows(
        ("when", "event", "state", "about"),
        (
            (
                rfc3339(row["at"]),
                row["key"],
                row["state"]
                + (f" (waits for {row['waiting_for']})" if row.get("waiting_for") else ""),
                f"{row['reason']}: {row['error']}" if dead else row["text"],
            )
            for row in rows
        ),
        key="event",
    )


@command.command(name="show", help="One event in full, with its writes and its trace if it died.")
@click.argument("key")
@account_option
@settings_options
@json_option
def show_event(
    *,
    key: str,
    account: str | None,
    given: GivenSettings,
    as_json: bool,
) -> None:
    """Print one event."""
    settings = given.read()

    async def gather(store: Store) -> list[dict[str, Any]]:
        return [await _in_full(store, event) for event in await _find(store, key, account)]

    shown = run_on_store(settings, gather)
    if as_json:
        echo_json(shown)
        return
    for event in shown:
        echo_fields(event, width=12)


@command.command(name="retry", help="Put dead letters or late events back into the inbox.")
@click.argument("keys", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option("--late", is_flag=True, help="All events that were heard too late to be answered.")
@account_option
@settings_options
def retry_events(
    *,
    keys: Sequence[str],
    everything: bool,
    late: bool,
    account: str | None,
    given: GivenSettings,
) -> int:
    """Put dead letters back into the inbox; writes that happened before are not sent again."""
    settings = given.read()
    if late:
        return run_async(_retry_late(settings, account))
    if everything:
        return run_async(
            _all(
                settings,
                _revive_some,
                "back in the inbox",
                keys=keys,
                account=account,
            )
        )
    return run_async(
        _each(
            settings,
            keys,
            lambda store, owner, key: store.events.revive(owner, key),
            "back in the inbox",
            account=account,
        )
    )


@command.command(name="replay", help="Run finished events once more; their writes happen anew.")
@click.argument("keys", nargs=-1, required=True)
@account_option
@click.confirmation_option(prompt="Their writes will be sent again, as new ones. Go on?")
@settings_options
def replay_events(*, keys: Sequence[str], account: str | None, given: GivenSettings) -> int:
    """Start a new run of each event, in which its steps happen anew."""
    settings = given.read()
    return run_async(
        _each(
            settings,
            keys,
            lambda store, owner, key: store.events.revive(owner, key, new_run=True),
            "run again",
            account=account,
        )
    )


@command.command(name="drop", help="Give up waiting or dead events for good.")
@click.argument("keys", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@account_option
@settings_options
def drop_events(
    *,
    keys: Sequence[str],
    everything: bool,
    account: str | None,
    given: GivenSettings,
) -> int:
    """Drop events; they stay on record as dropped."""
    settings = given.read()
    if everything:
        return run_async(
            _all(
                settings,
                _drop_some,
                "dropped",
                keys=keys,
                account=account,
            )
        )
    return run_async(
        _each(
            settings,
            keys,
            lambda store, owner, key: store.events.drop(owner, key, "by hand"),
            "dropped",
            account=account,
        )
    )


command.add_command(gaps)
command.add_command(send)


@command.command(
    name="decode", help="Decode payloads of X as botkit does: one JSON object a line."
)
@click.argument("file", type=click.File("rb"))
def decode(*, file: Any) -> int:
    """Print each event of the file as botkit decodes it; `-` reads stdin."""
    from botkit.protocol.events.event_files import ERROR_START, decode_lines

    failed = False
    for line in decode_lines(file):
        sys.stdout.buffer.write(escape_json(line.decode()).encode() + b"\n")
        failed = failed or line.startswith(ERROR_START)
    sys.stdout.buffer.flush()
    return 1 if failed else 0


async def _each(
    settings: Settings,
    keys: Sequence[str],
    act: Callable[[Store, str, str], Awaitable[bool]],
    done: str,
    *,
    account: str | None,
) -> int:
    """Apply `act` to each event, print to how many it applied, and return the exit code.

    Each event has its own transaction.
    """
    async with open_the_store(settings) as store:
        pairs = await _chosen(store, keys, account=account)
        acted = [await act(store, owner, key) for owner, key in pairs]
        held = [
            event
            for owner, key in pairs
            for event in await store.events.get(key, account_id=owner)
            if event.waiting_for.startswith(_GONE)
        ]
    echo(f"{sum(acted)} of {len(acted)} {done}.")
    _say_held(held)
    return 0 if all(acted) else 1


def _say_held(held: Sequence[StoredEvent]) -> None:
    for event in held:
        name = event.waiting_for.removeprefix(_GONE)
        echo(
            f"{event.key} is held: the handler {name}, which began it, is not there any more. "
            f'Say was="{name}" beside the one that took its place, or botkit events drop.'
        )


async def _retry_late(settings: Settings, account: str | None) -> int:
    count = 0
    async with open_the_store(settings) as store:
        owner = await _owner(store, account)
        while late := await store.events.listing(
            state=EventState.LATE, account_id=owner, limit=_AT_ONCE
        ):
            for event in reversed(late):
                count += await store.events.revive(event.account_id, event.key)
    echo(f"{count} back in the inbox.")
    return 0


async def _revive_some(store: Store, account_id: str | None, before: datetime) -> int:
    return await store.events.revive_dead(account_id=account_id, before=before, limit=_AT_ONCE)


async def _drop_some(store: Store, account_id: str | None, before: datetime) -> int:
    return await store.events.drop_dead(
        "by hand", account_id=account_id, before=before, limit=_AT_ONCE
    )


async def _all(
    settings: Settings,
    act: Callable[[Store, str | None, datetime], Awaitable[int]],
    done: str,
    *,
    keys: Sequence[str],
    account: str | None,
) -> int:
    """Apply `act` to all dead letters that exist now, and print their number.

    Each transaction covers many of them. If the command is interrupted, print how many are left.
    """
    if keys:
        raise ConfigError("Which events?", hint="Name their keys, or say --all, not both.")
    acted = 0
    async with open_the_store(settings) as store:
        owner = await _owner(store, account)
        before = SystemClock().now()
        try:
            while number := await act(store, owner, before):
                acted += number
        except BaseException:
            echo(f"{acted} {done}; the others are left as they were: say it again.", err=True)
            raise
        waiting = await store.events.listing(
            state=EventState.WAITING, account_id=owner, limit=_AT_ONCE
        )
    echo(f"{acted} of {acted} {done}.")
    _say_held([event for event in waiting if event.waiting_for.startswith(_GONE)][:_MOST_HELD])
    return 0


async def _find(store: Store, key: str, account: str | None) -> list[StoredEvent]:
    found = await store.events.get(key, account_id=await _owner(store, account))
    if not found:
        raise ConfigError(
            f"There is no event {key!r} on record.",
            hint="`botkit events list` shows the keys; events are kept for"
            " [store] keep_events_days.",
        )
    return found


async def _owner(store: Store, account: str | None) -> str | None:
    """Return the id of the account whose events are meant, None for all accounts."""
    if not account:
        return None
    found = await store.accounts.get(account)
    if found is not None:
        return found.id
    if account.isdigit():
        return account  # events may outlive their account
    raise ConfigError(
        f"There is no account {account!r} here.", hint="`botkit accounts list` shows them."
    )


async def _chosen(
    store: Store, keys: Sequence[str], *, account: str | None
) -> list[tuple[str, str]]:
    if not keys:
        raise ConfigError("Which events?", hint="Name their keys, or say --all.")
    found = [event for key in keys for event in await _find(store, key, account)]
    return [(event.account_id, event.key) for event in found]


async def _in_full(store: Store, event: StoredEvent) -> dict[str, Any]:
    letters = await store.events.dead(account_id=event.account_id, key=event.key)
    writes = await store.writes.listing(
        account_id=event.account_id, event_key=event.key, limit=_MOST_WRITES
    )
    return {
        **_event(event),
        "body": msgspec.json.decode(event.body),
        "dead": _letter(letters[0]) if letters else None,
        "trace": letters[0].trace if letters else "",
        "writes": [
            {"id": write.id, "state": write.state.value, "result": write.result_id}
            for write in writes
        ],
    }


def _event(event: StoredEvent) -> dict[str, Any]:
    return {
        "key": event.key,
        "account_id": event.account_id,
        "kind": event.kind,
        "state": event.state.value,
        "note": event.note,
        "waiting_for": event.waiting_for,
        "not_before": event.not_before,
        "attempts": event.attempts,
        "run": event.run,
        "source": event.source,
        "cause": event.cause,
        "at": event.at,
        "recorded_at": event.recorded_at,
        "text": _text_of(event.body),
    }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "key": letter.key,
        "account_id": letter.account_id,
        "kind": letter.kind,
        "state": EventState.DEAD.value,
        "reason": letter.reason,
        "error": letter.error,
        "handler": letter.handler,
        "attempts": letter.attempts,
        "at": letter.at,
    }


def _text_of(body: bytes) -> str:
    """Return the beginning of a post's text; listings show no text of direct messages."""
    try:
        text: str = msgspec.json.decode(body)["post"]["text"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""
    return text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 1] + "…"
