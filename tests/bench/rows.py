"""What is measured, against what, and the least ratio that is accepted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.measure import Sample

__all__ = ["ROWS", "Against", "Bar", "Figure", "Row", "Variant"]

_QUICK = 0.02


class Figure(Enum):
    """How a sample becomes the row's figure, and whether more is better."""

    PER_CPU_S = "events per CPU s"
    PER_S = "events per s"
    CPU_US = "us CPU"
    MS = "ms"
    KB = "kB"
    TIMES = "times"

    @property
    def is_rate(self) -> bool:
        return self in {Figure.PER_CPU_S, Figure.PER_S}

    def of(self, sample: Sample) -> float:
        if sample.value is not None:
            return sample.value
        if self is Figure.PER_CPU_S:
            return sample.units / sample.cpu_s
        if self is Figure.PER_S:
            return sample.units / sample.wall_s
        return sample.cpu_s / sample.units * 1e6


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to do a row's work: a function of this package, run in a process of its own.

    `needs` is the module without which it cannot run, `package` what brings it.
    """

    name: str
    call: str
    size: int
    needs: str = ""
    package: str = ""

    def sized(self, *, quick: bool) -> int:
        return max(int(self.size * _QUICK), 1) if quick else self.size


@dataclass(frozen=True, kw_only=True)
class Bar:
    """`at_least(2)`: ours must be twice as good; `at_most(2)`: it may cost twice as much."""

    ratio: float
    at_most: bool = False
    stretch: float | None = None

    def of(self, ours: float, other: float, figure: Figure) -> float:
        """The ratio as the bar counts it."""
        return ours / other if figure.is_rate or self.at_most else other / ours

    def met(self, ratio: float) -> bool:
        return ratio <= self.ratio if self.at_most else ratio >= self.ratio

    def stretched(self, ratio: float) -> bool:
        if self.stretch is None:
            return False
        return ratio <= self.stretch if self.at_most else ratio >= self.stretch

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.ratio:g}x"


def _at_least(ratio: float, stretch: float | None = None) -> Bar:
    return Bar(ratio=ratio, stretch=stretch)


def _at_most(ratio: float, stretch: float | None = None) -> Bar:
    return Bar(ratio=ratio, at_most=True, stretch=stretch)


@dataclass(frozen=True, kw_only=True)
class Against:
    """Another way to do the same work, and how ours must compare with it."""

    variant: Variant
    bar: Bar


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. `ceiling` is a bar of the figure itself, which C3 has instead of a limit's."""

    id: str
    path: str
    figure: Figure
    ours: Variant
    limit: Against | None = None
    peers: tuple[Against, ...] = ()
    service: str = ""
    ceiling: Bar | None = None


def _of(module: str, name: str, size: int, call: str, **more: str) -> Variant:
    return Variant(name=name, call=f"tests.bench.{module}:{call}", size=size, **more)


_AIOGRAM = {"needs": "aiogram", "package": "aiogram"}
_TELEGRAM = {"needs": "telegram", "package": "python-telegram-bot"}
_TWEEPY = {"needs": "tweepy", "package": "tweepy[async]"}
_XDK = {"needs": "xdk", "package": "xdk"}
_AIOSQLITE = {"needs": "aiosqlite", "package": "aiosqlite"}

_LINES = _of("stream", "aiohttp + orjson", 10_000, "plain_stream", needs="orjson")
_XDK_STREAM = _of("stream", "xdk", 5_000, "xdk_stream", **_XDK)
_SERVER = "tests.bench.stream_server"
_STARTS = 8

