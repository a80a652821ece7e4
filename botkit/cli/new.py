"""`botkit new NAME`: a bot project whose test passes at once."""

from __future__ import annotations

import importlib.resources
import keyword
import re
from pathlib import Path

import click

from botkit import __version__
from botkit.cli.help import Command
from botkit.cli.options import echo_json, json_option
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
)


@click.command(cls=Command, name="new", help="Write a new bot project into the folder NAME.")
@click.argument("name")
@json_option
def command(*, name: str, as_json: bool) -> None:
    """Write the project; an existing folder is never written into."""
    folder = Path(name)
    package = folder.name.replace("-", "_").lower()
    if not _NAME.fullmatch(package) or keyword.iskeyword(package):
        raise ConfigError(
            f"{name!r} cannot be a bot's name.",
            hint="Use a letter, then letters, digits or underscores, for instance mybot.",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already.", hint="Choose another name.")
    templates = importlib.resources.files(_TEMPLATES)
    for source, target in _FILES:
        text = templates.joinpath(source).read_text(encoding="utf-8")
        written = folder / target.format(name=package)
        written.parent.mkdir(parents=True, exist_ok=True)
        filled = text.replace("{{ name }}", package).replace("{{ version }}", __version__)
        written.write_text(filled, encoding="utf-8")
    files = [target.format(name=package) for _, target in _FILES]
    if as_json:
        echo_json({"folder": str(folder), "target": f"{package}.bot:bot", "files": files})
        return
    click.echo(f"{folder} is ready: {len(files)} files.")
    click.echo(
        f"Next: cd {folder} && botkit dev {package}.bot:bot    (its test: python -m pytest)"
    )
