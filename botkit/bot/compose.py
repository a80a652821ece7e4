"""Assemble and run a bot: join store, X client, runtime and sources in `open_runtime`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from botkit.bot.accounts.access_check import check_access
from botkit.bot.accounts.account_choice import accounts_at_start
from botkit.bot.accounts.account_joins import AccountJoins
from botkit.bot.accounts.login_watch import LoginWatch
from botkit.bot.bot_runtime import BotRuntime
from botkit.bot.compose_client import X, open_the_vault, open_x, renew_the_vault
from botkit.bot.handlers.handler_names import take_over_handlers, warn_of_unreachable
from botkit.bot.handlers.handler_parts import HandlerValues, handler_parts
from botkit.bot.handlers.stored_states import compare_states
from botkit.bot.listening import Listening
from botkit.bot.plan import Plan
from botkit.client.refresh.refresh_lock import Tenure
from botkit.config import Settings
from botkit.leases.lease import Lease
from botkit.leases.owner import lives, this_process
from botkit.model.events import AccountState, Gap, Quote
from botkit.model.records import WritePolicy
from botkit.model.users import Account
from botkit.ports import Clock, Entropy, Store
from botkit.runtime.dispatch.dispatcher import Dispatcher
from botkit.runtime.dispatch.run_ends import Ended
from botkit.runtime.intake.inbox import Inbox
from botkit.runtime.life.lifecycle import KEEP_FOR, Runtime, RuntimePace, Tasks
from botkit.runtime.life.status import Reports
from botkit.runtime.life.ticks import Scheduler
from botkit.runtime.writes.steps import Wrote
from botkit.sources.gaps import Gaps
from botkit.system import SystemClock, SystemEntropy
from botkit.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Iterable

    from botkit.bot.handlers.handler_parts import HandlerParts
    from botkit.ports import Transport

__all__ = ["RunOptions", "open_runtime"]


class RunOptions(Struct, frozen=True, kw_only=True):
    """Hold the options of one run that are not settings.

    Attributes:
        dry_run: Send nothing; record what would have been sent.
        force: Start even if an account's logins do not allow what the bot may do.
        from_now: Drop what happened before the start, and what was due before it.
        on_ended: Called after each run of a handler.
        on_wrote: Called for each write that X confirmed.
        ahead: The time by which the bot's clock is ahead of the machine's, set by `botkit dev`.
        redactor: Removes secrets from tracebacks before they are stored.
    """

    dry_run: bool = False
    force: bool = False
    from_now: bool = False
    on_ended: Callable[[Ended], None] | None = None
    on_wrote: Callable[[Wrote], None] | None = None
    ahead: timedelta = timedelta(0)
    redactor: Redactor | None = None


class _Run(Struct, frozen=True, kw_only=True):
    """Hold the arguments of one run, with defaults filled in."""

    plan: Plan
    settings: Settings
    options: RunOptions
    accounts: dict[str, Account]
    store: Store
    clock: Clock
    entropy: Entropy
    pace: RuntimePace
    provided: Mapping[Any, Any]


class _Opened(Struct, frozen=True, kw_only=True):
    """Hold what is opened before the parts of the runtime are made."""

    lease: Lease
    reports: Reports
    logins: LoginWatch
    x: X
    values: HandlerValues
    tasks: Tasks


class _Hearing(Struct, frozen=True, kw_only=True):
    """Hold the inbox and the parts that put events into it."""

    inbox: Inbox
    listening: Listening
    scheduler: Scheduler


@asynccontextmanager
async def open_runtime(
    plan: Plan,
    settings: Settings,
    *,
    store: Store,
    options: RunOptions | None = None,
    transport: Transport | None = None,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    pace: RuntimePace | None = None,
    provided: Mapping[Any, Any] | None = None,
) -> AsyncGenerator[BotRuntime]:
    """Run a bot on an open store until the block ends, then stop it in order.

    For a port that is not given, use the real one (network, clock, randomness). Handlers get the
    values in `provided` instead of those that the bot's providers make.

    Raises:
        AccessDenied: An account's credentials do not allow what the bot may do.
        ConfigError: No account is authorized, or not the one that the settings name; the logins
            came from another X; there is no vault key; or the store has state of a newer version
            of the bot.
        LeaseLost: Another process runs a bot on this store.
        VaultKeyError: The vault key is the wrong one.
    """
    if settings.connect.on:
        from botkit.bot.http_server import check_connect

        check_connect(settings)
    if settings.bot.source == "webhook":
        from botkit.bot.http_server import check_webhook

        check_webhook(settings)
    run = _Run(
        plan=plan,
        settings=settings,
        options=options or RunOptions(),
        accounts={each.id: each for each in await accounts_at_start(settings, store)},
        store=store,
        clock=clock or SystemClock(),
        entropy=entropy or SystemEntropy(),
        pace=pace or _pace_of(settings),
        provided=provided or {},
    )
    if settings.hooks:
        from botkit.bot.http_server import check_hooks

        check_hooks(settings, run.accounts.values())
    async with AsyncExitStack() as stack:
        stack.enter_context(plan.router.while_running())
        warn_of_unreachable(plan.wiring)
        running = _compose(run, await _open(run, transport, stack))
        if settings.serves_http:
            from botkit.bot.http_server import open_http

            running.http = await stack.enter_async_context(open_http(plan, settings, running))
        await running.start()
        try:
            yield running
        finally:
            await running.stop()


def _pace_of(settings: Settings) -> RuntimePace:
    kept = settings.store
    return RuntimePace(
        drain_s=settings.run.drain_s,
        keep_for=structs.replace(
            KEEP_FOR,
            events=timedelta(days=kept.keep_events_days),
            dead=timedelta(days=kept.keep_dead_days),
            writes=timedelta(days=kept.keep_writes_days),
        ),
    )


async def _open(run: _Run, transport: Transport | None, stack: AsyncExitStack) -> _Opened:
    """Take the runner's lease, open the X client, check access, open the author's providers."""
    vault = await open_the_vault(run.settings, run.store)
    owner = await asyncio.to_thread(this_process, run.entropy)
    lease = await _take_lease(run, owner, stack)
    reports = Reports(run.store, run.clock, lease)
    logins = LoginWatch(
        accounts=run.accounts,
        may=run.plan.may,
        tells=run.plan.handles(AccountState),
        store=run.store,
        clock=run.clock,
        reports=reports,
    )
    x = await stack.enter_async_context(
        open_x(
            run.settings,
            run.store,
            vault,
            transport=transport,
            clock=run.clock,
            entropy=run.entropy,
            on_login_change=logins.changed,
            on_fallback=logins.stood_in,
            owner=owner,
            tenure=Tenure(
                stays=True, ttl_s=run.pace.keeper_ttl_s, renew_s=run.pace.keeper_renew_s
            ),
        )
    )
    await x.keeper.context.rows.check_origin()
    await _check_access(run, x, run.accounts.values())
    values = HandlerValues(x, run.accounts.values())
    for wanted, provider in run.plan.wiring.providers.items():
        if wanted in run.provided:
            values.put(wanted, run.provided[wanted])
        else:
            await values.provide(wanted, provider, stack)
    tasks = await stack.enter_async_context(Tasks())
    return _Opened(lease=lease, reports=reports, logins=logins, x=x, values=values, tasks=tasks)


async def _take_lease(run: _Run, owner: str, stack: AsyncExitStack) -> Lease:
    lease = Lease(
        run.store,
        run.clock,
        owner=owner,
        ttl_s=run.pace.lease_ttl_s,
        renew_s=run.pace.lease_renew_s,
        lives=lives,
    )
    await lease.acquire()
    stack.push_async_callback(lease.release)
    return lease


async def _check_access(run: _Run, x: X, accounts: Iterable[Account]) -> None:
    await check_access(
        x.sender,
        accounts,
        run.plan.may,
        store=run.store,
        clock=run.clock,
        force=run.options.force,
    )


def _compose(run: _Run, opened: _Opened) -> BotRuntime:
    """Make the bot's parts, from handlers to sources, and join them; start nothing."""
    parts, dispatcher = _acting(run, opened)
    hearing = _hearing(run, opened, dispatcher, parts)
    sources, reasons = hearing.listening.sources(run.accounts.values())
    runtime = Runtime(
        store=run.store,
        clock=run.clock,
        entropy=run.entropy,
        lease=opened.lease,
        tasks=opened.tasks,
        dispatcher=dispatcher,
        inbox=hearing.inbox,
        scheduler=hearing.scheduler,
        reports=opened.reports,
        recover=lambda: _recover(run, opened, parts),
        parts={
            **_login_parts(opened, dispatcher, hearing),
            "reconciler": parts.reconciler.run,
            "own posts": lambda: parts.outbox.own_posts.run([*run.accounts]),
            **{source.name: source.run for source in sources},
        },
        on_changed=lambda: _take_over_changes(run, running),
        proven=opened.x.proven,
        pace=run.pace,
    )
    running = BotRuntime(
        x=opened.x,
        lease=opened.lease,
        dispatcher=dispatcher,
        runtime=runtime,
        tasks=opened.tasks,
        reports=opened.reports,
        account_joins=_account_joins(run, opened, hearing, runtime, reasons),
        gaps=hearing.listening.gaps,
        intake=hearing.inbox,
        streams=hearing.listening.streams,
    )
    return running


