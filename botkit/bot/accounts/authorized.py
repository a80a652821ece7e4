"""Run a bot's `Authorized` handlers at the end of a login, also beside a running bot.

The event is recorded in the transaction that stores the login, and held while its handlers run
here. If this process dies meanwhile, the running bot handles the event half a minute later.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from botkit.bot.handlers.handler_parts import HandlerValues
from botkit.bot.single_runs import SingleRuns
from botkit.errors import StateError
from botkit.leases.lease import Lease
from botkit.leases.owner import lives, this_process
from botkit.model.events import Authorized
from botkit.model.records import EventState, RunParked, WritePolicy
from botkit.runtime.intake.inbox import job_of, row_of
from botkit.runtime.life.lifecycle import Tasks

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.bot.compose_client import X
    from botkit.bot.plan import Plan
    from botkit.client.logins.login_rows import LoginRows
    from botkit.client.signin.attempt import Keep
    from botkit.model.records import CredentialRow, NewEvent
    from botkit.model.users import Account
    from botkit.ports import Clock
    from botkit.runtime.dispatch.run_ends import Ended

__all__ = ["authorized_event", "keep_with_event", "run_authorized"]

_SOURCE = "setup"
_HELD = timedelta(seconds=30)
_HOLD_AGAIN_S = 10.0


def authorized_event(account: Account, row: CredentialRow, *, source: str) -> Authorized:
    """Return the `Authorized` event of a login."""
    return Authorized(
        account_id=account.id,
        at=row.granted_at,
        source=source,
        username=account.username,
        credential=row.kind.value,
        scopes=row.scopes,
        gen=row.gen,
    )


def keep_with_event(plan: Plan | None, rows: LoginRows, clock: Clock) -> Keep:
    """Return a function that stores a login and its `Authorized` event in one transaction.

    If the plan has no handler for the event, only the login is stored. Without a plan the event
    waits for the bot that runs next.
    """

    async def keep(account: Account, row: CredentialRow) -> CredentialRow:
        new = row_of(authorized_event(account, row, source=_SOURCE), account.id, _SOURCE)
        events = [new]
        if plan is not None:
            events = [_held(new, clock.now())] if plan.handles(Authorized) else []
        return await rows.put(row, account=account, events=events)

    return keep


async def run_authorized(
    plan: Plan,
    x: X,
    account: Account,
    row: CredentialRow,
    *,
    policy: WritePolicy = WritePolicy.RECONCILE,
) -> list[tuple[str, str]]:
    """Run the `Authorized` handlers; return each one's name with its result or error as text.

    `policy` decides how a write is settled if its answer was lost.

    The event of an account's login is already in the store; that of an app-only login is recorded
    here. Handlers may take long: the lease, one for each account, is renewed meanwhile.

    Raises:
        StateError: The store cannot be used, or another process runs the handlers. The event
            stays in the store.
    """
    event = authorized_event(account, row, source=_SOURCE)
    new = _held(row_of(event, account.id, _SOURCE), x.clock.now())
    (seq,) = await x.store.events.append([new])
    if seq is None:
        (stored,) = await x.store.events.get(event.key, account_id=account.id)
        if stored.state is not EventState.WAITING or stored.attempts:
            return []
        seq = stored.seq
    owner = await asyncio.to_thread(this_process, x.entropy)
    lease = Lease(x.store, x.clock, owner=owner, name=f"setup:{account.id}", lives=lives)
    await lease.acquire()
    async with lease.kept(), AsyncExitStack() as stack:
        values = HandlerValues(x, [account])
        for wanted, provider in plan.wiring.providers.items():
            try:
                await values.provide(wanted, provider, stack)
            except Exception as error:  # noqa: BLE001 - the author's code; the login stands
                return [(f"provide {wanted.__name__}", f"{type(error).__name__}: {error}")]
        async with Tasks() as tasks:
            runs = SingleRuns(plan, x, lease, values, tasks, policy=policy)
            handling = tasks.spawn(runs.handle(job_of(new, event, seq)), "authorized")
            holding = tasks.spawn(_hold(x, lease, seq, handling), "held")
            await asyncio.wait([handling])
            holding.cancel()
    return [(ended.handler, _said(ended)) for ended in runs.ended if ended.handler]


def _held(new: NewEvent, now: datetime) -> NewEvent:
    return msgspec.structs.replace(new, not_before=now + _HELD)


async def _hold(x: X, lease: Lease, seq: int, handling: asyncio.Task[None]) -> None:
    """Keep a running bot from taking the event while it is handled here."""
    while True:
        await x.clock.sleep(_HOLD_AGAIN_S)
        if handling.done():
            return
        until = x.clock.now() + _HELD
        with suppress(StateError):  # the next round tries again before the hold ends
            held = RunParked(seq=seq, waiting_for="", until=until)
            await x.store.events.settle([held], fence=lease.fence())


def _said(ended: Ended) -> str:
    if ended.error is not None:
        return f"{type(ended.error).__name__}: {ended.error}"
    return "done" if ended.returned is None else str(ended.returned)
