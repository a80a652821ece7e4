"""The automated-account label and its requirements, as nine steps.

X has no API to set the label. Steps that X's answers show are verified; a person confirms the
rest.
Source: X Help Center and X's Apps page, "Automated account labels"; X developer guidelines,
"Requirements for automated accounts".
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection

    from botkit.model.users import User

__all__ = ["STEPS", "Label", "LabelStep", "StepState", "judge"]


class LabelStep(Struct, frozen=True, kw_only=True):
    """One step: its id, what to do, and why X wants it."""

    id: str
    do: str
    why: str = ""


STEPS: tuple[LabelStep, ...] = (
    LabelStep(
        id="settings",
        do="Log in to X as the bot's account and open Settings and privacy.",
    ),
    LabelStep(id="your-account", do="Choose Your account."),
    LabelStep(id="automation", do="Choose Automation."),
    LabelStep(id="account-management", do="Choose Managing account, then Set up."),
    LabelStep(
        id="choose-account",
        do="Enter the handle of the account that runs the bot.",
        why="It must be another account than the bot's, run by a person.",
    ),
    LabelStep(id="password", do="Enter that account's password, on X's page only."),
    LabelStep(
        id="confirmed",
        do='See that the profile says "Automated by @handle".',
        why="The label tells people that they talk to a program.",
    ),
    LabelStep(
        id="bio",
        do='Say in the bio that it is a bot and whose, for instance "Bot by @handle".',
        why="X's developer guidelines require it beside the label.",
    ),
    LabelStep(
        id="contact",
        do="Name a human-run account that people can turn to.",
        why="Somebody must answer for the account.",
    ),
)
_SHOWN_BY_LABEL = frozenset(step.id for step in STEPS[:7])
_SAYS_BOT = re.compile(r"(?i)\b(bot|automated|automation)\b")
_HANDLE = re.compile(r"@(\w{1,15})")


class StepState(enum.StrEnum):
    """The state of a step."""

    VERIFIED = "verified"
    CONFIRMED = "confirmed"
    OPEN = "open"


class Label(Struct, frozen=True, kw_only=True):
    """The whole checklist for one account."""

    states: dict[str, StepState]

    @property
    def complete(self) -> bool:
        """Return True if no step is open."""
        return StepState.OPEN not in self.states.values()

    @property
    def done(self) -> int:
        """Return the number of steps that are verified or confirmed."""
        return sum(state is not StepState.OPEN for state in self.states.values())

    @property
    def next_step(self) -> LabelStep | None:
        """Return the first open step; None if there is none."""
        return next((s for s in STEPS if self.states[s.id] is StepState.OPEN), None)


def judge(profile: User | None, confirmed: Collection[str]) -> Label:
    """Return the checklist, from X's profile of the account and the operator's confirmations.

    Args:
        profile: The account's own profile; None if it could not be read.
        confirmed: Ids of steps that the operator confirmed.
    """
    verified = _verified(profile) if profile is not None else frozenset[str]()
    states = {
        step.id: StepState.VERIFIED
        if step.id in verified
        else StepState.CONFIRMED
        if step.id in confirmed
        else StepState.OPEN
        for step in STEPS
    }
    return Label(states=states)


def _verified(profile: User) -> frozenset[str]:
    found = set(_SHOWN_BY_LABEL) if profile.automated else set[str]()
    bio = profile.description or ""
    others = [
        handle for handle in _HANDLE.findall(bio) if handle.lower() != profile.username.lower()
    ]
    if _SAYS_BOT.search(bio) and others:
        found.add("bio")
    if others:
        found.add("contact")
    return frozenset(found)
