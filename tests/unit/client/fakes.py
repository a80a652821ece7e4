"""A peer that plays X's token endpoints by its own rules, and what the keepers' tests stand on."""

from __future__ import annotations

import urllib.parse
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from botkit.client.logins.endpoints import AppKeys
from botkit.client.logins.login_rows import LoginRows, sealed_for
from botkit.errors import OutcomeUnknown, StoreUnavailable, TransportError
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.model.users import Account
from botkit.ports.io import HttpResponse
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.storage import open_store
from botkit.storage.vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from botkit.client.logins.rescue_file import Rescued
    from botkit.ports.io import HttpRequest

__all__ = ["APPS", "GREETER", "MemoryRescue", "Peer", "World", "json_answer", "world"]

GREETER = Account(id="1999", username="greeter", name="Greeter")
APPS = {
    "default": AppKeys(
        client_id="app:id+%&~",
        client_secret=Secret("s:e+c%r&e~tü"),
        api_key="key",
        api_secret=Secret("api-secret"),
    )
}
SCOPES = ("tweet.read", "tweet.write", "users.read", "offline.access")
JSON = (("content-type", "application/json"),)


def json_answer(status: int, body: object, **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(
        status=status, headers={**dict(JSON), **named}, body=msgspec.json.encode(body)
    )


class Peer:
    """X as far as tokens go: rotation, reuse detection, one use for a code, planned faults.

    `plan` holds what happens to the next calls of an endpoint, in order: an answer, or one of
    `lost` (carried out, never heard of), `reset` (not carried out, never heard of), `connect`
    (refused). `calls` maps an endpoint's name to what came.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.plan: dict[str, list[Any]] = {}
        self.calls: list[HttpRequest] = []
        self.refresh_token = "rt-1"
        self.access_tokens = {"at-1"}
        self.codes = {"code-1"}
        self.spent: list[str] = []
        self.reused = 0
        self.user = {"id": GREETER.id, "username": GREETER.username, "name": GREETER.name}
        self.expires_in: object = 7200
        self.scope: str | None = " ".join(SCOPES)
        self.rotates = True
        self.revoked: list[str] = []
        self.hold: Callable[[], Awaitable[None]] | None = None
        self.before_answer: Callable[[HttpRequest], Awaitable[None]] | None = None
        self._count = 1

    def named(self, name: str) -> list[HttpRequest]:
        return [call for call in self.calls if call.name == name]

    async def send(
        self, request: HttpRequest, *, before_bytes: Callable[[], Awaitable[None]] | None = None
    ) -> HttpResponse:
        planned = self.plan.get(request.name, [])
        fault = planned.pop(0) if planned else None
        if fault == "connect":
            raise TransportError("refused", request=request.name, kind="connect")
        if before_bytes is not None:
            await before_bytes()
        self.calls.append(request)
        if self.hold is not None:
            await self.hold()
        if fault == "reset":
            raise OutcomeUnknown("reset", request=request.name, kind="reset")
        if fault == "redirect":
            raise TransportError("303", request=request.name, kind="redirect", hint="Look.")
        if isinstance(fault, HttpResponse):
            return fault
        answer = self._answer(request)
        if fault == "lost":
            error = OutcomeUnknown if request.writes else TransportError
            raise error("lost", request=request.name, kind="reset")
        if self.before_answer is not None:
            await self.before_answer(request)
        return answer

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncIterator[PeerStream]:
        yield PeerStream(await self.send(request))

    def _answer(self, request: HttpRequest) -> HttpResponse:
        headers = dict(request.headers)
        match request.name:
            case "POST /2/oauth2/token":
                return self._token(dict(urllib.parse.parse_qsl((request.body or b"").decode())))
            case "POST /2/oauth2/revoke":
                form = dict(urllib.parse.parse_qsl((request.body or b"").decode()))
                self.revoked.append(form["token"])
                return json_answer(200, {"revoked": True})
            case "POST /oauth2/token":
                return json_answer(200, {"token_type": "bearer", "access_token": "AAAA"})
        if headers["Authorization"].removeprefix("Bearer ") not in self.access_tokens:
            return json_answer(
                401, {"title": "Unauthorized", "status": 401, "type": "about:blank"}
            )
        return json_answer(200, {"data": self.user})

    def _token(self, form: dict[str, str]) -> HttpResponse:
        if form["grant_type"] == "authorization_code":
            if form["code"] not in self.codes:
                return invalid("Value passed for the authorization code was invalid.")
            self.codes.discard(form["code"])
        else:
            token = form["refresh_token"]
            if token in self.spent:
                self.reused += 1
                self.access_tokens.clear()
                self.refresh_token = ""
            if token != self.refresh_token:
                return invalid("Value passed for the token was invalid.")
        return self._grant()

    def _grant(self) -> HttpResponse:
        if self.rotates:
            self.spent.append(self.refresh_token)
            self._count += 1
            self.refresh_token = f"rt-{self._count}"
        access = f"at-{self._count}"
        self.access_tokens.add(access)
        body = {
            "token_type": "bearer",
            "expires_in": self.expires_in,
            "access_token": access,
            "refresh_token": self.refresh_token,
            "scope": self.scope,
        }
        return json_answer(200, {name: v for name, v in body.items() if v is not None})


class PeerStream:
    def __init__(self, answer: HttpResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._body = answer.body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


def invalid(description: str) -> HttpResponse:
    return json_answer(400, {"error": "invalid_request", "error_description": description})


class MemoryRescue:
    """A rescue place that can be made to fail."""

    def __init__(self) -> None:
        self.entries: list[Rescued] = []
        self.broken = False

    async def keep(self, entries: Sequence[Rescued]) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")
        self.entries = list(entries)

    async def load(self) -> list[Rescued]:
        return list(self.entries)


class _Watched:
    """A group of the store whose calls stop virtual time, may fail, and are written down."""

    def __init__(self, group: object, name: str, world: World) -> None:
        self._group = group
        self._name = name
        self._world = world

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._group, method)

        async def watched(*args: Any, **kwargs: Any) -> Any:
            where = f"{self._name}.{method}"
            self._world.log.append(where)
            if where in self._world.broken:
                raise StoreUnavailable("disk full")
            with self._world.clock.working():
                result = await call(*args, **kwargs)
            if where in self._world.pauses:
                await self._world.pauses.pop(where)()
            return result

        return watched


class World:
    """Store, vault, peer, clock and chance of one test.

    `broken` names store calls that fail; `pauses` what the next one of a name waits for once it
    is done, as a process that is frozen there.
    """

    def __init__(self, store: Any, clock: VirtualClock) -> None:
        self.clock = clock
        self.real_store = store
        self.log: list[str] = []
        self.broken: set[str] = set()
        self.pauses: dict[str, Callable[[], Awaitable[object]]] = {}
        self.vault = Vault(bytes(32), deployment=store.store_id)
        self.rows = LoginRows(store, self.vault, clock, apps=APPS)
        self.entropy = SeededEntropy()
        self.peer = Peer(clock)
        self.credentials = _Watched(store.credentials, "credentials", self)
        self.accounts = _Watched(store.accounts, "accounts", self)
        self.leases = _Watched(store.leases, "leases", self)
        self.ledger = _Watched(store.ledger, "ledger", self)

    async def log_in(
        self,
        *,
        account: Account = GREETER,
        left: timedelta = timedelta(hours=2),
        gen: int = 1,
        refresh_token: str = "rt-1",
        access_token: str = "at-1",
        status: LoginState = LoginState.OK,
        **more: Any,
    ) -> CredentialRow:
        """A login as setup would have stored it."""
        now = self.clock.now()
        kind = CredentialKind.OAUTH2
        tokens = {"access_token": access_token}
        if refresh_token:
            tokens["refresh_token"] = refresh_token
        row = CredentialRow(
            account_id=account.id,
            app=account.app,
            kind=kind,
            gen=gen,
            sealed=self.vault.seal(
                tokens, account_id=account.id, app=account.app, kind=kind, gen=gen
            ),
            user_id=account.id,
            username=account.username,
            scopes=more.pop("scopes", SCOPES),
            status=status,
            since=now,
            granted_at=now - timedelta(hours=2) + left,
            access_until=now + left,
            **more,
        )
        await self.real_store.accounts.put(account)
        return await self.real_store.credentials.replace(row)

    async def log_in_1a(self, *, level: str = "", account: Account = GREETER) -> CredentialRow:
        """An OAuth 1.0a login."""
        now = self.clock.now()
        kind = CredentialKind.OAUTH1
        row = CredentialRow(
            account_id=account.id,
            app=account.app,
            kind=kind,
            gen=1,
            sealed=self.vault.seal(
                {"token": "t-1", "token_secret": "ts-1"},
                account_id=account.id,
                app=account.app,
                kind=kind,
                gen=1,
            ),
            user_id=account.id,
            username=account.username,
            level=level,
            since=now,
            granted_at=now,
        )
        await self.real_store.accounts.put(account)
        return await self.real_store.credentials.replace(row)

    async def row(self, account: Account = GREETER) -> CredentialRow:
        found = await self.real_store.credentials.get(
            account.id, account.app, CredentialKind.OAUTH2
        )
        assert found is not None
        return found

    async def tokens(self, account: Account = GREETER) -> dict[str, str]:
        row = await self.row(account)
        opened = self.vault.open(row.sealed, **sealed_for(row))
        return {name: token.reveal() for name, token in opened.items()}

    @property
    def refreshes(self) -> list[str]:
        """The refresh tokens that reached the peer, in order."""
        return [
            dict(urllib.parse.parse_qsl((call.body or b"").decode())).get("refresh_token", "")
            for call in self.peer.named("POST /2/oauth2/token")
        ]


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = VirtualClock()
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=clock) as store:
        yield World(store, clock)
