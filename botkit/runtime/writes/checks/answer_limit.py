"""Limit the answers to one author in one conversation, so that two bots do not answer forever.

The counts are in memory; `restore` counts again what the store holds of earlier processes.
Source: X API docs, "Event payloads" (the automated label); docs/explanation/policy.md.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import timedelta
from typing import TYPE_CHECKING

from botkit.errors import TooManyAnswers
from botkit.model.events import PostEvent
from botkit.telemetry.counted import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.model.answers import SentAnswer
    from botkit.ports import Clock
    from botkit.protocol.rules.policy import PostRules
    from botkit.runtime.writes.steps import Step

__all__ = ["ANSWERS_WITHIN", "AnswerLimit"]

ANSWERS_WITHIN = timedelta(days=1)
_MOST_THREADS = 10_000
"""The most threads to count; the one answered longest ago is forgotten first."""

_Thread = tuple[str, str]
"""Account and `Step.thread`."""


class AnswerLimit:
    """Count the replies to each author in each conversation within a day."""

    def __init__(self, clock: Clock, rules: PostRules) -> None:
        self._clock = clock
        self._rules = rules
        self._sent: OrderedDict[_Thread, deque[float]] = OrderedDict()

    def check(self, step: Step) -> None:
        """Check that a reply to another author stays within the limit; let other steps pass.

        Raises:
            TooManyAnswers: The author has got the most replies within a day.
        """
        if not step.thread:
            return
        author = step.answers.author if isinstance(step.answers, PostEvent) else None
        is_bot = author is not None and author.automated is True
        most = self._rules.answers_to_automated if is_bot else self._rules.answers_per_author
        sent = self._sent.get((step.account_id, step.thread), ())
        since = self._clock.monotonic() - ANSWERS_WITHIN.total_seconds()
        if most and sum(at_s > since for at_s in sent) >= most:
            whom = f"@{author.username}" if author and author.username else f"user {step.user_id}"
            what = ", an automated account," if is_bot else ""
            setting = "answers_to_automated" if is_bot else "answers_per_author"
            raise TooManyAnswers(
                f"{whom}{what} got {counted(most, 'answer')} in this conversation within a day.",
                hint="Two bots that answer each other never end. If this is none, raise"
                f" bot.{setting}; 0 is no limit.",
            )

    def note(self, step: Step) -> None:
        """Count a reply that is about to be sent."""
        if step.thread:
            self._count((step.account_id, step.thread), self._clock.monotonic())

    def restore(self, answers: Iterable[SentAnswer]) -> None:
        """Count the replies that earlier processes have sent, oldest first."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        for answer in answers:
            age_s = (now - answer.at).total_seconds()
            self._count((answer.account_id, answer.thread), now_s - max(age_s, 0.0))

    def _count(self, thread: _Thread, at_s: float) -> None:
        most = max(self._rules.answers_per_author, self._rules.answers_to_automated)
        sent = self._sent.setdefault(thread, deque(maxlen=most))
        sent.append(at_s)
        self._sent.move_to_end(thread)
        if len(self._sent) > _MOST_THREADS:
            self._sent.popitem(last=False)
