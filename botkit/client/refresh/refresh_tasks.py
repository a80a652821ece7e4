"""Refreshes as tasks: one for each login, timed, and never cancelled before X's answer.

Source: docs/explanation/requirements.md, F2, F4, F5, F7, F8.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from botkit.client.logins.identity import who_am_i
from botkit.client.logins.oauth2_login import Outcome, is_asked_again
from botkit.client.refresh.timer_heap import TimerHeap
from botkit.errors import RateLimited, ServerError, StateError, XError
from botkit.model.tokens import LoginState
from botkit.protocol.api import rate_limits
from botkit.protocol.rules.pricing import may_have_charged
from botkit.waiting.backoff import JITTER, Ladder
from botkit.waiting.events import event_or_timeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.login_book import LoginBook
    from botkit.client.logins.oauth2_login import OAuth2Login
    from botkit.client.logins.rescue_file import RescueRestorer
    from botkit.client.refresh.refresh_leader import LeaderRole
    from botkit.client.refresh.refresher import Refresher
    from botkit.model.tokens import Secret

__all__ = ["RefreshTasks"]

_log = structlog.get_logger(__name__)

_MOST_TASKS = 64
_LOOK_AGAIN_S = 60.0
_APART_S = 0.1
"""The least seconds between two searches for due logins: one wake-up starts many refreshes."""
_SOON_S = 1.0
_NETWORK = Ladder.doubling(1.0, cap_s=60.0, jitter=JITTER)
_STORE = Ladder.doubling(2.0, cap_s=60.0, jitter=JITTER)
_REFUSED = Ladder.doubling(60.0, cap_s=300.0, jitter=JITTER)
_DOUBT = Ladder.doubling(60.0, cap_s=900.0, jitter=JITTER)
_FOLLOW_S = 30.0
"""The seconds a process without the leader's role waits for a token if it has none that lives."""
_FOLLOW_LOOK_S = (0.2, 0.5)
_FOLLOW_AGAIN_S = 15.0


