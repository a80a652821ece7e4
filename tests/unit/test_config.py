"""Settings come from every place in one order, and all their faults in one list."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from botkit.config import BotSettings, Settings, load_settings, secrets_of, surroundings
from botkit.config.sections import setting_names
from botkit.errors import ConfigError
from botkit.storage.files import file_of


def problems_of(folder: Path, environ: dict[str, str], *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=environ, folder=folder, overrides=overrides)
    return list(caught.value.problems)


def test_without_anything_the_settings_are_xs(tmp_path: Path) -> None:
    settings = load_settings(environ={}, folder=tmp_path)
    assert settings.x.api_url == "https://api.x.com"
    assert settings.app_named().redirect_uri == "http://127.0.0.1:8765/callback"
    assert settings.store_url == f"sqlite:///{tmp_path}/botkit.db"


def test_each_place_is_stronger_than_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text(
        '[bot]\ntarget = "toml"\naccount = "toml"\nsource = "poll"\n'
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "botkit_bot__account").write_text("file\n")
    environ = {
        "BOTKIT_BOT__TARGET": "environment",
        "BOTKIT_BOT__ACCOUNT": "environment",
        "BOTKIT_SECRETS_DIR": str(secrets),
    }
    settings = load_settings(
        environ=environ, folder=tmp_path, overrides=["bot.target=command line"]
    )
    assert settings.bot.target == "command line"
    assert settings.bot.account == "file"
    assert settings.bot.source == "poll"


@pytest.mark.parametrize("name", [name for name in setting_names() if "NAME" not in name])
def test_every_setting_can_come_from_a_file(name: str, tmp_path: Path) -> None:
    variable = "BOTKIT_" + name.replace(".", "__").upper() + "_FILE"
    missing = tmp_path / "nowhere"
    assert problems_of(tmp_path, {variable: str(missing)}) == [
        f"{variable}: {missing} cannot be read (No such file or directory)."
    ]


def test_a_secret_file_is_trimmed_of_bom_and_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    settings = load_settings(
        environ={"BOTKIT_APP__CLIENT_SECRET_FILE": str(file)}, folder=tmp_path
    )
    secret = settings.app_named().client_secret
    assert secret is not None
    assert secret.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)


def test_named_apps_come_from_the_environment_too(tmp_path: Path) -> None:
    settings = load_settings(environ={"BOTKIT_APPS__VENDOR__CLIENT_ID": "abc"}, folder=tmp_path)
    assert settings.app_named("vendor").client_id == "abc"
    with pytest.raises(ConfigError, match=r"no app 'other'.*Known: default, vendor"):
        settings.app_named("other")


def test_a_misspelt_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    found = problems_of(tmp_path, {"BOTKIT_X__API_ULR": "https://example.com"})
    assert found == [
        "BOTKIT_X__API_ULR: there is no such setting; did you mean BOTKIT_X__API_URL?"
    ]


def test_a_misspelt_name_in_the_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text("[stor]\nurl = 'sqlite:///a.db'\n")
    assert problems_of(tmp_path, {}) == [
        "botkit.toml: [stor] url: there is no such setting; did you mean store.url?"
    ]


def test_a_name_like_nothing_points_to_the_reference(tmp_path: Path) -> None:
    found = problems_of(tmp_path, {"BOTKIT_QQQQQQQQQQQQQQQQQQQ": "1"})
    assert found == [
        "BOTKIT_QQQQQQQQQQQQQQQQQQQ: there is no such setting; see the settings reference."
    ]


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        {"BOTKIT_HTTP__PORT": "x", "BOTKIT_LOG__LEVEL": "loud", "BOTKIT_BOT__TARGET": "'quoted'"},
    )
    assert len(found) == 3
    assert {fault.split(":")[0] for fault in found} == {
        "BOTKIT_HTTP__PORT",
        "BOTKIT_LOG__LEVEL",
        "BOTKIT_BOT__TARGET",
    }


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://192.0.2.1", "plain http"),
        ("http://localhost:8080", "plain http"),
        ("http://localhost.example", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("ftp://api.x.com", "not an http(s) address"),
        ("https://", "not an http(s) address"),
        ("https://a:b@api.x.com", "credentials"),
        ("https://api.x.com?a=1", "query"),
    ],
)
def test_an_address_that_would_leak_credentials_is_refused(
    url: str, fault: str, tmp_path: Path
) -> None:
    (found,) = problems_of(tmp_path, {"BOTKIT_X__API_URL": url})
    assert found.startswith("BOTKIT_X__API_URL: ")
    assert fault in found


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://[::1]:9", "https://gate.example"])
def test_loopback_and_https_addresses_are_taken(url: str, tmp_path: Path) -> None:
    settings = load_settings(environ={"BOTKIT_X__API_URL": url + "/"}, folder=tmp_path)
    assert settings.x.api_url == url


@pytest.mark.parametrize(
    ("value", "fault"),
    [("", "is empty"), (" \r\n", "is empty"), ("'a'", "stands in quotes"), ("a\nb", "line end")],
)
def test_a_value_that_was_mangled_on_the_way_is_refused(
    value: str, fault: str, tmp_path: Path
) -> None:
    (found,) = problems_of(tmp_path, {"BOTKIT_BOT__ACCOUNT": value})
    assert fault in found


def test_secrets_are_not_taken_from_the_command_line(tmp_path: Path) -> None:
    (found,) = problems_of(tmp_path, {}, "app.client_secret=hunter2")
    assert "BOTKIT_APP__CLIENT_SECRET_FILE" in found
    assert "hunter2" not in found


def test_an_assignment_without_a_value_is_explained(tmp_path: Path) -> None:
    assert problems_of(tmp_path, {}, "bot.account") == [
        "--set bot.account: write it as section.name=value."
    ]


def test_an_unknown_assignment_is_refused_with_the_nearest(tmp_path: Path) -> None:
    assert problems_of(tmp_path, {}, "bot.acount=a") == [
        "--set bot.acount: there is no such setting; did you mean bot.account?"
    ]


def test_a_wrong_secret_value_is_not_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text("[app]\nclient_secret = 12345678\n")
    (tmp_path / "botkit.toml").chmod(0o600)
    (found,) = problems_of(tmp_path, {})
    assert found.startswith("botkit.toml [app] client_secret: ")
    assert "12345678" not in found


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o600])
def test_a_secret_in_a_file_that_others_may_read_is_refused_with_the_cure(
    tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "botkit.toml"
    file.write_text('[apps.shop]\nclient_id = "c"\napi_secret = "hidden"\n')
    file.chmod(mode)
    if mode == 0o600:
        assert load_settings(environ={}, folder=tmp_path).apps["shop"].api_secret
        return
    (found,) = problems_of(tmp_path, {})
    assert found == (
        f"botkit.toml [apps.shop] api_secret: is a secret, and other users may read {file}"
        f" (mode {mode:04o}): chmod 600 {file}, or better keep it in a file of its own, named by"
        " BOTKIT_APPS__SHOP__API_SECRET_FILE."
    )


@pytest.mark.parametrize("odd", ["se\x7fcret", "se\x9bcret", "se\u200bcret", "se cret", "sécret"])
def test_a_secret_is_made_of_visible_ascii_only(tmp_path: Path, odd: str) -> None:
    (found,) = problems_of(tmp_path, {"BOTKIT_APP__API_SECRET": odd})
    assert found.startswith("BOTKIT_APP__API_SECRET: holds a ")
    assert "cret" not in found
    (tmp_path / "key").write_text(odd + "\n", encoding="utf-8")
    file = {"BOTKIT_STORE__KEY_FILE": str(tmp_path / "key")}
    assert problems_of(tmp_path, file)[0].startswith("BOTKIT_STORE__KEY_FILE: holds a ")


def test_a_client_secret_may_hold_blanks_as_oauth_2_allows(tmp_path: Path) -> None:
    """RFC 6749, appendix A.2: a client secret is made of %x20-7E."""
    environ = {"BOTKIT_APP__CLIENT_SECRET": " ~se cret! \n"}
    secret = load_settings(environ=environ, folder=tmp_path).app_named().client_secret
    assert secret is not None
    assert secret.get_secret_value() == "~se cret!"
    (found,) = problems_of(tmp_path, {"BOTKIT_APP__CLIENT_SECRET": "sécret"})
    assert found == "BOTKIT_APP__CLIENT_SECRET: holds a letter that no client secret has."


def test_no_value_holds_a_delete_character(tmp_path: Path) -> None:
    (found,) = problems_of(tmp_path, {"BOTKIT_BOT__TARGET": "bot\x7f:bot"})
    assert found == "BOTKIT_BOT__TARGET: holds a line end or a control character."


def test_secrets_are_not_inherited_by_what_a_bot_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "BOTKIT_APP__CLIENT_SECRET": "cs-hidden",
        "BOTKIT_APPS__SHOP__BEARER_TOKEN": "b-hidden",
        "BOTKIT_STORE__KEY": "k-hidden",
        "BOTKIT_BOT__TARGET": "shop:bot",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # a program may read its settings twice
        settings = load_settings(folder=tmp_path)
        assert settings.apps["shop"].bearer_token is not None
        assert settings.store.key is not None
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(*os.environ.items())"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "hidden" not in child.stdout
        assert "shop:bot" in child.stdout
    assert "hidden" not in str(surroundings())
    assert set(secrets_of(settings)) >= {"cs-hidden", "b-hidden", "k-hidden"}
    monkeypatch.setenv("BOTKIT_STORE__KEY", "another")
    again = load_settings(folder=tmp_path).store.key
    assert again is not None
    assert again.get_secret_value() == "another"


def test_broken_toml_names_file_and_place(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text("[bot\n")
    (found,) = problems_of(tmp_path, {})
    assert "botkit.toml: is not valid TOML" in found
    assert "line 1" in found


def test_a_chosen_file_must_be_there(tmp_path: Path) -> None:
    chosen = tmp_path / "other.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(environ={"BOTKIT_CONFIG": str(chosen)}, folder=tmp_path)


def test_a_store_lies_in_its_own_folder_whatever_that_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "100%25 bots"
    folder.mkdir()
    settings = load_settings(environ={}, folder=folder)
    assert file_of(settings.store_url) == folder / "botkit.db"
    named = load_settings(
        environ={"BOTKIT_STORE__URL": "sqlite:///my%20bot%2525.db"}, folder=folder
    )
    assert file_of(named.store_url) == folder / "my bot%25.db"


def test_relative_stores_start_at_the_chosen_files_folder(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "botkit.toml").write_text('[store]\nurl = "sqlite:///state/bot.db"\n')
    settings = load_settings(environ={}, folder=tmp_path, config_file=folder / "botkit.toml")
    assert settings.store_url == f"sqlite:///{folder}/state/bot.db"
    absolute = load_settings(
        environ={"BOTKIT_STORE__URL": "sqlite:////var/bot.db"}, folder=tmp_path
    )
    assert absolute.store_url == "sqlite:////var/bot.db"
    other = load_settings(environ={"BOTKIT_STORE__URL": "postgresql:///x"}, folder=tmp_path)
    assert other.store_url == "postgresql:///x"


def test_one_app_is_not_named_twice(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text(
        '[app]\nclient_id = "a"\n[apps.default]\nclient_id = "b"\n'
    )
    assert problems_of(tmp_path, {}) == [
        "[app] and [apps.default] are the same app: keep one of them."
    ]


def test_extra_headers_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text('[x.extra_headers]\nX-Gate = "1"\n')
    settings = load_settings(environ={}, folder=tmp_path)
    assert settings.x.extra_headers == {"X-Gate": "1"}


def test_headers_from_several_places_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text('[x.extra_headers]\nX-Gate = "1"\na = "file"\n')
    settings = load_settings(
        environ={"BOTKIT_X__EXTRA_HEADERS__A": "variable"},
        folder=tmp_path,
        overrides=["x.extra_headers.b__c=call"],
    )
    assert settings.x.extra_headers == {"X-Gate": "1", "a": "variable", "b__c": "call"}


def test_no_other_value_is_taken_for_json(tmp_path: Path) -> None:
    text = '{"a": "b"}'
    settings = load_settings(environ={"BOTKIT_BOT__ACCOUNT": text}, folder=tmp_path)
    assert settings.bot.account == text


def test_headers_as_text_and_one_by_one_are_a_fault_and_no_crash(tmp_path: Path) -> None:
    found = problems_of(tmp_path, {}, "x.extra_headers.a=b", "x.extra_headers=c")
    assert found == ['--set x.extra_headers: is neither "NAME: VALUE" nor a JSON object.']


def test_settings_that_are_made_directly_read_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "botkit.toml").write_text('[bot]\naccount = "file"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOTKIT_BOT__ACCOUNT", "variable")
    assert Settings().bot.account is None
    assert Settings(bot=BotSettings(account="given")).bot.account == "given"


def test_what_pydantic_settings_logs_when_it_is_debugged_holds_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    with caplog.at_level(logging.DEBUG):
        load_settings(environ={"BOTKIT_APP__CLIENT_SECRET": "s3cret"}, folder=tmp_path)
    assert "s3cret" not in caplog.text
    assert surroundings()["PYDANTIC_SETTINGS_DEBUG"] == "1"


def test_a_secret_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\xff\xfe\xfa")
    large.write_bytes(b"a" * 70_000)
    found = problems_of(
        tmp_path,
        {"BOTKIT_APP__API_KEY_FILE": str(binary), "BOTKIT_APP__API_SECRET_FILE": str(large)},
    )
    assert "not UTF-8" in found[0]
    assert "larger than 64 KiB" in found[1]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    kind: str, tmp_path: Path
) -> None:
    def make(path: Path) -> Path:
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case _:
                path.mkdir()
        return path

    why = "cannot be read (Is a directory)" if kind == "folder" else "is not a regular file"
    toml, value, secrets = make(tmp_path / "botkit.toml"), make(tmp_path / "value"), tmp_path / "s"
    secrets.mkdir()
    secret = make(secrets / "botkit_app__client_secret")
    environ = {"BOTKIT_APP__API_KEY_FILE": str(value), "BOTKIT_SECRETS_DIR": str(secrets)}
    assert problems_of(tmp_path, environ) == [
        f"{toml}: {why}.",
        f"BOTKIT_APP__API_KEY_FILE: {value} {why}.",
        f"secrets file botkit_app__client_secret: {secret} {why}.",
    ]


def test_what_is_no_setting_in_the_secrets_folder_may_be_anything_but_a_file(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "botkit_bell")
    (tmp_path / "botkit_before").mkdir()
    (tmp_path / "others").write_bytes(b"a" * 70_000)
    linked = tmp_path / "elsewhere" / "account"
    linked.parent.mkdir()
    linked.write_text("greeter")
    (tmp_path / "botkit_bot__account").symlink_to(linked)
    settings = load_settings(environ={"BOTKIT_SECRETS_DIR": str(tmp_path)}, folder=tmp_path)
    assert settings.bot.account == "greeter"


def test_a_file_of_settings_may_have_a_mebibyte_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "botkit.toml"
    text = '[bot]\naccount = "greeter"\n'
    file.write_text(text + "#" * (1024 * 1024 - len(text)))
    assert load_settings(environ={}, folder=tmp_path).bot.account == "greeter"
    file.write_text(text + "#" * (1024 * 1024 - len(text) + 1))
    assert problems_of(tmp_path, {}) == [f"{file}: is larger than 1024 KiB."]


def test_a_file_nested_beyond_measure_is_refused(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text("a = " + "[" * 100_000)
    (found,) = problems_of(tmp_path, {})
    assert found.startswith(f"{tmp_path / 'botkit.toml'}: is not valid TOML: ")


def test_a_secrets_folder_that_cannot_be_read_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", closed)  # for root no folder is closed
    (problem,) = problems_of(tmp_path, {"BOTKIT_SECRETS_DIR": str(tmp_path)})
    assert problem == (
        f"BOTKIT_SECRETS_DIR: {tmp_path} cannot be read (Permission denied);"
        f" let uid {os.geteuid()} read it and enter the folders above."
    )


def test_the_secrets_folder_is_stronger_than_a_named_file(tmp_path: Path) -> None:
    (tmp_path / "named").write_text("named")
    (tmp_path / "botkit_bot__account").write_text("folder")
    environ = {
        "BOTKIT_BOT__ACCOUNT": "plain",
        "BOTKIT_BOT__ACCOUNT_FILE": str(tmp_path / "named"),
    }
    assert load_settings(environ=environ, folder=tmp_path).bot.account == "named"
    environ["BOTKIT_SECRETS_DIR"] = str(tmp_path)
    assert load_settings(environ=environ, folder=tmp_path).bot.account == "folder"


def test_the_secrets_folder_must_be_one_and_hold_known_names(tmp_path: Path) -> None:
    assert problems_of(tmp_path, {"BOTKIT_SECRETS_DIR": str(tmp_path / "no")}) == [
        f"BOTKIT_SECRETS_DIR: {tmp_path / 'no'} is not a folder."
    ]
    (tmp_path / "botkit_app__client_sercet").write_text("x")
    (found,) = problems_of(tmp_path, {"BOTKIT_SECRETS_DIR": str(tmp_path)})
    assert "app.client_secret" in found


def test_the_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load_settings(environ={}, folder=tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.bot = settings.bot  # type: ignore[misc]
    assert isinstance(settings, Settings)


def test_an_issuer_is_kept_to_the_letter_because_it_is_compared(tmp_path: Path) -> None:
    def issuer(given: str) -> str | None:
        return load_settings(environ={"BOTKIT_X__ISSUER": given}, folder=tmp_path).x.issuer

    assert issuer("https://login.example/") == "https://login.example/"
    with pytest.raises(ConfigError, match="plain http"):
        issuer("http://login.example")


def test_invitations_need_a_public_address(tmp_path: Path) -> None:
    assert problems_of(tmp_path, {"BOTKIT_CONNECT__ON": "true"}) == [
        "[connect] on: needs public_url, like https://bot.example."
    ]
    environ = {"BOTKIT_CONNECT__ON": "true", "BOTKIT_CONNECT__PUBLIC_URL": "https://bot.example/"}
    settings = load_settings(environ=environ, folder=tmp_path)
    assert settings.connect.public_url == "https://bot.example"


@pytest.mark.parametrize(
    "url",
    [
        "http://bot.example",
        "https://bot.example/path",
        "https://Bot.example",
        "https://bot.example:443",
        "http://127.0.0.1:80",
        "https://user:pw@bot.example",
        "https://bot.example?a=b",
        "bot.example",
    ],
)
def test_a_public_address_is_an_origin_as_browsers_write_it(url: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"BOTKIT_CONNECT__PUBLIC_URL": url})
    assert problem.startswith("BOTKIT_CONNECT__PUBLIC_URL: ")
    assert "pw" not in problem


@pytest.mark.parametrize(
    "url", ["https://bot.example", "https://bot.example:8443", "http://[::1]:8080"]
)
def test_an_origin_is_kept_to_the_letter(url: str, tmp_path: Path) -> None:
    settings = load_settings(environ={"BOTKIT_CONNECT__PUBLIC_URL": url}, folder=tmp_path)
    assert settings.connect.public_url == url


PLUG_IN = """
from pydantic import BaseModel

