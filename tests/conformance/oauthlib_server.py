"""An OAuth 1.0a server that is not ours: oauthlib's server side under http.server, in a thread.

What verifies signatures, nonces, timestamps and verifiers is oauthlib's. Around it stand X's
paths, its users/me and its consent page (which agrees at once, `&decision=cancel` declines).
`off_s` is how far its clock is ahead; a call outside of its bounds is refused as X refuses it.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from oauthlib.common import Request
from oauthlib.oauth1 import RequestValidator, WebApplicationServer
from oauthlib.oauth1.rfc5849.errors import OAuth1Error

KEY = "cChZNFj6T5R0TigYB9yd1w"
BOUNDS_S = 300
clock = time.time  # noqa: TID251 - a clock that is not botkit's


@dataclass
class Odd:
    """What the server knows; its secrets are as odd as they may be."""

    api_secret: str
    callbacks: list[str]
    user_id: str = "6253282"
    username: str = "odd_bot"
    level: str = "read-write"
    off_s: float = 0.0
    confirmed: bool = True
    token_secret: str = "t%k&n=s+e/c:r~e'tü é"
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    nonces: set[tuple[str, ...]] = field(default_factory=set)
    log: list[dict[str, Any]] = field(default_factory=list)
    token_of: str = ""
    """Whose token is granted by users/me, when it is not the one that it was granted to."""


class Validator(RequestValidator):
    """oauthlib's questions about what is stored. Its own names, its own order."""

    enforce_ssl = False
    nonce_length = (8, 64)
    verifier_length = (7, 40)
    request_token_length = access_token_length = (10, 60)
    timestamp_lifetime = 10**9  # judged by `Server`, with a clock that can be moved
    dummy_client = dummy_request_token = dummy_access_token = "dummy"

    def __init__(self, odd: Odd) -> None:
        super().__init__()
        self.odd = odd

    def check_client_key(self, client_key: str) -> bool:
        return bool(client_key)

    def check_access_token(self, request_token: str) -> bool:
        return bool(request_token)  # X's hold a hyphen

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Request,
        request_token: str | None = None,
        access_token: str | None = None,
    ) -> bool:
        used = (client_key, timestamp, nonce, request_token or "", access_token or "")
        fresh = used not in self.odd.nonces
        self.odd.nonces.add(used)
        return fresh

    def validate_client_key(self, client_key: str, request: Request) -> bool:
        return client_key == KEY

    def get_client_secret(self, client_key: str, request: Request) -> str:
        return self.odd.api_secret

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, request: Request) -> bool:
        return redirect_uri in [*self.odd.callbacks, "oob"]

    def validate_requested_realms(self, client_key: str, realms: Any, request: Request) -> bool:
        return True

    def get_default_realms(self, client_key: str, request: Request) -> list[str]:
        return []

    def get_realms(self, token: str, request: Request) -> list[str]:
        return []

    def validate_realms(self, *args: Any, **kwargs: Any) -> bool:
        return True

    def save_request_token(self, token: dict[str, str], request: Request) -> None:
        token["oauth_token_secret"] += "+/=%&é"
        if not self.odd.confirmed:
            del token["oauth_callback_confirmed"]
        self.odd.requests[token["oauth_token"]] = {
            "secret": token["oauth_token_secret"],
            "callback": request.redirect_uri,
            "verifier": None,
        }

    def verify_request_token(self, token: str, request: Request) -> bool:
        return token in self.odd.requests

    def get_redirect_uri(self, token: str, request: Request) -> str:
        return self.odd.requests[token]["callback"]

    def save_verifier(self, token: str, verifier: dict[str, str], request: Request) -> None:
        if self.odd.requests[token]["callback"] == "oob":
            verifier["oauth_verifier"] = "0012345"
        self.odd.requests[token]["verifier"] = verifier["oauth_verifier"]

    def validate_request_token(self, client_key: str, token: str, request: Request) -> bool:
        return token in self.odd.requests

    def get_request_token_secret(self, client_key: str, token: str, request: Request) -> str:
        return self.odd.requests.get(token, {}).get("secret", "dummy")

    def validate_verifier(
        self, client_key: str, token: str, verifier: str, request: Request
    ) -> bool:
        return bool(verifier) and self.odd.requests[token]["verifier"] == verifier

    def invalidate_request_token(self, client_key: str, token: str, request: Request) -> None:
        del self.odd.requests[token]

    def save_access_token(self, token: dict[str, str], request: Request) -> None:
        token["oauth_token"] = f"{self.odd.user_id}-{token['oauth_token']}"
        token["oauth_token_secret"] = self.odd.token_secret
        self.odd.tokens[token["oauth_token"]] = token["oauth_token_secret"]

    def validate_access_token(self, client_key: str, token: str, request: Request) -> bool:
        return token in self.odd.tokens

    def get_access_token_secret(self, client_key: str, token: str, request: Request) -> str:
        return self.odd.tokens.get(token, "dummy")


