"""A login as a person does it: the address opened, the account chosen, the button clicked, the last page read."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import Visitor
from tests.crash.conftest import PATIENCE_S, Machine, World, installed, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


@pytest.fixture(scope="module")
def x(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with served(tmp_path_factory.mktemp("x")) as world:
        world.call("/sandbox/users", {"username": "somebody", "name": "Some Body"})
        yield world


@pytest.fixture
def desk(x: World, tmp_path: Path) -> Iterator[Machine]:
    machine = installed(tmp_path, x)
    yield machine
    machine.end()


@contextmanager
def setting_up(desk: Machine, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`botkit setup` that waits for a person; the address it gives them."""
    process = desk.start("setup", "bot.py:bot", "--no-browser", "--make-key", *options, **PIPES)
    assert process.stdout is not None
    assert process.stderr is not None
    address = process.stdout.readline().strip()
    assert address, process.stderr.read()
    yield process, address


def origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def test_a_person_clicks_through_an_authorization(
    visitor: Visitor, desk: Machine, x: World
) -> None:
    with setting_up(desk) as (process, address):
        visitor.page.goto(address)
        visitor.judge()
        assert "wants to access an X account" in visitor.page.inner_text("h1")
        assert visitor.origins == {origin(address)}

        visitor.page.get_by_label("Logged in as").select_option("greeter")
        visitor.page.get_by_role("button", name="Authorize app").click()

        visitor.page.get_by_role("heading", name="The account is authorized").wait_for()
        visitor.judge()
        shown = visitor.page.inner_text("main")
        assert "@greeter" in shown
        assert "tweet.read tweet.write users.read offline.access" in shown
        callback = x.environment["BOTKIT_APP__REDIRECT_URI"]
        assert visitor.origins == {origin(address), origin(callback)}
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    code = re.search(r"code=([^&]+)", visitor.page.url)
    assert code is not None
    assert code[1] not in said + visitor.page.content()


def test_a_person_declines(visitor: Visitor, desk: Machine) -> None:
    with setting_up(desk) as (process, address):
        visitor.page.goto(address)
        visitor.page.get_by_role("button", name="Cancel").click()

        visitor.page.get_by_role("heading", name="Authorization was declined").wait_for()
        visitor.judge()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2, said


def test_a_person_is_logged_in_as_somebody_else(visitor: Visitor, desk: Machine) -> None:
    with setting_up(desk, "--account", "greeter") as (process, address):
        visitor.page.goto(address)
        visitor.page.get_by_label("Logged in as").select_option("somebody")
        visitor.page.get_by_role("button", name="Authorize app").click()

        visitor.page.get_by_role("heading", name="That is another account").wait_for()
        visitor.judge()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2, said


def test_a_person_authorizes_by_oauth_1a(visitor: Visitor, desk: Machine) -> None:
    with setting_up(desk, "--oauth1") as (process, address):
        visitor.page.goto(address)
        visitor.judge()
        visitor.page.get_by_label("Logged in as").select_option("greeter")
        visitor.page.get_by_role("button", name="Authorize app").click()

        visitor.page.get_by_role("heading", name="The account is authorized").wait_for()
        visitor.judge()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said


def test_a_person_reads_a_pin_and_types_it(visitor: Visitor, desk: Machine) -> None:
    with setting_up(desk, "--pin") as (process, address):
        visitor.page.goto(address)
        visitor.judge()
        visitor.page.get_by_label("Logged in as").select_option("greeter")
        visitor.page.get_by_role("button", name="Authorize app").click()

        visitor.page.get_by_role("heading", name="You have granted access").wait_for()
        visitor.judge()
        pin = visitor.page.inner_text("#oauth_pin")
        _, said = process.communicate(f"{pin}\n", timeout=PATIENCE_S)
    assert process.returncode == 0, said
    assert pin not in said
    assert visitor.origins == {origin(address)}


def test_what_x_refuses_to_ask_is_a_page_too(visitor: Visitor, x: World) -> None:
    visitor.page.goto(f"{x.url}/i/oauth2/authorize?client_id=nobody")
    assert visitor.page.inner_text("h1") == "Something went wrong"
    visitor.judge()
