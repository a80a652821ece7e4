"""The simulated X: a world that plays X and its authorization server, for tests and demos.

`Sandbox` is what a test holds, `open_server` serves the world on a socket, `SandboxTransport`
joins it to a bot without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botkit.sandbox.harness.clock import VirtualClock
    from botkit.sandbox.harness.process import HandlerFailed, Process, Stuck
    from botkit.sandbox.harness.sandbox import Sandbox
    from botkit.sandbox.world.actors import Actor
    from botkit.sandbox.world.world import World
    from botkit.sandbox.x.faults import Faults
    from botkit.sandbox.x.listener import open_server, serve
    from botkit.sandbox.x.transport import SandboxTransport

__all__ = [
    "Actor",
    "Faults",
    "HandlerFailed",
    "Process",
    "Sandbox",
    "SandboxTransport",
    "Stuck",
    "VirtualClock",
    "World",
    "open_server",
    "serve",
]

_HOMES = {
    "Actor": "botkit.sandbox.world.actors",
    "Faults": "botkit.sandbox.x.faults",
    "HandlerFailed": "botkit.sandbox.harness.process",
    "Process": "botkit.sandbox.harness.process",
    "Sandbox": "botkit.sandbox.harness.sandbox",
    "SandboxTransport": "botkit.sandbox.x.transport",
    "Stuck": "botkit.sandbox.harness.process",
    "VirtualClock": "botkit.sandbox.harness.clock",
    "World": "botkit.sandbox.world.world",
    "open_server": "botkit.sandbox.x.listener",
    "serve": "botkit.sandbox.x.listener",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that the pytest plugin costs nothing until then."""
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