class Server:
    """X's paths over oauthlib's endpoints."""

    def __init__(self, odd: Odd) -> None:
        self.odd = odd
        self.oauth = WebApplicationServer(Validator(odd))

    def answer(
        self, method: str, path: str, uri: str, body: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        if path == "/oauth/authorize":
            return self.consent(uri)
        if self.is_out_of_bounds(headers):
            return self.list_of(135, "Timestamp out of bounds.")
        match method, path:
            case "POST", "/oauth/request_token":
                named, text, status = self.oauth.create_request_token_response(
                    uri, method, body, headers
                )
            case "POST", "/oauth/access_token":
                credentials = {"user_id": self.odd.user_id, "screen_name": self.odd.username}
                named, text, status = self.oauth.create_access_token_response(
                    uri, method, body, headers, credentials=credentials
                )
            case "GET", "/2/users/me":
                return self.me(uri, method, body, headers)
            case "POST", "/1.1/oauth/invalidate_token":
                valid, request = self.resource(uri, method, body, headers)
                if not valid:
                    return self.list_of(89, "Invalid or expired token.")
                del self.odd.tokens[request.resource_owner_key]
                return 200, {"Content-Type": "application/json"}, '{"access_token": "gone"}'
            case _:
                return 404, {}, ""
        if status == 401 and not text:
            return self.list_of(32, "Could not authenticate you.")
        return status, dict(named), text or ""

    def resource(self, uri: str, method: str, body: str, headers: dict[str, str]) -> Any:
        return self.oauth.validate_protected_resource_request(uri, method, body, headers)

    def me(
        self, uri: str, method: str, body: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        valid, _ = self.resource(uri, method, body, headers)
        named = {"Content-Type": "application/json"}
        if not valid:
            return 401, named, '{"title":"Unauthorized","status":401,"type":"about:blank"}'
        user_id = self.odd.token_of or self.odd.user_id
        user = {"id": user_id, "username": self.odd.username, "name": "Odd"}
        return 200, named | {"x-access-level": self.odd.level}, json.dumps({"data": user})

    def consent(self, uri: str) -> tuple[int, dict[str, str], str]:
        asked = parse_qs(uri.partition("?")[2])
        token = asked["oauth_token"][0]
        if asked.get("decision") == ["cancel"]:
            callback = self.odd.requests.pop(token)["callback"]
            return 302, {"Location": f"{callback}?denied={token}"}, ""
        named, text, status = self.oauth.create_authorization_response(
            f"http://x/?oauth_token={token}"
        )
        return status, dict(named), text or ""

    def is_out_of_bounds(self, headers: dict[str, str]) -> bool:
        parts = headers.get("Authorization", "").partition(" ")[2].split(",")
        found = dict(part.strip().split("=", 1) for part in parts if "=" in part)
        stamp = int(found.get("oauth_timestamp", '"0"').strip('"'))
        return abs(stamp - clock() - self.odd.off_s) > BOUNDS_S

    @staticmethod
    def list_of(code: int, message: str) -> tuple[int, dict[str, str], str]:
        body = json.dumps({"errors": [{"code": code, "message": message}]})
        return 401, {"Content-Type": "application/json"}, body


class Handler(BaseHTTPRequestHandler):
    """One request; the Date of the answer is the server's own clock."""

    of: Server

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(clock() + self.of.odd.off_s, usegmt=True)

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size).decode()
        path, _, query = self.path.partition("?")
        uri = f"http://{self.headers['Host']}{self.path}"
        known = ("Authorization", "Content-Type")
        headers = {name: self.headers[name] for name in known if name in self.headers}
        try:
            status, named, text = self.of.answer(self.command, path, uri, body, headers)
        except OAuth1Error as error:
            status, named, text = 401, {}, error.urlencoded
        self.of.odd.log.append(
            {
                "path": path,
                "status": status,
                "query": query,
                "authorization": headers.get("Authorization", ""),
                "body": body,
            }
        )
        raw = text.encode()
        self.send_response(status)
        for name, value in {**named, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Nothing."""


@contextlib.contextmanager
def serving(odd: Odd) -> Iterator[str]:
    """The server's address, until the block ends."""
    handler = type("Handler", (Handler,), {"of": Server(odd)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
