"""Bots: what an author writes, and the only place that joins ports to implementations."""

from botkit.bot.compose import open_runtime, the_accounts
from botkit.bot.definition import Bot
from botkit.bot.running import RunningBot, Watch

__all__ = ["Bot", "RunningBot", "Watch", "open_runtime", "the_accounts"]
