"""The vault: what is sealed opens for its own row, under its own key, or not at all."""

from __future__ import annotations

import pytest

from botkit.errors import Corrupt, StateError, VaultKeyError
from botkit.model.tokens import CredentialKind, Secret
from botkit.storage.opening import open_store
from botkit.storage.vault import vault as vault_module
from botkit.storage.vault.vault import Vault, open_vault
from tests.storage.conformance.bench import SuiteClock

KEY, OTHER = bytes(range(32)), bytes(32)
ROW = {"account_id": "7", "app": "default", "kind": CredentialKind.OAUTH2, "gen": 3}
TOKENS = {"access_token": "a" * 90, "refresh_token": "r" * 90, "spent": "cafe"}
ONE_BOX = {"access_token": "a" * 90, "token_secret": "s" * 90}
both_shapes = pytest.mark.parametrize("tokens", [TOKENS, ONE_BOX], ids=["two boxes", "one box"])


def hidden(tokens: dict[str, str]) -> dict[str, Secret]:
    return {name: Secret(token) for name, token in tokens.items()}


@both_shapes
def test_what_was_sealed_opens_again(tokens: dict[str, str]) -> None:
    vault = Vault(KEY, deployment="d")
    assert vault.open(vault.seal(tokens, **ROW), **ROW) == hidden(tokens)
    assert vault.seal(hidden(tokens), **ROW)


@both_shapes
def test_the_access_token_opens_without_what_refreshes_it(tokens: dict[str, str]) -> None:
    vault = Vault(KEY, deployment="d")
    given = vault.open_access(vault.seal(tokens, **ROW), **ROW)
    first = {name: tokens[name] for name in tokens.keys() - {"refresh_token", "spent"}}
    assert given == hidden(first)


def test_for_the_access_token_the_box_of_the_refresh_token_is_not_touched() -> None:
    vault = Vault(KEY, deployment="d")
    sealed = vault.seal(TOKENS, **ROW)
    broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
    assert vault.open_access(broken, **ROW) == hidden({"access_token": "a" * 90})
    with pytest.raises(Corrupt):
        vault.open(broken, **ROW)


def test_the_two_boxes_cannot_change_places() -> None:
    vault = Vault(KEY, deployment="d")
    sealed = vault.seal(TOKENS, **ROW)
    first, second = sealed[12 : 12 + len(sealed[12:]) // 2], sealed[12 + len(sealed[12:]) // 2 :]
    assert len(first) == len(second)
    with pytest.raises(Corrupt):
        vault.open_access(sealed[:12] + second + first, **ROW)


def test_a_record_from_before_there_were_two_boxes_still_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vault_module, "_REFRESHING", frozenset[str]())
    old = Vault(KEY, deployment="d").seal(TOKENS, **ROW)
    monkeypatch.undo()
    vault = Vault(KEY, deployment="d")
    assert old.startswith(b"BKV1")
    assert vault.open(old, **ROW) == hidden(TOKENS)
    assert vault.open_access(old, **ROW) == hidden({"access_token": "a" * 90})


def test_a_sealed_record_shows_nothing_of_the_tokens_and_differs_each_time() -> None:
    vault = Vault(KEY, deployment="d")
    first, second = vault.seal(TOKENS, **ROW), vault.seal(TOKENS, **ROW)
    assert first != second
    assert b"aaaa" not in first
    assert repr(vault) == "Vault(...)"


def test_records_of_tokens_of_any_usual_length_have_one_size() -> None:
    vault = Vault(KEY, deployment="d")
    sizes = {
        len(vault.seal({"access_token": "a" * n, "refresh_token": "r" * n}, **ROW))
        for n in (1, 90, 400)
    }
    assert len(sizes) == 1
    pairs = {
        len(vault.seal({"token": "t" * n, "token_secret": "s" * n}, **ROW)) for n in (1, 90, 200)
    }
    assert len(pairs) == 1
    assert len(vault.seal({"token": "a" * 5000}, **ROW)) % 512 == pairs.pop() % 512


@pytest.mark.parametrize(
    "other",
    [
        {"account_id": "8"},
        {"app": "second"},
        {"kind": CredentialKind.OAUTH1},
        {"gen": 4},
        {"account_id": "7default", "app": ""},
    ],
    ids=str,
)
def test_a_record_opens_for_no_other_row(other: dict[str, object]) -> None:
    vault = Vault(KEY, deployment="d")
    with pytest.raises(Corrupt, match="botkit setup"):
        vault.open(vault.seal(TOKENS, **ROW), **{**ROW, **other})


