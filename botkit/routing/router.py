"""The router, on which an author registers handlers for events.

A router only records; `routing.wiring` checks and joins everything when the bot starts. A fault
of one registration alone (a handler without `async`, a wrong cron expression) raises at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from datetime import timedelta
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
    overload,
)

from msgspec import Struct

from botkit.errors import WiringError
from botkit.model.events import Event, Tick
from botkit.model.sources import PolledSource, Rule
from botkit.routing.declared_sources import Declared, caller, rule_of
from botkit.routing.provision import Provider
from botkit.routing.schedules import CatchUp, Schedule, cron_schedule, interval_schedule
from botkit.routing.signatures import is_async, name_of, place_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from botkit.model.failures import Failure
    from botkit.ports import Filter
    from botkit.routing.middleware import CallNext

__all__ = ["Registers", "Registration", "Router", "must_be_a_span"]

E = TypeVar("E", bound=Event)
E1 = TypeVar("E1", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[[], Any])

_TIMEOUT_S = 60.0


class Registers(Protocol[E]):
    """A decorator for handlers of these events; it returns the handler unchanged."""

    def __call__(
        self, handler: Callable[Concatenate[E, P], Coroutine[Any, Any, R]], /
    ) -> Callable[Concatenate[E, P], Coroutine[Any, Any, R]]:
        """Register the handler and return it."""
        ...


class Registration(Struct, frozen=True, kw_only=True):
    """A handler as it was registered.

    Attributes:
        events: The classes of events for it, their subclasses included.
        name: The name under which the store keeps what it did.
        was: What it was called before.
        function: The function's name.
        place: File and line.
    """

    handler: Callable[..., Coroutine[Any, Any, Any]]
    events: tuple[type[Event], ...]
    filters: tuple[Any, ...] = ()
    timeout_s: float
    answer_within: timedelta | None = None
    name: str
    was: tuple[str, ...] = ()
    function: str
    place: str
    schedule: Schedule | None = None
    rule: Rule | None = None


class Router:
    """Handlers, middleware and providers that belong together. A bot is a router, too.

    The first matching handler gets the event, in the order of registration; the handlers of an
    included router stand where it was included.
    """

    def __init__(self, name: str) -> None:
        if not _is_a_name(name):
            raise WiringError(
                f"A bot or router is called by a short name without slashes, not {name!r}: it "
                "stands in logs and in the keys of what its handlers wrote."
            )
        self.name = name
        self.parent: Router | None = None
        self.parts: list[Registration | Router] = []
        """Handlers and included routers, in order."""
        self.layers: list[Callable[..., Coroutine[Any, Any, Any]]] = []
        """Middleware, outermost first."""
        self.error_hooks: list[Callable[..., Coroutine[Any, Any, Any]]] = []
        """The functions to call for each failed run."""
        self.providers: list[Provider] = []
        self.sources: list[Declared] = []
        """The sources that `hear` declared."""
        self._runs = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def is_running(self) -> bool:
        """Whether a bot that it belongs to runs now."""
        return self._runs > 0 or (self.parent is not None and self.parent.is_running)

    @contextmanager
    def while_running(self) -> Generator[None]:
        """Refuse whatever is registered until the block ends: it would never run."""
        self._runs += 1
        try:
            yield
        finally:
            self._runs -= 1

    @overload
    def on(
        self,
        event: type[E],
        /,
        *filters: Filter[E],
        rule: str = "",
        tag: str = "",
        timeout_s: float = _TIMEOUT_S,
        answer_within: timedelta | None = None,
        name: str = "",
        was: str | tuple[str, ...] = (),
    ) -> Registers[E]: ...

    @overload
    def on(
        self,
        event: tuple[type[E1], type[E2]],
        /,
        *filters: Filter[E1 | E2],
        rule: str = "",
        tag: str = "",
        timeout_s: float = _TIMEOUT_S,
        answer_within: timedelta | None = None,
        name: str = "",
        was: str | tuple[str, ...] = (),
    ) -> Registers[E1 | E2]: ...

    @overload
    def on(
        self,
        event: tuple[type[E1], type[E2], type[E3]],
        /,
        *filters: Filter[E1 | E2 | E3],
        rule: str = "",
        tag: str = "",
        timeout_s: float = _TIMEOUT_S,
        answer_within: timedelta | None = None,
        name: str = "",
        was: str | tuple[str, ...] = (),
    ) -> Registers[E1 | E2 | E3]: ...

    def on(
        self,
        event: type[Event] | tuple[type[Event], ...],
        /,
        *filters: Callable[[Any], object],
        rule: str = "",
        tag: str = "",
        timeout_s: float = _TIMEOUT_S,
        answer_within: timedelta | None = None,
        name: str = "",
        was: str | tuple[str, ...] = (),
    ) -> Any:
        """Register a handler for an event class (with its subclasses) or a tuple of them.

        All filters must pass. `timeout_s` limits one run of the handler. A post or message that is
        heard later than `answer_within` after it was made (by default the bot's) does not run: it
        is recorded as late until a person runs `botkit events retry --late`.

        `on(PostMatched, rule="cats has:images", tag="cats")` declares a rule of X's filtered
        stream, and handles the posts that match it; `tag` alone takes the matches of a rule or
        `Search` that is declared elsewhere.

        The store keeps a handler's writes and results under its `name`, by default the function's.
        Before you rename the function, set `name`, or pass the former name as `was`.

        Raises:
            WiringError: An argument is not an event class or filter, or the decorated function is
                not async.
        """
        events = event if isinstance(event, tuple) else (event,)
        for wanted in events or ((),):
            _must_be_events(wanted)
        for given in filters:
            _must_be_a_filter(given)
        if answer_within is not None:
            must_be_a_span(answer_within)
        declared, tagged = rule_of(events, rule, tag)
        return self._registers(
            events,
            timeout_s,
            _Names.of(name, was),
            filters=(*tagged, *filters),
            answer_within=answer_within,
            rule=declared,
        )

    def hear(self, source: PolledSource, /) -> None:
        """Read a `Search`, `OwnPosts`, a `HomeTimeline` or `ListPosts` beside the usual sources.

        Raises:
            WiringError: It is no such source.
        """
        self._must_not_run("hear")
        _must_be_a_source(source)
        self.sources.append(Declared(source, caller()))

    def every(
        self,
        interval: timedelta | float,
        /,
        *,
        catch_up: CatchUp = "skip",
        max_late: timedelta | None = None,
        jitter: timedelta | float = 0,
        timeout_s: float = _TIMEOUT_S,
        name: str = "",
        was: str | tuple[str, ...] = (),
    ) -> Registers[Tick]:
        """Run a handler again and again; a number is seconds.

        `catch_up` decides about times that were missed while the bot was down: `skip` them, run
        the `latest`, or run `all`. A time later than `max_late` never runs. Each time runs up to
        `jitter` later, by another part of it for each time and account.

        Raises:
            WiringError: The interval or an option is wrong.
        """

        def schedule(called: str) -> Schedule:
            return interval_schedule(
                called, interval, catch_up=catch_up, max_late=max_late, jitter=jitter
            )

        return self._scheduled(schedule, timeout_s, _Names.of(name, was))

    def cron(
        self,
        expression: str,
        /,
        *,
        tz: str = "UTC",
        catch_up: CatchUp = "skip",
        max_late: timedelta | None = None,
        jitter: timedelta | float = 0,
        timeout_s: float = _TIMEOUT_S,
        name: str = "",
        was: str | tuple[str, ...] = (),
    ) -> Registers[Tick]:
        """Run a handler at times of the clock in a zone: `cron("0 8 * * *", tz="Europe/Berlin")`.

        Missed times and `jitter` are treated as by `every`.

        Raises:
            WiringError: The expression, the zone or an option is wrong.
        """

        def schedule(called: str) -> Schedule:
            return cron_schedule(
                called, expression, tz=tz, catch_up=catch_up, max_late=max_late, jitter=jitter
            )

        return self._scheduled(schedule, timeout_s, _Names.of(name, was))

    def include(self, router: Router) -> None:
        """Include a router's handlers at this place.

        Raises:
            WiringError: The router belongs to another router, or contains this one.
        """
        self._must_not_run("include")
        if router.parent is not None:
            raise WiringError(
                f"{router!r} belongs to {router.parent!r}: a router has one parent only."
            )
        above: Router | None = self
        while above is not None:
            if above is router:
                raise WiringError(f"{router!r} cannot include itself, not even by way of others.")
            above = above.parent
        router.parent = self
        self.parts.append(router)

    def provide(self, factory: F) -> F:
        """Register a factory for the type of its return annotation: one value for the whole run.

        The factory is a function, an async function, or one made by `asynccontextmanager`, which
        is closed when the bot stops. Returns the factory, so that it works as a decorator.

        Raises:
            WiringError: The factory is no function.
        """
        self._must_not_run("provide")
        if not callable(factory):
            raise WiringError(f"provide() takes a function that makes the value, not {factory!r}.")
        self.providers.append(Provider(factory=factory, place=place_of(factory)))
        return factory

    def middleware(
        self, function: Callable[Concatenate[Event, CallNext, P], Coroutine[Any, Any, R]], /
    ) -> Callable[Concatenate[Event, CallNext, P], Coroutine[Any, Any, R]]:
        """Put `async def mw(event, call_next)` around all handlers of this router and below.

        Raises:
            WiringError: The function is not async.
        """
        self._must_not_run("middleware")
        _must_be_async(function)
        self.layers.append(function)
        return function

    def on_error(
        self, function: Callable[Concatenate[Failure, P], Coroutine[Any, Any, R]], /
    ) -> Callable[Concatenate[Failure, P], Coroutine[Any, Any, R]]:
        """Register `async def report(failure)` to be called for each failed run of a handler.

        It is called for all handlers of the bot, whichever router it belongs to, after the failure
        was recorded, and cannot change the fate of the event. Further parameters are injected by
        type, like those of middleware. Exceptions that it raises are logged.

        Raises:
            WiringError: The function is not async.
        """
        self._must_not_run("on_error")
        _must_be_async(function)
        self.error_hooks.append(function)
        return function

    def _scheduled(
        self, schedule: Callable[[str], Schedule], timeout_s: float, names: _Names
    ) -> Registers[Tick]:
        schedule(self.name)  # raises here if the option is wrong
        registers: Registers[Tick] = self._registers((Tick,), timeout_s, names, schedule=schedule)
        return registers

    def _registers(
        self,
        events: tuple[type[Event], ...],
        timeout_s: float,
        names: _Names,
        *,
        filters: tuple[Callable[[Any], object], ...] = (),
        schedule: Callable[[str], Schedule] | None = None,
        answer_within: timedelta | None = None,
        rule: Rule | None = None,
    ) -> Any:
        _must_be_seconds(timeout_s)

        def register(
            handler: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
        ) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
            self._must_not_run("a handler")
            _must_be_async(handler)
            function = name_of(handler)
            name = names.name or function
            self.parts.append(
                Registration(
                    handler=handler,
                    events=events,
                    filters=filters,
                    timeout_s=float(timeout_s),
                    answer_within=answer_within,
                    name=name,
                    was=names.was,
                    function=function,
                    place=place_of(handler),
                    schedule=schedule(name) if schedule else None,
                    rule=rule,
                )
            )
            return handler

        return register

    def _must_not_run(self, what: str) -> None:
        if self.is_running:
            raise WiringError(
                f"{what} was registered in {self!r} while its bot runs: it would never be used.",
                hint="Register everything before the bot starts.",
            )


class _Names(NamedTuple):
    """The name that an author gave a handler, "" for none, and those it had before."""

    name: str
    was: tuple[str, ...]

    @classmethod
    def of(cls, name: str, was: str | tuple[str, ...]) -> _Names:
        """Return the names. Raises `WiringError` for one that cannot stand in keys."""
        names = cls(name, (was,) if isinstance(was, str) else was)
        for given in (*filter(None, [name]), *names.was):
            if not _is_a_name(given):
                raise WiringError(
                    f"A handler is called by a short name without slashes, not {given!r}: it "
                    "stands in logs and in the keys of what the handler wrote."
                )
        return names


def _is_a_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and bool(name)
        and name.isprintable()
        and name == name.strip()
        and "/" not in name
    )


def must_be_a_span(answer_within: object) -> None:
    """Raise `WiringError` unless `answer_within` is a possible limit: a span above zero."""
    if not isinstance(answer_within, timedelta) or answer_within <= timedelta(0):
        raise WiringError(
            f"answer_within={answer_within!r}: say how late an event may be heard, such as"
            " timedelta(hours=24)."
        )


def _must_be_seconds(timeout_s: object) -> None:
    if not isinstance(timeout_s, (int, float)) or not timeout_s > 0:
        raise WiringError(f"timeout_s={timeout_s!r}: a handler needs some seconds.")


def _must_be_events(wanted: object) -> None:
    if not (isinstance(wanted, type) and issubclass(wanted, Event)):
        raise WiringError(f"on({wanted!r}): needs a class of events, such as Mention.")
    if issubclass(wanted, Tick):
        raise WiringError("on(Tick): a tick goes to the handler of its own every or cron.")


def _must_be_a_filter(given: object) -> None:
    if isinstance(given, type) and issubclass(given, Event):
        raise WiringError(
            f"on(..., {given.__name__}): several classes of events go into a tuple, as in "
            f"on((Mention, {given.__name__ if given is not Event else 'Reply'}), ...)."
        )
    if isinstance(given, type) or not callable(given) or iscoroutinefunction(given):
        raise WiringError(
            f"on(..., {given!r}): a filter is a function that is not async, or made by "
            "botkit.filters, such as contains('hello')."
        )


def _must_be_a_source(given: object) -> None:
    if not isinstance(given, PolledSource):
        raise WiringError(
            f"hear({given!r}): needs a source, such as Search(query='cats', tag='cats')."
        )


def _must_be_async(function: Any) -> None:
    if not callable(function):
        raise WiringError(f"A handler is an async function, not {function!r}.")
    if isasyncgenfunction(function):
        raise WiringError(
            f"{name_of(function)} ({place_of(function)}) has a `yield`, which makes a generator "
            "of it: write `return`."
        )
    if not is_async(function):
        raise WiringError(
            f"{name_of(function)} ({place_of(function)}) is not async: write `async def`."
        )
