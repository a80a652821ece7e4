"""The durable state of bots: `open_store`.

What is sealed in it is opened by botkit itself: vault and keys are not public.
"""

from __future__ import annotations

from botkit.storage.opening import open_store

__all__ = ["open_store"]
