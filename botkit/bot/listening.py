"""Make a bot's sources: a mentions poll for each account, an activity stream for each app."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from botkit.bot.compose_client import X
from botkit.bot.plan import Plan
from botkit.config import Settings
from botkit.errors import ConfigError
from botkit.model.sources import ListPosts, PolledSource, Rule, Search
from botkit.ports import Intake
from botkit.sources.gaps import Gaps
from botkit.sources.polls.declared import poll_of, reads_how
from botkit.sources.polls.mentions import MentionsPoll
from botkit.sources.polls.messages import MessagesPoll, SentMessages
from botkit.sources.polls.polling import Poll, Unheard
from botkit.sources.push.filtered import FilteredStream
from botkit.sources.push.rules import StreamRules, check_plan
from botkit.sources.push.stream import ActivityStream
from botkit.sources.push.subscriptions import MESSAGE_KINDS, POST_KINDS, Subscriptions
from botkit.sources.push.webhooks import ActivityWebhook
from botkit.sources.reporting import StatusReporter
from botkit.sources.rule_gaps import RuleGaps
from botkit.sources.search import RecentSearch, for_mentions
from botkit.waiting import status_codes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from botkit.model.users import Account
    from botkit.ports import Source

__all__ = ["Listening"]

_BESIDE_STREAM = timedelta(minutes=5)
_ALONE = timedelta(seconds=15)
_BACKFILL = timedelta(minutes=5)
_MESSAGES_ALONE = timedelta(seconds=65)
"""The interval of a messages poll without a stream: X allows 15 reads in 15 minutes."""


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Make and hold the sources of a bot.

    Attributes:
        plan: The bot's plan: subscriptions are tagged with its name.
        sent_messages: Takes the messages that the accounts sent without this store.
        streams: The open stream of each app, by the app's name.
        beside: The polls that read what an app's stream missed, by the app's name.
        polls: The polls of each account, by the account's id.
        ways: For each account its app, and the reason why its kind of source was chosen.
        matching: The sources for the rules of the filtered stream.
        first: The id of the first account: it reads the sources that are read once for the bot.
    """

    plan: Plan
    settings: Settings
    x: X
    intake: Intake
    report: StatusReporter
    gaps: Gaps
    sent_messages: SentMessages
    streams: dict[str, ActivityStream] = msgspec.field(default_factory=dict[str, ActivityStream])
    beside: dict[str, list[Poll]] = msgspec.field(default_factory=dict[str, list[Poll]])
    polls: dict[str, list[Poll]] = msgspec.field(default_factory=dict[str, list[Poll]])

    first: list[str] = msgspec.field(default_factory=list[str])
    matching: list[FilteredStream | RuleGaps] = msgspec.field(
        default_factory=list["FilteredStream | RuleGaps"]
    )
    ways: dict[str, tuple[str, str]] = msgspec.field(default_factory=dict[str, tuple[str, str]])

    def sources(self, accounts: Iterable[Account]) -> tuple[list[Source], dict[str, str]]:
        """Return the sources to start for these accounts, and the reason for each, by its name.

        If an app's stream is open, its accounts are added to it.

        Raises:
            ConfigError: The settings want the stream, and its credentials are missing.
        """
        sources: list[Source] = []
        reasons: dict[str, str] = {}
        hearing: dict[str, list[Account]] = {}
        accounts = list(accounts)
        for account in accounts:
            streams, why = self._may_stream(account)
            self.ways[account.id] = account.app, why
            if not self.first:
                self.first.append(account.id)
                has = self.settings.app_named(account.app).plan
                check_plan(self.plan.wiring.sources, plan=has)
            polls = self.polls[account.id] = self._polls(account, why, streams=streams)
            polls += self._declared(account)
            sources += polls
            reasons |= {poll.name: poll.why for poll in polls}
            if self.plan.stream_only and not streams:
                self._report_unheard(account, why)
            if streams:
                self.beside.setdefault(account.app, []).extend(polls)
                hearing.setdefault(account.app, []).append(account)
        for app, newcomers in hearing.items():
            stream = self.streams.get(app)
            if stream is None:
                stream = self.streams[app] = self._stream(app, newcomers)
                sources.append(stream)
                reasons[stream.name] = "hears at once"
            else:
                for account in newcomers:
                    stream.add(account, self.plan.stream_kinds)
        sources += self._matching(accounts)
        self._report_unread()
        return sources, reasons

    def is_outdated(self, account: Account) -> bool:
        """Return True if the account needs other sources than those that it has.

        Raises:
            ConfigError: The settings want the stream, and its credentials are missing.
        """
        _, why = self._may_stream(account)
        return self.ways.get(account.id) != (account.app, why)

    def leave(self, account: Account) -> list[str]:
        """Remove the account from its sources; return the names of the sources to end."""
        polls = self.polls.pop(account.id, [])
        ended = [poll.name for poll in polls]
        if account.id in self.first:
            ended += [source.name for source in self.matching]
            self.matching.clear()
        for app, stream in [*self.streams.items()]:
            if not stream.hears(account.id):
                continue
            self.beside[app] = [poll for poll in self.beside[app] if poll not in polls]
            if not stream.remove(account.id):
                del self.streams[app]
                ended.append(stream.name)
        return ended

    def poke(self, account: Account) -> None:
        """Make the account's sources try again now: its login is good again."""
        _poke(self.polls.get(account.id, ()))
        if account.id in self.first:
            _poke(self.matching)
        if account.app in self.streams:
            self.streams[account.app].poke(account.id)

    def _may_stream(self, account: Account) -> tuple[bool, str]:
        """Return whether the account hears by stream or webhook, and why.

        Raises:
            ConfigError: The settings want it, and its credentials are missing.
        """
        wanted = self.settings.bot.source
        if wanted == "poll":
            return False, "polls every 15 s, because the settings say source = poll"
        is_wanted = wanted in {"stream", "webhook"}
        if self.x.keeper.signs_only(account.id):
            if is_wanted:
                raise ConfigError(
                    f"source = {wanted} needs an OAuth 2.0 login of @{account.username}.",
                    hint="Run `botkit setup`, or set source = auto.",
                )
            return False, "polls every 15 s, because the login is by OAuth 1.0a only"
        hook_app = self.settings.webhook.app
        if wanted == "webhook" and account.app != hook_app:
            return False, f"polls every 15 s, because the webhook is for the app {hook_app!r}"
        if self.x.keeper.app_can_serve(account.app):
            way = "webhook" if wanted == "webhook" else "activity stream"
            return True, f"polls every 5 min beside the {way}"
        if is_wanted:
            raise ConfigError(
                f"source = {wanted} needs the bearer token of app {account.app!r}.",
                hint="Set bearer_token (or api_key and api_secret), or source = auto.",
            )
        return False, (
            f"polls every 15 s, because the app {account.app!r} has no bearer_token for the"
            " activity stream"
        )

    @property
    def _late(self) -> timedelta:
        """Return the longest time that X takes to show a new post."""
        return timedelta(seconds=self.settings.bot.late_ids_s)

    def _matching(self, accounts: Iterable[Account]) -> list[FilteredStream | RuleGaps]:
        """Return the sources for the rules of the filtered stream, if the first account is there.

        Raises:
            ConfigError: X would not take a rule, or the app has no bearer token.
        """
        rules = self.plan.wiring.sources.rules
        account = next((each for each in accounts if each.id in self.first), None)
        if not rules or account is None:
            return []
        app = self.settings.app_named(account.app)
        if not self.x.keeper.app_can_serve(account.app):
            raise ConfigError(
                f"The rule {rules[0].tag!r} needs the bearer token of app {account.app!r}.",
                hint="Set bearer_token (or api_key and api_secret).",
            )
        searches = self._rule_gaps(account, rules, plan=app.plan)
        stream = FilteredStream(
            account.app,
            account,
            rules,
            kept=StreamRules(self.x.sender, rules, bot=self.plan.name),
            store=self.x.store,
            backfill=_BACKFILL if app.plan == "enterprise" else None,
            may_hear=self.x.budget.check_hearing,
            sender=self.x.sender,
            intake=self.intake,
            clock=self.x.clock,
            entropy=self.x.entropy,
            report=self.report,
            gaps=self.gaps,
            late=self._late,
            on_connected=searches.poke,
            on_spend=self.x.budget.note,
        )
        self.matching[:] = [stream, searches]
        return list(self.matching)

    def _rule_gaps(self, account: Account, rules: Sequence[Rule], *, plan: str) -> RuleGaps:
        return RuleGaps(
            account.app,
            account,
            rules,
            sender=self.x.sender,
            intake=self.intake,
            gaps=self.gaps,
            clock=self.x.clock,
            report=self.report,
            late=self._late,
            allow=self.x.budget.check,
            plan=plan,
        )

    def _report_unheard(self, account: Account, why: str) -> None:
        """Report the events that come by the activity stream only, for an account without it."""
        lacks = f"{', '.join(self.plan.stream_only)} come by the activity stream only; {why}"
        code = {"code": str(status_codes.PERSON)}
        self.report(f"subscription/{account.username}", "missing", lacks, code)

    def _report_unread(self) -> None:
        """Report the declared sources whose account is not authorized here."""
        names = {poll.name.casefold() for polls in self.polls.values() for poll in polls}
        for source in self.plan.wiring.sources.polled:
            if not isinstance(source, Search | ListPosts) or not source.account:
                continue
            part = f"{source.name}/{source.account}"
            if part.casefold() not in names:
                self.report(
                    part,
                    "missing",
                    f"@{source.account} is not authorized here: botkit setup",
                    {"code": str(status_codes.PERSON)},
                )

    def _ports(self, why: str) -> dict[str, Any]:
        """Return what every poll needs."""
        return {
            "sender": self.x.sender,
            "intake": self.intake,
            "store": self.x.store,
            "clock": self.x.clock,
            "entropy": self.x.entropy,
            "report": self.report,
            "gaps": self.gaps,
            "late": self._late,
            "may_hear": self.x.budget.check_hearing,
            "why": why,
        }

    def _polls(self, account: Account, why: str, *, streams: bool) -> list[Poll]:
        """Return the mentions poll, and one for direct messages if the bot handles them."""
        ports = self._ports(why)
        interval = _BESIDE_STREAM if streams else _ALONE
        search = RecentSearch(
            account,
            for_mentions(account.username),
            sender=self.x.sender,
            intake=self.intake,
            gaps=self.gaps,
            clock=self.x.clock,
            late=self._late,
            allow=self.x.budget.check,
        )
        unheard = self._unheard(account, POST_KINDS, _ALONE) if streams else None
        polls: list[Poll] = [
            MentionsPoll(account, interval=interval, search=search, unheard=unheard, **ports)
        ]
        if set(MESSAGE_KINDS) & set(self.plan.stream_kinds):
            slowly = _BESIDE_STREAM if streams else _MESSAGES_ALONE
            unheard = self._unheard(account, MESSAGE_KINDS, _MESSAGES_ALONE) if streams else None
            messages = MessagesPoll(account, interval=slowly, unheard=unheard, **ports)
            messages.show_to(self.sent_messages)
            polls.append(messages)
        return polls

    def _unheard(self, account: Account, kinds: Iterable[str], interval: timedelta) -> Unheard:
        """Return how a poll reads while the app's stream does not bring events of these kinds."""
        wanted = set(kinds) & set(self.plan.stream_kinds)

        def is_now() -> bool:
            stream = self.streams.get(account.app)
            return stream is None or not stream.delivers(account.id, wanted)

        way = "webhook" if self.settings.bot.source == "webhook" else "activity stream"
        seconds = f"{interval.total_seconds():.0f} s"
        why = f"polls every {seconds}, because the {way} does not hear the account now"
        return Unheard(interval=interval, why=why, is_now=is_now)

    def _declared(self, account: Account) -> list[Poll]:
        """Return the polls of the declared sources that this account reads."""
        return [
            poll_of(source, account, **self._ports(reads_how(source)))
            for source in self.plan.wiring.sources.polled
            if self._reads(source, account)
        ]

    def _reads(self, source: PolledSource, account: Account) -> bool:
        """Return True if the account reads a source: the named one, or the first, or each."""
        if not isinstance(source, Search | ListPosts):
            return True
        if source.account:
            return source.account.casefold() == account.username.casefold()
        return account.id == self.first[0]

    def _stream(self, app: str, accounts: Sequence[Account]) -> ActivityStream:
        """Return the stream of an app, or its webhook if the settings want that."""

        def look(account_id: str) -> None:
            _poke(self.polls.get(account_id, ()))

        ports: dict[str, Any] = {
            "kinds": {account.id: self.plan.stream_kinds for account in accounts},
            "subscriptions": Subscriptions(self.x.sender, prefix=f"botkit:{self.plan.name}:"),
            "sender": self.x.sender,
            "intake": self.intake,
            "clock": self.x.clock,
            "entropy": self.x.entropy,
            "report": self.report,
            "gaps": self.gaps,
            "late": self._late,
            "on_connected": lambda: _poke(self.beside[app]),
            "on_lost": lambda: _poke(self.beside[app]),
            "on_unheard": look,
            "on_spend": self.x.budget.note,
            "may_hear": self.x.budget.check_hearing,
        }
        if self.settings.bot.source == "webhook":
            url = self.settings.webhook.public_url or ""
            return ActivityWebhook(app, accounts, url=url, **ports)
        return ActivityStream(app, accounts, **ports)


def _poke(polls: Iterable[Poll | FilteredStream | RuleGaps]) -> None:
    """Make the polls read now: the stream may have missed events."""
    for poll in polls:
        poll.poke()
