"""Send one refresh token to X, after room for the new token is reserved, and store the result.

The order of the steps protects the login: take the lock, read the row again, sync the intent with
reserved room, connect with TLS, sync "sent", send the bytes, read the answer, sync the result. The
new access token is used only after that. A login whose refresh has an unknown result is UNCERTAIN,
and is not refreshed while its access token works.
Source: docs/explanation/requirements.md, "The refresh of a login".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog
from msgspec import Struct

from botkit.client.logins.login_rows import OpenRow, fingerprint
from botkit.client.logins.oauth2_login import NOT_GRANTED, Outcome, is_asked_again
from botkit.client.logins.rescue_file import Rescued
from botkit.client.refresh.refresh_lock import Held
from botkit.errors import (
    AuthError,
    Conflict,
    InvalidClient,
    InvalidGrant,
    MalformedAnswer,
    OutcomeUnknown,
    RateLimited,
    ResponseError,
    ServerError,
    StateError,
    TransportError,
)
from botkit.model.records import CredentialRow, Intent
from botkit.model.tokens import LoginState, Secret
from botkit.ports.io import HttpRequest
from botkit.protocol.oauth import oauth2, token_answers

if TYPE_CHECKING:
    from botkit.client.logins.context import LoginContext
    from botkit.client.refresh.refresh_lock import RefreshLock
    from botkit.leases.owner import Lives
    from botkit.model.records import Fence
    from botkit.ports.io import HttpResponse

__all__ = ["Refresher"]

_log = structlog.get_logger(__name__)

_TIMEOUT_S = 60.0
_UNREAD_BYTES = 16 * 1024
_MAINTENANCE = 503
_SUCCESSES = range(200, 300)
_REFUSALS = frozenset(range(400, 500)) - {408, 425}
"""The statuses of an answer that refuses: X did not carry the refresh out."""
_LIKELY = (
    "likely the access was taken back on X, or this store was restored or copied, and the token is"
    " spent by a second copy"
)
"""The likely cause of a final refusal of a refresh token, for which X names no cause."""


class _Spending(Struct, frozen=True, kw_only=True):
    """Hold the parts of one refresh: the login before it, the token, the intent and the lock."""

    row: CredentialRow
    token: Secret
    intent: Intent
    held: Held
    waited: bool

    @property
    def fence(self) -> Fence | None:
        return self.held.fence


class Refresher:
    """Refresh logins. The caller starts only one refresh of a login at a time in this process."""

    def __init__(
        self,
        context: LoginContext,
        *,
        owner: str,
        lock: RefreshLock,
        lives: Lives,
        grace_s: float,
    ) -> None:
        """Wait `grace_s` before sending again a token of another process that may still run."""
        self._context = context
        self._rows = context.rows
        self._owner = owner
        self._lock = lock
        self._lives = lives
        self._grace_s = grace_s
        self._seen: dict[str, tuple[str, float]] = {}

    async def refresh(self, seen: CredentialRow, *, late: bool, waited: bool = False) -> Outcome:
        """Try once to get the next generation of a login; return the outcome.

        `late` is True if the access token has expired or X refuses it. Nothing is left to lose
        then, so a refresh token whose first sending has an unknown result may be sent once more.
        `waited` is True if this login has waited after a 503 before: another 503 counts as a lost
        answer.

        Raises:
            StateError: The store failed, an old store was put back, or the lease is gone; nothing
                was sent.
        """
        async with self._lock(seen) as held:
            row = await self._rows.again(seen)
            if row is None:
                return Outcome(kind="gone", row=seen)
            if row.gen > seen.gen or self._rows.why_foreign(row):
                return self._adopted(row)
            if row.gen < seen.gen:
                raise Conflict(
                    f"The store has generation {row.gen} of the login of {row.account_id}, memory"
                    f" has {seen.gen}: an old store was put back. Its token is spent."
                )
            opened = OpenRow(self._rows, row)
            row = await self._look(opened, held.fence)
            if row.status in {LoginState.DEAD, LoginState.CONFIG}:
                return Outcome(kind=row.status.value.lower(), row=row)
            if row.status is LoginState.UNCERTAIN and not late and not is_asked_again(row):
                return Outcome(kind="kept", row=row)
            if wait_s := await self._others_for_s(row):
                return Outcome(kind="kept", row=row, wait_s=wait_s)
            return await self._spend(row, opened, held, waited=waited)

    async def follow(self, seen: CredentialRow) -> Outcome | None:
        """Return the leader's result since `seen`, None if there is none.

        Unseal no refresh token.
        """
        row = await self._rows.again(seen)
        if row is None:
            return Outcome(kind="gone", row=seen)
        if row.gen > seen.gen:
            return self._adopted(row)
        if (row.status, row.reason) != (seen.status, seen.reason):
            return Outcome(kind="kept", row=row)
        return None

    async def judge(self, row: CredentialRow, *, first: bool) -> CredentialRow:
        """Return the row with its state corrected.

        `first` is True if this process sees that generation for the first time: then the rollback
        guard is asked too.

        Raises:
            StoreUnavailable: Another process refreshes the login now, or the store cannot be used.
        """
        if self._rows.why_foreign(row):
            return row
        unclear = row.status is LoginState.CONFIG
        unclear = unclear or (row.intent is not None and row.intent.sent)
        if not unclear and not (first and await self._rows.is_news(row)):
            return row
        async with self._lock(row, wait=False) as held:
            row = await self._rows.again(row) or row
            if self._rows.why_foreign(row):
                return row
            return await self._look(OpenRow(self._rows, row), held.fence)

    async def _look(self, opened: OpenRow, fence: Fence | None) -> CredentialRow:
        """Return the row with its state corrected. The caller holds the login's lock.

        A login that was CONFIG is OK again if the app's keys have changed. A login whose refresh
        token was under way when its process ended is UNCERTAIN. A login of a store that was
        restored from a backup is DEAD.
        """
        row = opened.row
        if reason := await self._rows.why_old(opened):
            return await self._rows.mark(row, LoginState.DEAD, reason, fence=fence)
        if row.status is LoginState.CONFIG:
            if not self._rows.has_other_keys(row):
                return row
            row = await self._rows.mark(row, LoginState.OK, "", fence=fence)
        if row.status is LoginState.OK and row.intent is not None and row.intent.sent:
            reason = "the process ended while a refresh was under way"
            return await self._rows.mark(row, LoginState.UNCERTAIN, reason, fence=fence)
        return row

    async def _others_for_s(self, row: CredentialRow) -> float:
        """Return the seconds left to the process that has sent the token to finish its refresh.

        That process has lost its lease: it has ended, or is paused and may yet store X's answer.
        Sending the token before then would use it twice.

        Source: docs/explanation/requirements.md, F12.
        """
        intent = row.intent
        if intent is None or not intent.sent or intent.owner == self._owner:
            return 0.0
        if await self._lives(intent.owner) is False:
            return 0.0
        # By the wall clock alone, a process whose clock was ahead would keep the token for days.
        clock = self._context.clock
        known_s = clock.monotonic() - self._first_seen_s(row, intent)
        age_s = max((clock.now() - intent.started).total_seconds(), known_s)
        return max(self._grace_s - age_s, 0.0)

    def _first_seen_s(self, row: CredentialRow, intent: Intent) -> float:
        """Return the monotonic time at which this process first saw the sent intent."""
        seen = self._seen.get(row.account_id)
        if seen is None or seen[0] != intent.id:
            seen = self._seen[row.account_id] = (intent.id, self._context.clock.monotonic())
        return seen[1]

    async def _spend(
        self, row: CredentialRow, opened: OpenRow, held: Held, *, waited: bool
    ) -> Outcome:
        token = opened.tokens.get("refresh_token", Secret(""))
        if not token:
            reason = "there is no refresh token: offline.access not granted"
            return await self._mark(row, LoginState.DEAD, reason, held.fence)
        keys = self._context.apps.get(row.app)
        if keys is None or not keys.client_id or not keys.client_secret:
            reason = f"app {row.app!r} has no client id and secret"
            return await self._mark(row, LoginState.CONFIG, reason, held.fence)
        request = HttpRequest(
            method="POST",
            url=self._context.endpoints.token_url,
            name="POST /2/oauth2/token",
            headers=oauth2.client_headers(keys.client_id, keys.client_secret),
            body=oauth2.refresh_form(token),
            timeout_s=_TIMEOUT_S,
            writes=True,
            reads_late=True,
        )
        intent = self._intent(row, token)
        spending = _Spending(row=row, token=token, intent=intent, held=held, waited=waited)
        await self._rows.intend(row, intent, held.fence)
        answered = await self._send(spending, request)
        if isinstance(answered, Outcome):
            return answered
        return await self._classify(spending, answered)

    async def _send(self, spending: _Spending, request: HttpRequest) -> HttpResponse | Outcome:
        row, intent, held = spending.row, spending.intent, spending.held

        async def before_bytes() -> None:
            held.check()
            await self._rows.mark_sent(row, intent, held.fence)
            held.check()

        try:
            return await self._context.transport.send(request, before_bytes=before_bytes)
        except OutcomeUnknown as error:
            reason = f"no answer to the refresh ({error.kind})"
            return await self._mark(row, LoginState.UNCERTAIN, reason, held.fence)
        except TransportError as error:
            if error.kind == "redirect":  # X may have carried it out, as a 303 states
                return await self._mark(row, LoginState.UNCERTAIN, error.message, held.fence)
            await self._rows.clear_intent(row, intent)
            return Outcome(kind="later", row=row, reason=error.message, error=error)
        except StateError:
            await self._rows.clear_intent(row, intent)
            raise

    async def _classify(self, spending: _Spending, answer: HttpResponse) -> Outcome:
        now = self._context.clock.now()
        row, spent = spending.row, spending.token
        if answer.status not in _SUCCESSES:  # refusals are logged and stored: remove the token
            body = answer.body.replace(spent.reveal().encode(), b"(the token)")
            answer = msgspec.structs.replace(answer, body=body)
        try:
            granted = token_answers.read_token_answer(answer, asked=row.scopes, now=now)
        except (AuthError, ResponseError) as error:
            return await self._judge(spending, answer, error)
        tokens = {
            "access_token": granted.access_token,
            "refresh_token": granted.refresh_token or spent,
            "spent": Secret(fingerprint(spent)),
        }
        new = msgspec.structs.replace(
            self._rows.bound(row),
            gen=row.gen + 1,
            scopes=granted.scopes,
            status=LoginState.OK,
            reason="",
            since=row.since if row.status is LoginState.OK else now,
            access_until=now + timedelta(seconds=granted.expires_in_s),
            last_success=now,
            config_fingerprint="",
            intent=None,
        )
        return await self._store_new(self._rows.sealed(new, tokens), spending, tokens)

    async def _judge(
        self, spending: _Spending, answer: HttpResponse, error: AuthError | ResponseError
    ) -> Outcome:
        """Return the outcome of an answer without tokens.

        Source: docs/explanation/requirements.md, "The refresh of a login".
        """
        row, fence = spending.row, spending.fence
        match error:
            case InvalidGrant():
                return await self._refused(spending, error)
            case InvalidClient():
                await self._rows.clear_intent(row, spending.intent)
                return await self._mark(row, LoginState.CONFIG, error.message, fence)
            case RateLimited():
                await self._rows.clear_intent(row, spending.intent)
                return self._later(row, error)
            case ServerError() if not spending.waited and _was_put_off(error):
                await self._rows.clear_intent(row, spending.intent)
                return self._later(row, error)
            case MalformedAnswer():
                outcome = await self._mark(row, LoginState.UNCERTAIN, error.message, fence)
                unread = self._unread_answer(outcome.row, spending.intent, answer)
                return msgspec.structs.replace(outcome, unsaved=unread)
            case _ if answer.status in _REFUSALS:
                await self._rows.clear_intent(row, spending.intent)
                reason = f"{NOT_GRANTED}: {error.message}"
                return await self._mark(row, LoginState.UNCERTAIN, reason, fence)
            case _:
                reason = f"nobody knows whether the refresh was granted: {error.message}"
                return await self._mark(row, LoginState.UNCERTAIN, reason, fence)

    async def _store_new(
        self, new: CredentialRow, spending: _Spending, tokens: dict[str, Secret]
    ) -> Outcome:
        """Store X's new tokens, even if the lease was lost, because the old token is spent."""
        intent, access = spending.intent, tokens["access_token"]
        try:
            in_time = await self._rows.store_result(new, intent.id, fence=spending.fence)
        except Conflict:
            row = await self._rows.again(new)
            if row is None:
                return Outcome(kind="gone", row=new)
            return self._adopted(row)
        except StateError as error:
            return Outcome(
                kind="unsaved",
                row=new,
                access=access,
                reason=error.message,
                unsaved=Rescued(row=new, intent_id=intent.id),
            )
        if not in_time:
            _log.warning("new_token.stored_without_lease", account=new.account_id, gen=new.gen)
        await self._rows.note(new, tokens)
        return Outcome(kind="renewed", row=new, access=access)

    async def _refused(self, spending: _Spending, error: InvalidGrant) -> Outcome:
        """Return the outcome of a refusal; adopt a newer generation if the store has one."""
        row, fence = spending.row, spending.fence
        fresh = await self._rows.again(row)
        if fresh is not None and fresh.gen > row.gen:
            return self._adopted(fresh)
        await self._rows.clear_intent(row, spending.intent)
        if row.status is LoginState.UNCERTAIN and not is_asked_again(row):
            reason = "the answer to a refresh was lost, and X took the token"
            return await self._mark(row, LoginState.DEAD, reason, fence)
        reason = f"{error.message.rstrip('.')}; {_LIKELY}"
        return await self._mark(row, LoginState.DEAD, reason, fence)

    async def _mark(
        self, row: CredentialRow, status: LoginState, reason: str, fence: Fence | None
    ) -> Outcome:
        row = await self._rows.mark(row, status, reason, fence=fence)
        return Outcome(kind=status.value.lower(), row=row)

    def _adopted(self, row: CredentialRow) -> Outcome:
        """Return a newer generation as the outcome; leave out a token that another X granted."""
        if self._rows.why_foreign(row):
            return Outcome(kind="config", row=row)
        return Outcome(kind="adopted", row=row, access=self._rows.access_token(row))

    def _later(self, row: CredentialRow, error: RateLimited | ServerError) -> Outcome:
        wait_s = None
        if error.retry_at is not None:
            wait_s = max((error.retry_at - self._context.clock.now()).total_seconds(), 0.0)
        return Outcome(kind="later", row=row, reason=error.message, wait_s=wait_s, error=error)

    def _unread_answer(self, row: CredentialRow, intent: Intent, answer: HttpResponse) -> Rescued:
        """Seal a successful answer that cannot be read: it may hold the only copy of a token."""
        raw = answer.body[:_UNREAD_BYTES].decode("latin-1")
        kept = self._rows.sealed(row, {"raw": Secret(raw)})
        kept = msgspec.structs.replace(kept, intent=None)
        return Rescued(row=kept, intent_id=intent.id, unread_answer=True)

    def _intent(self, row: CredentialRow, refresh_token: Secret) -> Intent:
        context = self._context
        return Intent(
            id=context.entropy.token_bytes(16).hex(),
            gen=row.gen,
            refresh_hash=fingerprint(refresh_token),
            owner=self._owner,
            boot_id=self._owner.partition("/")[2].partition("/")[0],
            started=context.clock.now(),
        )


def _was_put_off(error: ServerError) -> bool:
    """Return True if X said to try later: it probably did not carry the refresh out.

    Source: docs/explanation/requirements.md, F5.
    """
    return error.status == _MAINTENANCE and error.retry_at is not None
