"""X's route for the posts that an app has read this month. Source: X API docs, "Usage"."""

from __future__ import annotations

from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.pricing import posts_read

__all__ = ["ROUTES"]

_CAP = 3_000_000
"""The posts that a self-serve app may read in a month. Source: X API docs, "Pricing"."""


def _usage(request: RequestContext) -> Answer:
    app = request.caller.app
    usage = {
        "cap_reset_day": 1,
        "project_cap": str(_CAP),
        "project_id": app.id,
        "project_usage": str(posts_read(app)),
    }
    return Answer.json(200, {"data": usage})


ROUTES = (ApiRoute("GET", "/2/usage/tweets", _usage, operation="getUsage"),)
