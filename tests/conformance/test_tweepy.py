"""Unmodified tweepy logs in, reads, writes and refreshes against the simulated X.

tweepy has no setting for the host, so its sessions are given a way to the sandbox: an adapter for
`requests`, and an aiohttp session that changes the host. What is sent and how an answer is read
is tweepy's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import requests
import tweepy
import tweepy.asynchronous
from oauthlib.oauth2.rfc6749.errors import MismatchingStateError, OAuth2Error
from requests.adapters import HTTPAdapter
from yarl import URL

from tests.conformance.sandbox_process import CALLBACK, SCOPES, Member, SandboxProcess

API = "https://api.twitter.com"
TOKEN_URL = f"{API}/2/oauth2/token"
Enrol = Callable[[str], Member]


class ToSandbox(HTTPAdapter):
    """Sends what is meant for X to the sandbox."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        request.url = str(request.url).replace(API, self._url, 1)
        return super().send(request, **(kwargs | {"proxies": {}}))


class AsyncToSandbox:
    """The part of aiohttp's session that tweepy uses, with X's host replaced."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    def request(self, method: str, url: str | URL, **kwargs: Any) -> Any:
        there = URL(str(url).replace(API, self._url, 1), encoded=True)
        return self._session.request(method, there, **kwargs)


@pytest.fixture
def bot(enrol: Enrol) -> Member:
    return enrol("tweeper")


@pytest.fixture
def handler(sandbox_x: SandboxProcess, bot: Member) -> Iterator[tweepy.OAuth2UserHandler]:
    opened = tweepy.OAuth2UserHandler(
        client_id=bot.client_id,
        client_secret=bot.client_secret,
        redirect_uri=CALLBACK,
        scope=list(SCOPES),
    )
    opened.mount(API, ToSandbox(sandbox_x.url))
    yield opened
    opened.close()


@pytest.fixture
def login(
    sandbox_x: SandboxProcess, bot: Member, handler: tweepy.OAuth2UserHandler
) -> dict[str, Any]:
    """The tokens that tweepy's own PKCE login ends with."""
    back = sandbox_x.consent(handler.get_authorization_url(), username=bot.username)
    return handler.fetch_token(back)


@pytest.fixture
def client(sandbox_x: SandboxProcess, login: dict[str, Any]) -> Iterator[tweepy.Client]:
    opened = tweepy.Client(login["access_token"])
    opened.session.mount(API, ToSandbox(sandbox_x.url))
    yield opened
    opened.session.close()


def test_tweepy_logs_in_with_pkce_and_is_granted_what_it_asked_for(
    sandbox_x: SandboxProcess, bot: Member, handler: tweepy.OAuth2UserHandler
) -> None:
    asked = handler.get_authorization_url()
    assert parse_qs(urlsplit(asked).query)["code_challenge_method"] == ["S256"]
    tokens = handler.fetch_token(sandbox_x.consent(asked, username=bot.username))
    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 7200
    assert set(tokens["scope"]) == set(SCOPES)
    assert tokens["access_token"] != tokens["refresh_token"]


def test_tweepy_hears_of_a_refused_consent(
    sandbox_x: SandboxProcess, bot: Member, handler: tweepy.OAuth2UserHandler
) -> None:
    back = sandbox_x.consent(
        handler.get_authorization_url(), username=bot.username, decision="cancel"
    )
    with pytest.raises(OAuth2Error, match="access_denied"):
        handler.fetch_token(back)


def test_tweepy_refuses_an_answer_to_another_question(
    sandbox_x: SandboxProcess, bot: Member, handler: tweepy.OAuth2UserHandler
) -> None:
    foreign = sandbox_x.consent(handler.get_authorization_url(), username=bot.username)
    handler.get_authorization_url()
    with pytest.raises(MismatchingStateError):
        handler.fetch_token(foreign)


def test_a_code_that_tweepy_has_used_is_worth_nothing(
    sandbox_x: SandboxProcess, bot: Member, handler: tweepy.OAuth2UserHandler
) -> None:
    back = sandbox_x.consent(handler.get_authorization_url(), username=bot.username)
    handler.fetch_token(back)
    with pytest.raises(OAuth2Error, match="Value passed for the authorization code was invalid"):
        handler.fetch_token(back)


