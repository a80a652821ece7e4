"""Hooks on real sockets: 202 after the commit, once for a key, the same refusal for all."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from botkit.config import HookSettings
from botkit.errors import StoreUnavailable
from botkit.model.events import Event
from botkit.model.hearing import Checkpoint
from botkit.model.triggers import Trigger
from botkit.ports import Store
from botkit.runtime.intake.inbox import row_of
from botkit.sandbox.harness.clock import VirtualClock
from botkit.storage import open_store
from botkit.web.bot_site import BOT_SITE
from botkit.web.hooks.receiver import Hooks
from botkit.web.server import WebServer
from tests.unit.web.browsing import Answered, send

TOKEN, SECRET = "a-token-of-sixteen", "a-secret-of-sixteen"
SHIPPED = {"order": 7}
BODY = json.dumps(SHIPPED).encode()


class Desk:
    """A receiver before a store; the account, and whether the inbox is full, can be changed."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store = store
        self.clock = clock
        self.account = "1"
        self.is_full = False
        self.recorded: list[Trigger] = []
        self.port = 0

    async def record(
        self,
        events: Sequence[Event],
        *,
        account_id: str,
        source: str,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        assert checkpoint is None
        if self.is_full:
            raise StoreUnavailable("The inbox is full; nothing was recorded.")
        (event,) = events
        assert isinstance(event, Trigger)
        (seq,) = await self.store.events.append([row_of(event, account_id, source)])
        self.recorded += [event] if seq is not None else []
        return int(seq is not None)

    async def account_of(self, hook: HookSettings) -> str:
        return hook.account or self.account

    async def send(
        self,
        *headers: str,
        path: str = "/hooks/shipped",
        body: bytes = BODY,
        token: str = TOKEN,
        kind: str = "application/json",
    ) -> Answered:
        return await send(
            self.port,
            f"POST {path} HTTP/1.1",
            "Host: x",
            f"Content-Length: {len(body)}",
            f"Content-Type: {kind}",
            *([f"Authorization: Bearer {token}"] if token else []),
            *headers,
            body=body,
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = VirtualClock()
    hooks = {
        "shipped": HookSettings(token=SecretStr(TOKEN), per_minute=20, max_kib=1),
        "signed": HookSettings(secret=SecretStr(SECRET), account="2", max_kib=2),
        "hourly": HookSettings(token=SecretStr(TOKEN), same_body_s=0),
    }
    async with open_store(f"sqlite:///{tmp_path / 'botkit.db'}", clock=clock) as store:
        desk = Desk(store, clock)
        receiver = Hooks(hooks, intake=desk, store=store, clock=clock, account_of=desk.account_of)
        async with WebServer("127.0.0.1", 0, receiver.routes, site=BOT_SITE) as server:
            desk.port = server.port
            yield desk


async def test_a_delivery_is_answered_once_it_is_recorded(desk: Desk) -> None:
    answer = await desk.send("Idempotency-Key: order-7")
    assert (answer.status, json.loads(answer.text)) == (
        202,
        {"event": "trigger/shipped/order-7", "is_new": True},
    )
    (trigger,) = desk.recorded
    assert (trigger.name, trigger.data, trigger.account_id) == ("shipped", SHIPPED, "1")
    assert (trigger.source, trigger.at) == ("hook", desk.clock.now())


async def test_a_form_is_taken_too(desk: Desk) -> None:
    kind = "application/x-www-form-urlencoded"
    assert (await desk.send(body=b"order=7", kind=kind)).status == 202
    assert desk.recorded[0].data == {"order": "7"}


async def test_the_same_key_is_no_second_event_and_another_body_under_it_is_refused(
    desk: Desk,
) -> None:
    for key in ("Idempotency-Key: a", 'Idempotency-Key: "a"'):
        answers = [await desk.send(key), await desk.send(key)]
        assert json.loads(answers[1].text)["is_new"] is False
    assert answers[0].status == 200
    assert (await desk.send("Idempotency-Key: a", body=b'{"order": 8}')).status == 422
    assert (await desk.send("webhook-id: b")).status == 202
    assert [trigger.delivery for trigger in desk.recorded] == ["a", "b"]


async def test_of_two_keys_the_idempotency_key_counts_and_an_empty_one_is_none(
    desk: Desk,
) -> None:
    await desk.send("Idempotency-Key: a", "webhook-id: b")
    await desk.send("Idempotency-Key: ", "webhook-id: b", body=b'{"order": 8}')
    first, second = (trigger.delivery for trigger in desk.recorded)
    assert first == "a"
    assert second.startswith("body/")


async def test_a_key_counts_for_one_hook_and_account(desk: Desk) -> None:
    await desk.send("Idempotency-Key: a")
    assert (await desk.send("Idempotency-Key: a", path="/hooks/hourly")).status == 202
    desk.account = "9"
    assert (await desk.send("Idempotency-Key: a")).status == 202


async def test_without_a_key_the_same_body_within_a_day_is_no_second_event(desk: Desk) -> None:
    assert (await desk.send()).status == 202
    assert (await desk.send()).status == 200
    await desk.clock.advance(timedelta(hours=23, minutes=59))
    again = await desk.send()
    assert (again.status, json.loads(again.text)["event"]) == (200, desk.recorded[0].key)
    await desk.clock.advance(timedelta(minutes=2))
    assert (await desk.send()).status == 202
    assert (await desk.send(body=b'{"order": 8}')).status == 202
    assert len(desk.recorded) == 3


async def test_a_hook_may_take_the_same_body_again_and_again(desk: Desk) -> None:
    for _ in range(3):
        assert (await desk.send(path="/hooks/hourly", body=b"{}")).status == 202
        await desk.clock.advance(0.001)
    assert len(desk.recorded) == 3


async def test_a_signature_over_the_body_is_taken_and_the_hook_names_its_account(
    desk: Desk,
) -> None:
    made = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    answer = await desk.send(f"X-Hub-Signature-256: sha256={made}", path="/hooks/signed", token="")
    assert answer.status == 202
    assert desk.recorded[0].account_id == "2"


async def test_every_wrong_proof_and_every_unknown_name_gets_the_same_answer(desk: Desk) -> None:
    with capture_logs() as said:
        answers = [
            await desk.send(token="another-token-of-16"),
            await desk.send(token=""),
            await desk.send(path="/hooks/unknown"),
            await desk.send(path="/hooks/"),
            await desk.send(path="/hooks/signed"),
            await desk.send("Authorization: Bearer x"),
            await desk.send(token="another-token-of-16", body=b"no json"),
            await desk.send(path="/hooks/unknown", token="\x80\xff"),
        ]
    assert {(each.status, each.text) for each in answers} == {
        (401, '{"error":"not authorized for this hook"}\n')
    }
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert not desk.recorded
    assert {line["reason"] for line in said} == {"not authorized"}
    assert TOKEN not in str(said)


async def test_only_a_post_is_answered(desk: Desk) -> None:
    answer = await send(desk.port, "GET /hooks/shipped HTTP/1.1", "Host: x")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert (await desk.send(path="/hooks")).status == 404
    assert (await desk.send(path="/hooks/a/b")).status == 404


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"no json", "application/json", 400),
        (b"<a/>", "text/xml", 415),
        (b'"' + b"x" * 1200 + b'"', "application/json", 413),
        (b'"' + b"x" * 65 * 1024 + b'"', "application/json", 413),
    ],
)
async def test_a_body_that_cannot_be_taken_is_refused_with_the_reason(
    desk: Desk, body: bytes, kind: str, status: int
) -> None:
    answer = await desk.send(body=body, kind=kind)
    assert answer.status == status
    assert json.loads(answer.text)["error"]
    assert not desk.recorded


