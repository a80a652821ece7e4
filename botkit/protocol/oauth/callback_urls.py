"""Check callback URLs by X's rules, each with a name, before a browser opens.

X compares the `redirect_uri` of a login with the callback URLs of the app letter by letter, and
says little if it refuses one. These checks find every problem that can be found without X.

Source: X API docs, "Callback URLs" and "Apps"; RFC 6749 section 3.1.2; RFC 8252 sections 7.3, 8.3.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "MOST_CALLBACK_URLS",
    "REFUSED_SCHEMES",
    "Problem",
    "check_redirect_uri",
    "check_registered",
    "is_callback",
    "loopback_address",
]

MOST_CALLBACK_URLS = 10
"""The most callback URLs of one app. Source: X API docs, "Apps"."""

# fmt: off
REFUSED_SCHEMES = frozenset({
    "vbscript", "javascript", "vbs", "data", "mocha", "keyword", "livescript", "ftp", "file",
    "gopher", "acrobat", "callto", "daap", "itpc", "itms", "firefoxurl", "hcp", "ldap",
    "mailto", "mmst", "mmsu", "msbd", "rtsp", "mso-offdap", "snews", "news", "nntp", "outlook",
    "stssync", "rlogin", "telnet", "tn3270", "shell", "sip",
})
# fmt: on
"""Schemes that X refuses. Source: X API docs, "Apps"."""

_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_ANSWER_PARAMETERS = frozenset({"code", "state", "error", "error_description", "iss"})
_EXAMPLE = "http://127.0.0.1:8765/callback"
_HIGHEST_PORT = 65535
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_AND_PORT = re.compile(r"[^/?#:]+:\d+(?:[/?#]|$)")
_REWRITTEN = re.compile(r'["<>^`{}]')
"""Characters that browsers percent-encode in a path (`^` only in some browsers).

