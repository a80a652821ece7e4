"""Making, reading and deleting posts."""

from __future__ import annotations

import json
import weakref

import pytest

ALL = (
    "tweet.fields=author_id,conversation_id,created_at,display_text_range,entities,"
    "in_reply_to_user_id,referenced_tweets,lang,reply_settings"
)
UNSUMMONED = {
    "detail": "Reply to this conversation is not allowed because you have not been mentioned or"
    " otherwise engaged by the author of the post you are replying to.",
    "type": "about:blank",
    "title": "Forbidden",
    "status": 403,
}


async def _create(peer, text="hi", *, token=None, **body):
    return await peer.call(
        "POST", "/2/tweets", token=token or _token(peer), body={"text": text, **body}
    )


_TOKENS = weakref.WeakKeyDictionary()


def _token(peer):
    # One grant for a test: a second one would end the first.
    if peer not in _TOKENS:
        _TOKENS[peer] = peer.token()
    return _TOKENS[peer]


def _to(post):
    return {"in_reply_to_tweet_id": post.id}


async def test_a_post_is_made_and_can_be_read(peer, read):
    made = await _create(peer, "Good morning")
    post_id = read(made)["data"]["id"]

    answer = await peer.call("GET", f"/2/tweets/{post_id}", token=peer.app.bearer)

    assert made.status == 201
    assert read(made)["data"]["text"] == "Good morning"
    assert read(answer) == {
        "data": {
            "id": post_id,
            "text": "Good morning",
            "edit_history_tweet_ids": [post_id],
        }
    }


async def test_fields_and_expansions_are_given_when_asked_for(peer, read):
    head = peer.world.add_post(peer.ada.id, "@greeter hello")
    made = read(await _create(peer, "Hello!", reply=_to(head)))["data"]

    answer = await peer.call(
        "GET",
        f"/2/tweets/{made['id']}?{ALL}"
        "&expansions=author_id,referenced_tweets.id,in_reply_to_user_id&user.fields=protected",
        token=peer.app.bearer,
    )

    data, includes = read(answer)["data"], read(answer)["includes"]
    assert data["author_id"] == peer.greeter.id
    assert data["conversation_id"] == head.id
    assert data["in_reply_to_user_id"] == peer.ada.id
    assert data["referenced_tweets"] == [{"type": "replied_to", "id": head.id}]
    assert data["text"] == "@ada Hello!"
    assert data["display_text_range"] == [5, 11]
    assert data["entities"]["mentions"] == [
        {"start": 0, "end": 4, "username": "ada", "id": peer.ada.id}
    ]
    assert data["created_at"] == "2025-12-11T12:00:00.000Z"
    assert [user["username"] for user in includes["users"]] == ["greeter", "ada"]
    assert includes["users"][0]["protected"] is False
    assert includes["tweets"][0]["id"] == head.id


async def test_the_new_spelling_of_the_fields_is_understood(peer, read):
    post = peer.world.add_post(peer.ada.id, "hi @greeter")

    answer = await peer.call(
        "GET",
        f"/2/tweets/{post.id}?post.fields=author_id&expansions=entities.mentions.username",
        token=peer.app.bearer,
    )

    assert read(answer)["data"]["author_id"] == peer.ada.id
    assert read(answer)["includes"]["users"][0]["username"] == "greeter"


async def test_links_are_shortened_and_their_addresses_kept(peer, read):
    made = read(await _create(peer, "See https://example.com/a and example.org now"))["data"]

    answer = await peer.call(
        "GET", f"/2/tweets/{made['id']}?tweet.fields=entities", token=peer.app.bearer
    )

    data = read(answer)["data"]
    urls = data["entities"]["urls"]
    assert [url["expanded_url"] for url in urls] == ["https://example.com/a", "http://example.org"]
    assert all(data["text"][url["start"] : url["end"]] == url["url"] for url in urls)
    assert all(url["url"].startswith("https://t.co/") for url in urls)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"text": 1}',
        b'{"text": "  "}',
        b'{"text": "x", "txt": "y"}',
        b'{"text": "x", "reply": {"in_reply_to_tweet_id": 5}}',
        b'{"text": "x", "reply": {"in_reply_to_tweet_id": "x"}}',
        b'{"text": "x", "reply": ["5"]}',
        b'{"text": "x", "reply": {"in_reply_to_tweet_id": "5", "more": 1}}',
        b'{"text": "x", "reply_settings": "friends"}',
    ],
)
async def test_a_body_that_breaks_the_schema_is_an_invalid_request(peer, read, body):
    answer = await peer.call("POST", "/2/tweets", token=_token(peer), body=body)

    assert answer.status == 400
    assert read(answer)["type"] == "https://api.twitter.com/2/problems/invalid-request"
    assert not peer.world.posts


