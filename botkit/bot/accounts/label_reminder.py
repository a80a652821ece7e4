"""Remind the operator, once per start, of an incomplete automated-account label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.errors import BotkitError, Parked
from botkit.protocol.api import objects, requests
from botkit.protocol.rules.label import STEPS, judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.model.users import Account, User
    from botkit.ports import Sender, Store

__all__ = ["remind_of_label"]

_log = structlog.get_logger(__name__)


async def remind_of_label(accounts: Iterable[Account], sender: Sender, store: Store) -> None:
    """Write a log line for each account whose checklist has open steps.

    X is asked only when the operator's own confirmations leave a step open: it costs a user read.
    """
    for account in accounts:
        confirmed = {mark.step for mark in await store.accounts.marks(account.id)}
        if judge(None, confirmed).complete:
            continue
        label = judge(await _profile(sender, account), confirmed)
        if not label.complete:
            _log.info(
                "label.incomplete",
                next_step="botkit checklist",
                account=account.username,
                done=label.done,
                steps=len(STEPS),
            )


async def _profile(sender: Sender, account: Account) -> User | None:
    """Return the account's profile on X; None if X cannot be asked now."""
    try:
        response = await sender.send(requests.get_me(), account_id=account.id)
    except (BotkitError, Parked) as problem:
        _log.info("label.not_read", account=account.username, why=str(problem))
        return None
    return next(iter(objects.read_users(response)), None)
