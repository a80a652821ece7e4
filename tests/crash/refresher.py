"""A warm process that forks others, each of which asks for an access token and ends.

Reads a line on stdin for each: a number of processes. For each process it prints its pid, and
starts it with the next line. Then, when all have ended: how each ended and what it got.

With `REFRESHER_HOST` it is a machine of its own: its kernel locks are not those of others, and of
their processes it knows nothing. `REFRESHER_TTL_S` is how long its leases last then.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

WARM = (
    "botkit.bot.compose_client",
    "botkit.config",
    "botkit.storage.sqlite.store",
    "cryptography.hazmat.primitives.ciphers.aead",
    "platformdirs",
)


async def _ask() -> str:
    from botkit.bot.compose_client import open_the_vault, open_x
    from botkit.config import load_settings
    from botkit.storage import open_store
    from botkit.system import SystemClock

    settings = load_settings()
    terms = _another_machine()
    async with open_store(settings.store_url, clock=SystemClock(), create=False) as store:
        vault = await open_the_vault(settings, store)
        async with open_x(settings, store, vault, **terms) as x:
            return await _token(x.keeper, patient=bool(terms))


async def _token(keeper: Any, *, patient: bool) -> str:
    """An access token; with patience, as a bot has it: looks at the store until there is one."""
    from botkit.errors import Parked

    for _ in range(300 if patient else 0):
        try:
            await keeper.settled("1999")
            return (await keeper.access_token("1999")).reveal()
        except Parked:
            await asyncio.sleep(0.1)  # noqa: TID251 - this process lives in real time
            await keeper.reload()
    await keeper.settled("1999")
    return (await keeper.access_token("1999")).reveal()


def _another_machine() -> dict[str, Any]:
    from botkit.client.refresh.refresh_lock import Tenure
    from botkit.storage.sqlite import store
    from botkit.storage.sqlite.process_locks import ProcessLocks

    host = os.environ.get("REFRESHER_HOST")  # noqa: TID251 - a test's own knob
    if host is None:
        return {}
    ttl_s = float(os.environ["REFRESHER_TTL_S"])  # noqa: TID251
    locks = Path(host)
    store.ProcessLocks = lambda _: ProcessLocks(locks)  # type: ignore[assignment,misc] - a test's
    owner = f"{locks.name}/boot/{os.getpid()}/0/{os.urandom(4).hex()}"
    return {"owner": owner, "tenure": Tenure(ttl_s=ttl_s, renew_s=ttl_s / 4)}


def _child(gate: int, answer: int) -> None:
    os.dup2(2, 1)  # what is logged must not stand among the answers
    os.read(gate, 1)
    code = 1
    try:
        os.write(answer, asyncio.run(_ask()).encode())
        code = 0
    except BaseException as error:  # noqa: BLE001 - told to whoever reads
        os.write(answer, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def main() -> None:
    for module in WARM:
        importlib.import_module(module)
    _say("ready")
    for line in sys.stdin:
        begun = []
        for _ in range(int(line)):
            gate, opener = os.pipe()
            answer, teller = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(opener)
                os.close(answer)
                _child(gate, teller)
            os.close(gate)
            os.close(teller)
            begun.append((pid, opener, answer))
        _say(*(pid for pid, _, _ in begun))
        if not sys.stdin.readline():
            return
        for _, opener, _ in begun:
            with contextlib.suppress(BrokenPipeError):  # killed before it could start
                os.write(opener, b".")
            os.close(opener)
        for pid, _, answer in begun:
            _, status = os.waitpid(pid, 0)
            with os.fdopen(answer, "rb") as told:
                _say(os.waitstatus_to_exitcode(status), told.read().decode())


if __name__ == "__main__":
    main()
