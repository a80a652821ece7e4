"""Deliver to webhooks: challenges, signed events, retries, and replays of what happened.

X promises retries of the deliveries that are not answered with 200, and gives no schedule. That of
its older API is assumed: docs/explanation/x-facts.md, "Webhooks".
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections import Counter, deque
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from botkit.sandbox.wire.exchange import as_object, encode
from botkit.sandbox.world.webhooks import Challenge
from botkit.sandbox.x.pricing import StreamLine, charge_delivery

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from botkit.sandbox.world.grants import App
    from botkit.sandbox.world.webhooks import WebhookRecord
    from botkit.sandbox.world.world import World
    from botkit.sandbox.x.push.outgoing import Outgoing

__all__ = ["Deliveries"]

_LOOK_S = 3600.0
"""The time between two challenges of a webhook. Source: X API docs, "Webhooks"."""
_AT_ONCE = 100
"""The deliveries that are open at the same time to one webhook. Assumed."""
_MOST_KEPT = 100_000
_REDIRECTS = range(300, 400)
_REPLAYABLE = timedelta(hours=24)
_ENDS = {
    True: ("Complete", "Job completed successfully"),
    False: ("Incomplete", "Job failed to deliver all events, please retry your replay job"),
}


class _Happened(NamedTuple):
    at: datetime
    line: StreamLine


class Deliveries:
    """What X sends to the webhooks of all apps.

    Attributes:
        counts: How many events were `delivered` and `lost`, and how many `attempts` were made.
    """

    def __init__(self, world: World, outgoing: Outgoing) -> None:
        self._world = world
        self._outgoing = outgoing
        self._tasks: set[asyncio.Task[None]] = set()
        self._places: dict[str, asyncio.Semaphore] = {}
        self._happened: dict[str, deque[_Happened]] = {}
        self.counts: Counter[str] = Counter()

    def watch(self, webhook: WebhookRecord) -> None:
        """Send the webhook a challenge each hour, as long as it is there."""
        self._spawn(self._challenge_hourly(webhook))

    def send(self, webhook: WebhookRecord, line: StreamLine) -> None:
        """Deliver an event, now and by the retries; to an invalid webhook only by a replay."""
        kept = self._happened.setdefault(webhook.id, deque(maxlen=_MOST_KEPT))
        now = self._world.time_on_x()
        while kept and kept[0].at < now - _REPLAYABLE:
            kept.popleft()
        kept.append(_Happened(now, line))
        if webhook.valid:
            self._spawn(self._deliver(webhook, line))
        else:
            self.counts["lost"] += 1

    def start_replay(self, webhook: WebhookRecord, since: datetime, until: datetime) -> str:
        """Deliver again what happened in a span, both ends included; return the job's id."""
        happened = self._happened.get(webhook.id, ())
        lines = [each.line for each in happened if since <= each.at <= until]
        webhook.replays = job = self._world.next_id()
        self._spawn(self._replay(webhook, job, lines))
        return job

    async def challenge(self, app: App, url: str) -> Challenge:
        """Send a challenge to an address; return how it ended."""
        token = base64.b64encode(self._world.entropy.token_bytes(33)).decode()
        query = {"crc_token": token}
        if self._world.rules.challenge_nonce:
            query["nonce"] = base64.b64encode(self._world.entropy.token_bytes(16)).decode()
        joined = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
        reply = await self._outgoing.send("GET", joined, headers={})
        if reply.is_tls_broken:
            return Challenge.NO_TLS
        if reply.status == 0:
            return Challenge.SILENT
        if reply.status in _REDIRECTS:
            return Challenge.REDIRECTED
        if reply.status != HTTPStatus.OK:
            return Challenge.FAILED
        answered: Any = (as_object(reply.body) or {}).get("response_token")
        right = answered == _signature(app, token.encode())
        return Challenge.PASSED if right else Challenge.WRONG

    async def check(self, webhook: WebhookRecord) -> Challenge:
        """Send a challenge to a webhook, and note whether it is valid after that."""
        ended = await self.challenge(webhook.app, webhook.url)
        self._world.webhooks.judge(webhook, ended)
        return ended

    async def aclose(self) -> None:
        """End everything that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _challenge_hourly(self, webhook: WebhookRecord) -> None:
        while True:
            await self._world.clock.sleep(_LOOK_S)
            if not self._world.webhooks.has(webhook):
                return
            await self.check(webhook)

    async def _deliver(self, webhook: WebhookRecord, line: StreamLine) -> None:
        for wait_s in (0.0, *self._world.rules.webhook_retries_s):
            if wait_s:
                await self._world.clock.sleep(wait_s)
            if not (webhook.valid and self._world.webhooks.has(webhook)):
                break
            if await self._post(webhook, line):
                return
        self.counts["lost"] += 1

    async def _replay(self, webhook: WebhookRecord, job: str, lines: list[StreamLine]) -> None:
        done = [await self._post(webhook, line) for line in lines]
        state, said = _ENDS[all(done)]
        webhook.replays = ""
        ended = {
            "webhook_id": webhook.id,
            "job_state": state,
            "job_state_description": said,
            "job_id": job,
        }
        await self._deliver(webhook, StreamLine(encode({"replay_job_status": ended})))

    async def _post(self, webhook: WebhookRecord, line: StreamLine) -> bool:
        """Make one attempt; return True if the event is taken."""
        body = line.content.strip()
        headers = {
            "Content-Type": "application/json",
            "x-twitter-webhooks-signature": _signature(webhook.app, body),
        }
        async with self._places.setdefault(webhook.id, asyncio.Semaphore(_AT_ONCE)):
            self.counts["attempts"] += 1
            reply = await self._outgoing.send("POST", webhook.url, headers=headers, body=body)
        if reply.status != HTTPStatus.OK:
            return False
        self.counts["delivered"] += 1
        charge_delivery(self._world, webhook.app, line)
        return True


def _signature(app: App, message: bytes) -> str:
    digest = hmac.digest(app.api_secret.encode(), message, "sha256")
    return "sha256=" + base64.b64encode(digest).decode()
