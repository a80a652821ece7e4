"""What commands open: the store and its key, both or neither."""

from __future__ import annotations

import pytest

PAIR = '{"oauth_token": "1-token", "oauth_token_secret": "secret-of-token"}'


@pytest.fixture
def keyless(desk, tmp_path):
    """A machine without a key and without a store, where nobody reads what is said."""
    pair = tmp_path / "pair"
    pair.write_text(PAIR)
    desk.move_to(
        tmp_path / "keyless",
        BOTKIT_STORE__KEY=None,
        BOTKIT_CONNECT__ON="true",
        BOTKIT_CONNECT__PUBLIC_URL="https://bot.example",
    )
    desk.pair = str(pair)
    return desk


def files_of(desk):
    return sorted(path.name for path in desk.folder.iterdir())


def store_making(desk):
    return (
        ("setup", "--no-browser"),
        ("setup", "--app-only"),
        ("accounts", "import", "--oauth1", "--file", desk.pair),
        ("accounts", "invite"),
    )


def test_a_command_that_ends_for_lack_of_a_key_leaves_no_store_behind(keyless):
    for command in store_making(keyless):
        assert keyless.top(*command) == 2
        assert "There is no vault key for the store" in keyless.err
        assert "--make-key" in keyless.err
        assert files_of(keyless) == []


def test_a_key_that_is_none_leaves_no_store_behind(keyless):
    keyless.move_to(keyless.folder, BOTKIT_STORE__KEY="not-a-key")

    assert keyless.top("accounts", "invite") == 5
    assert "does not hold a vault key" in keyless.err
    assert files_of(keyless) == []


@pytest.mark.parametrize(
    "changes",
    [{"BOTKIT_STORE__KEY": "00" * 32}, {"BOTKIT_STORE__KEY_FROM": "keyring"}],
    ids=["a key of the settings", "a keyring"],
)
def test_a_key_that_cannot_lie_beside_the_store_leaves_no_store_behind(keyless, changes):
    keyless.move_to(keyless.folder, **changes)

    assert keyless.top("accounts", "invite", "--key-beside-store") == 2
    assert files_of(keyless) == []


def test_a_key_that_lies_beside_a_store_that_is_gone_is_enough_for_the_next_one(keyless):
    assert keyless.top("accounts", "invite", "--make-key", "--key-beside-store") == 0
    (keyless.folder / "botkit.db").unlink()

    assert keyless.top("accounts", "invite") == 0
    assert "botkit.db" in files_of(keyless)


def test_a_store_without_a_key_that_is_there_stays_as_it_is(keyless):
    assert keyless.top("accounts", "invite", "--make-key") == 0
    before = files_of(keyless)
    for path in (keyless.folder / "config").rglob("*.key"):
        path.unlink()

    assert keyless.top("accounts", "invite") == 2
    assert files_of(keyless) == before


def test_commands_find_the_store_that_another_one_made_whatever_its_folder_is_called(
    desk, tmp_path
):
    desk.move_to(tmp_path / "a%20b")
    desk.log_in()
    assert "botkit.db" in files_of(desk)

    assert desk.json("list")[0]["username"] == "greeter"


@pytest.mark.parametrize(
    "command",
    [
        ("events", "list", "--limit", "99999999999999999999"),
        ("writes", "list", "--limit", "-1"),
        ("writes", "settle", "w", "--happened", "abc"),
        ("sandbox", "--port", "99999"),
        ("setup", "--timeout", "0"),
    ],
    ids=" ".join,
)
def test_a_number_that_cannot_be_is_a_fault_of_usage(desk, command):
    assert desk.top(*command) == 2
    assert "Try 'botkit" in desk.err
