"""What users do, and how botkit reads the events that X makes of it."""

from __future__ import annotations

import pytest

from botkit.model.events import DirectMessage, GrantRevoked, Mention, PostSeen, Quote, Reply
from botkit.protocol.events.activity import decode_line
from botkit.sandbox.world.actors import Actor
from botkit.sandbox.world.world import UnknownThingError

KINDS = (
    "post.mention.create",
    "post.reply.create",
    "post.quote.create",
    "dm.received",
    "post.create",
    "post.delete",
    "follow.follow",
)


@pytest.fixture
async def ada(peer):
    return Actor(peer.world, peer.ada, peer.clock.at_rest)


@pytest.fixture
async def heard(peer):
    token = peer.token("tweet.read users.read dm.read")
    for kind in KINDS:
        body = {"event_type": kind, "filter": {"user_id": peer.greeter.id}}
        await peer.call("POST", "/2/activity/subscriptions", token=token, body=body)
    body = {"event_type": "oauth.revoke", "filter": {}}
    await peer.call("POST", "/2/activity/subscriptions", token=peer.app.bearer, body=body)
    answer = await peer.call("GET", "/2/activity/stream", token=peer.app.bearer)

    async def next_event():
        return decode_line((await anext(answer.stream)).removesuffix(b"\r\n"))

    return next_event


async def test_an_actor_has_a_name_and_an_id(peer, ada):
    assert (ada.username, ada.id) == ("ada", peer.ada.id)


async def test_a_post_that_names_the_account_is_a_mention(ada, heard):
    post = await ada.posts("@greeter hello")

    event = await heard()

    assert isinstance(event, Mention)
    assert (event.id, event.text) == (post.id, "@greeter hello")
    assert event.author.username == "ada"
    assert event.is_summoned


async def test_an_answer_is_a_reply_whose_author_is_to_be_looked_up(peer, ada, heard):
    mine = peer.world.add_post(peer.greeter.id, "news")
    assert isinstance(await heard(), PostSeen)  # the account's own post
    await ada.replies(mine, "why?")

    event = await heard()

    assert isinstance(event, Reply)
    assert event.is_reply_to_me
    assert event.author.id == ada.id
    assert "author" in event.missing


async def test_a_quote_is_a_quote(peer, ada, heard):
    mine = peer.world.add_post(peer.greeter.id, "news")
    await heard()
    await ada.quotes(mine.id, "look")

    event = await heard()

    assert isinstance(event, Quote)
    assert event.post.quoted_post_id == mine.id


async def test_a_message_is_a_direct_message(peer, ada, heard):
    await ada.messages("greeter", "hi")

    event = await heard()

    assert isinstance(event, DirectMessage)
    assert (event.text, event.sender.username) == ("hi", "ada")


async def test_a_revocation_is_heard(peer, heard):
    await Actor(peer.world, peer.greeter, peer.clock.at_rest).revokes()

    event = await heard()

    assert isinstance(event, GrantRevoked)
    assert event.user_id == peer.greeter.id


async def test_follows_are_heard_of_both_ends(peer, ada, heard):
    greeter = Actor(peer.world, peer.greeter, peer.clock.at_rest)
    await ada.follows("greeter")
    await greeter.follows(ada)
    await ada.follows(greeter, on=False)

    first, second = await heard(), await heard()

    assert (first.kind, second.kind) == ("follow.follow", "follow.follow")
    assert peer.greeter.id not in peer.ada.following
    assert peer.ada.id in peer.greeter.following


async def test_follows_among_others_are_not_heard(peer, ada, heard):
    peer.world.add_user("bob")
    await ada.follows("bob")
    await ada.posts("@greeter hello")

    assert isinstance(await heard(), Mention)


async def test_an_actor_deletes_and_messages_other_actors(peer, ada):
    greeter = Actor(peer.world, peer.greeter, peer.clock.at_rest)
    post = await ada.posts("oops")
    await ada.deletes(post)
    await ada.messages(greeter, "hi")

    assert not peer.world.posts_by(ada.id)
    assert [message.text for message in peer.world.messages_of(greeter.id)] == ["hi"]


async def test_what_is_not_there_cannot_be_acted_on(peer, ada):
    with pytest.raises(UnknownThingError, match="no post '7'"):
        await ada.replies("7", "x")
    with pytest.raises(UnknownThingError, match="no user 'nobody'"):
        await ada.messages("nobody", "x")
