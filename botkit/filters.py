r"""The filters that authors import, and their algebra: pure, no I/O, no waiting.

A filter is any function from an event to a bool. Those made here compose with `&`, `|` and `~`,
declare what they pin (so that a bot with a thousand handlers calls only the few that can match),
and may provide one typed value, which a handler gets by its type:

    @bot.on(Mention, matches(r"remind me in (?P<minutes>\d+) minutes"))
    async def note(mention: Mention, found: Match) -> None: ...

`a & b` provides the values of both, `a | b` only the values that each of them has, `~a` none.
Text filters take every event with a `text`: posts, direct messages, and the author's signals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Any, Generic, NoReturn, Protocol, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from botkit.errors import WiringError
from botkit.model.events import DirectMessage, Event, PostEvent
from botkit.model.triggers import Trigger
from botkit.ports.matching import Pin

__all__ = [
    "Command",
    "EventFilter",
    "HasConversation",
    "HasText",
    "Match",
    "command",
    "contains",
    "from_user",
    "has_media",
    "hook",
    "in_conversation",
    "is_reply_to_me",
    "lang",
    "matches",
]

E_contra = TypeVar("E_contra", contravariant=True)
S = TypeVar("S")
Values = Mapping[Any, Any]

_NO_VALUES: Values = MappingProxyType({})
_GRAM = 3
_GRAMS_PAY_FROM = 24
"""Measured: looking up a post's trigrams costs as much as two dozen calls of `contains`."""
# First the names with which a reply starts (from X, or the summons itself), then the command.
# Possessive, as no part could match in a second way: that saves up to a third of the time.
_COMMAND = re.compile(r"\s*+(?:@\w++[,:]?\s++)*+([/!]\S++)")


class HasText(Protocol):
    """A post event, a direct message, or a signal with a text."""

    @property
    def text(self) -> str:
        """The text, as X sent it."""
        ...


class HasConversation(Protocol):
    """A post event, a direct message, or a signal with a conversation."""

    @property
    def conversation_id(self) -> str:
        """The id of the conversation."""
        ...


class Match(Struct, frozen=True, kw_only=True):
    """The result of `matches`: groups by name or number, as in `found["minutes"]`, `found[1]`.

    Attributes:
        text: The part of the event's text that matched.
        start: The position of that part, in code points.
        groups: The numbered groups from 1 on; None for an optional group that did not match.
        named: The named groups.
    """

    text: str
    start: int = 0
    groups: tuple[str | None, ...] = ()
    named: dict[str, str | None] = {}

    def __getitem__(self, group: str | int) -> str:
        """Return the text of a group, 0 for the whole match; "" if the group did not match.

        Raises:
            KeyError: The pattern has no such group.
        """
        if group == 0:
            return self.text
        try:
            found = self.named[group] if isinstance(group, str) else self.groups[group - 1]
        except LookupError:
            has = [*range(len(self.groups) + 1), *self.named]
            raise KeyError(f"the pattern has no group {group!r}; it has {has}") from None
        return found or ""


class Command(Struct, frozen=True, kw_only=True):
    """The result of `command`: the name as typed, without its `/` or `!`, and the rest."""

    name: str
    args: str = ""

    @property
    def words(self) -> list[str]:
        """The rest, split at white space."""
        return self.args.split()


def _must_be_a_function(test: object) -> None:
    if not callable(test) or iscoroutinefunction(test):
        raise WiringError(f"A filter is a function, and not an async one: {test!r}.")


