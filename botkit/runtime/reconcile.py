"""Settles writes whose outcome is unknown, by reading the account's own timeline.

One read an account serves all its rows. Times of the next reads stand in the rows, so that a
restart continues the count. Source: reliability, "Writes", Reconcile.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import BotkitError, Parked
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import StoredWrite, WritePolicy, WriteState
from botkit.protocol import objects, policy, requests
from botkit.protocol.pagination import Pages
from botkit.runtime.outcomes import DUPLICATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from botkit.ports import Clock, Sender, Store

__all__ = ["Reconciler"]

_log = structlog.get_logger("botkit.reconcile")

_READS_AFTER_S = (5.0, 15.0, 60.0, 180.0)
_READS_AFTERWARDS_S = 180.0
_CLEAN_READS = 2
_CLEAN_APART = timedelta(seconds=60)
_LAST_AFTER_SEND = timedelta(minutes=2)
_LOOK_BACK = timedelta(minutes=2)
_MESSAGE_OPERATIONS = frozenset(
    {"createDirectMessagesByParticipantId", "createDirectMessagesByConversationId"}
)


class Reconciler:
    """Reads until each UNCERTAIN write is CONFIRMED, ABSENT (and QUEUED again) or UNRESOLVED.

    Args:
        on_settled: Told the write's id when its event may run again.
    """

    def __init__(
        self,
        *,
        store: Store,
        sender: Sender,
        clock: Clock,
        on_settled: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._on_settled = on_settled
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look again: a write became uncertain."""
        self._woken.set()

    async def run(self) -> None:
        """Settle what becomes due, until cancelled."""
        while True:
            self._woken.clear()
            wait_s = await self._settle_due()
            try:
                async with self._clock.timeout(wait_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _settle_due(self) -> float | None:
        """Settle all rows whose time has come; gives the seconds until the next one's."""
        now = self._clock.now()
        rows = await self._store.writes.listing(
            states=[WriteState.UNCERTAIN], limit=10_000
        )
        due = [
            row for row in rows if row.next_read_at is None or row.next_read_at <= now
        ]
        groups: dict[tuple[str, str], list[StoredWrite]] = {}
        for row in due:
            place = row.target if row.operation in _MESSAGE_OPERATIONS else ""
            groups.setdefault((row.account_id, place), []).append(row)
        for (account_id, place), group in groups.items():
            await self._settle(account_id, place, group)
        if due:
            return 0.0
        times = [row.next_read_at for row in rows if row.next_read_at is not None]
        return (min(times) - now).total_seconds() if times else None

    async def _settle(
        self, account_id: str, place: str, rows: Sequence[StoredWrite]
    ) -> None:
        since = min(row.first_sent_at or row.created_at for row in rows) - _LOOK_BACK
        try:
            if rows[0].operation in _MESSAGE_OPERATIONS:
                found, clean = await self._messages(
                    account_id, rows[0].operation, place, since
                )
            else:
                found, clean = await self._posts(account_id, since)
        except (BotkitError, Parked) as problem:
            _log.warning(
                "reading the timeline failed", account=account_id, why=str(problem)
            )
            found, clean = [], False
        for row in rows:
            await self._judge(row, found, clean=clean)

    async def _posts(self, account_id: str, since: datetime) -> tuple[list[Post], bool]:
        """Own posts since then, and whether the reading covers the time without a hole."""
        posts: list[Post] = []
        clean = True
        pages = Pages()
        token: str | None = None
        while True:
            request = requests.get_user_posts(
                account_id, start_time=since, pagination_token=token
            )
            response = await self._sender.send(request, account_id=account_id)
            clean = clean and not response.errors
            page = objects.read_posts(response)
            posts.extend(page.posts)
            token = pages.next(page.next_token)
            if token is None:
                return posts, clean

    async def _messages(
        self, account_id: str, operation: str, place: str, since: datetime
    ) -> tuple[list[Post], bool]:
        """Own messages of that conversation as posts, for the same comparison of texts."""
        by_peer = operation == "createDirectMessagesByParticipantId"
        request = requests.get_dm_events(
            participant_id=place if by_peer else None,
            conversation_id=None if by_peer else place,
        )
        response = await self._sender.send(request, account_id=account_id)
        messages = objects.read_messages(response)
        own = [
            Post(
                id=message.id,
                text=message.text,
                author_id=account_id,
                in_reply_to_post_id=place,
                conversation_id=message.conversation_id,
                created_at=message.created_at,
            )
            for message in messages
            if message.sender_id in {None, account_id}
            and (message.created_at is None or message.created_at >= since)
        ]
        return own, not response.errors

    async def _judge(
        self, row: StoredWrite, found: Sequence[Post], *, clean: bool
    ) -> None:
        matches = [post for post in found if policy.shows_write(row, post)]
        free: list[Post] = []
        for post in matches:
            owner = await self._store.writes.owner_of(row.account_id, post.id)
            if owner in {None, row.id}:
                free.append(post)
        if free:
            await self._confirm(row, free)
        else:
            await self._not_shown(row, clean=clean)

    async def _confirm(self, row: StoredWrite, matches: Sequence[Post]) -> None:
        first = min(matches, key=lambda post: int(post.id))
        if len(matches) > 1:
            others = sorted(post.id for post in matches if post is not first)
            _log.error("write carried out more than once", write=row.id, also=others)
        await self._store.writes.confirm(
            row.id,
            result_id=first.id,
            result=msgspec.json.encode(_result(row, first)),
            now=self._clock.now(),
            fence=None,
        )
        _log.info("write found on the timeline", write=row.id, result=first.id)
        await self._release(row)

    async def _not_shown(self, row: StoredWrite, *, clean: bool) -> None:
        now = self._clock.now()
        sent = row.last_sent_at or row.created_at
        if clean and self._proves_absence(row, now, sent):
            await self._store.writes.record_read(
                row.id, clean=True, now=now, next_read_at=None
            )
            await self._absent(row)
            return
        done = row.reads + 1
        if done < len(_READS_AFTER_S):
            planned = sent + timedelta(seconds=_READS_AFTER_S[done])
        else:
            planned = now + timedelta(seconds=_READS_AFTERWARDS_S)
        soonest = now + timedelta(seconds=_READS_AFTER_S[0])
        await self._store.writes.record_read(
            row.id, clean=clean, now=now, next_read_at=max(planned, soonest)
        )

    @staticmethod
    def _proves_absence(row: StoredWrite, now: datetime, sent: datetime) -> bool:
        """Two clean reads 60 s apart, this one at least 2 minutes after the last sending."""
        if row.clean_reads + 1 < _CLEAN_READS or row.first_clean_at is None:
            return False
        return (
            now - row.first_clean_at >= _CLEAN_APART and now - sent >= _LAST_AFTER_SEND
        )

    async def _absent(self, row: StoredWrite) -> None:
        now = self._clock.now()
        if row.reason == DUPLICATE:
            _log.warning(
                "write rejected as a duplicate of an unknown post", write=row.id
            )
            await self._store.writes.reject(
                row.id, reason=DUPLICATE, now=now, fence=None
            )
        elif row.policy is WritePolicy.HOLD:
            _log.error("write unresolved, a person decides", write=row.id)
            await self._store.writes.set_state(
                row.id, WriteState.UNRESOLVED, reason="not on the timeline", now=now
            )
            return
        else:
            _log.info("write absent, sent again", write=row.id)
            await self._store.writes.set_state(
                row.id, WriteState.ABSENT, reason="not on the timeline", now=now
            )
            await self._store.writes.requeue(
                row.id, reason="absent", now=now, fence=None
            )
        await self._release(row)

    async def _release(self, row: StoredWrite) -> None:
        await self._store.events.unpark(f"write/{row.id}", account_id=row.account_id)
        if self._on_settled is not None:
            self._on_settled()


def _result(row: StoredWrite, post: Post) -> Post | Message:
    if row.operation in _MESSAGE_OPERATIONS:
        return Message(
            id=post.id,
            conversation_id=post.conversation_id or "",
            text=post.text,
            sender_id=row.account_id,
            created_at=post.created_at,
        )
    return post
