"""Find direct messages of the account that this store did not write: signs of a restored store.

A message of X does not name what it answers. But a message of the account that no write of this
store made, in the conversation of the message that is to be answered and later than that, has
probably answered it: a step that would answer it once more returns the existing message.

The poll for direct messages reads them in any case, before it records what is to be answered.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import Parked
from botkit.model.messages import Message
from botkit.model.records import OwnPost
from botkit.protocol.api.objects import conversation_of
from botkit.protocol.rules import policy
from botkit.runtime.writes.lookups.write_lookup import as_post, unsettled_writes
from botkit.waiting.events import event_or_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botkit.model.records import Fence, NewWrite, StoredWrite
    from botkit.ports import Clock, Store
    from botkit.runtime.writes.steps import Step

__all__ = ["OwnMessages"]

_log = structlog.get_logger(__name__)

_PATIENCE_S = 5.0
"""How long a step waits for the first poll before its event is put aside."""
_AGAIN = timedelta(seconds=30)


class OwnMessages:
    """Hold what X shows of the accounts' own messages at the start of a run.

    Args:
        fence: Returns the fence of the runner's lease at the time of the call.
    """

    def __init__(self, *, store: Store, clock: Clock, fence: Callable[[], Fence]) -> None:
        self._store = store
        self._clock = clock
        self._fence = fence
        self._shown: dict[str, asyncio.Event] = {}
        """By account whose messages are polled: set once its messages were shown."""

    def expect(self, account_id: str) -> None:
        """Let the account's messages wait until its own ones are shown: a poll will do so."""
        self._shown.setdefault(account_id, asyncio.Event())

    async def show(self, account_id: str, sent: Sequence[Message] | None) -> None:
        """Keep the messages that no write of this store can have made; None if X shows none.

        Raises:
            StateError: The store cannot be used, or the lease is gone.
        """
        strange = await self._strange(account_id, sent) if sent else []
        if strange:
            await self._keep(account_id, strange)
        self.expect(account_id)
        self._shown[account_id].set()

    async def ready(self, account_id: str) -> None:
        """Make sure that the account's messages from elsewhere are known, if they are polled.

        Raises:
            Parked: X has not shown them yet.
        """
        shown = self._shown.get(account_id)
        if shown is None or shown.is_set():
            return
        in_time = await event_or_timeout(shown, _PATIENCE_S, clock=self._clock)
        self._must_be_shown(in_time=in_time)

    def _must_be_shown(self, *, in_time: bool) -> None:
        if not in_time:
            raise Parked("timeline", until=self._clock.now() + _AGAIN)

    async def found(self, step: Step) -> StoredWrite | None:
        """Return the step's write, confirmed by a message that X shows; None if there is none."""
        if step.run or step.is_raw or step.account_id not in self._shown:
            return None
        by_user = step.operation == "createDirectMessagesByParticipantId"
        thread = conversation_of(step.account_id, step.target) if by_user else step.target
        write = step.to_write()
        for kept in await self._store.own_posts.to(step.account_id, _place(thread)):
            if not _may_be_of(step, write, kept):
                continue
            if await self._store.writes.owner_of(step.account_id, kept.post_id) is None:
                _log.info("write.found", write=step.id, result=kept.post_id)
                return await self._store.own_posts.adopt(
                    write, kept, now=self._clock.now(), fence=self._fence()
                )
        return None

    async def _strange(self, account_id: str, sent: Sequence[Message]) -> list[Message]:
        unsettled = await unsettled_writes(self._store, account_id)
        return [
            message
            for message in sent
            if not any(
                policy.shows_write(write, as_post(message, write.target)) for write in unsettled
            )
            and await self._store.writes.owner_of(account_id, message.id) is None
        ]

    async def _keep(self, account_id: str, strange: Sequence[Message]) -> None:
        now = self._clock.now()
        rows = [
            OwnPost(
                account_id=account_id,
                post_id=message.id,
                target=_place(message.conversation_id),
                body=msgspec.json.encode(message),
                at=message.created_at or now,
            )
            for message in strange
        ]
        await self._store.own_posts.keep(rows, fence=self._fence())
        _log.warning("store.behind", account=account_id, messages=len(rows))


def _place(thread: str) -> str:
    """Return the target under which a conversation's messages are kept: no post has that id."""
    return f"dm/{thread}"


def _may_be_of(step: Step, write: NewWrite, kept: OwnPost) -> bool:
    """Return True if a message answers what the step answers, or has its text and is not older."""
    if step.message_id:
        return _age(kept.post_id) > _age(step.message_id)
    shown = msgspec.json.decode(kept.body, type=Message)
    return step.may_have_made(kept) and policy.shows_write(write, as_post(shown, step.target))


def _age(message_id: str) -> tuple[int, str]:
    """Return what orders ids of X by their time."""
    return len(message_id), message_id
