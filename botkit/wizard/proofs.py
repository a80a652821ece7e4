"""What can be proven right after a login: access for what the bot may, and the stream's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.bot.accounts.access_check import denials_of
from botkit.errors import BotkitError, ConfigError, Parked
from botkit.sources.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from botkit.model.users import Account
    from botkit.ports import Sender

__all__ = ["Proof", "prove_access", "prove_stream"]


class Proof(Struct, frozen=True, kw_only=True):
    """One thing that was checked: fine, wrong, or could not be told; with the cure."""

    what: str
    state: str
    detail: str = ""
    cure: str = ""

    @property
    def fine(self) -> bool:
        """Whether it is as it must be."""
        return self.state == "fine"


async def prove_access(sender: Sender, account: Account, may: Iterable[str]) -> Proof:
    """Whether the account's credentials allow everything that the bot may do."""
    denials = await denials_of(sender, account.id, may)
    if not denials:
        return Proof(what="access", state="fine")
    cures = dict.fromkeys(denied.cure for denied in denials)
    said = " ".join(denied.message for denied in denials)
    return Proof(what="access", state="wrong", detail=said, cure=" ".join(cures))


async def prove_stream(
    sender: Sender, account: Account, kinds: Sequence[str], *, prefix: str
) -> Proof:
    """Whether the activity stream can be used: create with the login, list with the bearer."""
    try:
        prepared = await Subscriptions(sender, prefix=prefix).prepare(account, kinds)
    except ConfigError as wrong:
        return Proof(what="stream", state="wrong", detail=wrong.message, cure=wrong.hint)
    except (BotkitError, Parked) as problem:
        return Proof(what="stream", state="could not be told", detail=str(problem))
    if prepared.refused:
        refused = "; ".join(why for _, why in prepared.refused)
        return Proof(
            what="stream",
            state="wrong",
            detail=refused,
            cure="The mentions poll is used instead.",
        )
    return Proof(what="stream", state="fine", detail=" ".join(prepared.live))
