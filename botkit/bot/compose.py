"""`open_runtime`: where ports meet their implementations: store, X, runtime, sources."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog

from botkit.bot.accounts.access_check import check_access
from botkit.bot.accounts.account_joins import AccountJoins
from botkit.bot.accounts.login_watch import LoginWatch
from botkit.bot.compose_client import X, open_the_vault, open_x, renew_the_vault
from botkit.bot.listening import Listening
from botkit.bot.running import RunningBot, Watch
from botkit.client.refresh.refresh_lock import Tenure
from botkit.client.system import SystemClock, SystemEntropy
from botkit.errors import ConfigError
from botkit.leases.lease import Lease
from botkit.leases.owner import lives, this_process
from botkit.model.events import AccountState
from botkit.model.records import WritePolicy
from botkit.model.users import Account
from botkit.ports import Clock, Reader
from botkit.runtime.dispatch.dispatcher import Dispatcher
from botkit.runtime.intake.inbox import Inbox
from botkit.runtime.life.lifecycle import Runtime, RuntimePace, Tasks
from botkit.runtime.life.status import Reports
from botkit.runtime.life.ticks import Scheduler
from botkit.runtime.writes.account_health import AccountHealth
from botkit.runtime.writes.actions import Services
from botkit.runtime.writes.guard import Guard
from botkit.runtime.writes.outbox import Outbox
from botkit.runtime.writes.reconcile import Reconciler
from botkit.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Collection,
        Coroutine,
        Mapping,
        Sequence,
    )
    from contextlib import AbstractAsyncContextManager

    from botkit.bot.definition import Bot
    from botkit.config import Settings
    from botkit.ports import Entropy, Source, Store, Transport, VaultPort
    from botkit.routing.wiring import Wiring

__all__ = ["TWO_WAYS", "open_runtime", "the_accounts"]

_log = structlog.get_logger(__name__)

TWO_WAYS = (
    "Two ways on: `botkit setup` authorizes an account of X;"
    " `botkit dev MODULE:BOT` tries the bot without one."
)


@asynccontextmanager
async def open_runtime(
    bot: Bot,
    settings: Settings,
    *,
    store: Store,
    transport: Transport | None = None,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    pace: RuntimePace | None = None,
    dry_run: bool = False,
    force: bool = False,
    watch: Watch | None = None,
    redactor: Redactor | None = None,
) -> AsyncGenerator[RunningBot]:
    """Run a bot on an open store until the block ends; then it is stopped in order.

    Ports that are not given are the system's. `force` starts it although an account surely may
    not do what the bot says it may.

    Raises:
        WiringError: The bot's handlers cannot be served; nothing was started.
        AccessDenied: An account's credentials do not allow what the bot may do.
        ConfigError: No account is authorized, or the one of the settings is not.
        LeaseLost: Another process runs a bot on this store.
        VaultKeyError: The vault key is the wrong one; `ConfigError` when there is none.
    """
    wiring = bot.wiring
    accounts = await _accounts_at_start(settings, store)
    vault = await open_the_vault(settings, store)
    chance = entropy or SystemEntropy()
    joint = _Joint(
        bot,
        settings,
        wiring,
        accounts,
        store=store,
        clock=clock or SystemClock(),
        entropy=chance,
        pace=pace or RuntimePace(drain_s=settings.run.drain_s),
        owner=await asyncio.to_thread(this_process, chance),
    )
    async with AsyncExitStack() as stack:
        await joint.lease.acquire()
        stack.push_async_callback(joint.lease.release)
        x = await stack.enter_async_context(joint.open_x(vault, transport))
        await check_access(
            x.sender, accounts, bot.may, store=store, clock=joint.clock, force=force
        )
        await joint.provide(stack)
        tasks = await stack.enter_async_context(joint.tasks)
        running = joint.join(
            x, tasks, watch or Watch(), redactor or Redactor(), dry_run=dry_run, force=force
        )
        await joint.open_http(running, stack)
        await running.start()
        try:
            yield running
        finally:
            await running.stop()


async def _accounts_at_start(settings: Settings, store: Store) -> tuple[Account, ...]:
    """As `the_accounts`; where accounts come by invitation, there may be none yet."""
    if settings.connect.on:
        from botkit.bot.http_server import check_connect

        check_connect(settings)
    try:
        return await the_accounts(settings, store)
    except ConfigError as none:
        if not settings.connect.on:
            raise
        _log.warning("account.none_yet", next_step="botkit accounts invite", why=none.message)
        return ()


async def the_accounts(settings: Settings, store: Store) -> tuple[Account, ...]:
    """Those that the bot is to act for: the one of the settings, else all of the store.

    Raises:
        ConfigError: There is none.
    """
    if settings.bot.account:
        account = await store.accounts.get(settings.bot.account)
        if account is None:
            raise ConfigError(
                f"The account {settings.bot.account!r} is not authorized.",
                hint=f"Run `botkit setup --account {settings.bot.account}`.",
            )
        return (account,)
    accounts = tuple(await store.accounts.listing())
    if not accounts:
        raise ConfigError("No account is authorized yet.", hint=TWO_WAYS)
    return accounts


class _Joint:
    """Joins the parts of one running bot."""

    def __init__(
        self,
        bot: Bot,
        settings: Settings,
        wiring: Wiring,
        accounts: Sequence[Account],
        *,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        pace: RuntimePace,
        owner: str,
    ) -> None:
        self._bot = bot
        self._settings = settings
        self._wiring = wiring
        self._accounts = {account.id: account for account in accounts}
        self._known = dict(self._accounts)
        self._store = store
        self._pace = pace
        self.clock = clock
        self.entropy = entropy
        self.tasks = Tasks()
        self.reports = Reports(store, clock)
        self.logins = LoginWatch(
            accounts=self._accounts,
            may=bot.may,
            tells=any(issubclass(AccountState, kind) for kind in wiring.event_types),
            store=store,
            clock=clock,
            reports=self.reports,
        )
        self.provided: dict[Any, Any] = {}
        self.lease = Lease(
            store,
            clock,
            owner=owner,
            ttl_s=pace.lease_ttl_s,
            renew_s=pace.lease_renew_s,
            lives=lives,
        )
        self.owner = owner
        self.tenure = Tenure(stays=True, ttl_s=pace.keeper_ttl_s, renew_s=pace.keeper_renew_s)
        self._given: dict[str, dict[Any, Any]] = {}
        self._dispatcher: Dispatcher | None = None
        self._runtime: Runtime | None = None
        self._newcomers: AccountJoins | None = None
        self._running_bot: RunningBot | None = None

    def open_x(
        self, vault: VaultPort, transport: Transport | None
    ) -> AbstractAsyncContextManager[X]:
        """The way to X, whose logins are watched."""
        return open_x(
            self._settings,
            self._store,
            vault,
            transport=transport,
            clock=self.clock,
            entropy=self.entropy,
            on_login_change=self.logins.changed,
            on_fallback=self.logins.stood_in,
            owner=self.owner,
            tenure=self.tenure,
        )

    async def provide(self, stack: AsyncExitStack) -> None:
        """Open what the author's providers give, for as long as the stack is open."""
        for wanted, provider in self._wiring.providers.items():
            self.provided[wanted] = await stack.enter_async_context(provider.open())

    def join(
        self,
        x: X,
        tasks: Tasks,
        watch: Watch,
        redactor: Redactor,
        *,
        dry_run: bool,
        force: bool,
    ) -> RunningBot:
        """Make the runtime; starts nothing."""
        reconciler = Reconciler(
            store=self._store,
            sender=x.sender,
            clock=self.clock,
            fence=self.lease.fence,
            on_settled=self._look_again,
            report=self.reports,
        )
        outbox = self._outbox(x, reconciler, watch, dry_run=dry_run)
        dispatcher = self._dispatcher = self._dispatching(x, outbox, tasks, watch, redactor)
        inbox = Inbox(
            store=self._store,
            taker=dispatcher,
            fence=self.lease.fence,
            on_revoked=lambda event: x.keeper.revoked(event.user_id, "revoked on X"),
        )
        listening = self._listening(x, inbox)
        sources, reasons = listening.sources()
        scheduler = self._scheduler(dispatcher)
        parts = self._parts(x, reconciler, inbox, sources, listening)
        self._runtime = self._running(
            x, tasks, dispatcher, inbox, outbox, parts, scheduler=scheduler
        )
        self._newcomers = self._welcoming(x, listening, scheduler, self._runtime, force=force)
        self._running_bot = RunningBot(
            accounts=tuple(self._accounts.values()),
            sources=reasons,
            x=x,
            inbox=inbox,
            dispatcher=dispatcher,
            runtime=self._runtime,
            tasks=tasks,
            reports=self.reports,
            newcomers=self._newcomers,
        )
        return self._running_bot

    async def open_http(self, running: RunningBot, stack: AsyncExitStack) -> None:
        """Listen for HTTP if the settings want it, until the stack is closed."""
        if self._settings.http.on or self._settings.connect.on:
            from botkit.bot.http_server import open_http

            running.http = await stack.enter_async_context(
                open_http(self._bot, self._settings, running, self.lease.fence)
            )

    def _welcoming(
        self, x: X, listening: Listening, scheduler: Scheduler, runtime: Runtime, *, force: bool
    ) -> AccountJoins:
        async def check(account: Account) -> None:
            await check_access(
                x.sender,
                [account],
                self._bot.may,
                store=self._store,
                clock=self.clock,
                force=force,
            )

        return AccountJoins(
            settings=self._settings,
            store=self._store,
            accounts=self._accounts,
            listening=listening,
            scheduler=scheduler,
            runtime=runtime,
            reports=self.reports,
            check=check,
            knows_app=lambda app: app in x.keeper.around.apps,
            known=self._know,
            joined=self._joined,
        )

    def _joined(self, account: Account, reasons: Mapping[str, str], gone: Collection[str]) -> None:
        if self._running_bot is not None:
            self._running_bot.take_on(account, reasons, gone)

    def _know(self, account: Account) -> None:
        """What handlers for the account are given from now on."""
        self._known[account.id] = account
        self._given.pop(account.id, None)

    def _outbox(self, x: X, reconciler: Reconciler, watch: Watch, *, dry_run: bool) -> Outbox:
        return Outbox(
            store=self._store,
            sender=x.sender,
            guard=self._guard(x),
            reconciler=reconciler,
            clock=self.clock,
            entropy=self.entropy,
            fence=self.lease.fence,
            spawn=self._send,
            on_wrote=watch.on_wrote,
            dry_run=dry_run,
        )

    def _dispatching(
        self, x: X, outbox: Outbox, tasks: Tasks, watch: Watch, redactor: Redactor
    ) -> Dispatcher:
        services = Services(
            steps=outbox,
            store=self._store,
            clock=self.clock,
            fence=self.lease.fence,
            signals=self._wiring.signals,
            policy=WritePolicy(self._settings.run.write_policy),
        )
        return Dispatcher(
            wiring=self._wiring,
            services=services,
            entropy=self.entropy,
            given=lambda account_id: self._values(account_id, x),
            lookup=x.reader,
            spawn=tasks.hire,
            redact=redactor.text,
            on_ended=watch.on_ended,
            slots=self._settings.run.slots,
        )

    def _scheduler(self, dispatcher: Dispatcher) -> Scheduler:
        return Scheduler(
            self._wiring.schedules,
            list(self._accounts),
            store=self._store,
            clock=self.clock,
            taker=dispatcher,
            fence=self.lease.fence,
        )

    def _running(
        self,
        x: X,
        tasks: Tasks,
        dispatcher: Dispatcher,
        inbox: Inbox,
        outbox: Outbox,
        parts: dict[str, Callable[[], Awaitable[None]]],
        *,
        scheduler: Scheduler,
    ) -> Runtime:
        return Runtime(
            store=self._store,
            clock=self.clock,
            entropy=self.entropy,
            lease=self.lease,
            tasks=tasks,
            dispatcher=dispatcher,
            inbox=inbox,
            scheduler=scheduler,
            reports=self.reports,
            recover=outbox.recover,
            parts=parts,
            on_changed=lambda: self._changed(x),
            pace=self._pace,
        )

    def _listening(self, x: X, inbox: Inbox) -> Listening:
        return Listening(
            name=self._bot.name,
            kinds=self._bot.stream_kinds,
            accounts=tuple(self._accounts.values()),
            settings=self._settings,
            x=x,
            intake=inbox,
            store=self._store,
            clock=self.clock,
            entropy=self.entropy,
            report=self.reports,
        )

    def _send(self, work: Coroutine[Any, Any, None]) -> object:
        """Start a send; by the time a handler runs, the runtime is there."""
        if self._runtime is None:
            raise RuntimeError("nothing is sent before the bot runs")
        return self._runtime.send(work)

    def _look_again(self) -> None:
        if self._dispatcher is not None:
            self._dispatcher.feeder.rescan()

    def _guard(self, x: X) -> Guard:
        return Guard(
            may=self._bot.may,
            store=self._store,
            sender=x.sender,
            clock=self.clock,
            budget=x.budget,
            health=AccountHealth(self.clock, report=self.reports),
        )

    def _values(self, account_id: str, x: X) -> Mapping[Any, Any]:
        """What handlers for the account may ask for; made once."""
        values = self._given.get(account_id)
        if values is None:
            account = self._known.get(account_id) or Account(id=account_id, username="")
            values = self._given[account_id] = {
                Clock: self.clock,
                Reader: x.reader.for_account(account_id),
                Account: account,
                **self.provided,
            }
        return values

    def _parts(
        self,
        x: X,
        reconciler: Reconciler,
        inbox: Inbox,
        sources: Sequence[Source],
        listening: Listening,
    ) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "tokens": x.keeper.run,
            "pairs": x.keeper.pairs.run,
            "logins": lambda: self.logins.run(x.sender, inbox, self._look_again, listening.poke),
            "budget": x.budget.run,
            "reconciler": reconciler.run,
            **{source.name: source.run for source in sources},
        }

    async def _changed(self, x: X) -> None:
        """Another process wrote to the store: new logins, retried events, settled writes."""
        await renew_the_vault(self._settings, self._store, x.keeper.around.vault)
        await x.keeper.reload()
        if self._newcomers is not None:
            await self._newcomers.look()
        self._look_again()
