"""Bots: what an author writes, and the only place that joins ports to implementations."""

from botkit.bot.definition import Bot
from botkit.bot.joining import RunningBot, Watch, open_runtime, the_accounts

__all__ = ["Bot", "RunningBot", "Watch", "open_runtime", "the_accounts"]
