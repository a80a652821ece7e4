"""The sources that a bot declares: rules of the filtered stream, searches and timelines.

`on(PostMatched, rule=..., tag=...)` and `hear(...)` record them on a router; `join` checks and
collects them when the bot is wired.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit.errors import WiringError
from botkit.model.events import Event, PostEvent, PostMatched
from botkit.model.sources import PolledSource, Rule, Search
from botkit.ports.matching import Pin

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from botkit.protocol.queries.syntax import Place

__all__ = ["NO_SOURCES", "Declared", "Sources", "Tagged", "caller", "join", "rule_of"]


class Declared(Struct, frozen=True):
    """A source as it was declared, and the file and line where."""

    source: PolledSource | Rule
    place: str


class Sources(Struct, frozen=True, kw_only=True):
    """Hold a bot's declared sources: those that are polled, and the rules of the stream."""

    polled: tuple[PolledSource, ...] = ()
    rules: tuple[Rule, ...] = ()


NO_SOURCES = Sources()


class Tagged:
    """The filter for matches of one rule or search."""

    def __init__(self, tag: str) -> None:
        self.tag: str = tag
        self.pins: tuple[Pin, ...] = (Pin(keys=_tag_keys, values=frozenset({tag}), decides=True),)
        self.provides: tuple[type, ...] = ()
        self.conflicts: tuple[type, ...] = ()

    def __repr__(self) -> str:
        return f"tag={self.tag!r}"

    def __call__(self, event: Any) -> bool:
        """Return True if the post matched the rule or search of this tag."""
        return bool(event.tag == self.tag)

    def takes(self, event_type: type[Event], /) -> bool:
        """Return True for `PostMatched`."""
        return issubclass(event_type, PostMatched)

    def find(self, event: Any, /) -> Mapping[Any, Any] | None:
        """Return no values if the event passes, else None."""
        return {} if self(event) else None


def caller() -> str:
    """Return file and line of the code that called the caller of this function."""
    here = inspect.currentframe()
    frame = here and here.f_back and here.f_back.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown place"


def rule_of(
    events: tuple[type[Event], ...], rule: str, tag: str
) -> tuple[Rule | None, tuple[Callable[[Any], object], ...]]:
    """Return the rule that `on` declares, if any, and the filter for its tag.

    Raises:
        WiringError: The arguments do not fit each other.
    """
    if not rule and not tag:
        return None, ()
    if any(not issubclass(event, PostMatched) for event in events):
        raise WiringError(
            "on(..., rule=..., tag=...) declares a rule of X's filtered stream; its matches are"
            " PostMatched: write on(PostMatched, rule=..., tag=...)."
        )
    if not tag:
        raise WiringError(
            f"on(PostMatched, rule={rule!r}) needs a tag, such as tag='cats': X tells by it which"
            " rule a post matched."
        )
    return (Rule(value=rule, tag=tag) if rule else None), (Tagged(tag),)


def join(
    declared: Iterable[Declared],
    wanted: Iterable[tuple[str, str]],
    takes: Callable[[type[Event]], bool],
) -> tuple[Sources, list[str]]:
    """Return the sources of a bot, and the faults of their declarations.

    Args:
        declared: All sources, in order.
        wanted: The tags that handlers want, each with the handler's place.
        takes: Returns True if a handler is registered for events of a class.
    """
    faults: list[str] = []
    found: dict[str, Declared] = {}
    tags: dict[str, Declared] = {}
    for each in declared:
        source = each.source
        key = f"rule:{source.tag}" if isinstance(source, Rule) else source.name
        earlier = found.setdefault(key, each)
        if earlier.source != source or (earlier is not each and not isinstance(source, Rule)):
            faults.append(f"{each.place}: {_said(source)} is declared already, at {earlier.place}")
        if isinstance(source, Rule | Search):
            other = tags.setdefault(source.tag, each)
            if type(other.source) is not type(source):
                faults.append(
                    f"{each.place}: the tag {source.tag!r} is taken, at {other.place}: give a"
                    " search and a rule tags of their own"
                )
        faults += (f"{each.place}: {_said(source)}: {why}" for why in _query_faults(source))
        kinds = PostMatched if isinstance(source, Rule | Search) else PostEvent
        if not takes(kinds):
            faults.append(f"{each.place}: no handler takes what {_said(source)} finds")
    for tag, place in wanted:
        if tag not in tags:
            faults.append(
                f"{place}: no rule or search has the tag {tag!r}: add rule=..., or"
                f" bot.hear(Search(query=..., tag={tag!r}))"
            )
    sources = [each.source for each in found.values()]
    return Sources(
        polled=tuple(each for each in sources if isinstance(each, PolledSource)),
        rules=tuple(each for each in sources if isinstance(each, Rule)),
    ), faults


def _query_faults(source: PolledSource | Rule) -> list[str]:
    """Return what X would refuse in a rule or query. An Enterprise app may have a longer one."""
    if not isinstance(source, Rule | Search):
        return []
    from botkit.protocol.queries.syntax import faults_of

    place: Place = "stream" if isinstance(source, Rule) else "search"
    text = source.value if isinstance(source, Rule) else source.query
    return faults_of(text, place, plan="enterprise")


def _said(source: PolledSource | Rule) -> str:
    """Return words for a source."""
    return f"the rule {source.tag!r}" if isinstance(source, Rule) else source.name


def _tag_keys(event: PostMatched) -> tuple[Hashable, ...]:
    return (event.tag,)
