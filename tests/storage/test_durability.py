"""What was acknowledged survives kill -9, and is on the disk before anyone is told."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from botkit.model.tokens import CredentialKind
from botkit.storage.opening import open_store
from tests.storage.conformance.bench import ME, T0, SuiteClock

CREDENTIAL = CredentialKind.OAUTH2

APPEND = """
import asyncio, sys
from botkit.storage import open_store
from tests.storage.conformance.bench import T0, SuiteClock, done, event, lease

async def main():
    async with open_store(sys.argv[1], clock=SuiteClock()) as store:
        fence = await lease(store)
        async def work(n):
            for turn in range(100_000):
                key = f"{sys.argv[2]}/{n}/{turn}"
                (seq,) = await store.events.append([event(key, body=key.encode() * 40)])
                print("event", key, flush=True)
                if turn % 2:
                    await store.events.settle([done(seq, note=key)], fence=fence)
                    print("done", key, flush=True)
        await asyncio.gather(*(work(n) for n in range(8)))

asyncio.run(main())
"""

ROTATE = """
import asyncio, sys
from botkit.storage import open_store
from tests.storage.conformance.bench import SuiteClock, credential, intent

async def main():
    async with open_store(sys.argv[1], clock=SuiteClock()) as store:
        rows = await store.credentials.listing()
        row = rows[0] if rows else await store.credentials.replace(credential(1))
        print("stored", row.gen, flush=True)
        for gen in range(row.gen, row.gen + int(sys.argv[2])):
            await store.credentials.intend(row, intent(f"i{gen}", gen), reserve_bytes=2000)
            await store.credentials.mark_sent(row, f"i{gen}")
            print("sent", gen, flush=True)
            row = credential(gen + 1)
            await store.credentials.store_result(row, f"i{gen}")
            print("stored", gen + 1, flush=True)

