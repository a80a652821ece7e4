"""Webhooks at the simulated X: challenges, deliveries, retries and replays.

The expectations rest on X's pages, docs/explanation/x-facts.md 19; what is assumed says so there.
"""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from botkit.sandbox.x.push.outgoing import Reply
from tests.unit.sandbox.receiving import signature

URL = "https://greeter.example/x"
WEBHOOKS = "/2/webhooks"
HOUR = timedelta(hours=1)


class Desk:
    """The app's view of its webhooks."""

    def __init__(self, peer):
        self.peer = peer
        peer.receiver.secret = peer.app.api_secret

    async def call(self, method, path="", body=None):
        answer = await self.peer.call(
            method, WEBHOOKS + path, token=self.peer.app.bearer, body=body
        )
        return answer.status, json.loads(answer.body)

    async def add(self, url=URL):
        status, body = await self.call("POST", body={"url": url})
        assert status == 200, body
        return body["data"]["id"]

    async def fails(self, method, path="", body=None):
        """The reason of a 400 that looks as X's page shows it."""
        status, said = await self.call(method, path, body)
        assert status == 400
        assert said["title"] == "Invalid Request"
        assert said["type"].endswith("/problems/invalid-request")
        return said["errors"][0]["message"].partition(":")[0]

    async def is_valid(self):
        return (await self.call("GET"))[1]["data"][0]["valid"]

    async def subscribe(self, webhook_id, kind="follow.follow"):
        body = {
            "event_type": kind,
            "filter": {"user_id": self.peer.greeter.id},
            "webhook_id": webhook_id,
        }
        answer = await self.peer.call(
            "POST", "/2/activity/subscriptions", token=self.peer.app.bearer, body=body
        )
        assert answer.status == 200, answer.body
        return json.loads(answer.body)["data"]["subscription"]

    async def listening(self):
        webhook_id = await self.add()
        await self.subscribe(webhook_id)
        return webhook_id

    async def follow(self, who="ada"):
        self.peer.world.follow(self.peer.world.add_user(who).id, self.peer.greeter.id)
        await self.peer.clock.at_rest()

    async def replay(self, webhook_id, *, since, until):
        now = self.peer.clock.now()
        span = {"from_date": now - since, "to_date": now - until}
        body = {name: f"{at:%Y%m%d%H%M}" for name, at in span.items()}
        return await self.call("POST", "/replay", {"webhook_id": webhook_id, **body})


@pytest.fixture
def desk(peer):
    return Desk(peer)


@pytest.fixture
def receiver(peer):
    return peer.receiver


async def test_an_address_that_answers_the_challenge_is_registered_and_listed(desk, receiver):
    assert await desk.call("GET") == (200, {"data": [], "meta": {"result_count": 0}})
    status, made = await desk.call("POST", body={"url": URL})
    assert status == 200
    assert made["data"]["url"] == URL
    assert made["data"]["valid"] is True
    assert await desk.call("GET") == (200, {"data": [made["data"]], "meta": {"result_count": 1}})
    (query,) = receiver.challenges
    assert set(parse_qs(query)) == {"crc_token", "nonce"}


async def test_a_challenge_without_a_nonce_joins_a_query_that_is_there(desk, peer, receiver):
    peer.world.rules.challenge_nonce = False
    await desk.add(f"{URL}?from=x")
    assert set(parse_qs(receiver.challenges[0])) == {"from", "crc_token"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b'{"response_token":"sha256=AAAA"}'),
        Reply(200, b"{}"),
        Reply(200, b"[]"),
        Reply(200, b"<html>"),
        Reply(301),
        Reply(404),
        Reply(500),
        Reply(0),
        Reply(0, is_tls_broken=True),
    ],
)
async def test_an_address_that_answers_wrong_is_not_registered(desk, receiver, reply):
    receiver.crc_reply = reply
    assert await desk.fails("POST", body={"url": URL}) == "CrcValidationFailed"
    assert (await desk.call("GET"))[1]["data"] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://greeter.example/x",
        "http://192.0.2.1/x",
        "https://greeter.example:8443/x",
        "https:///x",
        "https://greeter.example:no/x",
        "ftp://127.0.0.1/x",
        "greeter",
    ],
)
async def test_an_address_that_x_cannot_reach_is_refused(desk, receiver, url):
    assert await desk.fails("POST", body={"url": url}) == "UrlValidationFailed"
    assert not receiver.challenges


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080"])
async def test_plain_http_is_taken_on_this_machine(desk, host):
    assert await desk.add(f"http://{host}/x")


async def test_an_address_has_at_most_200_characters(desk):
    status, _ = await desk.call("POST", body={"url": URL + "a" * 200})
    assert status == 400


async def test_a_self_serve_app_has_one_webhook_and_an_enterprise_app_five(desk, peer):
    await desk.add()
    assert await desk.fails("POST", body={"url": URL}) == "DuplicateUrlFailed"
    assert await desk.fails("POST", body={"url": URL + "2"}) == "WebhookLimitExceeded"
    peer.app.enterprise = True
    for n in range(2, 6):
        await desk.add(f"{URL}{n}")
    assert await desk.fails("POST", body={"url": URL + "6"}) == "WebhookLimitExceeded"


