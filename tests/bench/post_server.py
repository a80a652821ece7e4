"""The server of B1: makes a post of whatever is posted. A process of its own, kept small.

It answers with the headers by which X tells the rate window, so that a client has them to read.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re

__all__ = ["REMAINING"]

REMAINING = 1_000_000
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
    f"x-rate-limit-limit: {REMAINING}\r\nx-rate-limit-remaining: {REMAINING}\r\n"
    "x-rate-limit-reset: 4102444800\r\nContent-Length: "
)
_ids = itertools.count(1)


class _Answering(asyncio.Protocol):
    def __init__(self) -> None:
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        while True:
            head, end, rest = self._got.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if not end or len(rest) < size:
                return
            self._got = rest[size:]
            self._answer(json.loads(rest[:size]))

    def _answer(self, post: dict[str, str]) -> None:
        made = json.dumps({"data": {"id": str(next(_ids)), "text": post["text"]}})
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(f"{_HEAD}{len(made)}\r\n\r\n{made}".encode())


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(86_400)


if __name__ == "__main__":
    asyncio.run(_main())
