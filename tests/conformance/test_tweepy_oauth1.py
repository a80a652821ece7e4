"""Unmodified tweepy by OAuth 1.0a: it signs over X's old host, whatever host it then speaks to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import tweepy

from tests.conformance.sandbox_process import CALL_S, CALLBACK, SandboxProcess
from tests.conformance.test_tweepy import API, ToSandbox

Sign = Callable[..., tweepy.Client]


@pytest.fixture
def app(sandbox_x: SandboxProcess, enrol: Any) -> dict[str, Any]:
    owner = enrol("signer").username
    made = sandbox_x.play("apps", name=owner, redirect_uris=[CALLBACK], owner=owner)
    return made | {"owner": owner}


@pytest.fixture
def handler(
    sandbox_x: SandboxProcess, app: dict[str, Any]
) -> Callable[[str], tweepy.OAuth1UserHandler]:
    def opened(callback: str) -> tweepy.OAuth1UserHandler:
        made = tweepy.OAuth1UserHandler(app["api_key"], app["api_secret"], callback=callback)
        made.oauth.mount(API, ToSandbox(sandbox_x.url))
        return made

    return opened


@pytest.fixture(autouse=True)
def _to_sandbox(sandbox_x: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """tweepy makes a new session for the access token: its requests find the sandbox too."""
    plain = requests.Session.__init__

    def made(self: requests.Session, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        self.mount(API, ToSandbox(sandbox_x.url))

    monkeypatch.setattr(requests.Session, "__init__", made)


@pytest.fixture
def signed(
    sandbox_x: SandboxProcess, app: dict[str, Any]
) -> Iterator[Callable[[str], tweepy.Client]]:
    opened: list[tweepy.Client] = []

    def client(level: str) -> tweepy.Client:
        pair = sandbox_x.play(
            "pairs", **{"as": app["owner"], "client_id": app["client_id"], "level": level}
        )
        made = tweepy.Client(
            consumer_key=app["api_key"],
            consumer_secret=app["api_secret"],
            access_token=pair["oauth_token"],
            access_token_secret=pair["oauth_token_secret"],
        )
        opened.append(made)
        return made

    yield client
    for one in opened:
        one.session.close()


def test_tweepy_logs_in_through_a_callback(
    sandbox_x: SandboxProcess, app: dict[str, Any], handler: Any
) -> None:
    login = handler(CALLBACK)
    back = sandbox_x.consent(login.get_authorization_url(), username=app["owner"])
    query = dict(part.split("=") for part in urlsplit(back).query.split("&"))
    assert query["oauth_token"] == login.request_token["oauth_token"]
    token, secret = login.get_access_token(query["oauth_verifier"])
    client = tweepy.Client(
        consumer_key=app["api_key"],
        consumer_secret=app["api_secret"],
        access_token=token,
        access_token_secret=secret,
    )
    assert client.get_me().data.username == app["owner"]
    client.session.close()


def test_tweepy_logs_in_with_a_pin_that_is_good_once(
    sandbox_x: SandboxProcess, app: dict[str, Any], handler: Any
) -> None:
    login = handler("oob")
    asked = urlsplit(login.get_authorization_url())
    shown = requests.post(
        f"{sandbox_x.url}{asked.path}?{asked.query}",
        data={"as": app["owner"], "decision": "authorize"},
        timeout=CALL_S,
    )
    pin = re.search(r">(\d{7})<", shown.text)
    assert pin is not None
    token, _ = login.get_access_token(pin[1])
    assert token.split("-")[0].isdecimal()
    with pytest.raises(tweepy.TweepyException):
        login.get_access_token(pin[1])


def test_tweepy_hears_of_a_callback_that_is_not_registered(handler: Any) -> None:
    with pytest.raises(tweepy.TweepyException, match="403"):
        handler("https://other.example/callback").get_authorization_url()


def test_tweepy_reads_and_writes_with_a_signature(
    sandbox_x: SandboxProcess, app: dict[str, Any], signed: Any, enrol: Any
) -> None:
    client = signed("read-write")
    assert client.get_me(user_fields=["created_at", "name"]).data.username == app["owner"]
    ada = enrol("ada")
    text = f"@{app['owner']} hello, & welcome + 100 %"
    summons = sandbox_x.play("posts", **{"as": ada.username, "text": text})
    user_id = client.get_me().data.id
    mentions = client.get_users_mentions(user_id, tweet_fields=["author_id"], user_auth=True)
    assert [post.text for post in mentions.data] == [escape(text, quote=False)]  # as X sends it
    reply = client.create_tweet(text="Hello, & you + 1 %!", in_reply_to_tweet_id=summons["id"])
    assert client.delete_tweet(reply.data["id"]).data == {"deleted": True}


def test_tweepy_is_told_of_a_level_that_is_too_low(signed: Any) -> None:
    client = signed("read")
    assert client.get_me().data is not None
    with pytest.raises(tweepy.Forbidden, match="oauth1 app permissions"):
        client.create_tweet(text="may I?")


def test_tweepy_reads_direct_messages_only_with_the_third_level(signed: Any) -> None:
    with pytest.raises(tweepy.Forbidden):
        signed("read-write").get_direct_message_events()
    assert signed("read-write-directmessages").get_direct_message_events().meta is not None


def test_a_signature_with_another_secret_is_refused(app: dict[str, Any], signed: Any) -> None:
    client = signed("read-write")
    client.access_token_secret = "another"
    with pytest.raises(tweepy.Unauthorized):
        client.get_me()


def test_an_app_only_route_takes_no_signature(app: dict[str, Any], signed: Any) -> None:
    client = signed("read-write")
    with pytest.raises(tweepy.Forbidden, match="forbidden"):
        client._make_request("GET", "/2/usage/tweets", user_auth=True)
