"""Look up posts and users on X; keep users for a day.

Source: docs/explanation/requirements.md, "Intake" (Complete); X API docs, "Posts lookup" and
"Users lookup".
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from botkit.errors import Forbidden, NotFound, ServerError, StateError, TransportError
from botkit.model.records import StoredUser
from botkit.model.users import User
from botkit.protocol.api import error_bodies, objects, requests
from botkit.protocol.api.raw_calls import raw_call
from botkit.protocol.rules import access, pricing
from botkit.waiting.backoff import JITTER, Ladder
from botkit.waiting.retry import retry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from botkit.model.posts import Post
    from botkit.ports import Clock, Entropy, Sender, Store
    from botkit.protocol.api.requests import Request
    from botkit.protocol.api.responses import Response

__all__ = ["AccountReader", "CachedReader"]

_KEPT = timedelta(hours=24)
_PAUSES = Ladder(steps_s=(0.5, 2.0), jitter=JITTER)


class CachedReader:
    """Read for all accounts; `for_account` returns the reader for handlers of one account.

    Args:
        allow: Awaited before each call, with the account id and the price of one resource; raises
            `Parked` if no more may be spent now.
        booked: Awaited before users are cached. It stores their cost first, because cached
            users are not read again.
    """

    def __init__(
        self,
        sender: Sender,
        store: Store,
        *,
        clock: Clock,
        entropy: Entropy,
        allow: Callable[[str, Decimal], Awaitable[None]],
        booked: Callable[[], Awaitable[None]],
    ) -> None:
        self._sender = sender
        self._users = store.accounts
        self._clock = clock
        self._entropy = entropy
        self._allow = allow
        self._booked = booked

    def for_account(self, account_id: str) -> AccountReader:
        """Return a `ports.Reader` that reads as that account."""
        return AccountReader(self, account_id)

    async def post(self, post_id: str, *, account_id: str) -> Post:
        """Return the post.

        Raises:
            NotFound: The post is gone, or the account cannot see it.
        """
        response = await self._ask(requests.get_post(post_id), account_id)
        wire = cast("dict[str, object] | None", response.data)
        if not isinstance(wire, dict):
            raise _not_found(f"post {post_id}", "GET /2/tweets/{id}")
        return objects.read_post(wire)

    async def user(self, user: str, *, account_id: str) -> User:
        """Return the user of this id (digits) or username, with or without the @.

        Raises:
            NotFound: There is no such user.
        """
        if user.isascii() and user.isdigit():
            found = await self.users([user], account_id=account_id)
            if user not in found:
                raise _not_found(f"user {user}", "GET /2/users")
            return found[user]
        name = user.removeprefix("@")
        users = await self._fetch(requests.get_users_by([name]), account_id)
        if not users:
            raise _not_found(f"user @{name}", "GET /2/users/by")
        return users[0]

    async def call(self, request: Request, *, account_id: str) -> dict[str, Any]:
        """Return the parts of the answer to any call that only reads."""
        answer = await self._ask(request, account_id)
        return {
            "data": answer.data,
            "includes": answer.includes,
            "meta": answer.meta,
            "errors": list(answer.errors),
        }

    async def users(self, ids: Sequence[str], *, account_id: str) -> dict[str, User]:
        """Return the users that exist, by id; fetch up to a hundred unknown ones in one call."""
        wanted = list(dict.fromkeys(ids))
        kept = await self._users.cached_users(wanted, since=self._clock.now() - _KEPT)
        found = {row.id: msgspec.json.decode(row.body, type=User) for row in kept}
        missing = [user_id for user_id in wanted if user_id not in found]
        for at in range(0, len(missing), requests.MOST_IDS):
            batch = missing[at : at + requests.MOST_IDS]
            for user in await self._fetch(requests.get_users(batch), account_id):
                found[user.id] = user
        return found

    async def learn(self, users: Iterable[User]) -> None:
        """Cache users that another answer contained."""
        now = self._clock.now()
        rows = [
            StoredUser(
                id=user.id,
                username=user.username,
                body=msgspec.json.encode(user),
                fetched_at=now,
            )
            for user in users
        ]
        if rows:
            await self._users.cache_users(rows)

    async def _fetch(self, request: Request, account_id: str) -> tuple[User, ...]:
        try:
            response = await self._ask(request, account_id)
        except NotFound:
            return ()
        users = objects.read_users(response)
        with suppress(StateError):  # the fetched users are paid for: use them even if not cached
            await self._booked()
            await self.learn(users)
        return users

    async def _ask(self, request: Request, account_id: str) -> Response:
        one = msgspec.structs.replace(request, resources=1)
        await self._allow(account_id, pricing.price_usd(one))
        try:
            # A read is safe to repeat. Source: docs/explanation/requirements.md, faults 4, 21.
            return await retry(
                lambda: self._sender.send(request, account_id=account_id),
                *(TransportError, ServerError),
                ladder=_PAUSES,
                clock=self._clock,
                entropy=self._entropy,
            )
        except Forbidden as hidden:
            if not error_bodies.is_about_resource(hidden):
                raise
            raise NotFound(
                hidden.message,
                request=hidden.request,
                status=hidden.status,
                title=hidden.title,
                detail=hidden.detail,
                problem_type=hidden.problem_type,
            ) from hidden


class AccountReader:
    """Read as one account: the `ports.Reader` that a handler gets."""

    def __init__(self, reader: CachedReader, account_id: str) -> None:
        self._reader = reader
        self._account_id = account_id

    async def post(self, post_id: str) -> Post:
        """Return the post. Raise `NotFound` if it is gone or not visible."""
        return await self._reader.post(post_id, account_id=self._account_id)

    async def user(self, user: str) -> User:
        """Return the user of this id (digits) or username. Raise `NotFound` if there is none."""
        _must_be_text(user)
        return await self._reader.user(user, account_id=self._account_id)

    async def call(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Call an operation that only reads. See `ports.Reader`."""
        fault = access.call_fault(operation)
        if fault:
            raise TypeError(f"reader.call({operation!r}): {fault}")
        request = raw_call(operation, path=path, query=query)
        if request.method != "GET":
            raise TypeError(f"reader.call({operation!r}) changes something: act.call does that.")
        return await self._reader.call(request, account_id=self._account_id)


def _must_be_text(user: object) -> None:
    if not isinstance(user, str):
        raise TypeError(f"reader.user(...) takes an id or a username, not {user!r}.")


def _not_found(what: str, request: str) -> NotFound:
    return NotFound(f"There is no {what} that this account can see.", request=request, status=404)
