"""Let users opt out of messages from the account, and in again, before any handler runs.

A request to stop holds at once, also for writes that are under way: from then on the guard refuses
every reply and message to that user, and the user's later events end before any handler.
Source: X developer guidelines, "Requirements for automated accounts".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from botkit.model.events import DirectMessage, Event, Mention, OptOut, PostEvent, Reply
from botkit.model.records import NewEvent, StoredOptOut
from botkit.protocol.events.codec import encode_event
from botkit.runtime.writes.actions import EventActions
from botkit.runtime.writes.checks.guard import ANSWERS_OPT_OUTS
from botkit.runtime.writes.write_outcomes import FINAL

if TYPE_CHECKING:
    from botkit.model.users import User
    from botkit.protocol.rules.opt_outs import OptOutRules
    from botkit.runtime.intake.lanes import Job
    from botkit.runtime.writes.actions import Services

__all__ = ["EarlyEnd", "OptOuts", "row_for"]

_log = structlog.get_logger(__name__)


class EarlyEnd(Struct, frozen=True):
    """Hold the end of an event that reaches no handler: the note, and the emitted events."""

    note: str
    emitted: tuple[NewEvent, ...] = ()


class OptOuts:
    """End the events of users who opt out, who have opted out, or who opt in again.

    Args:
        rules: The words and the answers; None if no text counts as such a request.
        tells: True if the bot has a handler for `OptOut`.
        may: The bot's words of `may`, which decide how it can answer.
    """

    def __init__(
        self,
        services: Services,
        *,
        rules: OptOutRules | None = None,
        tells: bool = False,
        may: frozenset[str] = frozenset({"reply", "message"}),
    ) -> None:
        self._services = services
        self._accounts = services.store.accounts
        self._rules = rules
        self._tells = tells
        self._may = may
        self._some = True  # assumed until `load`

    async def load(self) -> None:
        """Find out if any user has opted out; if none has, events need no look-up.

        Raises:
            StateError: The store cannot be used now.
        """
        self._some = bool(await self._accounts.opt_outs(limit=1))

    async def end_of(self, job: Job, event: Event) -> EarlyEnd | None:
        """Return how the event ends before any handler; None if handlers get it.

        Raises:
            Parked: The answer to the user has to wait. The request itself holds.
            StateError: The store cannot be used now, or the lease is gone.
        """
        if not isinstance(event, (PostEvent, DirectMessage)):
            return None
        rules = self._rules if isinstance(event, (Mention, Reply, DirectMessage)) else None
        if rules is not None and rules.asks_to_stop(event.text, own_names=_own_names(event)):
            return await self._opt_out(job, event, rules)
        if not self._some:
            return None
        if await self._accounts.opted_out(job.account_id, _user_of(event).id) is None:
            return None
        if rules is not None and rules.asks_to_start(event.text, own_names=_own_names(event)):
            return await self._opt_in(job, event, rules)
        return EarlyEnd("opted out")

    async def _opt_out(
        self, job: Job, event: PostEvent | DirectMessage, rules: OptOutRules
    ) -> EarlyEnd:
        user = _user_of(event)
        wanted = StoredOptOut(
            account_id=job.account_id,
            user_id=user.id,
            username=user.username,
            at=self._services.clock.now(),
            cause=job.key,
        )
        stands = await self._accounts.opt_out(wanted)
        self._some = True
        if stands.cause != job.key:
            return EarlyEnd("opted out")  # this user asked before, and got the answer
        _log.info("user.opted_out", account=job.account_id, user=user.id, key=job.key)
        await self._answer(job, event, rules.goodbye)
        return EarlyEnd("opted out", self._told(job, event, out=True))

    async def _opt_in(
        self, job: Job, event: PostEvent | DirectMessage, rules: OptOutRules
    ) -> EarlyEnd:
        await self._answer(job, event, rules.welcome)
        user = _user_of(event)
        await self._accounts.opt_in(job.account_id, user.id)
        _log.info("user.opted_in", account=job.account_id, user=user.id, key=job.key)
        return EarlyEnd("opted in", self._told(job, event, out=False))

    async def _answer(self, job: Job, event: PostEvent | DirectMessage, text: str) -> None:
        """Send one answer, despite the opt-out; only log a final refusal."""
        capability = "message" if isinstance(event, DirectMessage) else "reply"
        if not text or capability not in self._may:
            return
        actions = EventActions(self._services, job, event, handler=ANSWERS_OPT_OUTS)
        try:
            if isinstance(event, DirectMessage):
                await actions.message(event, text)
            else:
                await actions.reply(event, text)
        except FINAL as refusal:
            _log.warning("user.not_answered", key=job.key, why=str(refusal))

    def _told(
        self, job: Job, event: PostEvent | DirectMessage, *, out: bool
    ) -> tuple[NewEvent, ...]:
        if not self._tells:
            return ()
        user = _user_of(event)
        told = OptOut(
            account_id=job.account_id,
            at=event.at,
            source="opt_outs",
            user_id=user.id,
            username=user.username,
            is_out=out,
        )
        return (row_for(told, cause=job.key),)


def row_for(told: OptOut, *, cause: str = "") -> NewEvent:
    """Return the inbox's row for the event that tells the bot's handlers."""
    kind, body = encode_event(told)
    return NewEvent(
        account_id=told.account_id,
        key=told.key,
        kind=kind,
        lane=told.lane,
        body=body,
        at=told.at,
        source=told.source,
        cause=cause,
    )


def _own_names(event: PostEvent | DirectMessage) -> set[str] | None:
    """Return the account's usernames in a post's text; None if that does not matter, or show.

    A direct message is said to the account, whatever names it has.
    """
    mentions = () if isinstance(event, DirectMessage) else event.post.mentions
    if not mentions or not all(one.id for one in mentions):
        return None
    return {one.username for one in mentions if one.id == event.account_id}


def _user_of(event: PostEvent | DirectMessage) -> User:
    return event.sender if isinstance(event, DirectMessage) else event.author
