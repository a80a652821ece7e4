"""Events as frozen values that hold no client.

They can be stored, compared, replayed, and built in a test. An event has the same key whichever
source delivers it, so that a second delivery is recognized as a duplicate.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from msgspec import Struct

from botkit.model.messages import Message
from botkit.model.posts import LEADING_NAMES, Post
from botkit.model.users import User

__all__ = [
    "AccountState",
    "ActivityEvent",
    "Authorized",
    "DirectMessage",
    "Event",
    "Gap",
    "GrantRevoked",
    "Mention",
    "OptOut",
    "PostEvent",
    "PostMatched",
    "PostSeen",
    "Quote",
    "Reply",
    "Repost",
    "Signal",
    "Tick",
    "UnknownEvent",
    "XEvent",
]


_AFTER_RT = len("RT ")


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """The base class of everything that a handler can be registered for."""


class XEvent(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Something that happened on X, for one account.

    Attributes:
        account_id: The account that this delivery is for.
        at: When it happened, by X's clock.
        source: Which source heard it first: `activity`, `mentions`, `sandbox`, ...
        missing: Names of the parts that the delivery did not contain, for instance `("author",)`.
        undecoded: Parts that could not be decoded: the raw values by name.
    """

    account_id: str
    at: datetime
    source: str = ""
    missing: tuple[str, ...] = ()
    undecoded: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """The event's identity, unique within the account and the same for every delivery."""
        raise TypeError(type(self).__name__)

    @property
    def lane(self) -> str:
        """The name of the queue in which events are handled one after another."""
        return self.key


