"""Secrets that can be recognised: each that is made carries a mark of its kind, in both halves.

The marks are letters and digits, so that URL encoding and JSON leave them as they are; base64 of a
text that holds one shows one of three other texts, which are looked for as well.
"""

from __future__ import annotations

import base64
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

__all__ = ["KINDS", "find", "mark", "seed"]

KINDS = {
    "access token": "a",
    "refresh token": "r",
    "bearer token": "b",
    "app secret": "s",
    "authorization code": "c",
    "state": "t",
    "code verifier": "v",
    "request token": "q",
    "request token secret": "u",
    "OAuth 1.0a verifier": "w",
    "OAuth 1.0a token": "p",
    "OAuth 1.0a token secret": "z",
    "vault key": "k",
    "invitation": "i",
}
"""Kinds of secrets, and the letter in the mark."""
_KEY_OF_TESTS = ("AAECAwQFBgcI", "EREhMUFRYX", "000102030405060708", "kkkkkkkkkkkkkkkk")
_STEM = "Qz{}cNrY"
_LEAST = 20


def mark(text: str, kind: str) -> str:
    """The text with the kind's mark in each half, as long as before."""
    sign = _STEM.format(KINDS[kind])
    if len(text) < _LEAST:
        return text
    half = len(text) // 2
    head = text[: half - len(sign)] + sign
    return head + sign + text[half + len(sign) :]


def _shapes(sign: str) -> list[str]:
    """The mark as it is, and as it looks in base64 and hex of a text around it."""
    shapes = [sign, sign.encode().hex()]
    for before in range(3):
        inner = base64.b64encode(b"x" * before + sign.encode() + b"x" * 3).decode()
        # Without the characters that the neighbours have a part in.
        start, end = -(-before * 8 // 6), (before + len(sign)) * 8 // 6
        shapes.append(inner[start:end])
    return shapes


_LOOKED_FOR = [
    (kind, shape) for kind, letter in KINDS.items() for shape in _shapes(_STEM.format(letter))
] + [("vault key", part) for part in _KEY_OF_TESTS]


def find(text: str) -> list[str]:
    """The kinds of secrets that stand in the text."""
    return [kind for kind, shape in _LOOKED_FOR if shape in text]


# --- making them -----------------------------------------------------------------------------

Made = Callable[[str], None]


def _grants(module: Any, made: Made) -> None:
    plain = module.Grants._token

    def token(self: Any, size_bytes: int) -> str:
        frame = sys._getframe(1)
        kind = {
            "issue_code": "authorization code",
            "_bearer": "bearer token",
            "_renew": "refresh token" if "access" in frame.f_locals else "access token",
        }.get(frame.f_code.co_name, "app secret" if size_bytes > 30 else "")
        text: str = plain(self, size_bytes)
        return _made(text, kind, made) if kind else text

    module.Grants._token = token


def _oauth1_tokens(module: Any, made: Made) -> None:
    plain = module.OAuth1Tokens._token
    kinds = {
        ("begin", 20): "request token",
        ("begin", 24): "request token secret",
        ("agree", 24): "OAuth 1.0a verifier",
        ("issue", 30): "OAuth 1.0a token",
        ("issue", 33): "OAuth 1.0a token secret",
    }

    def token(self: Any, size_bytes: int) -> str:
        caller = sys._getframe(1).f_code.co_name
        return _made(plain(self, size_bytes), kinds[caller, size_bytes], made)

    module.OAuth1Tokens._token = token


def _inviting(module: Any, made: Made) -> None:
    plain = module.invite

    class Marking:
        """Chance, but for an invitation's secret."""

        def __init__(self, entropy: Any) -> None:
            self._entropy = entropy

        def token_bytes(self, size_bytes: int) -> bytes:
            chance: bytes = self._entropy.token_bytes(size_bytes)
            if size_bytes < _LEAST:
                return chance
            return _made(chance.decode("latin-1"), "invitation", made).encode("latin-1")

    async def invite(*args: Any, entropy: Any, **kwargs: Any) -> Any:
        return await plain(*args, entropy=Marking(entropy), **kwargs)

    module.invite = invite


def _result(name: str, kind: str) -> Callable[[Any, Made], None]:
    def change(module: Any, made: Made) -> None:
        plain = getattr(module, name)

        def marked(*args: Any, **kwargs: Any) -> str:
            return _made(plain(*args, **kwargs), kind, made)

        setattr(module, name, marked)

    return change


def _made(text: str, kind: str, made: Made) -> str:
    made(kind)
    return mark(text, kind)


def _oauth2(module: Any, made: Made) -> None:
    _result("new_state", "state")(module, made)
    _result("new_code_verifier", "code verifier")(module, made)


CHANGES: dict[str, Callable[[Any, Made], None]] = {
    "botkit.sandbox.world.grants": _grants,
    "botkit.sandbox.world.oauth1_tokens": _oauth1_tokens,
    "botkit.protocol.oauth.oauth2": _oauth2,
    "botkit.bot.accounts.invite": _inviting,
    "botkit.storage.vault.key_files": _result("new_key_text", "vault key"),
}


class _Seeder(importlib.abc.MetaPathFinder):
    """Changes a module as it is imported."""

    def __init__(self, made: Made, more: dict[str, Callable[[Any], None]]) -> None:
        self._made = made
        self._more = more

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in CHANGES and name not in self._more:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        plain = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            plain(module)
            if name in CHANGES:
                CHANGES[name](module, self._made)
            if name in self._more:
                self._more[name](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def seed(made: Made, more: dict[str, Callable[[Any], None]] | None = None) -> None:
    """From now on, mark what is made; `made` is told the kind of each. Before botkit is imported.

    What has been imported already (pytest's plugin of the sandbox is early) is changed at once.
    """
    for name, change in CHANGES.items():
        if name in sys.modules:
            change(sys.modules[name], made)
    for name, extra in (more or {}).items():
        if name in sys.modules:
            extra(sys.modules[name])
    sys.meta_path.insert(0, _Seeder(made, more or {}))
