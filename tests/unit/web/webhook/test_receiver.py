"""The webhook on real sockets: only what X signed, 200 after the commit, once for an event.

The numbers W1 to W8 are those of docs/explanation/requirements.md. The envelopes follow X's docs,
"Event payloads".
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from botkit.errors import StoreUnavailable
from botkit.model.events import XEvent
from botkit.ports import Store
from botkit.protocol.api.ids import snowflake_at
from botkit.protocol.events.activity import Hearing, decode_events
from botkit.runtime.intake.inbox import row_of
from botkit.sandbox.harness.clock import START, VirtualClock
from botkit.storage import open_store
from botkit.web.bot_site import BOT_SITE
from botkit.web.server import WebServer
from botkit.web.webhook import receiver
from botkit.web.webhook.proofs import SIGNATURE, signature_of
from botkit.web.webhook.receiver import Webhook
from tests.unit.web.browsing import Answered, send

SECRET, BEFORE = b"the-api-secret-of-now", b"the-api-secret-of-before"
POST_ID = snowflake_at(START)
DAYS = 7


def body_of(
    kind: str = "post.mention.create", *, account: str = "1", post_id: int = POST_ID
) -> bytes:
    payload: dict[str, Any] = {"id": str(post_id), "author_id": "7"}
    if kind.startswith("post."):
        payload |= {
            "text": "@greeter hello",
            "entities": {
                "mentions": [{"start": 0, "end": 8, "username": "greeter", "id": account}]
            },
        }
    data = {"event_uuid": "1", "filter": {"user_id": account}, "event_type": kind}
    return json.dumps({"data": {**data, "payload": payload}}).encode()


class Desk:
    """A listener for the account 1, before a store."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store = store
        self.clock = clock
        self.is_full = False
        self.is_there = True
        self.hold: asyncio.Event | None = None
        self.recorded: list[XEvent] = []
        self.times = 0
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        self.port = 0
        self.webhook: Webhook
        self.server: WebServer

    def events_of(self, line: bytes) -> list[XEvent]:
        return decode_events(line, hearing=Hearing(now=self.clock.now()))

    def hears(self, account_id: str) -> bool:
        return account_id == "1"

    async def take(self, account_id: str, events: Sequence[XEvent]) -> None:
        self.times += 1
        self.began.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.is_full:
            raise StoreUnavailable("The inbox is full; nothing was recorded.")
        rows = [row_of(event, account_id, "webhook") for event in events]
        seqs = await self.store.events.append(rows)
        new = [event for event, seq in zip(events, seqs, strict=True) if seq is not None]
        self.recorded += new
        self.ended.set()

    def spawn(self, work: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
        return asyncio.get_running_loop().create_task(work)

    async def send(
        self,
        *headers: str,
        body: bytes = b"",
        signature: str | None = None,
        path: str = "/x/deliveries",
        length: int | None = None,
    ) -> Answered:
        body = body or body_of()
        if signature is None:
            signature = signature_of(SECRET, body).decode()
        return await send(
            self.port,
            f"POST {path} HTTP/1.1",
            "Host: x",
            f"Content-Length: {len(body) if length is None else length}",
            "Content-Type: application/json",
            *([f"{SIGNATURE}: {signature}"] if signature else []),
            *headers,
            body=body,
        )

    async def get(self, target: str, *headers: str, method: str = "GET") -> Answered:
        return await send(self.port, f"{method} {target} HTTP/1.1", "Host: x", *headers)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = VirtualClock()
    async with open_store(f"sqlite:///{tmp_path / 'botkit.db'}", clock=clock) as store:
        desk = Desk(store, clock)
        desk.webhook = Webhook(
            "/x/deliveries",
            [SECRET, BEFORE],
            listener=lambda: desk if desk.is_there else None,
            clock=clock,
            spawn=desk.spawn,
        )
        server = WebServer("127.0.0.1", 0, desk.webhook.routes, site=BOT_SITE)
        async with server as desk.server:
            desk.port = server.port
            yield desk


REFUSED = (401, '{"error":"not authorized"}\n')
GOOD = signature_of(SECRET, body_of()).decode()


async def test_fault_43_w1_each_wrong_form_of_a_signature_gets_the_same_answer(desk: Desk) -> None:
    forms = [
        "",
        "sha256=",
        GOOD[:-1],
        GOOD + "=",
        GOOD.removeprefix("sha256="),
        GOOD.replace("sha256=", "SHA256="),
        GOOD.replace("sha256=", "sha1="),
        f"{GOOD}, {GOOD}",
        f"{GOOD},{GOOD}",
        signature_of(b"another-secret", body_of()).decode(),
        signature_of(SECRET, b"another body").decode(),
        signature_of(b"", body_of()).decode(),
        "sha256=\xff\xfe\xe4",
        "x" * 4000,
    ]
    with capture_logs() as said:
        answers = [await desk.send(signature=form) for form in forms]
        answers.append(await desk.send(f"{SIGNATURE}: {GOOD}"))
        answers.append(await desk.send(f"{SIGNATURE}: x"))
        answers.append(await desk.send(body=b"no json at all", signature="sha256=a"))
    assert {(each.status, each.text) for each in answers} == {REFUSED}
    assert desk.times == 0
    assert desk.webhook.refused == {"not signed by X": len(answers)}
    assert said[-1]["times"] == len(answers)
    assert GOOD not in str(said)


async def test_w1_the_signature_is_over_the_raw_bytes(desk: Desk) -> None:
    body = body_of()
    spaced = json.dumps(json.loads(body), indent=1).encode()
    assert (await desk.send(body=spaced, signature=GOOD)).status == 401
    assert (await desk.send(body=spaced)).status == 200


@pytest.mark.parametrize("body", [b"no json", b"[]", b"1", b'"a"', b"\xff", b"{", b"[" * 99_999])
async def test_fault_44_w1_signed_poison_is_refused_and_the_receiver_lives(
    desk: Desk, body: bytes
) -> None:
    assert (await desk.send(body=body)).status == 400
    assert (await desk.send(body=b'{"errors":[{"title":"x"}]}')).status == 400
    assert (await desk.send()).status == 200
    assert desk.webhook.refused == {"no event": 2}


async def test_fault_45_w2_the_body_is_limited_while_it_is_read_whatever_its_length_says(
    desk: Desk,
) -> None:
    large = b'{"a":"' + b"a" * 1024 * 1024 + b'"}'
    assert (await desk.send(body=large)).status == 413
    signature = signature_of(SECRET, large).decode()
    chunked = await send(
        desk.port,
        "POST /x/deliveries HTTP/1.1",
        "Host: x",
        "Transfer-Encoding: chunked",
        f"{SIGNATURE}: {signature}",
        body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large),
    )
    assert chunked.status == 413
    packed = gzip.compress(body_of())
    assert (await desk.send("Content-Encoding: gzip", body=packed)).status == 413
    assert desk.times == 0
    just = b'{"data":"' + b"a" * (1024 * 1024 - 11) + b'"}'
    assert len(just) == 1024 * 1024
    assert (await desk.send(body=just)).status == 403