class PostEvent(XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A post that reached the account: the base of Mention, Reply, Quote, Repost, PostSeen.

    `author` always has its id. Its username and name are "" while the event waits in the inbox
    for their look-up (`missing` says so); a handler always gets them filled in.
    """

    post: Post
    author: User
    quotes_me: bool = False
    mentions_me: bool = False
    """Whether the text itself @mentions the account (not only the names a reply starts with)."""

    @property
    def key(self) -> str:
        """`post/<post id>/<edit version>`."""
        return f"post/{self.post.id}/{self.post.edit_version}"

    @property
    def lane(self) -> str:
        """The post's conversation, or the post itself if it has none."""
        return f"conversation/{self.post.conversation_id or self.post.id}"

    @property
    def id(self) -> str:
        """The post's id."""
        return self.post.id

    @property
    def text(self) -> str:
        """The post's text as people read it, with the names it starts with."""
        return self.post.text

    @property
    def text_without_names(self) -> str:
        """The text without the @names at its start: what the author says, e.g. to a model."""
        names = LEADING_NAMES.match(self.post.text)
        return self.post.text[names.end() :] if names else self.post.text

    @property
    def conversation_id(self) -> str:
        """The id of the thread's first post."""
        return self.post.conversation_id or self.post.id

    @property
    def is_reply_to_me(self) -> bool:
        """Whether the post answers a post of the account."""
        return self.post.in_reply_to_user_id == self.account_id

    @property
    def is_summoned(self) -> bool:
        """Whether X lets an app reply: the author mentioned or quoted the account in this post.

        Source: X changelog 2026-02-23; a reply that only implies the mention counts as assumed.
        """
        return self.mentions_me or self.quotes_me


class Mention(PostEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="mention"):
    """Someone @mentioned the account in the text of a post."""


class Reply(PostEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="reply"):
    """Someone answered a post of the account without mentioning it in the text itself."""


class Quote(PostEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="quote"):
    """Someone quoted a post of the account."""


class Repost(PostEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="repost"):
    """Someone reposted a post: one of the account's (`reposts_me`), or one in a timeline.

    `post.text` is the other post's, cut by X after `RT @name: `, and `post.reposted_post_id` its
    id. Who is named in it was not named by `author`: a repost is no mention and no summons.
    """

    @property
    def reposts_me(self) -> bool:
        """Whether the reposted post is the account's."""
        return any(
            name.id == self.account_id and name.start == _AFTER_RT for name in self.post.mentions
        )


class PostSeen(
    PostEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="post_seen"
):
    """Any other post that reached the account, its own posts included."""


class PostMatched(
    PostEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="post_matched"
):
    """A post matched a rule of the filtered stream or a declared search.

    A match is an event of its own: a post that mentions the account and matches two rules is a
    `Mention` and two of these, whichever came first. The account's own posts do not reach the bot.

    Attributes:
        tag: The tag of the rule or search, as the bot declares it.
        rule: The rule or query.
    """

    tag: str
    rule: str = ""

    @property
    def key(self) -> str:
        """`match/<post id>/<edit version>/<tag>`."""
        return f"match/{self.post.id}/{self.post.edit_version}/{self.tag}"


class DirectMessage(
    XEvent,
    frozen=True,
    kw_only=True,
    gc=False,
    omit_defaults=True,
    tag="direct_message",
):
    """Someone sent the account a direct message (`sent_by_me` when the account itself did)."""

    message: Message
    sender: User

    @property
    def key(self) -> str:
        """`dm/<message id>`."""
        return f"dm/{self.message.id}"

    @property
    def lane(self) -> str:
        """The conversation."""
        return f"dm/{self.message.conversation_id}"

    @property
    def id(self) -> str:
        """The message's id."""
        return self.message.id

    @property
    def text(self) -> str:
        """The message's text."""
        return self.message.text

    @property
    def conversation_id(self) -> str:
        """The conversation's id."""
        return self.message.conversation_id

    @property
    def sent_by_me(self) -> bool:
        """Whether the account itself sent it."""
        return self.message.sender_id == self.account_id


class GrantRevoked(
    XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="grant_revoked"
):
    """A user revoked the app on X: that login is dead."""

    user_id: str
    app_id: str | None = None

    @property
    def key(self) -> str:
        """`revoke/<user>/<app>/<time>`."""
        return f"revoke/{self.user_id}/{self.app_id or ''}/{self.at.isoformat()}"


class ActivityEvent(XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The base class of the Activity API's events that are neither posts nor messages.

    Attributes:
        kind: X's name, for instance `profile.update.bio`.
        subject_id: The id of the thing that the event is about, "" if the payload has none.
        actor_id: The id of the user who did it, "" if the payload has none.
        raw: The envelope's `data` object as decoded JSON.
    """

    kind: str
    subject_id: str = ""
    actor_id: str = ""
    raw: Any = None

    @property
    def key(self) -> str:
        """`<kind>/<subject>/<actor>`."""
        return f"{self.kind}/{self.subject_id}/{self.actor_id}"

    @property
    def lane(self) -> str:
        """The actor, or the event itself if it has none."""
        return f"actor/{self.actor_id}" if self.actor_id else self.key


class UnknownEvent(
    ActivityEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="unknown"
):
    """An event of a kind for which botkit has no class, kept with its raw payload."""


class Authorized(
    XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="authorized"
):
    """An account was authorized. Setup runs the handlers while the callback server is still up."""

    username: str
    credential: str
    scopes: tuple[str, ...] = ()
    gen: int = 1

    @property
    def key(self) -> str:
        """`authorized/<credential kind>/<generation>/<since>`."""
        # A generation is not unique: it repeats for another app, and after a login was removed.
        return f"authorized/{self.credential}/{self.gen}/{self.at.isoformat()}"


class AccountState(
    XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="account_state"
):
    """The state of one of the account's logins changed. There is one event for each change.

    It holds no secret. Its handlers run whatever the login's state is; a write that needs that
    login waits, as usual.

    Attributes:
        username: The account's username.
        app: The app, as named in the settings, that the login belongs to.
        credential: The kind of the login, by X's names: `OAuth2UserToken`, `UserToken`
            (OAuth 1.0a) or `BearerToken` (the app's own, sent to each account of the app).
        gen: The login's generation, which grows with each refresh and each setup.
        status: The new state: `OK`, `UNCERTAIN`, `DEAD` or `CONFIG`.
        before: The state before.
        reason: The cause in words; "" for OK.
        next_step: The exact command that a person has to run; "" if there is nothing to do.
    """

    username: str
    app: str
    credential: str
    gen: int
    status: str
    before: str
    reason: str = ""
    next_step: str = ""

    @property
    def since(self) -> datetime:
        """The time since which the login has been in this state."""
        return self.at

    @property
    def key(self) -> str:
        """`account_state/<app>/<credential>/<generation>/<status>/<since>`."""
        place = f"{self.app}/{self.credential}/{self.gen}"
        return f"account_state/{place}/{self.status}/{self.at.isoformat()}"

    @property
    def lane(self) -> str:
        """The login."""
        return f"account_state/{self.app}/{self.credential}"


class OptOut(XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="opt_out"):
    """A user asked the account to stop or to start again; botkit has obeyed and answered.

    The bot writes nothing to a user who has opted out. Handle the event to delete the user's data.

    Attributes:
        user_id: The user's id.
        username: The user's username.
        is_out: True if the user opted out, False if the user came back.
    """

    user_id: str
    username: str = ""
    is_out: bool = True

    @property
    def key(self) -> str:
        """`opt_out/<user>/<out or in>/<time>`."""
        return f"opt_out/{self.user_id}/{'out' if self.is_out else 'in'}/{self.at.isoformat()}"

    @property
    def lane(self) -> str:
        """Return the user's lane: opt-outs of one user are handled in order."""
        return f"opt_out/{self.user_id}"


class Gap(XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="gap"):
    """The bot may have missed events, or a gap that was reported before is over.

    One event comes when a gap could not be closed at once, and another when it is over.

    Attributes:
        number: The gap's number, for `botkit events gaps`.
        missed_by: The source that may have missed events: `mentions`, `messages`, or `activity`
            (the stream).
        since: The missing events were made after this time, by X's clock,
        until: and up to this time.
        cause: `stopped` (no bot ran), `disconnected`, or `reach` (X does not show that much).
        state: `open`; `closed` if it was read since; `given up` if a person closed it, or if
            no other source has the events, as for quotes during an outage of the stream.
        reason: The reason why it could not be read, or the means by which it was.
        next_step: The step that a person can take; "" if there is none.
    """

    number: int
    missed_by: str
    since: datetime
    until: datetime
    cause: str
    state: str
    reason: str = ""
    next_step: str = ""

    @property
    def key(self) -> str:
        """`gap/<number>/<state>`."""
        return f"gap/{self.number}/{self.state}"

    @property
    def lane(self) -> str:
        """Return the gap's lane: the events of one gap are handled in order."""
        return f"gap/{self.number}"


class Tick(XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="tick"):
    """A schedule is due. `at` is the planned time, aware, in the schedule's zone."""

    schedule: str

    @property
    def key(self) -> str:
        """`tick/<schedule>/<planned time in UTC>`."""
        return f"tick/{self.schedule}/{self.at.timestamp():.0f}"

    @property
    def lane(self) -> str:
        """`tick/SCHEDULE`: the ticks of one schedule are handled one after the other."""
        return f"tick/{self.schedule}"


class Signal(Event, frozen=True, kw_only=True, gc=False):
    """The base class of the author's own events.

    Write `class Remind(Signal, frozen=True, kw_only=True): ...` and send it by `act.emit(...)`.
    Signals are stored by the name of their class, or by the `signal_name: ClassVar[str]` that you
    give it: keep the old name there when you rename a class that was stored.
    """

    signal_name: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "signal_name" not in cls.__dict__:
            cls.signal_name = cls.__name__
