"""What an account can do against what its bot may do: scopes and levels, label, budget.

Source: docs/explanation/access.md; docs/explanation/policy.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.client.logins.login_states import setup_command
from botkit.doctor.findings import Finding, fine, not_asked, untold, wrong
from botkit.errors import AccessDenied, Parked
from botkit.model.tokens import CredentialKind
from botkit.protocol.api.operations import operation
from botkit.protocol.refusals.table import Verdict
from botkit.protocol.rules import access, label

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from botkit.model.records import CredentialRow
    from botkit.model.users import Account, User
    from botkit.runtime.writes.budget import Budget

__all__ = ["check_access", "check_budget", "check_label", "holdings_of"]

_KINDS = {
    CredentialKind.OAUTH2: "the OAuth 2.0 login",
    CredentialKind.OAUTH1: "the OAuth 1.0a login",
    CredentialKind.APP_ONLY: "the app's bearer token",
}


def holdings_of(
    rows: Iterable[CredentialRow], *, has_bearer: bool
) -> dict[CredentialKind, tuple[str, ...]]:
    """What the stored logins allow: scopes, the level, or nothing for the app's bearer."""
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
    """A line for each word of `may`, or for each operation of it that is not allowed.

    `rows` are the logins that hold it, for the command that makes them anew; `scopes` are all
    that the bot asks for, what it hears by included.
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
    check, about = f"access.{word}", f"@{account.username}"
    refused: list[Finding] = []
    used: dict[CredentialKind, list[str]] = {}
    for name in access.operations_for([word]):
        try:
            used.setdefault(access.choose_credential(name, held), []).append(name)
        except AccessDenied as sparse:
            denied = _explained(sparse, account, rows)
            refused.append(
                Finding(
                    id=check,
                    about=about,
                    verdict=Verdict.WRONG,
                    cause=denied.message,
                    cure=denied.cure,
                    exit_code=denied.exit_code,
                    have=denied.have,
                    need=denied.need,
                )
            )
    if refused:
        return refused
    if CredentialKind.OAUTH1 in used and not _is_level_known(held[CredentialKind.OAUTH1]):
        names = " ".join(used[CredentialKind.OAUTH1])
        word = " ".join(held[CredentialKind.OAUTH1])
        said = f"said {word!r}, no known word, of" if word else "did not say"
        cause = f"X {said} the access level of the OAuth 1.0a token, which {names} needs."
        cure = "Only a check without --offline asks; where X does not tell, a refused write will."
        return [untold(check, cause, cure, about=about)]
    words = "; ".join(f"{' '.join(names)} by {_KINDS[kind]}" for kind, names in used.items())
    return [fine(check, words, about=about)]


def _explained(
    denied: AccessDenied, account: Account, rows: Iterable[CredentialRow]
) -> AccessDenied:
    """The refusal with the command that makes this very login anew."""
    kind = access.kind_of(denied)
    row = next((row for row in rows if row.kind is kind), None)
    if row is None:
        return access.named(denied, account.username)
    return access.dated(denied, granted_at=row.granted_at, command=setup_command(row))


def _is_level_known(held: tuple[str, ...]) -> bool:
    return bool(held) and access.is_known_level(held[0])


def _hearing(
    held: Mapping[CredentialKind, tuple[str, ...]],
    scopes: Sequence[str],
    found: Iterable[Finding],
    account: Account,
) -> list[Finding]:
    """What the OAuth 2.0 login lacks beside the writes: for hearing, and for the refresh."""
    granted, about = held.get(CredentialKind.OAUTH2), f"@{account.username}"
    if granted is None:
        return []
    told = {scope for finding in found for scope in finding.need}
    lacking = [scope for scope in scopes if scope not in granted and scope not in told]
    if not lacking:
        return [fine("access.hearing", "what the bot hears by is granted", about=about)]
    ends = " Without offline.access the login ends after two hours."
    cause = f"The login lacks {' '.join(lacking)}.{ends if 'offline.access' in lacking else ''}"
    app = "" if account.app == "default" else f" --app {account.app}"
    cure = f"Authorize again: botkit setup{app} --account {account.username}"
    return [wrong("access.hearing", cause, cure, about=about)]


async def check_budget(account: Account, budget: Budget) -> list[Finding]:
    """Whether the operator's budget allows one more post."""
    about = f"@{account.username}"
    price = operation("createPosts").price_usd
    assert price is not None  # posts have had a price since there are prices
    hour, day = await budget.spent(account.id)
    try:
        await budget.check(account.id, price)
    except Parked as parked:
        until = _until(parked.until)
        cause = (
            f"The budget is spent: USD {hour} in this hour, USD {day} today; writes wait{until}."
        )
        cure = "Raise budget.hour_usd or budget.day_usd, or wait."
        return [wrong("budget", cause, cure, about=about)]
    return [fine("budget", f"USD {day} spent today, room for a post (USD {price})", about=about)]


def check_label(
    account: Account, profile: User | None, confirmed: Collection[str], *, asked: bool
) -> list[Finding]:
    """Whether the automated-account label and what belongs to it are verified or confirmed."""
    about = f"@{account.username}"
    judged = label.judge(profile, confirmed)
    if judged.complete:
        return [fine("label", "every step is verified or confirmed", about=about)]
    done = f"{judged.done} of {len(label.STEPS)} steps of the label are verified or confirmed."
    if not asked:
        cause = f"{done} What X shows of the account is not known."
        return [not_asked("label", cause, about=about)]
    cause = f"{done} X does not show the rest, which proves nothing."
    cure = "Walk through it: botkit checklist."
    return [untold("label", cause, cure, about=about)]


def _until(when: datetime | None) -> str:
    return "" if when is None else f" until {when:%H:%M} UTC"