Source: WHATWG URL, "path percent-encode set" (read 2026-11-30).
"""
_DOT = re.compile(r"(?i)\.|%2e")


class Problem(Struct, frozen=True, kw_only=True, gc=False):
    """Hold a problem of a callback URL: the rule's name, the cause and the cure.

    A `fatal` problem makes a login impossible; any other is a frequent mistake.
    """

    rule: str
    text: str
    cure: str
    fatal: bool = True


def check_redirect_uri(uri: str) -> list[Problem]:
    """Return the problems of one callback URL, the fatal ones first.

    The rules, by name: `plain-ascii`, `absolute`, `scheme-refused`, `no-fragment`, `no-user`,
    `port`, `loopback-literal`, `https-in-production`, `no-answer-parameters`, `browser-rewrites`;
    not fatal are `exact-match`, `own-scheme` and `local-https`. An empty list means that it is
    fine.
    """
    if not uri or not uri.isascii() or not uri.isprintable() or " " in uri:
        return [
            Problem(
                rule="plain-ascii",
                text="A callback URL is printable ASCII without blanks, as X compares letters.",
                cure="Percent-encode what is not, and drop white space at its ends.",
            )
        ]
    if _HOST_AND_PORT.match(uri):
        return [_no_scheme(uri)]
    try:
        parts = urllib.parse.urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return [_not_absolute()] if "://" not in uri else [_bad_port()]
    if not parts.scheme or (not host and parts.scheme in _DEFAULT_PORTS):
        return [_not_absolute()]
    found = [
        *_scheme(parts.scheme, host),
        *_shape(parts, uri),
        *([_bad_port()] if port == 0 else []),
        *_exactness(parts, uri),
    ]
    return sorted(found, key=lambda problem: not problem.fatal)


def check_registered(uri: str, registered: Sequence[str]) -> list[Problem]:
    """Return the problems of a callback URL with the app's list of registered ones.

    `registered` is the list in X's console, as a person copied it. The rules, by name:
    `at-most-10`, `exact-match`.
    """
    problems: list[Problem] = []
    if len(registered) > MOST_CALLBACK_URLS:
        problems.append(
            Problem(
                rule="at-most-10",
                text=f"X takes {MOST_CALLBACK_URLS} callback URLs an app, these are"
                f" {len(registered)}.",
                cure="Remove those that are not used any more.",
            )
        )
    if uri not in registered:
        near = next((other for other in registered if _loosely(other) == _loosely(uri)), None)
        also = "" if near is None else f" {near} differs by {_difference(near, uri)}."
        problems.append(
            Problem(
                rule="exact-match",
                text=f"X compares letter by letter, and {uri} is not registered.{also}",
                cure=f"Add {uri} to the app's callback URLs in X's console.",
            )
        )
    return problems


def is_callback(address: str, redirect_uri: str) -> bool:
    """Return True if an address is this callback URL, with any query.

    Changes that browsers make count as equal: capitals in scheme and host, the default port, and
    an empty path.
    """
    try:
        return _place(address) == _place(redirect_uri)
    except ValueError:
        return False


def loopback_address(uri: str) -> tuple[str, int, str]:
    """Return host, port and path to listen on, as in `("127.0.0.1", 8765, "/callback")`.

    Raises:
        ConfigError: The URL breaks a rule, or this machine cannot listen on it: only http on the
            literal 127.0.0.1 or [::1] can be listened on.

    Source: RFC 8252 section 7.3.
    """
    problems = [problem for problem in check_redirect_uri(uri) if problem.fatal]
    if problems:
        raise ConfigError(
            "redirect_uri breaks a rule.",
            problems=[f"redirect_uri ({p.rule}): {p.text} {p.cure}" for p in problems],
            hint=problems[0].cure,
        )
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme != "http":
        text = f"{uri} does not lead to this machine."
        raise ConfigError(
            text,
            problems=[f"redirect_uri (loopback-literal): {text}"],
            hint=f"Use {_EXAMPLE}, or paste the redirect with --headless.",
        )
    return parts.hostname or "", parts.port or _DEFAULT_PORTS["http"], parts.path or "/"


def _scheme(scheme: str, host: str) -> Iterator[Problem]:
    if scheme in REFUSED_SCHEMES:
        yield Problem(
            rule="scheme-refused",
            text=f"X refuses callback URLs of the scheme {scheme}.",
            cure=f"Use {_EXAMPLE}.",
        )
    elif scheme == "http" and host not in _LOOPBACK:
        yield _http_elsewhere(host)
    elif scheme == "https" and (host in _LOOPBACK or host == "localhost"):
        yield Problem(
            rule="local-https",
            text="Nothing listens with TLS on this machine.",
            cure=f"Use {_EXAMPLE}, or paste the redirect with --headless.",
            fatal=False,
        )
    elif scheme not in _DEFAULT_PORTS:
        yield Problem(
            rule="own-scheme",
            text=f"Only a program registered for {scheme}: on this machine gets the answer.",
            cure=f"Use {_EXAMPLE}, or paste the redirect with --headless.",
            fatal=False,
        )


def _http_elsewhere(host: str) -> Problem:
    if host == "localhost":
        return Problem(
            rule="loopback-literal",
            text="localhost is a name that can lead elsewhere, and X's docs ask for 127.0.0.1.",
            cure="Write 127.0.0.1 instead, here and in X's console.",
        )
    return Problem(
        rule="https-in-production",
        text=f"http to {host} would carry the code in the clear; http is for 127.0.0.1 and [::1].",
        cure="Use https, or a loopback address.",
    )


def _shape(parts: urllib.parse.SplitResult, uri: str) -> Iterator[Problem]:
    if "#" in uri:
        yield Problem(
            rule="no-fragment",
            text="A callback URL has no fragment: the browser would not send it.",
            cure="Drop everything from the # on.",
        )
    if "@" in parts.netloc:
        yield Problem(
            rule="no-user",
            text="A callback URL carries no user and no password.",
            cure="Drop everything before the @.",
        )
    own = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
    if doubled := sorted(_ANSWER_PARAMETERS.intersection(own)):
        yield Problem(
            rule="no-answer-parameters",
            text=f"X adds {', '.join(doubled)} itself; a parameter that comes twice is refused.",
            cure="Drop it from the query.",
        )
    sent = _as_browsers_send(parts.path)
    if parts.scheme in _DEFAULT_PORTS and sent != parts.path:
        yield Problem(
            rule="browser-rewrites",
            text=f"A browser asks for {sent} instead, so that the answer would never come here.",
            cure=f"Write {parts._replace(path=sent).geturl()}, here and in X's console.",
        )


def _as_browsers_send(path: str) -> str:
    """Return the path as a browser sends it in a request to an http(s) address.

    Source: WHATWG URL, "path state" (read 2026-11-30).
    """
    kept: list[str] = []
    segments = path.replace("\\", "/").split("/")
    for at, segment in enumerate(segments, start=1):
        dots = 0 if _DOT.sub("", segment) else len(_DOT.findall(segment))
        if dots == 2:  # noqa: PLR2004 - `..`
            kept = kept[: max(1, len(kept) - 1)]
        if dots not in {1, 2}:
            kept.append(segment)
        elif at == len(segments):
            kept.append("")
    return _REWRITTEN.sub(_percent, "/".join(kept))


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def _exactness(parts: urllib.parse.SplitResult, uri: str) -> Iterator[Problem]:
    """Yield a problem if a browser or X's console may change the spelling of the URL."""
    reasons: list[str] = []
    if parts.scheme in _DEFAULT_PORTS and not parts.path:
        reasons.append("it has no path, and browsers add a slash")
    if len(parts.path) > 1 and parts.path.endswith("/"):
        reasons.append("it ends with a slash, which counts")
    if (
        uri[: len(parts.scheme) + 3 + len(parts.netloc)].lower()
        != uri[: len(parts.scheme) + 3 + len(parts.netloc)]
    ):
        reasons.append("its scheme or host has capitals, and browsers lower them")
    if parts.netloc.endswith(f":{_DEFAULT_PORTS.get(parts.scheme)}"):
        reasons.append("it names the default port, and browsers drop that")
    elif re.search(r":(?:0\d+)?$", parts.netloc):
        reasons.append("its port is empty or begins with a zero, and browsers drop that")
    if parts.query:
        reasons.append("it has a query, which counts")
    for reason in reasons:
        yield Problem(
            rule="exact-match",
            text=f"X compares letter by letter: {reason}.",
            cure="See that the app's callback URL in X's console has exactly the same letters.",
            fatal=False,
        )


