"""Hear by a webhook: X delivers the activity events to the bot's own HTTP server.

It registers the address, subscribes for the accounts, and looks now and then whether X still takes
the address for valid: X delivers nothing to one that is not. What happened meanwhile is a gap.
Source: X API docs, "Webhooks": an address is valid until its challenges fail, and again after a
PUT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from botkit.errors import BadRequest, ConfigError
from botkit.protocol.api import objects, push_requests
from botkit.protocol.api.json_fields import Fields
from botkit.sources.hearing_limit import MayHear, without_limit
from botkit.sources.push.stream import ActivityStream
from botkit.waiting.events import event_or_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Unpack

    from botkit.model.events import XEvent
    from botkit.model.users import Account
    from botkit.ports import Sender
    from botkit.protocol.api.objects import RegisteredWebhook
    from botkit.protocol.api.requests import Request
    from botkit.protocol.api.responses import Response
    from botkit.sources.push.lines import StreamPorts
    from botkit.sources.push.subscriptions import Subscriptions

__all__ = ["ActivityWebhook", "Webhooks"]

_log = structlog.get_logger(__name__)

_LOOK_S: Final = 600.0
"""The time between two looks whether the webhook is valid: X allows 450 reads in 15 minutes."""
_TURN_S: Final = 5.0
"""The time between two looks for accounts that came, which the stream has with each keep-alive."""

_CURE: Final = (
    "From the internet, this must print a response_token: curl 'URL?crc_token=a'. See to the proxy"
    " before the bot, its certificate, and [apps] api_secret."
)


class Webhooks:
    """Manages the webhooks of one app.

    Args:
        account_id: An account of the app: its app's bearer is used.
    """

    def __init__(self, sender: Sender, *, account_id: str) -> None:
        self._sender = sender
        self._account_id = account_id

    async def listing(self) -> tuple[RegisteredWebhook, ...]:
        """Return the app's webhooks."""
        request = push_requests.list_webhooks()
        return objects.read_webhooks(await self._sender.send(request, account_id=self._account_id))

    async def ensure(self, url: str) -> str:
        """Register the address, or have it validated if X takes it for invalid; return its id.

        Raises:
            ConfigError: X does not take the address.
        """
        for webhook in await self.listing():
            if webhook.url == url:
                if not webhook.valid:
                    await self.validate(webhook)
                return webhook.id
        answer = await self._send(push_requests.create_webhook(url), url)
        _log.info("webhook.registered", url=url)
        return objects.read_webhook(answer).id

    async def validate(self, webhook: RegisteredWebhook) -> None:
        """Have X send a challenge now.

        Raises:
            ConfigError: It was not answered right.
        """
        await self._send(push_requests.validate_webhook(webhook.id), webhook.url)
        _log.info("webhook.validated", url=webhook.url)

    async def replay(self, webhook_id: str, *, since: datetime, until: datetime) -> str:
        """Let X deliver again what happened in a span; return the id of its job, "" if none."""
        request = push_requests.replay_webhook(webhook_id, since=since, until=until)
        answer = await self._sender.send(request, account_id=self._account_id)
        return Fields(answer.data).id("job_id") or ""

    async def remove(self, webhook_id: str) -> None:
        """Remove a webhook."""
        request = push_requests.delete_webhook(webhook_id)
        await self._sender.send(request, account_id=self._account_id)

    async def is_valid(self, url: str) -> bool:
        """Return True if X has the address and takes it for valid."""
        return any(each.url == url and each.valid for each in await self.listing())

    async def _send(self, request: Request, url: str) -> Response:
        try:
            return await self._sender.send(request, account_id=self._account_id)
        except BadRequest as error:
            raise ConfigError(
                f"X does not take {url} for a webhook: {error.detail or error.title}.",
                hint=_CURE,
            ) from error


class ActivityWebhook(ActivityStream):
    """Hear the activity events of one app's accounts by a webhook.

    Args:
        url: The address at which X delivers.
        kinds: The kinds of events to subscribe to, by account id.
        may_hear: Awaited after events; raises `Parked` while an account may not hear more.
        on_unheard: As that of `ActivityStream`.
        ports: Those of `LineStream`.
    """

    def __init__(
        self,
        app: str,
        accounts: Sequence[Account],
        *,
        url: str,
        kinds: Mapping[str, Sequence[str]],
        subscriptions: Subscriptions,
        may_hear: MayHear = without_limit,
        on_unheard: Callable[[str], None] = lambda _: None,
        **ports: Unpack[StreamPorts],
    ) -> None:
        super().__init__(
            app,
            accounts,
            kinds=kinds,
            subscriptions=subscriptions,
            may_hear=may_hear,
            on_unheard=on_unheard,
            source="webhook",
            **ports,
        )
        self._url = url
        self._taken: set[str] = set()
        """The accounts of which events came since the last turn."""

    async def take(self, account_id: str, events: Sequence[XEvent]) -> None:
        """Commit delivered events of an account.

        Raises:
            StateError: Nothing was committed.
        """
        self._book(account_id, events)
        await self._intake.record(events, account_id=account_id, source=self._source)
        self._note_heard(self._clock.now())
        self._taken.add(account_id)

    def _gap_sources(self) -> Iterable[str]:
        """Return the name by which the polls know what comes by no poll's own reads."""
        return ("activity",)

    def _request(self) -> Request:
        return push_requests.list_webhooks()

    @property
    def _webhooks(self) -> Webhooks:
        return Webhooks(self._sender, account_id=next(iter(self._accounts)))

    async def _prepare(self) -> None:
        """Register the address and subscribe for all accounts."""
        self._subscriptions.webhook_id = await self._webhooks.ensure(self._url)
        await super()._prepare()

    async def _read(self) -> None:
        """Watch over the webhook until X takes it for invalid, or cannot be asked."""
        await self._look()
        now = self._clock.now()
        for source in self._gap_sources():
            await self._gaps.heard_again(tuple(self._hearers()), source=source, now=now)
        self._note_open()
        try:
            await self._watch()
        except Exception as problem:  # at a stop, the polls' checkpoints suffice
            await self._open_gaps(str(problem))
            raise

    async def _watch(self) -> None:
        while True:
            look_at_s = self._clock.monotonic() + _LOOK_S
            while self._clock.monotonic() < look_at_s:
                self._poked.clear()
                await event_or_timeout(self._poked, _TURN_S, clock=self._clock)
                await self._between_reads()
                while self._taken:
                    await self._check_budget(self._taken.pop())
            await self._look()

    async def _look(self) -> None:
        """Raise `StreamClosed` unless X takes the webhook for valid."""
        if not await self._webhooks.is_valid(self._url):
            raise self._closed(f"X takes {self._url} for invalid, or has it no more")
        self._note_heard(self._clock.now())
