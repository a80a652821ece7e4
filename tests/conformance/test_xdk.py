"""X's own Python SDK, unmodified, logs in, reads, writes, refreshes and hears the activity stream.

It is generated from X's OpenAPI document, so each answer is also held against that document's
models. It sends the document's new names (`post.fields`), where tweepy sends the old ones.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from oauthlib.oauth2.rfc6749.errors import InvalidClientIdError
from xdk import Client
from xdk.activity.models import CreateSubscriptionRequest
from xdk.posts.models import CreateRequest
from xdk.schemas import CreatePostsReply
from xdk.streaming import StreamConfig, StreamError, StreamErrorType

from tests.conformance.sandbox_process import CALLBACK, SCOPES, Member, SandboxProcess

WAIT_S = 10.0
Enrol = Callable[[str], Member]


@pytest.fixture(autouse=True)
def _plain_http_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's OAuth library takes plain http only if it is told so."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def bot(enrol: Enrol) -> Member:
    return enrol("sdkuser")


def opened(sandbox_x: SandboxProcess, bot: Member, **more: Any) -> Client:
    return Client(
        base_url=sandbox_x.url,
        authorization_base_url=f"{sandbox_x.url}/i",
        client_id=bot.client_id,
        client_secret=bot.client_secret,
        redirect_uri=CALLBACK,
        scope=list(SCOPES),
        **more,
    )


def log_in(sandbox_x: SandboxProcess, client: Client, bot: Member) -> dict[str, Any]:
    back = sandbox_x.consent(client.get_authorization_url(), username=bot.username)
    return client.exchange_code(parse_qs(urlsplit(back).query)["code"][0])


@pytest.fixture
def client(sandbox_x: SandboxProcess, bot: Member) -> Iterator[Client]:
    """A client that has logged in by its own PKCE flow."""
    made = opened(sandbox_x, bot)
    log_in(sandbox_x, made, bot)
    yield made
    made.session.close()


@pytest.fixture
def app(sandbox_x: SandboxProcess, bot: Member) -> Iterator[Client]:
    """The app itself: a client with the bearer only."""
    made = Client(base_url=sandbox_x.url, bearer_token=bot.bearer_token)
    yield made
    made.session.close()


def test_xdk_logs_in_with_pkce(sandbox_x: SandboxProcess, bot: Member) -> None:
    made = opened(sandbox_x, bot)
    tokens = log_in(sandbox_x, made, bot)
    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 7200
    assert set(tokens["scope"].split()) == set(SCOPES)
    assert tokens["refresh_token"]
    made.session.close()


def test_xdk_with_a_foreign_verifier_gets_nothing(sandbox_x: SandboxProcess, bot: Member) -> None:
    made = opened(sandbox_x, bot)
    back = sandbox_x.consent(made.get_authorization_url(), username=bot.username)
    code = parse_qs(urlsplit(back).query)["code"][0]
    with pytest.raises(ValueError, match=r"400.*authorization code was invalid"):
        made.exchange_code(code, code_verifier="v" * 43)
    made.session.close()


def test_xdk_reads_users(client: Client, bot: Member, enrol: Enrol) -> None:
    ada = enrol("ada")
    # X answers in the spelling it is asked in, and the SDK reads counts in the newer one only.
    me = client.users.get_me(user_fields=["created_at", "public_metrics"], post_fields=["id"])
    assert me.data.public_metrics.post_count == 0
    assert (me.data.id, me.data.username) == (bot.id, bot.username)
    both = client.users.get_by_ids(ids=[ada.id, bot.id])
    assert [user.username for user in both.data] == [ada.username, bot.username]
    named = client.users.get_by_usernames(usernames=[ada.username, "nobody_at_all"])
    assert [user.id for user in named.data] == [ada.id]
    assert named.errors[0].title == "Not Found Error"


def test_xdk_reads_posts_by_the_new_names_and_pages_through_mentions(
    client: Client, sandbox_x: SandboxProcess, bot: Member, enrol: Enrol
) -> None:
    ada = enrol("ada")
    texts = [f"@{bot.username} number {number}" for number in range(7)]
    made = [sandbox_x.play("posts", **{"as": ada.username, "text": text}) for text in texts]

    one = client.posts.get_by_id(
        made[0]["id"],
        post_fields=["conversation_id", "created_at", "entities"],
        expansions=["author_id"],
    )
    assert one.data.text == texts[0]
    assert one.data.author_id == ada.id
    assert one.data.conversation_id == made[0]["id"]
    assert [user.username for user in one.includes.users] == [ada.username]

    two = client.posts.get_by_ids(ids=[made[0]["id"], made[1]["id"]])
    assert [post.text for post in two.data] == texts[:2]

    pages = list(client.users.get_mentions(bot.id, max_results=5))
    assert [page.meta.result_count for page in pages] == [5, 2]
    assert [post.text for page in pages for post in page.data] == texts[::-1]


def test_xdk_posts_replies_and_deletes(
    client: Client, sandbox_x: SandboxProcess, bot: Member, enrol: Enrol
) -> None:
    summons = sandbox_x.play(
        "posts", **{"as": enrol("ada").username, "text": f"@{bot.username} hello"}
    )
    first = client.posts.create(CreateRequest(text="Good morning"))
    reply = client.posts.create(
        CreateRequest(text="Hello!", reply=CreatePostsReply(in_reply_to_tweet_id=summons["id"]))
    )
    posts = sandbox_x.posts_by(bot.username)
    assert [(post["id"], post["text"], post["reply_to"]) for post in posts] == [
        (first.data.id, "Good morning", None),
        (reply.data.id, "Hello!", summons["id"]),
    ]
    assert client.posts.delete(first.data.id).data.deleted is True
    assert [post["id"] for post in sandbox_x.posts_by(bot.username)] == [reply.data.id]


def test_xdk_is_told_why_a_write_is_refused(client: Client) -> None:
    client.posts.create(CreateRequest(text="once"))
    with pytest.raises(requests.HTTPError) as refused:
        client.posts.create(CreateRequest(text="once"))
    assert refused.value.response.status_code == 403
    assert "duplicate content" in refused.value.response.json()["detail"]


def test_xdk_refreshes_and_an_old_refresh_token_is_dead(
    sandbox_x: SandboxProcess, bot: Member
) -> None:
    made = opened(sandbox_x, bot)
    first = log_in(sandbox_x, made, bot)
    made.session.close()
    # As after a restart: a client made from the stored tokens.
    restarted = opened(sandbox_x, bot, token=dict(first))
    second = restarted.refresh_token()
    assert second["refresh_token"] != first["refresh_token"]
    assert restarted.users.get_me().data.username == bot.username
    restarted.session.close()

    stale = opened(sandbox_x, bot, token=dict(first))
    with pytest.raises(InvalidClientIdError, match="Value passed for the token was invalid"):
        stale.refresh_token()
    stale.session.close()


def test_xdk_renews_an_access_token_that_is_over_before_it_asks(
    sandbox_x: SandboxProcess, bot: Member
) -> None:
    made = opened(sandbox_x, bot)
    first = log_in(sandbox_x, made, bot)
    made.session.close()
    expired = opened(sandbox_x, bot, token=dict(first) | {"expires_at": 0})
    assert expired.users.get_me().data.id == bot.id
    assert expired.token["refresh_token"] != first["refresh_token"]
    expired.session.close()


def test_xdk_subscribes_with_the_users_token_and_lists_with_the_apps(
    client: Client, app: Client, bot: Member
) -> None:
    made = client.activity.create_subscription(
        CreateSubscriptionRequest(
            event_type="post.mention.create", filter={"user_id": bot.id}, tag="conformance"
        )
    ).data.subscription
    assert (made.event_type, made.tag) == ("post.mention.create", "conformance")
    assert made.filter.user_id == bot.id
    listed = [one for page in app.activity.get_subscriptions() for one in page.data]
    assert [one.subscription_id for one in listed] == [made.subscription_id]
    assert app.activity.delete_subscription(made.subscription_id).data.deleted is True
    assert [page.data for page in app.activity.get_subscriptions()] == [None]


def test_xdk_hears_a_mention_and_a_post_on_the_activity_stream(
    sandbox_x: SandboxProcess, client: Client, app: Client, bot: Member, enrol: Enrol
) -> None:
    ada = enrol("ada")
    for kind, user in (("post.mention.create", bot), ("post.create", ada)):
        client.activity.create_subscription(
            CreateSubscriptionRequest(event_type=kind, filter={"user_id": user.id}, tag=kind)
        )
    connected = threading.Event()
    heard: queue.Queue[Any] = queue.Queue()
    events = app.stream.activity(
        stream_config=StreamConfig(max_retries=0, timeout=WAIT_S, on_connect=connected.set)
    )
    listener = threading.Thread(target=take, args=(events, heard, 3), daemon=True)
    listener.start()
    assert connected.wait(WAIT_S)
    plain = sandbox_x.play("posts", **{"as": ada.username, "text": "Good morning"})
    named = sandbox_x.play("posts", **{"as": ada.username, "text": f"@{bot.username} hello"})
    listener.join(WAIT_S)
    assert not listener.is_alive()

    found = [heard.get_nowait().data for _ in range(3)]
    sent = [event.model_dump(by_alias=True)["payload"] for event in found]
    assert sorted(
        (e.event_type, e.tag, post["id"]) for e, post in zip(found, sent, strict=True)
    ) == [
        ("post.create", "post.create", plain["id"]),
        ("post.create", "post.create", named["id"]),
        ("post.mention.create", "post.mention.create", named["id"]),
    ]
    assert {post["author_id"] for post in sent} == {ada.id}
    assert len({event.event_uuid for event in found}) == 3


def take(events: Generator[Any], heard: queue.Queue[Any], wanted: int) -> None:
    """Put so many events, or what ends the stream, into the queue."""
    with contextlib.closing(events):
        try:
            for _ in range(wanted):
                heard.put(next(events))
        except StreamError as error:
            heard.put(error)


def test_xdk_with_a_users_token_is_refused_the_stream(client: Client) -> None:
    with pytest.raises(StreamError) as refused:
        next(client.stream.activity(stream_config=StreamConfig(max_retries=0, timeout=WAIT_S)))
    assert refused.value.error_type is StreamErrorType.AUTHENTICATION_ERROR
    assert refused.value.status_code == 403
