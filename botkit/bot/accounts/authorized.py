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

from botkit.bot.handler_parts import HandlerValues, handler_parts
from botkit.errors import StateError
from botkit.leases.lease import Lease
from botkit.leases.owner import lives, this_process
from botkit.model.events import Authorized
from botkit.model.records import EventState, RunParked, WritePolicy
from botkit.runtime.dispatch.runs import Runs
from botkit.runtime.dispatch.workers import Deadlines, Slot
from botkit.runtime.intake.inbox import job_of, row_of
from botkit.runtime.life.lifecycle import Tasks
from botkit.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.bot.compose_client import X
    from botkit.bot.plan import Plan
    from botkit.client.logins.login_rows import LoginRows
    from botkit.client.signin.attempt import Keep
    from botkit.model.records import CredentialRow, NewEvent, RunEnd
    from botkit.model.users import Account
    from botkit.ports import Clock
    from botkit.runtime.dispatch.run_ends import Ended
    from botkit.runtime.intake.lanes import Job

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
        run = _Run(plan, x, lease, values, policy)
        return await run.handle(job_of(new, event, seq))


def _held(new: NewEvent, now: datetime) -> NewEvent:
    return msgspec.structs.replace(new, not_before=now + _HELD)


class _Run:
    """Handle one event in this process."""

    def __init__(
        self, plan: Plan, x: X, lease: Lease, values: HandlerValues, policy: WritePolicy
    ) -> None:
        self._plan = plan
        self._x = x
        self._lease = lease
        self._values = values
        self._policy = policy
        self._ended: list[Ended] = []
        self._ends: list[RunEnd] = []

    async def handle(self, job: Job) -> list[tuple[str, str]]:
        """Run the event's handler; return its name with its result or error."""
        async with Tasks() as tasks:
            slot = Slot()
            deadlines = Deadlines(self._x.clock, on_lost=_nothing)
            runs = self._runs(tasks, deadlines)
            tasks.start(deadlines.run([slot]), "deadlines")
            slot.task = tasks.spawn(self._one(runs, job, slot), "authorized")
            holding = tasks.spawn(self._hold(job.seq, slot.task), "held")
            await asyncio.wait([slot.task])
            holding.cancel()
            if self._ends:
                await self._x.store.events.settle(self._ends, fence=self._lease.fence())
        return [(ended.handler, _said(ended)) for ended in self._ended if ended.handler]

    @staticmethod
    async def _one(runs: Runs, job: Job, slot: Slot) -> None:
        await runs.run(job, slot)

    async def _hold(self, seq: int, handling: asyncio.Task[None]) -> None:
        """Keep a running bot from taking the event while it is handled here."""
        while True:
            await self._x.clock.sleep(_HOLD_AGAIN_S)
            if handling.done():
                return
            until = self._x.clock.now() + _HELD
            with suppress(StateError):  # the next round tries again before the hold ends
                held = RunParked(seq=seq, waiting_for="", until=until)
                await self._x.store.events.settle([held], fence=self._lease.fence())

    def _runs(self, tasks: Tasks, deadlines: Deadlines) -> Runs:
        parts = handler_parts(
            self._plan,
            self._x,
            fence=self._lease.fence,
            spawn=tasks.spawn,
            policy=self._policy,
        )
        return Runs(
            wiring=self._plan.wiring,
            services=parts.services,
            opt_outs=parts.opt_outs,
            entropy=self._x.entropy,
            given=self._values,
            deadlines=deadlines,
            store_soon=lambda _, end: self._ends.append(end),
            later=_never,
            redact=Redactor().text,
            on_ended=self._ended.append,
        )


async def _nothing(slot: Slot) -> None:
    """Leave a handler that does not end until the process ends."""
    del slot


def _never(when: datetime) -> None:
    """Ignore work that is due later: the running bot does it."""
    del when


def _said(ended: Ended) -> str:
    if ended.error is not None:
        return f"{type(ended.error).__name__}: {ended.error}"
    return "done" if ended.returned is None else str(ended.returned)
