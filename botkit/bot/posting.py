"""Ask for a post beside a running bot, or send it from this process where no bot runs.

The request is in the store before anything is sent. A running bot sends it; without one this
process takes the runner's lease for as long as the sending takes. If it is killed, the next bot or
the next request goes on where it was.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from botkit import errors
from botkit.bot.compose_client import open_the_vault, open_x, rules_of
from botkit.bot.definition import Bot
from botkit.bot.handlers.handler_parts import HandlerValues
from botkit.bot.running import held_alone
from botkit.bot.single_runs import SingleRuns
from botkit.errors import ConfigError, EmptyText
from botkit.leases.lease import Lease
from botkit.leases.owner import lives, this_process
from botkit.model.records import EventState, WritePolicy, WriteState
from botkit.model.triggers import PostRequest
from botkit.protocol.events.codec import decode_event, kind_of
from botkit.protocol.rules.policy import check_post
from botkit.runtime.intake.inbox import row_of
from botkit.runtime.intake.lanes import Job
from botkit.runtime.life.lifecycle import Tasks
from botkit.system import SystemClock, SystemEntropy

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.config import Settings
    from botkit.model.records import DeadLetter, StoredEvent
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = ["Outcome", "check_request", "outcome_of", "record_request", "send_alone"]

_SOURCE = "post"
_KIND = kind_of(PostRequest)
_VERSIONS = 10
"""The edit versions of a post whose events are looked for; X is asked for the post itself."""
_AGAIN_S = 0.5
_REFUSED = 3
_PERSON = 2
_WAITS = {"login": 2, "account": 2, "budget": 3, "credits": 3, "network": 4, "timeline": 4}
"""The exit code for what a request waits for; 1 for the rest."""
_FOR_A_PERSON = frozenset({"login", "account", "budget", "credits"})
_BOT = "botkit-post"


class Outcome(Struct, frozen=True, kw_only=True):
    """Tell what became of a request.

    Attributes:
        state: `sent`, `refused`, `given up`, `dropped`, `waits` (for `why`) or `queued`.
        code: The exit code of the command.
        why: The reason in words, "" if there is none.
        post_id: The id of the post that X made.
        is_final: True if waiting changes nothing by itself.
    """

    state: str
    code: int
    why: str = ""
    post_id: str = ""
    is_final: bool = True


def check_request(request: PostRequest, settings: Settings) -> None:
    """Refuse at once a text that the guard will refuse whenever it is sent.

    Raises:
        PolicyError: The text is empty, too long, or breaks another rule of X.
    """
    if not request.text.strip():
        raise EmptyText("The text is empty.", hint="X refuses a post without a visible text.")
    if not request.reply_to:
        check_post(request.text, account_id=request.account_id, rules=rules_of(settings))


async def record_request(store: Store, request: PostRequest, *, at: datetime | None) -> bool:
    """Put the request into the inbox, due at `at` or at once; return False if it is there already.

    Raises:
        ConfigError: Another request has its id.
    """
    row = replace(
        row_of(request, request.account_id, _SOURCE),
        cause=await _cause_of(store, request),
        not_before=at,
    )
    (seq,) = await store.events.append([row])
    if seq is not None:
        return True
    stored = await _stored(store, request)
    known = decode_event(stored.kind, stored.body, {})
    if not isinstance(known, PostRequest) or known.what != request.what:
        raise ConfigError(
            f"Another post was asked for by the id {request.id!r}.",
            hint="Give each post an id of its own, or none.",
        )
    return False


async def _cause_of(store: Store, request: PostRequest) -> str:
    """Return the key of the event that brought the post to answer: the guard looks there."""
    for version in range(_VERSIONS if request.reply_to else 0):
        key = f"post/{request.reply_to}/{version}"
        if await store.events.get(key, account_id=request.account_id):
            return key
    return ""


async def _stored(store: Store, request: PostRequest) -> StoredEvent:
    (stored,) = await store.events.get(request.key, account_id=request.account_id)
    return stored


async def outcome_of(store: Store, request: PostRequest) -> Outcome:
    """Return what has become of the request by now."""
    stored = await _stored(store, request)
    match stored.state:
        case EventState.DONE:
            writes = await store.writes.listing(
                account_id=request.account_id, event_key=request.key, states=[WriteState.CONFIRMED]
            )
            return Outcome(state="sent", code=0, post_id=writes[0].result_id if writes else "")
        case EventState.DEAD:
            letters = await store.events.dead(account_id=request.account_id, key=request.key)
            return _given_up(letters[0])
        case EventState.WAITING:
            return _waiting(stored)
        case _:
            return Outcome(state="dropped", code=1, why=stored.note)


def _given_up(letter: DeadLetter) -> Outcome:
    if letter.reason != "refused":
        return Outcome(state="given up", code=1, why=f"{letter.reason}: {letter.error}")
    kind = getattr(errors, letter.error.partition(":")[0], None)
    code = getattr(kind, "exit_code", _REFUSED)
    return Outcome(
        state="refused", code=_PERSON if code == _PERSON else _REFUSED, why=letter.error
    )


def _waiting(stored: StoredEvent) -> Outcome:
    cause = stored.waiting_for
    if cause:
        return Outcome(
            state="waits",
            code=_WAITS.get(cause, 1),
            why=cause,
            is_final=cause in _FOR_A_PERSON,
        )
    return Outcome(
        state="queued", code=1, why=stored.note if stored.attempts else "", is_final=False
    )


async def send_alone(
    settings: Settings, store: Store, request: PostRequest, account: Account, *, until_s: float
) -> bool:
    """Send the request from this process, and those that were left before it.

    Return False if it has ended before, or if a bot runs on the store, which sends it. Give up at
    `until_s`, by the steady clock; the request then stays in the inbox.

    Raises:
        ConfigError: There is no vault key.
        StateError: The store cannot be used, the key is wrong, or a bot runs on a copy.
    """
    if (await _stored(store, request)).state is not EventState.WAITING:
        return False
    clock, entropy = SystemClock(), SystemEntropy()
    owner = await asyncio.to_thread(this_process, entropy)
    lease = Lease(store, clock, owner=owner, lives=lives)
    if not await lease.try_acquire():
        return False
    async with lease.kept(), held_alone(settings, store):
        vault = await open_the_vault(settings, store)
        async with open_x(settings, store, vault, owner=owner) as x, Tasks() as tasks:
            await x.keeper.context.rows.check_origin()
            runs = SingleRuns(
                Bot(_BOT).plan,
                x,
                lease,
                HandlerValues(x, [account]),
                tasks,
                policy=WritePolicy(settings.run.write_policy),
            )
            await runs.parts.outbox.recover()
            tasks.start(runs.parts.reconciler.run(), "reconciler")
            await _send_all(store, request, runs, until_s=until_s)
    return True


async def _send_all(
    store: Store, request: PostRequest, runs: SingleRuns, *, until_s: float
) -> None:
    clock = SystemClock()
    waits_for = (await _stored(store, request)).waiting_for
    if waits_for in _FOR_A_PERSON:
        await store.events.unpark(waits_for, account_id=request.account_id)
    while True:
        for job in await _due_requests(store, until=request):
            await runs.handle(job)
        if (await outcome_of(store, request)).is_final or clock.monotonic() >= until_s:
            return
        await clock.sleep(_AGAIN_S)


async def _due_requests(store: Store, *, until: PostRequest) -> list[Job]:
    """Return the requests that are due, up to this one; other events are left to the bot."""
    now, last = SystemClock().now(), (await _stored(store, until)).seq
    jobs: list[Job] = []
    after = 0
    while after < last:
        page = await store.events.due(now, after_seq=after)
        jobs += [Job.from_item(item) for item in page.items if item.kind == _KIND]
        if not page.items:
            break
        after = page.items[-1].seq
    return [job for job in jobs if job.seq <= last]
