"""Protocols for X's API, for the values of a handler, and for sources of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from botkit.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from botkit.model.bookings import OpenRead
    from botkit.model.events import DirectMessage, PostEvent, Signal
    from botkit.model.hearing import Checkpoint
    from botkit.model.messages import Message
    from botkit.model.posts import Post
    from botkit.model.tokens import CredentialKind
    from botkit.model.users import User
    from botkit.ports.io import HttpStream
    from botkit.protocol.api.requests import Request
    from botkit.protocol.api.responses import Response
    from botkit.protocol.rules.pricing import Charge

__all__ = [
    "Actions",
    "Filter",
    "Intake",
    "MessageThread",
    "OnSpend",
    "ReadRecord",
    "Reader",
    "Scope",
    "Sender",
    "Source",
]

T = TypeVar("T")
E_contra = TypeVar("E_contra", bound=Event, contravariant=True)


class OnSpend(Protocol):
    """Book X's charges for reads and deliveries."""

    def __call__(self, account_id: str, charge: Charge, /, *, app: str) -> None:
        """Book the charge for the account ("" for the app itself); `app` pays for it."""
        ...


class ReadRecord(Protocol):
    """Record reads while they are under way: X charges for one whose answer is lost, too."""

    async def begin(self, request: Request, *, account_id: str, app: str) -> OpenRead | None:
        """Record a read that is about to be sent; return None if it costs nothing (more) today."""
        ...

    def end(self, read: OpenRead, charge: Charge | None) -> None:
        """Close a read with the charge that was noted for it, free if X has refused the read.

        None means that the answer was lost; then the read stays open.
        """
        ...


class Sender(Protocol):
    """Call X's API: choose the credential, respect the rate window, send, read the answer."""

    async def send(self, request: Request, *, account_id: str = "") -> Response:
        """Send one call as the account, or as the app if `account_id` is "".

        Raises:
            AccessDenied: No credential of the account is accepted for the operation.
            Parked: The call has to wait for `login`, `rate` or `credits`; with the time, if known.
            TransportError: X did not carry the call out.
            OutcomeUnknown: X may have carried the write out.
            ResponseError: X answered with an error; its class says which one.
        """
        ...

    async def ready(self, request: Request, *, account_id: str = "") -> None:
        """Return as soon as the call can be sent: login usable, credit left, rate window open.

        Waits a few seconds at most, and sends nothing but a refresh that is due.

        Raises:
            Parked: The call has to wait longer, for `login`, `account`, `credits` or `rate`; with
                the time, if known.
        """
        ...

    def stream(
        self, request: Request, *, account_id: str = ""
    ) -> AbstractAsyncContextManager[HttpStream]:
        """Open a stream as the app; any status but 200 raises.

        Raises:
            TransportError: The stream could not be opened.
            ResponseError: X answered with an error.
        """
        ...

    async def credential(self, operation: str, *, account_id: str) -> CredentialKind:
        """Return the kind of credential that the account would use for the operation now.

        Asks X once if that depends on an access level that is not known yet.

        Raises:
            AccessDenied: No credential of the account allows the operation.
            Parked: `login`: a person removed the account's logins while the bot ran.
        """
        ...

    async def kinds(self, account_id: str) -> Mapping[CredentialKind, tuple[str, ...]]:
        """Return the account's credentials: the scopes by kind, (level,) for OAuth 1.0a."""
        ...


