"""A simulated X in a process of its own, and a bot's folder with real `botkit` commands."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.crash.peer import Peer
from tests.crash.refreshing import Refreshers, plain_environment

GREETER = """
from botkit import Actions, Bot, Mention
from botkit.filters import contains

bot = Bot("greeter")


@bot.on(Mention, contains("hello"))
async def greet(mention: Mention, act: Actions) -> None:
    await act.reply(mention, f"Hello @{mention.author.username}! {mention.text[-6:]}")
"""

PATIENCE_S = 25.0
_BOTKIT = (sys.executable, "-m", "botkit")


def until(
    what: Callable[[], Any], *, within_s: float = PATIENCE_S, why: Callable[[], str] = str
) -> Any:
    """Poll until it is true; gives what it was."""
    deadline = time.monotonic() + within_s  # noqa: TID251 - other processes live in real time
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:  # noqa: TID251
            pytest.fail(f"not so within {within_s} s: {why()}")
        time.sleep(0.05)  # noqa: TID251


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


class World:
    """The simulated X, seen from outside."""

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        self.url = url
        self.environment = dict(environment)
        self.process: subprocess.Popen[str] | None = None

    def call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def says(self, username: str, text: str) -> str:
        """A user posts; gives the post's id."""
        return str(self.call("/sandbox/posts", {"as": username, "text": text})["id"])

    def replies(self) -> list[dict[str, Any]]:
        """What the bot posted."""
        found: list[dict[str, Any]] = self.call("/sandbox/posts?by=greeter&limit=100000")["posts"]
        return found

    def listeners(self) -> int:
        """How many streams are open."""
        return sum(self.call("/sandbox/state")["open_streams"].values())


class Machine:
    """A folder with a bot in it, and the processes that were started there."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = dict(environment)
        self._processes: list[subprocess.Popen[str]] = []
        self.log = folder / "run.log"
        self.log.touch()

    def write(self, source: str, name: str = "bot.py") -> None:
        (self.folder / name).write_text(source, encoding="utf-8")

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `botkit ...` or, when the first word is a file or -m, Python with it."""
        own = arguments[0] == "-m" or arguments[0].endswith(".py")
        module = () if own else ("-m", "botkit")
        command = [*options.pop("before", ()), sys.executable, *module]
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env=self._environment | options.pop("env", {}),
            text=True,
            **options,
        )
        self._processes.append(process)
        return process

    def run(self, target: str = "bot.py:bot", *options: str) -> subprocess.Popen[str]:
        """Start `botkit run`; what it says goes to the log."""
        with self.log.open("a", encoding="utf-8") as log:
            return self.start("run", target, *options, stdout=log, stderr=log)

    def said(self) -> str:
        """What all runs said."""
        return self.log.read_text(encoding="utf-8")

    def starts(self) -> int:
        """How many runs came as far as running."""
        return self.said().count('"event": "bot.started"')

    def do(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        out, err = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def authorize(self, target: str = "bot.py:bot") -> None:
        """`botkit setup`, with a person who consents."""
        arguments = ("setup", target, "--no-browser", "--make-key")
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        body = urllib.parse.urlencode({"as": "greeter", "decision": "authorize"}).encode()
        if url:
            with urllib.request.urlopen(url, data=body, timeout=10) as page:
                page.read()
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with served(tmp_path) as world:
        yield world


@pytest.fixture
def machine(tmp_path: Path, world: World) -> Iterator[Machine]:
    """A folder whose greeter is authorized in the world."""
    machine = installed(tmp_path, world)
    try:
        machine.authorize()
        yield machine
    finally:
        machine.end()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, World]]:
    """An authorized machine that nothing runs on; its world."""
    folder = tmp_path_factory.mktemp("template")
    with served(folder) as world:
        machine = installed(folder, world)
        machine.authorize()
        yield folder, world


@pytest.fixture
def copied(tmp_path: Path, template: tuple[Path, World]) -> Iterator[Machine]:
    """A copy of the authorized machine, for what does not come as far as running."""
    folder, world = template
    for part in ("machine", "config"):
        shutil.copytree(folder / part, tmp_path / part)
    machine = Machine(tmp_path / "machine", plain_environment(tmp_path) | world.environment)
    yield machine
    machine.end()


@contextmanager
def served(folder: Path, *options: str) -> Iterator[World]:
    """A simulated X in a process of its own."""
    callback = f"http://127.0.0.1:{free_port()}/callback"
    process = subprocess.Popen(
        [*_BOTKIT, "sandbox", "--json", "--redirect-uri", callback, *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=plain_environment(folder),
    )
    assert process.stdout is not None
    text = ""
    try:
        for line in process.stdout:
            text += line
            if line.startswith("}"):
                break
        opened = json.loads(text)
        settings = opened["environment"] | {"BOTKIT_APP__REDIRECT_URI": callback}
        for name in ("BOTKIT_STORE__URL", "BOTKIT_STORE__KEY"):
            del settings[name]  # a machine has a store of its own
        world = World(opened["url"], settings)
        world.process = process
        yield world
    finally:
        process.kill()
        process.communicate()


def installed(home: Path, world: World) -> Machine:
    """A folder with the greeter and the settings of the world's app."""
    folder = home / "machine"
    folder.mkdir()
    machine = Machine(folder, plain_environment(home) | world.environment)
    machine.write(GREETER)
    return machine


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Machine]:
    """A folder with a bot and nothing else."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    machine = Machine(folder, plain_environment(tmp_path))
    machine.write(GREETER)
    yield machine
    machine.end()


@pytest.fixture
def peer() -> Iterator[Peer]:
    opened = Peer()
    yield opened
    opened.close()


@pytest.fixture
def refreshers(tmp_path: Path, peer: Peer) -> Iterator[Refreshers]:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    opened = Refreshers(folder, peer)
    yield opened
    opened.close()


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run([found, "-o", "/dev/null", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"strace may not trace here: {tried.stderr.decode().strip()}")
    return found