async def test_a_webhook_that_is_removed_gives_its_place_free(desk):
    webhook_id = await desk.add()
    assert await desk.call("DELETE", f"/{webhook_id}") == (200, {"data": {"deleted": True}})
    assert await desk.fails("DELETE", f"/{webhook_id}") == "WebhookIdInvalid"
    assert await desk.fails("PUT", f"/{webhook_id}") == "WebhookIdInvalid"
    await desk.add()


async def test_another_apps_webhook_cannot_be_seen_or_used(desk, peer):
    webhook_id = await desk.add()
    peer.app = peer.world.grants.add_app("Other")
    assert (await desk.call("GET"))[1]["data"] == []
    assert await desk.fails("DELETE", f"/{webhook_id}") == "WebhookIdInvalid"
    body = {"event_type": "post.create", "filter": {"user_id": peer.greeter.id}}
    answer = await peer.call(
        "POST",
        "/2/activity/subscriptions",
        token=peer.app.bearer,
        body=body | {"webhook_id": webhook_id},
    )
    assert answer.status == 400


async def test_a_challenge_comes_each_hour_until_the_webhook_is_removed(desk, peer, receiver):
    webhook_id = await desk.add()
    await peer.clock.advance(2 * HOUR)
    assert len(receiver.challenges) == 3
    await desk.call("DELETE", f"/{webhook_id}")
    await peer.clock.advance(2 * HOUR)
    assert len(receiver.challenges) == 3


async def test_a_wrong_answer_makes_it_invalid_at_once_and_a_put_valid_again(desk, peer, receiver):
    webhook_id = await desk.add()
    receiver.crc_reply = Reply(200, b"{}")
    await peer.clock.advance(HOUR)
    assert not await desk.is_valid()
    assert await desk.fails("PUT", f"/{webhook_id}") == "CrcValidationFailed"
    receiver.crc_reply = None
    assert await desk.call("PUT", f"/{webhook_id}") == (200, {"data": {"valid": True}})
    assert await desk.is_valid()


@pytest.mark.parametrize("reply", [Reply(503), Reply(0)])
async def test_errors_and_silence_make_it_invalid_after_28_hours(desk, peer, receiver, reply):
    await desk.add()
    receiver.crc_reply = reply
    await peer.clock.advance(27 * HOUR)
    assert await desk.is_valid()
    await peer.clock.advance(HOUR)
    assert not await desk.is_valid()


async def test_an_event_is_posted_with_a_signature_over_its_bytes(desk, peer, receiver):
    webhook_id = await desk.add()
    made = await desk.subscribe(webhook_id)
    assert made["webhook_id"] == webhook_id
    await desk.follow()
    (delivery,) = receiver.deliveries
    assert delivery.url == URL
    assert delivery.headers["x-twitter-webhooks-signature"] == signature(
        peer.app.api_secret, delivery.body
    )
    assert delivery.event["data"]["event_type"] == "follow.follow"
    assert delivery.body.startswith(b'{"data":')
    assert delivery.body.endswith(b"}")


async def test_a_subscription_is_moved_to_a_webhook_and_keeps_it(desk, peer, receiver):
    webhook_id = await desk.add()
    body = {"event_type": "follow.follow", "filter": {"user_id": peer.greeter.id}}
    path = "/2/activity/subscriptions"
    answer = await peer.call("POST", path, token=peer.app.bearer, body=body)
    made = json.loads(answer.body)["data"]["subscription"]
    assert "webhook_id" not in made
    await desk.follow()
    assert not receiver.deliveries
    path += f"/{made['subscription_id']}"
    for change in ({"webhook_id": webhook_id}, {"tag": "mine"}):
        answer = await peer.call("PUT", path, token=peer.app.bearer, body=change)
    assert json.loads(answer.body)["data"]["subscription"]["webhook_id"] == webhook_id
    await desk.follow("eve")
    assert len(receiver.deliveries) == 1


async def test_an_open_stream_gets_the_event_too(desk, peer, receiver):
    await desk.listening()
    stream = (await peer.call("GET", "/2/activity/stream", token=peer.app.bearer)).stream
    await desk.follow()
    assert (await anext(stream)).strip() == receiver.deliveries[0].body
    await stream.aclose()


async def test_a_delivery_that_is_not_taken_is_made_again_three_times(desk, peer, receiver):
    await desk.listening()
    receiver.replies = [Reply(503), Reply(0), Reply(202)]
    await desk.follow()
    for wait_s, made in ((3, 2), (30, 3), (300, 4)):
        assert len(receiver.deliveries) == made - 1
        await peer.clock.advance(wait_s)
        assert len(receiver.deliveries) == made
    assert len({each.body for each in receiver.deliveries}) == 1
    assert peer.server.deliveries.counts == {"attempts": 4, "delivered": 1}
    receiver.replies = [Reply(500)] * 9
    await desk.follow("eve")
    await peer.clock.advance(400)
    assert peer.server.deliveries.counts == {"attempts": 8, "delivered": 1, "lost": 1}


