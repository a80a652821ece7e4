"""Find posts of the account that this store did not write: signs of an old or copied store.

A store that was put back from a backup lacks what its bot wrote after the backup. Before an
account's first write of a run X is asked for its own posts that are newer than the newest one on
record. Posts that no write of this store made are kept. A step that would answer the same post
once more returns the existing answer.

Two copies of one store that run at the same time answer the same posts. A little after a write X
is asked for the account's posts again. If a post that was answered here has another answer of the
account, too, the copy that started later stops.

X shows an account's newest 3,200 posts. If the store lacks more than these, what was answered in
the rest cannot be known: a gap of this source says so, and what could have been answered there is
refused, until a person closes the gap or has the event run again.

Reading posts newer than the newest known one costs nothing if there are none.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import (
    AlreadyReplied,
    BotkitError,
    LeaseLost,
    Parked,
    RateLimited,
    ServerError,
    StateError,
    TransportError,
)
from botkit.model.hearing import GapRow
from botkit.model.posts import Post
from botkit.model.records import OwnPost
from botkit.protocol.api.ids import snowflake_time
from botkit.protocol.rules import policy
from botkit.runtime.writes.lookups.own_messages import OwnMessages
from botkit.runtime.writes.lookups.write_lookup import reach_of, read_own_posts, unsettled_writes
from botkit.telemetry.counted import counted
from botkit.telemetry.times import rfc3339
from botkit.waiting.keyed_lock import KeyedLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botkit.model.records import Fence, NewWrite, StoredWrite
    from botkit.ports import Clock, Sender, Store
    from botkit.runtime.writes.steps import Step

__all__ = ["OwnPosts"]

_log = structlog.get_logger(__name__)

_AGAIN_S = 30.0
_SHOWN_AFTER_S = 10.0
"""The wait after a write: X shows a new post on the timeline some seconds late."""
_LOOK_EVERY_S = 300.0
_SOURCE = "own_posts"
_MOST_GAPS = 10_000
_ONE_PAGE = datetime.max.replace(tzinfo=UTC)
"""A time that each page of posts reaches."""
_UNEVEN = timedelta(minutes=5)
"""Of a store without own posts, those are read that are later than its last poll, less this."""


class _Doubt(msgspec.Struct):
    """Hold the evidence on whether a copy of the store acts for an account, too.

    Attributes:
        is_first: True once a look after a write of this run has found no rival.
        rivals: The number of looks that found a rival.
        looked_s: The time of the last planned look, by the steady clock.
        target: The post that the account's last write answered, "" for none.
        post_id: The post that the last write made.
    """

    is_first: bool = False
    rivals: int = 0
    looked_s: float | None = None
    target: str = ""
    post_id: str = ""

    @property
    def since_id(self) -> str:
        """Return the id after which to read: that of the account's last post, which is free.

        Until a look has found no rival, return the id of the post answered last, so that an answer
        from before ours shows, too. That costs the price of reading our own answer.
        """
        return self.post_id if self.is_first or not self.target else self.target


class OwnPosts:
    """Read the accounts' own timelines.

    Args:
        fence: Returns the fence of the runner's lease at the time of the call.
        report: Called with part, state and detail, for `botkit status`.

    Attributes:
        messages: The same for the accounts' direct messages.
    """

    def __init__(
        self,
        *,
        store: Store,
        sender: Sender,
        clock: Clock,
        fence: Callable[[], Fence],
        report: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._fence = fence
        self._report = report
        self.messages: OwnMessages = OwnMessages(store=store, clock=clock, fence=fence)
        self._lock = KeyedLock()
        self._has_some: dict[str, bool] = {}
        """By account that was looked at: True if X showed posts that this store did not write."""
        self._lacks_some: set[str] = set()
        """The accounts that may have posted what X does not show any more."""
        self._again_at: dict[str, datetime] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._due: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    async def run(self, accounts: Iterable[str]) -> None:
        """Look at each account now, and again after writes, until cancelled.

        Raises:
            LeaseLost: A copy of this store acts for an account, and started earlier.
        """
        for account_id in accounts:
            try:
                await self.ready(account_id)
            except (Parked, StateError) as problem:  # the account's first write asks again
                if isinstance(problem, LeaseLost):
                    raise
                _log.info("own_posts.later", account=account_id, why=str(problem))
        while True:
            due_s, account_id = await self._due.get()
            await self._clock.sleep(due_s - self._clock.monotonic())
            try:
                await self._look_for_rival(account_id)
            except LeaseLost:
                raise
            except (BotkitError, Parked) as problem:
                _log.info("own_posts.later", account=account_id, why=str(problem))

    async def ready(self, account_id: str) -> None:
        """Make sure that the account's posts from elsewhere are known.

        Raises:
            Parked: X cannot be asked now.
            StateError: The store cannot be used, or the lease is gone.
        """
        if account_id in self._has_some:
            return
        async with self._lock.take([account_id]):
            if account_id not in self._has_some:
                again_at = self._again_at.get(account_id)
                if again_at is not None and self._clock.now() < again_at:
                    raise Parked("timeline", until=again_at)
                await self._look(account_id)

    async def found(self, step: Step) -> StoredWrite | None:
        """Return the step's write, confirmed by a post that X shows; None if there is none.

        Raises:
            AlreadyReplied: There may be one that X does not show any more.
        """
        if step.run:
            return None
        found = await self._adopted(step) if self._has_some.get(step.account_id) else None
        if found is None and step.account_id in self._lacks_some:
            await self._refuse_what_may_be_there(step)
        return found

    async def _adopted(self, step: Step) -> StoredWrite | None:
        write = step.to_write()
        for post in await self._store.own_posts.to(step.account_id, step.target):
            if not step.target and not _has_text_of(step, write, post):
                continue
            if await self._store.writes.owner_of(step.account_id, post.post_id) is None:
                _log.info("write.found", write=step.id, result=post.post_id)
                return await self._store.own_posts.adopt(
                    write, post, now=self._clock.now(), fence=self._fence()
                )
        return None

    async def _refuse_what_may_be_there(self, step: Step) -> None:
        for gap in await self._gaps(step.account_id):
            if step.happened_at is None or gap.until is None or step.happened_at > gap.until:
                continue
            what = f"Post {step.target} may have" if step.target else "This may have"
            raise AlreadyReplied(
                f"{what} been answered or posted by {rfc3339(gap.until)}: this store is older, and"
                " X does not show the account's posts of that time any more.",
                hint="Look on X. `botkit events retry` answers it now; `botkit events gaps"
                f" --close {gap.id}` lets the bot answer all that is from that time.",
            )

    async def _gaps(self, account_id: str) -> list[GapRow]:
        rows = await self._store.progress.gaps(state="open", limit=_MOST_GAPS)
        return [gap for gap in rows if (gap.source, gap.account_id) == (_SOURCE, account_id)]

    def wrote(self, account_id: str, target: str, post_id: str) -> None:
        """Look for a rival a little later, because the account has just written this post."""
        doubt = self._doubts.setdefault(account_id, _Doubt())
        doubt.target, doubt.post_id = target, post_id
        now_s = self._clock.monotonic()
        every_s = _LOOK_EVERY_S if doubt.is_first else _SHOWN_AFTER_S
        if doubt.looked_s is not None and now_s - doubt.looked_s < every_s:
            return
        doubt.looked_s = now_s
        self._due.put_nowait((now_s + _SHOWN_AFTER_S, account_id))

    async def _look(self, account_id: str) -> None:
        """Read the account's posts newer than those on record; keep those written elsewhere."""
        newest = await self._store.own_posts.newest(account_id)
        heard = await self._store.progress.checkpoint("mentions", account_id)
        if newest or heard is not None:
            read_to = heard.read_to if heard is not None else None
            back_to = _ONE_PAGE if read_to is None else read_to - _UNEVEN
            strange, reaches_to = await self._strange(account_id, newest, back_to=back_to)
            if reaches_to is not None:
                await self._open_gap(account_id, newest, reaches_to)
            if strange:
                await self._keep(account_id, strange)
        if await self._gaps(account_id):
            self._lacks_some.add(account_id)
        self._has_some[account_id] = await self._store.own_posts.count(account_id) > 0

    async def _open_gap(self, account_id: str, newest: str, reaches_to: datetime) -> None:
        """Record that the account's posts up to that time are not known."""
        since = min(snowflake_time(newest) or reaches_to, reaches_to)
        known = {(gap.since, gap.until) for gap in await self._gaps(account_id)}
        if (since, reaches_to) not in known:
            await self._store.progress.open_gap(
                GapRow(
                    source=_SOURCE,
                    account_id=account_id,
                    since=since,
                    until=reaches_to,
                    cause="reach",
                    tried=_SOURCE,
                    reason="X shows an account's newest 3,200 posts: what is from before that is"
                    " not answered, because it may have been",
                )
            )

    async def _strange(
        self, account_id: str, since_id: str, *, back_to: datetime | None = None
    ) -> tuple[list[Post], datetime | None]:
        """Return the account's posts after `since_id` that no write of this store can have made.

        Return also the time of the oldest one that X shows if there may be older ones.

        Raises:
            Parked: X cannot be asked now.
        """
        posts: list[Post] = []
        try:
            await read_own_posts(
                self._sender,
                account_id,
                posts,
                since_id=since_id or None,
                back_to=None if since_id else back_to,
            )
        except (Parked, TransportError, ServerError, RateLimited) as problem:
            until = self._clock.now() + timedelta(seconds=_AGAIN_S)
            self._again_at[account_id] = until
            raise Parked("timeline", until=until) from problem
        except StateError:
            raise
        except BotkitError as refused:
            _log.warning("own_posts.not_read", account=account_id, why=str(refused))
            return [], None
        unsettled = await unsettled_writes(self._store, account_id)
        strange = [
            post
            for post in posts
            if post.reposted_post_id is None
            and not any(policy.shows_write(write, post) for write in unsettled)
            and await self._store.writes.owner_of(account_id, post.id) is None
        ]
        return strange, reach_of(posts)

    async def _keep(self, account_id: str, strange: list[Post]) -> None:
        now = self._clock.now()
        await self._store.own_posts.keep(
            [
                OwnPost(
                    account_id=account_id,
                    post_id=post.id,
                    target=post.in_reply_to_post_id or "",
                    body=msgspec.json.encode(post),
                    at=post.created_at or now,
                )
                for post in strange
            ],
            fence=self._fence(),
        )
        _log.warning("store.behind", account=account_id, posts=len(strange))
        posts = counted(len(strange), "newer post")
        await self._say(
            account_id,
            "behind",
            f"X shows {posts} of the account that this store does not have: it is an older copy "
            "(a restored backup), or somebody else posts there too. What was answered there is "
            "not answered again.",
        )

    async def _look_for_rival(self, account_id: str) -> None:
        """Look for an answer from elsewhere to a post that was answered here.

        Raises:
            LeaseLost: There is one, and its writer started earlier.
        """
        doubt = self._doubts[account_id]
        strange, _ = await self._strange(account_id, doubt.since_id)
        for post in strange:
            target = post.in_reply_to_post_id
            ours = await self._store.own_posts.answers(account_id, target) if target else []
            if not ours:
                continue
            what = f"post {post.id} answers {target} as post {ours[0]} does"
            is_later = int(post.id) < int(ours[0])
            doubt.rivals += 1
            if not doubt.is_first and (is_later or doubt.rivals > 1):
                raise LeaseLost(
                    f"A copy of this store runs elsewhere for the same account: {what}. This one "
                    "started later, and stops.",
                    hint="Run one of them only; each has a login of its own to lose.",
                )
            _log.error("store.copied", account=account_id, what=what)
            await self._say(
                account_id, "copied", f"A copy of this store runs elsewhere: {what}. Stop it."
            )
            return
        doubt.is_first = True

    async def _say(self, account_id: str, state: str, detail: str) -> None:
        if self._report is not None:
            account = await self._store.accounts.get(account_id)
            name = account_id if account is None else account.username
            self._report(f"store_copy/{name}", state, detail)


def _has_text_of(step: Step, write: NewWrite, kept: OwnPost) -> bool:
    """Return True if a post that answers nobody is not older than the step's event, and alike."""
    shown = msgspec.json.decode(kept.body, type=Post)
    return step.may_have_made(kept) and policy.shows_write(write, shown)
