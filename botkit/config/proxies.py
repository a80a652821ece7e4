"""Check the proxies of the environment; errors name the variable, never its value."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["proxy_address", "proxy_problems"]

_VARIABLES = ("https_proxy", "all_proxy")
"""The variables, the strongest first; no HTTP_PROXY, because plain http goes only to loopback."""
_CURE = "Write it like http://proxy.example:3128"


def proxy_problems(names: Mapping[str, str]) -> list[str]:
    """Return the fault of each variable that applies, by the names that libraries read."""
    problems: list[str] = []
    for origin, value in _used(names):
        try:
            proxy_address(value, origin=origin)
        except ConfigError as error:
            problems.append(str(error))
    return problems


def proxy_address(value: str, *, origin: str) -> str:
    """Return the proxy's address; `host:port` alone is taken as http.

    Raises:
        ConfigError: The value is no http(s) proxy, or has no host or no valid port.
    """
    address = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise _refused(origin, "its host or port cannot be read") from None
    if parts.scheme.startswith("socks"):
        raise _refused(origin, "SOCKS is not supported, use an HTTP proxy")
    if parts.scheme not in {"http", "https"}:
        raise _refused(origin, "it is no http or https proxy")
    if not host or any(c.isspace() or not c.isprintable() for c in address):
        raise _refused(origin, "it has no host that can be read")
    if port == 0:
        raise _refused(origin, "a port is a number from 1 to 65535")
    return address


def _refused(origin: str, what: str) -> ConfigError:
    return ConfigError(f"{origin}: {what}. {_CURE}, or set x.use_proxy to false.")


def _used(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that apply, with their values; lower case wins, and empty means none.

    Source: Python documentation, `urllib.request.getproxies`.
    """
    for lower in _VARIABLES:
        name = lower if lower in names else lower.upper()
        if names.get(name):
            yield name, names[name]
            return
