"""Build the calls of X's API v2 as values: method, path, query, body; no host, no credentials.

Each call that botkit makes has a builder. Parameters are sent in the `tweet.*` spelling, which
every page of X's documentation uses; `respelled` returns the same call in the `post.*` spelling of
X's OpenAPI document, for a server that knows only that one.

Source: X's OpenAPI document; X API docs of the operations.
"""

from __future__ import annotations

import urllib.parse
from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = [
    "DM_FIELDS",
    "MOST_IDS",
    "POST_EXPANSIONS",
    "POST_FIELDS",
    "POST_QUERY",
    "USER_FIELDS",
    "Request",
    "create_post",
    "delete_post",
    "get_dm_events",
    "get_home_timeline",
    "get_list_posts",
    "get_me",
    "get_mentions",
    "get_post",
    "get_usage",
    "get_user_posts",
    "get_users",
    "get_users_by",
    "given_only",
    "joined_ids",
    "respelled",
    "search_recent",
    "segment",
    "send_message",
    "stripped",
]

POST_FIELDS = (
    "attachments",
    "author_id",
    "conversation_id",
    "created_at",
    "display_text_range",
    "edit_history_tweet_ids",
    "entities",
    "in_reply_to_user_id",
    "lang",
    "note_tweet",
    "referenced_tweets",
    "reply_settings",
)
"""The fields that are requested of every post, beside `id` and `text`."""

POST_EXPANSIONS = ("author_id", "referenced_tweets.id", "referenced_tweets.id.author_id")
"""The objects that are requested with a post: its author, and the posts that it refers to."""

USER_FIELDS = ("affiliation", "description", "protected")
"""The fields that are requested of every user, beside `id`, `name` and `username`."""

DM_FIELDS = (
    "attachments",
    "created_at",
    "dm_conversation_id",
    "entities",
    "event_type",
    "sender_id",
    "text",
)
"""The fields that are requested of every direct message."""

MOST_IDS = 100
"""The most ids that one call takes."""

POST_QUERY = (
    ("tweet.fields", ",".join(POST_FIELDS)),
    ("expansions", ",".join(POST_EXPANSIONS)),
    ("user.fields", ",".join(USER_FIELDS)),
)
_USER_QUERY = (("user.fields", ",".join(USER_FIELDS)),)
_DM_QUERY = (
    ("dm_event.fields", ",".join(DM_FIELDS)),
    ("event_types", "MessageCreate"),
    ("expansions", "sender_id"),
    ("user.fields", ",".join(USER_FIELDS)),
)


_RESPELLED_PARAMETERS = {"tweet.fields": "post.fields"}
_RESPELLED_FIELDS = {
    "edit_history_tweet_ids": "",
    "note_tweet": "note_post",
    "author_id": "",
    "in_reply_to_user_id": "",
    "referenced_tweets": "",
    "affiliation": "",
    "sender_id": "",
}
"""Fields that the other spelling renames, or has only as expansions ("")."""
_WHOLE_WITHOUT_FIELDS = frozenset(
    {"getUsersMe", "getUsersByIds", "getUsersByUsernames", "getUsage"}
)
_RESPELLED_EXPANSIONS = {
    "referenced_tweets.id": "referenced_posts",
    "referenced_tweets.id.author_id": "",
}


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """One call. `operation` is the operation id of the table, which knows kinds and prices.

    `path` has its parameters filled in, percent-encoded. `resources` is the most resources that
    the answer may hold, for the price of a read; `has_link` makes a post cost more, `summoned`
    makes it cost less. `as_app` sends the call with the bearer token of the account's app, even if
    the operation accepts another credential.
    """

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    json: bytes | None = None
    resources: int = 1
    has_link: bool = False
    summoned: bool = False
    as_app: bool = False

    @property
    def name(self) -> str:
        """Return method and path, the name in logs and errors."""
        return f"{self.method} {self.path}"


def create_post(
    text: str,
    *,
    in_reply_to: str | None = None,
    summoned: bool = False,
    has_link: bool = False,
) -> Request:
    """Publish a post, or a reply to the post `in_reply_to`. Never safe to send twice.

    Source: X API docs, "Create Post": unknown keys are refused.
    """
    body: dict[str, Any] = {"text": text}
    if in_reply_to is not None:
        body["reply"] = {"in_reply_to_tweet_id": in_reply_to}
    return Request(
        operation="createPosts",
        method="POST",
        path="/2/tweets",
        json=msgspec.json.encode(body),
        summoned=summoned,
        has_link=has_link,
    )


def delete_post(post_id: str) -> Request:
    """Delete one of the account's own posts."""
    return Request(operation="deletePosts", method="DELETE", path=f"/2/tweets/{segment(post_id)}")


