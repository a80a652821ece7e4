"""Make the lock file of a new project: botkit and its dependencies in the installed versions."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

__all__ = ["LOCK", "lock_text"]

LOCK = "requirements.lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEAD = """\
# The exact versions that the image installs, as they were where `botkit new` ran.
# Write it anew with `botkit new --lock .`, or with hashes by a tool of yours, such as uv.
"""


def lock_text() -> str:
    """Return the lock file's text: one `name==version` for each package, sorted."""
    versions: dict[str, str] = {}
    wanted = ["botkit"]
    while wanted:
        name = _canonical(wanted.pop())
        if name in versions:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # needed only on another system or Python
        versions[name] = found.version
        wanted += _required(found.requires or [])
    return _HEAD + "".join(f"{name}=={versions[name]}\n" for name in sorted(versions))


def _required(requirements: list[str]) -> list[str]:
    """Return the names of the packages that are needed without any extra."""
    names = (_NAME.match(each) for each in requirements if "extra ==" not in each)
    return [name[0] for name in names if name is not None]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