class RefreshTasks:
    """Start refreshes when they are due or asked for, and take over their results.

    Args:
        prepare: Awaited by the leader before each refresh.
        on_asked: Called with each account id after X was asked to whom its new token belongs.
            With None, X is not asked.
    """

    def __init__(
        self,
        context: LoginContext,
        *,
        book: LoginBook,
        refresher: Refresher,
        restorer: RescueRestorer,
        role: LeaderRole,
        prepare: Callable[[], Awaitable[None]],
        on_asked: Callable[[str], None] | None,
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._book = book
        self._refresher = refresher
        self._restorer = restorer
        self._role = role
        self._prepare = prepare
        self._on_asked = on_asked
        self._is_stopped = False
        self._heap: TimerHeap[OAuth2Login] = TimerHeap()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Start each refresh when it is due, until cancelled."""
        while True:
            self._wake.clear()
            self._start_due()
            next_s = self._heap.next_s()
            # Wait a minute at most: the loop's clock stands still while the machine sleeps.
            wait_s = _LOOK_AGAIN_S
            if next_s is not None and len(self._tasks) < _MOST_TASKS:
                wait_s = min(max(next_s - self._clock.monotonic(), _APART_S), _LOOK_AGAIN_S)
            await event_or_timeout(self._wake, wait_s, clock=self._clock)

    def stop(self) -> None:
        """Start no more refreshes; those that run go on."""
        self._is_stopped = True

    async def close(self, *, deadline_s: float) -> None:
        """Wait for running refreshes; then try once more to store rescued tokens."""
        self.stop()
        with suppress(TimeoutError):
            async with self._clock.timeout(deadline_s):
                while self._tasks:
                    await asyncio.wait(tuple(self._tasks))
        for grant in self._book.oauth2_logins.values():
            if grant.refresh_task is not None:
                _log.error("refresh.cut_off", account=grant.row.account_id)
            elif grant.unsaved is not None:
                await self._save(grant)

    def schedule(self, grant: OAuth2Login) -> None:
        """Set the time of the login's next refresh or check."""
        due_s = None if grant.is_gone or self._is_stopped else grant.due_s()
        if due_s is not None and grant.doubt:
            due_s = self._clock.monotonic() + _SOON_S
        if self._heap.set(grant, due_s):
            self._wake.set()

    def start(self, grant: OAuth2Login, *, rejected: bool = False) -> asyncio.Task[None] | None:
        """Return the login's refresh task, started if there is none; None if none may start."""
        if grant.refresh_task is not None:
            return grant.refresh_task
        now_s = self._clock.monotonic()
        final = grant.row.status in {LoginState.DEAD, LoginState.CONFIG} or grant.is_gone
        if self._is_stopped or final or grant.unsaved is not None:
            return None
        if now_s < grant.next_try_s and not rejected:
            return None
        late = rejected or grant.left_s(self._clock) <= grant.late_s
        if grant.row.status is LoginState.UNCERTAIN and not late and not is_asked_again(grant.row):
            return None
        grant.last_refresh_s = now_s
        grant.refresh_task = self._spawn(self._refresh_once(grant, late=late, rejected=rejected))
        return grant.refresh_task

    def _start_due(self) -> None:
        now_s = self._clock.monotonic()
        while due := self._heap.take(now_s, _MOST_TASKS - len(self._tasks)):
            for grant in due:
                if grant.doubt and grant.refresh_task is None:
                    _ = self._spawn(self._look_again(grant))
                elif grant.unsaved is not None and grant.refresh_task is None:
                    grant.refresh_task = self._spawn(self._save_in_task(grant))
                elif self.start(grant) is None and (due_s := grant.due_s()) is not None:
                    # A moment too early, or stopped: try again in a second at the earliest.
                    self._heap.set(grant, max(due_s, now_s + _SOON_S))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # Not in a task group: cancelling the group would cut a refresh off between its request and
        # X's answer. `close` waits for all of these tasks.
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("refresh.crashed", error=type(error).__name__)

    async def _refresh_once(self, grant: OAuth2Login, *, late: bool, rejected: bool) -> None:
        grant.next_try_s = self._clock.monotonic() + _LOOK_AGAIN_S  # in case this task crashes
        try:
            try:
                outcome = await self._attempt(grant, late=late, rejected=rejected)
            except StateError as error:
                outcome = Outcome(kind="blocked", row=grant.row, error=error)
            await self._settle(grant, outcome, late=late)
        finally:
            grant.refresh_task = None
            self.schedule(grant)

    async def _attempt(self, grant: OAuth2Login, *, late: bool, rejected: bool) -> Outcome:
        """Refresh as the leader; without that role, wait for the leader's result."""
        needed = late or grant.left_s(self._clock) <= grant.urgent_s
        ends_s = self._clock.monotonic() + (_FOLLOW_S if needed else 0.0)
        while True:
            async with self._role() as holds_role:
                if holds_role:
                    await self._prepare()
                    if grant.unsaved is not None:  # `_prepare` has restored a newer token
                        return Outcome(kind="kept", row=grant.row)
                    return await self._refresher.refresh(grant.row, late=late, waited=grant.waited)
            if (found := await self._refresher.follow(grant.row)) is not None:
                return found
            if rejected:
                await self._context.rows.expire(grant.row)
                rejected = False
            if self._clock.monotonic() >= ends_s:
                return Outcome(kind="kept", row=grant.row, wait_s=_FOLLOW_AGAIN_S)
            await self._clock.sleep(self._context.entropy.uniform(*_FOLLOW_LOOK_S))

    async def _settle(self, grant: OAuth2Login, outcome: Outcome, *, late: bool) -> None:
        """Take over the result of a refresh."""
        grant.next_try_s = 0.0
        match outcome.kind:
            case "renewed" | "adopted" | "unsaved":
                await self._take(grant, outcome)
            case "later":
                self._put_off(grant, outcome)
            case "blocked":
                grant.error = outcome.error
                self._back_off(grant, _STORE)
                _log.error(
                    "store.unavailable",
                    waiting="refresh",
                    account=grant.row.account_id,
                    why=str(outcome.error),
                )
            case "gone":
                self._book.drop(grant)
            case _:
                await self._keep(grant, outcome, late=late)

    async def _keep(self, grant: OAuth2Login, outcome: Outcome, *, late: bool) -> None:
        """Keep the present token, and take over the login's state after the refresh."""
        if outcome.unsaved is not None:
            await self._restorer.keep(outcome.unsaved)
        if outcome.wait_s is not None:
            grant.next_try_s = self._clock.monotonic() + outcome.wait_s
            if not late:  # nothing was sent: the next 401 may start a refresh
                grant.last_refresh_s = float("-inf")
        elif is_asked_again(outcome.row):
            self._back_off(grant, _REFUSED)
        elif late and outcome.row.status is LoginState.UNCERTAIN:
            self._back_off(grant, _DOUBT)
        if outcome.row is not grant.row:
            self._book.change(grant, outcome.row)

    async def _take(self, grant: OAuth2Login, outcome: Outcome) -> None:
        assert outcome.access is not None
        if outcome.unsaved is not None:
            grant.unsaved = outcome.unsaved
            kept = await self._restorer.keep(outcome.unsaved)
            _log.critical(
                "new_token.not_stored",
                account=grant.row.account_id,
                why=outcome.reason,
                rescued=kept,
            )
        self._book.renew(grant, outcome.row, outcome.access)
        if grant.unsaved is not None:
            self._back_off(grant, _STORE)
        if outcome.kind == "renewed" and self._on_asked is not None:
            _ = self._spawn(self._verify(grant, outcome.access, self._on_asked))

    def _put_off(self, grant: OAuth2Login, outcome: Outcome) -> None:
        """Plan the next try of a refresh that X surely did not carry out."""
        grant.error = outcome.error
        if not isinstance(outcome.error, RateLimited | ServerError):
            self._back_off(grant, _NETWORK)
            _log.warning("refresh.not_sent", account=grant.row.account_id, why=outcome.reason)
            return
        grant.waited = grant.waited or isinstance(outcome.error, ServerError)
        grant.tries += 1
        wait_s = outcome.wait_s
        if wait_s is None:
            wait_s = rate_limits.penalty(grant.tries).total_seconds()
        spare_s = grant.left_s(self._clock) - grant.late_s
        if spare_s > 0:
            wait_s = min(wait_s, spare_s)
        wait_s += self._context.entropy.uniform(0.0, 2.0)
        grant.next_try_s = self._clock.monotonic() + wait_s
        _log.warning(
            "refresh.postponed", account=grant.row.account_id, why=outcome.reason, wait_s=wait_s
        )

    def _back_off(self, grant: OAuth2Login, ladder: Ladder) -> None:
        wait_s = ladder.wait_s(grant.tries, self._context.entropy)
        grant.tries += 1
        grant.next_try_s = self._clock.monotonic() + wait_s

    async def _look_again(self, grant: OAuth2Login) -> None:
        """Read a login again whose refresh token another process has sent."""
        try:
            await self._book.look_again(grant)
        except StateError as error:
            _log.warning("login.not_read", account=grant.row.account_id, why=str(error))
        finally:
            self.schedule(grant)

    async def _save_in_task(self, grant: OAuth2Login) -> None:
        try:
            await self._save(grant)
        finally:
            grant.refresh_task = None
            self.schedule(grant)

    async def _save(self, grant: OAuth2Login) -> None:
        """Try again to store a token that the store could not take."""
        assert grant.unsaved is not None
        row = await self._restorer.store(grant.unsaved)
        if row is None:
            self._back_off(grant, _STORE)
            return
        grant.unsaved = None
        grant.tries = 0
        grant.next_try_s = 0.0
        _log.info("rescued_login.stored", account=row.account_id, gen=row.gen)
        await self._context.rows.note(row)
        if row.gen > grant.row.gen:
            self._book.renew(grant, row, self._book.access_of(row))
        else:
            self._book.announce(grant, grant.row)

    async def _verify(
        self, grant: OAuth2Login, access: Secret, on_asked: Callable[[str], None]
    ) -> None:
        """Check after a refresh that the new token belongs to the same user.

        Source: docs/explanation/requirements.md, C8 and F16.
        """
        account_id = grant.row.account_id
        try:
            user = await who_am_i(self._context, access)
        except XError as error:
            _log.warning("new_token.owner_not_confirmed", account=account_id, why=str(error))
            if may_have_charged(error):
                on_asked(account_id)
            return
        on_asked(account_id)
        if user.id != account_id:
            await self.withdraw(grant, f"X gave a token of another user, {user.id}")

    async def withdraw(self, grant: OAuth2Login, reason: str) -> None:
        """Mark the login DEAD, so that it is no longer refreshed or used."""
        row = await self._context.rows.mark(grant.row, LoginState.DEAD, reason)
        self._book.change(grant, row)
        self.schedule(grant)