async def _recover(run: _Run, opened: _Opened, parts: HandlerParts) -> int:
    """Recover an earlier run's records: update handler names, mark interrupted writes UNCERTAIN.

    Return the number of those writes.
    """
    await compare_states(run.plan.wiring, run.store)
    await take_over_handlers(run.plan.wiring, run.store, fence=opened.lease.fence())
    return await parts.outbox.recover()


def _acting(run: _Run, opened: _Opened) -> tuple[HandlerParts, Dispatcher]:
    """Make the parts that run handlers and send their writes."""

    def look_again() -> None:
        dispatcher.inbox_reader.rescan()

    parts = handler_parts(
        run.plan,
        opened.x,
        fence=opened.lease.fence,
        spawn=opened.tasks.send,
        policy=WritePolicy(run.settings.run.write_policy),
        report=opened.reports,
        on_settled=look_again,
        on_wrote=run.options.on_wrote,
        dry_run=run.options.dry_run,
        state_kib=run.settings.run.state_kib,
        from_now=run.options.from_now,
    )
    redactor = run.options.redactor or Redactor()
    dispatcher = Dispatcher(
        wiring=run.plan.wiring,
        services=parts.services,
        opt_outs=parts.opt_outs,
        entropy=run.entropy,
        given=opened.values,
        lookup=opened.x.reader,
        spawn=opened.tasks.hire,
        redact=redactor.text,
        on_ended=run.options.on_ended,
        slots=run.settings.run.slots,
    )
    return parts, dispatcher