async def test_a_body_of_another_media_type_is_refused(peer):
    answer = await peer.call(
        "POST",
        "/2/tweets",
        token=_token(peer),
        body=b'{"text": "x"}',
        headers={"Content-Type": "text/plain"},
    )

    assert answer.status == 400


async def test_whoever_mentions_the_account_in_that_very_post_may_be_answered(peer, read):
    head = peer.world.add_post(peer.ada.id, "@greeter hello")

    answer = await _create(peer, "Hello!", reply=_to(head))

    assert answer.status == 201
    assert peer.world.post(read(answer)["data"]["id"]).reply_to_id == head.id


async def test_a_post_that_does_not_mention_the_account_may_not_be_answered(peer, read):
    head = peer.world.add_post(peer.ada.id, "lovely weather")

    answer = await _create(peer, "Indeed!", reply=_to(head))

    assert (answer.status, read(answer)) == (403, UNSUMMONED)


async def test_a_mention_further_up_the_thread_is_not_enough(peer):
    head = peer.world.add_post(peer.ada.id, "@greeter hello")
    bob = peer.world.add_user("bob")
    below = peer.world.add_post(bob.id, "nice", reply_to=head.id, leave_out=[peer.greeter.id])

    assert (await _create(peer, "Thanks", reply=_to(below))).status == 403


async def test_whoever_quotes_the_account_may_be_answered(peer):
    mine = peer.world.add_post(peer.greeter.id, "news")
    quote = peer.world.add_post(peer.ada.id, "look at this", quoting=mine.id)

    assert (await _create(peer, "Thanks", reply=_to(quote))).status == 201


async def test_ones_own_post_may_be_answered(peer):
    mine = peer.world.add_post(peer.greeter.id, "one")

    assert (await _create(peer, "two", reply=_to(mine))).status == 201


@pytest.mark.parametrize(("implicit", "status"), [(True, 201), (False, 403)])
async def test_an_answer_to_the_accounts_own_post_summons_if_the_world_says_so(
    peer, implicit, status
):
    peer.world.rules.implicit_summons = implicit
    mine = peer.world.add_post(peer.greeter.id, "news")
    answered = peer.world.add_post(peer.ada.id, "why?", reply_to=mine.id)

    assert (await _create(peer, "because", reply=_to(answered))).status == status


async def test_an_enterprise_app_may_answer_and_quote_anybody(peer):
    peer.app.enterprise = True
    head = peer.world.add_post(peer.ada.id, "lovely weather")

    assert (await _create(peer, "Indeed!", reply=_to(head))).status == 201
    assert (await _create(peer, "Look", quote_tweet_id=head.id)).status == 201


async def test_quoting_strangers_is_refused_in_xs_words(peer, read):
    head = peer.world.add_post(peer.ada.id, "lovely weather")

    answer = await _create(peer, "Look", quote_tweet_id=head.id)

    assert answer.status == 403
    assert read(answer)["title"] == "Authorization Error"
    assert read(answer)["detail"] == (
        "You can only reply to or quote posts where you are mentioned or are the author."
    )


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_post_that_is_gone_can_be_neither_answered_nor_quoted(peer, deleted):
    head = peer.world.add_post(peer.ada.id, "@greeter hello")
    if deleted:
        peer.world.delete_post(head.id)
    target = head.id if deleted else "99"

    reply = await _create(peer, "Hello!", reply={"in_reply_to_tweet_id": target})
    quote = await _create(peer, "Hello!", quote_tweet_id=target)

    assert (reply.status, quote.status) == (403, 403)


@pytest.mark.parametrize("again", ["Hello there", "  Hello there ", "Hello there\n"])
async def test_the_same_text_to_the_same_target_is_a_duplicate(peer, read, again):
    await _create(peer, "Hello there")

    answer = await _create(peer, again)

    assert answer.status == 403
    assert read(answer) == {
        "detail": "You are not allowed to create a Tweet with duplicate content.",
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
    }


