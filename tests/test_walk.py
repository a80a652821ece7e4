"""The script that counts how many files an event, a write and a refresh cross."""

from __future__ import annotations

import pytest

from tests.walk import report, take_walks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def test_each_walk_enters_the_rooms_it_is_known_to_cross() -> None:
    walks = take_walks()
    rooms = {name: {file.split("/")[0] for file in walk.calls} for name, walk in walks.items()}
    assert {"sources", "runtime", "routing", "client", "protocol", "storage"} <= rooms["event"]
    assert {"runtime", "client", "protocol", "storage"} <= rooms["write"]
    assert {"client", "protocol", "storage"} <= rooms["refresh"]
    assert "sandbox" not in rooms["event"]
    lines = report(walks, with_files=True).splitlines()
    assert [line.split()[0] for line in lines if line.endswith("moves")] == [
        "event",
        "write",
        "refresh",
    ]
