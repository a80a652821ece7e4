"""Prove, right after a login, that the account may act and that the stream can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.bot.accounts.access_check import denials_of
from botkit.errors import BotkitError, ConfigError, Parked
from botkit.sources.push.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from botkit.model.users import Account
    from botkit.ports import Sender

__all__ = ["Proof", "prove_access", "prove_stream"]


class Proof(Struct, frozen=True, kw_only=True):
    """The result of one check.

    `state` is "fine", "wrong" or "could not be told"; `detail` has the reason.
    """

    what: str
    state: str
    detail: str = ""
    cure: str = ""

    @property
    def fine(self) -> bool:
        """True if the check found no fault."""
        return self.state == "fine"


async def prove_access(sender: Sender, account: Account, may: Iterable[str]) -> Proof:
    """Check that the account's credentials allow everything in `may`."""
    denials = await denials_of(sender, account.id, may)
    if not denials:
        return Proof(what="access", state="fine")
    cures = dict.fromkeys(denied.cure for denied in denials)
    said = " ".join(denied.message for denied in denials)
    return Proof(what="access", state="wrong", detail=said, cure=" ".join(cures))


async def prove_stream(
    sender: Sender, account: Account, kinds: Sequence[str], *, prefix: str
) -> Proof:
    """Check that the activity stream can be used.

    Subscriptions are created with the account's login and listed with the app's bearer token.
    """
    try:
        prepared = await Subscriptions(sender, prefix=prefix).prepare(account, kinds)
    except ConfigError as wrong:
        return Proof(what="stream", state="wrong", detail=wrong.message, cure=wrong.hint)
    except (BotkitError, Parked) as problem:
        return Proof(what="stream", state="could not be told", detail=str(problem))
    if prepared.refused:
        steps = {one.next_step: None for one in prepared.refused if one.next_step}
        cures = [f"{step[0].upper()}{step[1:]}." for step in steps]
        return Proof(
            what="stream",
            state="wrong",
            detail="; ".join(refusal.why for refusal in prepared.refused),
            cure=" ".join(("The mentions poll is used instead.", *cures)),
        )
    return Proof(what="stream", state="fine", detail=" ".join(prepared.live))
