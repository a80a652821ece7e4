"""Keeps activity subscriptions: lists, compares and creates them, removes stale own ones.

Private events are subscribed with the account's own login, listed and removed with the bearer of
the same app. Source: X API docs, "X Activity API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from botkit.errors import BadRequest, BotkitError, ConfigError, Forbidden, ResponseError
from botkit.protocol.api import objects, push_requests
from botkit.protocol.api.pagination import PageTrail
from botkit.protocol.events.typed_activity import PUBLIC_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.model.users import Account
    from botkit.ports import Sender
    from botkit.protocol.api.objects import Subscription

__all__ = [
    "MESSAGE_KINDS",
    "POST_KINDS",
    "REPOST_KINDS",
    "Prepared",
    "Refusal",
    "Subscriptions",
]

_log = structlog.get_logger(__name__)

POST_KINDS = ("post.mention.create", "post.reply.create", "post.quote.create")
REPOST_KINDS = ("post.repost.create",)
MESSAGE_KINDS = ("dm.received",)
_REVOKE = "oauth.revoke"
_CONFLICT = 409
_MOST = 1500
"""The most subscriptions of a self-serve app. Source: X API docs, "X Activity API"."""
_FULL_STEP = (
    "remove subscriptions that other programs made with this app (DELETE"
    " /2/activity/subscriptions), or authorize some accounts with another app"
)
_TAKEN_STEP = "end the program that made the subscription, or remove it at X"


class Refusal(Struct, frozen=True, kw_only=True):
    """A kind of event that does not come, and why.

    Attributes:
        next_step: What a person has to do; "" if `botkit doctor` says it.
    """

    kind: str
    why: str
    next_step: str = ""


class Prepared(Struct, frozen=True, kw_only=True):
    """The kinds of events that come, and those that do not."""

    live: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()


class Subscriptions:
    """Keeps the subscriptions of one app's accounts as wanted.

    Args:
        prefix: Starts the tags of botkit's own subscriptions; no other is ever changed.

    Attributes:
        webhook_id: The webhook that has the events; None if only the stream has them.
    """

    def __init__(self, sender: Sender, *, prefix: str) -> None:
        self._sender = sender
        self._prefix = prefix
        self.webhook_id: str | None = None

    async def prepare(self, account: Account, kinds: Iterable[str]) -> Prepared:
        """Create the account's missing subscriptions, and remove and move stale ones.

        Raises:
            ConfigError: The bearer belongs to another app than the account's login.
            ResponseError: Listing was refused.
        """
        wanted = list(kinds)
        there = await self._listing(account)
        there = await self._move(account, there)
        have = {s.event_type for s in there if s.user_id == account.id and self._delivers(s)}
        refused: list[Refusal] = []
        created: list[str] = []
        for kind in wanted:
            if kind in have:
                continue
            refusal = await self._create(account, kind, taken=len(there) + len(created))
            if refusal is not None:
                refused.append(refusal)
            else:
                created.append(kind)
        if created:
            await self._prove(account, created)
        await self._remove_stale(account, there, wanted)
        await self._watch_revocations(account, there)
        refusals = {refusal.kind for refusal in refused}
        live = tuple(kind for kind in wanted if kind not in refusals)
        return Prepared(live=live, refused=tuple(refused))

    async def _create(self, account: Account, kind: str, *, taken: int) -> Refusal | None:
        """Create one beside `taken` others; return why it was refused, None if it was not."""
        tag = f"{self._prefix}{kind}"
        try:
            await self._sender.send(
                push_requests.create_subscription(
                    kind,
                    user_id=account.id,
                    tag=tag,
                    as_app=kind in PUBLIC_KINDS,
                    webhook_id=self.webhook_id,
                ),
                account_id=account.id,
            )
        except (Forbidden, BadRequest) as error:
            if isinstance(error, BadRequest) and taken < _MOST:
                raise
            refusal = await self._refusal(account, kind, error, taken=taken)
            _log.warning("subscription.refused", account=account.id, kind=kind, why=refusal.why)
            return refusal
        except ResponseError as error:
            if error.status != _CONFLICT:
                raise
            if self.webhook_id is not None:
                why = f"X has {kind} for another program, which gives it to no webhook of ours"
                return Refusal(kind=kind, why=why, next_step=_TAKEN_STEP)
            # Somebody else of ours (setup, a bot that runs) was faster; it is proven by listing.
        _log.info("subscription.created", account=account.id, kind=kind)
        return None

    async def _refusal(
        self, account: Account, kind: str, error: ResponseError, *, taken: int
    ) -> Refusal:
        said = error.detail or error.title
        if taken >= _MOST:
            why = f"X refused {kind}, because the app has {taken} subscriptions: {said}"
            return Refusal(kind=kind, why=why, next_step=_FULL_STEP)
        held = await self._sender.kinds(account.id)
        scopes = " ".join(sorted({scope for have in held.values() for scope in have}))
        return Refusal(kind=kind, why=f"X refused {kind} (granted: {scopes}): {said}")

    def _delivers(self, subscription: Subscription) -> bool:
        """Return True if its events come to where this bot listens."""
        return self.webhook_id is None or subscription.webhook_id == self.webhook_id

    async def _move(self, account: Account, there: Iterable[Subscription]) -> list[Subscription]:
        """Let the webhook have the events of own subscriptions that were made without it."""
        moved: list[Subscription] = []
        for each in there:
            is_own = each.user_id in {account.id, None} and each.tag.startswith(self._prefix)
            if self.webhook_id is not None and is_own and not self._delivers(each):
                request = push_requests.move_subscription(each.id, webhook_id=self.webhook_id)
                await self._sender.send(request, account_id=account.id)
                _log.info("subscription.moved", account=account.id, kind=each.event_type)
                moved.append(replace(each, webhook_id=self.webhook_id))
            else:
                moved.append(each)
        return moved

    async def _prove(self, account: Account, created: Iterable[str]) -> None:
        """Raise `ConfigError` unless the bearer sees what the account's login has created."""
        seen = {s.event_type for s in await self._listing(account) if s.user_id == account.id}
        hidden = [kind for kind in created if kind not in seen]
        if hidden:
            raise ConfigError(
                f"The bearer token belongs to another app than the client id of app"
                f" {account.app!r}: it does not see the subscription {hidden[0]}.",
                hint="Take the bearer token from the same app's Keys and tokens page.",
            )

    async def _remove_stale(
        self, account: Account, there: Iterable[Subscription], wanted: Iterable[str]
    ) -> None:
        keep = set(wanted)
        stale = [
            s.id
            for s in there
            if s.user_id == account.id
            and s.tag.startswith(self._prefix)
            and s.event_type not in keep
            and s.event_type != _REVOKE
        ]
        if stale:
            await self._sender.send(
                push_requests.delete_subscriptions(stale), account_id=account.id
            )
            _log.info("subscription.removed_as_stale", account=account.id, count=len(stale))

    async def _watch_revocations(self, account: Account, there: Iterable[Subscription]) -> None:
        """Subscribe to `oauth.revoke` too; a refusal means that X does not offer it here."""
        if any(s.event_type == _REVOKE and self._delivers(s) for s in there):
            return
        request = push_requests.create_subscription(
            _REVOKE,
            user_id=None,
            tag=f"{self._prefix}{_REVOKE}",
            as_app=True,
            webhook_id=self.webhook_id,
        )
        try:
            await self._sender.send(request, account_id=account.id)
        except BotkitError as error:
            _log.info(
                "subscription.not_offered", kind="oauth.revoke", account=account.id, why=str(error)
            )

    async def _listing(self, account: Account) -> list[Subscription]:
        found: list[Subscription] = []
        request = push_requests.list_subscriptions()
        trail = PageTrail(request.name)
        while True:
            response = await self._sender.send(request, account_id=account.id)
            found.extend(objects.read_subscriptions(response))
            token = trail.next_token(response)
            if token is None:
                return found
            request = push_requests.list_subscriptions(pagination_token=token)
