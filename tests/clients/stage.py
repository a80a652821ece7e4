"""The world in which programs of others were recorded, and in which the records are replayed.

The same clock and the same seed make the same ids and tokens, so that a recorded signature and a
recorded token fit again.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sandbox.world.world import World
from botkit.sandbox.x.server import XServer

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLBACK = "https://greeter.example/callback"


def staged(at: datetime) -> tuple[XServer, Mapping[str, str]]:
    """Return the simulated X at that time, and what a program is told of it."""
    clock = VirtualClock()
    clock.set(at)
    world = World(clock, SeededEntropy("clients"))
    bot, ada = world.add_user("greeter"), world.add_user("ada")
    app = world.grants.add_app("Greeter", redirect_uris=[CALLBACK])
    app.owner_id = bot.id
    token = world.oauth1_tokens.issue(app, bot.id)
    post = world.add_post(ada.id, "@greeter hello <3")
    return XServer(world), {
        "user_id": bot.id,
        "username": bot.username,
        "post_id": post.id,
        "callback": CALLBACK,
        "client_id": app.client_id,
        "client_secret": app.client_secret or "",
        "api_key": app.api_key,
        "api_secret": app.api_secret,
        "oauth_token": token.token,
        "oauth_token_secret": token.secret,
    }
