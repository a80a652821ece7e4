"""X's deliveries: so many signed posts to a webhook, as fast as they are taken or paced.

    python -m tests.bench.webhook_sender PORT COUNT RATE

It prints the times in milliseconds from the sending to the 200, as JSON. RATE 0 is as fast as they
are taken, by 64 connections.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time

from tests.bench.payloads import lines

__all__ = ["PATH", "SECRET"]

PATH = "/x/deliveries"
SECRET = b"made-up"
_CONNECTIONS = 64


def _requests(count: int) -> list[bytes]:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    made: list[bytes] = []
    for body in lines(count):
        signature = base64.b64encode(hmac.digest(SECRET, body, hashlib.sha256))
        made.append(
            head
            + b"x-twitter-webhooks-signature: sha256="
            + signature
            + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )
    return made


async def _send(port: int, count: int, rate: float) -> list[float]:
    requests = iter(enumerate(_requests(count)))
    spans: list[float] = []
    began = time.perf_counter()

    async def work() -> None:
        reader = writer = None
        for number, request in requests:
            due = began + number / rate if rate else 0.0
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            # A late start counts: the delivery was due then.
            sent = due or time.perf_counter()
            if reader is None or writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            keeps = await _taken(reader)
            spans.append((time.perf_counter() - sent) * 1000)
            if not keeps:  # some servers take one request for each connection
                writer.close()
                reader = writer = None
        if writer is not None:
            writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(work())
    return spans


async def _taken(reader: asyncio.StreamReader) -> bool:
    """Read a 200; return True if the connection stays.

    Raises:
        RuntimeError: It was another answer.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(head.decode())
    await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    return b"connection: close" not in head


if __name__ == "__main__":
    _port, _count, _rate = sys.argv[1:]
    print(json.dumps(asyncio.run(_send(int(_port), int(_count), float(_rate)))))
