"""Computes when a handler of `every` or `cron` is due, and which missed times still run.

Across a change of the clocks cron behaves as Debian's: a job at a fixed time that the change skips
runs right after it, and a job at a time that occurs twice runs once; jobs of every hour or every
minute follow real time. Source: cronsim; cron(8), "NOTES".
"""

from __future__ import annotations

import hashlib
from collections import deque
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from botkit.errors import WiringError
from botkit.model.events import Tick

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CatchUp", "Due", "Schedule", "cron_schedule", "interval_schedule"]

CatchUp = Literal["skip", "latest", "all"]

_FIELDS = 5
_CRON_FIELDS = {
    "minute": "is 0 to 59",
    "hour": "is 0 to 23",
    "day-of-month": "is 1 to 31, and there is such a day in that month",
    "month": "is 1 to 12 or JAN to DEC",
    "day-of-week": "is 0 to 7 (0 and 7 are Sunday) or SUN to SAT",
}
"""The fields of an expression in order, with cronsim's names for them."""
_INSTANT = timedelta.resolution
_SHORTEST = timedelta(seconds=1)
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_ON_TIME = timedelta(minutes=1)
"""A time this late is still on time for `skip`: enough for a restart or a busy minute."""
_BATCH = 100
_LATER = ", up to "
_WHOLE = 2**64


class Due(Struct, frozen=True, kw_only=True):
    """The times to fire now, oldest first, and the next time to look again; all in UTC.

    `next_at` lies in the past if there is more to catch up than one batch takes.
    """

    times: tuple[datetime, ...]
    next_at: datetime


class Schedule(Struct, frozen=True, kw_only=True):
    """A handler's schedule. Make one with `cron_schedule` or `interval_schedule`.

    Attributes:
        name: The handler's name, which is the schedule's name in rows, ticks and logs.
        spec: The interval or expression as text; if it changes, the planned time is void.
        zone: The zone of a cron expression and of the times of its ticks.
        catch_up: `skip` fires a missed time only if it is hardly late, `latest` only the last
            missed one, `all` each of them.
        max_late: Times later than this are never fired.
        jitter: Each time fires up to this much later, by a part that only schedule, account and
            time decide: accounts do not act at the same moment, and a restart changes nothing.
        was: The names it had before: its planned time and its ticks may stand under one.
    """

    name: str
    spec: str
    zone: tzinfo
    cron: str = ""
    interval: timedelta = timedelta(0)
    catch_up: CatchUp = "skip"
    max_late: timedelta | None = None
    jitter: timedelta = timedelta(0)
    was: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        """The `spec` with the jitter: the text in the schedule's row."""
        seconds = self.jitter.total_seconds()
        return f"{self.spec}{_LATER}{seconds:g} s later" if seconds else self.spec

    def is_in_words(self, text: str) -> bool:
        """Return True if the text of a row is about this interval or expression."""
        return text.partition(_LATER)[0] == self.spec

    def delay(self, planned: datetime, *, account_id: str) -> timedelta:
        """Return how much later than planned a time fires for an account."""
        if not self.jitter:
            return self.jitter
        place = f"{account_id}/{self.name}/{planned.timestamp():.0f}".encode()
        part = int.from_bytes(hashlib.sha256(place).digest()[:8], "big")
        return self.jitter * (part / _WHOLE)

    def first_after(self, now: datetime) -> datetime:
        """Return the first time of a schedule that starts at that moment, in UTC."""
        start = now.astimezone(UTC)
        return next(self._after(start, planned=start.replace(microsecond=0)))

    def due(self, next_at: datetime, *, now: datetime) -> Due:
        """Return the times to fire at `now` if `next_at` was planned; both must be aware."""
        planned, moment = next_at.astimezone(UTC), now.astimezone(UTC)
        if planned > moment:
            return Due(times=(), next_at=planned)
        if self.catch_up == "all":
            return self._each(planned, moment)
        latest = self._latest(planned, moment)
        allowed = self.max_late
        if allowed is None and self.catch_up == "skip":
            allowed = _ON_TIME
        fires = allowed is None or moment - latest <= allowed
        next_time = next(self._after(latest, planned=planned))
        return Due(times=(latest,) if fires else (), next_at=next_time)

    def tick(self, at: datetime, *, account_id: str) -> Tick:
        """Return the event for one time and account."""
        return Tick(
            account_id=account_id,
            at=at.astimezone(self.zone),
            source="schedule",
            schedule=self.name,
        )

    def _after(self, moment: datetime, *, planned: datetime) -> Iterator[datetime]:
        """Yield all times after the moment; an interval counts from the planned time."""
        if not self.cron:
            at = planned + (moment - planned) // self.interval * self.interval
            while True:
                at += self.interval
                yield at
        from cronsim import CronSim

        for local in CronSim(self.cron, moment.astimezone(self.zone)):
            at = local.astimezone(UTC)
            if at > moment:  # an earlier one is in the first pass of an hour that occurs twice
                yield at

    def _since(self, start: datetime, *, planned: datetime) -> Iterator[datetime]:
        """Yield all times from the start on, the start included."""
        if start > planned:
            return self._after(start - _INSTANT, planned=planned)
        return chain((planned,), self._after(planned, planned=planned))

    def _latest(self, planned: datetime, now: datetime) -> datetime:
        """Return the last time up to now; searches backwards in growing steps."""
        if not self.cron:
            return planned + (now - planned) // self.interval * self.interval
        span = timedelta(hours=1)
        while True:
            times = self._since(max(planned, now - span), planned=planned)
            passed = deque(takewhile(lambda at: at <= now, times), maxlen=1)
            if passed:
                return passed[0]
            span *= 2

    def _each(self, planned: datetime, now: datetime) -> Due:
        """Return the times up to now that are not too late, one batch of them."""
        start = planned if self.max_late is None else max(planned, now - self.max_late)
        ahead = self._since(start, planned=planned)
        times: list[datetime] = []
        at = next(ahead)
        while at <= now and len(times) < _BATCH:
            times.append(at)
            at = next(ahead)
        return Due(times=tuple(times), next_at=at)