async def test_the_same_text_to_another_target_is_no_duplicate(peer):
    one = peer.world.add_post(peer.ada.id, "@greeter one")
    two = peer.world.add_post(peer.ada.id, "@greeter two")

    assert (await _create(peer, "Hello", reply=_to(one))).status == 201
    assert (await _create(peer, "Hello", reply=_to(two))).status == 201
    assert (await _create(peer, "Hello")).status == 201
    assert (await _create(peer, "Hello", reply=_to(one))).status == 403


async def test_the_same_text_is_taken_again_after_a_day_or_a_deletion(peer, read):
    first = read(await _create(peer, "Hello"))["data"]["id"]
    await peer.call("DELETE", f"/2/tweets/{first}", token=_token(peer))
    second = await _create(peer, "Hello")
    await peer.clock.advance(24 * 3600 + 1)
    later = peer.token()

    assert second.status == 201
    assert (await _create(peer, "Hello", token=later)).status == 201


async def test_a_text_that_weighs_too_much_is_refused(peer):
    assert (await _create(peer, "x" * 280)).status == 201
    assert (await _create(peer, "y" * 281)).status == 403
    assert (await _create(peer, "z" * 250 + " https://example.com/" + "z" * 90)).status == 201


async def test_a_second_cashtag_is_refused(peer):
    assert (await _create(peer, "$ABC up")).status == 201
    assert (await _create(peer, "$ABC and $DEF up")).status == 403


async def test_only_the_author_deletes_a_post(peer, read):
    foreign = peer.world.add_post(peer.ada.id, "hi")
    mine = read(await _create(peer, "hi"))["data"]["id"]

    refused = await peer.call("DELETE", f"/2/tweets/{foreign.id}", token=_token(peer))
    done = await peer.call("DELETE", f"/2/tweets/{mine}", token=_token(peer))
    again = await peer.call("DELETE", f"/2/tweets/{mine}", token=_token(peer))

    assert refused.status == 403
    assert read(done) == read(again) == {"data": {"deleted": True}}
    assert peer.world.posts[mine].deleted


async def test_a_post_that_is_not_there_is_an_error_with_status_200(peer, read):
    gone = peer.world.add_post(peer.ada.id, "hi")
    peer.world.delete_post(gone.id)

    answer = await peer.call("GET", f"/2/tweets/{gone.id}", token=peer.app.bearer)

    assert answer.status == 200
    assert read(answer) == {
        "errors": [
            {
                "value": gone.id,
                "detail": f"Could not find tweet with id: [{gone.id}].",
                "title": "Not Found Error",
                "resource_type": "tweet",
                "parameter": "id",
                "resource_id": gone.id,
                "type": "https://api.x.com/2/problems/resource-not-found",
            }
        ]
    }


async def test_of_several_posts_those_that_are_there_are_given(peer, read):
    post = peer.world.add_post(peer.ada.id, "hi")

    answer = await peer.call("GET", f"/2/tweets?ids={post.id},7", token=peer.app.bearer)

    assert [one["id"] for one in read(answer)["data"]] == [post.id]
    assert [one["value"] for one in read(answer)["errors"]] == ["7"]


async def test_a_reply_starts_with_the_names_of_those_it_answers(peer):
    bob = peer.world.add_user("Bob")
    head = peer.world.add_post(peer.ada.id, "@greeter and @bob, hello @nobody")

    reply = peer.world.add_post(peer.greeter.id, "Hi", reply_to=head.id)
    alone = peer.world.add_post(peer.greeter.id, "Hi", reply_to=head.id, leave_out=[bob.id])

    assert reply.text == "@ada @Bob Hi"
    assert alone.text == "@ada Hi"
    assert reply.written == "Hi"
    assert reply.mentions(bob.id)
    assert not reply.mentions(bob.id, explicit=True)


async def test_reply_settings_are_kept(peer, read):
    made = read(await _create(peer, "hi", reply_settings="following"))["data"]["id"]

    assert peer.world.post(made).reply_settings == "following"


async def test_texts_go_through_escaped_as_x_escapes_them(peer, read):
    text = "é 👋 <b>&amp;</b> \u202e"

    answer = await _create(peer, text)

    sent = "é 👋 &lt;b&gt;&amp;amp;&lt;/b&gt; \u202e"
    assert json.loads(answer.body)["data"]["text"] == sent