def _hearing(run: _Run, opened: _Opened, dispatcher: Dispatcher, parts: HandlerParts) -> _Hearing:
    """Make the inbox and the parts that put events into it."""
    inbox = Inbox(
        store=run.store,
        taker=dispatcher,
        clock=run.clock,
        fence=opened.lease.fence,
        budget=opened.x.budget,
        on_revoked=lambda event: opened.x.keeper.revoked(event.user_id, "revoked on X"),
    )
    listening = Listening(
        plan=run.plan,
        settings=run.settings,
        x=opened.x,
        intake=inbox,
        report=opened.reports,
        gaps=Gaps(
            run.store,
            clock=run.clock,
            report=opened.reports,
            intake=inbox if run.plan.handles(Gap) else None,
            unreadable=", ".join(_unreadable(run.plan)),
        ),
        sent_messages=parts.outbox.own_posts.messages,
    )
    scheduler = Scheduler(
        run.plan.wiring.schedules,
        list(run.accounts),
        store=run.store,
        clock=run.clock,
        taker=dispatcher,
        fence=opened.lease.fence,
        proven=opened.x.proven,
    )
    return _Hearing(inbox=inbox, listening=listening, scheduler=scheduler)


def _unreadable(plan: Plan) -> list[str]:
    """Return words for the events that only the stream delivers."""
    return [*(["quotes"] if plan.handles(Quote) else []), *plan.stream_only]


def _login_parts(
    opened: _Opened, dispatcher: Dispatcher, hearing: _Hearing
) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return the background parts that keep logins alive and read the budget, by name."""
    x = opened.x
    return {
        "tokens": x.keeper.run,
        "pairs": x.keeper.oauth1_logins.run,
        "logins": lambda: opened.logins.run(
            x.sender, hearing.inbox, dispatcher.inbox_reader.rescan, hearing.listening.poke
        ),
        "budget": x.budget.run,
        "open reads": lambda: x.open_reads.run(x.sender),
    }


def _account_joins(
    run: _Run, opened: _Opened, hearing: _Hearing, runtime: Runtime, reasons: dict[str, str]
) -> AccountJoins:
    return AccountJoins(
        only=run.settings.bot.account or "",
        accounts=run.accounts,
        sources=reasons,
        x=opened.x,
        listening=hearing.listening,
        scheduler=hearing.scheduler,
        runtime=runtime,
        reports=opened.reports,
        values=opened.values,
        check=lambda account: _check_access(run, opened.x, [account]),
    )


async def _take_over_changes(run: _Run, running: BotRuntime) -> None:
    """Take over what another process wrote: keys, logins, accounts, events that are due again."""
    await renew_the_vault(run.settings, run.store, running.x.keeper.context.vault)
    await running.x.keeper.reload()
    await running.account_joins.look()
    await running.dispatcher.opt_outs.load()
    await running.gaps.look_again(running.accounts)
    running.dispatcher.inbox_reader.rescan()
