"""The OAuth 1.0a tokens of all accounts in memory, and the state of each.

These tokens do not expire, so only X's refusals tell that one has ended, and one refusal proves
nothing: X has refused good tokens for hours. A token that was refused once is UNCERTAIN and is
checked again half a minute later. A second refusal counts. Its error code says what is wrong (89:
the token; 32, 99, 215: the app's keys). X's newer routes send no code; then a call that is signed
by the app's keys alone shows whether the keys or the token are wrong.
Source: X API docs, "Authentication" (API reference); docs/explanation/x-facts.md, 2.14 and 10.5.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.client.http.signed_calls import SignedCalls
from botkit.client.logins.identity import owner_of_pair
from botkit.errors import BotkitError, Parked, Unauthorized
from botkit.model.tokens import LoginState, Secret, TokenPair
from botkit.ports.io import HttpRequest
from botkit.protocol.oauth import oauth1_flow
from botkit.protocol.oauth.oauth1_flow import PIN_CALLBACK, REQUEST_TOKEN, Blame
from botkit.protocol.rules.pricing import may_have_charged
from botkit.waiting.events import event_or_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botkit.client.logins.context import LoginContext
    from botkit.model.records import CredentialRow
    from botkit.model.users import User

__all__ = [
    "OAuth1Login",
    "OAuth1Logins",
    "blame_for",
    "verdict_of",
]

_log = structlog.get_logger(__name__)

_TIMEOUT_S = 20.0
_APART_S = 30.0
"""The least seconds between a first refusal and a second one that counts."""
_LONGEST_GAP_S = 900.0
_CALM_S = 3600.0
_DEAD_GAP_S = 3600.0
"""The seconds between two tries of a dead token: the refusals may have been X's fault."""
_LOOK_S = 60.0
_NO_TOKENS = TokenPair(token=Secret(""), token_secret=Secret(""))

_FIRST = {
    Blame.TOKEN: "X says that the token is invalid or expired (code 89)",
    Blame.KEYS: "X does not take what the app's keys sign",
    Blame.CLOCK: "X refuses the time in the signature",
    Blame.UNSAID: "X refuses the token without a reason",
}
_AGAIN = "; it is looked at again soon"
_DEAD = "X refused the token twice, and takes the app's keys"
_DEAD_BY_CODE = "X said twice that the token is invalid or expired (code 89)"
_CONFIG = "X does not accept the api_key and api_secret of the app"
_NO_KEYS = "the app has no api_key and api_secret"


async def blame_for(context: LoginContext, app: str, error: Unauthorized) -> Blame:
    """Return the cause of X's refusal; if X names none, find it by a call with the keys alone.

    Raises:
        ConfigError: The app has no key and secret.
        XError: X could not be asked.
    """
    said = oauth1_flow.blame_of(error.codes)
    if said is not Blame.UNSAID:
        return said
    request = HttpRequest(
        method="POST",
        url=context.endpoints.request_token_url,
        name=REQUEST_TOKEN,
        timeout_s=_TIMEOUT_S,
    )
    answer = await SignedCalls(context, app).send(request, extra={"oauth_callback": PIN_CALLBACK})
    return oauth1_flow.blame_by_keys(answer, now=context.clock.now())


def verdict_of(blame: Blame, error: Unauthorized) -> tuple[LoginState, str]:
    """Return the state and the reason that follow from a second refusal."""
    if blame is Blame.KEYS:
        return LoginState.CONFIG, _CONFIG
    if blame is Blame.TOKEN:
        by_code = oauth1_flow.blame_of(error.codes) is Blame.TOKEN
        return LoginState.DEAD, _DEAD_BY_CODE if by_code else _DEAD
    return LoginState.UNCERTAIN, _FIRST[blame] + _AGAIN


class OAuth1Login:
    """Hold one account's token in memory; `row` is without the sealed bytes."""

    __slots__ = ("asked", "calm_s", "gap_s", "next_look_s", "row", "suspicion", "tokens")

    def __init__(self, row: CredentialRow, tokens: TokenPair) -> None:
        self.row: CredentialRow = msgspec.structs.replace(row, sealed=b"")
        self.tokens: TokenPair = tokens
        self.suspicion: Blame | None = None
        self.gap_s: float = _APART_S
        self.calm_s: float = float("-inf")
        self.next_look_s: float = float("inf")
        self.asked: bool = False


