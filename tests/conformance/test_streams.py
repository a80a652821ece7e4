"""Unmodified tweepy and X's own SDK keep rules, hear the filtered stream and search.

How tweepy finds the sandbox is told in `test_tweepy.py`, how the SDK does in `test_xdk.py`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import tweepy
from xdk import Client
from xdk.connections.models import DeleteByUuidsRequest
from xdk.stream.models import UpdateRulesRequest
from xdk.streaming import StreamConfig, StreamError

from tests.conformance.sandbox_process import Member, SandboxProcess
from tests.conformance.test_tweepy import API, ToSandbox

WAIT_S = 10.0
Enrol = Callable[[str], Member]


@pytest.fixture
def bot(enrol: Enrol) -> Member:
    return enrol("streamer")


class Listener(tweepy.StreamingClient):
    """What a program of tweepy's users looks like."""

    def __init__(self, token: str, url: str) -> None:
        super().__init__(token, max_retries=0)
        self.session.mount(API, ToSandbox(url))
        self.connected = threading.Event()
        self.heard: queue.Queue[Any] = queue.Queue()

    def on_connect(self) -> None:
        self.connected.set()

    def on_response(self, response: tweepy.StreamResponse) -> None:
        self.heard.put(response)

    def on_request_error(self, status_code: int) -> None:
        self.heard.put(status_code)
        self.disconnect()


@pytest.fixture
def stream(sandbox_x: SandboxProcess, bot: Member) -> Iterator[Listener]:
    opened = Listener(bot.bearer_token, sandbox_x.url)
    yield opened
    opened.disconnect()
    opened.session.close()


def test_tweepy_keeps_rules(stream: Listener) -> None:
    made = stream.add_rules(
        [tweepy.StreamRule("cats has:images", tag="c"), tweepy.StreamRule("dogs")]
    )
    assert [(rule.value, rule.tag) for rule in made.data] == [
        ("cats has:images", "c"),
        ("dogs", None),
    ]
    again = stream.add_rules([tweepy.StreamRule("dogs"), tweepy.StreamRule("has:links")])
    assert [error["title"] for error in again.errors] == ["DuplicateRule", "UnprocessableEntity"]
    assert again.meta["summary"]["not_created"] == 2
    dry = stream.add_rules(tweepy.StreamRule("owls"), dry_run=True)
    assert dry.meta["summary"]["valid"] == 1
    listed = stream.get_rules()
    assert [rule.value for rule in listed.data] == ["cats has:images", "dogs"]
    gone = stream.delete_rules([rule.id for rule in listed.data])
    assert gone.meta["summary"] == {"deleted": 2, "not_deleted": 0}
    assert stream.get_rules().data is None


def test_tweepy_hears_what_its_rules_match(
    sandbox_x: SandboxProcess, stream: Listener, enrol: Enrol
) -> None:
    ada = enrol("ada")
    made = stream.add_rules([tweepy.StreamRule(f"cats from:{ada.username}", tag="cats")])
    thread = stream.filter(
        threaded=True,
        tweet_fields=["author_id"],
        expansions=["author_id", "attachments.media_keys"],
    )
    assert stream.connected.wait(WAIT_S)
    sandbox_x.play("posts", **{"as": ada.username, "text": "dogs"})
    post = sandbox_x.play("posts", **{"as": ada.username, "text": "Cats!", "media": ["photo"]})
    heard = stream.heard.get(timeout=WAIT_S)
    assert (heard.data.id, heard.data.author_id) == (int(post["id"]), int(ada.id))
    assert [rule.tag for rule in heard.matching_rules] == ["cats"]
    assert [str(rule.id) for rule in heard.matching_rules] == [made.data[0].id]
    assert [user.username for user in heard.includes["users"]] == [ada.username]
    assert [media.type for media in heard.includes["media"]] == ["photo"]
    stream.disconnect()
    sandbox_x.play("posts", **{"as": ada.username, "text": "cats again"})
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_tweepy_without_rules_is_told_409(stream: Listener) -> None:
    stream.filter()
    assert stream.heard.get_nowait() == 409


