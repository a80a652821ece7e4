"""The running bot's own server: its limits, and its pages for requests that no route answers."""

from __future__ import annotations

from botkit.web.connections import Limits
from botkit.web.pages import Page
from botkit.web.server import Site

__all__ = ["BOT_SITE"]

_AGAIN = "Open the link again, just as it was given."

BOT_SITE = Site(
    refused=Page(
        status=400,
        title="The request was refused",
        text="It is not one that this server answers.",
        next_step=_AGAIN,
    ),
    not_found=Page(
        status=404,
        title="There is nothing here",
        text="This is the server of a bot, and it has no page of this name.",
        next_step=_AGAIN,
    ),
    wrong_method=Page(
        status=405,
        title="That is not how this page is used",
        text="The request's method is none that this address takes.",
        next_step=_AGAIN,
    ),
    trouble=Page(
        status=503,
        title="Not just now",
        text="The bot could not look this up; nothing was changed.",
        next_step="Try again in a minute. If it stays so, tell the bot's operator.",
    ),
    limits=Limits(connections=512, backlog=256),
    taken_hint="Stop that program, or set [http] port to another one.",
    unusable_hint=("Set [http] host to an address of this machine, and port to one that is free."),
    headers={"Server": "botkit"},
)
