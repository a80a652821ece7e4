"""Make the parts that handlers act through: the path of a write, and the injected values.

A running bot and the `Authorized` handlers at the end of a login use the same parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit.model.activity_events import PostDelete
from botkit.model.events import OptOut
from botkit.model.users import Account
from botkit.ports import Clock, Reader
from botkit.runtime.writes.actions import Services
from botkit.runtime.writes.checks.account_health import AccountHealth
from botkit.runtime.writes.checks.guard import Guard, Rules
from botkit.runtime.writes.lookups.own_posts import OwnPosts
from botkit.runtime.writes.opt_outs import OptOuts
from botkit.runtime.writes.outbox import Outbox
from botkit.runtime.writes.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from contextlib import AsyncExitStack

    from botkit.bot.compose_client import X
    from botkit.bot.plan import Plan
    from botkit.model.records import Fence, WritePolicy
    from botkit.routing.provision import Provider
    from botkit.runtime.writes.steps import Wrote

__all__ = ["HandlerParts", "HandlerValues", "handler_parts"]


class HandlerValues:
    """Hold the values that handlers may ask for by exact type, beside actions and state."""

    def __init__(self, x: X, accounts: Iterable[Account]) -> None:
        self._x = x
        self._accounts = {account.id: account for account in accounts}
        self._provided: dict[Any, Any] = {}
        self._made: dict[str, Mapping[Any, Any]] = {}

    async def provide(self, wanted: Any, provider: Provider, stack: AsyncExitStack) -> None:
        """Open the value of one of the author's providers, until the stack is closed."""
        self._provided[wanted] = await stack.enter_async_context(provider.open())

    def put(self, wanted: Any, value: object) -> None:
        """Give handlers this value instead of the one that a provider makes."""
        self._provided[wanted] = value

    def know(self, account: Account) -> None:
        """Pass this newer `Account` to the account's handlers from now on."""
        self._accounts[account.id] = account
        self._made.pop(account.id, None)

    def __call__(self, account_id: str) -> Mapping[Any, Any]:
        """Return the values that the account's handlers can get, by type; make them once."""
        values = self._made.get(account_id)
        if values is None:
            account = self._accounts.get(account_id) or Account(id=account_id, username="")
            values = self._made[account_id] = {
                Clock: self._x.clock,
                Reader: self._x.reader.for_account(account_id),
                Account: account,
                **self._provided,
            }
        return values


class HandlerParts(Struct, frozen=True, kw_only=True):
    """Hold the parts that take a handler's action to X."""

    reconciler: Reconciler
    outbox: Outbox
    services: Services
    opt_outs: OptOuts


def handler_parts(
    plan: Plan,
    x: X,
    *,
    fence: Callable[[], Fence],
    spawn: Callable[[Coroutine[Any, Any, None]], object],
    policy: WritePolicy,
    report: Callable[[str, str, str], None] | None = None,
    on_settled: Callable[[], None] | None = None,
    on_wrote: Callable[[Wrote], None] | None = None,
    dry_run: bool = False,
    state_kib: int = 256,
    from_now: bool = False,
) -> HandlerParts:
    """Make the parts without starting them. See `Outbox` and `Reconciler` for the arguments.

    `state_kib` is the size limit of a value that a handler stores. With `from_now`, drop
    events from before the start.
    """
    reconciler = Reconciler(
        store=x.store,
        sender=x.sender,
        clock=x.clock,
        budget=x.budget,
        fence=fence,
        on_settled=on_settled,
        report=report,
    )
    own_posts = OwnPosts(store=x.store, sender=x.sender, clock=x.clock, fence=fence, report=report)
    outbox = Outbox(
        store=x.store,
        sender=x.sender,
        guard=_guard_of(plan, x, report),
        reconciler=reconciler,
        own_posts=own_posts,
        clock=x.clock,
        entropy=x.entropy,
        fence=fence,
        spawn=spawn,
        on_wrote=on_wrote,
        dry_run=dry_run,
    )
    services = Services(
        steps=outbox,
        store=x.store,
        clock=x.clock,
        proven=x.proven,
        fence=fence,
        signals=plan.wiring.signals,
        policy=policy,
        state_kib=state_kib,
        from_now=from_now,
        hears_deletions=PostDelete in plan.wiring.event_types,
    )
    tells = plan.handles(OptOut)
    opt_outs = OptOuts(services, rules=plan.opt_out, tells=tells, may=plan.may)
    return HandlerParts(reconciler=reconciler, outbox=outbox, services=services, opt_outs=opt_outs)


def _guard_of(plan: Plan, x: X, report: Callable[[str, str, str], None] | None) -> Guard:
    return Guard(
        may=plan.may,
        store=x.store,
        sender=x.sender,
        clock=x.clock,
        budget=x.budget,
        rules=Rules(post=x.post_rules),
        health=AccountHealth(x.clock, report=report),
    )
