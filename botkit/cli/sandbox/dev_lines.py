"""Carry out the lines typed in `botkit dev`, and show what happens in the simulated X."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from botkit.model.records import EventState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botkit.model.records import StoredEvent
    from botkit.sandbox.world.world import MessageRecord, PostRecord, World

__all__ = ["HELP", "DevLines", "Say", "moved"]

_WHO = "ada"
HELP = """\
  TEXT              ada posts it; start with @{bot} to mention the bot
  /as NAME [TEXT]   be somebody else from now on
  /reply N TEXT     answer post number N
  /quote N TEXT     quote post number N
  /repost N         repost post number N; so /like N, and /delete N as its author
  /follow NAME      follow somebody
  /dm TEXT          send the bot a direct message
  /time [WHEN]      say the time, or move it: +90s, +10m, +2h, +1d, 08:00 (UTC)
  /quit             end; so does Ctrl-D"""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"\+(\d{1,6})([smhd])", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_ASKING = frozenset({"mention", "reply", "quote", "direct_message"})
"""The kinds of events whose user waits for an answer."""


class Say(Protocol):
    """Print a line for a person, or the facts in it as JSON for a program."""

    def __call__(self, line: str, /, **facts: str | int | None) -> None:
        """Show the line, or the facts as JSON."""
        ...


class DevLines:
    """Play the users of the simulated X, and show what happens there.

    Args:
        takes_messages: Returns whether a handler of the bot gets direct messages; X delivers them
            to no other bot.

    Attributes:
        who: The username of the user who writes the next line.
    """

    def __init__(
        self, world: World, bot: str, say: Say, *, takes_messages: Callable[[], bool]
    ) -> None:
        self.who: str = _WHO
        self._takes_messages = takes_messages
        self._world = world
        self._bot = bot
        self._say = say
        self._numbers: dict[str, int] = {}
        self._posts = 0
        self._messages = 0
        self._ended: set[int] = set()
        world.add_user(bot)
        world.add_user(self.who)

    def act(self, line: str) -> None:
        """Carry out one typed line."""
        world = self._world
        try:
            match line.split(" ", 2):
                case [""]:
                    return
                case ["/as", name, *text]:
                    self.who = world.add_user(name.removeprefix("@")).username
                    if text:
                        world.add_post(self._me, text[0])
                case ["/reply", post, text]:
                    world.add_post(self._me, text, reply_to=self._id(post))
                case ["/quote", post, text]:
                    world.add_post(self._me, text, quoting=self._id(post))
                case ["/repost" | "/like" | "/delete" | "/follow" as verb, what]:
                    self._treat(verb, what)
                case ["/dm", *_]:
                    self._write(line.removeprefix("/dm").strip())
                case [word, *_] if word.startswith("/"):
                    self._say(HELP.format(bot=self._bot))
                case _:
                    world.add_post(self._me, line)
        except (LookupError, ValueError) as wrong:
            self._say(f"that did not work: {wrong}")

    def _write(self, text: str) -> None:
        if not text:
            raise ValueError("a message has a text: /dm TEXT")
        self._world.add_message(self._me, self._world.user(self._bot).id, text)

    def _treat(self, verb: str, what: str) -> None:
        world = self._world
        if verb == "/follow":
            world.follow(self._me, world.user(what).id)
        elif verb == "/repost":
            world.repost(self._me, self._id(what))
        elif verb == "/like":
            world.like(self._me, self._id(what))
        else:
            world.delete_post(self._id(what))

    def show(self) -> None:
        """Show the posts and direct messages that are new."""
        posts = list(self._world.posts.values())
        for post in posts[self._posts :]:
            self._numbers[post.id] = len(self._numbers) + 1
            self._show_post(post)
        self._posts = len(posts)
        messages = list(self._world.messages.values())
        for message in messages[self._messages :]:
            self._show_message(message)
        self._messages = len(messages)

    def show_unheard(self, events: Iterable[StoredEvent]) -> None:
        """Show each event that has ended since the last call without running a handler."""
        for event in sorted(events, key=lambda each: each.seq):
            if event.state is EventState.WAITING or event.seq in self._ended:
                continue
            self._ended.add(event.seq)
            if event.kind in _ASKING and _is_left(event.note):
                number = self._numbers.get(event.key.split("/")[1])
                about = f"#{number}" if number else "the message"
                self._say(f"  ({about} ran no handler: {event.note})", event=event.key)

    @property
    def _me(self) -> str:
        return self._world.user(self.who).id

    def _id(self, post: str) -> str:
        """Return a post's id; `post` is its number in the display or its id."""
        word = post.removeprefix("#")
        for post_id, number in self._numbers.items():
            if word in {str(number), post_id}:
                return post_id
        raise LookupError(f"there is no post {post}; the number stands before each post")

    def _show_post(self, post: PostRecord) -> None:
        by = self._world.users[post.author_id].username
        answered = post.reply_to_id or post.quoted_id
        about = f" (to #{self._numbers.get(answered, answered)})" if answered else ""
        self._say(
            f"  #{self._numbers[post.id]}  @{by}{about}: {post.text}",
            by=by,
            id=post.id,
            number=self._numbers[post.id],
            reply_to=post.reply_to_id,
            text=post.text,
        )

    def _show_message(self, message: MessageRecord) -> None:
        users = self._world.users
        by, to = users[message.sender_id].username, users[message.recipient_id].username
        self._say(
            f"  @{by} to @{to} (message): {message.text}",
            by=by,
            to=to,
            id=message.id,
            text=message.text,
        )
        if to == self._bot and not self._takes_messages():
            self._say("  (the bot has no handler for messages: @bot.on(DirectMessage))")


def moved(now: datetime, when: str) -> datetime:
    """Return the time for `/time`: `now` plus a span, or the next occurrence of a time of day.

    Raises:
        ValueError: `when` is neither a span nor a time of day.
    """
    if span := _SPAN.fullmatch(when):
        return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
    if clock := _CLOCK.fullmatch(when):
        day = now.astimezone(UTC).replace(second=0, microsecond=0)
        at = day.replace(hour=int(clock[1]), minute=int(clock[2]))
        return at if at > now else at + timedelta(days=1)
    raise ValueError(f"{when!r} is no time: say +10m, +2h, +1d or 08:00")


def _is_left(note: str) -> bool:
    return note in {"no handler", "opted out"} or note.startswith("held back by ")
