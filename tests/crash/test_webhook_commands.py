"""`botkit webhooks` and a bot behind a webhook, against a simulated X in another process."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.conftest import free_port, until

if TYPE_CHECKING:
    from tests.crash.conftest import Machine, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Behind:
    """A machine whose bot hears by a webhook."""

    def __init__(self, machine: Machine) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/x/deliveries"
        self.machine = machine
        machine._environment |= {
            "BOTKIT_BOT__SOURCE": "webhook",
            "BOTKIT_WEBHOOK__PUBLIC_URL": self.url,
            "BOTKIT_HTTP__PORT": str(self.port),
        }

    def run(self) -> subprocess.Popen[str]:
        """Start the bot; return once X delivers to it."""
        before = self._hears()
        process = self.machine.run()
        until(lambda: self._hears() > before, why=self.machine.said)
        return process

    def _hears(self) -> int:
        return self.machine.said().count('"event": "bot.hears"')

    def webhooks(self, *arguments: str, code: int = 0) -> str:
        done = self.machine.do("webhooks", *arguments)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def listed(self) -> list[dict[str, Any]]:
        return json.loads(self.webhooks("list", "--json"))


@pytest.fixture
def behind(machine: Machine) -> Behind:
    return Behind(machine)


def test_webhooks_are_listed_added_checked_and_removed_by_command(
    world: World, behind: Behind
) -> None:
    assert "No webhooks." in behind.webhooks("list")
    assert "CrcValidationFailed" in behind.webhooks("add", code=2)  # nothing listens there yet
    behind.run()
    (webhook,) = behind.listed()
    assert webhook == {"id": webhook["id"], "url": behind.url, "valid": True}
    assert behind.url in behind.webhooks("add")
    assert "WebhookLimitExceeded" in behind.webhooks("add", "https://b.example/x", code=2)
    assert "is valid" in behind.webhooks("check")
    post = world.says("ada", "@greeter hello there")
    until(world.replies, why=behind.machine.said)
    assert [each["reply_to"] for each in world.replies()] == [post]
    assert "is removed" in behind.webhooks("remove", webhook["id"])
    assert behind.listed() == []


def test_a_bot_that_was_away_for_long_hears_by_a_replay_what_was_missed_once(
    world: World, behind: Behind
) -> None:
    process = behind.run()
    world.says("ada", "@greeter hello one")
    until(world.replies)
    process.kill()
    process.wait()
    # What happens now happened 40 minutes ago, when X's clock is right again.
    world.call("/sandbox/faults", {"kind": "clock_off", "seconds": -2400})
    world.says("ada", "@greeter hello two")
    world.call("/sandbox/faults", {"kind": "clock_off", "seconds": 0})
    until(lambda: world.call("/sandbox/state")["deliveries"]["attempts"] >= 2)
    behind.run()
    delivered = world.call("/sandbox/state")["deliveries"]["delivered"]
    since = datetime.now(UTC) - timedelta(minutes=50)  # noqa: TID251
    said = behind.webhooks("replay", "--since", since.isoformat())
    assert "replay job" in said
    until(lambda: "webhook.replay_ended" in behind.machine.said(), why=behind.machine.said)
    assert world.call("/sandbox/state")["deliveries"]["delivered"] >= delivered + 2
    until(lambda: len(world.replies()) == 2, why=behind.machine.said)
    assert len({each["reply_to"] for each in world.replies()}) == 2