@pytest.mark.parametrize("key", ["x" * 201, "caf\xe9", "a\tb"])
async def test_a_key_that_cannot_be_kept_is_refused(desk: Desk, key: str) -> None:
    assert (await desk.send(f"Idempotency-Key: {key}")).status == 400


async def test_more_than_a_minute_may_have_is_put_off(desk: Desk) -> None:
    answers = [await desk.send(f"Idempotency-Key: {n}") for n in range(21)]
    assert [answer.status for answer in answers] == [202] * 20 + [429]
    assert answers[-1].headers["retry-after"] == "3"
    wrong = await desk.send(token="another-token-of-16")
    assert wrong.status == 401
    await desk.clock.advance(3)
    assert (await desk.send("Idempotency-Key: 20")).status == 202


async def test_a_full_inbox_and_an_account_that_is_not_here_are_answered_with_503(
    desk: Desk,
) -> None:
    desk.is_full = True
    answer = await desk.send()
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    desk.is_full, desk.account = False, ""
    assert (await desk.send()).status == 503
    desk.account = "1"
    assert (await desk.send()).status == 202


async def test_an_event_of_that_key_that_is_none_of_a_hook_is_not_taken_for_it(desk: Desk) -> None:
    body = b'{"type":"tick","account_id":"1","at":"2026-01-01T00:00:00Z","schedule":"x"}'
    trigger = Trigger(account_id="1", at=desk.clock.now(), name="shipped", delivery="a")
    row = row_of(trigger, "1", "x")
    await desk.store.events.append([type(row)(**{**_fields(row), "kind": "tick", "body": body})])
    assert (await desk.send("Idempotency-Key: a")).status == 422


async def test_the_same_delivery_many_times_at_once_is_one_event(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.send("Idempotency-Key: a") for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] * 9 + [202]
    assert len(desk.recorded) == 1


def _fields(row: object) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}  # type: ignore[attr-defined]
