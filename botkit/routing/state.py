"""Let handlers keep state: `Conversation[T]`, `UserState[T]` and `BotState[T]`.

A handler gets one by type, and reads and sets `.value`. The runtime loads the state before the
handler runs and commits a change together with the event. `T` is a frozen `msgspec.Struct` whose
fields all have defaults: the value before the first change has these defaults. The value is stored
as JSON under the name of the class or, when the class has one, under its `state_name:
ClassVar[str]`: keep the old name there when you rename a class. New fields need a default;
stored fields that the class does not have are kept (`botkit.routing.stored_state`).

Handlers that hold the same piece of state run one after the other. A handler that only reads it
asks for `BotState.Reading[T]`: it waits for no other handler, and none waits for it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec import Struct

from botkit.errors import Corrupt, WiringError
from botkit.model.events import (
    DirectMessage,
    Event,
    GrantRevoked,
    OptOut,
    PostEvent,
    Signal,
)
from botkit.model.records import StateChange, StateRow
from botkit.routing.stored_state import NewerState, check_version, read_value, write_value

__all__ = [
    "BotState",
    "Conversation",
    "StateHandle",
    "StateParam",
    "StateReading",
    "UserState",
    "state_param",
]

T = TypeVar("T", bound=Struct)
U = TypeVar("U", bound=Struct)


class StateReading(Generic[T]):
    """A piece of state that a handler only reads, as it was committed last before the run.

    Attributes:
        kind: `conversation`, `user` or `bot`.
    """

    kind: ClassVar[str]
    __slots__ = ("_loaded", "_param", "_rev", "_row_key", "_stored", "_value")

    def __init__(self, param: StateParam, row_key: str, row: StateRow | None = None) -> None:
        self._param = param
        self._row_key = row_key
        self.load(row)

    @property
    def value(self) -> T:
        """The value that was committed last, or one with the defaults of the class."""
        return self._value

    @property
    def rev(self) -> int:
        """The revision that was loaded, 0 if nothing was stored."""
        return self._rev

    @property
    def shown(self) -> str:
        """Return class and key for an error text, such as `UserState[Greeted] of 42/7`."""
        return f"{type(self).__name__}[{self._param.struct.__qualname__}] of {self._row_key}"

    def load(self, row: StateRow | None) -> None:
        """Take the stored row, None if there is none; discards a value that was set.

        Raises:
            Corrupt: The stored value does not fit this class; it stays stored as it is.
        """
        struct = self._param.struct
        self._stored: bytes | None = None
        try:
            if row is None:
                value = struct()
            else:
                value, self._stored = read_value(struct, row.value)
        except msgspec.DecodeError as error:
            raise Corrupt(
                f"The stored {self._param.scope} of {self._row_key} is no {struct.__qualname__}: "
                f"{error}."
            ) from error
        except NewerState as newer:
            raise Corrupt(
                f"The stored {self._param.scope} of {self._row_key} cannot be read: {newer}.",
                hint="Run the version of the bot that stored it, or a newer one.",
            ) from newer
        self._value = self._loaded = cast("T", value)
        self._rev = 0 if row is None else row.rev

    def change(self) -> StateChange | None:
        """Return the change to commit with the event: none, what is only read stays."""
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._value!r})"


class StateHandle(StateReading[T]):
    """A piece of state in one run of a handler: the base of the three kinds.

    Attributes:
        kind: `conversation`, `user` or `bot`.
    """

    __slots__ = ()

    @property
    def value(self) -> T:
        """The value that was committed last, or one with the defaults of the class."""
        return self._value

    @value.setter
    def value(self, new: T) -> None:
        if type(new) is not self._param.struct:
            wanted = self._param.struct.__qualname__
            raise TypeError(f"The value is a {wanted}, not a {type(new).__qualname__}.")
        _must_come_back(new)
        self._value = new

    @property
    def changed(self) -> bool:
        """Whether the value differs from the one that was loaded."""
        return self._value != self._loaded

    def change(self) -> StateChange | None:
        """Return the change to commit with the event, None if nothing changed."""
        if not self.changed:
            return None
        return StateChange(
            scope=self._param.scope,
            key=self._row_key,
            value=write_value(self._value, loaded=self._loaded, stored=self._stored),
            expected_rev=self._rev,
        )


class Conversation(StateHandle[T]):
    """The bot's memory of one conversation, of posts or of direct messages."""

    kind = "conversation"
    __slots__ = ()

    @property
    def dm_conversation_id(self) -> str | None:
        """The id for `act.message(...)`; None for a conversation of posts."""
        where, _, conversation_id = self._row_key.partition("/")[2].partition("/")
        return conversation_id if where == "dm" else None

    class Reading(StateReading[U]):
        """The same memory for a handler that only reads it."""

        kind = "conversation"
        __slots__ = ()


