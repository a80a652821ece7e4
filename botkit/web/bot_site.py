"""The running bot's own server: its limits, words, and pages for what no route answers."""

from __future__ import annotations

from botkit.web.connections import Limits
from botkit.web.page_texts import BOT_PAGES
from botkit.web.server import Site

__all__ = ["BOT_SITE"]

BOT_SITE = Site(
    refused=BOT_PAGES["refused"],
    not_found=BOT_PAGES["not_found"],
    wrong_method=BOT_PAGES["wrong_method"],
    trouble=BOT_PAGES["trouble"],
    limits=Limits(connections=512, backlog=256),
    taken_hint="Stop that program, or set [http] port to another one.",
    unusable_hint=("Set [http] host to an address of this machine, and port to one that is free."),
)
