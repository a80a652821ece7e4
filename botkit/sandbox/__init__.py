"""The simulated X: a world that plays X and its authorization server, for tests and demos.

`Sandbox` is what a test holds, `open_server` serves the world on a socket, `SandboxTransport`
joins it to a bot without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botkit.sandbox.actors import Actor
    from botkit.sandbox.clock import VirtualClock
    from botkit.sandbox.faults import Faults
    from botkit.sandbox.front_door import Sandbox
    from botkit.sandbox.listener import open_server, serve
    from botkit.sandbox.running import Process
    from botkit.sandbox.transport import SandboxTransport
    from botkit.sandbox.world import World

__all__ = [
    "Actor",
    "Faults",
    "Process",
    "Sandbox",
    "SandboxTransport",
    "VirtualClock",
    "World",
    "open_server",
    "serve",
]

_HOMES = {
    "Actor": "botkit.sandbox.actors",
    "Faults": "botkit.sandbox.faults",
    "Process": "botkit.sandbox.running",
    "Sandbox": "botkit.sandbox.front_door",
    "SandboxTransport": "botkit.sandbox.transport",
    "VirtualClock": "botkit.sandbox.clock",
    "World": "botkit.sandbox.world",
    "open_server": "botkit.sandbox.listener",
    "serve": "botkit.sandbox.listener",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that the pytest plugin costs nothing until then."""
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
