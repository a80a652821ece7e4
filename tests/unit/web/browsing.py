"""A browser of our own making, byte by byte."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Answered:
    """An answer as it came over the wire."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        pairs = [line.partition(": ") for line in lines]
        self.headers = {name.lower(): value for name, _, value in pairs}
        self.text = self.body.decode()


async def send(port: int, *lines: str, body: bytes = b"") -> Answered:
    """Send these header lines; gives the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write("\r\n".join((*lines, "", "")).encode("latin-1") + body)
        return Answered(await reader.read())
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
