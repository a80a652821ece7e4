"""Carry out a write that a person or other software asked for by `botkit post`.

The request is an event, so that it waits, parks and is retried like one; its write is a durable
step of the handler `botkit/posts`, through the same guard and outbox as those of a handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.runtime.writes.actions import EventActions

if TYPE_CHECKING:
    from botkit.model.triggers import PostRequest
    from botkit.ports import Reader
    from botkit.runtime.intake.lanes import Job
    from botkit.runtime.writes.actions import Services

__all__ = ["SENDS_POSTS", "send_request"]

SENDS_POSTS = "botkit/posts"
"""The name of botkit's handler of requests; no author's handler has a slash in it."""


async def send_request(services: Services, reader: Reader, job: Job, request: PostRequest) -> None:
    """Send the post or reply of a request, at most once.

    Raises:
        BotkitError: It is refused for good, or cannot be sent now; see `ports.Actions`.
        Parked: It has to wait.
    """
    actions = EventActions(services, job, request, handler=SENDS_POSTS)
    if request.reply_to:
        await actions.reply(await reader.post(request.reply_to), request.text)
    else:
        await actions.post(request.text)