class Reader(Protocol):
    """Look up posts and users on X, within rate windows and budget, with a cache."""

    async def post(self, post_id: str) -> Post:
        """Return the post. Raise `NotFound` if it is gone or not visible."""
        ...

    async def user(self, user: str) -> User:
        """Return the user of this id (digits) or username. Raise `NotFound` if there is none."""
        ...

    async def call(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Call an operation of X that only reads; return `data`, `includes`, `meta`, `errors`.

        `operation` is X's operation id. The bot's `may` must name it, so that setup asks for its
        scopes. Rate windows and budget apply as to other look-ups; nothing is cached.

        Raises:
            AccessDenied: The account's credentials do not allow it.
            ResponseError: X refused it.
            TypeError: `operation` is not one that only reads, or `path` does not fit it.
        """
        ...


class Source(Protocol):
    """A source of events. `run` reads them and records them in the inbox until it is cancelled."""

    @property
    def name(self) -> str:
        """The source's name in checkpoints, logs and `botkit status`."""
        ...

    async def run(self) -> None:
        """Read events until cancelled; retry after every failure by X's rules."""
        ...


class MessageThread(Protocol):
    """A conversation into which a direct message can be sent: the author's `Conversation[T]`."""

    @property
    def dm_conversation_id(self) -> str | None:
        """The id of the conversation; None if it is a conversation of posts."""
        ...


class Actions(Protocol):
    """The actions of a handler. Each write is a durable step: it is done when `await` returns."""

    async def reply(
        self, to: PostEvent | Post, text: str, *, links: Literal["allow", "refuse"] | None = None
    ) -> Post:
        """Reply to a post and return the reply.

        X turns a bare domain such as `README.md` into a link, and a post with a link costs 0.200
        USD. `links` overrides the setting `bot.links` for this text: send it, or refuse it.

        Raises:
            PolicyError: A rule forbids the reply; nothing was sent.
            AccessDenied: The account's credentials do not allow it; nothing was sent.
            ResponseError: X refused it for good.
        """
        ...

    async def post(self, text: str, *, links: Literal["allow", "refuse"] | None = None) -> Post:
        """Publish a post and return it. `links` and the errors are those of `reply`."""
        ...

    async def message(self, to: DirectMessage | User | MessageThread, text: str) -> Message:
        """Send a direct message and return it. Raises the same errors as `reply`.

        `to` is the message to answer, a user, or a `Conversation` that a handler remembers.

        Raises:
            TypeError: `to` is a conversation of posts.
        """
        ...

    async def call(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        json: Any = None,
    ) -> Any:
        """Call an operation of X for which there is no action; return the answer's `data`.

        `operation` is X's operation id, and the bot's `may` must name it. `path` fills the
        parameters of its path. The call is a durable step, with the guard's checks of declaration,
        access, account, budget and rate window; X's rules for texts are not checked. If the answer
        to a POST is lost, a person has to settle it (`botkit writes settle`).

        Raises:
            PolicyError: The bot's `may` does not name the operation.
            AccessDenied: The account's credentials do not allow it; nothing was sent.
            ResponseError: X refused it for good.
            TypeError: `operation` must not be called this way, or `path` does not fit it.
        """
        ...

    async def emit(self, signal: Signal, *, at: datetime | None = None) -> None:
        """Put an event of the bot author's own into the inbox when the handler's run commits."""
        ...

    async def once(
        self, name: str, call: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Call a coroutine function once per event and return its result.

        The result is stored: a later run of the same event gets it without another call.
        """
        ...


class Scope(Protocol):
    """The values that one run of a handler can get, by exact type."""

    def resolve(self, wanted: Any) -> Any:
        """Return the value for that type. Raise `KeyError` if there is none."""
        ...


class Filter(Protocol[E_contra]):
    """Decide whether an event is for a handler. A filter is pure: it does no I/O or waiting."""

    def __call__(self, event: E_contra, /) -> bool:
        """Return True if the event passes."""
        ...


class Intake(Protocol):
    """The inbox as a source sees it: a recorded event is not lost."""

    async def record(
        self,
        events: Sequence[Event],
        *,
        account_id: str,
        source: str,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        """Commit events and checkpoint in one transaction; return the number of new events.

        The commit is durable when this returns: only then may the caller acknowledge the events
        to X.

        Raises:
            StoreUnavailable: Nothing was recorded: do not acknowledge or skip the events.
        """
        ...