def get_post(post_id: str) -> Request:
    """Read one post, with its author and the posts that it refers to."""
    return Request(
        operation="getPostsById",
        method="GET",
        path=f"/2/tweets/{segment(post_id)}",
        query=POST_QUERY,
    )


def get_me() -> Request:
    """Read the user whose token is used."""
    return Request(operation="getUsersMe", method="GET", path="/2/users/me", query=_USER_QUERY)


def get_users(user_ids: Sequence[str]) -> Request:
    """Read up to 100 users by id."""
    return Request(
        operation="getUsersByIds",
        method="GET",
        path="/2/users",
        query=(("ids", joined_ids(user_ids)), *_USER_QUERY),
        resources=len(user_ids),
    )


def get_users_by(usernames: Sequence[str]) -> Request:
    """Read up to 100 users by username, without the @."""
    return Request(
        operation="getUsersByUsernames",
        method="GET",
        path="/2/users/by",
        query=(("usernames", joined_ids(usernames)), *_USER_QUERY),
        resources=len(usernames),
    )


def get_mentions(
    user_id: str,
    *,
    since_id: str | None = None,
    until_id: str | None = None,
    start_time: datetime | None = None,
    pagination_token: str | None = None,
    max_results: int = 100,
) -> Request:
    """Read a page of 5 to 100 posts that mention the user, newest first; `since_id` is exclusive.

    Source: X API docs, "Timelines": reaches back 800 mentions.
    """
    return Request(
        operation="getUsersMentions",
        method="GET",
        path=f"/2/users/{segment(user_id)}/mentions",
        query=_page(
            max_results,
            since_id=since_id,
            until_id=until_id,
            start_time=_time(start_time),
            pagination_token=pagination_token,
        ),
        resources=max_results,
    )


def search_recent(
    query: str,
    *,
    since_id: str | None = None,
    until_id: str | None = None,
    next_token: str | None = None,
    max_results: int = 100,
) -> Request:
    """Search the posts of the last 7 days; a page has 10 to 100, newest first.

    Both ids are exclusive. Source: X API docs, "Search Posts"; X's OpenAPI document.
    """
    return Request(
        operation="searchPostsRecent",
        method="GET",
        path="/2/tweets/search/recent",
        query=(
            ("query", query),
            *_page(max_results, since_id=since_id, until_id=until_id, next_token=next_token),
        ),
        resources=max_results,
    )


def get_user_posts(
    user_id: str,
    *,
    since_id: str | None = None,
    start_time: datetime | None = None,
    pagination_token: str | None = None,
    max_results: int = 100,
) -> Request:
    """Read a page of 5 to 100 posts of the user, newest first, replies and reposts included."""
    return Request(
        operation="getUsersPosts",
        method="GET",
        path=f"/2/users/{segment(user_id)}/tweets",
        query=_page(
            max_results,
            since_id=since_id,
            start_time=_time(start_time),
            pagination_token=pagination_token,
        ),
        resources=max_results,
    )


def get_home_timeline(
    user_id: str,
    *,
    since_id: str | None = None,
    pagination_token: str | None = None,
    max_results: int = 100,
) -> Request:
    """Read a page of 1 to 100 posts of the users that the user follows, newest first.

    Source: X API docs, "Timelines": reaches back 3,200 posts or 7 days.
    """
    return Request(
        operation="getUsersTimeline",
        method="GET",
        path=f"/2/users/{segment(user_id)}/timelines/reverse_chronological",
        query=_page(max_results, since_id=since_id, pagination_token=pagination_token),
        resources=max_results,
    )


def get_list_posts(
    list_id: str, *, pagination_token: str | None = None, max_results: int = 100
) -> Request:
    """Read a page of 1 to 100 posts of a list's members, newest first; there is no `since_id`.

    Source: X API docs, "List Posts lookup": reaches back 800 posts.
    """
    return Request(
        operation="getListsPosts",
        method="GET",
        path=f"/2/lists/{segment(list_id)}/tweets",
        query=_page(max_results, pagination_token=pagination_token),
        resources=max_results,
    )


def send_message(
    *, text: str, participant_id: str | None = None, conversation_id: str | None = None
) -> Request:
    """Send a direct message to a user or into a conversation; exactly one of the two.

    Source: X API docs, "Manage Direct Messages".
    """
    if (participant_id is None) == (conversation_id is None):
        raise ValueError("a message goes to a participant or into a conversation")
    if participant_id is not None:
        operation = "createDirectMessagesByParticipantId"
        path = f"/2/dm_conversations/with/{segment(participant_id)}/messages"
    else:
        operation = "createDirectMessagesByConversationId"
        path = f"/2/dm_conversations/{segment(conversation_id or '')}/messages"
    return Request(
        operation=operation,
        method="POST",
        path=path,
        json=msgspec.json.encode({"text": text}),
    )


