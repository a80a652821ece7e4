"""Each write that the simulated X plays answers with what X's answer has, and with nothing else.

`CheckedServer` holds every answer against X's documents, closed, and against what X's answers have
for sure; here each write is sent once, so that none is left out.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from botkit.sandbox.x.server import played_operations
from tests.wire.openapi.required import missing, required_of

WRITES = {one.id for one in played_operations() if one.method != "GET"}
SCOPES = (
    "tweet.read tweet.write users.read follows.read follows.write like.read like.write"
    " list.read list.write dm.read dm.write offline.access"
)


class Sender:
    """Sends calls that are answered well, as the account or as the app."""

    def __init__(self, peer, read):
        self.peer, self.read = peer, read
        self.token = peer.token(SCOPES)

    async def me(self, method, path, **body):
        return await self._send(method, path, body, self.token)

    async def app(self, method, path, **body):
        return await self._send(method, path, body, self.peer.app.bearer)

    async def _send(self, method, path, body, token):
        answer = await self.peer.call(method, path, token=token, body=body or None)
        assert answer.status in {200, 201}, (method, path, answer.body)
        return self.read(answer)


@pytest.fixture
def send(peer, read):
    return Sender(peer, read)


async def _posts(send, me, ada, theirs):
    made = await send.me("POST", "/2/tweets", text="hello")
    await send.me("DELETE", f"/2/tweets/{made['data']['id']}")
    await send.me("POST", f"/2/users/{me}/likes", tweet_id=theirs)
    await send.me("DELETE", f"/2/users/{me}/likes/{theirs}")
    await send.me("POST", f"/2/users/{me}/retweets", tweet_id=theirs)
    await send.me("DELETE", f"/2/users/{me}/retweets/{theirs}")
    await send.me("POST", f"/2/users/{me}/following", target_user_id=ada)
    await send.me("DELETE", f"/2/users/{me}/following/{ada}")


async def _lists(send, me, ada):
    made = await send.me("POST", "/2/lists", name="mine")
    one = made["data"]["id"]
    await send.me("PUT", f"/2/lists/{one}", description="better")
    await send.me("POST", f"/2/lists/{one}/members", user_id=ada)
    await send.me("DELETE", f"/2/lists/{one}/members/{ada}")
    for kind in ("pinned_lists", "followed_lists"):
        await send.me("POST", f"/2/users/{me}/{kind}", list_id=one)
        await send.me("DELETE", f"/2/users/{me}/{kind}/{one}")
    await send.me("DELETE", f"/2/lists/{one}")


async def _messages(send, ada):
    made = await send.me("POST", f"/2/dm_conversations/with/{ada}/messages", text="hello")
    talk, event = made["data"]["dm_conversation_id"], made["data"]["dm_event_id"]
    await send.me("POST", f"/2/dm_conversations/{talk}/messages", text="again")
    await send.me("DELETE", f"/2/dm_events/{event}")


async def _subscriptions(send, me):
    made = []
    for kind in ("profile.update.bio", "profile.update.geo"):
        answer = await send.app(
            "POST", "/2/activity/subscriptions", event_type=kind, filter={"user_id": me}, tag="a"
        )
        made.append(answer["data"]["subscription"]["subscription_id"])
    await send.app("PUT", f"/2/activity/subscriptions/{made[0]}", tag="b")
    await send.app("DELETE", f"/2/activity/subscriptions/{made[0]}")
    await send.app("DELETE", f"/2/activity/subscriptions?ids={made[1]}")


async def _streams(send, peer):
    rules = await send.app("POST", "/2/tweets/search/stream/rules", add=[{"value": "cats"}])
    for path in ("", "/all", "/filtered_stream"):
        opened = await peer.call("GET", "/2/tweets/search/stream", token=peer.app.bearer)
        assert opened.status == 200
        if not path:
            (there,) = (await send.app("GET", "/2/connections?connection.fields=id"))["data"]
            await send.app("DELETE", "/2/connections", uuids=[there["id"]])
        else:
            await send.app("DELETE", f"/2/connections{path}")
        await opened.stream.aclose()
    ids = [rule["id"] for rule in rules["data"]]
    await send.app("POST", "/2/tweets/search/stream/rules", delete={"ids": ids})


async def _webhooks(send, peer):
    peer.receiver.secret = peer.app.api_secret
    made = await send.app("POST", "/2/webhooks", url="https://bot.example/webhook")
    one = made["data"]["id"]
    await send.app("PUT", f"/2/webhooks/{one}")
    await peer.clock.advance(timedelta(hours=3))
    now, hour = peer.clock.now(), timedelta(hours=1)
    span = {"from_date": f"{now - 2 * hour:%Y%m%d%H%M}", "to_date": f"{now - hour:%Y%m%d%H%M}"}
    await send.app("POST", "/2/webhooks/replay", webhook_id=one, **span)
    await send.app("DELETE", f"/2/webhooks/{one}")


async def test_each_write_answers_with_what_x_answers_and_no_more(peer, send):
    peer.app.enterprise = True  # self-serve apps neither like nor follow
    me, ada = peer.greeter.id, peer.ada.id
    theirs = peer.world.add_post(ada, "@greeter hello").id
    await _posts(send, me, ada, theirs)
    await _lists(send, me, ada)
    await _messages(send, ada)
    await _subscriptions(send, me)
    await _streams(send, peer)
    await _webhooks(send, peer)
    assert WRITES - peer.server.answered_well == set()


def test_a_field_that_x_always_sends_is_missed():
    assert missing("createPosts", {"data": {"id": "1"}}) == ["data.text"]
    assert missing("followUser", {"data": {"following": True}}) == ["data.pending_follow"]
    results = {"results": [{"uuid": "1"}], "failed_kills": 0, "successful_kills": 0}
    assert missing("deleteAllConnections", {"data": results}) == ["data.results[].success"]
    results["results"] = []
    assert missing("deleteAllConnections", {"data": results}) == []


@pytest.mark.parametrize("operation", sorted(WRITES))
def test_of_each_write_something_is_known_that_its_answer_has(operation):
    assert required_of(operation)
