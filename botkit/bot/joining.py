"""`open_runtime`: where ports meet their implementations: store, X, runtime, sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from botkit.bot.assembly import X, open_the_vault, open_x
from botkit.client.system import SystemClock, SystemEntropy
from botkit.errors import AccessDenied, ConfigError
from botkit.model.tokens import CredentialKind, LoginState
from botkit.model.users import Account
from botkit.ports import Clock, Reader
from botkit.protocol import access
from botkit.runtime.actions import Services
from botkit.runtime.dispatcher import Dispatcher
from botkit.runtime.guard import Guard
from botkit.runtime.health import AccountHealth
from botkit.runtime.inbox import Inbox
from botkit.runtime.leases import Lease
from botkit.runtime.lifecycle import Pace, Runtime, Tasks
from botkit.runtime.outbox import Outbox
from botkit.runtime.owner import is_alive, this_process
from botkit.runtime.reconcile import Reconciler
from botkit.runtime.reports import Reports
from botkit.runtime.runs import Ended
from botkit.runtime.schedules import Scheduler
from botkit.runtime.steps import Wrote
from botkit.sources.mentions import MentionsPoll
from botkit.sources.stream import ActivityStream
from botkit.sources.subscriptions import Subscriptions
from botkit.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from botkit.bot.definition import Bot
    from botkit.client.grants import LoginStatus
    from botkit.config import Settings
    from botkit.model.events import GrantRevoked
    from botkit.ports import Entropy, Source, Store, Transport
    from botkit.routing.wiring import Wiring

__all__ = ["RunningBot", "Watch", "open_runtime", "the_accounts"]

_log = structlog.get_logger("botkit.bot")


_BESIDE_STREAM = timedelta(minutes=5)
_ALONE = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """Who is told what happens in a running bot: a transcript, a test, metrics."""

    on_ended: Callable[[Ended], None] | None = None
    on_wrote: Callable[[Wrote], None] | None = None


@dataclass(kw_only=True, slots=True)
class RunningBot:
    """A bot that runs.

    Attributes:
        accounts: Those it acts for.
        sources: What it hears by, for each the reason for that way.
    """

    accounts: tuple[Account, ...]
    sources: Mapping[str, str]
    x: X
    inbox: Inbox
    dispatcher: Dispatcher
    runtime: Runtime
    stubborn: list[str] = field(default_factory=list[str])

    async def wait_idle(self) -> None:
        """Return when no event is due."""
        await self.dispatcher.feeder.wait_idle()

    async def stop(self, drain_s: float | None = None) -> None:
        """Stop intake, let handlers finish until the deadline, give the lease back."""
        self.x.keeper.stop()
        self.stubborn = await self.runtime.stop(drain_s)

    def crash(self) -> None:
        """Abandon everything as `kill -9` does; for the sandbox."""
        self.runtime.crash()


@asynccontextmanager
async def open_runtime(
    bot: Bot,
    settings: Settings,
    *,
    store: Store,
    transport: Transport | None = None,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    pace: Pace | None = None,
    dry_run: bool = False,
    force: bool = False,
    watch: Watch | None = None,
    redactor: Redactor | None = None,
) -> AsyncIterator[RunningBot]:
    """Run a bot on an open store until the block ends; then it is stopped in order.

    Ports that are not given are the system's. `force` starts it although an account surely may
    not do what the bot says it may.

    Raises:
        WiringError: The bot's handlers cannot be served; nothing was started.
        AccessDenied: An account's credentials do not allow what the bot may do.
        ConfigError: No account is authorized, or the one of the settings is not.
        LeaseLost: Another process runs a bot on this store.
        VaultKeyError: There is no key, or it is the wrong one.
    """
    wiring = bot.wiring
    vault = await open_the_vault(settings, store)
    accounts = await the_accounts(settings, store)
    joint = _Joint(
        bot,
        settings,
        wiring,
        accounts,
        store=store,
        clock=clock or SystemClock(),
        entropy=entropy or SystemEntropy(),
        pace=pace or Pace(drain_s=settings.run.drain_s),
    )
    async with AsyncExitStack() as stack:
        await joint.lease.acquire()
        x = await stack.enter_async_context(
            open_x(
                settings,
                store,
                vault,
                transport=transport,
                clock=joint.clock,
                entropy=joint.entropy,
                on_login_change=joint.login_changed,
            )
        )
        await _check_access(bot, accounts, x, force=force)
        for wanted, provider in wiring.providers.items():
            joint.provided[wanted] = await stack.enter_async_context(provider.open())
        tasks = await stack.enter_async_context(joint.tasks)
        running = joint.join(x, tasks, watch or Watch(), redactor or Redactor(), dry_run=dry_run)
        await running.runtime.start()
        try:
            yield running
        finally:
            await running.stop()


async def _check_access(bot: Bot, accounts: Sequence[Account], x: X, *, force: bool) -> None:
    """Everything that the bot may do, against what each account holds, before the first write."""
    for account in accounts:
        held = await x.sender.kinds(account.id)
        for operation in access.operations_for(sorted(bot.may)):
            try:
                access.choose_credential(operation, held)
            except AccessDenied as denied:
                if not force:
                    raise
                _log.error("access", account=account.username, why=denied.message)


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
        raise ConfigError(
            "No account is authorized yet.",
            hint="Run `botkit setup`, or try the bot without one: `botkit dev MODULE:BOT`.",
        )
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
        pace: Pace,
    ) -> None:
        self._bot = bot
        self._settings = settings
        self._wiring = wiring
        self._accounts = {account.id: account for account in accounts}
        self._store = store
        self._pace = pace
        self.clock = clock
        self.entropy = entropy
        self.tasks = Tasks()
        self.reports = Reports(store, clock)
        self.provided: dict[Any, Any] = {}
        self.lease = Lease(
            store,
            clock,
            owner=this_process(entropy),
            ttl_s=pace.lease_ttl_s,
            renew_s=pace.lease_renew_s,
            alive=is_alive,
        )
        self._given: dict[str, dict[Any, Any]] = {}
        self._dispatcher: Dispatcher | None = None

    def join(
        self, x: X, tasks: Tasks, watch: Watch, redactor: Redactor, *, dry_run: bool
    ) -> RunningBot:
        """Make the runtime; starts nothing."""
        made: list[Runtime] = []
        reconciler = Reconciler(
            store=self._store,
            sender=x.sender,
            clock=self.clock,
            fence=self.lease.fence,
            on_settled=self._look_again,
            report=self.reports,
        )
        outbox = Outbox(
            store=self._store,
            sender=x.sender,
            guard=self._guard(x),
            reconciler=reconciler,
            clock=self.clock,
            entropy=self.entropy,
            fence=self.lease.fence,
            spawn=lambda work: made[0].send(work),  # noqa: PLW0108 - it is made below
            on_wrote=watch.on_wrote,
            dry_run=dry_run,
        )
        services = Services(
            steps=outbox,
            store=self._store,
            clock=self.clock,
            fence=self.lease.fence,
            signals=self._wiring.signals,
        )
        dispatcher = self._dispatcher = Dispatcher(
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
        inbox = Inbox(
            store=self._store,
            taker=dispatcher,
            fence=self.lease.fence,
            on_revoked=lambda event: self._revoked(event, x),
        )
        sources, reasons = self._sources(x, inbox)
        runtime = Runtime(
            store=self._store,
            clock=self.clock,
            entropy=self.entropy,
            lease=self.lease,
            tasks=tasks,
            dispatcher=dispatcher,
            inbox=inbox,
            scheduler=Scheduler(
                self._wiring.schedules,
                list(self._accounts),
                store=self._store,
                clock=self.clock,
                taker=dispatcher,
                fence=self.lease.fence,
            ),
            reports=self.reports,
            recover=outbox.recover,
            parts=self._parts(x, reconciler, sources),
            on_changed=lambda: self._changed(x),
            pace=self._pace,
        )
        made.append(runtime)
        return RunningBot(
            accounts=tuple(self._accounts.values()),
            sources=reasons,
            x=x,
            inbox=inbox,
            dispatcher=dispatcher,
            runtime=runtime,
        )

    def login_changed(self, status: LoginStatus) -> None:
        """Say it, and let what waited for the login go on."""
        detail = " ".join(filter(None, [status.reason, status.next_step]))
        self.reports(f"login/{status.username}", status.status.value, detail)
        if status.status is LoginState.OK and self._dispatcher is not None:
            self.tasks.start(self._unpark(status.account_id), "unpark")

    async def _unpark(self, account_id: str) -> None:
        if await self._store.events.unpark("login", account_id=account_id):
            self._look_again()

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
            account = self._accounts.get(account_id) or Account(id=account_id, username="")
            values = self._given[account_id] = {
                Clock: self.clock,
                Reader: x.reader.for_account(account_id),
                Account: account,
                **self.provided,
            }
        return values

    def _sources(self, x: X, inbox: Inbox) -> tuple[list[Source], dict[str, str]]:
        """The sources, and why each is as it is."""
        sources: list[Source] = []
        reasons: dict[str, str] = {}
        polls: dict[str, list[MentionsPoll]] = {}
        for account in self._accounts.values():
            streams, why = self._may_stream(account, x)
            poll = MentionsPoll(
                account,
                sender=x.sender,
                intake=inbox,
                store=self._store,
                clock=self.clock,
                entropy=self.entropy,
                interval=_BESIDE_STREAM if streams else _ALONE,
                report=self.reports,
                why=why,
            )
            sources.append(poll)
            reasons[poll.name] = why
            if streams:
                polls.setdefault(account.app, []).append(poll)
        for app, beside in polls.items():
            stream = self._stream(app, beside, x, inbox)
            sources.append(stream)
            reasons[stream.name] = "hears at once"
        return sources, reasons

    def _may_stream(self, account: Account, x: X) -> tuple[bool, str]:
        if self._settings.bot.source == "poll":
            return False, "polls every 15 s, because the settings say source = poll"
        if x.keeper.app_can_serve(account.app):
            return True, "polls every 5 min beside the activity stream"
        if self._settings.bot.source == "stream":
            raise ConfigError(
                f"source = stream needs the bearer token of app {account.app!r}.",
                hint="Set bearer_token (or api_key and api_secret), or source = auto.",
            )
        return False, (
            f"polls every 15 s, because the app {account.app!r} has no bearer_token for the"
            " activity stream"
        )

    def _stream(
        self, app: str, polls: Sequence[MentionsPoll], x: X, inbox: Inbox
    ) -> ActivityStream:
        accounts = [account for account in self._accounts.values() if account.app == app]
        kinds = self._bot.stream_kinds
        return ActivityStream(
            app,
            accounts,
            kinds={account.id: kinds for account in accounts},
            subscriptions=Subscriptions(x.sender, prefix=f"botkit:{self._bot.name}:"),
            sender=x.sender,
            intake=inbox,
            store=self._store,
            clock=self.clock,
            entropy=self.entropy,
            report=self.reports,
            on_connected=lambda: _poke(polls),
        )

    def _parts(
        self, x: X, reconciler: Reconciler, sources: Sequence[Source]
    ) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "tokens": x.keeper.run,
            "budget": x.budget.run,
            "reconciler": reconciler.run,
            **{source.name: source.run for source in sources},
        }

    async def _changed(self, x: X) -> None:
        """Another process wrote to the store: new logins, retried events, settled writes."""
        await x.keeper.reload()
        self._look_again()

    async def _revoked(self, event: GrantRevoked, x: X) -> None:
        held = await self._store.credentials.listing(event.user_id)
        if any(row.kind is CredentialKind.OAUTH2 for row in held):
            await x.keeper.mark_dead(event.user_id, "revoked on X")


def _poke(polls: Sequence[MentionsPoll]) -> None:
    """Read the mentions now: the stream was away."""
    for poll in polls:
        poll.poke()