async def test_planned_duplicates_and_losses_hold_for_webhooks(desk, peer, receiver):
    await desk.listening()
    peer.server.faults.duplicate_events()
    await desk.follow()
    assert len(receiver.deliveries) == 2
    peer.server.faults.drop_events()
    await desk.follow("eve")
    assert len(receiver.deliveries) == 2


async def test_nothing_is_delivered_to_an_invalid_or_removed_webhook(desk, peer, receiver):
    webhook_id = await desk.listening()
    receiver.crc_reply = Reply(200)
    await peer.clock.advance(HOUR)
    await desk.follow()
    receiver.crc_reply = None
    await desk.call("PUT", f"/{webhook_id}")
    receiver.replies = [Reply(500)]
    await desk.follow("eve")
    assert len(receiver.deliveries) == 1
    await desk.call("DELETE", f"/{webhook_id}")
    await desk.follow("zoe")
    await peer.clock.advance(400)
    assert len(receiver.deliveries) == 1


async def test_a_delivery_is_paid_when_it_is_taken(desk, peer, receiver):
    await desk.listening()
    receiver.replies = [Reply(500)]
    before = peer.app.spent_usd
    await desk.follow()
    assert peer.app.spent_usd == before
    await peer.clock.advance(3)
    assert peer.app.spent_usd > before


async def test_a_replay_delivers_the_span_again_and_says_that_it_is_over(desk, peer, receiver):
    webhook_id = await desk.listening()
    await desk.follow()
    await peer.clock.advance(10 * 60)
    await desk.follow("eve")
    await peer.clock.advance(26 * HOUR - timedelta(minutes=10))
    receiver.deliveries.clear()
    await desk.follow("zoe")
    await peer.clock.advance(HOUR)
    first = receiver.deliveries.pop()
    challenged = len(receiver.challenges)

    status, said = await desk.replay(webhook_id, since=2 * HOUR, until=HOUR / 2)
    assert status == 200
    assert len(receiver.challenges) == challenged + 1
    await peer.clock.at_rest()

    again, ended = receiver.deliveries
    assert again.body == first.body
    job = ended.event["replay_job_status"]
    assert job["job_state"] == "Complete"
    assert job["job_id"] == said["data"]["job_id"]
    assert job["webhook_id"] == webhook_id


async def test_a_replay_whose_deliveries_are_not_taken_is_incomplete(desk, peer, receiver):
    webhook_id = await desk.listening()
    await desk.follow()
    await peer.clock.advance(HOUR)
    receiver.replies = [Reply(503)]
    await desk.replay(webhook_id, since=2 * HOUR, until=HOUR / 2)
    await peer.clock.at_rest()
    assert receiver.deliveries[-1].event["replay_job_status"]["job_state"] == "Incomplete"


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (timedelta(minutes=30), timedelta(minutes=20)),
        (25 * HOUR, HOUR),
        (2 * HOUR, timedelta(minutes=9)),
        (HOUR, 2 * HOUR),
    ],
)
async def test_a_replay_is_asked_for_within_what_x_replays(desk, since, until):
    webhook_id = await desk.add()
    status, said = await desk.replay(webhook_id, since=since, until=until)
    assert status == 400
    assert said["type"].endswith("/invalid-request")


async def test_one_replay_runs_at_a_time_and_none_for_an_invalid_webhook(desk, peer, receiver):
    webhook_id = await desk.add()
    webhook = peer.world.webhooks.find(peer.app.id, webhook_id)
    webhook.replays = "7"
    status, said = await desk.replay(webhook_id, since=2 * HOUR, until=HOUR)
    assert status == 409
    assert "ReplayConflictError" in said["detail"]
    webhook.replays = ""
    receiver.crc_reply = Reply(200)
    body = {"webhook_id": webhook_id}
    body |= {"from_date": "202512111000", "to_date": "202512111030"}
    assert await desk.fails("POST", "/replay", body) == "CrcValidationFailed"
    assert await desk.fails("POST", "/replay", body) == "CrcValidationFailed"
    status, _ = await desk.call("POST", "/replay", body | {"to_date": "202513111030"})
    assert status == 400


async def test_the_state_of_the_sandbox_shows_webhooks_and_deliveries(desk, peer):
    webhook_id = await desk.listening()
    await desk.follow()
    state = json.loads((await peer.call("GET", "/sandbox/state")).body)
    assert state["webhooks"] == [{"id": webhook_id, "url": URL, "valid": True}]
    assert state["deliveries"] == {"attempts": 1, "delivered": 1}


async def test_a_server_that_closes_ends_what_is_under_way(desk, peer, receiver):
    await desk.listening()
    receiver.replies = [Reply(500)]
    await desk.follow()
    await peer.server.deliveries.aclose()
    await peer.clock.advance(2 * HOUR)
    assert len(receiver.deliveries) == 1
    assert len(receiver.challenges) == 1
