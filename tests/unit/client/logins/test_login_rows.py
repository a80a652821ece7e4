"""One class owns a login's stored row, and nothing else in botkit changes one."""

from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

import botkit
from botkit.client.logins.login_rows import LoginRows, OpenRow, keys_fingerprint
from botkit.errors import Conflict, LeaseLost, StoreUnavailable, VaultKeyError
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from tests.unit.client.fakes import APPS, GREETER, World
from tests.unit.client.keeping import sent_intent

ROOT = Path(botkit.__file__).parent
OWNER = ROOT / "client" / "logins" / "login_rows.py"
BELOW = (ROOT / "storage", ROOT / "ports")
"""They implement what the owner uses; `open_vault` seals the proof of the key there."""
READS = {"get", "listing", "make_room"}
"""What changes no login; `make_room` only tries whether the store takes one."""
SEALS = {"seal", "open", "open_access"}


def _trespasses(path: Path) -> list[str]:
    """Return each use of the logins' group beyond a read, and of the vault's seal, with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    read = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in READS
    }
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (
            (node.attr == "credentials" and id(node) not in read)
            or (node.attr in SEALS and "vault" in ast.unparse(node.value).rpartition(".")[2])
        )
    ]


def test_nobody_but_the_owner_seals_opens_or_writes_a_login() -> None:
    files = [
        path
        for path in ROOT.rglob("*.py")
        if path != OWNER and not any(path.is_relative_to(room) for room in BELOW)
    ]
    assert len(files) > 100
    assert [where for path in files for where in _trespasses(path)] == []
    assert _trespasses(OWNER)


def _draft(world: World, kind: CredentialKind = CredentialKind.OAUTH2) -> CredentialRow:
    now = world.clock.now()
    return CredentialRow(
        account_id=GREETER.id,
        app=GREETER.app,
        kind=kind,
        gen=0,
        sealed=b"",
        since=now,
        granted_at=now,
    )


async def test_a_new_login_is_the_next_generation_and_opens_as_it_was_sealed(
    world: World,
) -> None:
    await world.real_store.accounts.put(GREETER)
    tokens = {"token": Secret("t"), "token_secret": Secret("s")}
    for gen in (1, 2):
        row = await world.rows.add(_draft(world, CredentialKind.OAUTH1), tokens)
        assert row.gen == gen
    assert world.rows.open(row) == tokens
    assert world.rows.token_pair(row).token_secret == Secret("s")


async def test_a_generation_that_another_process_stored_meanwhile_is_a_conflict(
    world: World,
) -> None:
    async def late(row: CredentialRow) -> CredentialRow:
        await world.log_in()
        return await world.rows.put(row)

    await world.real_store.accounts.put(GREETER)
    with pytest.raises(Conflict):
        await world.rows.add(_draft(world), {"access_token": Secret("mine")}, keep=late)
    assert (await world.tokens())["access_token"] == "at-1"


async def test_a_state_is_since_when_it_began_and_config_remembers_the_keys(world: World) -> None:
    row = await world.log_in()
    await world.clock.advance(timedelta(minutes=1))
    began = world.clock.now()
    row = await world.rows.set_state(row, LoginState.CONFIG, "wrong keys")
    await world.clock.advance(timedelta(minutes=1))
    row = await world.rows.set_state(row, LoginState.CONFIG, "still wrong")
    stored = await world.rows.again(row)
    assert stored is not None
    assert (stored.since, stored.reason) == (row.since, row.reason) == (began, "still wrong")
    assert stored.config_fingerprint == keys_fingerprint(APPS["default"], row.kind)
    assert not world.rows.has_other_keys(stored)
    others = {"default": msgspec.structs.replace(APPS["default"], client_id="another")}
    rows = LoginRows(world.real_store, world.vault, world.clock, apps=others)
    assert rows.has_other_keys(stored)


async def test_a_state_that_the_store_cannot_take_is_known_in_memory(world: World) -> None:
    row = await world.log_in()
    world.broken.add("credentials.set_status")
    watched = LoginRows(world, world.vault, world.clock)  # type: ignore[arg-type]
    marked = await watched.mark(row, LoginState.DEAD, "it ended")
    assert (marked.status, marked.reason) == (LoginState.DEAD, "it ended")
    assert (await world.row()).status is LoginState.OK
    with pytest.raises(StoreUnavailable):
        await watched.set_state(row, LoginState.DEAD, "it ended")


async def test_a_state_that_is_there_already_is_not_stored_again(world: World) -> None:
    row = await world.log_in()
    world.broken.add("credentials.set_status")
    watched = LoginRows(world, world.vault, world.clock)  # type: ignore[arg-type]
    assert await watched.mark(row, row.status, row.reason) is row
    assert await watched.mark(row, row.status, "another reason") is not row


async def test_a_row_that_is_bound_already_is_not_sealed_again(world: World) -> None:
    row = await world.log_in()
    await world.rows.bind(row)
    bound = await world.row()
    assert bound.origin
    await world.rows.bind(row)
    assert await world.row() == bound
    await world.rows.remove(bound)
    await world.rows.bind(row)
    assert await world.real_store.credentials.listing() == []


async def test_a_refresh_whose_lock_another_process_has_is_neither_begun_nor_sent(
    world: World,
) -> None:
    row = await world.log_in()
    old = await world.real_store.leases.acquire("refresh", "me", ttl=timedelta(seconds=1))
    await world.clock.advance(timedelta(seconds=2))
    new = await world.real_store.leases.acquire("refresh", "other", ttl=timedelta(hours=1))
    assert old is not None
    assert new is not None
    intent = sent_intent(row)
    with pytest.raises(LeaseLost):
        await world.rows.intend(row, intent, old)
    await world.rows.intend(row, intent, new)
    with pytest.raises(LeaseLost):
        await world.rows.mark_sent(row, intent, old)
    await world.rows.mark_sent(row, intent, new)


async def test_a_row_in_hand_is_unsealed_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = OpenRow(world.rows, await world.log_in())
    assert opened.tokens["refresh_token"] == Secret("rt-1")
    monkeypatch.setattr(world.rows, "open", None)
    assert opened.tokens["access_token"] == Secret("at-1")


@pytest.mark.parametrize("step", ["make_ready", "add"])
async def test_the_key_is_looked_at_before_a_login_is_made_room_for_or_stored(
    world: World, step: str
) -> None:
    # Another process may have changed the vault's key since this one started.
    row = await world.log_in()
    asked: list[str] = []

    async def refuses() -> None:
        asked.append(step)
        raise VaultKeyError("changed")

    rows = LoginRows(world.real_store, world.vault, world.clock, apps=APPS, renew_key=refuses)
    tokens = {"access_token": Secret("at-9"), "refresh_token": Secret("rt-9")}
    attempt = rows.make_ready() if step == "make_ready" else rows.add(row, tokens)
    with pytest.raises(VaultKeyError):
        await attempt
    assert asked == [step]
    assert await world.row() == row
