"""botkit: the asyncio framework for automated accounts on X."""

__version__ = "0.1.0"
