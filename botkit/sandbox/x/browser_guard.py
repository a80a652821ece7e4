"""The refusal of web pages that reach for a sandbox on this machine through the browser.

A page of another site sends its `Origin` with everything that changes something. A page whose
own name leads to this machine (DNS rebinding) passes for a page of the sandbox, but its requests
have that name as `Host`.
Source: CWE-350; Fetch, "Origin header".
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botkit.sandbox.wire import problems

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from botkit.sandbox.wire.exchange import Answer

__all__ = ["refusal"]

_X_SITES = ("x.com", "twitter.com")
"""Clients with X's address built in are led here by a proxy or a hosts file."""


def refusal(
    hosts: Sequence[str], origins: Sequence[str], *, allowed: Collection[str]
) -> Answer | None:
    """Return the refusal of a request with these `Host` and `Origin` headers; None if it may pass.

    A host may be an IP address, `localhost`, X's name or one in `allowed`, with any port, because
    a tunnel has a port of its own.
    """
    if len(hosts) != 1 or not _is_own(hosts[0], allowed):
        return problems.blank(
            421,
            "Misdirected Request",
            detail="The sandbox does not answer to this Host. If the name is yours, allow it: "
            "botkit sandbox --allowed-host NAME.",
        ).answer
    if any(origin.partition("://")[2] != hosts[0] for origin in origins):
        return problems.forbidden("The sandbox takes nothing from pages of another origin.").answer
    return None


def _is_own(host: str, allowed: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:  # brackets that hold no IPv6 address
        return False
    sites = ("localhost", *_X_SITES, *(one.lower() for one in allowed))
    return name in sites or name.endswith(tuple(f".{site}" for site in _X_SITES)) or _is_ip(name)


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
