"""The settings of the webhook: an address that X takes, and a path that is free."""

from __future__ import annotations

from pathlib import Path

import pytest

from botkit.config import load_settings, secrets_of
from botkit.errors import ConfigError

URL = "BOTKIT_WEBHOOK__PUBLIC_URL"


@pytest.mark.parametrize(
    "url",
    [
        "https://bot.example/x",
        "https://bot.example/x/deliveries-1._~",
        "http://127.0.0.1:8080/x",  # to try it with the sandbox
        "https://bot.example/" + "a" * 180,
    ],
)
def test_an_address_that_x_takes_is_taken(tmp_path: Path, url: str) -> None:
    settings = load_settings(environ={URL: url}, folder=tmp_path)
    assert settings.webhook.public_url == url
    assert not settings.serves_http


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://bot.example:8443/x", "no port"),
        ("https://bot.example/" + "a" * 181, "longer than 200"),
        ("https://bot.example", "needs a path"),
        ("https://bot.example/", "needs a path"),
        ("https://bot.example/a//b", "needs a path"),
        ("https://bot.example/%61", "needs a path"),
        ("https://bot.example/healthz", "something else"),
        ("https://bot.example/hooks/x", "something else"),
        ("http://bot.example/x", "plain http"),
    ],
)
def test_an_address_that_x_or_the_server_would_not_take_is_refused(
    tmp_path: Path, url: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        load_settings(environ={URL: url}, folder=tmp_path)


def test_the_secret_before_is_not_shown(tmp_path: Path) -> None:
    environ = {
        "BOTKIT_WEBHOOK__PREVIOUS_API_SECRET": "the-secret-before",
        "BOTKIT_BOT__SOURCE": "webhook",
    }
    settings = load_settings(environ=environ, folder=tmp_path)
    assert "the-secret-before" in secrets_of(settings)
    assert "the-secret-before" not in repr(settings)
    assert settings.serves_http
