"""Connections: allowed addresses, TLS, proxies, and a callback before the first byte.

`StoppableConnector` awaits a callback after connect and TLS and before the first byte, on a new
connection and on a kept one. aiohttp's trace hook `on_connection_create_end` runs at nearly the
same point. But aiohttp 3.14 does not close the connection if that hook raises
(`connector.connect`), and a session with trace hooks pays for all of them at each request.
"""

from __future__ import annotations

import ipaddress
import ssl
import urllib.request
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from botkit.config.proxies import proxy_address
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

__all__ = [
    "Departure",
    "StoppableConnector",
    "check_address",
    "check_ca_file",
    "departing",
    "is_loopback",
    "proxy_for",
    "tls_context",
]


class Departure:
    """Hold the progress of one request, which the connector records for the transport.

    Attributes:
        before_bytes: The callback to await before the first byte leaves; None for none.
        connected: True once the request has a connection; from then on bytes may have left.
        refusal: The error that the callback raised; nothing was sent then.
    """

    __slots__ = ("before_bytes", "connected", "refusal")

    def __init__(self, before_bytes: Callable[[], Awaitable[None]] | None) -> None:
        self.before_bytes: Callable[[], Awaitable[None]] | None = before_bytes
        self.connected: bool = False
        self.refusal: BaseException | None = None


departing: ContextVar[Departure | None] = ContextVar("departing", default=None)


class StoppableConnector(aiohttp.TCPConnector):
    """Await the request's `before_bytes` callback before the request gets its connection."""

    async def connect(
        self,
        req: Any,
        traces: Any,
        timeout: Any,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> aiohttp.connector.Connection:
        """Get a kept connection or make one; then await the request's callback, if it has one.

        Close the connection unused if the callback raises.
        """
        connection = await super().connect(req, traces, timeout)
        departure = departing.get()
        if departure is not None:
            if departure.before_bytes is not None:
                try:
                    await departure.before_bytes()
                except BaseException as refusal:
                    departure.refusal = refusal
                    connection.close()
                    raise
            departure.connected = True
        return connection


def check_ca_file(ca_file: Path) -> None:
    """Check that the file can be read to its end: a pipe or a device would hang the start.

    Raises:
        ConfigError: The path exists and is not a regular file.
    """
    if ca_file.exists() and not ca_file.is_file():
        raise ConfigError(
            f"The CA file {ca_file} is not a regular file.",
            hint="Set x.ca_file to a readable file with PEM certificates.",
        )


def tls_context(ca_file: Path | str) -> ssl.SSLContext:
    """Return a TLS context that trusts `ca_file` in addition to the system's authorities.

    It requires TLS 1.2 or newer, and checks names and certificates.

    Raises:
        ConfigError: The file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"The CA file {ca_file} cannot be used: {error.strerror or error}.",
            hint="Set x.ca_file to a readable file with PEM certificates.",
        ) from error
    return context


def is_loopback(url: URL) -> bool:
    """Return True if the host is a loopback literal (127.0.0.0/8, ::1); a host name never is."""
    try:
        return ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return False


def check_address(url: URL) -> None:
    """Check that the address is https, or http to a loopback literal.

    Raises:
        ConfigError: The address has another scheme, no host, or credentials in it.
    """
    if not url.host or url.user is not None or url.password is not None:
        raise ConfigError("An address needs a host and may not hold credentials.")
    if url.scheme == "https" or (url.scheme == "http" and is_loopback(url)):
        return
    raise ConfigError(
        f"{url.scheme}://{url.host_port_subcomponent} is not allowed.",
        hint="Use https; plain http only to a loopback literal such as 127.0.0.1.",
    )


def proxy_for(url: URL) -> tuple[URL | None, dict[str, str] | None]:
    """Return the environment's proxy for an address, and the headers to send to the proxy.

    It is that of HTTPS_PROXY, else that of ALL_PROXY. Return (None, None) for a loopback literal,
    and for a host that the environment exempts.

    Raises:
        ConfigError: The address of the proxy cannot be used; the error names the variable.
    """
    if is_loopback(url):
        return None, None
    known = urllib.request.getproxies()
    name = url.scheme if known.get(url.scheme) else "all"
    found = known.get(name)
    if not found or urllib.request.proxy_bypass(url.host or ""):
        return None, None
    proxy = URL(proxy_address(found, origin=f"{name.upper()}_PROXY"))
    if proxy.user is None:
        return proxy, None
    credentials = aiohttp.encode_basic_auth(proxy.user, proxy.password or "")
    return proxy.with_user(None), {"Proxy-Authorization": credentials}
