"""Take X's deliveries: check, commit, then answer 200.

X sends a delivery again until it is answered with 200, and waits ten seconds for that. A captured
delivery stays rightly signed for ever, because X signs no time: the keys of its events find it,
and a post or message that is older than keys are kept is recorded and reaches no handler.
Source: docs/explanation/requirements.md, W1 to W8; X API docs, "Webhooks".
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog

from botkit.errors import MalformedAnswer, StreamClosed
from botkit.web.abuse_log import AbuseLog
from botkit.web.requests import BodyLimit
from botkit.web.responses import WebResponse, json_response, later, refusal
from botkit.web.server import WebRoute
from botkit.web.webhook.proofs import challenge_in, is_signed, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from typing import Any

    from botkit.model.events import XEvent
    from botkit.ports import Clock
    from botkit.web.requests import WebRequest

__all__ = ["Listener", "Webhook"]

_log = structlog.get_logger(__name__)

_LIMIT: Final = BodyLimit(size_bytes=1024 * 1024, timeout_s=5.0)
_COMMIT_S = 4.0
"""With the time for the body, X has its answer within the ten seconds that it waits."""
_MOST_COMMITS = 256
"""So many commits may be under way: the store that hangs must not fill the memory."""
_RETRY_S = 5


class Listener(Protocol):
    """Takes what the webhook of an app brings."""

    def events_of(self, line: bytes) -> list[XEvent]:
        """Return the events of a delivery.

        Raises:
            MalformedAnswer: It is no JSON.
            StreamClosed: It holds errors and no event.
        """
        ...

    def hears(self, account_id: str) -> bool:
        """Return True if events of this account are wanted."""
        ...

    async def take(self, account_id: str, events: Sequence[XEvent]) -> None:
        """Commit the events of one account; an exception says that they are not committed."""
        ...


class _Job(msgspec.Struct):
    job_state: str
    job_id: str = ""
    job_state_description: str = ""


class _ReplayEnded(msgspec.Struct):
    replay_job_status: _Job


class Webhook:
    """The receiver of one running bot.

    Args:
        path: The path at which X delivers.
        secrets: The app's API secret, and the one before it while X may still sign with it.
        listener: Returns who takes the events, None if nobody does now.
        spawn: Starts a commit, which outlives its request.
    """

    def __init__(
        self,
        path: str,
        secrets: Sequence[bytes],
        *,
        listener: Callable[[], Listener | None],
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, str]], asyncio.Task[str]],
    ) -> None:
        self._path = path
        self._secrets = secrets
        self._listener = listener
        self._log = AbuseLog(clock)
        self._spawn = spawn
        self._commits: set[asyncio.Task[str]] = set()
        self.refused: Counter[str] = Counter()
        """How many requests were refused since the start, by the reason."""

    @property
    def routes(self) -> dict[str, WebRoute]:
        """The one route: GET for a challenge, POST for a delivery."""
        return {
            self._path: WebRoute(methods=("GET", "POST"), answer=self._answer, body=_LIMIT),
        }

    async def _answer(self, request: WebRequest) -> WebResponse:
        if request.method == "GET":
            return self._answer_challenge(request)
        body = await request.body()
        if body is None:
            return self._refuse(
                413, "body too large or too slow", "the body is too large, too slow, or compressed"
            )
        if not is_signed(request, body, self._secrets):
            return self._refuse_proof("not signed by X")
        if b'"replay_job_status"' in body and _log_replay(body):
            return json_response(200, {})
        listener = self._listener()
        if listener is None:
            return self._not_now("no account listens")
        return await self._take(listener, body)

    def _answer_challenge(self, request: WebRequest) -> WebResponse:
        token = challenge_in(request.query)
        if token is None:
            return self._refuse_proof("no challenge")
        _log.info("webhook.challenged")
        signature = signature_of(self._secrets[0], token.encode())
        return json_response(200, {"response_token": signature.decode()})

    async def _take(self, listener: Listener, body: bytes) -> WebResponse:
        """Commit the events of a delivery that X has signed."""
        try:
            if not body.lstrip().startswith(b"{"):
                return self._refuse(400, "no event", "the body is no JSON object")
            events = listener.events_of(body)
        except (MalformedAnswer, StreamClosed):
            return self._refuse(400, "no event", "the body holds no event")
        by_account: defaultdict[str, list[XEvent]] = defaultdict(list)
        unknown = False
        for event in events:
            if not listener.hears(event.account_id):
                unknown = True
            else:
                by_account[event.account_id].append(event)
        if unknown:
            answer = self._refuse(403, "account not here", "this bot does not hear that account")
            if not by_account:
                return answer
        return await self._commit(listener, by_account)

    async def _commit(
        self, listener: Listener, by_account: Mapping[str, Sequence[XEvent]]
    ) -> WebResponse:
        if len(self._commits) >= _MOST_COMMITS:
            return self._not_now("too many deliveries at once")
        # The commit is not cancelled: what is committed must reach the handlers.
        commit = self._spawn(_take_all(listener, by_account))
        self._commits.add(commit)
        commit.add_done_callback(self._commits.discard)
        done, _ = await asyncio.wait({commit}, timeout=_COMMIT_S)
        if not done:
            return self._not_now(f"not on disk within {_COMMIT_S:.0f} s")
        why = "the bot stops" if commit.cancelled() else commit.result()
        return self._not_now(why) if why else json_response(200, {})

    def _not_now(self, why: str) -> WebResponse:
        self._log.warning("webhook.not_taken", why=why)
        return later(503, "cannot take it now", _RETRY_S)

    def _refuse_proof(self, reason: str) -> WebResponse:
        return self._refuse(401, reason, "not authorized")

    def _refuse(self, status: int, reason: str, why: str) -> WebResponse:
        self.refused[reason] += 1
        self._log.warning("webhook.refused", reason=reason, times=self.refused[reason])
        return refusal(status, why)


async def _take_all(listener: Listener, by_account: Mapping[str, Sequence[XEvent]]) -> str:
    """Commit account by account; return why one was not committed, "" if all were.

    What was committed before is found by its keys when X delivers it again.
    """
    try:
        for account_id, events in by_account.items():
            await listener.take(account_id, events)
    except Exception as error:  # noqa: BLE001 - one delivery must not end the bot
        return str(error) or repr(error)
    return ""


def _log_replay(body: bytes) -> bool:
    """Log how a replay ended; return False if this is not what the body says."""
    try:
        job = msgspec.json.decode(body, type=_ReplayEnded).replay_job_status
    except msgspec.MsgspecError:
        return False
    said = {"job": job.job_id, "state": job.job_state, "why": job.job_state_description}
    if job.job_state == "Complete":
        _log.info("webhook.replay_ended", **said)
    else:
        _log.warning("webhook.replay_ended", **said)
    return True
