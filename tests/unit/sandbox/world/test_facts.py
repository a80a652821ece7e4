"""Likes, follows, reposts and deletions as facts of the world."""

from __future__ import annotations

import pytest

from botkit.sandbox.world.actors import Actor
from botkit.sandbox.world.world import UnknownThingError


@pytest.fixture
def actors(peer):
    greeter, ada = (
        Actor(peer.world, user, peer.clock.at_rest) for user in (peer.greeter, peer.ada)
    )
    return greeter, ada


@pytest.fixture
def told(peer):
    happenings = []
    peer.world.listeners.append(lambda one: happenings.append(one.kind))
    return happenings


async def test_a_like_counts_once_and_can_be_taken_back(peer, actors, told):
    greeter, ada = actors
    post = await greeter.posts("news")
    await ada.likes(post)
    await ada.likes(post.id)
    assert told == ["post", "like"]
    assert list(post.likes) == [ada.id]
    assert peer.world.liked_by(ada.id) == [post]
    await ada.likes(post, on=False)
    assert (dict(post.likes), peer.world.liked_by(ada.id)) == ({}, [])


async def test_a_repost_shows_the_post_once_with_what_stands_in_it(peer, actors, told):
    greeter, ada = actors
    post = await greeter.posts("hi @ada #one example.com")
    repost = await ada.reposts(post)
    again = await greeter.reposts(repost)
    assert await ada.reposts(post) is repost
    assert told == ["post"] * 3
    assert repost.text == f"RT @greeter: {post.text}"
    shown = [repost.text[one.start : one.end] for one in (*repost.names, *repost.hashtags)]
    assert shown == ["@greeter", "@ada", "#one"]
    assert repost.text[repost.links[0].start : repost.links[0].end] == post.links[0].url
    assert again.reposted_id == post.id
    assert list(peer.world.reposts_of(post.id)) == [ada.id, greeter.id]
    assert peer.world.count("reposts", post.id) == 2
    assert peer.world.posts_naming(greeter.id) == []


async def test_a_long_repost_is_cut_and_has_no_entities_beyond_the_cut(actors):
    greeter, ada = actors
    post = await greeter.posts("word " * 30 + "#late @ada")
    repost = await ada.reposts(post)
    assert len(repost.text) == 140
    assert repost.text.endswith("\u2026")
    assert repost.hashtags == ()
    assert [one.username for one in repost.names] == ["greeter"]


async def test_a_repost_can_be_taken_back_and_made_anew(peer, actors):
    greeter, ada = actors
    post = await greeter.posts("news")
    repost = await ada.reposts(post)
    await ada.deletes(repost)
    assert peer.world.reposts_of(post.id) == {}
    assert await ada.reposts(post) is not repost


async def test_a_deleted_post_takes_its_reposts_and_likes_with_it(peer, actors, told):
    greeter, ada = actors
    post = await greeter.posts("news")
    repost = await ada.reposts(post)
    await ada.likes(post)
    await greeter.deletes(post)
    assert told == ["post", "post", "like", "delete"]
    assert repost.deleted
    assert peer.world.liked_by(ada.id) == []
    assert peer.world.count("posts", ada.id) == 0
    with pytest.raises(UnknownThingError):
        await ada.likes(post)


async def test_the_home_timeline_has_those_whom_the_user_follows_and_the_user(peer, actors, told):
    greeter, ada = actors
    await ada.follows("greeter")
    await ada.follows("greeter")
    bob = peer.world.add_user("bob")
    peer.world.add_post(bob.id, "unseen")
    news, own = await greeter.posts("news"), await ada.posts("mine")
    assert peer.world.home_of(ada.id) == [news, own]
    assert list(peer.greeter.followers) == [ada.id]
    await ada.follows("greeter", on=False)
    assert peer.world.home_of(ada.id) == [own]
    assert told == ["follow", "post", "post", "post", "unfollow"]


async def test_a_post_has_the_language_and_media_that_it_was_made_with(actors):
    _, ada = actors
    post = await ada.posts("hola", lang="es", media=("photo",))
    assert (post.lang, post.media) == ("es", ("photo",))
    with pytest.raises(ValueError, match="no such media"):
        await ada.posts("hola", media=("poster",))


async def test_a_list_has_its_members_and_counts_for_them(peer, actors):
    greeter, ada = actors
    made = await greeter.lists("Cats", ada, "greeter", private=True)
    assert (made.owner_id, list(made.members), made.private) == (
        greeter.id,
        [ada.id, greeter.id],
        True,
    )
    assert peer.world.lists.get(made.id) is made
