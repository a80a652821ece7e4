"""A sender that means harm: rightly signed deliveries by the thousand, and everything else.

    python -m tests.crash.hostile_sender PORT PATH ACCOUNT_ID RATE SECONDS < the API secret

It prints what was answered, as JSON, with the ids of the posts for which 200 came. It shares no
code with botkit.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

__all__: list[str] = []

CONNECTIONS = 128
SLOW = 16
_EPOCH_MS = 1288834974657


class Sender:
    """The load of one run."""

    def __init__(self, port: int, path: str, account_id: str, secret: bytes) -> None:
        self.port = port
        self.path = path
        self.account_id = account_id
        self.secret = secret
        self.answers: Counter[str] = Counter()
        self.taken: set[str] = set()
        self.health_ms: list[float] = []
        self.offered = 0
        self._chance = random.Random(7)
        self._last: tuple[str, bytes] = ("", b"")
        self._ids = (int(time.time() * 1000) - _EPOCH_MS) << 22  # noqa: TID251

    def good(self) -> tuple[str, bytes]:
        """A new mention; its id and the request."""
        self._ids += 1
        post_id = str(self._ids)
        payload = {
            "id": post_id,
            "author_id": "7",
            "conversation_id": post_id,
            "text": "@greeter hello",
            "entities": {
                "mentions": [{"start": 0, "end": 8, "username": "greeter", "id": self.account_id}]
            },
        }
        user = {"id": "7", "name": "Eve", "username": "eve"}
        data = {
            "event_uuid": post_id,
            "filter": {"user_id": self.account_id},
            "event_type": "post.mention.create",
            "payload": payload,
            "includes": {"users": [user]},
        }
        return post_id, self.request(json.dumps({"data": data}).encode())

    def signature(self, body: bytes) -> bytes:
        return b"sha256=" + base64.b64encode(hmac.digest(self.secret, body, hashlib.sha256))

    def request(self, body: bytes, *signatures: bytes) -> bytes:
        signatures = signatures or (self.signature(body),)
        head = f"POST {self.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        lines = b"".join(b"x-twitter-webhooks-signature: " + each + b"\r\n" for each in signatures)
        return head.encode() + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def bad(self) -> tuple[str, bytes]:
        """One of the ways to do harm: its name, and the request."""
        body = b'{"data":{"event_type":"post.mention.create"}}'
        right = self.signature(body)
        odd = b'{"data":{"event_type":"\\ud800","filter":{"user_id":"1"}}}'
        huge = b'{"data":{"event_type":"post.mention.create","payload":{"id":1e999}}}'
        ways = {
            "wrong signature": self.request(body, b"sha256=" + base64.b64encode(b"\0" * 32)),
            "signed twice": self.request(body, right, right),
            "two signatures in one": self.request(body, right + b", " + right),
            "not ASCII": self.request(body, b"sha256=\xff\xfe\xe4"),
            "cut signature": self.request(body, right[:-2]),
            "deep list": self.request(b"[" * 5000),
            "deep object": self.request(b'{"data":' * 2000),
            "infinite id": self.request(huge),
            "half a character": self.request(odd),
            "no text": self.request(b"\xff\xfe{}"),
            "empty": self.request(b""),
        }
        return self._chance.choice(list(ways.items()))

    def next(self) -> tuple[str, str, bytes]:
        """Nine new posts of ten; the others are replays and harm: kind, id of the post, request."""
        kind = self._chance.random()
        if kind < 0.9:
            self._last = self.good()
            return "post", *self._last
        if kind < 0.95 and self._last[0]:
            return "replay", *self._last
        name, request = self.bad()
        return name, "", request

    async def run(self, rate: float, seconds: float) -> None:
        began = time.monotonic()  # noqa: TID251
        async with asyncio.TaskGroup() as group:
            for _ in range(SLOW):
                group.create_task(self.dawdle(began + seconds))
            group.create_task(self.watch(began + seconds))
            for _ in range(CONNECTIONS):
                group.create_task(self.work(began, rate, seconds))

    async def work(self, began: float, rate: float, seconds: float) -> None:
        reader = writer = None
        while (elapsed := time.monotonic() - began) < seconds:  # noqa: TID251
            if self.offered > elapsed * rate:
                await asyncio.sleep(0.001)  # noqa: TID251
                continue
            self.offered += 1
            kind, post_id, request = self.next()
            try:
                if writer is None or reader is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(request)
                status, keeps = await asyncio.wait_for(answer_of(reader), 15)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.answers[type(error).__name__] += 1
                keeps = False
            else:
                self.answers[f"{status} {kind}"] += 1
                if status == 200 and post_id:
                    self.taken.add(post_id)
            if not keeps and writer is not None:
                writer.close()
                writer = None

    async def dawdle(self, until: float) -> None:
        """Send a body byte by byte, again and again."""
        while time.monotonic() < until:  # noqa: TID251
            with suppress(OSError, EOFError, TimeoutError, ValueError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                head = f"POST {self.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
                writer.write(head.encode())
                for _ in range(20):
                    writer.write(b"{")
                    await asyncio.sleep(0.5)  # noqa: TID251
                    if reader.at_eof() or time.monotonic() > until:  # noqa: TID251
                        break
                writer.close()
            self.answers["slow bodies"] += 1

    async def watch(self, until: float) -> None:
        """Ask for the health, as a supervisor does."""
        while time.monotonic() < until:  # noqa: TID251
            began = time.monotonic()  # noqa: TID251
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                status, _ = await asyncio.wait_for(answer_of(reader), 10)
                writer.close()
                self.answers[f"{status} health"] += 1
                self.health_ms.append((time.monotonic() - began) * 1000)  # noqa: TID251
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.answers[f"{type(error).__name__} health"] += 1
            await asyncio.sleep(0.5)  # noqa: TID251


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status of an answer, and whether the connection stays."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    length = 0
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    await reader.readexactly(length)
    return status, b"connection: close" not in head


def _main(port: str, path: str, account_id: str, rate: str, seconds: str) -> None:
    sender = Sender(int(port), path, account_id, sys.stdin.readline().strip().encode())
    asyncio.run(sender.run(float(rate), float(seconds)))
    said: dict[str, Any] = {
        "offered": sender.offered,
        "answers": sender.answers,
        "health_ms": sorted(sender.health_ms),
        "taken": sorted(sender.taken),
    }
    print(json.dumps(said))  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])
