"""React to a login's change of state: report it, record an event, check access, resume work.

The `AccountState` event is recorded together with the state that it reports. So each change is
reported once, also one that another process made while no bot ran.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.bot.accounts.access_check import TOO_LITTLE, access_part, denials_of, words_for
from botkit.errors import StateError
from botkit.model.events import AccountState
from botkit.model.hearing import Checkpoint
from botkit.model.tokens import CredentialKind, LoginState
from botkit.waiting.backoff import Ladder
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botkit.client.logins.oauth1_fallback import StandIn
    from botkit.client.logins.oauth2_login import LoginStatus
    from botkit.model.users import Account
    from botkit.ports import Clock, Intake, Sender, Store
    from botkit.runtime.life.status import Reports

__all__ = ["LoginWatch"]

_log = structlog.get_logger(__name__)

_STORE = Ladder(steps_s=(1.0, 5.0, 15.0, 60.0))
_PARTS = {
    CredentialKind.OAUTH2: "login/{}",
    CredentialKind.OAUTH1: "login/{}/oauth1",
    CredentialKind.APP_ONLY: "app/{}",
}


class _Said(msgspec.Struct, frozen=True):
    """Hold the state that the last event of a login reported."""

    status: LoginState
    gen: int = 0


class LoginWatch:
    """Handle each change of a login, in order.

    Args:
        accounts: The accounts that the bot acts for, by id.
        may: The words for what the bot may do.
        tells: True if the bot has a handler for `AccountState`.
    """

    def __init__(
        self,
        *,
        accounts: Mapping[str, Account],
        may: frozenset[str],
        tells: bool,
        store: Store,
        clock: Clock,
        reports: Reports,
    ) -> None:
        self._accounts = accounts
        self._may = may
        self._tells = tells
        self._store = store
        self._reports = reports
        self._changes: deque[LoginStatus] = deque()
        self._wake = asyncio.Event()
        self._outage = StoreOutage(_log, "change of a login", clock=clock, ladder=_STORE)
        self._lacking: dict[str, str] = {}
        self._states: dict[tuple[str, str, CredentialKind], LoginState] = {}

    def changed(self, status: LoginStatus) -> None:
        """Report the change in the status, and queue it for `run`."""
        detail = " ".join(filter(None, [status.reason, status.next_step]))
        name = status.username or status.app
        self._reports(_PARTS[status.kind].format(name), status.status.value, detail)
        self._changes.append(status)
        self._wake.set()

    def stood_in(self, change: StandIn) -> None:
        """Report that an OAuth 1.0a token starts or stops standing in for an OAuth 2.0 login."""
        state = "on" if change.is_on else "off"
        self._reports(f"fallback/{change.username}", state, change.why)

    async def run(
        self,
        sender: Sender,
        intake: Intake,
        look_again: Callable[[], None],
        listen_again: Callable[[Account], None],
    ) -> None:
        """Handle queued changes until cancelled.

        `look_again` is called when parked events are due again, `listen_again` when a login of
        an account is good again, so that its sources need not wait.
        """
        tries = 0
        while True:
            self._wake.clear()
            try:
                while self._changes:
                    status = self._changes[0]
                    await self._take_up(status, sender, intake, look_again)
                    self._changes.popleft()
                    if self._is_cured(status):
                        for account in self._of(status):
                            listen_again(account)
                    tries = 0
                    self._outage.end()
            except StateError as error:
                await self._outage.wait(error, tries)
                tries += 1
            else:
                await self._wake.wait()

    async def _take_up(
        self,
        status: LoginStatus,
        sender: Sender,
        intake: Intake,
        look_again: Callable[[], None],
    ) -> None:
        for account in self._of(status):
            if status.status is LoginState.OK and await self._store.events.unpark(
                "login", account_id=account.id
            ):
                look_again()
            if self._tells:
                await self._tell(account, status, intake)
            if status.kind is not CredentialKind.APP_ONLY:
                await self._look_at_access(account, sender)

    def _is_cured(self, status: LoginStatus) -> bool:
        """Return True if the login is OK now and was not when its last change was handled."""
        place = (status.account_id, status.app, status.kind)
        before = self._states.get(place, LoginState.OK)
        self._states[place] = status.status
        return status.status is LoginState.OK and before is not LoginState.OK

    def _of(self, status: LoginStatus) -> list[Account]:
        if status.kind is CredentialKind.APP_ONLY:
            return [each for each in self._accounts.values() if each.app == status.app]
        account = self._accounts.get(status.account_id)
        return [] if account is None else [account]

    async def _tell(self, account: Account, status: LoginStatus, intake: Intake) -> None:
        place = f"account_state/{status.app}/{status.kind.value}"
        last = await self._store.progress.checkpoint(place, account.id)
        said = _Said(LoginState.OK)
        if last is not None:
            said = msgspec.json.decode(last.cursor, type=_Said)
        is_fine = status.status is LoginState.OK
        if said.status is status.status and (is_fine or said.gen == status.gen):
            return
        event = AccountState(
            account_id=account.id,
            at=status.since,
            source="logins",
            username=account.username,
            app=status.app,
            credential=status.kind.value,
            gen=status.gen,
            status=status.status.value,
            before=said.status.value,
            reason=status.reason,
            next_step=status.next_step,
        )
        now = msgspec.json.encode(_Said(status.status, status.gen)).decode()
        await intake.record(
            [event],
            account_id=account.id,
            source="logins",
            checkpoint=Checkpoint(source=place, account_id=account.id, cursor=now),
        )

    async def _look_at_access(self, account: Account, sender: Sender) -> None:
        """Report if the account's logins stop or start allowing all that the bot may do."""
        words = words_for(await denials_of(sender, account.id, self._may))
        before = self._lacking.get(account.id, "")
        if words == before:
            return
        self._lacking[account.id] = words
        if words:
            _log.warning("access.insufficient", account=account.username, why=words)
        self._reports(access_part(account), TOO_LITTLE if words else "enough", words)
