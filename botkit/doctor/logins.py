"""Each login of an account: alive, and whose; asked as `botkit accounts check` asks.

Source: docs/explanation/requirements.md, C8 and "The refresh of a login".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botkit.client.upkeep.check import check_logins
from botkit.doctor.findings import Finding, fine, of_error, response_of, untold, wrong
from botkit.doctor.probes import Evidence
from botkit.model.tokens import CredentialKind, LoginState
from botkit.model.users import Account
from botkit.protocol.refusals.table import Topic, diagnose_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.client.refresh.token_keeper import TokenKeeper
    from botkit.client.upkeep.check import Checked
    from botkit.doctor.probes import Probes
    from botkit.model.records import CredentialRow
    from botkit.model.users import User

__all__ = ["NextStep", "ask_logins", "no_login", "stored_logins"]

NextStep = Callable[[Account, LoginState, str, CredentialKind], str]
"""The command that helps a login in that state, for that reason."""

_NAMES = {
    CredentialKind.OAUTH2: "login.oauth2",
    CredentialKind.OAUTH1: "login.oauth1",
    CredentialKind.APP_ONLY: "login.app",
}


async def ask_logins(
    keeper: TokenKeeper,
    account: Account,
    asking: Probes,
    *,
    next_step: NextStep,
    on_asked: Callable[[], None],
) -> tuple[list[Finding], User | None]:
    """Ask X with each login, refreshing first only when that is due; gives the profile, too.

    Raises:
        StateError: The store or the vault cannot be used.
    """
    checked = await check_logins(keeper, account, on_asked=on_asked)
    findings: list[Finding] = []
    owner: User | None = None
    for login in checked:
        if login.owner is not None or login.error is not None:
            asking.evidence.append(
                Evidence(
                    app=account.app,
                    account_id=account.id,
                    error=None if login.owner is not None else login.error,
                    billed=True,
                )
            )
        if login.owner is not None and login.owner.id == account.id:
            owner = login.owner
        findings.append(_judge(account, login, next_step))
    return findings or [no_login(account)], owner


def stored_logins(
    account: Account, rows: Sequence[CredentialRow], *, next_step: NextStep
) -> list[Finding]:
    """How the logins were when they were used last; X is not asked."""
    found = [
        _by_state(account, row.kind, row.status, row.reason, next_step)
        or fine(
            _NAMES[row.kind],
            f"as stored: good since {row.since:%Y-%m-%d %H:%M} UTC",
            about=f"@{account.username}",
        )
        for row in rows
    ]
    return found or [no_login(account)]


def no_login(account: Account) -> Finding:
    """The account is known and has no login through its app."""
    about = f"@{account.username}"
    cure = f"Run botkit setup --account {account.username}."
    return wrong("login", "The account has no login.", cure, about=about)


def _judge(account: Account, login: Checked, next_step: NextStep) -> Finding:
    about, check = f"@{account.username}", _NAMES[login.kind]
    response = response_of(login.error)
    if response is not None and diagnose_error(response).topic is not Topic.LOGIN:
        # X knows the token and speaks of something else, or is out of order.
        return of_error(check, response, about=about, topic=Topic.LOGIN)
    bad = _by_state(account, login.kind, login.status, login.reason, next_step)
    if bad is not None:
        return bad
    if login.error is not None:
        return of_error(check, login.error, about=about, topic=Topic.LOGIN)
    left = f", access token good for {round(login.left_s) // 60} min" if login.left_s else ""
    return fine(check, f"X says it is @{account.username}'s{left}", about=about)


def _by_state(
    account: Account,
    kind: CredentialKind,
    status: LoginState,
    reason: str,
    next_step: NextStep,
) -> Finding | None:
    if status is LoginState.OK:
        return None
    tell = untold if status is LoginState.UNCERTAIN else wrong
    why = reason.rstrip(".") or "no reason is on record"
    cause = f"The login is {status.value}: {why}."
    cure = next_step(account, status, reason, kind)
    return tell(_NAMES[kind], cause, cure, about=f"@{account.username}")
