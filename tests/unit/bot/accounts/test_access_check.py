"""What the bot says it may do against what the logins allow: all of it, at the start."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from botkit.bot.accounts.access_check import TOO_LITTLE, check_access, denials_of, words_for
from botkit.errors import AccessDenied, MissingScope
from botkit.model.tokens import CredentialKind
from botkit.model.users import Account
from botkit.protocol.rules import access

if TYPE_CHECKING:
    from tests.unit.bot.conftest import Place

GRANTED = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
ADA = Account(id="1", username="ada")
BOB = Account(id="2", username="bob")
SCOPES = {"1": ("tweet.read", "users.read"), "2": ("tweet.read", "tweet.write", "users.read")}


class FakeSender:
    """Judges by the scopes of two accounts."""

    async def credential(self, operation: str, *, account_id: str) -> CredentialKind:
        return access.choose_credential(operation, {CredentialKind.OAUTH2: SCOPES[account_id]})


async def check(place: Place, *accounts: Account, may: set[str], force: bool = False) -> None:
    await check_access(
        FakeSender(),  # type: ignore[arg-type]
        accounts,
        may,
        store=place.store,
        clock=place.clock,
        force=force,
    )


async def test_whoever_may_do_everything_passes(place: Place) -> None:
    await check(place, BOB, may={"post", "reply", "repost", "delete"})
    assert await place.store.progress.reports() == []


async def test_all_that_is_missing_for_all_accounts_is_in_one_error_and_in_the_status(
    place: Place,
) -> None:
    with pytest.raises(MissingScope) as raised:
        await check(place, ADA, BOB, may={"post", "media"})
    every = [raised.value, *raised.value.others]
    told = [(each.operation, "media.write" in each.need) for each in every]
    assert told.count(("createPosts", False)) == 1
    assert ("mediaUpload", True) in told
    assert len(told) == 1 + 2 * len(access.CAPABILITIES["media"])
    reports = {each.part: each for each in await place.store.progress.reports()}
    assert {part: each.state for part, each in reports.items()} == {
        "access/ada": TOO_LITTLE,
        "access/bob": TOO_LITTLE,
    }
    assert "createPosts" in reports["access/ada"].detail
    assert "createPosts" not in reports["access/bob"].detail


async def test_only_those_that_lack_something_are_in_the_status(place: Place) -> None:
    with pytest.raises(AccessDenied):
        await check(place, ADA, BOB, may={"post"})
    assert [each.part for each in await place.store.progress.reports()] == ["access/ada"]


async def test_by_force_it_is_only_said(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    await check(place, ADA, may={"post"}, force=True)
    assert "createPosts" in "".join(capsys.readouterr())


async def test_the_words_name_each_lack_and_each_cure_once() -> None:
    denials = await denials_of(FakeSender(), "1", {"post", "repost"})  # type: ignore[arg-type]
    assert len(denials) > 1
    dated = access.dated(denials[0], granted_at=GRANTED, command="botkit setup --account ada")
    words = words_for([*denials, dated])
    assert words.startswith("createPosts, ")
    assert "createPosts needs tweet.read tweet.write users.read; the login, authorized on" in words
    assert words.count("authorize again") == 2
    assert words_for([]) == ""
