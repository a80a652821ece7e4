"""When a handler of `every` or `cron` is due, and what happens with the times that were missed.

Cron runs as Debian's does across a change of the clocks: a job at a fixed time that the change
leaves out runs right after it, one at a time that comes twice runs once; a job of every hour or
every minute follows real time. Source: cronsim; cron(8), "NOTES".
"""

from __future__ import annotations

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
_INSTANT = timedelta.resolution
_SHORTEST = timedelta(seconds=1)
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_ON_TIME = timedelta(minutes=1)
"""How late a time still counts as on time for `skip`: a restart or a busy minute."""
_BATCH = 100


class Due(Struct, frozen=True, kw_only=True):
    """The outcome of a look at the clock: times to fire now, oldest first, and when to look again.

    All in UTC. `next_at` is past when there is more to catch up than one batch takes.
    """

    times: tuple[datetime, ...]
    next_at: datetime


class Schedule(Struct, frozen=True, kw_only=True):
    """A handler's schedule. Make one with `cron_schedule` or `interval_schedule`.

    Attributes:
        name: The handler's name: rows, ticks and logs call the schedule so.
        spec: What was asked for, as text; the planned time is void when it changes.
        zone: The zone whose clock a cron expression reads; ticks carry their time in it.
        catch_up: `skip` fires a missed time only when it is hardly late, `latest` the last one
            that was missed, `all` each of them.
        max_late: What is later than this is not fired at all.
    """

    name: str
    spec: str
    zone: tzinfo
    cron: str = ""
    interval: timedelta = timedelta(0)
    catch_up: CatchUp = "skip"
    max_late: timedelta | None = None

    def first_after(self, now: datetime) -> datetime:
        """The first time of a schedule that starts now, in UTC."""
        start = now.astimezone(UTC)
        return next(self._after(start, planned=start.replace(microsecond=0)))

    def due(self, next_at: datetime, *, now: datetime) -> Due:
        """What to fire when it was planned for `next_at` and it is `now`; both aware."""
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
        """The event for one time and account."""
        return Tick(
            account_id=account_id,
            at=at.astimezone(self.zone),
            source="schedule",
            schedule=self.name,
        )

    def _after(self, moment: datetime, *, planned: datetime) -> Iterator[datetime]:
        """All times later than the moment; an interval counts from the planned time."""
        if not self.cron:
            at = planned + (moment - planned) // self.interval * self.interval
            while True:
                at += self.interval
                yield at
        from cronsim import CronSim

        for local in CronSim(self.cron, moment.astimezone(self.zone)):
            at = local.astimezone(UTC)
            if at > moment:  # else it lies in the first pass of an hour that comes twice
                yield at

    def _since(self, start: datetime, *, planned: datetime) -> Iterator[datetime]:
        """All times from the start on, the start among them."""
        if start > planned:
            return self._after(start - _INSTANT, planned=planned)
        return chain((planned,), self._after(planned, planned=planned))

    def _latest(self, planned: datetime, now: datetime) -> datetime:
        """The last time up to now, found backwards in growing steps."""
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
        """Every time up to now that is not too late, a batch of them."""
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
) -> Schedule:
    """Read a cron expression of five fields: minute, hour, day of month, month, day of week.

    Raises:
        WiringError: The expression, the zone or an option is wrong, or it names no time at all.
    """
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise WiringError(
            f"cron({expression!r}): needs five fields: minute hour day month weekday, "
            f"as in '0 8 * * *'; it has {len(fields)}."
        )
    from cronsim import CronSimError

    _check_options(name, catch_up, max_late)
    schedule = Schedule(
        name=name,
        spec=f"cron {' '.join(fields)} {tz}",
        zone=_zone(tz),
        cron=" ".join(fields),
        catch_up=catch_up,
        max_late=max_late,
    )
    try:
        schedule.first_after(_ANY_DAY)
    except CronSimError as error:
        raise WiringError(f"cron({expression!r}): {str(error).lower()}.") from error
    return schedule


def interval_schedule(
    name: str,
    interval: timedelta | float,
    *,
    catch_up: CatchUp = "skip",
    max_late: timedelta | None = None,
) -> Schedule:
    """Read an interval, a number being seconds; times count from the first start.

    Raises:
        WiringError: It is shorter than a second, or an option is wrong.
    """
    try:
        span = interval if isinstance(interval, timedelta) else timedelta(seconds=interval)
    except (TypeError, ValueError, OverflowError) as error:
        raise WiringError(f"every({interval!r}): needs a timedelta or seconds.") from error
    if span < _SHORTEST:
        raise WiringError(f"every({interval!r}): the shortest interval is one second.")
    _check_options(name, catch_up, max_late)
    return Schedule(
        name=name,
        spec=f"every {span.total_seconds():g} s",
        zone=UTC,
        interval=span,
        catch_up=catch_up,
        max_late=max_late,
    )


def _check_options(name: str, catch_up: str, max_late: object) -> None:
    if catch_up not in get_args(CatchUp):
        raise WiringError(f"{name}: catch_up is 'skip', 'latest' or 'all', not {catch_up!r}.")
    if max_late is None or (isinstance(max_late, timedelta) and max_late >= timedelta(0)):
        return
    raise WiringError(f"{name}: max_late is a timedelta, not {max_late!r}.")


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
