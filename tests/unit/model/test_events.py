"""Events say what happened by their keys, however they came."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from botkit.model.events import (
    AccountState,
    GrantRevoked,
    Mention,
    PostSeen,
    Signal,
    UnknownEvent,
    XEvent,
)
from botkit.model.posts import Post
from botkit.model.users import User

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ADA = User(id="7", username="ada", name="Ada")


def test_a_post_has_one_key_for_each_version_whoever_delivered_it() -> None:
    first = Post(id="10", text="a", edit_history=("10", "11"))
    second = Post(id="11", text="b", edit_history=("10", "11"))
    mention = Mention(account_id="1", at=NOW, source="activity", post=first, author=ADA)
    seen = PostSeen(account_id="1", at=NOW, source="mentions", post=first, author=ADA)
    edited = Mention(account_id="1", at=NOW, post=second, author=ADA)
    assert mention.key == seen.key == "post/10/0"
    assert edited.key == "post/11/1"
    assert second.original_id == "10"


def test_an_event_of_no_kind_has_no_key() -> None:
    with pytest.raises(TypeError, match="XEvent"):
        XEvent(account_id="1", at=NOW).key  # noqa: B018


def test_what_concerns_one_actor_or_thing_is_one_lane() -> None:
    bare = UnknownEvent(account_id="1", at=NOW, kind="news.new", subject_id="5")
    acted = UnknownEvent(account_id="1", at=NOW, kind="like.create", subject_id="5", actor_id="7")
    assert bare.lane == bare.key == "news.new/5/"
    assert acted.lane == "actor/7"
    assert GrantRevoked(account_id="1", at=NOW, user_id="1").key.startswith("revoke/1//2026")


def test_a_change_of_a_login_is_one_event_and_those_of_one_login_are_in_order() -> None:
    dead = AccountState(
        account_id="1",
        at=NOW,
        username="greeter",
        app="default",
        credential="UserToken",
        gen=3,
        status="DEAD",
        before="UNCERTAIN",
    )
    assert dead.since == NOW
    assert dead.key == "account_state/default/UserToken/3/DEAD/2026-01-02T00:00:00+00:00"
    assert dead.lane == "account_state/default/UserToken"


def test_a_signal_is_stored_by_its_class_name() -> None:
    class Ring(Signal, frozen=True, kw_only=True):
        bell: str

    assert Ring.signal_name == "Ring"
