"""Times are written in one format: RFC 3339, UTC, with Z (`botkit.telemetry.times`)."""

from __future__ import annotations

import re
from pathlib import Path

import botkit

ROOT = Path(botkit.__file__).parent
OTHER = re.compile(r":%[HY]|strftime\(|(?<!from)isoformat\(")
EXCEPT = {
    "telemetry/times.py",
    "model/events.py",  # keys of events, which must stay as they are
    "protocol/api/push_requests.py",  # the formats that X takes
    "protocol/api/requests.py",
    "protocol/api/_generate_operations.py",
}


def test_no_module_writes_times_in_a_format_of_its_own() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.rglob("*.py"))
        if OTHER.search(path.read_text(encoding="utf-8"))
    ]
    assert [name for name in found if name not in EXCEPT and not name.startswith("sandbox/")] == []
