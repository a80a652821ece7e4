"""Accounts, users and the checklist."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from botkit.errors import Conflict
from botkit.model.records import Mark, StoredOptOut, StoredUser
from botkit.model.users import Account
from tests.storage.conformance.bench import ME, T0, Suite, credential, forget, raised

if TYPE_CHECKING:
    from botkit.ports import Store

__all__ = ["AccountsConformance"]

HOUR = timedelta(hours=1)


class AccountsConformance(Suite):
    """`store.accounts`."""

    async def test_an_account_is_found_by_id_and_by_any_spelling_of_its_name(
        self, store: Store
    ) -> None:
        greeter = Account(id=ME, username="Greeter", name="Greets", app="main")
        await store.accounts.put(greeter)
        for name in (ME, "Greeter", "greeter", "@GREETER"):
            assert await store.accounts.get(name) == greeter
        assert await store.accounts.get("nobody") is None

    async def test_an_account_that_was_renamed_keeps_its_place(self, store: Store) -> None:
        first, second = Account(id="1", username="a"), Account(id="2", username="b")
        await store.accounts.put(first)
        await store.accounts.put(second)
        renamed = msgspec.structs.replace(first, username="z", app="other")
        await store.accounts.put(renamed)
        assert await store.accounts.listing() == [renamed, second]
        assert await store.accounts.get("a") is None

    async def test_an_alias_is_one_more_name_and_outlives_a_new_login(self, store: Store) -> None:
        greeter = Account(id="1", username="greeter")
        await store.accounts.put(greeter)
        await store.accounts.rename("1", "Shop")
        named = msgspec.structs.replace(greeter, alias="Shop")
        for name in ("1", "greeter", "shop", "@SHOP"):
            assert await store.accounts.get(name) == named
        await store.accounts.put(msgspec.structs.replace(greeter, name="Greets"))
        found = await store.accounts.get("shop")
        assert found is not None
        assert (found.name, found.alias) == ("Greets", "Shop")
        await store.accounts.rename("1", "")
        assert await store.accounts.get("shop") is None
        assert await store.accounts.get("") is None

    async def test_two_accounts_are_never_called_the_same(self, store: Store) -> None:
        await store.accounts.put(Account(id="1", username="a"))
        await store.accounts.put(Account(id="2", username="b"))
        await store.accounts.rename("1", "shop")
        for taken in ("shop", "SHOP", "A", "1"):
            await raised(Conflict, store.accounts.rename("2", taken))
        await store.accounts.rename("1", "SHOP")
        await store.accounts.rename("2", "")
        await store.accounts.rename("1", "")

    async def test_an_id_goes_before_a_name_of_the_same_letters(self, store: Store) -> None:
        await store.accounts.put(Account(id="1", username="2"))
        await store.accounts.put(Account(id="2", username="x"))
        found = await store.accounts.get("2")
        assert found is not None
        assert found.id == "2"

    async def test_a_removed_account_takes_its_logins_along(self, store: Store) -> None:
        for name in ("1", "2"):
            await store.accounts.put(Account(id=name, username=f"u{name}"))
            await store.credentials.replace(credential(account_id=name))
        assert await store.accounts.remove("1")
        assert not await store.accounts.remove("1")
        assert [account.id for account in await store.accounts.listing()] == ["2"]
        assert [row.account_id for row in await store.credentials.listing()] == ["2"]

    async def test_users_are_cached_until_they_are_too_old(self, store: Store) -> None:
        old, young = _user("1"), _user("2", fetched_at=T0 + HOUR)
        await store.accounts.cache_users([old, young])
        cached = store.accounts.cached_users
        assert sorted(user.id for user in await cached(["1", "2", "3"], since=T0)) == ["1", "2"]
        assert await cached(["1", "2", "3"], since=T0 + HOUR) == [young]
        assert await cached([], since=T0) == []
        newer = _user("1", username="renamed", fetched_at=T0 + HOUR)
        await store.accounts.cache_users([newer])
        await store.accounts.cache_users([old])
        assert await cached(["1"], since=T0) == [newer]

    async def test_users_that_are_too_old_are_forgotten_and_opt_outs_are_not(
        self, store: Store
    ) -> None:
        old, young = _user("1"), _user("2", fetched_at=T0 + HOUR)
        await store.accounts.cache_users([old, young])
        await store.accounts.opt_out(_opt_out("1"))
        assert (await forget(store, users=T0 + HOUR))["users"] == 1
        assert await store.accounts.cached_users(["1", "2"], since=T0) == [young]
        assert await store.accounts.opted_out(ME, "1") == _opt_out("1")

    async def test_many_users_are_looked_up_at_once(self, store: Store) -> None:
        users = [_user(str(number)) for number in range(2500)]
        await store.accounts.cache_users(users)
        found = await store.accounts.cached_users([user.id for user in users], since=T0)
        assert {user.id for user in found} == {user.id for user in users}

    async def test_opting_out_holds_for_one_account_until_opting_in(self, store: Store) -> None:
        accounts = store.accounts
        assert await accounts.opted_out(ME, "7") is None
        assert not await accounts.opt_in(ME, "7")
        first = _opt_out("7", username="ada", cause="post/1/0")
        assert await accounts.opt_out(first) == first
        assert await accounts.opt_out(_opt_out("7", at=T0 + HOUR, cause="post/2/0")) == first
        assert await accounts.opted_out(ME, "7") == first
        assert await accounts.opted_out("2", "7") is None
        assert await accounts.opt_in(ME, "7")
        assert await accounts.opted_out(ME, "7") is None

    async def test_opt_outs_are_listed_the_newest_first(self, store: Store) -> None:
        accounts = store.accounts
        assert await accounts.opt_outs(limit=9) == []
        old, new = _opt_out("7"), _opt_out("8", at=T0 + HOUR)
        other = _opt_out("9", account_id="2", at=T0 + 2 * HOUR)
        for row in (old, new, other):
            await accounts.opt_out(row)
        assert await accounts.opt_outs(limit=9) == [other, new, old]
        assert await accounts.opt_outs(limit=1) == [other]
        assert await accounts.opt_outs(account_id=ME, limit=9) == [new, old]

    async def test_a_cached_user_is_found_by_name(self, store: Store) -> None:
        old = _user("1", username="Ada")
        new = _user("2", username="ada", fetched_at=T0 + HOUR)
        await store.accounts.cache_users([old, new])
        assert await store.accounts.cached_user("ADA") == new
        assert await store.accounts.cached_user("bob") is None

    async def test_checklist_marks_are_set_and_taken_back(self, store: Store) -> None:
        first = Mark(account_id=ME, step="label", at=T0)
        second = Mark(account_id=ME, step="bio", at=T0 + HOUR)
        await store.accounts.set_mark(second)
        await store.accounts.set_mark(first)
        await store.accounts.set_mark(Mark(account_id="2", step="label", at=T0))
        assert await store.accounts.marks(ME) == [first, second]
        assert await store.accounts.clear_mark(ME, "label")
        assert not await store.accounts.clear_mark(ME, "label")
        assert await store.accounts.marks(ME) == [second]


def _opt_out(user_id: str, **fields: Any) -> StoredOptOut:
    return msgspec.structs.replace(StoredOptOut(account_id=ME, user_id=user_id, at=T0), **fields)


def _user(user_id: str, **fields: Any) -> StoredUser:
    row = StoredUser(id=user_id, username=f"u{user_id}", body=b"{}", fetched_at=T0)
    return msgspec.structs.replace(row, **fields)