ROWS = (
    Row(
        id="A1",
        path="stream -> typed event -> async handler",
        figure=Figure.PER_CPU_S,
        ours=_of("stream", "botkit", 10_000, "botkit_stream"),
        limit=Against(variant=_LINES, bar=_at_least(1.0, 1.2)),
        peers=(Against(variant=_XDK_STREAM, bar=_at_least(3.5, 5)),),
        service=_SERVER,
    ),
    Row(
        id="A2",
        path="the same, journaled with fsync before the handler, marked as done after it",
        figure=Figure.PER_CPU_S,
        ours=_of("stream", "botkit", 10_000, "botkit_journaled"),
        limit=Against(variant=_LINES, bar=_at_least(0.35, 0.45)),
        peers=(Against(variant=_XDK_STREAM, bar=_at_least(1.0)),),
        service=_SERVER,
    ),
    Row(
        id="A3h",
        path="X writes a mention -> handler, 20 a second, p50",
        figure=Figure.MS,
        ours=_of("latency", "botkit", 200, "botkit_handler"),
        ceiling=_at_most(250),
    ),
    Row(
        id="A3",
        path="X writes a mention -> X has the reply, 20 a second, p50",
        figure=Figure.MS,
        ours=_of("latency", "botkit", 200, "botkit_reply"),
        ceiling=_at_most(500),
    ),
    Row(
        id="W1",
        path="webhook: signed delivery -> event on disk -> 200, 64 in flight",
        figure=Figure.PER_CPU_S,
        ours=_of("webhook", "botkit", 5_000, "botkit_taken"),
        limit=Against(
            variant=_of("webhook", "aiohttp + synced SQLite", 5_000, "plain_taken"),
            bar=_at_least(0.5),
        ),
    ),
    Row(
        id="W1p",
        path="the same at 500 a second, p99 until the 200",
        figure=Figure.MS,
        ours=_of("webhook", "botkit", 2_500, "botkit_paced"),
        limit=Against(
            variant=_of("webhook", "aiohttp + synced SQLite", 2_500, "plain_paced"),
            bar=_at_most(2),
        ),
    ),
    Row(
        id="B1",
        path="create post, OAuth 2 bearer, 32 in flight",
        figure=Figure.PER_CPU_S,
        ours=_of("calls", "botkit", 3_000, "botkit_posts"),
        limit=Against(
            variant=_of("calls", "session.post(json=)", 3_000, "plain_posts"),
            bar=_at_least(0.95, 1.2),
        ),
        peers=(
            Against(
                variant=_of("calls", "tweepy AsyncClient", 3_000, "tweepy_posts", **_TWEEPY),
                bar=_at_least(1.0, 1.25),
            ),
            Against(variant=_of("calls", "xdk", 400, "xdk_posts", **_XDK), bar=_at_least(5, 6.5)),
        ),
        service="tests.bench.post_server",
    ),
    Row(
        id="B2",
        path="create post, OAuth 1.0a, 32 in flight",
        figure=Figure.PER_CPU_S,
        ours=_of("calls", "botkit", 3_000, "botkit_signed_posts"),
        limit=Against(
            variant=_of("calls", "session.post(json=)", 3_000, "plain_posts"),
            bar=_at_least(0.9, 1.1),
        ),
        peers=(
            Against(
                variant=_of(
                    "calls", "tweepy AsyncClient", 1_000, "tweepy_signed_posts", **_TWEEPY
                ),
                bar=_at_least(2.5, 3.5),
            ),
        ),
        service="tests.bench.post_server",
    ),
    Row(
        id="B3",
        path="one OAuth 1.0a signature",
        figure=Figure.CPU_US,
        ours=_of("calls", "botkit", 20_000, "botkit_signature"),
        limit=Against(
            variant=_of("calls", "hmac by hand", 10_000, "plain_signature"),
            bar=_at_most(1, 0.25),
        ),
        peers=(
            Against(
                variant=_of(
                    "calls",
                    "oauthlib",
                    3_000,
                    "oauthlib_signature",
                    needs="oauthlib",
                    package="oauthlib",
                ),
                bar=_at_least(3, 12),
            ),
            Against(
                variant=_of("calls", "authlib", 3_000, "authlib_signature"), bar=_at_least(3, 12)
            ),
        ),
    ),
    Row(
        id="C1",
        path="dispatch: 3 middlewares, 2 injected values, 10 handlers",
        figure=Figure.CPU_US,
        ours=_of("dispatch", "botkit", 50_000, "botkit_10"),
        limit=Against(
            variant=_of("dispatch", "dict + await", 100_000, "plain_10"), bar=_at_most(12, 7)
        ),
        peers=(
            Against(
                variant=_of("dispatch", "aiogram", 3_000, "aiogram_10", **_AIOGRAM),
                bar=_at_least(10),
            ),
            Against(
                variant=_of("dispatch", "python-telegram-bot", 20_000, "telegram_10", **_TELEGRAM),
                bar=_at_least(1.5),
            ),
        ),
    ),
    Row(
        id="C2",
        path="the same, 1000 handlers",
        figure=Figure.CPU_US,
        ours=_of("dispatch", "botkit", 50_000, "botkit_1000"),
        limit=Against(
            variant=_of("dispatch", "dict + await", 100_000, "plain_1000"), bar=_at_most(10)
        ),
        peers=(
            Against(
                variant=_of("dispatch", "aiogram", 100, "aiogram_1000", **_AIOGRAM),
                bar=_at_least(500),
            ),
            Against(
                variant=_of(
                    "dispatch", "python-telegram-bot", 1_000, "telegram_1000", **_TELEGRAM
                ),
                bar=_at_least(50),
            ),
        ),
    ),
    Row(
        id="C3",
        path="growth: 1000 handlers / 10 handlers",
        figure=Figure.TIMES,
        ours=_of("dispatch", "botkit", 50_000, "botkit_growth"),
        ceiling=_at_most(1.6, 1.3),
        peers=(
            Against(
                variant=_of("dispatch", "aiogram", 100, "aiogram_growth", **_AIOGRAM),
                bar=_at_least(25),
            ),
            Against(
                variant=_of(
                    "dispatch", "python-telegram-bot", 1_000, "telegram_growth", **_TELEGRAM
                ),
                bar=_at_least(25),
            ),
        ),
    ),
    Row(
        id="D1",
        path="durable appends, 256 in flight, each awaited",
        figure=Figure.PER_S,
        ours=_of("durable", "botkit", 10_000, "botkit_flight"),
        limit=Against(
            variant=_of("durable", "sqlite, 256 a commit", 10_000, "plain_flight"),
            bar=_at_least(0.5, 0.65),
        ),
        peers=(
            Against(
                variant=_of("durable", "aiosqlite", 1_000, "aiosqlite_flight", **_AIOSQLITE),
                bar=_at_least(8, 12),
            ),
        ),
    ),
    Row(
        id="D1m",
        path="the same, with done marks",
        figure=Figure.PER_S,
        ours=_of("durable", "botkit", 10_000, "botkit_flight_done"),
        limit=Against(
            variant=_of("durable", "sqlite, 256 a commit", 10_000, "plain_flight"),
            bar=_at_least(0.35),
        ),
    ),
    Row(
        id="D2",
        path="one durable append alone, p50",
        figure=Figure.MS,
        ours=_of("durable", "botkit", 500, "botkit_alone"),
        limit=Against(
            variant=_of("durable", "write + fdatasync", 500, "synced_file"), bar=_at_most(3, 2)
        ),
        peers=(
            Against(
                variant=_of("durable", "aiosqlite", 500, "aiosqlite_alone", **_AIOSQLITE),
                bar=_at_most(1.5),
            ),
        ),
    ),
    *(
        Row(
            id="E1",
            path=f"botkit --{name}",
            figure=Figure.MS,
            ours=_of("starting", "botkit", _STARTS, f"botkit_{name}"),
            limit=Against(
                variant=_of("starting", "python -c pass", _STARTS, "bare"), bar=_at_most(5, 4)
            ),
            peers=(
                Against(
                    variant=_of("starting", "import tweepy", 3, "import_tweepy", **_TWEEPY),
                    bar=_at_most(0.5),
                ),
            ),
        )
        for name in ("version", "help")
    ),
    Row(
        id="E2",
        path="import botkit",
        figure=Figure.MS,
        ours=_of("starting", "botkit", _STARTS, "botkit_import"),
        limit=Against(
            variant=_of("starting", "python -c pass", _STARTS, "bare"), bar=_at_most(5, 2)
        ),
        peers=(
            Against(
                variant=_of(
                    "starting", "import tweepy.asynchronous", 3, "import_tweepy_async", **_TWEEPY
                ),
                bar=_at_most(0.25),
            ),
        ),
    ),
    Row(
        id="E3",
        path="a process ready to run a bot",
        figure=Figure.MS,
        ours=_of("starting", "botkit", 4, "botkit_ready"),
        limit=Against(
            variant=_of("starting", "import aiohttp", 4, "import_aiohttp"),
            bar=_at_most(1.7, 1.35),
        ),
        peers=(
            Against(
                variant=_of(
                    "starting", "import tweepy.asynchronous", 3, "import_tweepy_async", **_TWEEPY
                ),
                bar=_at_most(1.25),
            ),
            Against(
                variant=_of("starting", "import aiogram", 1, "import_aiogram", **_AIOGRAM),
                bar=_at_most(0.15),
            ),
        ),
    ),
    Row(
        id="F1",
        path="memory of an account: tokens, scopes, rate window, timer",
        figure=Figure.KB,
        ours=_of("accounts", "botkit", 2_000, "botkit_memory"),
        limit=Against(
            variant=_of("accounts", "slots record", 10_000, "record_memory"), bar=_at_most(4)
        ),
        peers=(
            Against(
                variant=_of("accounts", "tweepy Client", 1_000, "tweepy_memory", **_TWEEPY),
                bar=_at_most(0.3),
            ),
            Against(
                variant=_of("accounts", "xdk", 1_000, "xdk_memory", **_XDK), bar=_at_most(0.3)
            ),
        ),
    ),
    Row(
        id="F2",
        path="10 000 refresh timers, 5 000 fire a second",
        figure=Figure.CPU_US,
        ours=_of("accounts", "botkit", 10_000, "botkit_timers"),
        limit=Against(
            variant=_of("accounts", "one heap, one task", 10_000, "heap_timers"), bar=_at_most(2)
        ),
        peers=(
            Against(
                variant=_of("accounts", "a task each", 10_000, "task_each_timers"),
                bar=_at_most(0.25),
            ),
        ),
    ),
    Row(
        id="F3",
        path="1 000 accounts post at once, cold",
        figure=Figure.CPU_US,
        ours=_of("accounts", "botkit", 1_000, "botkit_cold_posts"),
        limit=Against(
            variant=_of("accounts", "shared session", 1_000, "shared_cold_posts"),
            bar=_at_most(1.3),
        ),
        peers=(
            Against(
                variant=_of("accounts", "session each", 1_000, "session_each_cold_posts"),
                bar=_at_most(0.5),
            ),
        ),
        service="tests.bench.post_server",
    ),
)