class EventFilter(Generic[E_contra]):
    """A filter that composes and that declares what it pins and provides.

    `test` may be any function. The declarations must be true for it: every event that passes
    fulfils all `pins`, and `find` returns the values for `provides` exactly when `test` passes.
    """

    __slots__ = ("_find", "_name", "_takes", "_test", "conflicts", "pins", "provides")

    def __init__(
        self,
        test: Callable[[E_contra], object],
        *,
        name: str = "",
        takes: Callable[[type[Event]], bool] | None = None,
        pins: tuple[Pin, ...] = (),
        provides: tuple[type, ...] = (),
        conflicts: tuple[type, ...] = (),
        find: Callable[[E_contra], Values | None] | None = None,
    ) -> None:
        _must_be_a_function(test)
        self._test = test
        self._name = name or getattr(test, "__qualname__", repr(test))
        self._takes = takes
        self._find = find
        self.pins: tuple[Pin, ...] = pins
        self.provides: tuple[type, ...] = provides
        self.conflicts: tuple[type, ...] = conflicts

    def __call__(self, event: E_contra, /) -> bool:
        """Return True if the event passes."""
        return bool(self._test(event))

    def find(self, event: E_contra, /) -> Values | None:
        """Return the provided values by type, or None if the event does not pass."""
        if self._find is not None:
            return self._find(event)
        return _NO_VALUES if self._test(event) else None

    def takes(self, event_type: type[Event], /) -> bool:
        """Return True if events of this class have the attributes that the filter reads."""
        return self._takes is None or self._takes(event_type)

    def __and__(self: EventFilter[S], other: Callable[[S], object]) -> EventFilter[S]:
        return _both(self, _as_filter(other))

    def __rand__(self: EventFilter[S], other: Callable[[S], object]) -> EventFilter[S]:
        return _both(_as_filter(other), self)

    def __or__(self: EventFilter[S], other: Callable[[S], object]) -> EventFilter[S]:
        return _either(self, _as_filter(other))

    def __ror__(self: EventFilter[S], other: Callable[[S], object]) -> EventFilter[S]:
        return _either(_as_filter(other), self)

    def __invert__(self) -> EventFilter[E_contra]:
        return EventFilter(
            lambda event: not self._test(event), name=f"~{self._name}", takes=self._takes
        )

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no truth of its own: compose filters with & | ~.")

    def __repr__(self) -> str:
        return self._name


def contains(text: str, /, *, case_sensitive: bool = False) -> EventFilter[HasText]:
    """Return a filter for events whose text contains this one, inside a word as well."""
    if not text:
        raise WiringError("contains() needs a text to look for.")
    folded = text.casefold()
    grams = dict.fromkeys(folded[at : at + _GRAM] for at in range(len(folded) - _GRAM + 1))

    def as_typed(event: HasText) -> bool:
        return text in event.text

    def in_any_case(event: HasText) -> bool:
        return folded in event.text.casefold()

    return EventFilter(
        as_typed if case_sensitive else in_any_case,
        name=f"contains({text!r}{', case_sensitive=True' if case_sensitive else ''})",
        takes=_with("text"),
        pins=tuple(
            Pin(keys=_grams, values=frozenset({tuple(gram)}), worth=_GRAMS_PAY_FROM)
            for gram in grams
        ),
    )


def matches(pattern: str | re.Pattern[str], /, *, flags: int = 0) -> EventFilter[HasText]:
    r"""Return a filter for texts in which the regular expression is found; provides a `Match`.

    Upper and lower case differ unless the pattern starts with `(?i)` or the flags say so.

    Raises:
        WiringError: `pattern` is not a regular expression.
    """
    try:
        compiled = re.compile(pattern, flags)
    except (re.error, ValueError) as error:
        raise WiringError(f"matches({pattern!r}): not a regular expression: {error}.") from error
    search = compiled.search

    def find(event: HasText) -> Values | None:
        found = search(event.text)
        if found is None:
            return None
        match = Match(
            text=found[0], start=found.start(), groups=found.groups(), named=found.groupdict()
        )
        return {Match: match}

    return EventFilter(
        lambda event: search(event.text) is not None,
        name=f"matches({compiled.pattern!r})",
        takes=_with("text"),
        provides=(Match,),
        find=find,
    )