class UserState(StateHandle[T]):
    """The bot's memory of one user, the author of the post or message."""

    kind = "user"
    __slots__ = ()

    class Reading(StateReading[U]):
        """The same memory for a handler that only reads it."""

        kind = "user"
        __slots__ = ()


class BotState(StateHandle[T]):
    """The bot's memory of everything else, one value per account.

    All handlers that ask for it run one after the other, however many events wait.
    """

    kind = "bot"
    __slots__ = ()

    class Reading(StateReading[U]):
        """The same memory for a handler that only reads it; such handlers run side by side."""

        kind = "bot"
        __slots__ = ()


class StateParam(Struct, frozen=True, kw_only=True):
    """A handler's parameter for a piece of state.

    Attributes:
        wanted: The annotation, for instance `Conversation[Case]`; the scope resolves it.
        handle: The class of the handle.
        struct: The class of the value.
        scope: The name under which the rows are stored, for instance `conversation/Case`.
    """

    wanted: Any
    handle: type[StateReading[Any]]
    struct: type[Struct]
    scope: str

    @property
    def is_held(self) -> bool:
        """Whether the handler may change it, so that others wait for their turn."""
        return issubclass(self.handle, StateHandle)

    def row_key(self, event: Event, *, account_id: str) -> str:
        """Return the key of the event's row; for a Signal pass the event that caused it.

        Raises:
            LookupError: The event belongs to no conversation or user.
        """
        if self.handle.kind == "bot":
            return account_id
        part = _conversation(event) if self.handle.kind == "conversation" else _user(event)
        if part is None:
            raise LookupError(f"{type(event).__name__} has no {self.handle.kind}.")
        return f"{account_id}/{part}"

    def open(
        self, event: Event, row: StateRow | None = None, *, account_id: str
    ) -> StateReading[Any]:
        """Return the handle that the handler gets."""
        return self.handle(self, self.row_key(event, account_id=account_id), row)

    def fits(self, event_type: type[Event]) -> bool:
        """Return True if events of this class can have such a state; a Signal always can."""
        if self.handle.kind == "bot" or issubclass(event_type, Signal):
            return True
        owners: tuple[type[Event], ...] = (PostEvent, DirectMessage)
        return issubclass(
            event_type,
            owners if self.handle.kind == "conversation" else (*owners, GrantRevoked, OptOut),
        )


def state_param(wanted: Any) -> StateParam | None:
    """Read an annotation; return None if it is none of a state.

    Raises:
        WiringError: The value's class cannot be stored.
    """
    handle: Any = get_origin(wanted) or wanted
    if not _is(handle, StateReading):
        return None
    if handle in {StateHandle, StateReading} or not get_args(wanted):
        raise WiringError(
            f"{handle.__name__} needs the class of its value, as in Conversation[Case]"
        )
    struct: Any = get_args(wanted)[0]
    if not _is(struct, Struct):
        raise WiringError(f"{_shown(struct)} is kept as state, so it must be a msgspec.Struct")
    _check(struct)
    name = getattr(struct, "state_name", "") or struct.__qualname__.rpartition("<locals>.")[2]
    return StateParam(wanted=wanted, handle=handle, struct=struct, scope=f"{handle.kind}/{name}")


def _check(struct: type[Struct]) -> None:
    if not struct.__struct_config__.frozen:
        raise WiringError(
            f"{struct.__qualname__} is kept as state, so it must be frozen: "
            f"class {struct.__name__}(Struct, frozen=True)"
        )
    try:
        required = [field.name for field in msgspec.structs.fields(struct) if field.required]
        msgspec.json.Decoder(struct)
    except (TypeError, NameError) as error:
        raise WiringError(f"{struct.__qualname__} cannot be kept as state: {error}") from error
    check_version(struct)
    if required:
        raise WiringError(
            f"{struct.__qualname__} is kept as state, so every field needs a default: "
            f"{', '.join(required)}"
        )


def _must_come_back(value: Struct) -> None:
    """Raise `TypeError` for a value that cannot be stored and read again unchanged."""
    name = type(value).__qualname__
    try:
        same = msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise TypeError(f"This {name} cannot be stored: {error}.") from error
    if not same:
        raise TypeError(f"This {name} would not come back from the store as it is.")


def _is(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def _shown(value: object) -> str:
    return getattr(value, "__qualname__", None) or str(value)


def _conversation(event: Event) -> str | None:
    if isinstance(event, PostEvent):
        return f"post/{event.conversation_id}"
    return f"dm/{event.conversation_id}" if isinstance(event, DirectMessage) else None


def _user(event: Event) -> str | None:
    if isinstance(event, PostEvent):
        return event.author.id
    if isinstance(event, DirectMessage):
        return event.sender.id
    return event.user_id if isinstance(event, GrantRevoked | OptOut) else None
