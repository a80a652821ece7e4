"""Lines, waits and ends of a stream."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.protocol.events.stream_lines import LineSplitter, StreamBackoff, Trouble, closed_by

LINE = '{"text":"h\u00e4 \U0001f600"}'.encode()


def fed(chunks: list[bytes], *, limit_bytes: int = 1 << 20) -> tuple[list[bytes], LineSplitter]:
    splitter = LineSplitter(limit_bytes)
    return [line for chunk in chunks for line in splitter.feed(chunk)], splitter


@pytest.mark.parametrize("at", range(len(LINE) + 3))
def test_a_line_cut_at_any_byte_is_one_line(at: int) -> None:
    """Also inside a UTF-8 character and between CR and LF."""
    wire = LINE + b"\r\n"

    assert fed([wire[:at], wire[at:]])[0] == [LINE]


def test_lines_end_with_lf_alone_too() -> None:
    assert fed([b"a\nb\r\nc\n"])[0] == [b"a", b"b", b"c"]


def test_keep_alives_are_counted_and_not_given_out() -> None:
    lines, splitter = fed([b"\r\n", b"\r", b"\n", b"a\r\n\r\n"])

    assert lines == [b"a"]
    assert splitter.keep_alives == 3


def test_an_unfinished_line_is_kept_until_its_end() -> None:
    splitter = LineSplitter()

    assert splitter.feed(b"half") == []
    assert splitter.pending_bytes == 4
    assert splitter.feed(b" a line\r\n") == [b"half a line"]
    assert splitter.pending_bytes == 0


@given(st.lists(st.integers(min_value=1, max_value=40), max_size=60), st.integers(1, 9))
def test_a_line_over_the_limit_is_skipped_to_its_end_and_counted(
    sizes: list[int], step: int
) -> None:
    limit = 20
    wire = b"".join(b"x" * size + b"\r\n" for size in sizes)
    splitter = LineSplitter(limit)
    lines: list[bytes] = []
    for at in range(0, len(wire), step):
        lines += splitter.feed(wire[at : at + step])
        assert splitter.pending_bytes <= limit + 1

    assert [len(line) for line in lines] == [size for size in sizes if size <= limit]
    assert splitter.skipped == sum(size > limit for size in sizes)
    assert splitter.keep_alives == 0


def test_a_line_of_five_megabytes_costs_no_memory() -> None:
    splitter = LineSplitter()
    for _ in range(80):
        assert splitter.feed(b"x" * 65_536) == []
        assert splitter.pending_bytes <= 1 << 20

    assert splitter.feed(b"x\r\nnext\r\n") == [b"next"]
    assert splitter.skipped == 1


@given(
    st.lists(
        st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"").rstrip(b"\r")), max_size=12
    ),
    st.lists(st.integers(min_value=1, max_value=7), min_size=1, max_size=20),
)
def test_however_the_bytes_are_cut_the_lines_are_the_same(
    lines: list[bytes], cuts: list[int]
) -> None:
    wire = b"".join(line + b"\r\n" for line in lines)
    chunks: list[bytes] = []
    at = 0
    while at < len(wire):
        size = cuts[len(chunks) % len(cuts)]
        chunks.append(wire[at : at + size])
        at += size

    found, splitter = fed(chunks)

    assert found == [line for line in lines if line]
    assert splitter.keep_alives == sum(not line for line in lines)


def test_a_settled_stream_that_is_closed_is_opened_again_at_once() -> None:
    backoff = StreamBackoff()
    backoff.reset()

    assert backoff.wait_s(Trouble.CLEAN, jitter=1.0) == 0.0


def test_a_server_that_accepts_and_closes_is_asked_less_and_less() -> None:
    backoff = StreamBackoff()

    waits = [backoff.wait_s(Trouble.CLEAN, jitter=0.0) for _ in range(100)]

    assert waits[:4] == [0.25, 0.5, 0.75, 1.0]
    assert waits[-1] == 16.0
    assert waits == sorted(waits)
    assert backoff.at_ceiling


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        (Trouble.NETWORK, [0.25, 0.5, 0.75]),
        (Trouble.HTTP, [5, 10, 20, 40, 80, 160, 320, 320]),
        (Trouble.RATE, [60, 120, 240, 480, 900, 900]),
    ],
)
def test_the_waits_are_those_of_xs_table(trouble: Trouble, waits: list[float]) -> None:
    backoff = StreamBackoff()

    assert [backoff.wait_s(trouble, jitter=0.0) for _ in waits] == waits


def test_each_trouble_counts_for_itself_until_the_connection_has_settled() -> None:
    backoff = StreamBackoff()
    backoff.wait_s(Trouble.HTTP, jitter=0.0)
    backoff.wait_s(Trouble.NETWORK, jitter=0.0)
    assert backoff.wait_s(Trouble.HTTP, jitter=0.0) == 10

    backoff.reset()

    assert backoff.wait_s(Trouble.HTTP, jitter=0.0) == 5
    assert backoff.wait_s(Trouble.CLEAN, jitter=0.0) == 0.25
    assert not backoff.at_ceiling


def test_a_connection_that_settles_is_no_longer_at_the_longest_wait() -> None:
    backoff = StreamBackoff()
    for _ in range(9):
        backoff.wait_s(Trouble.HTTP, jitter=0.0)
    assert backoff.at_ceiling

    backoff.reset()

    assert not backoff.at_ceiling


@given(st.sampled_from(list(Trouble)), st.integers(0, 20), st.floats(0, 1))
def test_jitter_keeps_every_wait_between_xs_least_and_the_ceiling(
    trouble: Trouble, before: int, jitter: float
) -> None:
    least, most = {
        Trouble.CLEAN: (0.25, 16),
        Trouble.NETWORK: (0.25, 16),
        Trouble.HTTP: (5, 320),
        Trouble.RATE: (60, 900),
    }[trouble]
    backoff = StreamBackoff()
    for _ in range(before):
        backoff.wait_s(trouble, jitter=0.5)

    assert least <= backoff.wait_s(trouble, jitter=jitter) <= most


@pytest.mark.parametrize(
    ("error", "after_s"),
    [
        (
            {
                "title": "operational-disconnect",
                "disconnect_type": "UpstreamOperationalDisconnect",
                "detail": "upstream went away",
                "type": "https://api.twitter.com/2/problems/operational-disconnect",
            },
            0,
        ),
        (
            {
                "title": "ConnectionException",
                "connection_issue": "TooManyConnections",
                "type": "https://api.x.com/2/problems/streaming-connection",
            },
            60,
        ),
        ({"disconnect_type": "ForceDisconnect"}, 60),
        ({"type": "https://api.x.com/2/problems/usage-capped"}, 320),
        ({"code": 88, "message": "slow down"}, 5),
        ("words", 5),
    ],
)
def test_an_announced_end_says_why_and_how_long_to_wait(error: object, after_s: int) -> None:
    closed = closed_by([error])

    assert closed.reconnect_after == timedelta(seconds=after_s)
    assert closed.reason
    assert closed.reason in str(closed)


def test_of_several_errors_the_longest_wait_counts() -> None:
    closed = closed_by(
        [{"disconnect_type": "SlowReader"}, {"disconnect_type": "InvalidRules"}, {}]
    )

    assert (closed.reason, closed.reconnect_after) == ("InvalidRules", timedelta(seconds=320))


def test_an_end_without_words_waits_a_little() -> None:
    assert closed_by([]).reconnect_after == timedelta(seconds=5)
