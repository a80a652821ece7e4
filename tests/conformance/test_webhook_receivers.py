"""Somebody's own server behind a webhook of the sandbox: the standard library, and aiohttp.

Both sign as X's page says, and share no code with botkit.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from aiohttp import web

from botkit.sandbox import open_server
from tests.conformance.sandbox_process import run_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 20.0


def signed(secret: str, message: bytes) -> str:
    made = hmac.new(secret.encode(), message, hashlib.sha256).digest()
    return "sha256=" + base64.b64encode(made).decode()


class Plain:
    """A server of the standard library, as X's sample program does it; `failures` come first."""

    def __init__(self) -> None:
        self.secret = ""
        self.failures = 0
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        plain = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                (token,) = parse_qs(urlsplit(self.path).query)["crc_token"]
                said = {"response_token": signed(plain.secret, token.encode())}
                self.reply(200, json.dumps(said).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["x-twitter-webhooks-signature"] != signed(plain.secret, body):
                    self.reply(403, b"")
                elif plain.failures:
                    plain.failures -= 1
                    self.reply(500, b"")
                else:
                    plain.events.put(json.loads(body))
                    self.reply(200, b"")

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhook/twitter"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def plain() -> Iterator[Plain]:
    server = Plain()
    yield server
    server.close()


def test_a_server_of_the_standard_library_is_registered_told_and_told_again(
    tmp_path: Path, plain: Plain
) -> None:
    with run_sandbox(tmp_path) as sandbox:
        bot = sandbox.play("users", username="shop")
        app = sandbox.play("apps", name="shop", owner="shop")
        plain.secret = app["api_secret"]

        def ask(method: str, path: str, body: Any = None) -> Any:
            headers = {"authorization": f"Bearer {app['bearer_token']}"}
            answer = requests.request(
                method, sandbox.url + path, json=body, headers=headers, timeout=10
            )
            assert answer.status_code == 200, answer.text
            return answer.json()

        webhook = ask("POST", "/2/webhooks", {"url": plain.url})["data"]
        wanted = {"event_type": "post.create", "filter": {"user_id": bot["id"]}}
        ask("POST", "/2/activity/subscriptions", wanted | {"webhook_id": webhook["id"]})
        plain.failures = 1
        post = sandbox.play("posts", **{"as": "shop", "text": "open again"})
        event = plain.events.get(timeout=PATIENCE_S)
        assert event["data"]["payload"]["id"] == post["id"]
        assert sandbox.state()["deliveries"]["attempts"] == 2
        plain.secret = "another"
        refused = requests.put(
            f"{sandbox.url}/2/webhooks/{webhook['id']}",
            headers={"authorization": f"Bearer {app['bearer_token']}"},
            timeout=10,
        )
        assert refused.status_code == 400
        assert "CrcValidationFailed" in refused.text
        assert ask("GET", "/2/webhooks")["data"][0]["valid"] is False


async def test_an_aiohttp_server_is_registered_and_told() -> None:
    events: list[dict[str, Any]] = []
    secret = ""

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            token = request.query["crc_token"]
            return web.json_response({"response_token": signed(secret, token.encode())})
        body = await request.read()
        assert hmac.compare_digest(
            request.headers["x-twitter-webhooks-signature"], signed(secret, body)
        )
        events.append(json.loads(body))
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/hook", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with open_server() as opened:
            mine = opened.world.grants.add_app("shop")
            secret = mine.api_secret
            record = opened.world.webhooks.add(
                mine, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            )
            assert (await opened.server.deliveries.check(record)).value == ""
            from botkit.sandbox.x.pricing import StreamLine

            opened.server.deliveries.send(record, StreamLine(b'{"data":{}}\r\n'))
            while not events:
                await opened.world.clock.sleep(0.01)
    finally:
        await runner.cleanup()
    assert events == [{"data": {}}]