asyncio.run(main())
"""


def _start(code: str, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )


def _killed_after(child: subprocess.Popen[str], lines: int) -> list[list[str]]:
    """Kill it when it has said that much; gives everything that it said."""
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    said.extend(rest.splitlines(keepends=True))
    return [line.split() for line in said if line.endswith("\n")]


@pytest.mark.slow
async def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    events, done = set[str](), set[str]()
    for turn, lines in enumerate((1, 3, 10, 50, 200, 1000)):
        for word, key in _killed_after(_start(APPEND, url, str(turn)), lines):
            (events if word == "event" else done).add(key)
    async with open_store(url, clock=SuiteClock()) as store:
        kept = {row.key: row for row in await store.events.listing(limit=1_000_000)}
    assert events <= kept.keys()
    assert done <= {key for key, row in kept.items() if row.state == "done"}
    assert all(row.body == key.encode() * 40 for key, row in kept.items())
    assert len(events) > 600


@pytest.mark.slow
async def test_a_login_is_whole_after_a_kill_at_any_step(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    for lines in (1, 2, 3, 4, 7, 20):
        said = _killed_after(_start(ROTATE, url, "1000"), lines)
        stored = max(int(gen) for word, gen in said if word == "stored")
        sent = max((int(gen) for word, gen in said if word == "sent"), default=0)
        async with open_store(url, clock=SuiteClock()) as store:
            row = await store.credentials.get(ME, "default", CREDENTIAL)
            assert row is not None
            assert row.gen >= stored
            assert row.sealed == b"sealed generation %d" % row.gen
            if sent >= row.gen:
                assert row.intent is not None
                assert row.intent.sent
            if row.intent is not None:
                await store.credentials.clear_intent(row, row.intent.id)


def _works(strace: str) -> bool:
    tried = subprocess.run([strace, "-f", "true"], capture_output=True, check=False)
    return tried.returncode == 0


STRACE = shutil.which("strace")
traced = pytest.mark.skipif(
    STRACE is None or not _works(STRACE), reason="strace is missing or may not trace here"
)


@traced
@pytest.mark.slow
def test_each_step_of_a_refresh_is_synced_before_it_is_told(tmp_path: Path) -> None:
    """The log is written, then synced, and only then does the caller hear of it."""
    assert STRACE is not None
    calls = "trace=openat,pwrite64,fdatasync,fsync,write"
    log = tmp_path / "trace"
    traced = (STRACE, "-f", "-y", "-o", str(log), "-e", calls)
    with _start(ROTATE, f"sqlite:///{tmp_path}/bot.db", "2", before=traced) as child:
        said, _ = child.communicate()
    assert said.split("\n")[-2] == "stored 3"
    unsynced, told = 0, 0
    for line in log.read_text().splitlines():
        if re.search(r"pwrite64\(\d+<[^>]*bot\.db-wal>", line):
            unsynced += 1
        elif re.search(r"f(data)?sync\(\d+<[^>]*bot\.db-wal>.* = 0|fdatasync resumed.* = 0", line):
            unsynced = 0
        elif re.search(r'write\(1<.*"(sent|stored)"', line):
            told += 1
            assert unsynced == 0, line
    assert told == 5


@traced
@pytest.mark.slow
def test_every_file_is_closed_to_others_from_its_first_instant(tmp_path: Path) -> None:
    assert STRACE is not None
    log = tmp_path / "trace"
    traced = (STRACE, "-f", "-o", str(log), "-e", "trace=openat,mkdir,mkdirat")
    code = f"import os; os.umask(0)\n{ROTATE}"
    with _start(code, f"sqlite:///{tmp_path}/new/bot.db", "1", before=traced) as child:
        child.communicate()
    made = [
        line
        for line in log.read_text().splitlines()
        if str(tmp_path) in line and ("O_CREAT" in line or "mkdir" in line)
    ]
    assert any("bot.db-wal" in line for line in made)
    assert any("mkdir" in line for line in made)
    for line in made:
        # The bracket is missing where a call of another thread came between.
        mode = ", 0700" if "mkdir" in line else ", 0600"
        assert f"{mode})" in line or f"{mode} <unfinished" in line, line


FAULTS = [
    *(("pwrite64", error, n) for error in ("ENOSPC", "EIO", "EROFS") for n in (1, 15, 30, 55)),
    *(("fdatasync", "EIO", n) for n in (1, 2, 6, 15)),
]

BRAVE = """
import asyncio, sys
from botkit.errors import StoreUnavailable
from botkit.storage import open_store
from tests.storage.conformance.bench import SuiteClock, event

async def main():
    try:
        await work()
    except StoreUnavailable as error:
        assert error.hint, error
        print("refused", 0, flush=True)

async def work():
    async with open_store(sys.argv[1], clock=SuiteClock()) as store:
        failed = 0
        for n in range(40):
            try:
                await store.events.append([event(f"e{n}", body=bytes(3000))])
            except StoreUnavailable as error:
                assert error.hint, error
                failed += 1
            else:
                print("event", f"e{n}", flush=True)
        print("failed", failed, flush=True)

asyncio.run(main())
"""


@traced
@pytest.mark.slow
@pytest.mark.parametrize(("call", "error", "nth"), FAULTS)
async def test_a_failing_disk_loses_nothing_and_is_used_again_when_it_works(
    tmp_path: Path, call: str, error: str, nth: int
) -> None:
    """Three calls in a row fail; what was told is there, what failed is not, the rest goes on."""
    assert STRACE is not None
    url = f"sqlite:///{tmp_path}/bot.db"
    async with open_store(url, clock=SuiteClock()):
        pass
    inject = f"inject={call}:error={error}:when={nth}..{nth + 2}"
    traced = (STRACE, "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
    with _start(BRAVE, url, before=traced) as child:
        said, _ = child.communicate()
    words = [line.split() for line in said.splitlines()]
    told = {key for word, key in words if word == "event"}
    last, failed = words[-1]
    if last == "refused":
        assert nth == 1  # the opening itself failed
    else:
        assert (last, len(told)) == ("failed", 40 - int(failed))
        assert 1 <= int(failed) <= 4
    async with open_store(url, clock=SuiteClock()) as store:
        kept = {item.key for item in (await store.events.due(T0)).items}
    assert kept == told
