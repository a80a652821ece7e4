"""More programs of others, unmodified, log in to the simulated X, read and post.

None has a setting for the host: all of them speak through `requests`, whose sessions are given a
way to the sandbox. Those that have no wheel, and those in JavaScript, were recorded
(`test_recorded_clients.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytwitter
import requests
import twython
from social_core.backends.twitter import TwitterOAuth
from social_core.backends.twitter_oauth2 import TwitterOAuth2
from social_core.exceptions import AuthCanceled
from social_core.storage import BaseStorage, NonceMixin
from social_core.strategy import BaseStrategy

from tests.conformance.sandbox_process import CALLBACK, SCOPES, Member, SandboxProcess
from tests.conformance.test_tweepy import ToSandbox

HOSTS = ("https://api.twitter.com", "https://api.x.com")
Enrol = Callable[[str], Member]


class AnyToSandbox(ToSandbox):
    """Sends what is meant for X, under either of its names, to the sandbox."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        for host in HOSTS:
            request.url = str(request.url).replace(host, self._url, 1)
        return super().send(request, **kwargs)


@pytest.fixture(autouse=True)
def _to_sandbox(sandbox_x: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = requests.Session.__init__

    def made(self: requests.Session, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        for host in HOSTS:
            self.mount(host, AnyToSandbox(sandbox_x.url))

    monkeypatch.setattr(requests.Session, "__init__", made)


@pytest.fixture
def bot(enrol: Enrol) -> Member:
    return enrol("client")


@pytest.fixture
def app(sandbox_x: SandboxProcess, bot: Member) -> dict[str, Any]:
    return sandbox_x.play("apps", name=bot.username, redirect_uris=[CALLBACK], owner=bot.username)


def summons(sandbox_x: SandboxProcess, enrol: Enrol, bot: Member) -> str:
    ada = enrol("ada").username
    return sandbox_x.play("posts", **{"as": ada, "text": f"@{bot.username} hello"})["id"]


def written(sandbox_x: SandboxProcess, bot: Member) -> list[tuple[str, str | None]]:
    return [(post["text"], post["reply_to"]) for post in sandbox_x.posts_by(bot.username)]


def use_pytwitter(
    api: pytwitter.Api, sandbox_x: SandboxProcess, enrol: Enrol, bot: Member
) -> None:
    heard = summons(sandbox_x, enrol, bot)
    me = api.get_me(user_fields=["created_at", "public_metrics"]).data
    assert (me.id, me.username, me.public_metrics.tweet_count) == (bot.id, bot.username, 0)
    mentions = api.get_mentions(
        bot.id, tweet_fields=["author_id", "entities"], expansions=["author_id"], max_results=5
    )
    assert [post.id for post in mentions.data] == [heard]
    assert mentions.meta.result_count == 1
    post = api.create_tweet(text="Hello!", reply_in_reply_to_tweet_id=heard)
    assert written(sandbox_x, bot) == [("Hello!", heard)]
    assert api.get_tweet(post.id).data.text.endswith("Hello!")
    assert api.delete_tweet(post.id)["data"]["deleted"] is True


def test_pytwitter_logs_in_by_oauth1_reads_and_posts(
    sandbox_x: SandboxProcess, enrol: Enrol, bot: Member, app: dict[str, Any]
) -> None:
    api = pytwitter.Api(
        consumer_key=app["api_key"],
        consumer_secret=app["api_secret"],
        oauth_flow=True,
        callback_uri=CALLBACK,
    )
    back = sandbox_x.consent(api.get_authorize_url(), username=bot.username)
    token = api.generate_access_token(back)
    assert (token["user_id"], token["screen_name"]) == (bot.id, bot.username)
    use_pytwitter(api, sandbox_x, enrol, bot)


def test_pytwitter_logs_in_by_oauth2_reads_and_posts(
    sandbox_x: SandboxProcess, enrol: Enrol, bot: Member
) -> None:
    api = pytwitter.Api(
        client_id=bot.client_id,
        client_secret=bot.client_secret,
        oauth_flow=True,
        callback_uri=CALLBACK,
        scopes=list(SCOPES),
    )
    page, verifier, _ = api.get_oauth2_authorize_url()
    back = sandbox_x.consent(page, username=bot.username)
    token = api.generate_oauth2_access_token(back, verifier)
    assert token["refresh_token"]
    use_pytwitter(api, sandbox_x, enrol, bot)


def test_twython_logs_in_reads_and_posts(
    sandbox_x: SandboxProcess, enrol: Enrol, bot: Member, app: dict[str, Any]
) -> None:
    heard = summons(sandbox_x, enrol, bot)
    keys = app["api_key"], app["api_secret"]
    begun = twython.Twython(*keys).get_authentication_tokens(callback_url=CALLBACK)
    back = dict(
        parse_qsl(urlsplit(sandbox_x.consent(begun["auth_url"], username=bot.username)).query)
    )
    between = twython.Twython(*keys, begun["oauth_token"], begun["oauth_token_secret"])
    token = between.get_authorized_tokens(back["oauth_verifier"])
    assert token["screen_name"] == bot.username
    api = twython.Twython(*keys, token["oauth_token"], token["oauth_token_secret"])
    assert api.verify_credentials()["id_str"] == bot.id
    base = "https://api.twitter.com/2"
    assert api.get(f"{base}/users/me")["data"]["username"] == bot.username
    mentions = api.get(f"{base}/users/{bot.id}/mentions", {"max_results": 5})
    assert [post["id"] for post in mentions["data"]] == [heard]
    body = {"text": "Hello!", "reply": {"in_reply_to_tweet_id": heard}}
    api.post(f"{base}/tweets", body, json_encoded=True)
    assert written(sandbox_x, bot) == [("Hello!", heard)]
    # Its own methods speak X's older API, which X has closed.
    with pytest.raises(twython.TwythonError, match="limited v1"):
        api.update_status(status="Hello!")


class Nonce(NonceMixin):
    """States that were begun: each is good once."""

    begun: ClassVar[set[tuple[str, int, str]]] = set()

    @classmethod
    def use(cls, server_url: str, timestamp: int, salt: str) -> bool:
        cls.begun.add((server_url, timestamp, salt))
        return True

    @classmethod
    def consume(cls, server_url: str, timestamp: int, salt: str) -> bool:
        one = (server_url, timestamp, salt)
        return one in cls.begun and cls.begun.remove(one) is None


class Storage(BaseStorage):
    nonce = Nonce


class Strategy(BaseStrategy):
    """The part of a website that python-social-auth asks for: settings, a session, a request."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(Storage)
        self.settings = settings
        self.kept: dict[str, Any] = {}
        self.asked: dict[str, str] = {}

    def get_setting(self, name: str) -> Any:
        return self.settings[name]

    def request_data(self, merge: bool = True) -> dict[str, str]:  # noqa: FBT001, FBT002 - its name
        return self.asked

    def session_get(self, name: str, default: Any = None) -> Any:
        return self.kept.get(name, default)

    def session_set(self, name: str, value: Any) -> None:
        self.kept[name] = value

    def session_pop(self, name: str) -> Any:
        return self.kept.pop(name, None)

    def authenticate(self, backend: Any, *args: Any, **kwargs: Any) -> Any:
        return kwargs["response"]

    def unused(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    redirect = html = render_html = request_host = unused

    def build_absolute_uri(self, path: str | None = None) -> str:
        return path or ""


def backend_of(kind: type, strategy: Strategy, asked: dict[str, str]) -> Any:
    """A backend as a website makes one for each request."""
    strategy.asked = asked
    return kind(strategy, redirect_uri=CALLBACK)


def test_python_social_auth_logs_in_by_oauth1(
    sandbox_x: SandboxProcess, bot: Member, app: dict[str, Any]
) -> None:
    strategy = Strategy(
        SOCIAL_AUTH_TWITTER_KEY=app["api_key"], SOCIAL_AUTH_TWITTER_SECRET=app["api_secret"]
    )
    page = backend_of(TwitterOAuth, strategy, {}).auth_url()
    back = sandbox_x.consent(page, username=bot.username)
    asked = dict(parse_qsl(urlsplit(back).query))
    assert "redirect_state" in asked
    backend = backend_of(TwitterOAuth, strategy, asked)
    response = backend.auth_complete()
    assert backend.get_user_details(response)["username"] == bot.username
    assert response["access_token"]["user_id"] == bot.id


def test_python_social_auth_hears_of_a_refusal(
    sandbox_x: SandboxProcess, bot: Member, app: dict[str, Any]
) -> None:
    strategy = Strategy(
        SOCIAL_AUTH_TWITTER_KEY=app["api_key"], SOCIAL_AUTH_TWITTER_SECRET=app["api_secret"]
    )
    page = backend_of(TwitterOAuth, strategy, {}).auth_url()
    back = sandbox_x.consent(page, username=bot.username, decision="cancel")
    with pytest.raises(AuthCanceled):
        backend_of(TwitterOAuth, strategy, dict(parse_qsl(urlsplit(back).query))).auth_complete()


def test_python_social_auth_logs_in_by_oauth2(sandbox_x: SandboxProcess, bot: Member) -> None:
    strategy = Strategy(
        SOCIAL_AUTH_TWITTER_OAUTH2_KEY=bot.client_id,
        SOCIAL_AUTH_TWITTER_OAUTH2_SECRET=bot.client_secret,
    )
    page = backend_of(TwitterOAuth2, strategy, {}).auth_url()
    back = sandbox_x.consent(page, username=bot.username)
    asked = dict(parse_qsl(urlsplit(back).query))
    backend = backend_of(TwitterOAuth2, strategy, asked)
    response = backend.auth_complete()
    assert backend.get_user_details(response)["username"] == bot.username
