"""Check each login of an account: it is alive, and belongs to this account.

The calls to X are those of `botkit accounts check`.

Source: docs/explanation/requirements.md, C8 and "The refresh of a login".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botkit.client.upkeep.check import check_logins
from botkit.doctor.findings import Check, about_account, diagnosis_of
from botkit.doctor.probes import Evidence
from botkit.model.tokens import CredentialKind, LoginState
from botkit.model.users import Account
from botkit.protocol.refusals.table import Topic
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.client.refresh.token_keeper import TokenKeeper
    from botkit.client.upkeep.check import Checked
    from botkit.doctor.findings import Finding
    from botkit.doctor.probes import Probes
    from botkit.model.records import CredentialRow
    from botkit.model.users import User

__all__ = ["NextStep", "ask_logins", "stored_logins"]

NextStep = Callable[[Account, LoginState, str, CredentialKind], str]
"""Return the command that repairs a login, from its account, state, reason and kind."""

_NAMES = {
    CredentialKind.OAUTH2: "login.oauth2",
    CredentialKind.OAUTH1: "login.oauth1",
    CredentialKind.APP_ONLY: "login.app",
}


async def ask_logins(
    keeper: TokenKeeper,
    account: Account,
    probes: Probes,
    *,
    next_step: NextStep,
    on_asked: Callable[[], None],
) -> tuple[list[Finding], User | None]:
    """Call X with each login, refreshed first if it is due; return findings and the profile.

    Raises:
        StateError: The store or the vault cannot be used.
    """
    checked = await check_logins(keeper, account, on_asked=on_asked)
    findings: list[Finding] = []
    owner: User | None = None
    for login in checked:
        if login.owner is not None or login.error is not None:
            probes.evidence.append(
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
    return findings or [_no_login(account)], owner


def stored_logins(
    account: Account, rows: Sequence[CredentialRow], *, next_step: NextStep
) -> list[Finding]:
    """Return findings on the logins' stored states, without asking X."""
    found = [
        _by_state(account, row, next_step)
        or _check(account, row).fine(f"as stored: good since {rfc3339(row.since)}")
        for row in rows
    ]
    return found or [_no_login(account)]


def _no_login(account: Account) -> Finding:
    """Return the finding on an account that has no login through its app."""
    cure = f"Run botkit setup --account {account.username}."
    return Check("login", about_account(account)).wrong("The account has no login.", cure)


def _judge(account: Account, login: Checked, next_step: NextStep) -> Finding:
    check = _check(account, login)
    row = diagnosis_of(login.error)
    if login.error is not None and row is not None and row.topic is not Topic.LOGIN:
        # The answer is not about the login: X refuses for another reason, or is out of order.
        return check.of_error(login.error, topic=Topic.LOGIN)
    bad = _by_state(account, login, next_step)
    if bad is not None:
        return bad
    if login.error is not None:
        return check.of_error(login.error, topic=Topic.LOGIN)
    left = f", access token good for {round(login.left_s) // 60} min" if login.left_s else ""
    return check.fine(f"X says it is @{account.username}'s{left}")


def _by_state(
    account: Account, login: Checked | CredentialRow, next_step: NextStep
) -> Finding | None:
    """Return the finding on a login that is not OK; None if it is."""
    if login.status is LoginState.OK:
        return None
    check = _check(account, login)
    tell = check.untold if login.status is LoginState.UNCERTAIN else check.wrong
    why = login.reason.rstrip(".") or "no reason is on record"
    cause = f"The login is {login.status.value}: {why}."
    return tell(cause, next_step(account, login.status, login.reason, login.kind))


def _check(account: Account, login: Checked | CredentialRow) -> Check:
    return Check(_NAMES[login.kind], about_account(account))