def test_a_record_opens_in_no_other_deployment() -> None:
    sealed = Vault(KEY, deployment="d").seal(TOKENS, **ROW)
    with pytest.raises(Corrupt):
        Vault(KEY, deployment="copy").open(sealed, **ROW)


@both_shapes
def test_every_flipped_byte_is_refused(tokens: dict[str, str]) -> None:
    vault = Vault(KEY, deployment="d")
    sealed = vault.seal(tokens, **ROW)
    for place in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[place] ^= 0x40
        with pytest.raises(StateError):
            vault.open(bytes(flipped), **ROW)


@both_shapes
def test_every_cut_record_is_refused(tokens: dict[str, str]) -> None:
    vault = Vault(KEY, deployment="d")
    sealed = vault.seal(tokens, **ROW)
    for length in range(len(sealed)):
        with pytest.raises(StateError):
            vault.open(sealed[:length], **ROW)


def test_another_key_is_said_to_be_another_key() -> None:
    sealed = Vault(KEY, deployment="d").seal(TOKENS, **ROW)
    with pytest.raises(VaultKeyError, match="BOTKIT_STORE__KEY"):
        Vault(OTHER, deployment="d").open(sealed, **ROW)


def test_while_keys_rotate_both_open_and_the_new_one_seals() -> None:
    old = Vault(KEY, deployment="d").seal(TOKENS, **ROW)
    both = Vault(OTHER, deployment="d", previous=KEY)
    assert both.open(old, **ROW) == hidden(TOKENS)
    assert not both.is_current(old)
    new = both.seal(TOKENS, **ROW)
    assert both.is_current(new)
    assert Vault(OTHER, deployment="d").open(new, **ROW) == hidden(TOKENS)


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(VaultKeyError, match="32 bytes, this one has 16"):
        Vault(bytes(16), deployment="d")


async def test_the_first_key_becomes_the_stores_own(tmp_path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/b.db", clock=SuiteClock()) as store:
        vault = await open_vault(store, KEY)
        sealed = vault.seal(TOKENS, **ROW)
        again = await open_vault(store, KEY)
        assert again.open(sealed, **ROW) == hidden(TOKENS)
        check = await store.vault_check()
        with pytest.raises(VaultKeyError, match="not the key of the store"):
            await open_vault(store, OTHER)
        assert await store.vault_check() == check


async def test_no_key_is_an_error_that_says_what_to_do(tmp_path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/b.db", clock=SuiteClock()) as store:
        with pytest.raises(VaultKeyError, match="There is no vault key"):
            await open_vault(store, None)
        assert await store.vault_check() is None
        await open_vault(store, KEY)
        with pytest.raises(VaultKeyError, match="holds sealed tokens") as caught:
            await open_vault(store, None)
        assert "BOTKIT_STORE__KEY_FILE" in caught.value.hint


async def test_a_rotation_moves_the_proof_to_the_new_key(tmp_path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/b.db", clock=SuiteClock()) as store:
        await open_vault(store, KEY)
        await open_vault(store, OTHER, previous=KEY)
        await open_vault(store, OTHER)
        with pytest.raises(VaultKeyError):
            await open_vault(store, KEY)


def test_what_was_signed_is_known_again_for_its_purpose_only() -> None:
    vault = Vault(KEY, deployment="d")
    tag = vault.sign(b"text", purpose="a")
    assert len(tag) == 32
    assert vault.verify(b"text", tag, purpose="a")
    assert not vault.verify(b"text", tag, purpose="b")
    assert not vault.verify(b"other", tag, purpose="a")
    assert not vault.verify(b"text", b"", purpose="a")
    assert not Vault(KEY, deployment="e").verify(b"text", tag, purpose="a")
    assert not Vault(OTHER, deployment="d").verify(b"text", tag, purpose="a")


def test_what_was_signed_before_a_rotation_is_known_as_long_as_the_old_key_is() -> None:
    before = Vault(KEY, deployment="d").sign(b"text", purpose="a")
    rotated = Vault(OTHER, deployment="d", previous=KEY)
    assert rotated.verify(b"text", before, purpose="a")
    learning = Vault(KEY, deployment="d")
    learning.learn(OTHER)
    assert learning.sign(b"text", purpose="a") == rotated.sign(b"text", purpose="a")
    assert learning.verify(b"text", before, purpose="a")