def test_tweepy_reads_users(
    client: tweepy.Client, sandbox_x: SandboxProcess, bot: Member, enrol: Enrol
) -> None:
    ada = enrol("ada")
    me = client.get_me(user_auth=False, user_fields=["created_at", "public_metrics"])
    assert (me.data.id, me.data.username) == (int(bot.id), bot.username)
    assert me.data.created_at.tzinfo is not None
    assert me.data.public_metrics["tweet_count"] == 0
    both = client.get_users(ids=[ada.id, bot.id])
    assert [user.username for user in both.data] == [ada.username, bot.username]
    named = client.get_users(usernames=[ada.username, "nobody_at_all"])
    assert [user.id for user in named.data] == [int(ada.id)]
    assert [error["value"] for error in named.errors] == ["nobody_at_all"]
    assert client.get_user(username=ada.username).data.id == int(ada.id)


def test_tweepy_reads_posts_and_pages_through_mentions(
    client: tweepy.Client, sandbox_x: SandboxProcess, bot: Member, enrol: Enrol
) -> None:
    ada = enrol("ada")
    texts = [f"@{bot.username} number {number}" for number in range(12)]
    made = [sandbox_x.play("posts", **{"as": ada.username, "text": text}) for text in texts]

    one = client.get_tweet(
        made[0]["id"],
        tweet_fields=["author_id", "conversation_id", "created_at", "entities"],
        expansions=["author_id"],
    )
    assert one.data.text == texts[0]
    assert one.data.author_id == int(ada.id)
    assert one.data.conversation_id == int(made[0]["id"])
    assert one.data.entities["mentions"][0]["username"] == bot.username
    assert [user.username for user in one.includes["users"]] == [ada.username]

    two = client.get_tweets([made[0]["id"], made[1]["id"], "1"])
    assert [post.text for post in two.data] == texts[:2]
    assert two.errors[0]["resource_id"] == "1"

    pages = list(tweepy.Paginator(client.get_users_mentions, bot.id, max_results=5))
    assert [page.meta["result_count"] for page in pages] == [5, 5, 2]
    heard = [post.text for page in pages for post in page.data]
    assert heard == texts[::-1]
    newer = client.get_users_mentions(bot.id, since_id=made[9]["id"])
    assert [post.text for post in newer.data] == texts[:9:-1]


def test_tweepy_posts_replies_and_deletes(
    client: tweepy.Client, sandbox_x: SandboxProcess, bot: Member, enrol: Enrol
) -> None:
    ada = enrol("ada")
    first = client.create_tweet(text="Good morning", user_auth=False)
    summons = sandbox_x.play("posts", **{"as": ada.username, "text": f"@{bot.username} hello"})
    reply = client.create_tweet(text="Hello!", in_reply_to_tweet_id=summons["id"], user_auth=False)
    assert first.data["text"] == "Good morning"
    posts = sandbox_x.posts_by(bot.username)
    assert [(post["id"], post["text"], post["reply_to"]) for post in posts] == [
        (first.data["id"], "Good morning", None),
        (reply.data["id"], "Hello!", summons["id"]),
    ]
    assert client.delete_tweet(first.data["id"], user_auth=False).data == {"deleted": True}
    assert [post["id"] for post in sandbox_x.posts_by(bot.username)] == [reply.data["id"]]


def test_tweepy_is_told_why_a_write_is_refused(
    client: tweepy.Client, sandbox_x: SandboxProcess, enrol: Enrol
) -> None:
    stranger = sandbox_x.play("posts", **{"as": enrol("ada").username, "text": "to myself"})
    with pytest.raises(tweepy.Forbidden, match="mentioned"):
        client.create_tweet(text="Hello!", in_reply_to_tweet_id=stranger["id"], user_auth=False)
    client.create_tweet(text="once", user_auth=False)
    with pytest.raises(tweepy.Forbidden, match="duplicate content"):
        client.create_tweet(text="once", user_auth=False)


