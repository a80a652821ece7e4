"""Direct messages."""

from __future__ import annotations

import pytest

DM = "dm.read dm.write tweet.read users.read"


@pytest.fixture
def token(peer):
    return peer.token(DM)


def _conversation(peer):
    return f"{peer.greeter.id}-{peer.ada.id}"


async def test_a_message_to_a_user_starts_the_conversation_of_the_two(peer, read, token):
    answer = await peer.call(
        "POST",
        f"/2/dm_conversations/with/{peer.ada.id}/messages",
        token=token,
        body={"text": "hello"},
    )

    data = read(answer)["data"]
    assert answer.status == 201
    assert data["dm_conversation_id"] == _conversation(peer)
    assert peer.world.messages[data["dm_event_id"]].text == "hello"


async def test_a_message_to_a_conversation_goes_to_the_other_one(peer, read, token):
    answer = await peer.call(
        "POST",
        f"/2/dm_conversations/{_conversation(peer)}/messages",
        token=token,
        body={"text": "hello"},
    )

    assert peer.world.messages[read(answer)["data"]["dm_event_id"]].recipient_id == peer.ada.id


async def test_a_foreign_conversation_is_closed(peer, token):
    answer = await peer.call(
        "POST", "/2/dm_conversations/1-2/messages", token=token, body={"text": "hello"}
    )

    assert answer.status == 403


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "x", "more": 1}, b"[]"])
async def test_a_message_needs_a_text_and_nothing_unknown(peer, token, body):
    answer = await peer.call(
        "POST", f"/2/dm_conversations/with/{peer.ada.id}/messages", token=token, body=body
    )

    assert answer.status == 400


async def test_a_user_that_cannot_be_messaged_is_code_349(peer, read, token):
    for user_id in ("99", peer.greeter.id):
        answer = await peer.call(
            "POST",
            f"/2/dm_conversations/with/{user_id}/messages",
            token=token,
            body={"text": "x"},
        )
        assert (answer.status, read(answer)["errors"][0]["code"]) == (403, 349)


async def test_messages_need_the_scopes_for_messages(peer):
    token = peer.token("tweet.read users.read dm.read")

    answer = await peer.call(
        "POST",
        f"/2/dm_conversations/with/{peer.ada.id}/messages",
        token=token,
        body={"text": "x"},
    )

    assert answer.status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/2/dm_events",
        "/2/dm_conversations/with/{ada}/dm_events",
        "/2/dm_conversations/{both}/dm_events",
    ],
)
async def test_messages_are_read_newest_first_with_their_senders(peer, read, token, path):
    theirs = peer.world.add_message(peer.ada.id, peer.greeter.id, "hi")
    mine = peer.world.add_message(peer.greeter.id, peer.ada.id, "hello")
    where = path.format(ada=peer.ada.id, both=_conversation(peer))

    answer = await peer.call(
        "GET",
        f"{where}?dm_event.fields=created_at,dm_conversation_id,sender_id&expansions=sender_id",
        token=token,
    )

    body = read(answer)
    assert [one["id"] for one in body["data"]] == [mine.id, theirs.id]
    assert body["data"][0]["event_type"] == "MessageCreate"
    assert body["data"][0]["sender_id"] == peer.greeter.id
    assert body["data"][0]["dm_conversation_id"] == _conversation(peer)
    assert {user["username"] for user in body["includes"]["users"]} == {"ada", "greeter"}


async def test_what_others_say_to_each_other_is_not_seen(peer, read, token):
    bob = peer.world.add_user("bob")
    secret = peer.world.add_message(peer.ada.id, bob.id, "psst")

    listed = await peer.call("GET", "/2/dm_events", token=token)
    single = await peer.call("GET", f"/2/dm_events/{secret.id}", token=token)

    assert read(listed) == {"meta": {"result_count": 0}}
    assert read(single)["errors"][0]["title"] == "Not Found Error"


async def test_messages_older_than_thirty_days_are_out_of_reach(peer, read):
    peer.world.add_message(peer.ada.id, peer.greeter.id, "long ago")
    await peer.clock.advance(30 * 24 * 3600 + 1)

    answer = await peer.call("GET", "/2/dm_events", token=peer.token(DM))

    assert read(answer)["meta"]["result_count"] == 0


async def test_a_deleted_message_is_gone_for_the_one_who_deleted_it_only(peer, read, token):
    message = peer.world.add_message(peer.ada.id, peer.greeter.id, "hi")

    single = await peer.call("GET", f"/2/dm_events/{message.id}", token=token)
    await peer.call("DELETE", f"/2/dm_events/{message.id}", token=token)

    assert read(single)["data"]["text"] == "hi"
    assert not peer.world.messages_of(peer.greeter.id)
    assert peer.world.messages_of(peer.ada.id) == [message]
