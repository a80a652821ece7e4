"""Users of the simulated X, moved by a test or by a person at a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from botkit.sandbox.world.lists import ListRecord
    from botkit.sandbox.world.world import MessageRecord, PostRecord, UserRecord, World

__all__ = ["Actor"]

T = TypeVar("T")


class Actor:
    """A user of the simulated X who acts.

    Each verb returns as soon as all running bots are idle again; virtual time does not move.
    """

    def __init__(
        self, world: World, user: UserRecord, at_rest: Callable[[], Awaitable[None]]
    ) -> None:
        self._world = world
        self._user = user
        self._at_rest = at_rest

    @property
    def id(self) -> str:
        """The user's id."""
        return self._user.id

    @property
    def username(self) -> str:
        """The user's name, without the @."""
        return self._user.username

    async def posts(self, text: str, *, lang: str = "en", media: Sequence[str] = ()) -> PostRecord:
        """Publish a post and return it.

        `lang` is the language that X finds in it; `media` are the kinds of its pictures and films:
        `photo`, `animated_gif` or `video`.
        """
        return await self._done(self._world.add_post(self.id, text, lang=lang, media=media))

    async def replies(self, to: PostRecord | str, text: str) -> PostRecord:
        """Reply to a post and return the reply."""
        return await self._done(self._world.add_post(self.id, text, reply_to=_id(to)))

    async def answers(self, text: str) -> PostRecord:
        """Reply to the last reply that the user got from another user, to continue the thread.

        Raises:
            LookupError: The user has got no reply.
        """
        found = self._world.replies_to(self.id)
        if not found:
            raise LookupError(f"Nobody has replied to @{self.username} yet.")
        return await self.replies(found[-1], text)

    async def quotes(self, post: PostRecord | str, text: str) -> PostRecord:
        """Quote a post and return the quote."""
        return await self._done(self._world.add_post(self.id, text, quoting=_id(post)))

    async def reposts(self, post: PostRecord | str) -> PostRecord:
        """Repost a post and return the repost; `deletes` takes it back."""
        return await self._done(self._world.repost(self.id, _id(post)))

    async def likes(self, post: PostRecord | str, *, on: bool = True) -> None:
        """Like a post, or take the like back."""
        self._world.like(self.id, _id(post), on=on)
        await self._at_rest()

    async def messages(self, to: Actor | str, text: str) -> MessageRecord:
        """Send a direct message."""
        other = to.id if isinstance(to, Actor) else self._world.user(to).id
        return await self._done(self._world.add_message(self.id, other, text))

    async def follows(self, other: Actor | str, *, on: bool = True) -> None:
        """Follow someone, or stop."""
        followed = other.id if isinstance(other, Actor) else self._world.user(other).id
        self._world.follow(self.id, followed, on=on)
        await self._at_rest()

    async def lists(self, name: str, *members: Actor | str, private: bool = False) -> ListRecord:
        """Make a list of users and return it."""
        made = self._world.lists.add(self.id, name, private=private)
        for one in members:
            user_id = one.id if isinstance(one, Actor) else self._world.user(one).id
            made.members[user_id] = None
        return await self._done(made)

    async def deletes(self, post: PostRecord | str) -> None:
        """Delete a post of the user's own."""
        self._world.delete_post(_id(post))
        await self._at_rest()

    async def revokes(self) -> None:
        """Revoke the user's grants, as on X's page of connected apps."""
        self._world.revoke(self.id)
        await self._at_rest()

    async def _done(self, result: T) -> T:
        await self._at_rest()
        return result


def _id(post: PostRecord | str) -> str:
    return post if isinstance(post, str) else post.id
