"""Invitations: one login each, whatever happens at the same time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from botkit.errors import Conflict, InvitationRefused, LeaseLost
from botkit.model.invitations import Invitation, InvitationState
from botkit.model.users import Account
from tests.storage.conformance.bench import ME, T0, Suite, credential, event, forget, lease, raised

if TYPE_CHECKING:
    from botkit.model.records import CredentialRow, Fence
    from botkit.ports import Store
    from tests.storage.conformance.bench import OpenRival

__all__ = ["InvitationsConformance"]

DAY = timedelta(days=1)
SOON = T0 + timedelta(minutes=10)
GREETER = Account(id=ME, username="greeter")


class InvitationsConformance(Suite):
    """`store.invitations`."""

    async def test_an_invitation_is_kept_as_it_was_made(self, store: Store) -> None:
        first, second = _invitation("01"), _invitation("02", account="greeter", app="second")
        await store.invitations.add(first)
        await store.invitations.add(second)
        assert await store.invitations.get("01") == first
        assert await store.invitations.get("03") is None
        assert await store.invitations.listing() == [second, first]
        assert first.state(T0) is InvitationState.OPEN
        assert first.state(T0 + DAY) is InvitationState.EXPIRED

    async def test_one_browser_at_a_time_holds_it(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        held = await _hold(store, "a")
        assert held is not None
        assert (held.held_by, held.held_until) == ("a", SOON)
        assert held.state(T0) is InvitationState.IN_USE
        assert await _hold(store, "b") is None
        assert await _hold(store, "b", before="c") is None
        assert await _hold(store, "a2", before="a") is not None
        await store.invitations.free("01", "a")
        assert await _hold(store, "b") is None
        await store.invitations.free("01", "a2")
        assert await _hold(store, "b") is not None

    async def test_a_hold_ends_by_itself_and_at_a_start(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        await _hold(store, "a")
        later = SOON + timedelta(minutes=10)
        assert await store.invitations.hold("01", "b", before="", until=later, now=SOON)
        await store.invitations.free_all()
        assert await _hold(store, "c") is not None

    async def test_what_is_over_is_held_by_nobody(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        assert await store.invitations.hold("02", "a", before="", until=SOON, now=T0) is None
        late = T0 + DAY
        assert await store.invitations.hold("01", "a", before="", until=SOON, now=late) is None
        assert await store.invitations.revoke("01", now=T0)
        assert await _hold(store, "a") is None

    async def test_who_redeems_it_gets_login_event_and_mark_together(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        await _hold(store, "a")
        stored = await _redeem(store, await lease(store), credential(gen=1))
        assert stored.gen == 1
        assert await store.accounts.get(ME) == GREETER
        (due,) = (await store.events.due(T0)).items
        assert due.account_id == ME
        used = await store.invitations.get("01")
        assert used is not None
        assert (used.used_by, used.used_at, used.held_by) == (ME, T0, "")
        assert used.state(T0) is InvitationState.USED
        assert await _hold(store, "a") is None
        await store.invitations.free_all()
        assert await store.invitations.get("01") == used

    async def test_a_second_redemption_stores_nothing(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        await _hold(store, "a")
        fence = await lease(store)
        await _redeem(store, fence, credential(gen=1))
        await raised(InvitationRefused, _redeem(store, fence, credential(gen=2)))
        (row,) = await store.credentials.listing(ME)
        assert row.gen == 1

    async def test_nothing_is_stored_for_who_does_not_hold_it(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        fence = await lease(store)
        await raised(InvitationRefused, _redeem(store, fence, credential(gen=1)))
        await _hold(store, "a")
        assert await store.invitations.revoke("01", now=T0)
        refused = await raised(InvitationRefused, _redeem(store, fence, credential(gen=1)))
        assert refused.why == "revoked"
        assert await store.accounts.listing() == []
        assert await store.credentials.listing() == []
        assert (await store.events.due(T0)).items == []

    async def test_a_conflict_or_a_lost_lease_uses_nothing_up(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        await _hold(store, "a")
        fence = await lease(store)
        await raised(Conflict, _redeem(store, fence, credential(gen=7)))
        gone = replace(fence, epoch=fence.epoch + 1)
        await raised(LeaseLost, _redeem(store, gone, credential(gen=1)))
        assert await store.accounts.listing() == []
        assert (await _redeem(store, fence, credential(gen=1))).gen == 1

    async def test_of_many_that_hold_at_once_one_wins(
        self, store: Store, open_rival: OpenRival
    ) -> None:
        await store.invitations.add(_invitation("01"))
        async with open_rival() as rival:
            held = await asyncio.gather(
                *(_hold(each, f"{number}") for number in range(10) for each in (store, rival))
            )
        assert len([one for one in held if one is not None]) == 1

    async def test_revoking_ends_what_was_not_used(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        assert not await store.invitations.revoke("02", now=T0)
        assert await store.invitations.revoke("01", now=T0)
        assert not await store.invitations.revoke("01", now=T0)
        revoked = await store.invitations.get("01")
        assert revoked is not None
        assert revoked.state(T0) is InvitationState.REVOKED

    async def test_what_has_been_over_for_long_is_forgotten(self, store: Store) -> None:
        await store.invitations.add(_invitation("01"))
        await store.invitations.add(_invitation("02", expires_at=T0 + DAY * 9))
        assert (await forget(store, invitations=T0 + DAY))["invitations"] == 0
        assert (await forget(store, invitations=T0 + DAY * 2))["invitations"] == 1
        assert [one.id for one in await store.invitations.listing()] == ["02"]


def _invitation(invitation_id: str, **fields: Any) -> Invitation:
    plain = Invitation(
        id=invitation_id,
        secret_hash=b"hash",
        app="default",
        created_at=T0,
        expires_at=T0 + DAY,
    )
    return replace(plain, **fields)


async def _hold(store: Store, holder: str, *, before: str = "") -> Invitation | None:
    return await store.invitations.hold("01", holder, before=before, until=SOON, now=T0)


async def _redeem(store: Store, fence: Fence, row: CredentialRow) -> CredentialRow:
    return await store.invitations.redeem("01", "a", GREETER, row, [event()], now=T0, fence=fence)