def test_tweepy_searches_with_operators(
    sandbox_x: SandboxProcess, bot: Member, enrol: Enrol
) -> None:
    ada = enrol("ada")
    client = tweepy.Client(bot.bearer_token)
    client.session.mount(API, ToSandbox(sandbox_x.url))
    made = [
        sandbox_x.play("posts", **{"as": ada.username, "text": text})
        for text in ("cats #pets", "cats", "dogs #pets")
    ]
    found = client.search_recent_tweets(f"from:{ada.username} (cats OR dogs) has:hashtags")
    assert [post.id for post in found.data] == [int(made[2]["id"]), int(made[0]["id"])]
    with pytest.raises(tweepy.BadRequest, match="Reference to invalid operator 'since'"):
        client.search_recent_tweets("cats since:2020")
    client.session.close()


@pytest.fixture
def app(
    sandbox_x: SandboxProcess, bot: Member, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Client(base_url=sandbox_x.url, bearer_token=bot.bearer_token)
    yield made
    made.session.close()


def change(**body: Any) -> UpdateRulesRequest:
    return UpdateRulesRequest(**body)


def test_xdk_keeps_rules(app: Client) -> None:
    made = app.stream.update_rules(change(add=[{"value": "cats", "tag": "c"}]))
    assert [(rule.value, rule.tag) for rule in made.data] == [("cats", "c")]
    # A refused rule it cannot read: its models know no `invalid-rules`, which X's pages have.
    listed = [rule for page in app.stream.get_rules() for rule in page.data]
    assert [rule.id for rule in listed] == [made.data[0].id]
    gone = app.stream.update_rules(change(delete={"ids": [listed[0].id]}))
    assert gone.meta.summary["deleted"] == 1


def test_xdk_hears_matching_posts_and_closes_its_connections(
    sandbox_x: SandboxProcess, app: Client, enrol: Enrol
) -> None:
    ada = enrol("ada")
    app.stream.update_rules(change(add=[{"value": f"from:{ada.username}", "tag": "ada"}]))
    connected = threading.Event()
    heard: queue.Queue[Any] = queue.Queue()
    config = StreamConfig(max_retries=0, timeout=WAIT_S, on_connect=connected.set)

    def listen() -> None:
        try:
            for event in app.stream.posts(stream_config=config):
                heard.put(event)
        except StreamError as error:
            heard.put(error)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert connected.wait(WAIT_S)
    post = sandbox_x.play("posts", **{"as": ada.username, "text": "cats"})
    event = heard.get(timeout=WAIT_S)
    assert event.data.id == post["id"]
    assert [rule.tag for rule in event.matching_rules] == ["ada"]

    with pytest.raises(StreamError, match="429"):
        next(app.stream.posts(stream_config=StreamConfig(max_retries=0, timeout=WAIT_S)))
    listed = [one for page in app.connections.get_connection_history() for one in page.data]
    assert [one.endpoint_name for one in listed] == ["filtered_stream"]
    # Without rules the SDK, which connects again when a stream ends, is refused and gives up.
    app.stream.update_rules(change(), delete_all=True)
    closed = app.connections.delete_by_uuids(DeleteByUuidsRequest(uuids=[listed[0].id]))
    assert closed.data.successful_kills == 1
    listener.join(WAIT_S)
    assert not listener.is_alive()


def test_xdk_counts_rules_and_searches(
    sandbox_x: SandboxProcess, app: Client, enrol: Enrol
) -> None:
    ada = enrol("ada")
    assert app.stream.get_rule_counts().data.client_app_rules_count.rule_count == 0
    post = sandbox_x.play("posts", **{"as": ada.username, "text": "cats"})
    sandbox_x.play("likes", **{"as": ada.username, "post": post["id"]})
    query = f"cats from:{ada.username} min_likes:1"
    found = [one for page in app.posts.search_recent(query=query) for one in page.data]
    assert [one.id for one in found] == [post["id"]]
    with pytest.raises(requests.HTTPError):
        next(iter(app.posts.search_recent(query="has:media")))
