"""The simulated world: users, posts, conversations, direct messages and follows.

It records what happens and tells its listeners. `sandbox.x` decides what an app may see or do.
Ids have the form of X's snowflakes and are made from the clock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from botkit.sandbox.world.entities import LinkEntity, NameEntity, read_text
from botkit.sandbox.world.grants import Grants
from botkit.sandbox.world.oauth1_tokens import OAuth1Tokens
from botkit.sandbox.world.rules import WorldRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from botkit.ports.io import Clock, Entropy

__all__ = [
    "Happening",
    "MessageRecord",
    "PostRecord",
    "UnknownThingError",
    "UserRecord",
    "World",
]

_SNOWFLAKE_EPOCH_MS = 1288834974657


class UnknownThingError(LookupError):
    """This world has no such user, post or app."""


@dataclass(slots=True, eq=False)
class UserRecord:
    """A user. `automated` is the automated-account label."""

    id: str
    username: str
    name: str
    created_at: datetime
    description: str = ""
    automated: bool = False
    protected: bool = False
    suspended: bool = False
    following: set[str] = field(default_factory=set[str])


@dataclass(slots=True, eq=False)
class PostRecord:
    """Hold a post. `written` is the author's text, `text` is X's version of it.

    Timelines and searches show the post from `shown_at` on.
    """

    id: str
    author_id: str
    written: str
    text: str
    display_start: int
    created_at: datetime
    shown_at: datetime
    conversation_id: str
    names: tuple[NameEntity, ...] = ()
    links: tuple[LinkEntity, ...] = ()
    reply_to_id: str | None = None
    reply_to_user_id: str | None = None
    quoted_id: str | None = None
    quoted_user_id: str | None = None
    reply_settings: str = "everyone"
    paid_partnership: bool = False
    app_id: str | None = None
    deleted: bool = False

    def mentions(self, user_id: str, *, explicit: bool = False) -> bool:
        """Return True if the post names the user.

        `explicit` ignores the names with which a reply starts.
        """
        least = self.display_start if explicit else 0
        return any(name.user_id == user_id and name.start >= least for name in self.names)


@dataclass(slots=True, eq=False)
class MessageRecord:
    """A direct message between two users."""

    id: str
    conversation_id: str
    sender_id: str
    recipient_id: str
    text: str
    created_at: datetime
    deleted_for: set[str] = field(default_factory=set[str])


class Happening(Struct, frozen=True, kw_only=True):
    """An action of a user: `post`, `delete`, `message`, `follow`, `unfollow` or `revoke`."""

    kind: str
    post: PostRecord | None = None
    message: MessageRecord | None = None
    actor_id: str = ""
    target_id: str = ""
    app_id: str = ""


class World:
    """Everything on this simulated X. It belongs to one event loop, and no method waits."""

    def __init__(self, clock: Clock, entropy: Entropy, *, rules: WorldRules | None = None) -> None:
        self.clock = clock
        self.entropy = entropy
        self.rules: WorldRules = rules or WorldRules()
        self.users: dict[str, UserRecord] = {}
        self.posts: dict[str, PostRecord] = {}
        self.messages: dict[str, MessageRecord] = {}
        self.listeners: list[Callable[[Happening], None]] = []
        self.logged_in: str | None = None
        self._usernames: dict[str, str] = {}
        self._posts_by: dict[str, list[PostRecord]] = {}
        self._naming: dict[str, list[PostRecord]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._last_id = 0
        self.grants: Grants = Grants(clock, entropy, rules=self.rules, next_id=self.next_id)
        self.clock_off: timedelta = timedelta(0)
        self.late_ids: timedelta = timedelta(0)
        self.oauth1_tokens: OAuth1Tokens = OAuth1Tokens(self.time_on_x, entropy)

    def time_on_x(self) -> datetime:
        """The time on X's clock: the world's time plus the planned offset."""
        return self.clock.now() + self.clock_off

    def next_id(self) -> str:
        """Return a new id, greater than all earlier ones."""
        elapsed = self.clock.now() - datetime.fromtimestamp(0, UTC)
        stamp = elapsed // timedelta(milliseconds=1) - _SNOWFLAKE_EPOCH_MS
        self._last_id = max(self._last_id + 1, stamp << 22)
        return str(self._last_id)

    def add_user(
        self, username: str, *, name: str | None = None, automated: bool = False
    ) -> UserRecord:
        """Add and return a user; return the existing one if the name is taken."""
        known = self.find_user(username)
        if known is not None:
            return known
        user = UserRecord(
            id=self.next_id(),
            username=username,
            name=name if name is not None else username.capitalize(),
            created_at=self.clock.now(),
            automated=automated,
        )
        self.users[user.id] = user
        self._usernames[username.lower()] = user.id
        return user

    def find_user(self, user: str) -> UserRecord | None:
        """Return the user of this id or username (with or without the @, in any case), or None."""
        by_name = self._usernames.get(user.removeprefix("@").lower())
        return self.users.get(by_name or user)

    def user(self, user: str) -> UserRecord:
        """Return the user as `find_user` does. Raise `UnknownThingError` if there is none."""
        found = self.find_user(user)
        if found is None:
            raise UnknownThingError(f"there is no user {user!r}")
        return found

    def post(self, post_id: str) -> PostRecord:
        """Return a post that is not deleted. Raise `UnknownThingError` if there is none."""
        found = self.posts.get(post_id)
        if found is None or found.deleted:
            raise UnknownThingError(f"there is no post {post_id!r}")
        return found

    def add_post(
        self,
        author_id: str,
        written: str,
        *,
        reply_to: str | None = None,
        quoting: str | None = None,
        leave_out: Sequence[str] = (),
        app_id: str | None = None,
    ) -> PostRecord:
        """Publish and return a post of the author, and tell the listeners.

        `leave_out` are the ids of users whose names are left out at the start of the reply.
        """
        parent = self.post(reply_to) if reply_to else None
        quoted = self.post(quoting) if quoting else None
        answered = self._answered(author_id, parent, leave_out) if parent else []
        reading = read_text(written, answered=answered, find_user=self._naming_of)
        post_id = self.next_id()
        post = PostRecord(
            id=post_id,
            author_id=self.users[author_id].id,
            written=written,
            text=reading.text,
            display_start=reading.display_start,
            created_at=self.clock.now(),
            shown_at=self.clock.now() + self.late_ids,
            conversation_id=parent.conversation_id if parent else post_id,
            names=reading.names,
            links=reading.links,
            reply_to_id=parent.id if parent else None,
            reply_to_user_id=parent.author_id if parent else None,
            quoted_id=quoted.id if quoted else None,
            quoted_user_id=quoted.author_id if quoted else None,
            app_id=app_id,
        )
        self._file(post)
        self.tell(Happening(kind="post", post=post, actor_id=author_id))
        return post

    def delete_post(self, post_id: str) -> None:
        """Delete a post as its author. Raise `UnknownThingError` if there is none."""
        post = self.post(post_id)
        post.deleted = True
        self._count(post, -1)
        self.tell(Happening(kind="delete", post=post, actor_id=post.author_id))

    def add_message(self, sender_id: str, recipient_id: str, text: str) -> MessageRecord:
        """Send and return a direct message, and tell the listeners."""
        pair = sorted((sender_id, recipient_id), key=int)
        message = MessageRecord(
            id=self.next_id(),
            conversation_id="-".join(pair),
            sender_id=sender_id,
            recipient_id=recipient_id,
            text=text,
            created_at=self.clock.now(),
        )
        self.messages[message.id] = message
        self.tell(Happening(kind="message", message=message, actor_id=sender_id))
        return message

    def follow(self, follower_id: str, followed_id: str, *, on: bool = True) -> None:
        """Let one user follow another, or stop following."""
        following = self.users[follower_id].following
        if on and followed_id not in following:
            following.add(followed_id)
            self._counts["followers", followed_id] += 1
        elif not on and followed_id in following:
            following.remove(followed_id)
            self._counts["followers", followed_id] -= 1
        kind = "follow" if on else "unfollow"
        self.tell(Happening(kind=kind, actor_id=follower_id, target_id=followed_id))

    def revoke(self, user_id: str, *, app_id: str | None = None) -> None:
        """Revoke the user's grants for one app, or for all apps."""
        ended: set[str] = set()
        for grant in self.grants.of_user(user_id):
            if app_id in {None, grant.app.id}:
                self.grants.end(grant)
                ended.add(grant.app.id)
        for pair in self.oauth1_tokens.of_user(user_id):
            if app_id in {None, pair.app.id}:
                self.oauth1_tokens.end(pair)
                ended.add(pair.app.id)
        for app in sorted(ended):
            self.tell(Happening(kind="revoke", actor_id=user_id, app_id=app))

    def posts_by(self, user_id: str) -> list[PostRecord]:
        """Return the user's posts that a timeline shows, oldest first."""
        return self._shown(self._posts_by.get(user_id, ()))

    def newest_by(self, user_id: str) -> Iterator[PostRecord]:
        """Return the user's posts that are not deleted, newest first."""
        return (post for post in reversed(self._posts_by.get(user_id, ())) if not post.deleted)

    def replies_to(self, user_id: str) -> list[PostRecord]:
        """Return others' replies to the user's posts that are not deleted, oldest first."""
        return [
            post
            for post in self.posts.values()
            if post.reply_to_user_id == user_id != post.author_id and not post.deleted
        ]

    def posts_naming(self, user_id: str) -> list[PostRecord]:
        """Return the user's mentions timeline: posts and replies of others, oldest first."""
        naming = self._shown(self._naming.get(user_id, ()))
        return [post for post in naming if post.author_id != user_id]

    def count(self, kind: Literal["replies", "quotes", "posts", "followers"], of: str) -> int:
        """Return the number of replies or quotes of a post, or of posts or followers of a user."""
        return self._counts[kind, of]

    def shown_posts(self) -> list[PostRecord]:
        """Return all posts that a search shows, oldest first."""
        return self._shown(self.posts.values())

    def time_of(self, an_id: str) -> datetime:
        """Return the time at which X made this id."""
        elapsed_ms = (int(an_id) >> 22) + _SNOWFLAKE_EPOCH_MS
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=elapsed_ms)

    def messages_of(
        self, user_id: str, *, conversation_id: str | None = None
    ) -> list[MessageRecord]:
        """Return the direct messages that the user can see, oldest first."""
        return [
            message
            for message in self.messages.values()
            if user_id in {message.sender_id, message.recipient_id}
            and user_id not in message.deleted_for
            and conversation_id in {None, message.conversation_id}
        ]

    def tell(self, happening: Happening) -> None:
        """Tell the listeners."""
        for listener in tuple(self.listeners):
            listener(happening)

    def _shown(self, posts: Iterable[PostRecord]) -> list[PostRecord]:
        now = self.clock.now()
        return [post for post in posts if not post.deleted and post.shown_at <= now]

    def _file(self, post: PostRecord) -> None:
        self.posts[post.id] = post
        self._posts_by.setdefault(post.author_id, []).append(post)
        self._count(post, 1)
        for user_id in dict.fromkeys(name.user_id for name in post.names):
            self._naming.setdefault(user_id, []).append(post)

    def _count(self, post: PostRecord, change: int) -> None:
        self._counts["posts", post.author_id] += change
        self._counts["replies", post.reply_to_id or ""] += change
        self._counts["quotes", post.quoted_id or ""] += change

    def _naming_of(self, username: str) -> tuple[str, str] | None:
        user = self.find_user(username) if not username.isdigit() else None
        return (user.id, user.username) if user else None

    def _answered(self, author_id: str, parent: PostRecord, leave_out: Iterable[str]) -> list[str]:
        """Return the names with which a reply starts: the post's author, then those it names."""
        skipped = {author_id, *leave_out}
        ids = dict.fromkeys([parent.author_id, *(name.user_id for name in parent.names)])
        return [self.users[user_id].username for user_id in ids if user_id not in skipped]