def command(*names: str) -> EventFilter[HasText]:
    """Return a filter for texts whose first word is `/name` or `!name`; provides a `Command`.

    Case does not matter, and the @names with which a post starts are skipped. A name given as
    `"!name"` matches with that sign only.

    Raises:
        WiringError: There is no name, or a name contains white space.
    """
    wanted: set[str] = set()
    for name in names:
        bare = name[1:] if name[:1] in {"/", "!"} else name
        if not bare or bare.split() != [bare]:
            raise WiringError(f"command({name!r}): a command is one word, such as 'help'.")
        signs = name[0] if bare != name else "/!"
        wanted.update(sign + bare.casefold() for sign in signs)
    if not wanted:
        raise WiringError("command() needs a name, such as 'help'.")

    def find(event: HasText) -> Values | None:
        found = _COMMAND.match(event.text)
        if found is None or found[1].casefold() not in wanted:
            return None
        return {Command: Command(name=found[1][1:], args=event.text[found.end() :].strip())}

    return EventFilter(
        lambda event: not wanted.isdisjoint(_command_word(event)),
        name=f"command({', '.join(map(repr, names))})",
        takes=_with("text"),
        pins=(_decides(_command_word, *wanted),),
        provides=(Command,),
        find=find,
    )


def from_user(*users: str) -> EventFilter[PostEvent | DirectMessage]:
    """Return a filter for posts and messages of these users: ids (digits) or usernames.

    Case does not matter. Write a username that consists of digits with its @.
    """
    wanted = frozenset(
        user if user.isdecimal() else "@" + user.removeprefix("@").casefold() for user in users
    )
    if not wanted or not wanted.isdisjoint(("@", "")):
        raise WiringError("from_user() needs ids or usernames.")
    return EventFilter(
        lambda event: not wanted.isdisjoint(_user_keys(event)),
        name=f"from_user({', '.join(map(repr, users))})",
        takes=lambda event_type: issubclass(event_type, (PostEvent, DirectMessage)),
        pins=(_decides(_user_keys, *wanted),),
    )


def in_conversation(*conversation_ids: str) -> EventFilter[HasConversation]:
    """Return a filter for events of these conversations, of posts or of direct messages."""
    wanted = frozenset(conversation_ids)
    if not wanted or "" in wanted:
        raise WiringError("in_conversation() needs ids.")
    return EventFilter(
        lambda event: event.conversation_id in wanted,
        name=f"in_conversation({', '.join(map(repr, conversation_ids))})",
        takes=_with("conversation_id"),
        pins=(_decides(_conversation_keys, *wanted),),
    )


def lang(*codes: str) -> EventFilter[PostEvent]:
    """Return a filter for posts in these languages, as X names them: `lang("de", "en")`.

    Source: X API docs, "Data dictionary", `lang` (BCP 47; `und` when X could not tell).
    """
    wanted = frozenset(code.casefold() for code in codes)
    if not wanted or "" in wanted:
        raise WiringError("lang() needs codes, such as 'en'.")
    return EventFilter(
        lambda event: not wanted.isdisjoint(_lang_keys(event)),
        name=f"lang({', '.join(map(repr, codes))})",
        takes=lambda event_type: issubclass(event_type, PostEvent),
        pins=(_decides(_lang_keys, *wanted),),
    )


def hook(*names: str) -> EventFilter[Trigger]:
    """Return a filter for triggers of these hooks, by their names in the settings.

    Raises:
        WiringError: There is no name, or one is empty.
    """
    wanted = frozenset(names)
    if not wanted or "" in wanted:
        raise WiringError("hook() needs a name, such as 'order-shipped'.")
    return EventFilter(
        lambda event: event.name in wanted,
        name=f"hook({', '.join(map(repr, names))})",
        takes=lambda event_type: issubclass(event_type, Trigger),
        pins=(_decides(_hook_keys, *wanted),),
    )


def _has_media(event: PostEvent | DirectMessage) -> bool:
    if isinstance(event, DirectMessage):
        return bool(event.message.media)
    return event.post.media_count > 0


has_media: EventFilter[PostEvent | DirectMessage] = EventFilter(
    _has_media,
    name="has_media",
    takes=lambda event_type: issubclass(event_type, (PostEvent, DirectMessage)),
)
"""Passes posts and messages with an attachment: a photo, a video, a GIF."""

