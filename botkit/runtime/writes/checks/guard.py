"""Checks every write before it is sent, in one order; a refusal names reason and cure.

Declared capability, then credential and scope or access level, then X's rules, then duplicate
text, then the account's health, the budget and the rate window. The first four refuse for good
(`PolicyError`, `AccessDenied`); the others only for now (`Parked`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from botkit.errors import AlreadyReplied, DuplicateText, NotDeclared, OptedOut, Parked
from botkit.model.events import PostEvent
from botkit.protocol.api import operations
from botkit.protocol.rules import policy, pricing
from botkit.protocol.rules.policy import PostRules
from botkit.runtime.writes.checks.account_health import AccountHealth
from botkit.runtime.writes.checks.answer_limit import AnswerLimit
from botkit.runtime.writes.steps import GuardPass, Step
from botkit.telemetry.times import rfc3339
from botkit.waiting.keyed_lock import KeyedLock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from decimal import Decimal

    from botkit.model.posts import Post
    from botkit.ports import Clock, Sender, Store
    from botkit.runtime.writes.checks.budget import Budget

__all__ = ["ANSWERS_OPT_OUTS", "Guard", "Rules"]

_TEXT_OPERATIONS = frozenset({"createPosts"})

ANSWERS_OPT_OUTS = "botkit/opt-outs"
"""The name of botkit's handler that answers opt-outs; no author's handler has a slash in it."""


class Rules(Struct, frozen=True, kw_only=True):
    """The settings of X's rules that an operator may tune.

    `duplicate_window` is ours: X does not document how long it remembers a text.
    """

    duplicate_window: timedelta = timedelta(hours=24)
    post: PostRules = PostRules()


class Guard:
    """Decide if a step may be sent now.

    Attributes:
        budget: Reserves the price of a step while it is under way.
        health: Knows the accounts that X has suspended or locked.
        answer_limit: Counts the answers to each author.
    """

    def __init__(
        self,
        *,
        may: frozenset[str],
        store: Store,
        sender: Sender,
        clock: Clock,
        budget: Budget,
        rules: Rules | None = None,
        health: AccountHealth | None = None,
    ) -> None:
        self._may = may
        self._store = store
        self._sender = sender
        self._clock = clock
        self._rules = rules or Rules()
        self._lock = KeyedLock()
        self.budget = budget
        self.health: AccountHealth = health or AccountHealth(clock)
        self.answer_limit: AnswerLimit = AnswerLimit(clock, self._rules.post)

    async def check(self, step: Step) -> GuardPass:
        """Return the step's pass, or raise why it may not be sent.

        Raises:
            NotDeclared: The bot's `may` does not name the capability.
            AccessDenied: No credential of the account allows the operation.
            PolicyError: One of X's rules, an opt-out or a duplicate text forbids it.
            Parked: Not now: `login`, `account`, `credits`, `budget` or `rate`.
        """
        self._declared(step)
        credential = await self._sender.credential(step.operation, account_id=step.account_id)
        summons = await self._rules_of_x(step)
        if step.handler != ANSWERS_OPT_OUTS:
            self.answer_limit.check(step)
        await self._no_rivals(step)
        stops = self.health.stops_of(step.account_id)
        cost_usd = pricing.price_usd(step.request)
        await self._possible_now(step, cost_usd)
        return GuardPass(
            credential=credential,
            need=operations.operation(step.operation).scopes,
            cost_usd=cost_usd,
            summons=summons,
            stops=stops,
        )

    @asynccontextmanager
    async def without_rivals(self, step: Step) -> AsyncGenerator[None]:
        """Look for rivals once more, and let none pass while the block journals the step.

        Two replies to one post that are sent side by side would each see that there is none yet.

        Raises:
            AlreadyReplied: The interaction has its reply.
            DuplicateText: The text was sent.
        """
        keys: list[str] = []
        if step.operation in _TEXT_OPERATIONS:
            keys.append(f"text/{step.account_id}/{step.target}/{step.text_hash}")
        if step.interaction:
            keys.append(f"interaction/{step.account_id}/{step.interaction}")
        async with self._lock.take(keys):
            await self._no_rivals(step)
            yield

    async def _no_rivals(self, step: Step) -> None:
        """Refuse a second reply to one interaction, and a text that was sent already."""
        if step.operation not in _TEXT_OPERATIONS:
            return
        since = self._clock.now() - self._rules.duplicate_window
        rivals = await self._store.writes.rivals(step.to_write(), since=since)
        if rivals.answers:
            raise AlreadyReplied(
                f"Post {step.interaction} has its reply already (write {rivals.answers[0].id}).",
                hint="X allows one automated reply for one interaction; answer in one post.",
            )
        if rivals.same_text:
            where = f"in answer to post {step.target}" if step.target else "as a post"
            sent = rivals.same_text[0].created_at
            raise DuplicateText(
                f"The same text was sent {where} on {rfc3339(sent)}.",
                hint="X refuses duplicate content: change the text, or wait a day.",
            )

    def _declared(self, step: Step) -> None:
        if step.capability not in self._may:
            have = ", ".join(sorted(self._may)) or "nothing"
            raise NotDeclared(
                f"{step.handler} wants to {step.capability}, the bot may {have}.",
                hint=f'Say Bot(..., may={{"{step.capability}"}}) and run `botkit setup` again.',
            )

    async def _possible_now(self, step: Step, cost_usd: Decimal) -> None:
        """Check the account's health, then the budget, then the rate window."""
        self.health.check(step.account_id)
        try:
            await self._sender.ready(step.request, account_id=step.account_id)
        except Parked as parked:
            if parked.waiting_for == "rate":
                await self.budget.check(step.account_id, cost_usd)
            raise
        await self.budget.check(step.account_id, cost_usd)

    async def _rules_of_x(self, step: Step) -> str:
        await self._not_opted_out(step)
        if step.operation not in _TEXT_OPERATIONS:
            return ""
        rules = self._rules.post
        if step.bare_links is not None:
            rules = replace(rules, bare_links=step.bare_links)
        return policy.check_post(
            step.text,
            account_id=step.account_id,
            answers=_post_of(step),
            event=step.answers if isinstance(step.answers, PostEvent) else None,
            rules=rules,
        )

    async def _not_opted_out(self, step: Step) -> None:
        if not step.user_id or step.handler == ANSWERS_OPT_OUTS:
            return
        if await self._store.accounts.opted_out(step.account_id, step.user_id) is not None:
            raise OptedOut(
                f"User {step.user_id} asked this account to stop.",
                hint="Nothing to do: X's automation rules ask for an immediate opt-out.",
            )


def _post_of(step: Step) -> Post | None:
    return step.answers.post if isinstance(step.answers, PostEvent) else step.answers
