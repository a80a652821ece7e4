"""Whatever happens to a write there are never two posts, and each write ends visibly."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botkit.errors import (
    BadRequest,
    Parked,
    PolicyError,
    RateLimited,
    ResponseError,
    TransportError,
)
from botkit.model.records import WritePolicy, WriteState
from botkit.protocol.api.requests import Request
from botkit.protocol.api.responses import Response
from botkit.runtime.writes.steps import Step
from tests.unit.runtime.writing import (
    LOST,
    RESET,
    Office,
    duplicate,
    open_office,
    reply_step,
    server_error,
)

FINAL = {WriteState.CONFIRMED, WriteState.REJECTED, WriteState.UNRESOLVED}
TROUBLE = st.sampled_from(
    ["ok", LOST, RESET, "refused", "5xx", "429", "connect", "duplicate", "crash", "lost crash"]
)
READ_TROUBLE = st.sampled_from(["ok", "ok", "5xx", "errors", "connect"])


async def live_through(office: Office, step: Step, told: list[str], reads: list[str]) -> None:
    """Perform the step until it is final, through everything that was told."""
    for _ in range(60):
        if await office.store.writes.get(step.id) and await office.state(step) in FINAL:
            return
        office.x.reads = [read_of(reads.pop()) for _ in range(min(1, len(reads)))]
        trouble = told.pop() if told else "ok"
        office.x.script = [sending_of(office, trouble)]
        work = asyncio.get_running_loop().create_task(office.outbox.perform(step))
        with suppress(Parked, PolicyError, ResponseError, asyncio.CancelledError):
            await work
        if trouble.endswith("crash"):
            await office.crash()
            await office.outbox.recover()
        wait_s = await office.reconciler.settle_due()
        office.clock.move(60.0 if wait_s is None else wait_s)


def sending_of(office: Office, trouble: str) -> Any:
    def killed(request: Request) -> Response:
        if trouble == "lost crash":
            office.x.carry_out(request)
        office.die()
        raise asyncio.CancelledError

    return {
        "refused": BadRequest("no", status=400),
        "5xx": server_error(),
        "429": RateLimited("slow down", status=429),
        "connect": TransportError("no route"),
        "duplicate": duplicate(),
        "crash": killed,
        "lost crash": killed,
    }.get(trouble, trouble)


def read_of(trouble: str) -> Any:
    return {
        "5xx": server_error(),
        "errors": Response(status=200, data=[], errors=({"title": "x"},)),
        "connect": TransportError("no route"),
    }.get(trouble)


@pytest.mark.parametrize("policy", [WritePolicy.HOLD, WritePolicy.RECONCILE])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(told=st.lists(TROUBLE, max_size=8), reads=st.lists(READ_TROUBLE, max_size=6))
def test_whatever_happens_there_are_never_two_posts_and_every_write_ends_visibly(
    policy: WritePolicy, told: list[str], reads: list[str]
) -> None:
    async def live() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_office(Path(folder)) as office:
                step = reply_step(policy=policy)
                await live_through(office, step, list(told), list(reads))
                assert len(office.x.posts) <= 1
                state = await office.state(step)
                assert state in FINAL
                if state is WriteState.CONFIRMED:
                    assert (await office.row(step)).result_id == office.x.posts[0]["id"]

    asyncio.run(live())
