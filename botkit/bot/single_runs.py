"""Run single events in this process, where no dispatcher runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from botkit.bot.handlers.handler_parts import handler_parts
from botkit.runtime.dispatch.runs import Runs
from botkit.runtime.dispatch.workers import Deadlines, Slot
from botkit.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.bot.compose_client import X
    from botkit.bot.handlers.handler_parts import HandlerParts, HandlerValues
    from botkit.bot.plan import Plan
    from botkit.leases.lease import Lease
    from botkit.model.records import RunEnd, WritePolicy
    from botkit.runtime.dispatch.run_ends import Ended
    from botkit.runtime.intake.lanes import Job
    from botkit.runtime.life.lifecycle import Tasks

__all__ = ["SingleRuns"]


class SingleRuns:
    """Run events one at a time, with the parts and values that they have in a running bot.

    Args:
        lease: The lease whose fence guards what is stored.
        tasks: Owns the tasks; it must stay open while events run.
    """

    def __init__(
        self,
        plan: Plan,
        x: X,
        lease: Lease,
        values: HandlerValues,
        tasks: Tasks,
        *,
        policy: WritePolicy,
    ) -> None:
        self._x = x
        self._lease = lease
        self._tasks = tasks
        self._ends: list[RunEnd] = []
        self._deadlines = Deadlines(x.clock, on_lost=_nothing)
        self.ended: list[Ended] = []
        """How each run ended."""
        self.parts: HandlerParts = handler_parts(
            plan, x, fence=lease.fence, spawn=tasks.spawn, policy=policy
        )
        self._runs = Runs(
            wiring=plan.wiring,
            services=self.parts.services,
            opt_outs=self.parts.opt_outs,
            entropy=x.entropy,
            given=values,
            deadlines=self._deadlines,
            store_soon=lambda _, end: self._ends.append(end),
            later=_never,
            redact=Redactor().text,
            on_ended=self.ended.append,
        )

    async def handle(self, job: Job) -> None:
        """Run the event's handler and store how that ended."""
        slot = Slot()
        watching = self._tasks.spawn(self._deadlines.run([slot]), "deadlines")
        slot.task = self._tasks.spawn(self._one(job, slot), "event")
        await asyncio.wait([slot.task])
        watching.cancel()
        ends, self._ends = self._ends, []
        if ends:
            await self._x.store.events.settle(ends, fence=self._lease.fence())

    async def _one(self, job: Job, slot: Slot) -> None:
        await self._runs.run(job, slot)


async def _nothing(slot: Slot) -> None:
    """Leave a handler that does not end until the process ends."""
    del slot


def _never(when: datetime) -> None:
    """Ignore work that is due later: the running bot does it."""
    del when
