"""The operators of X's rules and queries: what each asks of a post, and where it may stand.

Source: X API docs, "Filtered Stream Operators" and "Search Operators". Assumed, as X does not say
it: which characters separate words beyond "punctuation, symbol and separator", and that an
operator without a kind on X's pages stands alone.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

from msgspec import Struct

from botkit.sandbox.world.query_syntax import Term
from botkit.sandbox.world.text_rules import emoji_length
from botkit.sandbox.world.world import PostRecord, World

__all__ = ["NOT_PLAYED", "OPERATORS", "Product", "Reading", "tokens_of"]

Product: TypeAlias = Literal["search", "stream"]

NOT_PLAYED = frozenset(
    {
        "context",
        "entity",
        "embedding",
        "embedding_threshold",
        "from_affiliate_of",
        "to_affiliate_of",
        "url_title",
        "url_description",
    }
)
"""Operators of X about which the sandbox's posts say nothing."""
_USER = "[A-Za-z0-9_]{1,20}"
_ID = "[0-9]{1,19}"
_COUNT = "[0-9]{1,10}"
_RANGE = r"[0-9]{1,10}(\.\.[0-9]{1,10})?"
_ANY = r"[\s\S]*\S[\s\S]*"


class Reading(Struct, frozen=True):
    """A post as one product reads it."""

    world: World
    post: PostRecord
    product: Product

    def contents(self) -> Iterator[PostRecord]:
        """Yield the posts whose content counts.

        For a repost this is the post that it shows. A rule reads the quoted post, too.
        """
        posts = self.world.posts
        shown = posts[self.post.reposted_id] if self.post.reposted_id else self.post
        yield shown
        if self.product == "stream" and shown.quoted_id:
            quoted = posts[shown.quoted_id]
            if not quoted.deleted:
                yield quoted


_Test: TypeAlias = Callable[[Reading, Term], bool]


class Operator(Struct, frozen=True, kw_only=True):
    """An operator: its test, the pattern of its values, whether it may stand alone, and where."""

    test: _Test
    values: str = _ANY
    alone: bool = True
    only: Product | None = None


def _in_content(test: Callable[[PostRecord, Term], bool]) -> _Test:
    return lambda reading, term: any(test(post, term) for post in reading.contents())


def _has_words(reading: Reading, term: Term) -> bool:
    lenient = reading.product == "search"
    return any(_says(post.text, term, lenient=lenient) for post in reading.contents())


def _says(text: str, term: Term, *, lenient: bool = False) -> bool:
    """Return True if a text has the words of a term.

    `lenient` lets a word with an accent match the word without it, too.
    """
    wanted = [{word, _plain(word)} if lenient else {word} for word in tokens_of(term.value)]
    tokens = tokens_of(text)
    if term.within is not None:
        return _are_near(tokens, wanted, term.within)
    starts = range(len(tokens) - len(wanted) + 1)
    return bool(wanted) and any(
        all(tokens[start + number] in words for number, words in enumerate(wanted))
        for start in starts
    )


def _are_near(tokens: Sequence[str], wanted: Sequence[set[str]], within: int) -> bool:
    """Return True if all words occur with at most so many others between them.

    Words in the opposite order must be closer by two. Source: X's page on PowerTrack operators.
    """

    def can_go_on(chosen: tuple[int, ...]) -> bool:
        shifted = [at - number for number, at in enumerate(chosen)]
        if shifted and max(shifted) - min(shifted) > within:
            return False
        if len(chosen) == len(wanted):
            return True
        words = wanted[len(chosen)]
        return any(
            can_go_on((*chosen, at))
            for at, token in enumerate(tokens)
            if token in words and at not in chosen
        )

    return can_go_on(())


