"""Make an invitation: the store keeps a hash of its secret, the guest gets a signed link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botkit.model.invitations import Invitation
from botkit.protocol.oauth import invitations

if TYPE_CHECKING:
    from datetime import timedelta

    from botkit.ports import Clock, Entropy, Store, VaultPort

__all__ = ["Invited", "invite"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Invited:
    """Hold an invitation and the only copy of its link."""

    invitation: Invitation
    link: str
    callback_url: str


async def invite(
    store: Store,
    vault: VaultPort,
    *,
    public_url: str,
    app: str,
    account: str,
    life: timedelta,
    clock: Clock,
    entropy: Entropy,
) -> Invited:
    """Make an invitation for one login of `account`, or of the first comer if `account` is "".

    Raises:
        StateError: The invitation could not be stored.
    """
    secret = entropy.token_bytes(invitations.SECRET_BYTES)
    now = clock.now()
    invitation = Invitation(
        id=entropy.token_bytes(invitations.ID_BYTES).hex(),
        secret_hash=invitations.secret_hash(secret),
        app=app,
        account=account,
        created_at=now,
        expires_at=now + life,
    )
    await store.invitations.add(invitation)
    token = invitations.make_token(
        invitation.id, secret, lambda payload: vault.sign(payload, purpose=invitations.PURPOSE)
    )
    return Invited(
        invitation=invitation,
        link=invitations.invitation_link(public_url, token),
        callback_url=invitations.callback_url(public_url),
    )
