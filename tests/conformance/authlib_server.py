"""An authorization server that is not ours: Authlib's server side under wsgiref, and X's users/me.

It insists: PKCE with S256, the client by HTTP Basic alone with form-encoded id and secret, codes
of 30 s that are used once, and refresh tokens that rotate; one used twice ends its whole family.
It writes down what it was sent. Started as a program with its settings as a JSON object (Authlib
takes plain http only with AUTHLIB_INSECURE_TRANSPORT=1 in the environment):

    {"client_id", "client_secret", "redirect_uri", "username", "access_life_s"}

    GET  /i/oauth2/authorize   the user agrees at once (`&decision=cancel`: does not)
    POST /2/oauth2/token
    GET  /2/users/me
    GET  /log                  everything that was asked, in order
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import socketserver
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote_plus
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import (
    AuthorizationCodeMixin,
    ClientMixin,
    InvalidRequestError,
    OAuth2Payload,
    TokenMixin,
    grants,
)
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge

CODE_LIFE_S = 30
LEEWAY_S = 10
"""How much longer than it said the API takes an access token: clocks differ."""
now = time.monotonic  # noqa: TID251 - a clock that is not botkit's


@dataclass(eq=False)
class App(ClientMixin):
    client_id: str
    client_secret: str
    redirect_uri: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str | None) -> str | None:
        return scope or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in {"authorization_code", "refresh_token"}


@dataclass(eq=False)
class Code(AuthorizationCodeMixin):
    value: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str
    until: float
    family: Family
    used: bool = False

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass(eq=False)
class Token(TokenMixin):
    access: str
    refresh: str
    scope: str
    until: float
    family: Family
    spent: bool = False

    def check_client(self, client: ClientMixin) -> bool:
        return True  # there is one

    def get_scope(self) -> str:
        return self.scope


@dataclass(eq=False)
class Family:
    """What came of one consent."""

    tokens: list[Token] = field(default_factory=list)
    ended: bool = False


class Form(OAuth2Payload):
    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._lists: dict[str, list[str]] = {}
        for name, value in pairs:
            self._lists.setdefault(name, []).append(value)

    @property
    def data(self) -> dict[str, str]:
        return {name: values[0] for name, values in self._lists.items()}

    @property
    def datalist(self) -> dict[str, list[str]]:
        return self._lists


class Asked(OAuth2Request):
    def __init__(self, environ: dict[str, Any]) -> None:
        uri = f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}"
        headers = {"Authorization": environ.get("HTTP_AUTHORIZATION", "")}
        super().__init__(environ["REQUEST_METHOD"], uri, headers=headers)
        size = int(environ.get("CONTENT_LENGTH") or 0)
        self.raw = environ["wsgi.input"].read(size).decode()
        self.media_type = environ.get("CONTENT_TYPE", "").partition(";")[0]
        text = self.raw or environ.get("QUERY_STRING", "")
        self.payload = Form(parse_qsl(text, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


def basic_of(headers: dict[str, str]) -> tuple[str, str]:
    """Id and secret, form-decoded. Source: RFC 6749 section 2.3.1 and appendix B."""
    scheme, _, encoded = headers["Authorization"].partition(" ")
    if scheme.lower() != "basic":
        return ("", "")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    return unquote_plus(user), unquote_plus(password)


class S256Only(CodeChallenge):
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        asked = grant.request.payload.data
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            raise InvalidRequestError("code_challenge_method must be S256")
        super().validate_code_challenge(grant, redirect_uri)


class CodeGrant(grants.AuthorizationCodeGrant):
    server: Authority

    def save_authorization_code(self, code: str, request: Any) -> None:
        asked = request.payload
        self.server.codes[code] = Code(
            value=code,
            redirect_uri=asked.redirect_uri,
            scope=asked.scope,
            code_challenge=asked.data["code_challenge"],
            code_challenge_method=asked.data["code_challenge_method"],
            until=now() + CODE_LIFE_S,
            family=Family(),
        )

    def query_authorization_code(self, code: str, client: ClientMixin) -> Code | None:
        found = self.server.codes.get(code)
        if found is None:
            return None
        if found.used:
            found.family.ended = True
        fresh = not found.used and now() <= found.until
        found.used = True
        self.server.family = found.family
        return found if fresh else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """It stays, so that a second use is seen."""

    def authenticate_user(self, authorization_code: Code) -> str:
        return self.server.username


class RefreshGrant(grants.RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: Authority

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        found = next((t for t in self.server.tokens if t.refresh == refresh_token), None)
        if found is None:
            return None
        if found.spent:
            found.family.ended = True
        if found.family.ended:
            return None
        self.server.family = found.family
        return found

    def authenticate_user(self, refresh_token: Token) -> str:
        return self.server.username

    def revoke_old_credential(self, refresh_token: Token) -> None:
        refresh_token.spent = True


class Authority(AuthorizationServer):
    """One app and one user."""

    def __init__(self, app: App, username: str, access_life_s: int) -> None:
        super().__init__()
        self.app = app
        self.username = username
        self.codes: dict[str, Code] = {}
        self.tokens: list[Token] = []
        self.family = Family()
        self.log: list[dict[str, Any]] = []

        def made(**_: object) -> str:
            return secrets.token_urlsafe(40)

        self.access_life_s = access_life_s
        life = {"expires_generator": lambda *_: access_life_s}
        self.register_token_generator("default", BearerTokenGenerator(made, made, **life))
        self.register_client_auth_method("client_secret_basic", self._by_basic)
        self.register_grant(CodeGrant, [S256Only(required=True)])
        self.register_grant(RefreshGrant)

    def query_client(self, client_id: str) -> App | None:
        return self.app if client_id == self.app.client_id else None

    def _by_basic(self, query_client: Callable[[str], App | None], request: Any) -> App | None:
        client_id, client_secret = basic_of(request.headers)
        client = query_client(client_id)
        return client if client and client.check_client_secret(client_secret) else None

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        kept = Token(
            access=token["access_token"],
            refresh=token["refresh_token"],
            scope=token["scope"],
            until=now() + self.access_life_s + LEEWAY_S,
            family=self.family,
        )
        self.family.tokens.append(kept)
        self.tokens.append(kept)

    def create_oauth2_request(self, request: Any) -> Any:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, bytes, Any]:
        content = body if isinstance(body, str) else json.dumps(body)
        return status, content.encode(), list(headers)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def authorize(self, asked: Asked) -> tuple[int, bytes, Any]:
        data = asked.payload.data
        self.log.append({"call": "authorize", **data})
        agrees = None if data.get("decision") == "cancel" else self.username
        try:
            grant = self.get_consent_grant(asked, end_user=agrees)
        except OAuth2Error as error:
            return self.handle_error_response(asked, error)
        return self.create_authorization_response(asked, grant_user=agrees, grant=grant)

    def token(self, asked: Asked) -> tuple[int, bytes, Any]:
        status, body, headers = self.create_token_response(asked)
        scheme = asked.headers["Authorization"].partition(" ")[0]
        secret = self.app.client_secret
        self.log.append(
            {
                "call": "token",
                "status": status,
                "scheme": scheme,
                "knows_the_secret": basic_of(asked.headers) == (self.app.client_id, secret),
                "secret_in_body": "client_secret" in asked.form
                or secret in unquote_plus(asked.raw),
                "media_type": asked.media_type,
                **asked.form,
            }
        )
        return status, body, headers

    def me(self, asked: Asked) -> tuple[int, bytes, Any]:
        value = asked.headers["Authorization"].removeprefix("Bearer ")
        token = next((t for t in self.tokens if t.access == value), None)
        alive = token is not None and not token.family.ended and now() < token.until
        self.log.append({"call": "me", "status": 200 if alive else 401})
        if not alive:
            refusal = {"title": "Unauthorized", "type": "about:blank", "status": 401}
            return self.handle_response(401, refusal, JSON)
        user = {"id": "1999", "username": self.username, "name": "Odd"}
        return self.handle_response(200, {"data": user}, JSON)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked = Asked(environ)
        route = (asked.method, environ["PATH_INFO"])
        if route == ("GET", "/i/oauth2/authorize"):
            status, body, headers = self.authorize(asked)
        elif route == ("POST", "/2/oauth2/token"):
            status, body, headers = self.token(asked)
        elif route == ("GET", "/2/users/me"):
            status, body, headers = self.me(asked)
        elif route == ("GET", "/log"):
            status, body, headers = self.handle_response(200, self.log, JSON)
        else:
            status, body, headers = self.handle_response(404, {"title": "Not Found"}, JSON)
        start(f"{status} {HTTPStatus(status).phrase}", list(headers))
        return [body]


JSON = [("Content-Type", "application/json")]


class Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Standard error is for what goes wrong."""


class Threads(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


def main() -> None:
    settings = json.loads(sys.argv[1])
    authority = Authority(
        App(settings["client_id"], settings["client_secret"], settings["redirect_uri"]),
        settings["username"],
        settings["access_life_s"],
    )
    with make_server("127.0.0.1", 0, authority, Threads, Silent) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - its one answer
        server.serve_forever()


if __name__ == "__main__":
    main()
