"""The simulated world: users, posts, messages, likes, follows, lists and webhooks.

It records what happens and tells its listeners. `sandbox.x` decides what an app may see or do.
Ids have the form of X's snowflakes and are made from the clock.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from botkit.sandbox.world.entities import LinkEntity, NameEntity, TagEntity, read_text, reposted
from botkit.sandbox.world.grants import Grants
from botkit.sandbox.world.lists import Lists
from botkit.sandbox.world.oauth1_tokens import OAuth1Tokens
from botkit.sandbox.world.rules import WorldRules
from botkit.sandbox.world.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from botkit.ports.io import Clock, Entropy

__all__ = [
    "MEDIA_KINDS",
    "Happening",
    "MessageRecord",
    "PostRecord",
    "UnknownThingError",
    "UserRecord",
    "World",
]

MEDIA_KINDS = frozenset({"photo", "animated_gif", "video"})
"""The kinds of media of a post. Source: X API docs, "Data dictionary"."""
_SNOWFLAKE_EPOCH_MS = 1288834974657
_USERNAME = re.compile(r"\w+", re.ASCII)


class UnknownThingError(LookupError):
    """This world has no such user, post or app."""


@dataclass(slots=True, eq=False)
class UserRecord:
    """A user. `automated` is the automated-account label.

    `following`, `followers` (ids of users) and `liked` (ids of posts) are in the order in which
    they were added.
    """

    id: str
    username: str
    name: str
    created_at: datetime
    description: str = ""
    automated: bool = False
    protected: bool = False
    suspended: bool = False
    verified: bool = False
    following: dict[str, None] = field(default_factory=dict[str, None])
    followers: dict[str, None] = field(default_factory=dict[str, None])
    liked: dict[str, None] = field(default_factory=dict[str, None])


@dataclass(slots=True, eq=False)
class PostRecord:
    """Hold a post. `written` is the author's text, `text` is X's version of it.

    Timelines and searches show the post from `shown_at` on. `media` are the kinds of its pictures
    and films: `photo`, `animated_gif` or `video`. A repost has the `reposted_id` of the post that
    it shows to others. `likes` are the users who like the post, in the order of their likes.
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
    hashtags: tuple[TagEntity, ...] = ()
    cashtags: tuple[TagEntity, ...] = ()
    lang: str = "en"
    media: tuple[str, ...] = ()
    reply_to_id: str | None = None
    reply_to_user_id: str | None = None
    quoted_id: str | None = None
    quoted_user_id: str | None = None
    reposted_id: str | None = None
    reposted_user_id: str | None = None
    likes: dict[str, None] = field(default_factory=dict[str, None])
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
    """Tell what a user did.

    The kinds are `post` (a repost, too), `delete`, `like`, `message`, `follow`, `unfollow` and
    `revoke`.
    """

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
        self._reposts: dict[str, dict[str, PostRecord]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._last_id = 0
        self.grants: Grants = Grants(clock, entropy, rules=self.rules, next_id=self.next_id)
        self.clock_off: timedelta = timedelta(0)
        self.late_ids: timedelta = timedelta(0)
        self.oauth1_tokens: OAuth1Tokens = OAuth1Tokens(self.time_on_x, entropy)
        self.lists: Lists = Lists(clock, self.next_id)
        self.webhooks: Webhooks = Webhooks(self.time_on_x, self.next_id)

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
        """Add and return a user; return the existing one if the name is taken.

        Raises:
            ValueError: X has no such usernames.
        """
        known = self.find_user(username)
        if known is not None:
            return known
        if not _USERNAME.fullmatch(username):
            raise ValueError(
                f"{username!r} is no username of X, which has letters, digits and _: "
                "Bot(name) is one in the sandbox, or running(bot, account=...)"
            )
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
        lang: str = "en",
        media: Sequence[str] = (),
        app_id: str | None = None,
    ) -> PostRecord:
        """Publish and return a post of the author, and tell the listeners.

        `leave_out` are the ids of users whose names are left out at the start of the reply.

        Raises:
            UnknownThingError: There is no post to reply to, or to quote.
            ValueError: `media` has an unknown kind.
        """
        if unknown := set(media) - MEDIA_KINDS:
            raise ValueError(f"no such media: {unknown}; there are {sorted(MEDIA_KINDS)}")
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
            hashtags=reading.hashtags,
            cashtags=reading.cashtags,
            lang=lang,
            media=tuple(media),
            reply_to_id=parent.id if parent else None,
            reply_to_user_id=parent.author_id if parent else None,
            quoted_id=quoted.id if quoted else None,
            quoted_user_id=quoted.author_id if quoted else None,
            app_id=app_id,
        )
        self._file(post)
        self.tell(Happening(kind="post", post=post, actor_id=author_id))
        return post

    def repost(self, user_id: str, post_id: str, *, app_id: str | None = None) -> PostRecord:
        """Repost a post and return the repost; one that is there already is returned as it is.

        A repost of a repost shows the original post.
        """
        post = self.post(post_id)
        original = self.post(post.reposted_id) if post.reposted_id else post
        made = self.reposts_of(original.id).get(user_id)
        if made is not None:
            return made
        author = self.users[original.author_id]
        parts = reposted(original.text, author.username, author.id, original.names, original.links)
        repost_id = self.next_id()
        repost = PostRecord(
            id=repost_id,
            author_id=self.users[user_id].id,
            written=parts.text,
            text=parts.text,
            display_start=0,
            created_at=self.clock.now(),
            shown_at=self.clock.now() + self.late_ids,
            conversation_id=repost_id,
            names=parts.names,
            links=parts.links,
            hashtags=parts.hashtags,
            cashtags=parts.cashtags,
            lang=original.lang,
            media=original.media,
            reposted_id=original.id,
            reposted_user_id=original.author_id,
            app_id=app_id,
        )
        self._reposts.setdefault(original.id, {})[user_id] = repost
        self._file(repost)
        self.tell(Happening(kind="post", post=repost, actor_id=user_id))
        return repost

    def reposts_of(self, post_id: str) -> dict[str, PostRecord]:
        """Return the reposts of a post by their authors' ids, oldest first."""
        reposts = self._reposts.get(post_id, {})
        return {user_id: post for user_id, post in reposts.items() if not post.deleted}

    def delete_post(self, post_id: str) -> None:
        """Delete a post as its author. Raise `UnknownThingError` if there is none.

        Its reposts go with it, and nobody is told of them.
        """
        post = self.post(post_id)
        for gone in (post, *self.reposts_of(post.id).values()):
            gone.deleted = True
            self._count(gone, -1)
        if post.reposted_id:
            self._reposts[post.reposted_id].pop(post.author_id, None)
        self.tell(Happening(kind="delete", post=post, actor_id=post.author_id))

    def like(self, user_id: str, post_id: str, *, on: bool = True) -> None:
        """Let a user like a post, or take the like back. X tells of likes only."""
        post, user = self.post(post_id), self.users[user_id]
        if not on:
            post.likes.pop(user_id, None)
            user.liked.pop(post.id, None)
        elif user_id not in post.likes:
            post.likes[user_id] = user.liked[post.id] = None
            self.tell(Happening(kind="like", post=post, actor_id=user_id))

    def liked_by(self, user_id: str) -> list[PostRecord]:
        """Return the posts that a user likes and that are not deleted, oldest like first."""
        liked = (self.posts[post_id] for post_id in self.users[user_id].liked)
        return [post for post in liked if not post.deleted]

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
        follower, followed = self.users[follower_id], self.users[followed_id]
        if on == (followed_id in follower.following):
            return
        if on:
            follower.following[followed_id] = followed.followers[follower_id] = None
        else:
            del follower.following[followed_id], followed.followers[follower_id]
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

    def home_of(self, user_id: str) -> list[PostRecord]:
        """Return the posts of a user and of those whom the user follows, oldest first."""
        authors = {user_id, *self.users[user_id].following}
        return [post for post in self.shown_posts() if post.author_id in authors]

    def count(self, kind: Literal["replies", "quotes", "reposts", "posts"], of: str) -> int:
        """Return the number of replies, quotes or reposts of a post, or of posts of a user."""
        return self._counts[kind, of]

    def shown_posts(self) -> list[PostRecord]:
        """Return all posts that a search shows, oldest first."""
        return self._shown(self.posts.values())

    def time_of(self, an_id: str) -> datetime:
        """Return the time at which X made this id."""
        elapsed_ms = (int(an_id) >> 22) + _SNOWFLAKE_EPOCH_MS
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=elapsed_ms)

    def id_at(self, at: datetime) -> str:
        """Return the least id that X makes at a time."""
        elapsed = at - datetime.fromtimestamp(0, UTC)
        return str((elapsed // timedelta(milliseconds=1) - _SNOWFLAKE_EPOCH_MS) << 22)

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
        # A repost names its post's author only by the way: no mention. Source: X API docs, "X
        # Activity API" (`post.mention.create`); for the timeline this is assumed.
        names = () if post.reposted_id else post.names
        for user_id in dict.fromkeys(name.user_id for name in names):
            self._naming.setdefault(user_id, []).append(post)

    def _count(self, post: PostRecord, change: int) -> None:
        self._counts["posts", post.author_id] += change
        self._counts["replies", post.reply_to_id or ""] += change
        self._counts["quotes", post.quoted_id or ""] += change
        self._counts["reposts", post.reposted_id or ""] += change

    def _naming_of(self, username: str) -> tuple[str, str] | None:
        user = self.find_user(username) if not username.isdigit() else None
        return (user.id, user.username) if user else None

    def _answered(self, author_id: str, parent: PostRecord, leave_out: Iterable[str]) -> list[str]:
        """Return the names with which a reply starts: the post's author, then those it names."""
        skipped = {author_id, *leave_out}
        ids = dict.fromkeys([parent.author_id, *(name.user_id for name in parent.names)])
        return [self.users[user_id].username for user_id in ids if user_id not in skipped]