class OAuth1Logins:
    """Hold the OAuth 1.0a tokens, and derive the state of each from X's answers.

    `on_change` is called with each change. With `judges` False this process does not change their
    states. `on_asked` is called with the id of each account that X was asked about.
    """

    def __init__(
        self,
        context: LoginContext,
        *,
        on_change: Callable[[CredentialRow, CredentialRow | None], None],
        on_asked: Callable[[str], None] | None = None,
        judges: bool = True,
    ) -> None:
        self._context = context
        self._rows = context.rows
        self._clock = context.clock
        self._on_change = on_change
        self._on_asked = on_asked
        self._judges = judges
        self._held: dict[str, OAuth1Login] = {}
        self._due: dict[str, OAuth1Login] = {}
        self._wake = asyncio.Event()

    def get(self, account_id: str) -> OAuth1Login | None:
        """Return the account's token, None if it has none."""
        return self._held.get(account_id)

    @property
    def accounts(self) -> Iterable[str]:
        """Return the ids of the accounts that have a token."""
        return self._held.keys()

    @property
    def any_doubt(self) -> bool:
        """Return True if any token waits for its second check."""
        return bool(self._due)

    async def take(self, row: CredentialRow) -> None:
        """Take over a row from the store: a newer token, or another state of the known one."""
        known = self._held.get(row.account_id)
        if known is not None and (known.row.gen > row.gen or _same(known.row, row)):
            return
        is_foreign = bool(self._rows.why_foreign(row))
        pair = OAuth1Login(row, _NO_TOKENS if is_foreign else self._rows.token_pair(row))
        before = None
        if known is not None:
            before = known.row
            pair.calm_s, pair.gap_s, pair.asked = known.calm_s, known.gap_s, known.asked
            if known.row.gen == row.gen:
                pair.tokens = known.tokens  # keep the object: `refused` compares by identity
        self._held[row.account_id] = pair
        if is_foreign:
            self._due.pop(row.account_id, None)
        else:
            self._plan(pair)
        self._on_change(pair.row, before)
        if self._judges and not is_foreign:
            await self._look_at_keys(pair)

    def drop(self, account_id: str) -> CredentialRow | None:
        """Forget the account's token; return its row, None if there was none."""
        pair = self._held.pop(account_id, None)
        self._due.pop(account_id, None)
        return None if pair is None else pair.row

    def check_usable(self, account_id: str) -> OAuth1Login:
        """Return the account's token if it may be used now.

        Raises:
            Parked: `login`: there is no token, a person must act, or the token is to be checked
                again first.
        """
        pair = self._held.get(account_id)
        if pair is None or pair.row.status in {LoginState.DEAD, LoginState.CONFIG}:
            raise Parked("login")
        wait_s = pair.next_look_s - self._clock.monotonic()
        if pair.row.status is LoginState.UNCERTAIN and wait_s > 0:
            raise Parked("login", until=self._clock.now() + timedelta(seconds=wait_s + 1))
        return pair

    async def note_level(self, account_id: str, level: str) -> None:
        """Store the access level that an answer showed, if it has changed."""
        pair = self._held.get(account_id)
        if pair is None or not level or pair.row.level == level:
            return
        before = pair.row
        pair.row = msgspec.structs.replace(before, level=level)
        self._on_change(pair.row, before)
        await self._rows.note_level(pair.row, level)

    async def learn_level(self, account_id: str) -> None:
        """Ask X, once, for an access level that is not known; it stays unknown if X shows none."""
        pair = self._held.get(account_id)
        if pair is None or pair.row.level or pair.asked or pair.row.status is not LoginState.OK:
            return
        pair.asked = True
        await self._look(pair)
        if not pair.row.level:
            _log.warning(
                "access_level.unknown",
                account=account_id,
                username=pair.row.username,
            )

    async def refused(self, account_id: str, used: TokenPair, error: Unauthorized) -> None:
        """Handle X's 401 to a call that this token signed."""
        pair = self._held.get(account_id)
        if pair is not None and pair.tokens is used and self._judges:
            await self._judge(pair, error)

    async def suspect(self, account_id: str, reason: str) -> None:
        """Check at once a token that has ended according to X; one more refusal is final."""
        pair = self._held.get(account_id)
        if pair is None or pair.row.status is not LoginState.OK:
            return
        pair.suspicion = Blame.TOKEN
        pair.next_look_s = self._clock.monotonic()
        await self._mark(pair, LoginState.UNCERTAIN, reason)
        self._plan_at(pair, pair.next_look_s)

    async def works(self, account_id: str) -> None:
        """Handle X's acceptance of a call that the account's token signed: the token is OK."""
        pair = self._held.get(account_id)
        if pair is not None and pair.row.status is not LoginState.OK:
            await self._calm(pair)

    async def run(self) -> None:
        """Check refused tokens again when they are due, until cancelled."""
        while True:
            self._wake.clear()
            now_s = self._clock.monotonic()
            for pair in [pair for pair in self._due.values() if pair.next_look_s <= now_s]:
                await self._look(pair)
            next_s = min((pair.next_look_s for pair in self._due.values()), default=None)
            # Wait a minute at most: the loop's clock stands still while the machine sleeps.
            wait_s = None
            if next_s is not None:
                wait_s = min(max(next_s - self._clock.monotonic(), 0.0), _LOOK_S)
            await event_or_timeout(self._wake, wait_s, clock=self._clock)

    async def _look(self, pair: OAuth1Login) -> None:
        """Ask X to whom the token belongs, and set the state by the answer."""
        account_id = pair.row.account_id
        try:
            calls = SignedCalls(self._context, pair.row.app)
            owner, level = await owner_of_pair(self._context, calls, pair.tokens)
        except Unauthorized as error:
            if self._held.get(account_id) is pair:
                await self._judge(pair, error, looked=True)
        except BotkitError as trouble:
            _log.warning("login.not_checked", account=account_id, why=str(trouble))
            if may_have_charged(trouble):
                self._asked(account_id)
        else:
            await self._seen(pair, owner, level)
        finally:
            if self._held.get(account_id) is pair:
                self._plan(pair)

    async def _seen(self, pair: OAuth1Login, owner: User, level: str) -> None:
        account_id = pair.row.account_id
        self._asked(account_id)
        if self._held.get(account_id) is not pair:
            return
        if owner.id != account_id:
            reason = f"X says the token is of another user, @{owner.username} ({owner.id})"
            await self._mark(pair, LoginState.DEAD, reason)
            return
        await self._rows.bind(pair.row)
        await self.note_level(account_id, level)
        if pair.row.status is not LoginState.OK:
            await self._calm(pair)

    def _asked(self, account_id: str) -> None:
        if self._on_asked is not None:
            self._on_asked(account_id)

    async def _judge(
        self, pair: OAuth1Login, error: Unauthorized, *, looked: bool = False
    ) -> None:
        """Handle a refusal: a first one, one that comes too soon to count, or a second one."""
        now_s = self._clock.monotonic()
        if pair.row.status in {LoginState.DEAD, LoginState.CONFIG}:
            return
        said = oauth1_flow.blame_of(error.codes)
        first = pair.row.status is LoginState.OK or pair.suspicion is None
        if first:
            pair.gap_s = _APART_S if now_s - pair.calm_s > _CALM_S else self._longer(pair)
            pair.suspicion = said
            await self._mark(pair, LoginState.UNCERTAIN, _FIRST[said] + _AGAIN)
            self._plan_at(pair, now_s + pair.gap_s)
        elif looked or now_s >= pair.next_look_s:
            await self._conclude(pair, error)

    async def _conclude(self, pair: OAuth1Login, error: Unauthorized) -> None:
        try:
            blame = await blame_for(self._context, pair.row.app, error)
        except BotkitError as trouble:
            _log.warning("login.not_checked", account=pair.row.account_id, why=str(trouble))
            blame = Blame.UNSAID
        status, reason = verdict_of(blame, error)
        if status is LoginState.UNCERTAIN:
            pair.gap_s = self._longer(pair)
        await self._mark(pair, status, reason)
        self._plan(pair)

    async def _calm(self, pair: OAuth1Login) -> None:
        pair.suspicion = None
        pair.calm_s = self._clock.monotonic()
        self._due.pop(pair.row.account_id, None)
        await self._mark(pair, LoginState.OK, "")

    async def _look_at_keys(self, pair: OAuth1Login) -> None:
        """Mark the login CONFIG if its app has no keys; end CONFIG if the keys have changed."""
        keys = self._context.apps.get(pair.row.app)
        if keys is None or not keys.can_sign:
            if pair.row.status is not LoginState.DEAD:
                await self._mark(pair, LoginState.CONFIG, _NO_KEYS)
        elif pair.row.status is LoginState.CONFIG and self._rows.has_other_keys(pair.row):
            await self._mark(pair, LoginState.OK, "")
        self._plan(pair)

    async def _mark(self, pair: OAuth1Login, status: LoginState, reason: str) -> None:
        """Record a state; if the store fails, in memory only: X's next answer shows it again."""
        before = pair.row
        pair.row = await self._rows.mark(before, status, reason)
        if pair.row is not before:
            self._on_change(pair.row, before)

    def _plan(self, pair: OAuth1Login) -> None:
        """Set the time of the next check by the login's state."""
        now_s = self._clock.monotonic()
        match pair.row.status:
            case LoginState.UNCERTAIN:
                self._plan_at(pair, now_s + pair.gap_s)
            case LoginState.DEAD | LoginState.CONFIG:
                self._plan_at(pair, now_s + _DEAD_GAP_S)
            case LoginState.OK:
                self._due.pop(pair.row.account_id, None)

    def _plan_at(self, pair: OAuth1Login, when_s: float) -> None:
        pair.next_look_s = when_s
        if self._judges:
            self._due[pair.row.account_id] = pair
            self._wake.set()

    @staticmethod
    def _longer(pair: OAuth1Login) -> float:
        return min(2 * pair.gap_s, _LONGEST_GAP_S)


def _same(one: CredentialRow, other: CredentialRow) -> bool:
    return (one.gen, one.status, one.reason, one.level) == (
        other.gen,
        other.status,
        other.reason,
        other.level,
    )
