"""An authorization server of our own for refreshes: rotation, reuse detection, and a log.

Shares no code with botkit. Runs in a thread; `hold` keeps answers back.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

__all__ = ["Peer"]


class Peer:
    """What X knows: which refresh token is good, which were sent, which access tokens live."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.number = 0
        self.sent: list[str] = []
        self.reused = 0
        self.living: set[str] = set()
        self.answers = threading.Event()
        self.arrived = threading.Event()
        self.grant()
        self.answers.set()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = peer.refresh(parse_qs(body)["refresh_token"][0])
                peer.arrived.set()
                peer.answers.wait(60)
                self.reply(status, answer)

            def do_GET(self) -> None:
                token = self.headers["Authorization"].removeprefix("Bearer ")
                user = {"id": "1999", "username": "greeter", "name": "Greeter"}
                if token in peer.living:
                    self.reply(200, {"data": user})
                else:
                    self.reply(401, {"title": "Unauthorized", "type": "about:blank"})

            def reply(self, status: int, answer: Any) -> None:
                raw = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:  # the client was killed
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def grant(self) -> tuple[str, str]:
        """A new grant, as after a login: access token, refresh token; forgets what was."""
        with self.lock:
            self.number += 1
            self.sent.clear()
            self.reused = 0
            self.arrived.clear()
            self.living = {f"at-{self.number}"}
            self.good = f"rt-{self.number}"
            return f"at-{self.number}", self.good

    def refresh(self, token: str) -> tuple[int, Any]:
        with self.lock:
            if token in self.sent:
                self.reused += 1
                self.living.clear()
                self.good = ""
            self.sent.append(token)
            if token != self.good:
                text = "Value passed for the token was invalid."
                return 400, {"error": "invalid_request", "error_description": text}
            self.number += 1
            self.good = f"rt-{self.number}"
            self.living.add(f"at-{self.number}")
            return 200, {
                "token_type": "bearer",
                "expires_in": 7200,
                "access_token": f"at-{self.number}",
                "refresh_token": self.good,
                "scope": "tweet.read users.read offline.access",
            }

    def close(self) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
