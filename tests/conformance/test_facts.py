"""Unmodified tweepy and X's own SDK like, repost, follow, keep lists and read timelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import tweepy
from xdk import Client
from xdk.lists.models import AddMemberRequest
from xdk.lists.models import CreateRequest as NewList
from xdk.users.models import RepostPostRequest

from tests.conformance.sandbox_process import Member, SandboxProcess
from tests.conformance.test_tweepy import API, ToSandbox

SCOPES = (
    "tweet.read tweet.write users.read like.read like.write follows.read follows.write"
    " list.read list.write timeline.read"
)
Enrol = Callable[[str], Member]


@pytest.fixture
def bot(enrol: Enrol) -> Member:
    return enrol("member")


@pytest.fixture
def token(sandbox_x: SandboxProcess, bot: Member) -> str:
    """A user token of an Enterprise app: X lets no other like and follow."""
    app = sandbox_x.play("apps", name="big", owner=bot.username, enterprise=True)
    body = {"as": bot.username, "client_id": app["client_id"], "scopes": SCOPES}
    return sandbox_x.play("grants", **body)["access_token"]


@pytest.fixture
def client(sandbox_x: SandboxProcess, token: str) -> Iterator[tweepy.Client]:
    opened = tweepy.Client(token)
    opened.session.mount(API, ToSandbox(sandbox_x.url))
    yield opened
    opened.session.close()


@pytest.fixture
def sdk(
    sandbox_x: SandboxProcess, token: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Client(base_url=sandbox_x.url, access_token=token)
    yield made
    made.session.close()


def test_tweepy_likes_reposts_follows_and_reads_the_home_timeline(
    sandbox_x: SandboxProcess, bot: Member, client: tweepy.Client, enrol: Enrol
) -> None:
    ada = enrol("ada")
    post = sandbox_x.play("posts", **{"as": ada.username, "text": "news"})["id"]
    assert client.like(post, user_auth=False).data == {"liked": True}
    assert client.retweet(post, user_auth=False).data["retweeted"] is True
    followed = client.follow_user(ada.id, user_auth=False)
    assert followed.data == {"following": True, "pending_follow": False}
    assert [user.username for user in client.get_liking_users(post).data] == [bot.username]
    assert [user.username for user in client.get_retweeters(post).data] == [bot.username]
    assert [one.id for one in client.get_liked_tweets(bot.id).data] == [int(post)]
    assert [user.id for user in client.get_users_followers(ada.id).data] == [int(bot.id)]
    assert [user.id for user in client.get_users_following(bot.id).data] == [int(ada.id)]
    home = client.get_home_timeline(user_auth=False, exclude=["retweets"])
    assert [one.id for one in home.data] == [int(post)]
    assert client.unlike(post, user_auth=False).data == {"liked": False}
    assert client.unretweet(post, user_auth=False).data == {"retweeted": False}
    assert client.unfollow_user(ada.id, user_auth=False).data == {"following": False}


def test_tweepy_keeps_a_list(
    sandbox_x: SandboxProcess, bot: Member, client: tweepy.Client, enrol: Enrol
) -> None:
    ada = enrol("ada")
    post = sandbox_x.play("posts", **{"as": ada.username, "text": "news"})["id"]
    made = client.create_list("Cats", description="all", user_auth=False).data
    list_id = made["id"]
    client.add_list_member(list_id, ada.id, user_auth=False)
    assert [user.id for user in client.get_list_members(list_id).data] == [int(ada.id)]
    assert [one.id for one in client.get_list_tweets(list_id).data] == [int(post)]
    shown = client.get_list(list_id, list_fields=["member_count", "owner_id"]).data
    assert (shown.member_count, shown.owner_id) == (1, bot.id)
    assert [one.name for one in client.get_owned_lists(bot.id).data] == ["Cats"]
    assert [one.name for one in client.get_list_memberships(ada.id).data] == ["Cats"]
    client.pin_list(list_id, user_auth=False)
    assert [one.name for one in client.get_pinned_lists(user_auth=False).data] == ["Cats"]
    client.remove_list_member(list_id, ada.id, user_auth=False)
    assert client.delete_list(list_id, user_auth=False).data == {"deleted": True}


def test_xdk_keeps_a_list_and_reposts(
    sandbox_x: SandboxProcess, bot: Member, sdk: Client, enrol: Enrol
) -> None:
    ada = enrol("ada")
    post = sandbox_x.play("posts", **{"as": ada.username, "text": "news"})["id"]
    made = sdk.lists.create(NewList(name="Cats")).data
    assert sdk.lists.add_member(made.id, AddMemberRequest(user_id=ada.id)).data.is_member is True
    posts = [one for page in sdk.lists.get_posts(made.id) for one in page.data]
    assert [one.id for one in posts] == [post]
    members = [one for page in sdk.lists.get_members(made.id) for one in page.data]
    assert [one.username for one in members] == [ada.username]
    done = sdk.users.repost_post(bot.id, RepostPostRequest(tweet_id=post))
    assert done.data.retweeted is True
    home = [one for page in sdk.users.get_timeline(bot.id) for one in page.data]
    assert [one.text for one in home] == [f"RT @{ada.username}: news"]
    assert sdk.lists.delete(made.id).data.deleted is True
