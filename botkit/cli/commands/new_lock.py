"""Make the lock file of a new project: botkit and its dependencies in the installed versions.

The hashes come from the lock that botkit's wheel brings with it, and botkit's own from its wheel
in the project's folder `wheels/`, or from what the installer noted of the wheel it installed. Pip
wants a hash for each package or for none, so a lock has all hashes or no hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["LOCK", "has_hashes", "lock_text"]

LOCK = "requirements.lock"
WHEELS = "wheels"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
_BLOCKS = re.compile(r"^(?=\w)", re.MULTILINE)
_COMMENTS = re.compile(r"^\s*#.*\n", re.MULTILINE)
_HASH = " \\\n    --hash=sha256:"
_HEAD = """\
# The exact versions that the image installs, as they were where `botkit new` ran.
# Write it anew with `botkit new --lock .`; a package of your own goes here with its version{}.
"""
_WITHOUT = """\
# It has no hashes, because none is known of {}.
# With botkit's wheel in wheels/: uv pip compile --universal --generate-hashes \
--find-links wheels pyproject.toml -o requirements.lock
"""
_SHIPPED = (
    Path(__file__).with_name("runtime.lock"),  # in the wheel
    Path(__file__).parents[3] / "requirements-runtime.lock",  # in the repository
)


def has_hashes(text: str) -> bool:
    """Return True if the lock's packages have hashes."""
    return "--hash=" in text


def lock_text(folder: Path) -> str:
    """Return the text of the project's lock file: a pin for each package, sorted."""
    versions = _installed()
    shipped = _shipped()
    own = _hash_of_botkit(folder / WHEELS, versions["botkit"])
    known = {name for name, pins in shipped.items() if versions.get(name) in {None, *pins}}
    if own:
        known.add("botkit")
    unknown = sorted(versions.keys() - known)
    if unknown or shipped.keys() - known:
        named = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if unknown[3:] else "")
        pins = [f"{name}=={versions[name]}\n" for name in sorted(versions)]
        return _HEAD.format("") + _WITHOUT.format(named) + "".join(pins)
    blocks = {name: "".join(pins.values()) for name, pins in shipped.items()}
    blocks["botkit"] = f"botkit=={versions['botkit']}{_HASH}{own}\n"
    return _HEAD.format(" and hash") + "".join(blocks[name] for name in sorted(blocks))


def _installed() -> dict[str, str]:
    """Return the versions of botkit and of the packages that it needs here."""
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
    return versions


def _shipped() -> dict[str, dict[str, str]]:
    """Return the lock that came with botkit: for each package its versions, each with its lines.

    It holds the packages of every system; a marker says where one is needed.
    """
    path = next((path for path in _SHIPPED if path.is_file()), None)
    text = "" if path is None else path.read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {}
    for block in _BLOCKS.split(_COMMENTS.sub("", text)):
        pin = _PIN.match(block)
        if pin is not None:
            found.setdefault(_canonical(pin[1]), {})[pin[2]] = block
    return found


def _hash_of_botkit(wheels: Path, version: str) -> str:
    """Return the SHA-256 of botkit's wheel, "" if it is not known."""
    for wheel in sorted(wheels.glob(f"botkit-{version}-*.whl")):
        return hashlib.sha256(wheel.read_bytes()).hexdigest()
    noted = distribution("botkit").read_text("direct_url.json") or "{}"
    hashes = json.loads(noted).get("archive_info", {}).get("hashes", {})
    return str(hashes.get("sha256", ""))


def _required(requirements: list[str]) -> list[str]:
    """Return the names of the packages that are needed without any extra."""
    names = (_NAME.match(each) for each in requirements if "extra ==" not in each)
    return [name[0] for name in names if name is not None]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