def test_tweepy_is_told_of_a_missing_scope(
    sandbox_x: SandboxProcess, client: tweepy.Client, bot: Member
) -> None:
    narrow = sandbox_x.play(
        "grants",
        **{"as": bot.username, "client_id": bot.client_id, "scopes": "tweet.read users.read"},
    )
    assert narrow["refresh_token"] is None
    client.bearer_token = narrow["access_token"]
    assert client.get_me(user_auth=False).data.id == int(bot.id)
    with pytest.raises(tweepy.Forbidden):
        client.create_tweet(text="may I?", user_auth=False)


def test_tweepy_waits_by_the_rate_limit_headers(
    sandbox_x: SandboxProcess, client: tweepy.Client, bot: Member
) -> None:
    client.return_type = requests.Response
    headers = client.get_me(user_auth=False).headers
    assert headers["x-rate-limit-limit"] == "75"
    assert headers["x-rate-limit-remaining"] == "74"
    for _ in range(74):
        client.get_me(user_auth=False)
    with pytest.raises(tweepy.TooManyRequests) as refused:
        client.get_me(user_auth=False)
    assert refused.value.response.headers["x-rate-limit-reset"] == headers["x-rate-limit-reset"]


def test_tweepy_refreshes_and_an_old_refresh_token_is_dead(
    sandbox_x: SandboxProcess,
    bot: Member,
    handler: tweepy.OAuth2UserHandler,
    client: tweepy.Client,
    login: dict[str, Any],
) -> None:
    renewed = handler.refresh_token(
        TOKEN_URL, refresh_token=login["refresh_token"], auth=handler.auth
    )
    assert renewed["refresh_token"] != login["refresh_token"]
    client.bearer_token = renewed["access_token"]
    assert client.get_me(user_auth=False).data.username == bot.username
    with pytest.raises(OAuth2Error, match="Value passed for the token was invalid"):
        handler.refresh_token(TOKEN_URL, refresh_token=login["refresh_token"], auth=handler.auth)


def test_tweepy_without_the_secret_is_no_client_of_a_confidential_app(
    sandbox_x: SandboxProcess, bot: Member
) -> None:
    public = tweepy.OAuth2UserHandler(
        client_id=bot.client_id, redirect_uri=CALLBACK, scope=list(SCOPES)
    )
    public.mount(API, ToSandbox(sandbox_x.url))
    with public:
        back = sandbox_x.consent(public.get_authorization_url(), username=bot.username)
        with pytest.raises(OAuth2Error, match="unauthorized_client"):
            public.fetch_token(back)


async def test_async_tweepy_reads_writes_and_refreshes(
    sandbox_x: SandboxProcess,
    bot: Member,
    enrol: Enrol,
    handler: tweepy.OAuth2UserHandler,
    login: dict[str, Any],
) -> None:
    ada = enrol("ada")
    summons = sandbox_x.play("posts", **{"as": ada.username, "text": f"@{bot.username} hello"})
    client: Any = tweepy.asynchronous.AsyncClient(login["access_token"])
    async with aiohttp.ClientSession() as session:
        client.session = AsyncToSandbox(session, sandbox_x.url)
        assert (await client.get_me(user_auth=False)).data.username == bot.username
        both = await client.get_users(ids=[ada.id, bot.id])
        assert [user.username for user in both.data] == [ada.username, bot.username]
        mentions = await client.get_users_mentions(bot.id, tweet_fields=["author_id"])
        assert [(m.id, m.author_id) for m in mentions.data] == [(int(summons["id"]), int(ada.id))]

        reply = await client.create_tweet(
            text="Hello!", in_reply_to_tweet_id=summons["id"], user_auth=False
        )
        read = await client.get_tweet(reply.data["id"], tweet_fields=["referenced_tweets"])
        assert [(ref.type, ref.id) for ref in read.data.referenced_tweets] == [
            ("replied_to", int(summons["id"]))
        ]

        # tweepy has no refresh of its own: it inherits the one of its handler.
        renewed = handler.refresh_token(
            TOKEN_URL, refresh_token=login["refresh_token"], auth=handler.auth
        )
        client.bearer_token = renewed["access_token"]
        deleted = await client.delete_tweet(reply.data["id"], user_auth=False)
        assert deleted.data == {"deleted": True}
        client.bearer_token = "no token of anybody"
        with pytest.raises(tweepy.Unauthorized):
            await client.get_me(user_auth=False)