async def test_w3_the_answer_comes_after_the_commit(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    sending = asyncio.get_running_loop().create_task(desk.send())
    await desk.began.wait()
    assert not sending.done()
    desk.hold.set()
    assert (await sending).status == 200
    (event,) = desk.recorded
    assert await desk.store.events.get(event.key, account_id="1")


async def test_w3_what_cannot_be_recorded_is_to_be_sent_again(desk: Desk) -> None:
    desk.is_full = True
    answer = await desk.send()
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    desk.is_full, desk.is_there = False, False
    assert (await desk.send()).status == 503
    desk.is_there = True
    assert [(await desk.send()).status, (await desk.send()).status] == [200, 200]
    assert len(desk.recorded) == 1


async def test_w3_a_slow_store_is_answered_in_time_and_its_commit_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_COMMIT_S", 0.01)
    monkeypatch.setattr(receiver, "_MOST_COMMITS", 1)
    desk.hold = asyncio.Event()
    assert (await desk.send()).status == 503
    assert (await desk.send()).status == 503  # no room for a second commit
    assert desk.times == 1
    desk.hold.set()
    await desk.ended.wait()
    desk.hold = None
    monkeypatch.setattr(receiver, "_COMMIT_S", 4.0)
    assert (await desk.send()).status == 200
    assert len(desk.recorded) == 1


async def test_w3_a_commit_that_the_stop_cancels_is_to_be_sent_again(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    sending = asyncio.get_running_loop().create_task(desk.send())
    await desk.began.wait()
    (commit,) = desk.webhook._commits
    commit.cancel()
    assert (await sending).status == 503


async def test_fault_40_w4_the_same_bytes_again_are_no_second_event(desk: Desk) -> None:
    for _ in range(3):
        assert (await desk.send()).status == 200
        await desk.clock.advance(timedelta(days=2))
    assert len(desk.recorded) == 1


async def test_w4_an_old_post_is_recorded(desk: Desk) -> None:
    await desk.clock.advance(timedelta(days=30))
    assert (await desk.send()).status == 200
    assert [event.key for event in desk.recorded] == [f"post/{POST_ID}/0"]


async def test_w4_the_end_of_a_replay_is_said_and_is_no_event(desk: Desk) -> None:
    # Source: X API docs, "Account Activity", quickstart: the event that ends a replay.
    def ended(state: str) -> bytes:
        job = {"webhook_id": "1", "job_state": state, "job_state_description": "", "job_id": "2"}
        return json.dumps({"replay_job_status": job}).encode()

    with capture_logs() as said:
        answers = [await desk.send(body=ended(state)) for state in ("Complete", "Incomplete")]
    assert [answer.status for answer in answers] == [200, 200]
    assert [(line["event"], line["log_level"]) for line in said] == [
        ("webhook.replay_ended", "info"),
        ("webhook.replay_ended", "warning"),
    ]
    assert (await desk.send(body=b'{"replay_job_status":1}')).status == 403
    assert not desk.recorded


CHALLENGE = "/x/deliveries?crc_token=challenge_string"


async def test_w5_a_challenge_is_answered_with_the_secret_of_now(desk: Desk) -> None:
    answer = await desk.get(CHALLENGE)
    signature = signature_of(SECRET, b"challenge_string").decode()
    assert (answer.status, json.loads(answer.text)) == (200, {"response_token": signature})
    assert answer.headers["content-type"] == "application/json"


async def test_w5_only_a_get_of_the_exact_path_with_a_challenge_is_signed(desk: Desk) -> None:
    for target in ("/x/deliveries", "/x/deliveries?crc_token=%7B%7D", f"{CHALLENGE}&crc_token=b"):
        answer = await desk.get(target)
        assert (answer.status, answer.text) == REFUSED
    for target in ("/x/deliveries/?crc_token=a", "/x?crc_token=a", "/X/deliveries?crc_token=a"):
        assert (await desk.get(target)).status == 404
    for method in ("HEAD", "PUT", "DELETE", "OPTIONS"):
        assert (await desk.get(CHALLENGE, method=method)).status == 405
    assert (await desk.send(path=CHALLENGE, signature="")).status == 401


async def test_w5_challenges_are_answered_while_commits_hang_and_while_the_bot_stops(
    desk: Desk,
) -> None:
    desk.hold = asyncio.Event()
    sending = asyncio.get_running_loop().create_task(desk.send())
    await desk.began.wait()
    assert (await desk.get(CHALLENGE)).status == 200
    draining = asyncio.get_running_loop().create_task(desk.server.keep_only("/x/deliveries", 9.0))
    assert (await desk.get(CHALLENGE)).status == 200
    desk.hold.set()
    await draining
    assert (await sending).status == 200
    assert (await desk.get(CHALLENGE)).status == 200


async def test_a_request_that_does_not_end_does_not_hold_the_stop(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    sending = asyncio.get_running_loop().create_task(desk.send())
    await desk.began.wait()
    await desk.server.keep_only("/x/deliveries", 0.0)
    with pytest.raises((ConnectionError, IndexError)):
        await sending
    assert (await desk.get(CHALLENGE)).status == 200
    desk.hold.set()
    await desk.ended.wait()
    assert (await desk.send()).status == 200
    assert len(desk.recorded) == 1


async def test_w6_two_secrets_are_taken_while_one_replaces_the_other(desk: Desk) -> None:
    other = body_of(post_id=POST_ID + 1)
    assert (await desk.send(signature=signature_of(BEFORE, body_of()).decode())).status == 200
    assert (await desk.send(body=other)).status == 200
    assert len(desk.recorded) == 2


async def test_w7_kinds_that_are_new_are_recorded(desk: Desk) -> None:
    assert (await desk.send(body=body_of("hologram.create"))).status == 200
    (event,) = desk.recorded
    assert getattr(event, "kind", "") == "hologram.create"


async def test_w7_events_of_another_account_are_refused_and_counted(desk: Desk) -> None:
    answer = await desk.send(body=body_of(account="2"))
    assert (answer.status, desk.recorded) == (403, [])
    mine, other = json.loads(body_of())["data"], json.loads(body_of(account="2"))["data"]
    assert (await desk.send(body=json.dumps({"data": [other, mine]}).encode())).status == 200
    assert [event.account_id for event in desk.recorded] == ["1"]
    assert desk.webhook.refused == {"account not here": 2}


async def test_w8_no_forwarded_header_changes_anything_and_nothing_is_redirected(
    desk: Desk,
) -> None:
    forged = ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: y")
    assert (await desk.send(*forged, signature="")).status == 401
    answer = await desk.send(*forged, "Forwarded: for=127.0.0.1;proto=https")
    assert (answer.status, "location" in answer.headers) == (200, False)