seen = []


class Handler:
    def on_enter(self, given, **options):
        seen.append(str(given))


class PlugIn:
    def new_schema_validator(self, *around, **options):
        return Handler(), None, None


plug_in = PlugIn()
"""

TRY_IT = """
from pathlib import Path

from pydantic import BaseModel

import spy
from botkit.config import load_settings

environ = {"BOTKIT_APP__CLIENT_SECRET": "not-for-plug-ins"}
settings = load_settings(environ=environ, folder=Path())
assert settings.app.client_secret.get_secret_value() == "not-for-plug-ins"
print(spy.seen)


class Somebodys(BaseModel):
    name: str


Somebodys(name="seen")
print(spy.seen)
"""


@pytest.mark.parametrize("before", [None, "other"])
def test_no_plug_in_of_pydantic_is_given_the_settings_and_models_of_others_keep_theirs(
    before: str | None, tmp_path: Path
) -> None:
    (tmp_path / "spy.py").write_text(PLUG_IN)
    about = tmp_path / "spy-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[pydantic]\nspy = spy:plug_in\n")
    environ = surroundings() | {"PYTHONPATH": str(tmp_path)}
    if before is not None:
        environ["PYDANTIC_DISABLE_PLUGINS"] = before
    shown = subprocess.run(
        [sys.executable, "-c", TRY_IT],
        cwd=tmp_path,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.splitlines() == ["[]", "[\"{'name': 'seen'}\"]"]


@pytest.mark.parametrize("text", ["'quoted'", '"quoted"', "", "two\nlines"])
def test_what_is_no_value_is_refused_wherever_it_stands(tmp_path: Path, text: str) -> None:
    (tmp_path / "botkit.toml").write_text(f"[app]\nclient_id = {json.dumps(text)}\n")
    in_file, in_call = problems_of(tmp_path, {}, f"bot.account={text}")
    assert in_file.startswith("botkit.toml [app] client_id: ")
    assert in_call.startswith("--set bot.account: ")


def test_white_space_around_a_value_of_the_file_is_trimmed(tmp_path: Path) -> None:
    (tmp_path / "botkit.toml").write_text('[app]\nclient_id = "\ufeff abc\\n"\n', "utf-8")
    settings = load_settings(environ={}, folder=tmp_path)
    assert settings.app_named().client_id == "abc"


def test_an_app_keeps_the_letters_of_the_file_whatever_the_environment_adds(
    tmp_path: Path,
) -> None:
    (tmp_path / "botkit.toml").write_text('[apps.Shop]\nclient_id = "abc"\n')
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "BOTKIT_APPS__SHOP__API_SECRET").write_text("def")
    settings = load_settings(
        environ={
            "BOTKIT_APPS__SHOP__CLIENT_SECRET": "ghi",
            "BOTKIT_APPS__OTHER__CLIENT_ID": "jkl",
            "BOTKIT_SECRETS_DIR": str(secrets),
        },
        folder=tmp_path,
    )
    shop = settings.app_named("Shop")
    assert shop.client_id == "abc"
    assert shop.client_secret is not None
    assert shop.api_secret is not None
    assert sorted(settings.apps) == ["Shop", "other"]
