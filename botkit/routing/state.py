"""The author's memory: `Conversation[T]`, `UserState[T]` and `BotState[T]`.

A handler asks for one by type, reads and sets `.value`; the runtime loads it before the handler
runs and commits the change with the event. `T` is a frozen `msgspec.Struct` that can be made from
its defaults, which is what a piece of state is before it was first set. It is kept as JSON under
the class's own name (`state_name` in the class, if it has one), so a class whose values were
stored keeps its name; fields may be added with a default.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec import Struct

from botkit.errors import Corrupt, WiringError
from botkit.model.events import DirectMessage, Event, GrantRevoked, PostEvent, Signal
from botkit.model.records import StateChange, StateRow

__all__ = ["BotState", "Conversation", "StateHandle", "StateParam", "UserState", "state_param"]

T = TypeVar("T", bound=Struct)


class StateHandle(Generic[T]):
    """A piece of state in one run of a handler: the base of the three kinds.

    Attributes:
        kind: `conversation`, `user` or `bot`.
    """

    kind: ClassVar[str]
    __slots__ = ("_loaded", "_param", "_rev", "_row_key", "_value")

    def __init__(self, param: StateParam, row_key: str, row: StateRow | None = None) -> None:
        self._param = param
        self._row_key = row_key
        self.load(row)

    @property
    def value(self) -> T:
        """The value: what was committed last, else one made from the class's defaults."""
        return self._value

    @value.setter
    def value(self, new: T) -> None:
        if type(new) is not self._param.struct:
            wanted = self._param.struct.__qualname__
            raise TypeError(f"The value is a {wanted}, not a {type(new).__qualname__}.")
        self._value = new

    @property
    def changed(self) -> bool:
        """Whether the value differs from the one that was loaded."""
        return self._value != self._loaded

    @property
    def rev(self) -> int:
        """The revision that was loaded, 0 when nothing was stored."""
        return self._rev

    def load(self, row: StateRow | None) -> None:
        """Take the stored row, None when there is none; forgets what was set.

        Raises:
            Corrupt: The stored value is none of this class; it is left as it is.
        """
        struct = self._param.struct
        try:
            value = struct() if row is None else msgspec.json.decode(row.value, type=struct)
        except msgspec.DecodeError as error:
            raise Corrupt(
                f"The stored {self._param.scope} of {self._row_key} is no {struct.__qualname__}: "
                f"{error}."
            ) from error
        self._value = self._loaded = cast("T", value)
        self._rev = 0 if row is None else row.rev

    def change(self) -> StateChange | None:
        """What to commit with the event, None when nothing changed."""
        if not self.changed:
            return None
        return StateChange(
            scope=self._param.scope,
            key=self._row_key,
            value=msgspec.json.encode(self._value),
            expected_rev=self._rev,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._value!r})"


class Conversation(StateHandle[T]):
    """Memory of one conversation, of posts or of direct messages, with the account."""

    kind = "conversation"
    __slots__ = ()

    @property
    def dm_conversation_id(self) -> str | None:
        """The id for `act.message(...)`; None when it is a conversation of posts."""
        where, _, conversation_id = self._row_key.partition("/")[2].partition("/")
        return conversation_id if where == "dm" else None


class UserState(StateHandle[T]):
    """Memory of one user (who wrote the post or the message), for the account."""

    kind = "user"
    __slots__ = ()


class BotState(StateHandle[T]):
    """Memory of the bot itself, for the account."""

    kind = "bot"
    __slots__ = ()


class StateParam(Struct, frozen=True, kw_only=True):
    """A handler's wish for a piece of state.

    Attributes:
        wanted: What the handler asks for, as in `Conversation[Case]`; the scope resolves it.
        handle: The class of the handle.
        struct: The class of the value.
        scope: The name that the rows are stored under, for instance `conversation/Case`.
    """

    wanted: Any
    handle: type[StateHandle[Any]]
    struct: type[Struct]
    scope: str

    def row_key(self, event: Event, *, account_id: str) -> str:
        """Which row belongs to the event; for a Signal ask with the event that caused it.

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
    ) -> StateHandle[Any]:
        """The handle that the handler gets."""
        return self.handle(self, self.row_key(event, account_id=account_id), row)

    def fits(self, event_type: type[Event]) -> bool:
        """Whether events of this class (for a Signal, what caused it) can have such a state."""
        if self.handle.kind == "bot" or issubclass(event_type, Signal):
            return True
        owners: tuple[type[Event], ...] = (PostEvent, DirectMessage)
        return issubclass(
            event_type, owners if self.handle.kind == "conversation" else (*owners, GrantRevoked)
        )


def state_param(wanted: Any) -> StateParam | None:
    """Read an annotation; None when it asks for no state.

    Raises:
        WiringError: It asks for state that cannot be kept.
    """
    handle: Any = get_origin(wanted) or wanted
    if not _is(handle, StateHandle):
        return None
    if handle is StateHandle or not get_args(wanted):
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
    if required:
        raise WiringError(
            f"{struct.__qualname__} is kept as state, so every field needs a default: "
            f"{', '.join(required)}"
        )


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
    return event.user_id if isinstance(event, GrantRevoked) else None