@lru_cache(maxsize=4096)
def tokens_of(text: str) -> tuple[str, ...]:
    """Return the words and emoji of a text, in order and without case.

    A character of a script without spaces between words is a word.
    """
    tokens: list[str] = []
    word = ""
    text = unicodedata.normalize("NFC", text)
    at = 0
    while at < len(text):
        length = emoji_length(text[at : at + 64])
        character = text[at]
        if not length and (unicodedata.category(character)[0] in "LMN" or character == "\u200c"):
            if not _stands_for_word(character):
                word += character
                at += 1
                continue
            length = 1
        if word:
            tokens.append(word.casefold())
            word = ""
        if length:
            tokens.append(text[at : at + length].replace("\ufe0f", "").casefold())
        at += length or 1
    return (*tokens, word.casefold()) if word else tuple(tokens)


def _stands_for_word(character: str) -> bool:
    return "\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff"


def _plain(word: str) -> str:
    parts = unicodedata.normalize("NFD", word)
    return "".join(one for one in parts if unicodedata.category(one) != "Mn")


def _user(reading: Reading, name: str) -> str:
    found = reading.world.find_user(name)
    return found.id if found is not None else "-"


def _names(reading: Reading, term: Term) -> bool:
    user_id = _user(reading, term.value)
    return any(one.mentions(user_id) for one in (reading.post, *reading.contents()))


def _has_tag(tags: Callable[[PostRecord], Sequence[str]]) -> _Test:
    def has_tag(post: PostRecord, term: Term) -> bool:
        return term.value.casefold() in (tag.casefold() for tag in tags(post))

    return _in_content(has_tag)


def _urls(post: PostRecord) -> list[str]:
    return [url for link in post.links for url in (link.url, link.expanded_url)]


def _has_url(post: PostRecord, term: Term) -> bool:
    return any(_says(url, term) for url in _urls(post))


def _has_in_url(post: PostRecord, term: Term) -> bool:
    return any(term.value.casefold() in url.casefold() for url in _urls(post))


_HAS: dict[str, Callable[[PostRecord], bool]] = {
    "hashtags": lambda post: bool(post.hashtags),
    "cashtags": lambda post: bool(post.cashtags),
    "links": lambda post: bool(post.links),
    "mentions": lambda post: bool(post.names),
    "media": lambda post: bool(post.media),
    "images": lambda post: "photo" in post.media,
    "video_link": lambda post: "video" in post.media,
    # An older name that X's page "Search Posts" still shows.
    "videos": lambda post: "video" in post.media,
    "geo": lambda _: False,
}
_IS: dict[str, Callable[[Reading], bool]] = {
    "retweet": lambda reading: reading.post.reposted_id is not None,
    "reply": lambda reading: reading.post.reply_to_id is not None,
    "quote": lambda reading: reading.post.quoted_id is not None,
    "verified": lambda reading: reading.world.users[reading.post.author_id].verified,
    "nullcast": lambda _: False,
}


