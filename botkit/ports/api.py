"""X as the core sees it, what a handler may ask for, and where events come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from botkit.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from botkit.model.events import DirectMessage, PostEvent, Signal
    from botkit.model.messages import Message
    from botkit.model.posts import Post
    from botkit.model.records import Checkpoint
    from botkit.model.tokens import CredentialKind
    from botkit.model.users import User
    from botkit.ports.io import HttpStream
    from botkit.protocol.api.requests import Request
    from botkit.protocol.api.responses import Response

__all__ = [
    "Actions",
    "Filter",
    "Intake",
    "MessageThread",
    "Reader",
    "Scope",
    "Sender",
    "Source",
]

T = TypeVar("T")
E_contra = TypeVar("E_contra", bound=Event, contravariant=True)


class Sender(Protocol):
    """X's API: picks the credential, keeps the rate window, sends, reads the answer."""

    async def send(self, request: Request, *, account_id: str = "") -> Response:
        """Send one call, as the account, or as the app when `account_id` is "".

        Raises:
            AccessDenied: No credential of the account is accepted for the operation.
            Parked: It has to wait: `login`, `rate` or `credits`, with the time if it is known.
            TransportError: Nothing was carried out.
            OutcomeUnknown: A write may have happened.
            ResponseError: X answered with an error; the class says which.
        """
        ...

    async def ready(self, request: Request, *, account_id: str = "") -> None:
        """Return when the call could leave now: login usable, credit left, rate window open.

        Waits in place for a few seconds at the most; sends nothing but what a due refresh needs.

        Raises:
            Parked: It has to wait longer: `login`, `account`, `credits` or `rate`, with the time
                if it is known.
        """
        ...

    def stream(
        self, request: Request, *, account_id: str = ""
    ) -> AbstractAsyncContextManager[HttpStream]:
        """Open a stream as the app; only a 200 is given out.

        Raises:
            TransportError: It could not be opened.
            ResponseError: X answered with an error.
        """
        ...

    async def credential(self, operation: str, *, account_id: str) -> CredentialKind:
        """The kind of credential with which the account does this now.

        X is asked once for an access level that decides it and that nobody knows.

        Raises:
            AccessDenied: No credential of the account allows the operation.
            Parked: `login`: a person removed the account's logins meanwhile.
        """
        ...

    async def kinds(self, account_id: str) -> Mapping[CredentialKind, tuple[str, ...]]:
        """What the account holds: credential kind to scopes, or to (level,) for OAuth 1.0a."""
        ...


class Reader(Protocol):
    """Looks things up on X: through the limiter, within the budget, with a cache."""

    async def post(self, post_id: str) -> Post:
        """The post. Raises `NotFound` when it is gone or not visible."""
        ...

    async def user(self, user: str) -> User:
        """The user, by id (digits) or by username. Raises `NotFound`."""
        ...


class Source(Protocol):
    """Where events come from. `run` reads, records them through the inbox, and never returns."""

    @property
    def name(self) -> str:
        """What checkpoints, logs and `botkit status` call it."""
        ...

    async def run(self) -> None:
        """Read until cancelled; every failure is retried inside by X's rules."""
        ...


class MessageThread(Protocol):
    """A conversation that a direct message can be sent into: the author's `Conversation[T]`."""

    @property
    def dm_conversation_id(self) -> str | None:
        """The id of the conversation; None when it is one of posts."""
        ...


class Actions(Protocol):
    """What a handler may do. Each awaited write is a durable step: await means done."""

    async def reply(self, to: PostEvent | Post, text: str) -> Post:
        """Answer a post; gives the post that X made.

        Raises:
            PolicyError: A rule forbids it; nothing was sent.
            AccessDenied: The account's credentials do not allow it; nothing was sent.
            ResponseError: X refused it for good.
        """
        ...

    async def post(self, text: str) -> Post:
        """Publish a post; gives the post that X made. Raises as `reply` does."""
        ...

    async def message(self, to: DirectMessage | User | MessageThread, text: str) -> Message:
        """Send a direct message; gives the message that X made. Raises as `reply` does.

        `to` is the message that is answered, a user, or the `Conversation` a handler remembers.

        Raises:
            TypeError: It is a conversation of posts.
        """
        ...

    async def emit(self, signal: Signal, *, at: datetime | None = None) -> None:
        """Put an event of the author's own into the inbox with the handler's commit."""
        ...

    async def once(
        self, name: str, call: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Run a coroutine once per event and keep its result, whatever happens to the process."""
        ...


class Scope(Protocol):
    """The values that one run of a handler can be given, by exact type."""

    def resolve(self, wanted: Any) -> Any:
        """The value for that type; `KeyError` when there is none."""
        ...


class Filter(Protocol[E_contra]):
    """Decides whether an event is for a handler. Pure: no I/O, no waiting."""

    def __call__(self, event: E_contra, /) -> bool:
        """Whether the event passes."""
        ...


class Intake(Protocol):
    """The inbox as a source sees it: what is recorded here is not lost."""

    async def record(
        self,
        events: Sequence[Event],
        *,
        account_id: str,
        source: str,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        """Commit events and checkpoint together, synced; gives how many events were new.

        Returns only when the commit is durable, so that the caller may acknowledge.

        Raises:
            StoreUnavailable: Nothing was recorded; do not acknowledge, do not move on.
        """
        ...