def get_dm_events(
    *,
    participant_id: str | None = None,
    conversation_id: str | None = None,
    pagination_token: str | None = None,
    max_results: int = 100,
) -> Request:
    """Read 1 to 100 direct messages, newest first: with a user, of a conversation, or all.

    Source: X API docs, "Direct Messages lookup": 30 days back, no `since_id`.
    """
    if participant_id is not None and conversation_id is not None:
        raise ValueError("messages are those with a participant or those of a conversation")
    operation, path = "getDirectMessagesEvents", "/2/dm_events"
    if participant_id is not None:
        operation = "getDirectMessagesEventsByParticipantId"
        path = f"/2/dm_conversations/with/{segment(participant_id)}/dm_events"
    if conversation_id is not None:
        operation = "getDirectMessagesEventsByConversationId"
        path = f"/2/dm_conversations/{segment(conversation_id)}/dm_events"
    return Request(
        operation=operation,
        method="GET",
        path=path,
        query=(
            ("max_results", str(max_results)),
            *given_only(pagination_token=pagination_token),
            *_DM_QUERY,
        ),
        resources=max_results,
    )


def get_usage() -> Request:
    """Read how many posts the app has read, and its cap; X counts posts here, not money."""
    return Request(
        operation="getUsage",
        method="GET",
        path="/2/usage/tweets",
        query=(("usage.fields", "cap_reset_day,project_cap,project_usage"),),
    )


def respelled(request: Request) -> Request:
    """Return the same call with its field parameters, if any, in the `post.*` spelling.

    Try it once, after a 400 about an unknown field parameter.

    Source: X's OpenAPI documents 2.166 and 2.167: some fields of the former are expansions now.
    """
    query = {name: value.split(",") for name, value in request.query}
    expansions = query.get("expansions", [])
    if "affiliation" in query.get("user.fields", ()) and "tweet.fields" not in query:
        expansions = [*expansions, "affiliation"]
    changed: list[tuple[str, str]] = []
    for name, value in request.query:
        if name.endswith(".fields"):
            fields = _renamed(value.split(","), _RESPELLED_FIELDS)
            changed.append((_RESPELLED_PARAMETERS.get(name, name), ",".join(fields)))
        elif name != "expansions":
            changed.append((name, value))
    if expansions:
        changed.append(("expansions", ",".join(_renamed(expansions, _RESPELLED_EXPANSIONS))))
    return msgspec.structs.replace(request, query=tuple(pair for pair in changed if pair[1]))


def stripped(request: Request) -> Request | None:
    """Return the call without its optional fields, None if the answer would be useless then.

    An answer about users always has `id`, `name` and `username`. Try it last, after `respelled`.
    """
    if request.operation not in _WHOLE_WITHOUT_FIELDS:
        return None
    query = tuple(pair for pair in request.query if not _is_optional(pair[0]))
    return msgspec.structs.replace(request, query=query)


def _is_optional(parameter: str) -> bool:
    return parameter.endswith(".fields") or parameter == "expansions"


def _renamed(names: Sequence[str], table: dict[str, str]) -> list[str]:
    return [new for name in names if (new := table.get(name, name))]


def segment(value: object) -> str:
    """Return the value percent-encoded, as one segment of a path."""
    if not isinstance(value, str):
        raise TypeError(f"an id is a text, not {type(value).__name__} {value!r}")
    if value in {"", ".", ".."}:
        raise ValueError(f"{value!r} is no id")
    return urllib.parse.quote(value, safe="")


def joined_ids(values: Sequence[str]) -> str:
    """Return up to 100 ids as one parameter."""
    if not 1 <= len(values) <= MOST_IDS:
        raise ValueError(f"1 to {MOST_IDS} at a time, not {len(values)}")
    if any(not value or "," in value for value in values):
        raise ValueError("an id or a username is empty, or has a comma")
    return ",".join(values)


def _page(max_results: int, **given: str | None) -> tuple[tuple[str, str], ...]:
    return (("max_results", str(max_results)), *given_only(**given), *POST_QUERY)


def given_only(**parameters: str | None) -> tuple[tuple[str, str], ...]:
    """Return the parameters that have a value."""
    return tuple((name, value) for name, value in parameters.items() if value is not None)


def _time(moment: datetime | None) -> str | None:
    """Return the time as `YYYY-MM-DDTHH:mm:ssZ`. Source: X's OpenAPI document."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
