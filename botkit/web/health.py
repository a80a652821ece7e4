"""`/healthz` (the process is alive) and `/readyz` (the bot can serve), without account names.

Source: docs/explanation/requirements.md, D7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from botkit.model.tokens import LoginState
from botkit.web.responses import WebResponse, json_response
from botkit.web.server import WebRoute

if TYPE_CHECKING:
    from botkit.web.requests import WebRequest

__all__ = ["Health", "LoginHealth", "Readiness", "judge"]

_READS = ("GET", "HEAD")
_LIVE = "live"
_PARTLY = "partly"
_STARTING = "starting"
_STOPS = {
    ("store", "unavailable"): "the store cannot be used",
    ("handlers", "saturated"): "all handlers hang",
}
_DEGRADES = {
    ("account", "stopped"): "an account is stopped",
    ("gaps", "open"): "something may not have been heard",
}


class Readiness(Struct, frozen=True, kw_only=True):
    """Hold the answer of `/readyz`.

    Attributes:
        status: `ready`, `degraded` (it serves, but a person should look) or `not ready`.
        why: A few words for each fault.
        logins: The number of logins in each state.
        sources: The number of event sources in each state: live, partly (some accounts are not
            heard through it), waiting, starting, wrong.
    """

    status: str
    why: tuple[str, ...]
    logins: Mapping[str, int]
    sources: Mapping[str, int]


class LoginHealth(NamedTuple):
    """Hold a login's state, and if calls can use it now: an UNCERTAIN login may still work."""

    state: LoginState
    works: bool


def judge(
    phase: str,
    logins: Iterable[LoginHealth],
    sources: Iterable[str],
    *,
    parts: Mapping[str, str],
) -> Readiness:
    """Judge whether a bot can serve.

    `sources` are the states of the event sources, `parts` those of all parts by name.
    """
    known = list(logins)
    heard = Counter(sources)
    why = [phase] if phase != "running" else []
    why += [words for (part, state), words in _STOPS.items() if parts.get(part) == state]
    working = sum(login.works for login in known)
    if known and not working:
        why.append("no login works")
    if heard and not (heard[_LIVE] or heard[_PARTLY]):
        why.append("nothing is heard")
    ready = not why
    if working and any(login.state is not LoginState.OK for login in known):
        why.append("a login needs attention")
    if ready and heard[_LIVE] < heard.total():
        why.append("a source is not live")
    found = {(name.partition("/")[0], state) for name, state in parts.items() if "/" in name}
    why += [words for each, words in _DEGRADES.items() if each in found]
    if "wrong" in parts.values():
        why.append("a part of botkit fails")
    states = Counter(login.state.value for login in known)
    status = "not ready" if not ready else "degraded" if why else "ready"
    return Readiness(status=status, why=tuple(why), logins=dict(states), sources=dict(heard))


@dataclass(kw_only=True, slots=True)
class Health:
    """Hold the health of a running bot, and the routes that serve it.

    Attributes:
        logins: Returns the health of all loaded logins.
        parts: Returns the state of each part of the runtime, by the part's name.
        sources: Returns the names of the parts that are event sources.
        phase: `starting`, `running` or `stopping`.
    """

    logins: Callable[[], Iterable[LoginHealth]]
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
        return judge(self.phase, self.logins(), heard, parts=parts)

    async def _alive(self, request: WebRequest) -> WebResponse:
        del request
        return json_response(200, {"status": "alive"})

    async def _ready(self, request: WebRequest) -> WebResponse:
        del request
        readiness = self.readiness
        return json_response(503 if readiness.status == "not ready" else 200, readiness)
