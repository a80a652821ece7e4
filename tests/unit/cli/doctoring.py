"""`botkit doctor` and what it said, for the tests of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botkit.protocol.rules.label import STEPS

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

CLIENT = ("BOTKIT_APP__CLIENT_ID", "BOTKIT_APP__CLIENT_SECRET")
API = ("BOTKIT_APP__API_KEY", "BOTKIT_APP__API_SECRET")


class Doctor:
    """The command, and what it said: by the id of the check."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.code = 0
        self.said: dict[str, Any] = {}

    def __call__(self, *arguments: str) -> dict[str, dict[str, Any]]:
        self.code = self.desk.top("doctor", *arguments, "--json")
        self.said = json.loads(self.desk.out)
        assert self.said["exit_code"] == self.code
        return {found["id"]: found for found in reversed(self.said["findings"])}

    def verdicts(self, *arguments: str) -> dict[str, str]:
        return {name: found["verdict"] for name, found in self(*arguments).items()}

    def settings(self, **changes: str | None) -> None:
        self.desk.move_to(self.desk.folder, **changes)

    def label_done(self) -> None:
        steps = [word for step in STEPS for word in ("--done", step.id)]
        assert self.desk.top("checklist", "--offline", *steps) == 0