is_reply_to_me: EventFilter[PostEvent] = EventFilter(
    lambda event: event.is_reply_to_me,
    name="is_reply_to_me",
    takes=lambda event_type: issubclass(event_type, PostEvent),
)
"""Passes posts that answer a post of the account, mentions and quotes among them."""


def _as_filter(test: Callable[[S], object]) -> EventFilter[S]:
    if isinstance(test, EventFilter):
        return cast("EventFilter[S]", test)
    return EventFilter(test)


def _both(left: EventFilter[S], right: EventFilter[S]) -> EventFilter[S]:
    provides = _merged(left.provides, right.provides)
    twice = tuple(wanted for wanted in left.provides if wanted in right.provides)

    def find(event: S) -> Values | None:
        first = left.find(event)
        second = None if first is None else right.find(event)
        return None if first is None or second is None else {**first, **second}

    return EventFilter(
        lambda event: left(event) and right(event),
        name=f"({left!r} & {right!r})",
        takes=lambda event_type: left.takes(event_type) and right.takes(event_type),
        pins=tuple(replace(pin, decides=False) for pin in left.pins + right.pins),
        provides=provides,
        conflicts=_merged(left.conflicts, right.conflicts, twice),
        find=find if provides else None,
    )


def _either(left: EventFilter[S], right: EventFilter[S]) -> EventFilter[S]:
    provides = tuple(wanted for wanted in left.provides if wanted in right.provides)

    def find(event: S) -> Values | None:
        found = left.find(event)
        if found is None:
            found = right.find(event)
        return None if found is None else {wanted: found[wanted] for wanted in provides}

    return EventFilter(
        lambda event: left(event) or right(event),
        name=f"({left!r} | {right!r})",
        takes=lambda event_type: left.takes(event_type) and right.takes(event_type),
        pins=_pins_of_either(left.pins, right.pins),
        provides=provides,
        conflicts=_merged(left.conflicts, right.conflicts),
        find=find if provides else None,
    )


def _pins_of_either(left: tuple[Pin, ...], right: tuple[Pin, ...]) -> tuple[Pin, ...]:
    """Return the pins of `left | right`: for each kind that both pin, the union of the values."""
    of_right = {pin.keys: pin for pin in reversed(right)}
    return tuple(
        Pin(
            keys=pin.keys,
            values=pin.values | other.values,
            worth=pin.worth,
            decides=pin.decides and other.decides,
        )
        for pin in left
        if (other := of_right.get(pin.keys)) is not None
    )


def _merged(*parts: tuple[type, ...]) -> tuple[type, ...]:
    return tuple(dict.fromkeys(wanted for part in parts for wanted in part))


def _with(attribute: str) -> Callable[[type[Event]], bool]:
    return lambda event_type: hasattr(event_type, attribute)


def _decides(keys: Callable[[Any], Iterable[Hashable]], *values: str) -> Pin:
    return Pin(keys=keys, values=frozenset(values), decides=True)


# The functions below are the fields of the index: one for each property that a filter can pin.


def _grams(event: HasText) -> Iterable[Hashable]:
    text = event.text.casefold()
    return zip(text, text[1:], text[2:], strict=False)


def _command_word(event: HasText) -> Collection[Hashable]:
    found = _COMMAND.match(event.text)
    return () if found is None else (found[1].casefold(),)


def _user_keys(event: PostEvent | DirectMessage) -> Collection[Hashable]:
    user = event.sender if isinstance(event, DirectMessage) else event.author
    return (user.id, "@" + user.username.casefold())


def _conversation_keys(event: HasConversation) -> Collection[Hashable]:
    return (event.conversation_id,)


def _lang_keys(event: PostEvent) -> Collection[Hashable]:
    return () if event.post.lang is None else (event.post.lang.casefold(),)


def _hook_keys(event: Trigger) -> Collection[Hashable]:
    return (event.name,)