def _not_absolute() -> Problem:
    return Problem(
        rule="absolute",
        text="A callback URL is absolute: scheme, host, path.",
        cure=f"Use {_EXAMPLE}.",
    )


def _no_scheme(uri: str) -> Problem:
    host = uri.partition(":")[0]
    scheme = "http" if host in {*_LOOPBACK, "localhost"} else "https"
    return Problem(
        rule="absolute",
        text="A callback URL is absolute, and http:// or https:// is missing before the host.",
        cure=f"Write {scheme}://{uri}, here and in X's console.",
    )


def _bad_port() -> Problem:
    return Problem(
        rule="port",
        text=f"Its host or port cannot be read; a port is a number from 1 to {_HIGHEST_PORT}.",
        cure=f"Use {_EXAMPLE}.",
    )


def _place(uri: str) -> tuple[str, str | None, int | None, str]:
    parts = urllib.parse.urlsplit(uri)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path or "/"


def _loosely(uri: str) -> tuple[str, str]:
    try:
        parts = urllib.parse.urlsplit(uri.strip().lower())
    except ValueError:
        return uri, ""
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    return host, parts.path.rstrip("/")


def _difference(near: str, uri: str) -> str:
    ours, theirs = urllib.parse.urlsplit(uri), urllib.parse.urlsplit(near)
    if ours.scheme != theirs.scheme:
        return "the scheme"
    if ours.netloc != theirs.netloc:
        return "host or port"
    if ours.path != theirs.path:
        return "the path"
    return "its letters"
