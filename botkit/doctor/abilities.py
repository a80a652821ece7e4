"""Check that an account can do what its bot may do: access, label, budget.

Source: docs/explanation/access.md; docs/explanation/policy.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.client.logins.login_states import setup_command
from botkit.doctor.findings import Check, about_account
from botkit.errors import AccessDenied, Parked
from botkit.model.tokens import CredentialKind
from botkit.protocol.api.operations import operation
from botkit.protocol.rules import access, label
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from botkit.doctor.findings import Finding
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account, User
    from botkit.runtime.writes.checks.budget import Budget

__all__ = ["check_access", "check_budget", "check_label", "holdings_of"]

_KINDS = {
    CredentialKind.OAUTH2: "the OAuth 2.0 login",
    CredentialKind.OAUTH1: "the OAuth 1.0a login",
    CredentialKind.APP_ONLY: "the app's bearer token",
}


def holdings_of(
    rows: Iterable[CredentialRow], *, has_bearer: bool
) -> dict[CredentialKind, tuple[str, ...]]:
    """Return the access of the stored logins, by kind: scopes, a level, or () for the bearer."""
    held: dict[CredentialKind, tuple[str, ...]] = {}
    for row in rows:
        if row.kind is CredentialKind.OAUTH2:
            held[row.kind] = row.scopes
        elif row.kind is CredentialKind.OAUTH1:
            held[row.kind] = (row.level,) if row.level else ()
    if has_bearer:
        held[CredentialKind.APP_ONLY] = ()
    return held


def check_access(
    account: Account,
    held: Mapping[CredentialKind, tuple[str, ...]],
    *,
    may: Iterable[str],
    scopes: Sequence[str],
    rows: Sequence[CredentialRow] = (),
) -> list[Finding]:
    """Return findings on `may`: one for each word, or for each of its operations not allowed.

    `held` is the access of the logins in `rows`; the cure names the command that makes such a
    login anew. `scopes` are all scopes of the bot, including those for its events.
    """
    if not held:
        return []
    found: list[Finding] = []
    for word in sorted(may):
        found += _of_word(word, held, account, rows)
    found += _hearing(held, scopes, found, account)
    return found


def _of_word(
    word: str,
    held: Mapping[CredentialKind, tuple[str, ...]],
    account: Account,
    rows: Iterable[CredentialRow],
) -> list[Finding]:
    check = Check(f"access.{word}", about_account(account))
    refused: list[Finding] = []
    used: dict[CredentialKind, list[str]] = {}
    for name in access.operations_for([word]):
        try:
            used.setdefault(access.choose_credential(name, held), []).append(name)
        except AccessDenied as denied:
            refused.append(check.of_error(_with_command(denied, account, rows)))
    if refused:
        return refused
    level = held.get(CredentialKind.OAUTH1, ())
    if CredentialKind.OAUTH1 in used and not (level and access.is_known_level(level[0])):
        names = " ".join(used[CredentialKind.OAUTH1])
        said = f"said {' '.join(level)!r}, no known word, of" if level else "did not say"
        cause = f"X {said} the access level of the OAuth 1.0a token, which {names} needs."
        cure = "Only a check without --offline asks; where X does not tell, a refused write will."
        return [check.untold(cause, cure)]
    return [check.fine("; ".join(f"{' '.join(used[kind])} by {_KINDS[kind]}" for kind in used))]


def _with_command(
    denied: AccessDenied, account: Account, rows: Iterable[CredentialRow]
) -> AccessDenied:
    """Return the denial with a cure that names the command to make the same login anew."""
    kind = access.kind_of(denied)
    row = next((row for row in rows if row.kind is kind), None)
    if row is None:
        return access.named(denied, account.username)
    return access.dated(denied, granted_at=row.granted_at, command=setup_command(row))


def _hearing(
    held: Mapping[CredentialKind, tuple[str, ...]],
    scopes: Sequence[str],
    found: Iterable[Finding],
    account: Account,
) -> list[Finding]:
    """Return findings on scopes that the OAuth 2.0 login lacks for events and for a refresh."""
    granted = held.get(CredentialKind.OAUTH2)
    if granted is None:
        return []
    check = Check("access.hearing", about_account(account))
    told = {scope for finding in found for scope in finding.need}
    lacking = [scope for scope in scopes if scope not in granted and scope not in told]
    if not lacking:
        return [check.fine("what the bot hears by is granted")]
    ends = " Without offline.access the login ends after two hours."
    cause = f"The login lacks {' '.join(lacking)}.{ends if 'offline.access' in lacking else ''}"
    app = "" if account.app == "default" else f" --app {account.app}"
    return [check.wrong(cause, f"Authorize again: botkit setup{app} --account {account.username}")]


async def check_budget(account: Account, budget: Budget) -> list[Finding]:
    """Check that the operator's budget allows one more post."""
    check = Check("budget", about_account(account))
    price = operation("createPosts").price_usd
    assert price is not None  # X prices every post
    hour, day = await budget.spent(account.id)
    try:
        await budget.check(account.id, price)
    except Parked as parked:
        until = "" if parked.until is None else f" until {rfc3339(parked.until)}"
        spent = f"USD {hour} in this hour, USD {day} today"
        return [
            check.wrong(
                f"The budget is spent: {spent}; writes wait{until}.",
                "Raise budget.hour_usd or budget.day_usd, or wait.",
            )
        ]
    return [check.fine(f"USD {day} spent today, room for a post (USD {price})")]


def check_label(
    account: Account, profile: User | None, confirmed: Collection[str]
) -> list[Finding]:
    """Check that X shows, or the operator confirmed, each step of the automated-account label.

    `profile` is the account's profile on X; None if X was not asked.
    """
    check = Check("label", about_account(account))
    judged = label.judge(profile, confirmed)
    if judged.complete:
        return [check.fine("every step is verified or confirmed")]
    done = f"{judged.done} of {len(label.STEPS)} steps of the label are verified or confirmed."
    if profile is None:
        return [check.not_asked(f"{done} What X shows of the account is not known.")]
    cause = f"{done} X does not show the rest, which proves nothing."
    return [check.untold(cause, "Walk through it: botkit checklist.")]
