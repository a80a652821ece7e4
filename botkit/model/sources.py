"""The sources that an author declares, as frozen values: rules, searches and timelines."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from botkit.errors import WiringError

__all__ = ["HomeTimeline", "ListPosts", "OwnPosts", "PolledSource", "Rule", "Search"]

_LEAST_EVERY = timedelta(seconds=5)
_LONGEST_TAG = 100
_FEWEST = 10
_USUAL_EVERY = timedelta(minutes=5)


class Rule(Struct, frozen=True, kw_only=True):
    """A rule of the filtered stream. Declare it by `on(PostMatched, rule="...", tag="...")`.

    Attributes:
        value: The rule, in X's syntax.
        tag: The rule's name within the bot.
    """

    value: str
    tag: str

    def __post_init__(self) -> None:
        """Check the tag."""
        _check_tag(self.tag)


class PolledSource(Struct, frozen=True, kw_only=True):
    """The base class of sources that botkit reads again and again: pass one to `bot.hear`.

    Attributes:
        every: The time between two reads, five seconds at least. A read without new posts costs
            nothing but one call of X's rate window.
    """

    every: timedelta = _USUAL_EVERY

    def __post_init__(self) -> None:
        """Check the interval."""
        _check_every(self.every, type(self).__name__)

    @property
    def name(self) -> str:
        """The name of the source in the store and in `botkit status`."""
        raise TypeError(type(self).__name__)


class Search(PolledSource, frozen=True, kw_only=True):
    """X's recent search: the posts that match a query arrive as `PostMatched`.

    The search shows public posts of the last seven days. The account that was set up first reads
    for the bot, unless `account` names another.

    Attributes:
        query: The query, in X's syntax.
        tag: The search's name within the bot: its posts have it as their `tag`.
        account: The username of the account that searches.
        most: The most posts that one read takes, from 10: each costs money (0.005 USD in 2026).
            If there are more since the read before, the newest are taken, and the others are
            reported as a gap.
    """

    query: str
    tag: str
    account: str = ""
    most: int = 500

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        _check_tag(self.tag)
        _check_most(self.most)

    @property
    def name(self) -> str:
        """`search:<tag>`."""
        return f"search:{self.tag}"


class OwnPosts(PolledSource, frozen=True, kw_only=True):
    """The posts of each of the bot's accounts: they arrive as `PostSeen`."""

    @property
    def name(self) -> str:
        """`own_posts`."""
        return "own_posts"


class HomeTimeline(PolledSource, frozen=True, kw_only=True):
    """The home timeline of each of the bot's accounts: the posts of the users that it follows.

    A post arrives as `Mention`, `Reply`, `Quote`, `Repost` or `PostSeen`, by what it says of the
    account, and once only if other sources deliver it too.
    """

    @property
    def name(self) -> str:
        """`home`."""
        return "home"


class ListPosts(PolledSource, frozen=True, kw_only=True):
    """The posts of the members of a list. They arrive as those of a `HomeTimeline` do.

    The account that was set up first reads for the bot, unless `account` names another.

    Attributes:
        list_id: The list's id: the number at the end of its address.
        account: The username of the account that reads; a private list needs its owner.
    """

    list_id: str
    account: str = ""

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        _check_list_id(self.list_id)

    @property
    def name(self) -> str:
        """`list:<id>`."""
        return f"list:{self.list_id}"


def _check_tag(tag: object) -> None:
    if (
        not isinstance(tag, str)
        or not 0 < len(tag) <= _LONGEST_TAG
        or not tag.isprintable()
        or tag != tag.strip()
        or "/" in tag
    ):
        raise WiringError(
            f"tag={tag!r}: a tag is a short name without slashes; what the source found is stored"
            " under it."
        )


def _check_every(every: object, name: str) -> None:
    if not isinstance(every, timedelta) or every < _LEAST_EVERY:
        raise WiringError(
            f"{name}(every={every!r}): say a time of {_LEAST_EVERY.total_seconds():.0f} s or more,"
            " such as timedelta(minutes=5)."
        )


def _check_most(most: object) -> None:
    if not isinstance(most, int) or most < _FEWEST:
        raise WiringError(f"Search(most={most!r}): X returns {_FEWEST} posts or more at once.")


def _check_list_id(list_id: object) -> None:
    if not (isinstance(list_id, str) and list_id.isascii() and list_id.isdecimal()):
        raise WiringError(
            f"ListPosts(list_id={list_id!r}): a list's id is a text of digits, the number at the"
            " end of its address."
        )
