"""Whatever is sent, the sandbox answers, and never with a fault of its own."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botkit.sandbox.x.server import played_routes
from tests.unit.sandbox.conftest import Peer

if TYPE_CHECKING:
    from botkit.sandbox.x.context import ApiRoute


def words(text: str) -> list[str]:
    return text.split()


ROUTES = played_routes()
EVERYTHING = "tweet.read tweet.write users.read offline.access dm.read dm.write"
NAMES = words(
    "text reply quote_tweet_id media poll reply_settings in_reply_to_tweet_id media_ids options"
    " duration_minutes event_type filter user_id tag webhook_id direction attachments media_id"
    " grant_type code redirect_uri code_verifier refresh_token client_id client_secret token"
    " access_token oauth_token oauth_verifier oauth_consumer_key oauth_nonce oauth_signature"
    " oauth_timestamp oauth_signature_method oauth_callback response_type scope state"
    " code_challenge code_challenge_method decision as username name by to reply_to quote"
    " scopes level redirect_uris owner automated id user kind call times status body"
)
QUERIES = words(
    "ids usernames max_results since_id until_id start_time end_time pagination_token next_token"
    " tweet.fields post.fields user.fields expansions exclude event_types dm_event.fields days"
    " backfill_minutes usage.fields id oauth_token screen_name"
)
ODD = [
    "", "0", "1", "-1", "²", "1e9", "9" * 19, "9" * 40, "true", "null", "\x00", "😀", "é" * 300,
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-11-30", "1-2", "1-", "-", "1,2",
    "%", "%zz", "../..", "a b", "post.create", "follow.follow", "read", "authorize", "greeter",
    "me", "HMAC-SHA1", "stall", "POST /2/tweets", "refresh_token", "authorization_code", "client_credentials", "code", "plain",
]  # fmt: skip
TEXTS = st.sampled_from(ODD) | st.text(max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)
BODIES = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
    st.sampled_from(
        [b"", b"{", b"[]", b"null", b'{"text":"\xff"}', b'{"text":"\\ud800"}', b'{"a":' * 5000]
    ),
    st.binary(max_size=30),
)
QUERY = st.lists(st.tuples(st.sampled_from(QUERIES + NAMES), TEXTS), max_size=3)
AUTHORIZATION = st.one_of(
    st.none(),
    st.sampled_from(["Bearer", "Basic", "OAuth", "Basic ====", "Basic /w==", "Bearer \x00"]),
    st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=6).map(
        lambda pairs: "OAuth " + ", ".join(f'{k}="{quote(v)}"' for k, v in pairs.items())
    ),
)
KINDS = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", "", "é"]
)


def whole(template: str, parts: list[str]) -> str:
    """The template with those values in its place of parameters."""
    taken = iter(parts)
    segments = [
        quote(next(taken), safe="") if segment.startswith("{") else segment
        for segment in template.split("/")
    ]
    return "/".join(segments)


def form_of(body: Any) -> Any:
    return {name: str(value) for name, value in body.items()} if isinstance(body, dict) else {}


@pytest.mark.parametrize(
    "route", [*ROUTES, None], ids=lambda one: one and f"{one.method} {one.template}"
)
def test_a_route_answers_junk_without_a_fault(route: ApiRoute | None) -> None:
    """Try one route, or all in turn: what one took, another must stand."""
    peer = Peer()
    peer.app.takes_pin = False
    tokens = [peer.token(EVERYTHING), peer.app.bearer]

    @settings(max_examples=30 if route else 300, deadline=None, database=None)
    @given(
        chosen=st.just(route) if route else st.sampled_from(ROUTES),
        parts=st.lists(TEXTS, min_size=3, max_size=3),
        query=QUERY,
        body=BODIES,
        token=st.sampled_from([*tokens, None]),
        authorization=AUTHORIZATION,
        kind=KINDS,
    )
    def ask(
        chosen: ApiRoute,
        parts: list[str],
        query: list[tuple[str, str]],
        body: Any,
        token: str | None,
        authorization: str | None,
        kind: str,
    ) -> None:
        asked = "&".join(f"{quote(name)}={quote(value)}" for name, value in query)
        headers = {"Content-Type": kind}
        if authorization:
            headers["Authorization"] = authorization
        sent: dict[str, Any] = {"form": form_of(body)} if "form" in kind else {"body": body}
        path = f"{whole(chosen.template, parts)}?{asked}"
        status = answered(peer.call(chosen.method, path, token=token, headers=headers, **sent))
        peer.server.faults.cut_streams()
        assert status < 500 or status == 501

    ask()


def answered(call: Any) -> int:
    """Run a call to its end; no call of the sandbox waits for anything."""
    try:
        call.send(None)
    except StopIteration as done:
        return done.value.status
    raise AssertionError("the sandbox waits")


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "X"]),
    st.text(string.printable + "é😀", max_size=30),
)
@settings(max_examples=200, deadline=None, database=None)
def test_any_path_is_answered(method: str, path: str) -> None:
    peer = Peer()
    status = answered(peer.call(method, f"/{path}", token=peer.app.bearer))
    assert status < 500 or status == 501
