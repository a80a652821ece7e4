"""Once per start: the label is not complete."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from botkit.bot.accounts.label_reminder import remind_of_label
from botkit.errors import ServerError
from botkit.model.records import Mark
from botkit.protocol.rules.label import STEPS


async def remind(place, x: Any) -> list[dict[str, Any]]:
    accounts = await place.store.accounts.listing()
    with capture_logs() as logs:
        await remind_of_label(accounts, x and x.sender, place.store)
    return [dict(line) for line in logs if "label" in line["event"]]


async def confirm(place, *steps: str) -> None:
    for step in steps:
        await place.store.accounts.set_mark(
            Mark(account_id=place.user.id, step=step, at=place.clock.now())
        )


async def test_open_steps_are_said_with_their_number(place):
    await place.authorize()
    await confirm(place, "bio")
    async with place.open_x() as x:
        (line,) = await remind(place, x)

    assert line["next_step"] == "botkit checklist"
    assert (line["account"], line["done"], line["steps"]) == ("greeter", 1, 9)


async def test_what_x_shows_counts(place):
    place.user.automated = True
    place.user.description = "I am a bot by @ada."
    await place.authorize()
    async with place.open_x() as x:
        assert await remind(place, x) == []


async def test_when_all_is_confirmed_x_is_not_asked(place):
    await place.authorize()
    await confirm(place, *(step.id for step in STEPS))

    assert await remind(place, None) == []


@pytest.mark.parametrize("problem", ["down", "nobody"])
async def test_when_x_cannot_be_asked_the_confirmations_count(place, problem):
    await place.authorize()

    class Sender:
        async def send(self, request: object, *, account_id: str) -> Any:
            if problem == "down":
                raise ServerError("X is down.", status=503)
            return SimpleNamespace(data=None, includes={}, errors=(), meta={})

    lines = await remind(place, SimpleNamespace(sender=Sender()))

    assert lines[-1]["done"] == 0
    assert len(lines) == (2 if problem == "down" else 1)
