"""`/healthz` (the process is alive) and `/readyz` (the bot can serve), without account names.

Source: docs/explanation/requirements.md, D7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.model.tokens import LoginState
from botkit.web.responses import WebResponse, json_response
from botkit.web.server import WebRoute

if TYPE_CHECKING:
    from botkit.web.requests import WebRequest

__all__ = ["Health", "Readiness", "judge"]

_READS = ("GET", "HEAD")
_LIVE = "live"
_STARTING = "starting"


class Readiness(Struct, frozen=True, kw_only=True):
    """The answer of `/readyz`.

    Attributes:
        status: `ready`, `degraded` (it serves, and a person should look) or `not ready`.
        why: A few words for each fault.
        logins: The number of logins in each state.
        sources: The number of event sources in each state: live, waiting, starting, wrong.
    """

    status: str
    why: tuple[str, ...]
    logins: Mapping[str, int]
    sources: Mapping[str, int]


def judge(
    phase: str,
    logins: Iterable[LoginState],
    sources: Iterable[str],
    *,
    stopped: int = 0,
    gaps: int = 0,
) -> Readiness:
    """Judge whether a bot can serve.

    `stopped` is the number of accounts that are stopped, `gaps` of those that may have missed
    something.
    """
    states = Counter(state.value for state in logins)
    heard = Counter(sources)
    good = states[LoginState.OK.value]
    why: list[str] = []
    if phase != "running":
        why.append(phase)
    if states and not good:
        why.append("no login works")
    if heard and not heard[_LIVE]:
        why.append("nothing is heard")
    ready = not why
    if good and good < states.total():
        why.append("a login needs attention")
    if heard[_LIVE] and heard[_LIVE] < heard.total():
        why.append("a source is not live")
    if stopped:
        why.append("an account is stopped")
    if gaps:
        why.append("something may not have been heard")
    status = "not ready" if not ready else "degraded" if why else "ready"
    return Readiness(status=status, why=tuple(why), logins=dict(states), sources=dict(heard))


@dataclass(kw_only=True, slots=True)
class Health:
    """The health of a running bot, and the routes that tell it.

    Attributes:
        logins: Returns the states of all loaded logins.
        parts: Returns the state of each part of the runtime, by the part's name.
        sources: Returns the names of the parts that are event sources.
        phase: `starting`, `running` or `stopping`.
    """

    logins: Callable[[], Iterable[LoginState]]
    parts: Callable[[], Mapping[str, str]]
    sources: Callable[[], Collection[str]]
    phase: str = _STARTING

    @property
    def routes(self) -> dict[str, WebRoute]:
        """The routes `/healthz` and `/readyz`."""
        return {
            "/healthz": WebRoute(methods=_READS, answer=self._alive),
            "/readyz": WebRoute(methods=_READS, answer=self._ready),
        }

    @property
    def readiness(self) -> Readiness:
        """The bot's readiness now."""
        parts = self.parts()
        heard = [parts.get(name, _STARTING) for name in self.sources()]
        stopped = sum(
            state == "stopped" for name, state in parts.items() if name.startswith("account/")
        )
        gaps = sum(state == "open" for name, state in parts.items() if name.startswith("gaps/"))
        return judge(self.phase, self.logins(), heard, stopped=stopped, gaps=gaps)

    async def _alive(self, request: WebRequest) -> WebResponse:
        del request
        return json_response(200, {"status": "alive"})

    async def _ready(self, request: WebRequest) -> WebResponse:
        del request
        readiness = self.readiness
        return json_response(503 if readiness.status == "not ready" else 200, readiness)
