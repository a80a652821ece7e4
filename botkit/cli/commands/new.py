"""`botkit new NAME`: write a bot project whose test passes at once, with a lock for its image."""

from __future__ import annotations

import importlib.resources
import importlib.util
import keyword
import re
import shlex
import shutil
import sys
from pathlib import Path

import click

from botkit import __version__
from botkit.cli.commands.new_lock import LOCK, has_hashes, lock_text
from botkit.cli.help import HelpCommand
from botkit.cli.options import json_option
from botkit.cli.output import echo, echo_json
from botkit.errors import ConfigError

__all__ = ["command"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TEMPLATES = "botkit.cli.templates"
_FILES: tuple[tuple[str, str], ...] = (
    ("bot.py.txt", "{name}/bot.py"),
    ("init.py.txt", "{name}/__init__.py"),
    ("test_bot.py.txt", "tests/test_bot.py"),
    ("botkit.toml.txt", "botkit.toml"),
    ("pyproject.toml.txt", "pyproject.toml"),
    ("gitignore.txt", ".gitignore"),
    ("dockerignore.txt", ".dockerignore"),
    ("Dockerfile.txt", "Dockerfile"),
    ("README.md.txt", "README.md"),
    ("wheels.md.txt", "wheels/README.md"),
)


@click.command(cls=HelpCommand, name="new", help="Write a new bot project into the folder NAME.")
@click.argument("name")
@click.option("--lock", is_flag=True, help="Only write NAME/requirements.lock anew.")
@json_option
def command(*, name: str, lock: bool, as_json: bool) -> None:
    """Write the project into a folder that is new or empty."""
    folder = Path(name)
    if lock:
        _lock_again(folder)
        return
    package = folder.name.replace("-", "_").lower()
    if not _NAME.fullmatch(package) or keyword.iskeyword(package):
        raise ConfigError(
            f"{name!r} cannot be a bot's name.",
            hint="Use a letter, then letters, digits or underscores, for instance mybot.",
        )
    if _is_taken(package):
        raise ConfigError(
            f"There is a Python module {package!r} already: the bot's package would hide it.",
            hint="Choose another name, for instance mybot.",
        )
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} is there already.", hint="Choose another name.")
        _write(folder, package)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror or error}.",
            hint="Choose a folder that you may write to, with room on its disk.",
        ) from error
    files = [*(target.format(name=package) for _, target in _FILES), LOCK]
    if as_json:
        echo_json({"folder": str(folder), "target": f"{package}.bot:bot", "files": files})
        return
    echo(f"{folder} is ready: {len(files)} files.")
    botkit, python = _called()
    echo(
        f"Next: cd {shlex.quote(str(folder))} && {botkit} dev {package}.bot:bot"
        f"    (its test: {python} -m pytest)"
    )


def _is_taken(package: str) -> bool:
    """Return True if another module has this name; a folder without code does not count."""
    if package in sys.stdlib_module_names:
        return True
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def _write(folder: Path, package: str) -> None:
    templates = importlib.resources.files(_TEMPLATES)
    for source, target in _FILES:
        text = templates.joinpath(source).read_text(encoding="utf-8")
        written = folder / target.format(name=package)
        written.parent.mkdir(parents=True, exist_ok=True)
        filled = text.replace("{{ name }}", package).replace("{{ version }}", __version__)
        written.write_text(filled, encoding="utf-8")
    (folder / LOCK).write_text(lock_text(folder), encoding="utf-8")


def _lock_again(folder: Path) -> None:
    if not (folder / "pyproject.toml").is_file():
        raise ConfigError(
            f"{folder} holds no project: it has no pyproject.toml.",
            hint="Name the folder that `botkit new` made.",
        )
    text = lock_text(folder)
    (folder / LOCK).write_text(text, encoding="utf-8")
    rest = "with their hashes." if has_hashes(text) else "without hashes: its first lines say why."
    echo(f"{folder / LOCK} names the versions that are installed here, {rest}")


def _called() -> tuple[str, str]:
    """Return how to call this command and its Python: by name if on the path, else by file."""
    here = Path(sys.argv[0]).absolute()
    found = shutil.which("botkit")
    if here.name != "botkit" or (found is not None and Path(found).absolute() == here):
        return "botkit", "python"
    return shlex.quote(str(here)), shlex.quote(sys.executable)
