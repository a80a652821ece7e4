"""A bot that reminds: "@reminders remind me in 20 minutes to call home".

No database and no polling: the reminder is an event of its own that comes when it is due, and
outlives any restart in between.
"""

from datetime import timedelta

from botkit import Actions, Bot, Clock, Match, Mention, Router, Signal
from botkit.filters import matches

router = Router("reminders")


class Remind(Signal, frozen=True, kw_only=True):
    """A reminder that is due."""

    asked: Mention
    what: str


@router.on(Mention, matches(r"remind me in (?P<minutes>\d+) minutes? to (?P<what>.+)"))
async def note(mention: Mention, found: Match, act: Actions, clock: Clock) -> None:
    due = clock.now() + timedelta(minutes=int(found["minutes"]))
    await act.emit(Remind(asked=mention, what=found["what"]), at=due)


@router.on(Remind)
async def ring(remind: Remind, act: Actions) -> None:
    await act.reply(remind.asked, f"@{remind.asked.author.username} time to {remind.what}")


bot = Bot("reminders")
bot.include(router)

if __name__ == "__main__":
    bot.run()
