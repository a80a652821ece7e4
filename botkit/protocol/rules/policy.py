"""X's rules for the posts of an automated account, checked before sending; and proof of a write.

A rule that forbids raises a `PolicyError` with the reason and the cure. The sandbox judges by its
own rules, also for the measures of a text.

Source: X developer guidelines; X API docs, "Manage Posts" and changelog 2026-02-23, read
2026-08-22.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import Struct

from botkit.errors import (
    LinkNotAllowed,
    NotSummoned,
    TextTooLong,
    TooManyCashtags,
    UnsolicitedMention,
)
from botkit.protocol.api.json_fields import Fields
from botkit.protocol.api.json_values import parse_json
from botkit.protocol.events.post_events import mentions_account
from botkit.protocol.rules.pricing import LINK_POST_USD
from botkit.protocol.text.links import link_spans, links_in
from botkit.protocol.text.weighted_length import (
    cashtags_in,
    normalise,
    text_hash,
    usernames_in,
    weighted_length,
    without_leading_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botkit.model.events import PostEvent
    from botkit.model.posts import Post
    from botkit.model.records import NewWrite, StoredWrite

__all__ = [
    "PostRules",
    "cashtags_in",
    "check_post",
    "links_in",
    "normalise",
    "shows_write",
    "summons_of",
    "text_hash",
    "usernames_in",
    "weighted_length",
]

_MOST_CASHTAGS = 1
_TRUNCATED_FROM = 100
"""X cuts the text of a long post at about 275 characters when the full text was not asked for."""

_SHORT_LINK = re.compile(r"https?://t\.co/\w+", re.IGNORECASE | re.ASCII)
_STATUS_LINK = re.compile(
    r"(?:www\.|mobile\.)?(?:twitter|x)\.com/[^/]+/status/[0-9]+(?:/(?:photo|video)/[0-9]+)?"
)
_ANY_LINK = "*"


class PostRules(Struct, frozen=True, kw_only=True, gc=False):
    """Hold the rules that depend on the account and its operator.

    `limit` is the weighted length that X accepts: 280, or more with Premium. `links` allows the
    bot to send links (each costs), `bare_links` links that X makes from a bare domain.
    `may_mention` are users who agreed to be named. `answers_per_author` limits the replies to one
    author in one conversation within a day; `answers_to_automated` does so for an author with the
    label of automated accounts. 0 means no limit.
    """

    limit: int = 280
    links: bool = True
    bare_links: bool = True
    may_mention: frozenset[str] = frozenset()
    answers_per_author: int = 0
    answers_to_automated: int = 0


_USUAL = PostRules()


def check_post(
    text: str,
    *,
    account_id: str,
    answers: Post | None = None,
    event: PostEvent | None = None,
    rules: PostRules = _USUAL,
) -> str:
    """Check a post against X's rules; return its summons as `summons_of` does, "" for none.

    `answers` is the post to which it replies, `event` the event that delivered that post, if any.

    Raises:
        NotSummoned: The text replies to a post that neither mentions nor quotes the account.
        TextTooLong: The text weighs more than X accepts.
        TooManyCashtags: The text has more than one cashtag.
        UnsolicitedMention: The text names a user who did not write to the account first.
        LinkNotAllowed: The text contains a link of a kind that the bot does not allow.
    """
    if event is not None:
        answers = event.post
    summons = ""
    if answers is not None:
        summons = summons_of(answers, account_id=account_id, event=event)
        if not summons:
            raise NotSummoned(
                f"The author of post {answers.id} neither mentioned nor quoted the account in it.",
                hint="X lets an app reply only when summoned in that very post: answer a Mention,"
                " a Quote or a direct Reply, or publish a post of its own.",
            )
    _check_length(text, answers, event, rules)
    _check_cashtags(text)
    _check_mentions(text, answers, event, rules)
    _check_links(text, rules)
    return summons


def summons_of(post: Post, *, account_id: str, event: PostEvent | None = None) -> str:
    """Return whether an app may reply to a post: `yes`, `own`, `assumed` or "" for no.

    `yes` if its author mentioned or quoted the account in it; `own` for the account's own post (a
    thread); `assumed` for a direct reply to the account with only the mention that X adds, which
    X's rules neither allow nor forbid.

    Source: X API docs, changelog 2026-02-23; docs/explanation/x-facts.md, 8.1 to 8.3.
    """
    if post.author_id == account_id:
        return "own"
    if event is not None and (event.mentions_me or event.quotes_me):
        return "yes"
    if post.quoted_user_id == account_id or mentions_account(post, account_id):
        return "yes"
    return "assumed" if post.in_reply_to_user_id == account_id else ""


def shows_write(write: NewWrite | StoredWrite, post: Post) -> bool:
    """Return True if a post of the account's timeline is the one that the write made.

    The reply target decides first, the text second. X rewrites text, so it is compared normalised,
    without the leading names of a reply, and with the links that X says stand in the post: where X
    has a link, the write has one of X's spellings of its address. The written text is not cut.

    Source: docs/explanation/requirements.md, "Writes" (Reconcile).
    """
    if post.author_id not in {None, write.account_id} or post.reposted_post_id is not None:
        return False
    if (write.target or None) != post.in_reply_to_post_id:
        return False
    body = _body(write.body)
    quoted = body.id("quote_tweet_id")
    if quoted is not None and quoted != post.quoted_post_id:
        return False
    if post.media_count and post.media_count != len(body.inner("media").items("media_ids")):
        return False
    text = body.text("text")
    return _same_text(write.text if text is None else text, post)


def _check_length(
    text: str, answers: Post | None, event: PostEvent | None, rules: PostRules
) -> None:
    names = _names_of_answered(answers, event)
    weight = weighted_length(text, auto_mentions=names)
    if weight > rules.limit:
        raise TextTooLong(
            f"The text weighs {weight}, X takes {rules.limit}.",
            hint="Shorten it: a link counts 23, an emoji 2, a CJK character 2.",
        )


def _check_cashtags(text: str) -> None:
    tags = cashtags_in(text)
    if len(tags) > _MOST_CASHTAGS:
        named = " ".join(f"${tag}" for tag in tags)
        raise TooManyCashtags(
            f"The text has {len(tags)} cashtags ({named}), X takes one in a post.",
            hint="Keep one, or write the others without the $.",
        )


def _check_mentions(
    text: str, answers: Post | None, event: PostEvent | None, rules: PostRules
) -> None:
    """Refuse names other than those that agreed, the account's, and the answered author's.

    A bare post does not hold its author's username; then one name is taken for it.
    """
    allowed = {name.casefold() for name in rules.may_mention}
    allowed |= {name.casefold() for name in _names_of_answered(answers, event)}
    strangers = [name for name in usernames_in(text) if name.casefold() not in allowed]
    if answers is not None and event is None:
        strangers = strangers[1:]
    if strangers:
        raise UnsolicitedMention(
            f"The text mentions @{strangers[0]}, who did not write to the account first.",
            hint="Write the name without the @, or list the user as one who agreed to be named.",
        )


def _check_links(text: str, rules: PostRules) -> None:
    links = link_spans(text)
    if links and not rules.links:
        raise LinkNotAllowed(
            f"The text holds the link {links[0].url}, and links are switched off for this bot.",
            hint="Take it out (bare domains count too), or allow links: such a post costs more.",
        )
    bare = [link for link in links if link.is_bare]
    if bare and not rules.bare_links:
        raise LinkNotAllowed(
            f"X would make a link of {bare[0].url}, and a post with a link costs"
            f" {LINK_POST_USD} USD.",
            hint="Keep it from linking with botkit.text.keep_from_linking(text), write https://"
            ' before it if a link is meant, or pay for it: links="allow" here, or bot.links ='
            ' "allow" for all.',
        )


def _names_of_answered(answers: Post | None, event: PostEvent | None) -> tuple[str, ...]:
    """Return the answered author, and the account itself if the post names it."""
    if answers is None or event is None:
        return ()
    own = [name.username for name in answers.mentions if name.id == event.account_id]
    return (*([event.author.username] if event.author.username else []), *own)


def _body(body: bytes) -> Fields:
    try:
        return Fields(parse_json(body))
    except ValueError:
        return Fields({})


def _same_text(written: str, post: Post) -> bool:
    words, links = _shown_parts(post)
    if post.in_reply_to_post_id is not None:
        written, words[0] = without_leading_names(written), without_leading_names(words[0])
    return _matches(normalise(written), 0, words, links)


def _shown_parts(post: Post) -> tuple[list[str], list[str]]:
    """Return the words around X's links, one part more than links; and the links they stand for.

    Positions and addresses are X's. Without positions, X's short links stand for those addresses
    in order, or for any.
    """
    spans = post.link_spans or tuple(found.span() for found in _SHORT_LINK.finditer(post.text))
    links = [_link(link) for link in post.links[: len(spans)]]
    links += [_ANY_LINK] * (len(spans) - len(links))
    words: list[str] = []
    done = 0
    for start, end in spans:
        words.append(_words(post.text[done:start]))
        done = end
    words.append(_words(post.text[done:]))
    words[0], words[-1] = words[0].lstrip(), words[-1].rstrip()
    return words, links


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text))


def _matches(written: str, at: int, words: list[str], links: list[str]) -> bool:
    """Return True if the written text from a position on is these words, with links between."""
    if _is_end(written[at:], words, links):
        return True
    if not links or not written.startswith(words[0], at):
        return False
    at += len(words[0])
    return any(
        _matches(written, end, words[1:], links[1:]) for end in _link_ends(written, at, links[0])
    )


def _is_end(written: str, words: list[str], links: list[str]) -> bool:
    """Return True if the rest of the text is these words: only links that X added follow them."""
    if any(word.strip() for word in words[1:]):
        return False
    if not all(link == _ANY_LINK or _STATUS_LINK.fullmatch(link) for link in links):
        return False
    shown = words[0].rstrip()
    if shown.endswith("\u2026") and len(shown) >= _TRUNCATED_FROM:
        return written.startswith(shown[:-1].rstrip())
    return written.rstrip() == shown


def _link_ends(written: str, at: int, link: str) -> Iterator[int]:
    """Yield where an address may end that begins here and that X would show as this link."""
    short = _SHORT_LINK.match(written, at)
    if short is not None:
        yield short.end()
    for end in range(at + 1, len(written) + 1):
        if written[end - 1].isspace():
            return
        address = written[at:end]
        if _link(address) == link or (link == _ANY_LINK and "." in address):
            yield end


def _link(url: str) -> str:
    """Return a link without X's changes to it: scheme, case of the host, percent-encoding."""
    bare = re.sub(r"^https?://", "", unquote(url).strip(), flags=re.IGNORECASE)
    host, slash, path = bare.partition("/")
    return f"{host.casefold()}{slash}{path}".rstrip("/")
