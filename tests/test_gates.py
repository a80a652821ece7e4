"""The gates that every test runs behind do close: blocking calls, the network, canned answers."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from blockbuster import BlockingError
from pytest_socket import SocketConnectBlockedError

import botkit

if TYPE_CHECKING:
    from aioresponses import aioresponses


def within_botkit(expression: str) -> Any:
    """Return the expression as a function that seems to stand in a file of botkit."""
    file = str(Path(botkit.__file__).with_name("probe.py"))
    return eval(compile(f"lambda: {expression}", file, "eval"))


@pytest.mark.parametrize(
    "blocking",
    [
        "open('/dev/null').close()",
        "__import__('time').sleep(0)",
        "__import__('sqlite3').connect(':memory:').close()",
        "__import__('os').stat('/')",
    ],
)
async def test_botkit_may_block_a_thread_but_not_the_loop(blocking: str) -> None:
    call = within_botkit(blocking)
    await asyncio.to_thread(call)
    with pytest.raises(BlockingError):
        call()


def test_no_test_reaches_further_than_loopback() -> None:
    with (
        socket.socket() as reached,
        pytest.warns(UserWarning, match="connect"),
        pytest.raises(SocketConnectBlockedError),
    ):
        reached.connect(("192.0.2.1", 80))


async def test_canned_answers_need_no_socket(canned: aioresponses) -> None:
    canned.get("https://api.x.com/2/users/me", payload={"data": {"id": "1"}})
    async with (
        aiohttp.ClientSession() as session,
        session.get("https://api.x.com/2/users/me") as answer,
    ):
        assert await answer.json() == {"data": {"id": "1"}}
