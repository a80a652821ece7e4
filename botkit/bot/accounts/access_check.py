"""Compare what the bot may do with what each account's logins allow.

The check runs at the start, where a proven mismatch keeps the bot from starting, and again
whenever a login has changed. Source: docs/explanation/access.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.errors import AccessDenied, Parked
from botkit.model.records import StatusReport
from botkit.protocol.rules import access
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.model.users import Account
    from botkit.ports import Clock, Sender, Store

__all__ = ["TOO_LITTLE", "access_part", "check_access", "denials_of", "words_for"]

_log = structlog.get_logger(__name__)

TOO_LITTLE = "too little"
"""The state that `botkit status` shows for an account whose logins do not allow enough."""


def access_part(account: Account) -> str:
    """Return the name of the status line that reports the account's access."""
    return f"access/{account.username}"


def words_for(denials: Iterable[AccessDenied]) -> str:
    """Return the denials as one text: the missing access per operation, then each cure once."""
    lacks: dict[str, list[str]] = {}
    cures: dict[str, None] = {}
    for denied in denials:
        at = denied.granted_at
        since = "" if at is None else f", authorized on {rfc3339(at)},"
        has = " ".join(denied.have) or "nothing"
        lack = f"needs {' '.join(denied.need)}; the login{since} has {has}."
        lacks.setdefault(lack, []).append(denied.operation)
        cures[denied.cure] = None
    said = [f"{', '.join(operations)} {lack}" for lack, operations in lacks.items()]
    return " ".join([*said, *cures])


async def denials_of(sender: Sender, account_id: str, may: Iterable[str]) -> list[AccessDenied]:
    """Return one `AccessDenied` for each operation of `may` that the logins cannot perform."""
    denials: list[AccessDenied] = []
    for operation in access.operations_for(sorted(may)):
        try:
            await sender.credential(operation, account_id=account_id)
        except AccessDenied as denied:
            denials.append(denied)
        except Parked:
            break  # the account has no login left; the check runs again when the next one arrives
    return denials


async def check_access(
    sender: Sender,
    accounts: Iterable[Account],
    may: Iterable[str],
    *,
    store: Store,
    clock: Clock,
    force: bool,
) -> None:
    """Check that every account may do everything in `may`; with `force`, only report a denial.

    Raises:
        AccessDenied: The first denial, naming the others; `botkit status` shows it too.
    """
    words = sorted(may)
    refused = {each: await denials_of(sender, each.id, words) for each in accounts}
    found = [(account, denied) for account, every in refused.items() for denied in every]
    if not found:
        return
    if force:
        for account, denied in found:
            _log.error("access.insufficient", account=account.username, why=str(denied))
        return
    await store.progress.report(
        [
            StatusReport(
                part=access_part(account),
                state=TOO_LITTLE,
                detail=words_for(every),
                at=clock.now(),
            )
            for account, every in refused.items()
            if every
        ]
    )
    first, *others = (denied for _, denied in found)
    first.others = tuple(others)
    raise first
