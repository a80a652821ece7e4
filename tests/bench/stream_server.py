"""The server of the stream rows: as many envelopes as are asked for, as fast as they are read.

A process of its own. Each envelope is a chunk of HTTP and each write to the socket holds many, so
that the client under test is never the one that waits; that is why no framework stands here.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache

from tests.bench.payloads import HEARTBEAT_EVERY, lines

__all__ = ["url"]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_WRITE_BYTES = 256 * 1024


def url(port: int, count: int) -> str:
    """The base URL, as X's would be `https://api.x.com`, of a stream of so many envelopes."""
    return f"http://127.0.0.1:{port}/{count}"


@lru_cache(maxsize=2)
def _body(count: int) -> list[bytes]:
    """The chunks, in pieces for the socket."""
    pieces: list[bytes] = []
    piece = bytearray(_HEAD)
    for number, line in enumerate(lines(count), start=1):
        piece += _chunk(line + b"\r\n")
        if number % HEARTBEAT_EVERY == 0:
            piece += _chunk(b"\r\n")
        if len(piece) >= _WRITE_BYTES:
            pieces.append(bytes(piece))
            piece.clear()
    return [*pieces, bytes(piece)]


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send what the path asks for; the stream stays open until the client closes it."""
    head = await reader.readuntil(b"\r\n\r\n")
    count = int(head.split(b"/", 2)[1])
    try:
        for piece in _body(count):
            writer.write(piece)
            await writer.drain()
        await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(86_400)


if __name__ == "__main__":
    asyncio.run(_main())
