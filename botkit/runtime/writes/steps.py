"""The durable step: one write that a handler awaits, with a key that a second run finds."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from msgspec import Struct

from botkit.model.events import PostEvent
from botkit.model.posts import Post
from botkit.model.records import NewWrite, OwnPost, WritePolicy
from botkit.model.tokens import CredentialKind
from botkit.protocol.api.requests import Request
from botkit.protocol.rules.policy import text_hash

__all__ = ["GuardPass", "Step", "Wrote"]

_UNEVEN = timedelta(minutes=5)
"""An event of our own has the time of our clock, which may be that far ahead of X's."""


class Step(Struct, frozen=True, kw_only=True, dict=True):
    """Hold a write on its way through guard and outbox.

    Attributes:
        capability: The word of `may` that allows it: `post`, `reply`, `message`, ...
        target: The id of the post or user at whom it is aimed, "" for none. Part of the key.
        n: The number of this write among equal ones of the run, from 0. Part of the key.
        interaction: The first version's id of the post that is answered, "" when the write
            answers no other user's post. One reply for one interaction.
        user_id: The user at whom it is aimed, "" for none; an opt-out of that user refuses it.
        answers: The event or post that a reply answers: the guard looks for the summons there.
        happened_at: The time of the event, by its source's clock.
        message_id: The id of the direct message that is answered, "" for none. A message is an
            answer if it goes to the conversation of the event.
        bare_links: True if the text may hold bare domains; None if the settings decide.
    """

    account_id: str
    event_key: str
    run: int
    handler: str
    operation: str
    capability: str
    request: Request
    target: str = ""
    n: int = 0
    text: str = ""
    interaction: str = ""
    user_id: str = ""
    answers: PostEvent | Post | None = None
    happened_at: datetime | None = None
    message_id: str = ""
    bare_links: bool | None = None
    policy: WritePolicy = WritePolicy.RECONCILE

    @property
    def is_raw(self) -> bool:
        """Return True for a call of `act.call`, which is declared by its operation id."""
        return self.capability == self.operation

    def may_have_made(self, kept: OwnPost) -> bool:
        """Return True if the event was there when X made that post or message."""
        return self.happened_at is None or kept.at >= self.happened_at - _UNEVEN

    @cached_property
    def text_hash(self) -> str:
        """Return the hash of the normalised text, "" without a text."""
        return text_hash(self.text) if self.text else ""

    @cached_property
    def id(self) -> str:
        """Return the key, unique in the store: event, run, handler, operation, target, n."""
        return (
            f"{self.account_id}/{self.event_key}#{self.run}/{self.handler}"
            f"/{self.operation}/{self.target}/{self.n}"
        )

    @cached_property
    def thread(self) -> str:
        """Return the conversation and author that a reply answers, "" for anything else."""
        if not self.interaction or self.answers is None:
            return ""
        post = self.answers.post if isinstance(self.answers, PostEvent) else self.answers
        return f"{post.conversation_id or post.id}/{self.user_id}"

    def to_write(self, cost_usd: Decimal = Decimal(0), *, prefix: str = "") -> NewWrite:
        """Return the journal's row for the step."""
        return NewWrite(
            id=prefix + self.id,
            account_id=self.account_id,
            operation=self.operation,
            target=self.target,
            body=self.request.json or b"",
            event_key=self.event_key,
            run=self.run,
            handler=self.handler,
            text=self.text,
            text_hash=self.text_hash,
            interaction=self.interaction,
            thread=self.thread,
            policy=self.policy,
            cost_usd=cost_usd,
        )


class GuardPass(Struct, frozen=True, kw_only=True, gc=False):
    """What the guard found when it let a step pass."""

    credential: CredentialKind
    need: tuple[str, ...]
    cost_usd: Decimal
    summons: str = ""
    """`yes`, `assumed`, `own` (a thread of our own), or "" when nobody had to summon."""
    stops: int = 0
    """How often X had stopped the account by then: once more, and the step is not sent."""


class Wrote(Struct, frozen=True, kw_only=True, gc=False):
    """A write that X confirmed, for transcript and metrics."""

    step: Step
    verdict: GuardPass
    result_id: str
    took_s: float
