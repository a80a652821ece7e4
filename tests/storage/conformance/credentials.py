"""Logins: generations, intents, and what a late answer may and may not do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from botkit.errors import Conflict, LeaseLost
from botkit.model.tokens import CredentialKind, LoginState
from botkit.model.users import Account
from tests.storage.conformance.bench import (
    ME,
    T0,
    Suite,
    credential,
    event,
    intent,
    lease,
    raised,
)

if TYPE_CHECKING:
    from botkit.model.records import CredentialRow
    from botkit.ports import Store

__all__ = ["CredentialsConformance"]

S = timedelta(seconds=1)
HOUR = timedelta(hours=1)
OAUTH2 = CredentialKind.OAUTH2
GREETER = Account(id=ME, username="greeter")


class CredentialsConformance(Suite):
    """`store.credentials`, and the proof of the vault key."""

    async def test_a_login_comes_back_as_it_was_stored(self, store: Store) -> None:
        row = credential(level="read-write", config_fingerprint="f", last_success=T0)
        assert await store.credentials.replace(row) == row
        assert await store.credentials.get(ME, "default", OAUTH2) == row
        assert await store.credentials.get(ME, "other", OAUTH2) is None
        assert await store.credentials.get(ME, "default", CredentialKind.OAUTH1) is None

    async def test_logins_are_listed_for_all_or_for_one_account(self, store: Store) -> None:
        app_only = credential(account_id="", kind=CredentialKind.APP_ONLY, scopes=())
        mine, other = credential(), credential(account_id="2")
        for row in (mine, other, app_only):
            await store.credentials.replace(row)
        assert await store.credentials.listing() == [app_only, mine, other]
        assert await store.credentials.listing(ME) == [mine]
        assert await store.credentials.listing("") == [app_only]

    async def test_a_new_grant_must_be_the_next_generation(self, store: Store) -> None:
        await raised(Conflict, store.credentials.replace(credential(2)))
        await store.credentials.replace(credential(1))
        for gen in (1, 3):
            await raised(Conflict, store.credentials.replace(credential(gen)))
        await store.credentials.replace(credential(2, username="renamed"))
        found = await _get(store)
        assert (found.gen, found.username, found.sealed) == (2, "renamed", b"sealed generation 2")

    async def test_a_new_grant_comes_with_its_account_and_events_or_not_at_all(
        self, store: Store
    ) -> None:
        replace = store.credentials.replace
        await raised(Conflict, replace(credential(2), account=GREETER, events=[event()]))
        assert await store.accounts.listing() == []
        assert (await store.events.due(T0)).items == []
        row = await replace(credential(1), account=GREETER, events=[event()])
        assert row.gen == 1
        assert await store.accounts.get(ME) == GREETER
        assert [due.key for due in (await store.events.due(T0)).items] == [event().key]

    async def test_a_token_that_was_sent_since_it_was_read_is_not_sent_again(
        self, store: Store
    ) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.intend(row, intent(), reserve_bytes=10)
        seen = await _get(store)
        await store.credentials.mark_sent(row, "i1")
        await raised(Conflict, store.credentials.intend(seen, intent(), reserve_bytes=10))
        # Whoever knows that it was sent, and has nothing to lose, may.
        await store.credentials.intend(await _get(store), intent(), reserve_bytes=10)

    async def test_a_login_is_sealed_anew_only_if_it_is_still_that_one(self, store: Store) -> None:
        row = await store.credentials.replace(credential())
        fresh = msgspec.structs.replace(
            row, sealed=b"under another key", origin="https://api.x.com", client_id="c"
        )
        again = msgspec.structs.replace(fresh, sealed=b"again")
        assert await store.credentials.reseal(row, fresh)
        found = await _get(store)
        assert found == fresh
        assert not await store.credentials.reseal(row, again)
        newer = await store.credentials.replace(credential(2))
        assert not await store.credentials.reseal(found, again)
        assert await _get(store) == newer

    async def test_a_refresh_goes_from_intent_to_result(self, store: Store) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.intend(row, intent(), reserve_bytes=4096)
        assert (await _get(store)).intent == intent()
        await store.credentials.mark_sent(row, "i1")
        assert (await _get(store)).intent == intent(sent=True)
        new = credential(2, access_until=T0 + timedelta(hours=4), last_success=T0 + S)
        await store.credentials.store_result(new, "i1")
        assert await _get(store) == new

    async def test_an_intent_needs_the_generation_that_was_read(self, store: Store) -> None:
        stale = await store.credentials.replace(credential())
        await store.credentials.replace(credential(2))
        await raised(Conflict, store.credentials.intend(stale, intent(), reserve_bytes=10))
        await raised(Conflict, store.credentials.mark_sent(stale, "i1"))
        gone = credential(app="gone")
        await raised(Conflict, store.credentials.intend(gone, intent(), reserve_bytes=10))
        assert (await _get(store)).intent is None

    async def test_an_intent_that_was_not_seen_is_not_overwritten(self, store: Store) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.intend(row, intent("theirs"), reserve_bytes=10)
        await raised(Conflict, store.credentials.intend(row, intent("mine"), reserve_bytes=10))
        seen = await _get(store)
        await store.credentials.intend(seen, intent("mine"), reserve_bytes=10)
        await raised(Conflict, store.credentials.mark_sent(row, "theirs"))
        await store.credentials.mark_sent(seen, "mine")

    async def test_a_token_that_was_not_spent_leaves_no_intent(self, store: Store) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.intend(row, intent(), reserve_bytes=10)
        await store.credentials.clear_intent(row, "another")
        assert (await _get(store)).intent == intent()
        await store.credentials.clear_intent(row, "i1")
        assert await _get(store) == row

    async def test_a_result_is_stored_once_and_never_over_a_newer_grant(
        self, store: Store
    ) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.intend(row, intent(), reserve_bytes=10)
        await store.credentials.replace(credential(2, sealed=b"by setup"))
        late = credential(2, sealed=b"by refresh")
        await raised(Conflict, store.credentials.store_result(late, "i1"))
        assert (await _get(store)).sealed == b"by setup"
        await store.credentials.remove(ME, "default", OAUTH2)
        await raised(Conflict, store.credentials.store_result(late, "i1"))

    async def test_the_newest_token_is_kept_even_when_the_intent_is_another(
        self, store: Store
    ) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.intend(row, intent("first"), reserve_bytes=10)
        seen = await _get(store)
        await store.credentials.intend(seen, intent("second"), reserve_bytes=10)
        await store.credentials.store_result(credential(2), "first")
        assert await _get(store) == credential(2)

    async def test_a_refresh_under_an_old_fence_is_refused_before_the_token_leaves(
        self, store: Store
    ) -> None:
        credentials = store.credentials
        row = await credentials.replace(credential())
        old = await lease(store, "refresh:1")
        await credentials.intend(row, intent(), reserve_bytes=10, fence=old)
        new = await store.leases.acquire("refresh:1", "other", ttl=HOUR, ended="tester")
        assert new is not None
        seen = await _get(store)
        await raised(LeaseLost, credentials.mark_sent(seen, "i1", fence=old))
        theirs = intent("theirs")
        await raised(LeaseLost, credentials.intend(seen, theirs, reserve_bytes=10, fence=old))
        late = credentials.set_status(seen, LoginState.DEAD, reason="late", now=T0, fence=old)
        await raised(LeaseLost, late)
        assert await _get(store) == seen
        await credentials.intend(seen, theirs, reserve_bytes=10, fence=new)
        await credentials.mark_sent(seen, "theirs", fence=new)
        await credentials.set_status(seen, LoginState.UNCERTAIN, reason="lost", now=T0, fence=new)
        found = await _get(store)
        assert (found.status, found.intent) == (
            LoginState.UNCERTAIN,
            intent("theirs", sent=True),
        )

    async def test_a_result_is_stored_although_the_fence_is_old_and_says_so(
        self, store: Store
    ) -> None:
        credentials = store.credentials
        row = await credentials.replace(credential())
        fence = await lease(store, "refresh:1")
        await credentials.intend(row, intent(), reserve_bytes=10, fence=fence)
        await credentials.mark_sent(row, "i1", fence=fence)
        assert await credentials.store_result(credential(2), "i1", fence=fence)
        second = await _get(store)
        await credentials.intend(second, intent("i2", 2), reserve_bytes=10, fence=fence)
        await credentials.mark_sent(second, "i2", fence=fence)
        new = await store.leases.acquire("refresh:1", "other", ttl=HOUR, ended="tester")
        assert new is not None
        seen = await _get(store)
        await credentials.intend(seen, intent("i3", 2), reserve_bytes=10, fence=new)
        # The successor of a spent token: stored, and whoever was about to send that one is not.
        assert not await credentials.store_result(credential(3), "i2", fence=fence)
        assert await _get(store) == credential(3)
        await raised(Conflict, credentials.mark_sent(seen, "i3", fence=new))
        await raised(Conflict, credentials.store_result(credential(3), "i3", fence=new))

    async def test_an_access_token_ends_before_its_time_for_its_generation_only(
        self, store: Store
    ) -> None:
        row = await store.credentials.replace(credential(access_until=T0 + HOUR))
        await store.credentials.expire(row, now=T0)
        assert await _get(store) == msgspec.structs.replace(row, access_until=T0)
        await store.credentials.expire(row, now=T0 + S)  # it ended before that
        assert (await _get(store)).access_until == T0
        newer = await store.credentials.replace(credential(2, access_until=T0 + HOUR))
        await store.credentials.expire(row, now=T0)
        assert await _get(store) == newer

    async def test_a_status_belongs_to_its_generation(self, store: Store) -> None:
        row = await store.credentials.replace(credential())
        set_status = store.credentials.set_status
        now = T0 + S
        await set_status(
            row, LoginState.CONFIG, reason="client secret", now=now, config_fingerprint="f1"
        )
        found = await _get(store)
        assert (found.status, found.reason, found.since) == (
            LoginState.CONFIG,
            "client secret",
            now,
        )
        assert found.config_fingerprint == "f1"
        await set_status(row, LoginState.CONFIG, reason="still", now=now + S)
        assert (await _get(store)).since == now
        await store.credentials.replace(credential(2))
        await set_status(row, LoginState.DEAD, reason="late news", now=now)
        assert (await _get(store)).status is LoginState.OK

    async def test_the_level_that_was_seen_is_kept(self, store: Store) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.note_level(row, "read-write-directmessages")
        assert (await _get(store)).level == "read-write-directmessages"

    async def test_a_removed_login_is_gone(self, store: Store) -> None:
        await store.credentials.replace(credential())
        assert await store.credentials.remove(ME, "default", OAUTH2)
        assert not await store.credentials.remove(ME, "default", OAUTH2)
        assert await store.credentials.get(ME, "default", OAUTH2) is None

    async def test_the_proof_of_the_key_is_set_once_and_replaced_knowingly(
        self, store: Store
    ) -> None:
        assert await store.vault_check() is None
        assert await store.set_vault_check(b"first", expected=None) == b"first"
        assert await store.set_vault_check(b"rival", expected=None) == b"first"
        assert await store.set_vault_check(b"second", expected=b"first") == b"second"
        assert await store.vault_check() == b"second"

    async def test_room_for_a_login_is_made_and_changes_nothing(self, store: Store) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.make_room()
        assert await _get(store) == row

    async def test_a_login_that_was_sealed_with_another_key_than_that_of_now_is_refused(
        self, store: Store
    ) -> None:
        await store.set_vault_check(b"BKV1new.rest", expected=None)
        old = credential(sealed=b"BKV2old.rest")
        await raised(Conflict, store.credentials.replace(old))
        await store.credentials.replace(credential(sealed=b"BKV2new.rest"))

    async def test_rows_carry_no_trace_of_an_old_intent(self, store: Store) -> None:
        row = await store.credentials.replace(credential())
        await store.credentials.intend(row, intent(), reserve_bytes=10)
        await store.credentials.replace(credential(2))
        assert await _get(store) == msgspec.structs.replace(credential(2), intent=None)


async def _get(store: Store) -> CredentialRow:
    row = await store.credentials.get(ME, "default", OAUTH2)
    assert row is not None
    return row