def _is_sampled(reading: Reading, term: Term) -> bool:
    digest = hashlib.sha256(reading.post.id.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < int(term.value)


def _is_member(reading: Reading, term: Term) -> bool:
    found = reading.world.lists.get(term.value)
    return found is not None and reading.post.author_id in found.members


def _has_source(reading: Reading, term: Term) -> bool:
    apps = reading.world.grants.apps.values()
    return any(app.id == reading.post.app_id and app.name == term.value for app in apps)


def _author(count: Callable[[Reading, str], int]) -> _Test:
    """Return a test of an author's count, which is in a range `a..b` or at least `a`."""

    def in_range(reading: Reading, term: Term) -> bool:
        least, _, most = term.value.partition("..")
        counted = count(reading, reading.post.author_id)
        return int(least) <= counted <= (int(most) if most else counted)

    return in_range


def _at_least(count: Callable[[Reading], int]) -> _Test:
    return lambda reading, term: count(reading) >= int(term.value)


def _never(_: Reading, __: Term) -> bool:
    # The sandbox's posts and users have no places.
    return False


def _listed(reading: Reading, user_id: str) -> int:
    return sum(user_id in one.members for one in reading.world.lists.all())


_WORDS = Operator(test=_has_words)
_NOWHERE = Operator(test=_never)
_FOLLOWERS = _author(lambda reading, user_id: len(reading.world.users[user_id].followers))

OPERATORS: dict[str, Operator] = {
    "keyword": _WORDS,
    "phrase": _WORDS,
    "#": Operator(test=_has_tag(lambda post: [one.tag for one in post.hashtags])),
    "$": Operator(test=_has_tag(lambda post: [one.tag for one in post.cashtags])),
    "@": Operator(test=_names, values=_USER),
    "from": Operator(test=lambda r, term: r.post.author_id == _user(r, term.value), values=_USER),
    "to": Operator(
        test=lambda r, term: r.post.reply_to_user_id == _user(r, term.value), values=_USER
    ),
    "retweets_of": Operator(
        test=lambda r, term: r.post.reposted_user_id == _user(r, term.value), values=_USER
    ),
    "url": Operator(test=_in_content(_has_url)),
    "url_contains": Operator(test=_in_content(_has_in_url), only="stream"),
    "conversation_id": Operator(
        test=lambda r, term: r.post.conversation_id == term.value, values=_ID
    ),
    "in_reply_to_tweet_id": Operator(
        test=lambda r, term: r.post.reply_to_id == term.value, values=_ID
    ),
    "retweets_of_tweet_id": Operator(
        test=lambda r, term: r.post.reposted_id == term.value, values=_ID
    ),
    "quotes_of_tweet_id": Operator(
        test=lambda r, term: r.post.quoted_id == term.value, values=_ID, only="search"
    ),
    "list": Operator(test=_is_member, values=_ID, only="search"),
    "min_likes": Operator(
        test=_at_least(lambda r: len(r.post.likes)), values=_COUNT, only="search"
    ),
    "min_replies": Operator(
        test=_at_least(lambda r: r.world.count("replies", r.post.id)),
        values=_COUNT,
        only="search",
    ),
    "min_reposts": Operator(
        test=_at_least(lambda r: r.world.count("reposts", r.post.id)),
        values=_COUNT,
        only="search",
    ),
    "bio": Operator(
        test=lambda r, term: _says(r.world.users[r.post.author_id].description, term),
        only="stream",
    ),
    "bio_name": Operator(
        test=lambda r, term: _says(r.world.users[r.post.author_id].name, term), only="stream"
    ),
    "bio_location": Operator(test=_never, only="stream"),
    "place": _NOWHERE,
    "place_country": _NOWHERE,
    "point_radius": _NOWHERE,
    "bounding_box": _NOWHERE,
    "is": Operator(
        test=lambda r, term: _IS[term.value.lower()](r), values="|".join(_IS), alone=False
    ),
    "has": Operator(
        test=_in_content(lambda post, term: _HAS[term.value.lower()](post)),
        values="|".join(_HAS),
        alone=False,
    ),
    "lang": Operator(
        test=lambda r, term: r.post.lang.lower() == term.value.lower(),
        values="[A-Za-z]{2,3}(-[A-Za-z]{2,4})?",
        alone=False,
    ),
    "sample": Operator(test=_is_sampled, values="[1-9][0-9]?|100", alone=False, only="stream"),
    "source": Operator(test=_has_source, alone=False, only="stream"),
    "min_followers": Operator(test=_FOLLOWERS, values=_COUNT, only="stream"),
    "followers_count": Operator(test=_FOLLOWERS, values=_RANGE, only="stream"),
    "following_count": Operator(
        test=_author(lambda r, user_id: len(r.world.users[user_id].following)),
        values=_RANGE,
        only="stream",
    ),
    "tweets_count": Operator(
        test=_author(lambda r, user_id: r.world.count("posts", user_id)),
        values=_RANGE,
        only="stream",
    ),
    "listed_count": Operator(test=_author(_listed), values=_RANGE, only="stream"),
    **{
        name: Operator(
            test=_never,
            alone=name != "embedding_threshold",
            only=None if name in {"context", "entity"} else "stream",
        )
        for name in NOT_PLAYED
    },
}
"""All operators of X by their names; a keyword and a phrase have names of their own."""