def cron_schedule(
    name: str,
    expression: str,
    *,
    tz: str = "UTC",
    catch_up: CatchUp = "skip",
    max_late: timedelta | None = None,
    jitter: timedelta | float = 0,
) -> Schedule:
    """Read a cron expression of five fields: minute, hour, day of month, month, day of week.

    Raises:
        WiringError: The expression, the zone or an option is wrong, or no time ever matches.
    """
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise WiringError(
            f"cron({expression!r}): needs five fields: minute hour day month weekday, "
            f"as in '0 8 * * *'; it has {len(fields)}."
        )
    from cronsim import CronSimError

    _check_options(name, catch_up, max_late)
    later = _jitter_of(name, jitter)
    schedule = Schedule(
        name=name,
        spec=f"cron {' '.join(fields)} {tz}",
        zone=_zone(tz),
        cron=" ".join(fields),
        catch_up=catch_up,
        max_late=max_late,
        jitter=later,
    )
    try:
        schedule.first_after(_ANY_DAY)
    except CronSimError as error:
        raise WiringError(_cron_fault(expression, fields, str(error))) from error
    return schedule


def _cron_fault(expression: str, fields: list[str], fault: str) -> str:
    """Return the fault of an expression: the field, and the values that it may have."""
    named = fault.removeprefix("Bad ")
    value = dict(zip(_CRON_FIELDS, fields, strict=True)).get(named, expression)
    rule = _CRON_FIELDS.get(named, "cannot be read")
    return f"cron({expression!r}): the {named} {value!r} is wrong; it {rule}."


def interval_schedule(
    name: str,
    interval: timedelta | float,
    *,
    catch_up: CatchUp = "skip",
    max_late: timedelta | None = None,
    jitter: timedelta | float = 0,
) -> Schedule:
    """Read an interval; a number means seconds. Times count from the first start.

    Raises:
        WiringError: The interval is shorter than a second, or an option is wrong.
    """
    try:
        span = interval if isinstance(interval, timedelta) else timedelta(seconds=interval)
    except (TypeError, ValueError, OverflowError) as error:
        raise WiringError(f"every({interval!r}): needs a timedelta or seconds.") from error
    if span < _SHORTEST:
        raise WiringError(f"every({interval!r}): the shortest interval is one second.")
    _check_options(name, catch_up, max_late)
    later = _jitter_of(name, jitter)
    if later > span:
        raise WiringError(f"{name}: jitter={jitter!r} is longer than the interval.")
    return Schedule(
        name=name,
        spec=f"every {span.total_seconds():g} s",
        zone=UTC,
        interval=span,
        catch_up=catch_up,
        max_late=max_late,
        jitter=later,
    )


def _check_options(name: str, catch_up: str, max_late: object) -> None:
    if catch_up not in get_args(CatchUp):
        raise WiringError(f"{name}: catch_up is 'skip', 'latest' or 'all', not {catch_up!r}.")
    if max_late is None or (isinstance(max_late, timedelta) and max_late >= timedelta(0)):
        return
    raise WiringError(f"{name}: max_late is a timedelta, not {max_late!r}.")


def _jitter_of(name: str, jitter: timedelta | float) -> timedelta:
    try:
        span = jitter if isinstance(jitter, timedelta) else timedelta(seconds=jitter)
    except (TypeError, ValueError, OverflowError):
        span = -_SHORTEST
    if span < timedelta(0):
        raise WiringError(f"{name}: jitter is a timedelta or seconds, not {jitter!r}.")
    return span


def _zone(tz: str) -> tzinfo:
    if tz == "UTC":
        return UTC
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise WiringError(
            f"There is no time zone {tz!r} here. Zones are called as in 'Europe/Berlin'; "
            "a machine without a zone database needs the package tzdata."
        ) from error
